"""Microseconds of single layers on one lane: depthwise and 1x1 convolutions of MobileNetV2.

    python bench/layers.py [--only depthwise] [--rounds 9]

Every output is compared with the reference backend first. A round goes over all layers once; a
layer's time is its fastest round, and the FMA peak of one lane stands above.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

import pvnet
from pvnet.models.random_weights import random_weights
from pvnet.report import table
from pvnet.runtime.machine import peak_gflops

# Kind, input channels, output channels, side of the map, window, stride.
LAYERS = [
    ("depthwise", 32, 32, 112, 3, 1),
    ("depthwise", 96, 96, 112, 3, 2),
    ("depthwise", 144, 144, 56, 3, 1),
    ("depthwise", 144, 144, 56, 3, 2),
    ("depthwise", 192, 192, 28, 3, 1),
    ("depthwise", 384, 384, 14, 3, 1),
    ("depthwise", 576, 576, 14, 3, 2),
    ("depthwise", 960, 960, 7, 3, 1),
    ("depthwise", 240, 240, 28, 5, 1),
    ("1x1", 32, 16, 112, 1, 1),
    ("1x1", 16, 96, 112, 1, 1),
    ("1x1", 24, 144, 56, 1, 1),
    ("1x1", 144, 24, 56, 1, 1),
    ("1x1", 32, 192, 28, 1, 1),
    ("1x1", 64, 384, 14, 1, 1),
    ("1x1", 160, 960, 7, 1, 1),
    ("1x1", 256, 64, 56, 1, 1),
]
TICKS = 5


class Layer:
    """One convolution, compiled."""

    def __init__(self, kind: str, inputs: int, outputs: int, side: int, k: int, stride: int):
        graph = pvnet.Graph()
        x = graph.input("x", channels=inputs, height=side, width=side)
        # A copy of the frame in the layout of maps.
        x = graph.act(x, "relu", name="map")
        x = graph.conv3d(
            x,
            outputs,
            kernel=(1, k, k),
            stride=(1, stride, stride),
            groups=inputs if kind == "depthwise" else 1,
            act="relu6",
            name="layer",
        )
        graph.output(x, name="y")
        model = (graph, random_weights(graph, seed=0))
        self.words = f"{kind} {inputs} -> {outputs}, {side} px, {k}x{k} / {stride}"
        self.macs = sum(node.macs for node in graph.nodes)
        self.frame = np.random.default_rng(0).standard_normal((inputs, side, side), np.float32)
        self.plan = pvnet.compile(model, lanes=1)
        expected = pvnet.compile(model, backend="ref").stream().tick(self.frame)["y"]
        self.stream = self.plan.stream()
        got = self.stream.tick(self.frame)["y"]
        if not np.allclose(got, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max()):
            sys.exit(f"{self.words}: not what the reference computes")
        self.op = next(i for i, op in enumerate(self.plan.ops) if op["node"] == "layer")

    def microseconds(self) -> float:
        """Of the fastest of some ticks."""
        self.stream.trace_start(TICKS * 2000)
        for _ in range(TICKS):
            self.stream.tick(self.frame)
        events = self.stream.trace_stop()
        mine = events[events["op"] == self.op]
        spent = mine["end_ns"] - mine["begin_ns"]
        return min(spent[mine["tick"] == t].sum() for t in np.unique(mine["tick"])) / 1e3


def main() -> None:
    """All layers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("depthwise", "1x1"))
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    layers = [Layer(*one) for one in LAYERS if args.only in (None, one[0])]
    rounds = [[layer.microseconds() for layer in layers] for _ in range(args.rounds)]
    best = np.min(rounds, axis=0)
    peak = peak_gflops()["gflops"]
    print(f"FMA peak of one lane: {peak:.0f} GFLOP/s; isa {layers[0].plan.isa}")
    rows = [
        (layer.words, f"{us:.1f}", f"{rate:.1f}", f"{100 * rate / peak:.0f}")
        for layer, us in zip(layers, best)
        for rate in [2e-3 * layer.macs / us]
    ]
    print(table(("layer", "us", "GFLOP/s", "% of peak"), rows))
    print(f"all: {best.sum():.0f} us")


if __name__ == "__main__":
    main()
