"""pvnet in the same form as its peers; by pvnet's own Python."""

from __future__ import annotations

import json
import os

import numpy as np
from numpy.typing import NDArray

import pvnet
from peer.engines import Engine, Frame
from peer.files import Prepared, precision, prepared

OPTIONS = "PEERS_COMPILE"  # the variable with further arguments of `pvnet.compile`, as JSON


class Own(Engine):
    """Frame by frame in sequential wiring, as `pvnet.compile` makes it by itself."""

    def __init__(self, net: Prepared, threads: int) -> None:
        self.net, self.threads = net, threads
        options = {"dtype": precision(), **json.loads(os.environ.get(OPTIONS) or "{}")}
        self.plan = pvnet.compile(self.model(), lanes=threads, **options)
        self.reset()

    def model(self) -> pvnet.runtime.Model:
        """Graph and weights, and for int8 the ranges."""
        kind = "_int8" if precision() == "int8" else ""
        return pvnet.load(self.net.folder / f"model{kind}.safetensors")

    def reset(self) -> None:
        self.stream = self.plan.stream()

    def tick(self, frame: Frame) -> list[NDArray[np.float32]]:
        found = self.stream.tick(frame)
        return [np.asarray(found[name]) for name, _ in self.net.outputs]


class OwnParallel(Own):
    """Fully parallel, predictive: its outputs are late, so they are compared on still video."""

    checks = "still"

    def model(self) -> pvnet.runtime.Model:
        graph = pvnet.Graph.from_json(self.net.parallel)
        model = super().model()
        return pvnet.runtime.Model(graph, model.weights, model.metadata)


class OwnPipelined(Own):
    """Exact, a stage a lane: as with a stream a thread, a frame's outputs come with a later one."""

    checks = "still"

    def model(self) -> pvnet.runtime.Model:
        return super().model().rewire("pipelined", stages=self.threads)


class OwnSingle(Own):
    """The single-rate network beside one with clocks."""

    def __init__(self, net: Prepared, threads: int) -> None:
        super().__init__(prepared(net.folder.with_name(net.beside)), threads)
