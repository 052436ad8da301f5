"""bench/streaming.py: the world, the channel, and engines whose scores are known."""

from __future__ import annotations

import numpy as np
import pytest

from pvnet import catch


def test_the_world_draws_the_ball_where_it_is():
    from stream_world import World

    world = World(seed=3, seconds=1.0, fps=50, speed=200.0)
    assert len(world.frames) == len(world.times) == 50
    for frame, now in zip(world.frames.astype(int), world.times):
        rows, columns = np.nonzero((frame[..., 0] > 200) & (frame[..., 2] < 80))
        x, y = world.ball(now)
        if y < catch.HEIGHT - 12:  # else the paddle covers a part, or other things are orange, too
            assert np.hypot(columns.mean() - x, rows.mean() - y) < 1.5


def test_a_channel_gives_every_frame_once():
    from streaming import Channel

    channel = Channel()
    frame = np.arange(catch.HEIGHT * catch.WIDTH * 3, dtype=np.uint8)
    frame = frame.reshape(catch.HEIGHT, catch.WIDTH, 3)
    assert channel.take(-1.0) is None
    channel.give(frame, 0.5)
    taken = channel.take(-1.0)
    assert taken is not None
    assert np.array_equal(taken[0], frame)
    assert taken[1] == 0.5
    assert channel.take(0.5) is None


def test_an_exact_engine_is_off_by_what_the_ball_moved_while_it_worked():
    from stream_world import World
    from streaming import ask, summary

    world = World(seed=3, seconds=1.5, fps=100, speed=150.0)
    found = ask(world, "fake:40", 1, 50.0)
    assert len(found["distances"]) > 20
    off = np.abs(np.array(found["distances"]) - np.array(found["late_px"]))
    assert np.median(off) < 1.0
    assert min(found["ages_ms"]) >= 40
    row = summary("fake:40", [found])
    assert row["asked"] == len(found["distances"]) == sum(row["ages"].values())
    assert row["late_px"] > 150.0 * 0.040 * 0.9  # it falls at least so far in 40 ms


def test_a_peer_that_is_not_here_is_left_out(monkeypatch, tmp_path):
    import stream_peers
    from peer import venv

    monkeypatch.setattr(venv, "HOME", tmp_path)
    monkeypatch.setattr(stream_peers.importlib.util, "find_spec", lambda name: None)
    assert stream_peers.missing("openvino").startswith("no environment of the peers")
    assert stream_peers.missing("predictive") == ""


def test_a_peer_gets_the_frame_as_the_network_wants_it(monkeypatch, tmp_path):
    import stream_peers
    from peer import files, serve, venv
    from peer.own import Own

    monkeypatch.setattr(files, "HOME", tmp_path / "files")
    monkeypatch.setattr(venv, "HOME", tmp_path / "no-environment")
    monkeypatch.setattr(serve, "make", lambda name, net, threads: Own(net, threads))
    stream_peers.prepare(["openvino"])
    found = stream_peers.heatmaps("openvino", 1)  # compared with pvnet's, from the frame's bytes

    def wrong(frame):
        return found(frame[:, ::-1])

    with pytest.raises(RuntimeError, match="openvino is refused: heatmaps differ by"):
        stream_peers.check("openvino", wrong)


def test_an_unknown_engine_is_named():
    from stream_engines import make

    with pytest.raises(SystemExit, match="got 'tensorflow', expected some of"):
        make("tensorflow", 1)
