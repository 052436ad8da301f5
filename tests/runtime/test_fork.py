"""Streams, ops and feeds in forked processes: they work or say so, they never wait for ever."""

from __future__ import annotations

import multiprocessing
import os
import select
import signal
import threading
import traceback

import numpy as np
import pytest

import pvnet
from pvnet.errors import PvnetError, StateError

LIMIT_S = 30


def network(size=48):
    """Wide enough that two lanes share a tick."""
    graph = pvnet.Graph()
    x = graph.input("frame", channels=3, height=size, width=size)
    x = graph.conv3d(x, 32, kernel=(2, 3, 3), act="relu", name="a")
    x = graph.conv3d(x, 32, kernel=(1, 3, 3), act="relu", name="b")
    graph.output(x, name="y")
    rng = np.random.default_rng(0)
    weights = {n: 0.1 * rng.standard_normal(s) for n, s in graph.expected_weights()}
    return graph, weights


def frames(count=6, size=48):
    rng = np.random.default_rng(1)
    return list(rng.integers(0, 255, (count, size, size, 3), dtype=np.uint8))


def in_child(work):
    """What `work` returns in a forked child, as text; a child that hangs is a failure."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.write(write, str(work()).encode())
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(write)
    ready, _, _ = select.select([read], [], [], LIMIT_S)
    if not ready:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    text = os.read(read, 1 << 16).decode()
    os.close(read)
    assert ready, "the child hangs"
    assert status == 0, f"the child ended with {status}"
    return text


def test_a_tick_in_a_forked_child_does_not_hang():
    stream = pvnet.compile(network(), lanes=2, fixed_lanes=True).stream()
    alone = pvnet.compile(network(), lanes=1).stream()
    clip = frames()
    for frame in clip[:3]:
        stream.tick(frame)
        alone.tick(frame)
    expected = [alone.tick(f)["y"].tobytes() for f in clip[3:]]

    def work():
        here = [stream.tick(f)["y"].tobytes() for f in clip[3:]]
        return here == expected and stream.lanes_used == 2

    assert in_child(work) == "True"
    assert [stream.tick(f)["y"].tobytes() for f in clip[3:]] == expected, "the parent goes on"


def test_reset_and_snapshot_work_in_a_forked_child():
    stream = pvnet.compile(network(), lanes=2).stream()
    clip = frames()
    first = stream.tick(clip[0])["y"].tobytes()
    stream.tick(clip[1])
    saved = stream.snapshot()

    def work():
        same = stream.snapshot() == saved
        stream.reset()
        again = stream.tick(clip[0])["y"].tobytes()
        stream.restore(saved)
        return same and again == first and stream.ticks.tolist() == [2]

    assert in_child(work) == "True"


def test_a_stream_that_is_dropped_in_a_forked_child_is_not_waited_for():
    held = [pvnet.compile(network(), lanes=2).stream()]
    held[0].tick(frames(1)[0])

    def work():
        held.clear()
        return pvnet.compile(network(), lanes=2).stream().tick(frames(1)[0]).tick.tolist()

    assert in_child(work) == "[0]"


def test_children_of_a_forked_child_work():
    stream = pvnet.compile(network(), lanes=2).stream()
    stream.tick(frames(1)[0])

    def work():
        stream.tick(frames(1)[0])
        return in_child(lambda: stream.tick(frames(1)[0]).tick.tolist())

    assert in_child(work) == "[2]"


def test_a_fork_in_the_middle_of_a_tick_is_said_in_the_child():
    """Another thread of the parent was inside: the child has half a tick, and nobody to end it."""
    stream = pvnet.compile(network(256), lanes=2).stream()
    clip = frames(1, 256)
    stop = threading.Event()

    def busy():
        while not stop.is_set():
            stream.tick(clip[0])

    def work():
        try:
            stream.tick(clip[0])
        except StateError as error:
            return f"refused: {error}"
        return "ticked"

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        seen = [in_child(work) for _ in range(8)]
    finally:
        stop.set()
        thread.join()
    refused = [text for text in seen if text.startswith("refused")]
    assert refused, "no fork fell into a tick"
    assert all("forked while a call was inside" in text for text in refused)
    assert stream.tick(clip[0]).valid.all(), "the parent goes on"


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_processes_of_every_start_method_tick(method, tmp_path):
    path = tmp_path / "model.safetensors"
    graph, weights = network()
    pvnet.save((graph, weights), path)
    here = pvnet.compile(str(path), lanes=2).stream().tick(frames(1)[0])["y"]
    with multiprocessing.get_context(method).Pool(1) as pool:
        there = pool.apply_async(tick_of_file, (str(path),)).get(timeout=60)
    np.testing.assert_array_equal(here, there)


def tick_of_file(path):
    return pvnet.compile(path, lanes=2).stream().tick(frames(1)[0])["y"]


def test_a_data_set_that_ticks_a_stream_works_in_a_data_loader():
    torch = pytest.importorskip("torch")
    stream = pvnet.compile(network(), lanes=2, fixed_lanes=True).stream()
    clip = frames()
    stream.tick(clip[0])
    expected = pvnet.compile(network(), lanes=1).stream()
    expected.tick(clip[0])
    wanted = [expected.tick(f)["y"] for f in clip[1:]]

    class Ticked(torch.utils.data.Dataset):
        def __len__(self):
            return len(clip) - 1

        def __getitem__(self, i):
            return torch.from_numpy(stream.tick(clip[i + 1])["y"])

    loader = torch.utils.data.DataLoader(Ticked(), batch_size=None, num_workers=1, timeout=LIMIT_S)
    got = [y.numpy() for y in loader]
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


def test_ops_work_in_a_forked_child():
    torch = pytest.importorskip("torch")
    clip = torch.rand(1, 16, 4, 32, 32)
    weight = torch.rand(32, 16, 3, 3, 3)
    expected = pvnet.ops.causal_conv3d(clip, weight, None, padding=(1, 1)).numpy()

    def work():
        # In numpy: torch's own parallel loops do not survive a fork.
        y = pvnet.ops.causal_conv3d(clip, weight, None, padding=(1, 1)).numpy()
        return np.array_equal(y, expected)

    assert in_child(work) == "True"


def test_a_feed_of_the_parent_says_so_in_a_forked_child():
    source = (pvnet.video.Frame(f, i, i / 25, "test") for i, f in enumerate(frames(50)))
    with pvnet.video.Feed(source, policy="block", capacity=1) as feed:
        next(feed)

        def work():
            try:
                for _ in feed:
                    pass
            except PvnetError as error:
                return error
            return "ended"

        text = in_child(work)
        assert "forked" in text
        assert "Make a new Feed" in text
        next(feed)
