"""Every stage preset of both models: pipelined = sequential shifted by K - 1, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from contract import (
    Options,
    check_clocks,
    check_rows,
    check_state,
    random_clip,
    random_network,
    run,
)

import pvnet
from pvnet.models.par_densenet import par_densenet_graph
from pvnet.models.par_inception import par_inception_graph

DENSENET, INCEPTION = (1, 2, 7, 14), (1, 2, 3, 5, 10)
PRESETS = [
    *(("densenet", k, {"skips": s, "feedback": False}) for k in DENSENET for s in ("none", "head")),
    *(("inception", k, {"clocks": c}) for k in INCEPTION for c in ("single", "i3d")),
    ("inception", 10, {"clocks": "halving", "skips": "all"}),
    ("densenet", 14, {"skips": "all", "temporal": 3}),
]
MAKE = {"densenet": par_densenet_graph, "inception": par_inception_graph}


def weights_of(graph: pvnet.Graph, seed: int = 0) -> dict[str, np.ndarray]:
    """Random weights that keep the size of activations through the depth."""
    rng = np.random.default_rng(seed)
    out = {}
    for name, shape in graph.expected_weights():
        if name.endswith(("running_var", "norm.weight")):
            value = rng.uniform(0.8, 1.2, shape)
        elif name.endswith(".weight"):
            value = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
        else:
            value = rng.uniform(-0.1, 0.1, shape)
        out[name] = value.astype(np.float32)
    return out


def check_pipelined(model: str, k: int, config: dict, backend: str, ticks: int, **size) -> None:
    graph = MAKE[model](stages=k, wiring="sequential", **config, **size)
    weights = weights_of(graph)
    rng = np.random.default_rng(1)
    shape = next(n.shape for n in graph.nodes if n.op == "input")
    frames = rng.integers(0, 256, (ticks, shape[1], shape[2], 3), dtype=np.uint8)
    sequential = pvnet.compile((graph, weights), backend=backend, pin=False).stream()
    pipelined = pvnet.compile((graph.wire("pipelined"), weights), backend=backend, pin=False)
    stream = pipelined.stream()
    want = [sequential.tick(f).outputs for f in frames[: ticks - (k - 1)]]
    for t, frame in enumerate(frames):
        got = stream.tick(frame)
        assert got.valid[0] == (t >= max(pipelined.warm_up_ticks.values()))
        if t >= k - 1:
            for name, y in want[t - (k - 1)].items():
                assert np.array_equal(got[name], y), (name, t)
                assert np.abs(y).max() > 0
    assert {int(v[0]) for v in got.age.values()} == {k - 1} or config.get("clocks") != "single"


@pytest.mark.parametrize("backend", ["ref", "cpu"])
@pytest.mark.parametrize(("model", "k", "config"), PRESETS)
def test_small_presets_are_exact(model: str, k: int, config: dict, backend: str) -> None:
    check_pipelined(model, k, config, backend, ticks=k + 5, width=0.125, size=32)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "k", "config"), PRESETS)
def test_full_size_presets_are_exact(model: str, k: int, config: dict) -> None:
    check_pipelined(model, k, config, "ref", ticks=k + 2)


@pytest.mark.parametrize(
    ("model", "k", "config"),
    [("densenet", 7, {"skips": "head", "feedback": True}), ("inception", 5, {"clocks": "i3d"})],
)
def test_state_rows_and_clocks(model: str, k: int, config: dict) -> None:
    graph = MAKE[model](stages=k, wiring="predictive", width=0.125, size=32, **config)
    net = random_network(graph, 0)
    plan = pvnet.compile(net, pin=False)
    clip = random_clip(graph, 1, 12, 3)
    want = run(plan, clip)
    for lanes in (2, 4):
        again = run(pvnet.compile(net, lanes=lanes, pin=False), clip)
        assert all(np.array_equal(again[n], want[n]) for n in want)
    check_state(plan, clip, want)
    check_clocks(plan, clip)
    check_rows(net, k, "cpu", None, Options(ticks=9), {})


@pytest.mark.slow
def test_a_hundred_thousand_ticks_of_a_model() -> None:
    """No drift: the same sixteen frames over and over give the same outputs over and over."""
    graph = par_inception_graph(
        classes=4, stages=5, wiring="predictive", clocks="i3d", width=0.125, size=32
    )
    stream = pvnet.compile((graph, weights_of(graph)), pin=False).stream()
    frames = np.random.default_rng(1).integers(0, 256, (16, 32, 32, 3), dtype=np.uint8)
    settled: dict[int, np.ndarray] = {}
    for t in range(100_000):
        y = stream.tick(frames[t % 16])["logits"]
        if 480 <= t < 496:
            settled[t % 16] = y
        if t >= 99_984:
            assert np.array_equal(y, settled[t % 16])
