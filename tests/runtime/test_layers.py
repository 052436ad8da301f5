"""The contract over every operation alone, on the reference and the CPU."""

from __future__ import annotations

import pytest
from contract import Options, verify_stream_contract
from layer_graphs import LAYERS, feedback_graph, layer_graph


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_keeps_the_stream_contract(layer: str) -> None:
    verify_stream_contract(layer_graph(layer), [1, 2, 3], Options(lanes=(1, 2, 4)))


def test_feedback_keeps_the_stream_contract() -> None:
    verify_stream_contract(feedback_graph(), [1, 2, 3], Options(lanes=(1, 2, 4)))
