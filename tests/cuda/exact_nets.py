"""Networks whose arithmetic is exact: every device must give the same bits, in any order of sums.

Frames and weights are small integers, and so are all sums. A map of 16-bit elements rounds an exact
number, which has one right answer. So bits of the stand-in can be held against those of a device,
whose tensor cores add in an order of their own.
"""

from __future__ import annotations

import numpy as np

import pvnet

TICKS = 8
DTYPES = ("f32", "tf32", "f16", "bf16")
_ONES = 0.25  # share of weights that are 1 or -1; the others are 0


def windows() -> pvnet.Graph:
    """A stem of 3 channels, strides, padding, dilation, taps, groups, depthwise."""
    g = pvnet.Graph()
    x = g.input("frame", channels=3, height=18, width=15)
    x = g.conv3d(x, 12, kernel=(2, 7, 7), stride=(1, 2, 2), act="relu", name="stem")
    x = g.conv3d(x, 12, kernel=(1, 3, 3), groups=12, name="depthwise")
    y = g.conv3d(x, 20, kernel=(2, 3, 1), dilation=(2, 1, 1), groups=2, act="relu", name="groups")
    x = g.conv3d(g.concat([x, y]), 9, kernel=(3, 3, 3), dilation=(1, 2, 2), name="last")
    g.output(x, name="y")
    return g


def pools() -> pvnet.Graph:
    """Pools, clocks, a delay, both ways of upsampling, sums and products, a head."""
    g = pvnet.Graph()
    x = g.input("frame", channels=4, height=16, width=16)
    x = g.conv3d(x, 16, kernel=(1, 3, 3), act="relu", name="first")
    low = g.max_pool(x, kernel=(2, 3, 3), stride=(2, 2, 2), name="slow")
    low = g.conv3d(low, 16, kernel=(2, 1, 1), name="deep")
    up = g.upsample(low, scale=2, name="up")
    smooth = g.avg_pool(x, kernel=(1, 2, 2), stride=(1, 2, 2), padding=(0, 0), name="mean")
    wide = g.upsample(smooth, size=(16, 16), mode="bilinear", name="wide")
    x = g.add([up, g.delay(x, 2), wide], act="relu", name="sum")
    g.output(g.conv3d(x, 5, kernel=1, name="map"), name="map")
    g.output(g.linear(g.global_pool(x, window=2), 7, name="head"), name="head")
    return g


def chain() -> pvnet.Graph:
    """Channels beyond a tile's, and sums long enough to be split."""
    g = pvnet.Graph()
    x = g.input("frame", channels=3, height=12, width=12)
    x = g.conv3d(x, 96, kernel=(1, 3, 3), act="relu", name="widen")
    x = g.conv3d(x, 72, kernel=(3, 3, 3), act="relu", name="long")
    g.output(g.conv3d(x, 8, kernel=1, name="last"), name="y")
    return g


# name -> (graph, wiring, stages)
CASES = {
    "windows": (windows, "sequential", 1),
    "windows by layers": (windows, "pipelined", "layers"),
    "pools": (pools, "predictive", 3),
    "chain": (chain, "pipelined", 2),
}


def exact_weights(graph: pvnet.Graph) -> dict[str, np.ndarray]:
    """-1, 0 and 1 by a seed; biases are small integers."""
    rng = np.random.default_rng(7)
    weights = {}
    for name, shape in graph.expected_weights():
        if name.endswith("bias"):
            value = rng.integers(-2, 3, shape)
        else:
            value = rng.choice([-1, 0, 1], shape, p=[_ONES / 2, 1 - _ONES, _ONES / 2])
        weights[name] = value.astype(np.float32)
    return weights


def frames(graph: pvnet.Graph) -> np.ndarray:
    """float32 [ticks, c, h, w], integers from -3 to 3."""
    shape = next(n.shape for n in graph.nodes if n.op == "input")
    return np.random.default_rng(3).integers(-3, 4, (TICKS, *shape)).astype(np.float32)


def play(case: str, **options: object) -> dict[str, np.ndarray]:
    """The outputs of a case, float32 [ticks, c, h, w] by name."""
    make, wiring, stages = CASES[case]
    graph = make().wire(wiring, stages=stages)
    stream = pvnet.compile((graph, exact_weights(graph)), **options).stream()
    ticks = [stream.tick(frame).outputs for frame in frames(graph)]
    return {name: np.stack([t[name][0] for t in ticks]) for name in ticks[0]}
