"""Both models on the machine for tests of backend "cuda", tick by tick beside the reference."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from contract import Options, random_clip, random_network, run, verify_stream_contract

import pvnet
from pvnet import _core
from pvnet.models import par_densenet_graph, par_inception_graph

SMALL = {"width": 0.125, "size": 32}
MODELS: dict[str, Callable[[], pvnet.Graph]] = {
    "par_inception": lambda: par_inception_graph(classes=5, **SMALL),
    "par_inception i3d": lambda: par_inception_graph(classes=5, clocks="i3d", **SMALL),
    "par_densenet": lambda: par_densenet_graph(**SMALL),
}
# Of the largest output: three times and more of what was found.
BARS = {"f32": 1e-5, "tf32": 5e-3, "f16": 5e-3, "bf16": 5e-2}


@pytest.mark.parametrize("dtype", BARS)
@pytest.mark.parametrize("model", MODELS)
def test_a_model_ticks_on_a_device_as_on_the_reference(model: str, dtype: str) -> None:
    graph = MODELS[model]()
    net = random_network(graph, 2)
    net.rewire("predictive", stages=5)
    clip = random_clip(graph, 1, 8, 3)
    expected = run(pvnet.compile(net, backend="ref"), clip)
    found = run(pvnet.compile(net, backend="cuda", isa="shim", dtype=dtype), clip)
    for name, y in expected.items():
        assert np.abs(y).max() > 0
        assert np.abs(found[name] - y).max() <= BARS[dtype] * np.abs(y).max()
    assert _core.shim_refusals() == []


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_a_model_keeps_the_stream_contract_on_a_device(model: str) -> None:
    torch.set_num_threads(1)
    verify_stream_contract(MODELS[model](), [3, 5], Options(("cuda",), ticks=9, rtol=1e-3))
