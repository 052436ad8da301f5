"""Stream.run with two ticks under way: the Ticks of one after the other."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from device_frames import DlpackFrame, needs_shim
from test_device_ticks import floats, images, run_on_host, small_plan

import pvnet
from pvnet import _core

pytestmark = needs_shim


class Source:
    """Frames that nobody changes any more; it notes how far the Stream was when each was read."""

    owned = True

    def __init__(self, frames: Any, gap_at: int = -1, fails_at: int = -1) -> None:
        self.frames, self.gap_at, self.fails_at = frames, gap_at, fails_at
        self.read = 0

    def __iter__(self) -> Any:
        for t, image in enumerate(self.frames):
            if t == self.fails_at:
                raise OSError("the cable")
            self.read += 1
            yield SimpleNamespace(image=image, gap="lost" if t == self.gap_at else None)


@pytest.fixture(autouse=True)
def _nothing_is_refused():
    _core.shim_refusals()
    yield
    assert _core.shim_refusals() == []


@pytest.mark.parametrize("frames", [floats()[:, 0], images()[:, 0]])
def test_the_next_frame_is_read_beside_a_tick(frames: np.ndarray) -> None:
    plan = small_plan()
    want = run_on_host(plan, frames)
    for seed in range(6):
        _core.seed_shim(seed)
        stream, source = plan.stream(), Source(frames)
        ticks = []
        for t, tick in enumerate(stream.run(source, policy="block")):
            assert source.read == min(t + 2, len(frames))
            assert np.array_equal(tick.frame.image, frames[t])
            assert tick.finite
            ticks.append(tick)
        for tick, other in zip(ticks, want, strict=True):
            assert all(np.array_equal(tick[name], other[name]) for name in other)
            assert (tick.tick == other.tick).all()
            assert (tick.valid == other.valid).all()
            assert tick.age.keys() == other.age.keys()


def test_frames_that_may_change_are_not_read_ahead() -> None:
    frames = floats()[:, 0]
    source = Source(frames)
    source.owned = False
    for t, _ in enumerate(small_plan().stream().run(source, policy="block")):
        assert source.read == t + 1


def test_outputs_of_device_frames_stay_on_the_device() -> None:
    frames = floats()[:, 0]
    plan = small_plan()
    want = run_on_host(plan, frames)
    source = Source([DlpackFrame(f) for f in frames])
    for tick, other in zip(plan.stream().run(source, policy="block"), want, strict=True):
        assert np.array_equal(tick["y"].numpy(), other["y"])


def test_a_gap_begins_anew_after_the_results_before_it() -> None:
    frames = floats()[:, 0]
    plan = small_plan()
    want = [*run_on_host(plan, frames[:3]), *run_on_host(plan, frames[3:])]
    ticks = plan.stream().run(Source(frames, gap_at=3), policy="block", on_gap="reset")
    for tick, other in zip(ticks, want, strict=True):
        assert np.array_equal(tick["y"], other["y"])


def test_results_come_before_the_failure_of_the_source() -> None:
    frames = floats()[:, 0]
    ticks = small_plan().stream().run(Source(frames, fails_at=2), policy="block")
    assert [next(ticks).tick.tolist() for _ in range(2)] == [[0], [1]]
    with pytest.raises(OSError, match="the cable"):
        next(ticks)


def test_a_bad_frame_is_refused_after_the_results_before_it() -> None:
    frames = [*floats()[:2, 0], np.full_like(floats()[0, 0], np.nan)]
    stream = small_plan().stream()
    ticks = stream.run(Source(frames), policy="block")
    assert [next(ticks).tick.tolist() for _ in range(2)] == [[0], [1]]
    with pytest.raises(pvnet.errors.InvalidArgumentError, match="NaN"):
        next(ticks)
    assert stream.ticks.tolist() == [2]
