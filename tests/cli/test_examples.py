"""The programs in examples/ run as they stand."""

from __future__ import annotations

from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_the_own_network_is_pipelined_exactly_and_predictive_early(pvnet_process):
    done = pvnet_process(program=(str(EXAMPLES / "own_network.py"),))
    assert done.code == 0, done.err
    assert "pipelined = sequential shifted by 2 ticks, largest difference 0.0" in done.words
    assert "predictive: 3 stages, information latency 1" in done.words


def test_the_quickstart_runs_and_prints_its_result(pvnet_process):
    done = pvnet_process(program=(str(EXAMPLES / "quickstart.py"),))
    assert done.code == 0, done.err
    assert len(done.out.splitlines()) > 15


def test_webcam_on_a_file(pvnet_process, video_file, model_file):
    words = (video_file, "--model", model_file, "--max-frames", "3")
    done = pvnet_process(*words, program=(str(EXAMPLES / "webcam.py"),))
    assert done.code == 0, done.err
    assert done.out.startswith("frame ")
