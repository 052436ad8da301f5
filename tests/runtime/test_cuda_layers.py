"""The contract over every operation alone, on the machine for tests of backend "cuda"."""

from __future__ import annotations

import pytest
from contract import EXECUTORS, Options, verify_stream_contract
from layer_graphs import LAYERS, feedback_graph, layer_graph

from pvnet import _core


def options(seed: int) -> Options:
    """Another executor and another order of what may run in any order."""
    _core.seed_shim(seed)
    return Options(("cuda",), executor=EXECUTORS[seed % len(EXECUTORS)], ticks=8, seed=seed)


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_keeps_the_stream_contract_on_a_device(layer: str) -> None:
    verify_stream_contract(layer_graph(layer), [2], options(list(LAYERS).index(layer)))
    assert _core.shim_refusals() == []


def test_feedback_keeps_the_stream_contract_on_a_device() -> None:
    verify_stream_contract(feedback_graph(), [2], options(5))
    assert _core.shim_refusals() == []
