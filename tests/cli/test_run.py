"""`pvnet run` and the overlay."""

from __future__ import annotations

import numpy as np
import pytest

from cli.conftest import SMALL, count_frames
from pvnet import video
from pvnet.cli.__main__ import build_parser
from pvnet.cli._common.annotated import AnnotatedVideo
from pvnet.cli._common.network_choice import Choice, choose
from pvnet.cli._common.overlay import Overlay, enlarged


@pytest.mark.parametrize("model", ["par_densenet", "par_inception"])
@pytest.mark.parametrize(
    ("stages", "wiring"), [(1, "sequential"), (2, "pipelined"), (5, "predictive")]
)
def test_run_writes_a_playable_video(pvnet_cli, video_file, tmp_path, model, stages, wiring):
    out = tmp_path / "out.mp4"
    done = pvnet_cli(
        "run", video_file, "--model", model, *SMALL, "--stages", stages, "--wiring", wiring,
        "--out", out, "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    d = done.document
    assert (d["frames"], d["dropped_frames"]) == (12, 0)
    assert (d["stages"], d["wiring"]) == (stages, wiring)
    assert d["random_weights"] is True
    assert "random weights" in done.err
    expected = 0 if wiring == "sequential" else stages - 1 if wiring == "pipelined" else None
    if expected is not None:
        assert d["information_latency_ticks"] == expected
        assert d["warm_up_seen_ticks"] == d["warm_up_ticks"]
    assert len(d["age_ticks"]) == stages
    assert 0 < d["computational_latency_p50_ms"] <= d["computational_latency_p99_ms"]
    frames, last = count_frames(out)
    assert frames == 12
    assert min(last.shape[:2]) >= 240


def test_stages_alone_means_pipelined(pvnet_cli, model_file):
    done = pvnet_cli(
        "run", "synthetic", "--model", model_file, "--stages", "3", "--max-frames", "4", "--json"
    )
    assert done.code == 0, done.err
    assert (done.document["wiring"], done.document["information_latency_ticks"]) == ("pipelined", 2)
    assert done.document["frames"] == 4


def test_text_report_names_units(pvnet_cli, model_file, monkeypatch):
    monkeypatch.chdir(model_file.parent)  # beside a long path the other column is narrow
    done = pvnet_cli("run", "synthetic", "--model", model_file.name, "--max-frames", "3")
    assert done.code == 0, done.err
    for word in ("ticks/s", "p50", "p99", "information latency", "age", "random weights"):
        assert word in done.words


def test_latest_drops_what_comes_too_fast(pvnet_cli, video_file, model_file):
    done = pvnet_cli("run", video_file, "--model", model_file, "--policy", "latest", "--json")
    assert done.code == 0, done.err
    d = done.document
    assert d["frames"] + d["dropped_frames"] == 12


def test_maps_and_weights_may_be_bf16(pvnet_cli, model_file):
    words = ["run", "synthetic", "--model", model_file, "--max-frames", "3", "--dtype"]
    done = pvnet_cli(*words, "bf16", "--json")
    assert done.code == 0, done.err
    assert (done.document["dtype"], done.document["frames"]) == ("bf16", 3)
    done = pvnet_cli(*words, "f16")
    assert done.code == 1
    assert "dtype is not available on cpu" in done.err


def test_max_frames_cuts(pvnet_cli, video_file, model_file):
    done = pvnet_cli("run", video_file, "--model", model_file, "--max-frames", "5", "--json")
    assert done.document["frames"] == 5


def test_no_video_fails(pvnet_cli, model_file, tmp_path):
    text = tmp_path / "words.mp4"
    text.write_text("no video")
    for source in (text, tmp_path / "missing.mp4"):
        done = pvnet_cli("run", source, "--model", model_file, "--json")
        assert done.code == 1
        assert done.document["error"]["type"] == "FileError"


def _choice(*words: str) -> Choice:
    return choose(build_parser().parse_args(["run", "synthetic", *words]))


@pytest.mark.parametrize(
    ("model", "task"), [("par_densenet", "joints"), ("par_inception", "actions")]
)
def test_overlay_draws_only_after_the_warm_up(model, task):
    import pvnet
    from pvnet.video.synthetic import SyntheticVideo

    choice = _choice("--model", model, *SMALL, "--stages", "2")
    plan = pvnet.compile((choice.graph, choice.weights))
    overlay = Overlay(plan, choice)
    assert overlay.task == task
    stream = plan.stream()
    frames = list(SyntheticVideo(1, 32, 32, 12))
    ticks = [stream.tick(frame.image) for frame in frames]
    assert "none yet" in overlay.words(ticks[0])
    assert "none yet" not in overlay.words(ticks[-1])
    picture = overlay.draw(frames[-1], ticks[-1])
    plain, factor = enlarged(frames[-1].image)
    assert picture.shape == plain.shape
    assert picture.dtype == np.uint8
    assert factor == 8
    assert (picture != plain).any()
    assert np.array_equal(frames[-1].image, list(SyntheticVideo(1, 32, 32, 12))[-1].image)


def test_overlay_uses_labels_of_the_metadata():
    choice = _choice("--model", "par_inception", *SMALL, "--classes", "3")
    import json

    import pvnet

    labels = Choice(
        choice.graph, choice.weights, {"labels": json.dumps(["sit", "wave", "run"])}, "x", False
    )
    plan = pvnet.compile((choice.graph, choice.weights))
    assert Overlay(plan, labels).labels == ["sit", "wave", "run"]
    wrong = Choice(choice.graph, choice.weights, {"labels": "not json"}, "x", False)
    assert Overlay(plan, wrong).labels == ["class 0", "class 1", "class 2"]


def test_pictures_of_another_size_are_fitted(tmp_path):
    pytest.importorskip("av")
    path = tmp_path / "a.mp4"
    with video.open("synthetic") as source:
        annotated = AnnotatedVideo(path, source)
        for t, height in enumerate((60, 90, 60)):
            annotated.write(np.full((height, 80, 3), 90, np.uint8), t / 25)
        annotated.close(complete=False)
    frames, last = count_frames(path)
    assert (frames, last.shape) == (3, (60, 80, 3))


def test_interrupt_keeps_what_was_done(pvnet_cli, video_file, model_file, tmp_path, monkeypatch):
    drawn = []

    def draw(self, frame, tick):
        if len(drawn) == 4:
            raise KeyboardInterrupt
        drawn.append(tick)
        return frame.planes.rgb()

    monkeypatch.setattr(Overlay, "draw", draw)
    out = tmp_path / "o.mp4"
    done = pvnet_cli("run", video_file, "--model", model_file, "--out", out, "--json")
    assert done.code == 130, done.err
    # Ticks are a few frames ahead of what is drawn.
    assert 5 <= done.document["frames"] <= 12
    assert done.document["interrupted"] is True
    assert count_frames(out)[0] == 4
