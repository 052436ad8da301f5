"""Exceptions from signal handlers around a tick: no frame counts twice, no result is lost."""

from __future__ import annotations

import signal

import numpy as np
import pytest

import pvnet


class Alarm(Exception):
    pass


def test_a_frame_counts_once_whenever_a_signal_handler_raises():
    graph = pvnet.Graph()
    x = graph.input("frame", channels=1, height=8, width=8)
    graph.output(graph.conv3d(x, 8, kernel=(2, 3, 3), name="a"), name="y")
    rng = np.random.default_rng(0)
    weights = {n: rng.standard_normal(s) for n, s in graph.expected_weights()}
    plan = pvnet.compile((graph, weights))
    clip = rng.random((400, 1, 8, 8), dtype=np.float32)
    expected = [out["y"] for out in map(plan.stream().tick, clip)]

    stream = plan.stream()
    results = {}  # by tick
    interrupted = {"before": 0, "after": 0}
    armed = False

    def ring(number, frame):
        nonlocal armed
        if armed:
            armed = False
            raise Alarm

    def attempt():
        nonlocal armed
        made = int(stream.ticks[0])
        if made and made - 1 not in results:
            results[made - 1] = stream.outputs()["y"]
        if made == len(clip):
            return
        armed = True
        results[made] = stream.tick(clip[made])["y"]
        armed = False

    old = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.00017)
        while len(results) < len(clip):
            made = int(stream.ticks[0])
            try:
                attempt()
            except Alarm:
                interrupted["after" if int(stream.ticks[0]) > made else "before"] += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert int(stream.ticks[0]) == len(clip)
    assert sum(interrupted.values()) > 0, "no signal fell into a tick"
    for t, y in enumerate(expected):
        np.testing.assert_array_equal(results[t], y)


def test_an_exception_after_the_tick_carries_a_note(monkeypatch):
    graph = pvnet.Graph()
    x = graph.input("frame", channels=1, height=8, width=8)
    graph.output(graph.act(x, "relu"), name="y")
    stream = pvnet.compile((graph, {})).stream()
    core = stream._core

    class Interrupted:
        """The core, with a handler that raises as soon as the tick is made."""

        def __getattr__(self, name):
            return getattr(core, name)

        def tick(self, *args):
            core.tick(*args)
            raise KeyboardInterrupt

    stream._core = Interrupted()
    try:
        stream.tick(np.ones((1, 8, 8), np.float32))
    except KeyboardInterrupt as error:
        (note,) = error.__notes__
        assert "the tick was made" in note
    else:
        raise AssertionError
    stream._core = core
    assert stream.ticks.tolist() == [1]
    assert stream.outputs()["y"].max() == 1
    with pytest.raises(pvnet.errors.InvalidArgumentError) as refused:
        stream.tick(np.ones((2, 8, 8), np.float32))
    assert not getattr(refused.value, "__notes__", [])
