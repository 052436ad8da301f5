"""What a user sees at the prompt: a Tick reads like a mapping, reprs say what a thing is."""

from __future__ import annotations

import numpy as np
import pytest

import pvnet
from pvnet.errors import InvalidArgumentError
from pvnet.runtime import Model


@pytest.fixture
def model() -> Model:
    graph = pvnet.Graph()
    x = graph.input("frame", channels=1, height=4, width=4)
    y = graph.conv3d(x, 2, kernel=1, name="stem")
    graph.output(graph.linear(graph.global_pool(y), 3), name="logits")
    graph.output(y, name="maps")
    rng = np.random.default_rng(0)
    weights = {n: rng.normal(size=s).astype(np.float32) for n, s in graph.expected_weights()}
    return Model(graph, weights, {"task": "actions", "labels": '["a", "b", "c"]'})


def test_a_tick_reads_like_a_mapping_of_its_outputs(model):
    tick = pvnet.compile(model).stream().tick(np.zeros((4, 4, 1), np.uint8))
    assert list(tick) == list(tick.keys()) == ["logits", "maps"]
    assert len(tick) == 2
    assert "maps" in tick
    assert "other" not in tick
    assert [v.shape for v in tick.values()] == [(1, 3), (1, 2, 4, 4)]
    assert dict(tick).keys() == dict(tick.items()).keys()
    assert all(tick[name] is array for name, array in tick.items())
    with pytest.raises(InvalidArgumentError, match="expected one of"):
        tick["other"]


def test_a_model_shows_its_graph_and_size_and_not_its_weights(model):
    text = repr(model)
    count = sum(w.size for w in model.weights.values())
    assert repr(model.graph) in text
    assert f"{count} parameters" in text
    assert "task='actions'" in text
    assert "array(" not in text
    assert len(text) < 120


def test_a_stream_shows_its_ticks_and_its_plan(model):
    stream = pvnet.compile(model, batch=2).stream()
    stream.tick(np.zeros((2, 4, 4, 1), np.uint8), rows=[True, False])
    assert repr(stream) == f"Stream(ticks=[1, 0], of={stream.plan!r})"
