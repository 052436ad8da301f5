"""Every operation of both models on the machine for tests of backend "cuda", tick by tick, against
float64 of its own inputs: rounding does not add up from layer to layer.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from contract import random_clip, random_network, run
from oracle import Oracle

import pvnet
from pvnet import _core
from pvnet.models import par_densenet_graph, par_inception_graph

TICKS = 11
VIRTUAL = ("concat", "delay", "feedback")  # they hold no memory
# Of the norm of an operation's output, which f16 and bf16 round. tf32 rounds factors, too.
BARS = {"f32": 2e-6, "tf32": 1e-3, "f16": 5e-4, "bf16": 4e-3}
STORED = {"f32": torch.float32, "tf32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
MODELS = {
    "par_inception": lambda: par_inception_graph(classes=10, width=0.25, size=64),
    "par_densenet": lambda: par_densenet_graph(width=0.25, size=64),
}
STAGES = {"par_inception": 10, "par_densenet": 14}


class Recorded(Oracle):
    """An oracle whose nodes have the values that a device gave them."""

    def __init__(self, graph, weights, clip, maps):
        super().__init__(graph, weights, clip)
        self.recorded = maps  # [tick][c, h, w] by node

    def compute(self, n, tick):
        if n.name not in self.recorded:
            return super().compute(n, tick)
        return self.recorded[n.name][tick].reshape(-1, *n.shape)

    def of_its_inputs(self, n, tick):
        """What the node's operation gives for the values that the device's had."""
        return super().compute(n, tick)


def folded(net: pvnet.nn.Network, dtype: str) -> dict[str, torch.Tensor]:
    """The weights as a device has them: batch norms folded in, then rounded to what it stores."""
    weights = {k: v.double() for k, v in net.state_dict().items()}
    for n in net.graph.nodes:
        if n.op not in ("conv3d", "linear"):
            continue
        weight = weights[f"{n.name}.weight"]
        if n.attrs.get("norm"):
            key = f"{n.name}.norm."
            mean, var, gain, shift = (
                weights[key + k] for k in ("running_mean", "running_var", "weight", "bias")
            )
            scale = gain / torch.sqrt(var + n.attrs["norm_eps"])
            weight = weight * scale.reshape(-1, *[1] * (weight.dim() - 1))
            bias = weights.get(f"{n.name}.bias", torch.zeros_like(mean))
            weights[f"{n.name}.bias"] = (bias - mean) * scale + shift
            weights[key + "running_mean"] = weights[key + "bias"] = torch.zeros_like(mean)
            weights[key + "running_var"] = torch.full_like(mean, 1 - n.attrs["norm_eps"])
            weights[key + "weight"] = torch.ones_like(mean)
        weights[f"{n.name}.weight"] = weight.float().to(STORED[dtype]).double()
    return weights


def recorded_maps(net: pvnet.nn.Network, clip: dict[str, np.ndarray], dtype: str):
    plan = pvnet.compile(net, backend="cuda", isa="shim", dtype=dtype)
    results = run(plan, clip)
    return {name: torch.from_numpy(y).double() for name, y in results.items()}


@pytest.mark.parametrize("dtype", BARS)
@pytest.mark.parametrize("model", MODELS)
def test_every_op_of_a_model_is_that_of_its_own_inputs(model: str, dtype: str) -> None:
    graph = MODELS[model]()
    have = {o.name for o in graph.outputs}
    for n in graph.nodes:
        if n.op not in VIRTUAL and n.name not in have:
            graph.output(n.name)
    net = random_network(graph, 4)
    net.rewire("predictive", stages=STAGES[model])
    computed = [n for n in net.graph.nodes if n.op not in VIRTUAL]
    clip = random_clip(graph, 1, TICKS, 5)
    maps = recorded_maps(net, clip, dtype)
    frames = torch.from_numpy(next(iter(clip.values()))).double().transpose(1, 2)
    oracle = Recorded(net.graph, folded(net, dtype), frames, maps)
    worst = {}
    for n in computed:
        for tick in range(TICKS):
            if n.op == "input" or tick < n.clock.origin or (tick - n.clock.origin) % n.clock.period:
                continue
            expected = oracle.of_its_inputs(n, tick)
            found = maps[n.name][tick].reshape(expected.shape)
            error = (found - expected).norm() / expected.norm().clamp_min(1e-30)
            worst[n.name] = max(worst.get(n.name, 0.0), float(error))
    assert len(worst) == len(computed) - 1
    assert max(worst.values()) <= BARS[dtype], max(worst.items(), key=lambda kv: kv[1])
    assert _core.shim_refusals() == []
