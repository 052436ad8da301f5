"""The networks that the steps measure, and on what they run: a device, or what stands in for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import pvnet
from pvnet import models
from pvnet.models.random_weights import random_weights

EXECUTORS = pvnet.runtime.EXECUTORS[1:]  # without "auto"
# Far apart enough that a wrong slot or weight shows, near enough for chains of rounded layers.
NEAR = {"f32": 2e-4, "tf32": 1e-2, "f16": 2e-2, "bf16": 6e-2}
FRAMES = 8


@dataclass(frozen=True)
class Target:
    """Where plans are compiled for.

    Attributes:
        backend, isa: of `pvnet.compile`.
        executors: that the backend has.
        dtypes: likewise, the quickest first.
        real: a device does the work: times are those of its events.
        size, width: of the networks.
    """

    backend: str
    isa: str | None
    executors: tuple[str, ...]
    dtypes: tuple[str, ...]
    real: bool
    size: int = 224
    width: float = 1.0

    def options(self, dtype: str, executor: str | None = None) -> dict[str, Any]:
        """Of `pvnet.compile`."""
        if not self.executors:
            return {"backend": self.backend, "isa": self.isa, "lanes": 1}
        return {
            "backend": self.backend, "isa": self.isa, "dtype": dtype,
            "executor": executor or "auto",
        }  # fmt: skip


def target(dry: bool) -> Target:
    """The device; in the dry run the shim, or the CPU where the build has no shim."""
    if not dry:
        return Target("cuda", None, EXECUTORS, ("bf16", "f32"), real=True)
    small = {"real": False, "size": 32, "width": 0.125}
    if hasattr(pvnet._core, "shim"):  # a build for tests
        return Target("cuda", "shim", EXECUTORS, ("bf16", "f32"), **small)
    return Target("cpu", None, (), ("f32",), **small)


def describe(where: Target) -> str:
    """A note for the record of a dry run."""
    if where.real:
        return "times between events of the device, ticks back to back"
    return f"dry: {where.width} wide, {where.size} pixels, on {where.backend} {where.isa or ''}"


@dataclass(frozen=True)
class Net:
    """A network with weights, wired.

    Attributes:
        label: "par_inception 10", "par_densenet layers".
        shift: ticks that it is later than the sequential one.
    """

    label: str
    graph: pvnet.Graph
    weights: dict[str, np.ndarray]

    @property
    def shift(self) -> int:
        return len(self.graph.stages) - 1 if self.graph.wiring == "pipelined" else 0

    @property
    def gmac(self) -> float:
        """Of a tick."""
        return sum(n.macs / n.clock.period for n in self.graph.nodes) / 1e9

    def compile(self, where: Target, dtype: str, executor: str | None = None, **more: Any) -> Any:
        options = {**where.options(dtype, executor), **more}
        return pvnet.compile((self.graph, self.weights), **options)


def net(
    name: str, stages: int | str, where: Target, *, wiring: str = "pipelined", **more: Any
) -> Net:
    """A model with random weights; 1 stage is the sequential wiring."""
    graph = models.build(name, size=where.size, width=where.width, **more)
    if stages == "layers":
        graph = graph.wire(wiring, stages="layers")
    elif stages != 1:
        graph = models.build(
            name, size=where.size, width=where.width, stages=stages, wiring=wiring, **more
        )
    return Net(f"{name} {stages}", graph, random_weights(graph, seed=0))


def frames_of(where: Target, batch: int = 1) -> np.ndarray:
    """Seeded uint8 frames [8, h, w, 3], or [8, batch, h, w, 3]."""
    rng = np.random.default_rng(0)
    shape = (FRAMES, *((batch,) * (batch > 1)), where.size, where.size, 3)
    return rng.integers(0, 256, shape, dtype=np.uint8)


def play(plan: Any, frames: np.ndarray, ticks: int) -> list[np.ndarray]:
    """The first output of every tick from a fresh Stream on."""
    stream, name = plan.stream(), next(iter(plan.outputs))
    return [np.array(stream.tick(frames[t % len(frames)])[name], np.float32) for t in range(ticks)]


def far(got: np.ndarray, want: np.ndarray) -> float:
    """The norm of the difference, relative to that of what it should be; NaN never passes."""
    size = float(np.linalg.norm(want)) or 1.0
    return float(np.linalg.norm(np.asarray(got, np.float64) - np.asarray(want, np.float64))) / size
