"""What a tick costs besides its due work."""

from __future__ import annotations

import time
from statistics import median

import numpy as np

import pvnet


def chain(strides):
    """A stream through tiny convolutions with these temporal strides."""
    graph = pvnet.Graph()
    x = graph.input("frame", channels=1, height=2, width=2)
    for i, stride in enumerate(strides):
        x = graph.conv3d(x, 1, kernel=(1, 1, 1), stride=(stride, 1, 1), name=f"c{i}")
    graph.output(x, name="y")
    weights = {n: np.ones(s, np.float32) for n, s in graph.expected_weights()}
    return pvnet.compile((graph, weights), lanes=1).stream()


def test_a_long_hyper_period_is_not_scanned_in_every_tick():
    """The same network, more often due, costs no less than with a hyper-period of 4,096."""
    frame = np.ones((1, 2, 2), np.float32)
    streams = {"often": chain([2] + [1] * 11), "seldom": chain([2] * 12)}
    assert streams["seldom"].plan.hyper_period == 4096
    took = {name: [] for name in streams}
    for _ in range(2000):
        for name, stream in streams.items():
            begin = time.perf_counter_ns()
            stream._core.tick([frame], None)
            took[name].append(time.perf_counter_ns() - begin)
    # A scan takes several times as long as either tick.
    assert median(took["seldom"]) < 1.5 * median(took["often"]) + 2_000, {
        name: median(times) for name, times in took.items()
    }
