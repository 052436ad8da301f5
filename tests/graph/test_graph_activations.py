"""Activations and their numbers: how they are given, stored and refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

import pvnet
from pvnet.errors import FileError, GraphError, InvalidArgumentError


def start() -> pvnet.Graph:
    graph = pvnet.Graph()
    graph.input("frame", channels=4, height=6, width=7)
    return graph


def attrs_of(act: Any) -> dict[str, Any]:
    """The attributes of an activation that begin with act."""
    node = start().conv3d("frame", 3, kernel=1, act=act)
    return {k: v for k, v in node.info.attrs.items() if k.startswith("act")}


@pytest.mark.parametrize(
    ("act", "attrs"),
    [
        (None, {"act": "none"}),
        ("silu", {"act": "silu"}),
        ("relu6", {"act": "clamp", "act_low": 0.0, "act_high": 6.0}),
        ("clamp", {"act": "clamp", "act_low": 0.0, "act_high": 6.0}),
        (("clamp", -1, 1), {"act": "clamp", "act_low": -1.0, "act_high": 1.0}),
        (("clamp", None, 0.1), {"act": "clamp", "act_low": None, "act_high": 0.1}),
        (("clamp", 2.5, None), {"act": "clamp", "act_low": 2.5, "act_high": None}),
    ],
)
def test_an_activation_and_its_numbers_are_attributes(act, attrs) -> None:
    assert attrs_of(act) == attrs


@pytest.mark.parametrize(
    ("act", "what"),
    [
        ("gelly", "wrong act"),
        (7, "act is no activation"),
        ((), "act is no activation"),
        (("relu", 1), "act relu has wrong numbers"),
        (("clamp", 0, 1, 2), "at most 2 numbers"),
        (("clamp", float("nan"), 1), "act clamp has wrong numbers"),
        (("clamp", "0", 1), "act clamp has wrong numbers"),
        (("clamp", 2, 1), "wrong act_low: got 2, expected at most act_high, 1"),
        (("clamp", 1e300, None), "wrong act_low: got 1e+300, expected a finite number, or null"),
    ],
)
def test_a_wrong_activation_is_refused(act, what) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        start().conv3d("frame", 3, kernel=1, act=act)
    assert what in str(caught.value)


def test_numbers_of_another_activation_are_refused() -> None:
    graph = document(act="relu", act_low=0)
    with pytest.raises(InvalidArgumentError, match='wrong act_low: got 0, expected none with act'):
        pvnet.Graph.from_json(json.dumps(graph))


def test_softmax_needs_a_node_of_its_own() -> None:
    graph = start()
    for add in (graph.add, graph.mul):
        with pytest.raises(GraphError, match="cannot apply this activation"):
            add(["frame", "frame"], act="softmax")
    graph.act("frame", "softmax")


def document(**attrs: Any) -> dict[str, Any]:
    """A graph of one convolution."""
    graph = start()
    graph.output(graph.conv3d("frame", 3, kernel=3, act="relu", name="y"))
    found = json.loads(graph.to_json())
    found["nodes"][1]["attrs"] |= attrs
    return found


@pytest.mark.parametrize(
    ("attrs", "version"),
    [
        ({}, 1),
        ({"padding_end": [1, 1]}, 1),
        ({"padding_end": [1, 0]}, 2),
        ({"act": "clamp"}, 2),
    ],
)
def test_a_graph_is_stored_in_the_oldest_version_that_has_it(attrs, version) -> None:
    graph = pvnet.Graph.from_json(json.dumps(document(**attrs)))
    stored = json.loads(graph.to_json())
    assert stored["version"] == version
    assert pvnet.Graph.from_json(json.dumps(stored)).to_json() == graph.to_json()


@pytest.mark.parametrize("version", [0, 3, "1", 1.5, None])
def test_a_graph_of_an_unknown_version_is_refused(version) -> None:
    with pytest.raises(FileError, match="version of the graph is not known"):
        pvnet.Graph.from_json(json.dumps(document() | {"version": version}))
