"""From a model to a Plan."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from pvnet import _core
from pvnet.errors import InvalidArgumentError
from pvnet.graph import Graph
from pvnet.runtime.model import ExportsWeights, Model, Opened, Weights, open_model
from pvnet.runtime.node_times import node_times
from pvnet.runtime.plan import Plan
from pvnet.runtime.plan_options import Options, make_plan
from pvnet.runtime.tuning.result import EFFORTS
from pvnet.runtime.tuning.tune import tuned


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
    algorithm: str | dict[str, str] = "auto",
    memory: str = "fast",
    tune: Literal["off", "fast", "full"] = "off",
    ranges: Mapping[str, tuple[float, float]] | None = None,
) -> Plan:
    """Compiles a model into an immutable Plan that any number of Streams share.

    Args:
        source: a `pvnet.nn.Network`, a `pvnet.runtime.Model`, the path of a model file, or
            `(graph, weights)`.
        backend: "auto" (the fastest here), "cpu", "ref" (naive, the oracle) or "cuda".
        dtype: of what is stored, maps, rings and weights: "f32", "bf16" (half the memory; sums
            are f32, frames and outputs as ever: docs/low_precision.md) or "int8" (a quarter, with
            `ranges`). Backend "cuda" has "tf32" and "f16", but not "int8".
        lanes: CPU workers of one tick; None = as many as this network has work for, at most one per
            CPU that the process may use (its container's quota counted). The result does not
            depend on it, bit for bit.
        batch: rows, that is videos that run side by side, each with a clock of its own.
        isa: CPU instruction set to force ("avx512", "avx2", "neon", "scalar"); None = the best
            here, or the environment variable PVNET_CPU_ISA.
        pin: pin worker lanes to CPUs; a CPU takes one lane of the process, and what goes beyond is
            left to the system.
        fixed_lanes: True = lanes always share, for measurements of them. False = lanes take work
            from one that is late. Where other programs keep the CPUs so busy that sharing a tick
            takes longer, the calling thread makes it alone (see `Stream.lanes_used`).
        costs: measured microseconds per firing by node (see `measure_costs`), used to level the
            lanes; None = the cost model. "measure" = run some ticks on one lane first, and take
            what they took: for more than a few lanes, which the model's errors keep waiting.
        executor: backend "cuda" only, how the launches of a tick reach the device: "serial",
            "streams", "graph", "group", "wave" or "packed" (`EXECUTORS`, docs/cuda.md); "auto"
            measures them where the first Stream is made. The bits of results do not depend on it.
        algorithm: backend "cpu" only, of 3x3 convolutions of stride 1: "direct", or "winograd"
            (fewer multiplications, results that differ in the last bits: docs/speed.md). "auto"
            takes the quicker one of every layer by a fixed cost model: no run differs from another.
            A dict has those of single layers by node, as `Plan.ops` names them.
        memory: "small" forbids algorithms with larger weights than the direct one ("winograd").
        tune: "fast" = measure on this machine, in seconds, which algorithm is the quickest for
            every layer, and level the lanes by what they take. "full" = more exactly, and also how
            many lanes, where `lanes` is None. What was found stays in a file (docs/speed.md), so
            that later calls measure nothing and give the same bits.
        ranges: dtype "int8" only: lowest and highest value of nodes, after their activations
            (`pvnet.calibrate`). A node without one keeps its map in f32, and so do the convolutions
            that read it. Their `corrections` are added to biases. None = those that the model file
            keeps.

    Raises:
        GraphError: the graph cannot run. InvalidArgumentError: weights or options do not fit.
        UnsupportedError: the backend or dtype is not available here. FileError: a bad file.

    """
    model = open_model(source, "compile")
    for name, value, low in (("lanes", lanes, 1), ("batch", batch, 1)):
        if value is not None and (not isinstance(value, int) or value < low):
            raise InvalidArgumentError(
                f"[compile] {name} is out of range: got {value!r}, expected an integer of at least "
                f"{low}. Pass a count."
            )
    if not isinstance(algorithm, (str, Mapping)):
        raise InvalidArgumentError(
            f"[compile] algorithm is no choice: got {algorithm!r}, expected a name or a dict of "
            "names by node. Pass one of these."
        )
    options = Options(
        backend=backend,
        isa=isa or "",
        dtype=dtype,
        lanes=lanes or 0,
        batch=batch,
        pin=pin,
        fixed_lanes=fixed_lanes,
        executor=executor,
        algorithm=algorithm if isinstance(algorithm, str) else "auto",
        algorithms={} if isinstance(algorithm, str) else dict(algorithm),
        memory=memory,
        ranges=_ranges(model, dtype, ranges),
        corrections=_corrections(model, dtype, ranges),
    )
    if isinstance(costs, Mapping):
        options = replace(options, costs=dict(costs))
    elif costs == "measure" and tune == "off":
        options = replace(options, costs=_measured(model, options))
    elif costs not in ("measure", None):
        raise InvalidArgumentError(
            f"[compile] costs is no source of costs: got {costs!r}, expected 'measure', None or a "
            "dict of microseconds by node. Pass one of these."
        )
    if tune not in EFFORTS:
        raise InvalidArgumentError(
            f"[compile] there is no such tuning: got {tune!r}, expected "
            f"{', '.join(map(repr, EFFORTS))}. Take 'fast' for a few seconds of measuring."
        )
    if tune == "off":
        return make_plan(model, options)
    options, tuning = tuned(model, options, tune)
    plan = make_plan(model, options)
    plan.tuning = tuning and replace(tuning, lanes=plan.lanes)
    return plan


def _ranges(
    model: Opened, dtype: str, ranges: Mapping[str, tuple[float, float]] | None
) -> dict[str, tuple[float, float]]:
    """As floats; their meaning is the core's affair."""
    if ranges is None:
        return _core.stored_ranges(model.metadata) if dtype == "int8" else {}
    try:
        return {name: (float(low), float(high)) for name, (low, high) in ranges.items()}
    except (AttributeError, TypeError, ValueError):
        raise InvalidArgumentError(
            f"[compile] ranges are no ranges: got {ranges!r:.100}, expected a dict of (low, high) "
            "by node. Pass what pvnet.calibrate gives."
        ) from None


def _corrections(
    model: Opened, dtype: str, ranges: Mapping[str, tuple[float, float]] | None
) -> dict[str, list[float]]:
    """Those of the ranges, wherever these come from."""
    if dtype != "int8":
        return {}
    if ranges is None:
        return _core.stored_corrections(model.metadata)
    return dict(getattr(ranges, "corrections", {}))


def _measured(model: Opened, options: Options) -> dict[str, float]:
    """Times on one lane of the CPU; nothing where no lanes share a tick."""
    if options.backend not in ("auto", "cpu"):
        raise InvalidArgumentError(
            f"[compile] costs cannot be measured there: got costs='measure' and backend="
            f"{options.backend!r}, expected backend 'cpu'. Give costs as a dict, or leave them out."
        )
    if options.lanes == 1:
        return {}
    alone = make_plan(model, replace(options, lanes=1))
    return node_times(alone) if alone.backend == "cpu" else {}
