"""verify_stream_contract: what must equal what (docs/depth_parallel.md), in one test body that
every layer, random graph and model goes through on every backend.

The torch twin in clip mode is the second opinion on the runtime; the naive backend `ref` is the
second opinion on the fast one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

import pvnet
from pvnet.errors import GraphError, PvnetError

# Of backend "cuda", without the one that chooses among them.
EXECUTORS = pvnet.runtime.EXECUTORS[1:]


@dataclass
class Options:
    """What to run the contract on."""

    backends: tuple[str, ...] = ("ref", "cpu")
    lanes: tuple[int, ...] = (1, 2, 3)
    ticks: int = 12
    rtol: float = 2e-4  # f32 rounding through a few layers, relative to the largest output
    seed: int = 0
    isas: tuple[str | None, ...] = field(default=(None,))
    # Of backend "cuda", which runs here on the machine for tests.
    device_isas: tuple[str, ...] = ("shim",)
    executor: str = "auto"
    algorithm: str = "auto"  # of backend "cpu"
    # Of what is stored. But for "f32" the reference with this dtype is the second opinion.
    dtype: str = "f32"
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)  # of dtype "int8"


def random_network(graph: pvnet.Graph, seed: int) -> pvnet.nn.Network:
    """A network in eval mode whose batch norms have statistics of their own."""
    torch.manual_seed(seed)
    net = pvnet.nn.Network(graph).eval()
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if name.endswith("running_mean"):
                value.uniform_(-0.2, 0.2)
            elif name.endswith("running_var"):
                value.uniform_(0.5, 1.5)
            elif name.endswith(("bias", "norm.weight")):
                value.add_(torch.empty_like(value).uniform_(-0.1, 0.1))
    return net


def random_clip(graph: pvnet.Graph, batch: int, ticks: int, seed: int) -> dict[str, np.ndarray]:
    """Float frames [b, t, c, h, w] by input."""
    rng = np.random.default_rng(seed)
    inputs = [n for n in graph.nodes if n.op == "input"]
    return {
        n.name: rng.standard_normal((batch, ticks, *n.shape)).astype(np.float32) for n in inputs
    }


def run(plan: pvnet.Plan, clip: dict[str, np.ndarray], stream: pvnet.Stream | None = None):
    """Ticks through a clip; {output: [t][b, ...]} stacked on axis 0."""
    stream = stream or plan.stream()
    ticks = next(iter(clip.values())).shape[1]
    outs = [stream.tick({k: v[:, t] for k, v in clip.items()}) for t in range(ticks)]
    return {name: np.stack([o[name] for o in outs]) for name in plan.outputs}


def twin(net: pvnet.nn.Network, clip: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The torch twin in clip mode, as [t, b, ...]."""
    frames = {k: torch.from_numpy(v).transpose(1, 2) for k, v in clip.items()}
    with torch.no_grad():
        out = net(frames)
    return {k: v.movedim(2, 0).numpy() for k, v in out.items()}


def second_opinion(net: pvnet.nn.Network, clip: dict, o: Options) -> dict[str, np.ndarray]:
    """What the wired network must give, up to rounding."""
    if o.dtype == "f32":
        return twin(net, clip)
    return run(pvnet.compile(net, backend="ref", dtype=o.dtype, ranges=o.ranges), clip)


def equal(got: np.ndarray, want: np.ndarray) -> bool:
    """The same numbers; a NaN is one. `assert_finite` says where there may be any."""
    return np.array_equal(got, want, equal_nan=True)


def assert_finite(outputs: dict, graph: pvnet.Graph, what: str) -> None:
    """Only a quotient may not be finite: what is not there yet is 0."""
    if any(n.op == "div" for n in graph.nodes):
        return
    for name, y in outputs.items():
        assert np.isfinite(y).all(), f"{what}: {name} is not finite"


def assert_same(got: dict, want: dict, what: str) -> None:
    """The same bits."""
    for name in want:
        assert equal(got[name], want[name]), f"{what}: {name} differs"


def assert_close(got: dict, want: dict, rtol: float, what: str) -> None:
    """Equal up to `rtol` of the largest value."""
    for name in want:
        finite = np.isfinite(want[name])
        # A quotient of what is not there yet is not finite: it must be so everywhere.
        assert equal(got[name][~finite], want[name][~finite]), f"{what}: {name} is not finite"
        w, g = np.where(finite, want[name], 0), np.where(finite, got[name], 0)
        scale = max(1.0, float(np.abs(w).max()))
        error = float(np.abs(g - w).max()) / scale
        assert error <= rtol, f"{what}: {name} off by {error:.2e} of its scale"


def has_feedback(graph: pvnet.Graph) -> bool:
    return any(n.op == "feedback" for n in graph.nodes)


def cuts_of(graph: pvnet.Graph, wanted: list[int]) -> list[int]:
    """Those of the wanted numbers of stages that the graph has nodes for."""
    out = []
    for k in wanted:
        try:
            graph.wire("predictive", stages=k)
        except PvnetError:
            continue
        out.append(k)
    return out


def verify_stream_contract(
    graph: pvnet.Graph, cuts: list[int], options: Options | None = None
) -> None:
    """Every point of the contract that can be seen from outside, for every wiring and cut."""
    o = options or Options()
    net = random_network(graph, o.seed)
    clip = random_clip(graph, 1, o.ticks, o.seed + 1)
    for backend in o.backends:
        ways = {
            "executor": o.executor if backend == "cuda" else "auto",
            "algorithm": o.algorithm if backend == "cpu" else "auto",
            "dtype": o.dtype,
            "ranges": o.ranges,
        }
        isas = {"cpu": o.isas, "cuda": o.device_isas}.get(backend, (None,))
        for isa in isas:
            base = compile_wired(net, "sequential", 1, backend, isa=isa, **ways)
            sequential = run(base, clip)
            assert_finite(sequential, graph, f"{backend}: sequential")
            net.rewire("sequential", stages=1)
            expected = second_opinion(net, clip, o)
            assert_close(sequential, expected, o.rtol, f"{backend}: runtime = twin")
            for k in cuts:
                where = f"{backend}/{isa} K={k}"
                try:
                    plan = compile_wired(net, "pipelined", k, backend, isa=isa, **ways)
                except GraphError:
                    assert has_feedback(graph)  # a loop shorter than the pipeline: refused
                else:
                    piped = run(plan, clip)
                    if o.ticks >= k:
                        shifted = {n: y[: o.ticks - (k - 1)] for n, y in sequential.items()}
                        assert_same(
                            {n: y[k - 1 :] for n, y in piped.items()}, shifted, where + " pipelined"
                        )
                net.rewire("predictive", stages=k)
                plan = compile_wired(net, "predictive", k, backend, isa=isa, **ways)
                predictive = run(plan, clip)
                assert_finite(predictive, graph, where + " predictive")
                expected = second_opinion(net, clip, o)
                assert_close(predictive, expected, o.rtol, where + " predictive = twin")
                check_lanes(net, k, backend, isa, clip, predictive, o, ways)
                check_state(plan, clip, predictive)
                check_rows(net, k, backend, isa, o, ways)
                check_clocks(plan, clip)
                check_causality(plan, clip, predictive)


def compile_wired(
    net, wiring: str, k: int, backend: str, *, isa=None, lanes=1, batch=1, **ways: object
) -> pvnet.Plan:
    net.rewire(wiring, stages=k)
    # Costs so high that the scheduler shares even these small nodes between lanes.
    costs = {n.name: 1000.0 for n in net.graph.nodes}
    return pvnet.compile(
        net,
        backend=backend,
        isa=isa,
        lanes=lanes,
        batch=batch,
        pin=False,
        costs=costs,
        **ways,
    )


def check_lanes(net, k, backend, isa, clip, want, o: Options, ways: dict) -> None:
    """The result does not depend on the number of lanes, nor on how the frames were chunked, nor
    on how lanes share a tick, or on which ones the calling thread makes alone.
    """
    for lanes in o.lanes[1:]:
        plan = compile_wired(net, "predictive", k, backend, isa=isa, lanes=lanes, **ways)
        assert_same(run(plan, clip), want, f"{backend} K={k} lanes={lanes}")
    stream = plan.stream()
    at, parts = 0, []
    for number, chunk in enumerate((1, 2, 5, o.ticks)):
        stream._core.make_ticks(("flexible", "alone", "shared", "flexible")[number])
        part = {n: v[:, at : at + chunk] for n, v in clip.items()}
        if next(iter(part.values())).shape[1]:
            parts.append(run(plan, part, stream))
        at += chunk
    assert_same({n: np.concatenate([p[n] for p in parts]) for n in want}, want, "chunks")


def check_state(plan: pvnet.Plan, clip, want) -> None:
    """Snapshot, restore, go on = never stopped; garbage never reaches an output; reset = new."""
    ticks = next(iter(clip.values())).shape[1]
    half = ticks // 2
    stream = plan.stream()
    run(plan, {n: v[:, :half] for n, v in clip.items()}, stream)
    snapshot = stream.snapshot()
    run(plan, {n: v[:, ::-1] for n, v in clip.items()}, stream)
    stream.restore(snapshot)
    rest = run(plan, {n: v[:, half:] for n, v in clip.items()}, stream)
    assert_same(rest, {n: y[half:] for n, y in want.items()}, "snapshot")
    stream.reset()
    outs = []
    for t in range(ticks):
        stream._core.poison_unwritten()
        outs.append(stream.tick({n: v[:, t] for n, v in clip.items()}))
    assert_same({n: np.stack([x[n] for x in outs]) for n in want}, want, "reset and garbage")


def check_rows(net, k, backend, isa, o: Options, ways: dict) -> None:
    """Several videos as rows = each alone; freezing or resetting one leaves the others alone."""
    batch = 3
    clip = random_clip(net.graph, batch, o.ticks, o.seed + 2)
    single = compile_wired(net, "predictive", k, backend, isa=isa, **ways)
    alone = [run(single, {n: v[r : r + 1] for n, v in clip.items()}) for r in range(batch)]
    plan = compile_wired(
        net, "predictive", k, backend, isa=isa, lanes=2, batch=batch, **ways
    )
    stream = plan.stream()
    made = [0] * batch
    for t in range(o.ticks):
        rows = [True, t % 3 != 1, t % 2 == 0]
        if t == 7:
            stream.reset([False, False, True])
            made[2] = 0
        frames = {
            n: np.stack([v[r, made[r]] for r in range(batch)]) for n, v in clip.items()
        }
        out = stream.tick(frames, rows=rows)
        made = [m + r for m, r in zip(made, rows, strict=True)]
        assert out.tick.tolist() == [m - 1 for m in made]
        for r in range(batch):
            for n in plan.outputs:
                got = out[n][r]
                want = alone[r][n][made[r] - 1, 0] if made[r] else np.zeros_like(got)
                assert equal(got, want), f"row {r} of {n} at tick {t}"


def check_clocks(plan: pvnet.Plan, clip) -> None:
    """A node that is not due does no work; an output is held between the firings of its node."""
    stream = plan.stream()
    stream.trace_start(1_000_000)
    outs = run(plan, clip, stream)
    events = stream.trace_stop()
    ticks = next(iter(clip.values())).shape[1]
    nodes = {n.name: n for n in plan.graph.nodes}
    for index, op in enumerate(plan.ops):
        clock = nodes[op["node"]].clock
        ran = sorted({int(t) for t in events["tick"][events["op"] == index]})
        assert ran == list(range(clock.origin, ticks, clock.period)), op["node"]
    for o in plan.graph.outputs:
        clock = nodes[o.node].clock
        for t in range(1, ticks):
            due = t >= clock.origin and (t - clock.origin) % clock.period == 0
            if not due:
                assert np.array_equal(outs[o.name][t], outs[o.name][t - 1])


def check_causality(plan: pvnet.Plan, clip, want) -> None:
    """Changing frame t changes no output before t."""
    ticks = next(iter(clip.values())).shape[1]
    at = ticks // 2
    changed = {n: v.copy() for n, v in clip.items()}
    for v in changed.values():
        v[:, at:] += 1.0
    got = run(plan, changed)
    assert_same({n: y[:at] for n, y in got.items()}, {n: y[:at] for n, y in want.items()}, "causal")
