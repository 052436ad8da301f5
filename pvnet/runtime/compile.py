"""From a model to a Plan."""

from __future__ import annotations

import os
from typing import Literal

from pvnet import _core
from pvnet.errors import InvalidArgumentError
from pvnet.graph import Graph
from pvnet.runtime.model import ExportsWeights, Model, Weights, to_model
from pvnet.runtime.node_times import node_times
from pvnet.runtime.plan import Plan


def compile(
    source: Model | ExportsWeights | str | os.PathLike[str] | bytes | tuple[Graph, Weights],
    *,
    backend: str = "auto",
    dtype: str = "f32",
    lanes: int | None = None,
    batch: int = 1,
    isa: str | None = None,
    pin: bool = True,
    fixed_lanes: bool = False,
    costs: dict[str, float] | Literal["measure"] | None = None,
    executor: str = "auto",
    algorithm: str = "auto",
    memory: str = "fast",
) -> Plan:
    """Compiles a model into an immutable Plan that any number of Streams share.

    Args:
        source: a `pvnet.nn.Network`, a `pvnet.runtime.Model`, the path of a model file, or
            `(graph, weights)`.
        backend: "auto" (the fastest here), "cpu", "ref" (naive, the oracle) or "cuda".
        dtype: of what is stored, maps, rings and weights: "f32", or "bf16" (half the memory; sums
            are f32, frames and outputs as ever: docs/low_precision.md). Backend "cuda" has "tf32"
            and "f16", too.
        lanes: CPU workers of one tick; None = as many as this network has work for, at most one per
            CPU that the process may use (its container's quota counted). The result does not
            depend on it, bit for bit.
        batch: rows, that is videos that run side by side, each with a clock of its own.
        isa: CPU instruction set to force ("avx512", "avx2", "neon", "scalar"); None = the best
            here, or the environment variable PVNET_CPU_ISA.
        pin: pin worker lanes to CPUs; a CPU takes one lane of the process, and what goes beyond is
            left to the system.
        fixed_lanes: True = lanes always share, for measurements of them. False = the calling thread
            makes ticks alone (see `Stream.lanes_used`) while other programs keep the CPUs so busy
            that lanes wait for each other longer than sharing a tick saves.
        costs: measured microseconds per firing by node (see `measure_costs`), used to level the
            lanes; None = the cost model. "measure" = run some ticks on one lane first, and take
            what they took: for more than a few lanes, which the model's errors keep waiting.
        executor: backend "cuda" only, how the launches of a tick reach the device: "serial",
            "streams", "graph", "group", "wave" or "packed" (`EXECUTORS`, docs/cuda.md); "auto"
            measures them where the first Stream is made. The bits of results do not depend on it.
        algorithm: backend "cpu" only, of 3x3 convolutions of stride 1: "direct", or "winograd"
            (fewer multiplications, results that differ in the last bits: docs/speed.md). "auto"
            takes the quicker one of every layer by a fixed cost model: no run differs from another.
        memory: "small" forbids algorithms with larger weights than the direct one ("winograd").

    Raises:
        GraphError: the graph cannot run. InvalidArgumentError: weights or options do not fit.
        UnsupportedError: the backend or dtype is not available here. FileError: a bad file.

    """
    model = to_model(source, "compile")
    for name, value, low in (("lanes", lanes, 1), ("batch", batch, 1)):
        if value is not None and (not isinstance(value, int) or value < low):
            raise InvalidArgumentError(
                f"[compile] {name} is out of range: got {value!r}, expected an integer of at least "
                f"{low}. Pass a count."
            )
    if costs == "measure":
        costs = _measured(model, backend, dtype, lanes, isa)
    elif isinstance(costs, str):
        raise InvalidArgumentError(
            f"[compile] costs is no source of costs: got {costs!r}, expected 'measure', None or a "
            "dict of microseconds by node. Pass one of these."
        )
    core = _core.Plan.compile(
        model.graph.core,
        model.weights,
        backend=backend,
        isa=isa or "",
        dtype=dtype,
        lanes=lanes or 0,
        batch=batch,
        pin=pin,
        fixed_lanes=fixed_lanes,
        costs=costs or {},
        executor=executor,
        algorithm=algorithm,
        memory=memory,
    )
    return Plan(core, model.graph, model.metadata)


def _measured(
    model: Model, backend: str, dtype: str, lanes: int | None, isa: str | None
) -> dict[str, float] | None:
    """Times on one lane of the CPU; None where no lanes share a tick."""
    if backend not in ("auto", "cpu"):
        raise InvalidArgumentError(
            f"[compile] costs cannot be measured there: got costs='measure' and backend="
            f"{backend!r}, expected backend 'cpu'. Give costs as a dict, or leave them out."
        )
    if lanes == 1:
        return None
    alone = compile(model, backend=backend, dtype=dtype, lanes=1, isa=isa)
    return node_times(alone) if alone.backend == "cpu" else None
