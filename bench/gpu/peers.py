"""Peers against own networks: bf16, batch 1, a frame a call, in alternating order.

cuDNN eager in channels_last, its CUDA graph, torch.compile with graphs; and pvnet sequential (its
quickest executor), by stages and by layers. All are held against the CPU in float32 first.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import pvnet
from gpu import networks, peer_ways
from gpu.networks import NEAR, Net, Target
from gpu.peer_net import Layer, PeerNet
from gpu.record import Record, message, program
from gpu.timing import Watch, alternate, ticker

CASES = (("par_inception", 10), ("par_densenet", 14))
CHECK_TICKS = 4
TICKS, ROUNDS = 50, 5


def nodes_of(graph: pvnet.Graph) -> list[dict[str, Any]]:
    """The form of peer_nets.json."""
    return [
        {"name": n.name, "op": n.op, "inputs": [e.node for e in n.inputs], "attrs": dict(n.attrs),
         "shape": list(n.shape)}
        for n in graph.nodes
    ]  # fmt: skip


def folded(graph: pvnet.Graph, weights: dict[str, np.ndarray]) -> dict[str, Layer]:
    """Weights and biases with batch norm in them, float32."""
    layers: dict[str, Layer] = {}
    for node in graph.nodes:
        if f"{node.name}.weight" not in weights:
            continue
        of = {key: weights.get(f"{node.name}.{key}") for key in ("weight", "bias")}
        weight, bias = np.array(of["weight"], np.float64), of["bias"]
        if node.attrs.get("norm"):
            gamma, beta, mean, var = (
                np.array(weights[f"{node.name}.norm.{key}"], np.float64)
                for key in ("weight", "bias", "running_mean", "running_var")
            )
            scale = gamma / np.sqrt(var + node.attrs["norm_eps"])
            weight = weight * scale.reshape(-1, *(1,) * (weight.ndim - 1))
            bias = beta + ((0 if bias is None else bias) - mean) * scale
        layers[node.name] = (
            torch.from_numpy(weight.astype(np.float32)),
            None if bias is None else torch.from_numpy(np.array(bias, np.float32)),
        )
    return layers


def normalised(net: Net, frames: np.ndarray, where: Target) -> list[torch.Tensor]:
    """What a peer takes, made beforehand: its tick does not convert frames, ours does."""
    attrs = next(n for n in net.graph.nodes if n.op == "input").attrs
    mean, std = (np.array(attrs[key], np.float32) for key in ("mean", "std"))
    values = ((frames.astype(np.float32) / 255 - mean) / std).transpose(0, 3, 1, 2)
    out = torch.from_numpy(np.ascontiguousarray(values)).to(torch.bfloat16)
    out = out.cuda() if where.real else out
    return [f[None].contiguous(memory_format=torch.channels_last) for f in out]


def warm_modes(record: Record, name: str, where: Target) -> tuple[str, ...]:
    """Modes of torch.compile that are compiled already; the quick one in any case."""
    quick = peer_ways.MODES[:1]
    try:
        warm = json.loads(record.path.with_name("warm.json").read_text())["rows"]
    except (OSError, ValueError, KeyError):
        warm = []
    done = {row["mode"] for row in warm if row["net"] == name and row["state"] == "compiled"}
    if not where.real:
        return quick
    left_out = [mode for mode in peer_ways.MODES[1:] if mode not in done]
    if left_out:
        record.note(f"{name}: {', '.join(left_out)} was not compiled in time, not measured")
    return (*quick, *(mode for mode in peer_ways.MODES[1:] if mode in done))


def peer_makers(record: Record, net: Net, name: str, where: Target) -> dict[str, Callable]:
    """Each makes a (network, tick) on a frame."""

    def fresh() -> PeerNet:
        device = "cuda" if where.real else "cpu"
        layers = folded(net.graph, net.weights)
        return PeerNet(nodes_of(net.graph), layers, device=device, dtype=torch.bfloat16)

    def by(make: Callable) -> Callable:
        def made(frame: torch.Tensor) -> tuple[PeerNet, peer_ways.Tick]:
            peer = fresh()
            return peer, make(peer, frame)

        return made

    makers = {"cudnn eager": by(lambda peer, frame: peer)}  # noqa: ARG005
    if where.real:
        makers["cudnn graph"] = by(peer_ways.captured)
    for mode in warm_modes(record, name, where):
        makers[f"compile {mode}"] = by(
            lambda peer, frame, m=mode: peer_ways.compiled(peer, m, frame)
        )
    return makers


def peer_times(make: Callable, frames: list[torch.Tensor], want: list[np.ndarray], where: Target):
    """(distance from the CPU's outputs, microseconds of a tick when called)."""
    peer, tick = make(frames[0])
    peer_ways.forget(peer)
    with torch.inference_mode():
        got = [tick(frames[t]).float().cpu().numpy() for t in range(CHECK_TICKS)]

    def us(ticks: int) -> float:
        watch = Watch(real=where.real)
        with torch.inference_mode():
            for t in range(ticks):
                tick(frames[t % len(frames)])
        return watch.stop_us() / ticks

    far = max(networks.far(a.reshape(b.shape), b) for a, b in zip(got, want))
    return far, us


def own_times(net: Net, want: list[np.ndarray], where: Target):
    """The same of an own plan, with the executor that measured best."""
    frames, dtype = networks.frames_of(where), where.dtypes[0]
    plan = net.compile(where, dtype)
    got = networks.play(plan, frames, net.shift + CHECK_TICKS)[net.shift :]
    return max(networks.far(a, b) for a, b in zip(got, want)), ticker(
        plan, frames, real=where.real
    ).us


def small_net(where: Target, stages: int | str) -> Net:
    """Every kind of operation of the models once: torch compiles it in seconds."""
    g = pvnet.Graph()
    options = {"height": where.size, "width": where.size, "mean": 0.45, "std": 0.225}
    x = g.input("frame", channels=3, **options)
    x = g.conv3d(x, 16, kernel=(7, 7, 7), stride=(1, 2, 2), norm=True, bias=False, act="relu")
    x = g.max_pool(x, kernel=(3, 3, 3))
    y = g.avg_pool(x, kernel=(1, 2, 2), stride=(1, 2, 2), padding=(0, 0))
    y = g.upsample(g.conv3d(y, 8, kernel=(1, 3, 3), act="relu"), scale=2, mode="bilinear")
    x = g.global_pool(g.concat([x, y]), window=2)
    g.output(g.linear(x, 5), name="y")
    graph = g if stages == 1 else g.wire("pipelined", stages=stages)
    return Net(f"small {stages}", graph, networks.random_weights(graph, seed=0))


def net_of(where: Target, name: str, stages: int | str) -> Net:
    return networks.net(name, stages, where) if where.real else small_net(where, stages)


def measure(record: Record, where: Target, name: str, stages: int) -> None:
    base = net_of(where, name, 1)
    frames = networks.frames_of(where)
    cpu = pvnet.compile((base.graph, base.weights), backend="cpu")
    want = networks.play(cpu, frames, CHECK_TICKS)
    inputs = normalised(base, frames, where)
    makers: dict[str, Callable] = {
        way: lambda m=m: peer_times(m, inputs, want, where)
        for way, m in peer_makers(record, base, name, where).items()
    }
    cuts = (1, stages, "layers") if where.real else (1, stages)
    for cut in cuts:
        net = net_of(where, name, cut)
        makers[f"pvnet {cut}"] = lambda n=net: own_times(n, want, where)
    rows: dict[str, dict[str, Any]] = {}
    ways: dict[str, Callable[[], float]] = {}
    ticks, rounds = (TICKS, ROUNDS) if where.real else (1, 1)
    for way, make in makers.items():
        rows[way] = {"net": name, "way": way}
        try:
            far, us = make()
            us(ticks)
            rows[way] |= {"from_f32": far, "right": far <= NEAR["bf16"]}
            ways[way] = lambda us=us: us(ticks)
        except Exception as error:  # one peer that fails leaves the others their turn
            rows[way] |= {"right": False, "error": message(error)}
    times = alternate(ways, rounds)
    right = [w for w in times if not w.startswith("pvnet") and rows[w]["right"]]
    best = min((times[w]["us"] for w in right), default=None)
    sequential = times.get("pvnet 1", {}).get("us")
    for way, row in rows.items():
        if way in times:
            us = times[way]["us"]
            row |= {**times[way], "best_peer_over_this": best and best / us}
            row["own_sequential_over_this"] = sequential and sequential / us
        record.add(**row)


def body(record: Record, dry: bool) -> None:
    where = networks.target(dry)
    record.note(networks.describe(where))
    record.note(peer_ways.tensorrt())
    torch.backends.cudnn.benchmark = True
    for name, stages in (("small", 2),) if dry else CASES:
        measure(record, where, name, stages)


if __name__ == "__main__":
    program("peers", body)
