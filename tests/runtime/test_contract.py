"""The contract over random graphs and single layers."""

from __future__ import annotations

import numpy as np
import pytest
from contract import (
    Options,
    compile_wired,
    cuts_of,
    random_clip,
    random_network,
    run,
    verify_stream_contract,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_graphs import random_graph

import pvnet


@pytest.mark.parametrize("seed", range(12))
def test_random_graphs_keep_the_stream_contract(seed: int) -> None:
    graph = random_graph(seed)
    verify_stream_contract(graph, cuts_of(graph, [1, 2, 3, 5]), Options(seed=seed))


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(1000, 10**9), k=st.integers(1, 6))
def test_random_graphs_anew(seed: int, k: int) -> None:
    graph = random_graph(seed)
    verify_stream_contract(graph, cuts_of(graph, [k]), Options(seed=seed % 1000, ticks=9))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 250))
def test_more_random_graphs(seed: int) -> None:
    graph = random_graph(seed)
    verify_stream_contract(graph, cuts_of(graph, [1, 2, 3, 4, 6]), Options(seed=seed, ticks=20))


def test_every_instruction_set_runs_the_contract() -> None:
    isas = [b["isa"] for b in pvnet.info()["backends"] if b["name"] == "cpu" and b["available"]]
    assert isas
    graph = random_graph(3)
    options = Options(backends=("cpu",), isas=tuple(isas))
    verify_stream_contract(graph, cuts_of(graph, [1, 2]), options)


def positive(net: pvnet.nn.Network) -> None:
    """Makes every weight positive: nothing cancels, so a change of a frame always shows."""
    import torch

    with torch.no_grad():
        for name, value in net.state_dict().items():
            if name.endswith(("weight", "bias")):
                value.abs_().mul_(0.5).add_(0.01)
            elif name.endswith("running_mean"):
                value.zero_()


def monotone_graph(seed: int) -> pvnet.Graph:
    """A random graph of ops that pass every change on."""
    hiding = {"mul", "sub", "div", "channel_select", "pad", "group_norm", "layer_norm"}
    rising = {"none", "relu", "silu", "leaky_relu", "elu", "gelu", "mish", None}
    for attempt in range(1000):
        graph = random_graph(seed * 1000 + attempt, feedback=False, norm=False)
        if all(n.op not in hiding and n.attrs.get("act") in rising for n in graph.nodes):
            return graph
    pytest.fail("no such graph")


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("wiring", ["sequential", "pipelined", "predictive"])
def test_declared_latency_and_receptive_field_are_the_measured_ones(seed: int, wiring: str) -> None:
    graph = monotone_graph(seed)
    ks = cuts_of(graph, [3, 2, 1])
    net = random_network(graph, seed)
    positive(net)
    graph = graph.wire(wiring, stages=ks[0])
    hyper = compile_wired(net, wiring, ks[0], "ref").hyper_period
    for index, out in enumerate(net.graph.outputs):
        field, latency = out.receptive_field_frames, out.information_latency_ticks
        settle = field + latency + 2 * hyper + 8
        ticks = settle + hyper
        # One batch row per changed frame, and one that is left alone.
        clip = {n: np.abs(v) for n, v in random_clip(graph, 1, ticks, seed).items()}
        rows = {n: np.repeat(v, ticks + 1, axis=0) for n, v in clip.items()}
        for v in rows.values():
            for t in range(ticks):
                v[t, t] += 50.0
        plan = compile_wired(net, wiring, ks[0], "ref", batch=ticks + 1)
        y = run(plan, rows)[out.name].reshape(ticks, ticks + 1, -1)
        changed = (y[:, :ticks] != y[:, ticks:]).any(axis=2)  # [output tick, frame]
        early = [t for t in range(settle - hyper) if changed[:, t].any()]
        first = [int(np.argmax(changed[:, t])) - t for t in early]
        # A hold can only add to the smallest sum of delays; some frame meets it without a hold when
        # every clock on the way is 1.
        assert min(first) >= latency, index
        if all(n.clock.period == 1 for n in net.graph.nodes):
            assert min(first) == latency
        widths = []
        for t in range(settle, ticks):
            seen = np.flatnonzero(changed[t])
            widths.append(int(seen.max() - seen.min()) + 1)
        assert max(widths) <= field
        if all(n.op not in ("max_pool",) for n in net.graph.nodes):
            assert max(widths) == field


def test_outputs_are_never_aliased() -> None:
    graph = random_graph(1)
    net = random_network(graph, 1)
    plan = compile_wired(net, "predictive", 1, "cpu")
    clip = random_clip(graph, 1, 4, 1)
    stream = plan.stream()
    first = stream.tick({n: v[:, 0] for n, v in clip.items()})
    kept = {n: y.copy() for n, y in first.outputs.items()}
    for t in range(1, 4):
        stream.tick({n: v[:, t] for n, v in clip.items()})
    for n, y in kept.items():
        assert np.array_equal(first[n], y)
        first[n][...] = np.nan  # writing into a result does not reach the stream
    assert all(np.isfinite(y).all() for y in stream.outputs().outputs.values())
