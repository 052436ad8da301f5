"""Small random graphs for property tests: every op, kernels, strides, dilations, clocks, delays,
skips, feedback; any number of stages.

    graph = random_graph(7)                       # the same one for the same seed
    @given(graphs(feedback=True))                 # hypothesis: shrinks
    graph.wire("predictive", stages=random_stages(graph, 3, seed=7))
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

import pvnet


@dataclass
class _Value:
    name: str
    c: int
    h: int
    w: int
    period: int = 1


class _Builder:
    """Grows a list of node specs; every one fits by construction."""

    def __init__(self, rng: random.Random, *, clocks: bool, delays: bool, norm: bool) -> None:
        self.rng, self.clocks, self.delays, self.norm = rng, clocks, delays, norm
        self.specs: list[dict[str, Any]] = []
        self.values: list[_Value] = []

    def add(self, op: str, inputs: list[str], attrs: dict[str, Any], value: _Value) -> _Value:
        self.specs.append(
            {"name": value.name, "op": op, "inputs": inputs, "stage": 0, "attrs": attrs}
        )
        self.values.append(value)
        return value

    def name(self, op: str) -> str:
        # A slash and a dash now and then: both are allowed in names.
        return self.rng.choice(["{op}_{i}", "block/{op}-{i}"]).format(op=op, i=len(self.specs))

    def source(self) -> _Value:
        recent = self.values[-3:]
        return self.rng.choice(recent if self.rng.random() < 0.7 else self.values)

    def fitting(self, first: _Value, fits: Callable[[_Value], bool]) -> list[_Value]:
        """1 or 2 more values that can meet `first` in one node: fitting maps, dividing periods."""
        chosen = [first]
        pool = [v for v in self.values if fits(v)]
        for _ in range(self.rng.randint(1, 2)):
            ok = [v for v in pool if all(_divide(v.period, c.period) for c in chosen)]
            if ok:
                chosen.append(self.rng.choice(ok))
        self.rng.shuffle(chosen)
        return chosen

    def window(self, x: _Value) -> tuple[dict[str, Any], int, int, int]:
        """kernel, stride, padding that fit x; and the resulting height, width and period."""
        rng = self.rng
        kh, kw = (rng.choice([k for k in (1, 2, 3) if k <= n]) for n in (x.h, x.w))
        kt = rng.randint(1, 3)
        st_ = rng.choice([1, 1, 2, 3]) if self.clocks and x.period < 4 else 1
        sh, sw = rng.choice([1, 1, 2]), rng.choice([1, 1, 2])
        ph, pw = rng.randint(0, kh // 2), rng.randint(0, kw // 2)
        eh, ew = ph, pw
        if rng.random() < 0.3:
            eh, ew = rng.randint(0, kh - 1), rng.randint(0, kw - 1)
        attrs = {"kernel": [kt, kh, kw], "stride": [st_, sh, sw], "padding": [ph, pw]}
        if (eh, ew) != (ph, pw):
            attrs["padding_end"] = [eh, ew]
        h, w = (x.h + ph + eh - kh) // sh + 1, (x.w + pw + ew - kw) // sw + 1
        if x.period * st_ > 1 and st_ > 1 and rng.random() < 0.3:
            attrs["phase"] = rng.randint(1, x.period * st_ - 1)  # type: ignore[assignment]
        return attrs, h, w, x.period * st_

    def conv3d(self) -> None:
        x, rng = self.source(), self.rng
        attrs, h, w, period = self.window(x)
        groups = rng.choice([g for g in (1, 2, x.c) if x.c % g == 0])
        out = groups * rng.randint(1, max(1, 4 // groups))
        attrs |= {"out": out, "groups": groups, "bias": rng.random() < 0.7}
        attrs |= random_act(rng)
        attrs["norm"] = self.norm and rng.random() < 0.5
        attrs["dilation"] = [rng.randint(1, 2), 1, 1]
        name = self.name("conv3d")
        self.add("conv3d", [x.name], attrs, _Value(name, out, h, w, period))

    def pool(self) -> None:
        x = self.source()
        attrs, h, w, period = self.window(x)
        op = self.rng.choice(["max_pool", "avg_pool"])
        if op == "avg_pool" and self.rng.random() < 0.5:
            attrs["count_include_pad"] = False
        self.add(op, [x.name], attrs, _Value(self.name(op), x.c, h, w, period))

    def join(self) -> None:
        x, rng = self.source(), self.rng
        op = rng.choice(["concat", "concat", "add", "mul"])
        if op == "concat":
            xs = self.fitting(x, lambda v: (v.h, v.w) == (x.h, x.w) and v.c <= 6)
            channels = sum(v.c for v in xs)
        else:
            xs = self.fitting(x, lambda v: (v.c, v.h, v.w) == (x.c, x.h, x.w))
            channels = x.c
        attrs = {} if op == "concat" else random_act(rng)
        period = min(v.period for v in xs)
        value = _Value(self.name(op), channels, x.h, x.w, period)
        self.add(op, [v.name for v in xs], attrs, value)

    def pointwise(self) -> None:
        x, rng = self.source(), self.rng
        op = rng.choice(["act", "upsample", "normalize", "delay"])
        if op == "delay" and not self.delays:
            op = "act"
        h, w = x.h, x.w
        if op == "act":
            attrs: dict[str, Any] = rng.choice([{"act": "softmax"}, random_act(rng, none=False)])
        elif op == "delay":
            attrs = {"ticks": rng.randint(1, 3)}
        elif op == "normalize":
            attrs = {"mean": [0.25] * x.c, "std": [0.5] * x.c}
        else:
            h, w = min(8, x.h * 2), min(8, x.w + rng.randint(0, 2))
            attrs = {"size": [h, w], "mode": rng.choice(["nearest", "bilinear"])}
        self.add(op, [x.name], attrs, _Value(self.name(op), x.c, h, w, x.period))

    def gate(self) -> None:
        """Squeeze and excite: global pool, linear, multiply back."""
        x, rng = self.source(), self.rng
        pooled = _Value(self.name("global_pool"), x.c, 1, 1, x.period)
        self.add("global_pool", [x.name], {"window": rng.randint(1, 3)}, pooled)
        gate = _Value(self.name("linear"), x.c, 1, 1, x.period)
        attrs = {"out": x.c, "act": "sigmoid", "bias": rng.random() < 0.5}
        self.add("linear", [pooled.name], attrs, gate)
        product = _Value(self.name("mul"), x.c, x.h, x.w, x.period)
        self.add("mul", [x.name, gate.name], {}, product)


# Activations that any operation may end with, some with their numbers.
ACTS: list[dict[str, Any]] = [
    {"act": "relu"},
    {"act": "silu"},
    {"act": "sigmoid"},
    {"act": "clamp"},
    {"act": "clamp", "act_low": -0.5, "act_high": None},
]


def random_act(rng: random.Random, *, none: bool = True) -> dict[str, Any]:
    """The attributes of one of `ACTS`, or of none."""
    return dict(rng.choice([{"act": "none"}, *ACTS] if none else ACTS))


def _divide(p: int, q: int) -> bool:
    return p % q == 0 or q % p == 0


def random_graph(
    seed: int | random.Random,
    *,
    nodes: int = 7,
    clocks: bool = True,
    delays: bool = True,
    feedback: bool = False,
    feedback_ticks: int = 1,
    norm: bool = True,
) -> pvnet.Graph:
    """A valid graph in sequential wiring of one stage; the same one for the same arguments.

    Args:
        seed: an int, or a source of randomness to draw from.
        nodes: how many random steps to add (a step is one node, or a small block).
        clocks: temporal strides, and with them periods above 1 and phases.
        delays: explicit delay nodes.
        feedback: one feedback edge from the end to the input.
        feedback_ticks: least delay of that edge; with as many as stages it can be pipelined.
        norm: batch norm on some convolutions.
    """
    rng = seed if isinstance(seed, random.Random) else random.Random(seed)
    b = _Builder(rng, clocks=clocks, delays=delays, norm=norm)
    size = rng.randint(4, 7), rng.randint(4, 7)
    frame = _Value("frame", rng.randint(1, 3), *size)
    b.add("input", [], {"channels": frame.c, "height": frame.h, "width": frame.w}, frame)
    if feedback:
        ticks = feedback_ticks + rng.randint(0, 2)
        attrs = {"ticks": ticks, "channels": 2, "height": frame.h, "width": frame.w}
        loop = b.add("feedback", ["back"], attrs, _Value("loop", 2, frame.h, frame.w))
        mixed = _Value("mixed", frame.c + 2, frame.h, frame.w)
        b.add("concat", [frame.name, loop.name], {}, mixed)
        b.values.remove(loop)  # read by itself it would give outputs that depend on no input
    steps = [b.conv3d, b.conv3d, b.conv3d, b.pool, b.join, b.join, b.pointwise, b.gate]
    for _ in range(nodes):
        rng.choice(steps)()
    last = b.values[-1]
    if feedback:
        back = _Value("up", last.c, frame.h, frame.w, last.period)
        b.add("upsample", [last.name], {"size": list(size), "mode": "nearest"}, back)
        attrs = {"out": 2, "kernel": [1, 1, 1], "act": "sigmoid"}
        last = b.add("conv3d", ["up"], attrs, _Value("back", 2, *size, last.period))
    outputs = [{"name": "main", "node": last.name}]
    if rng.random() < 0.5:
        outputs.append({"name": "aux", "node": rng.choice(b.values[1:]).name})
    spec = {
        "format": "pvnet-graph",
        "version": 1,
        "wiring": "sequential",
        "nodes": b.specs,
        "outputs": outputs,
    }
    return pvnet.Graph.from_json(json.dumps(spec))


def random_stages(graph: pvnet.Graph, stages: int, *, seed: int | random.Random) -> list[list[str]]:
    """The nodes of a graph cut at random places into at most `stages` stages, in order."""
    rng = seed if isinstance(seed, random.Random) else random.Random(seed)
    names = [n.name for n in graph.nodes]
    cuts = sorted(rng.sample(range(1, len(names)), min(stages - 1, len(names) - 1)))
    return [names[i:j] for i, j in zip([0, *cuts], [*cuts, len(names)], strict=True)]


def graphs(**options: Any) -> st.SearchStrategy[pvnet.Graph]:
    """Hypothesis strategy of random_graph; the options are those of random_graph."""
    return st.builds(lambda rng: random_graph(rng, **options), st.randoms(use_true_random=False))
