"""Pointwise convolutions that read the same are run as one, with the results of each alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

import pvnet.nn.network
from pvnet.graph import Graph
from pvnet.models import par_inception, par_inception_graph
from pvnet.nn import Network
from pvnet.nn.clip_runner import run_clip
from pvnet.nn.program import build_program


def names(graph: Graph) -> list[tuple[str, ...]]:
    return [tuple(s.name for s in same) for same in build_program(graph).together.values()]


def branches(*, stride: int = 1) -> Graph:
    """Two pointwise branches of one map, and others that must stay alone."""
    g = Graph()
    x = g.input("frame", channels=3, height=8, width=8)
    one = {"norm": True, "act": "relu", "bias": False}
    a = g.conv3d(x, 8, kernel=(1, 1, 1), name="a", **one)
    wide = g.conv3d(x, 8, kernel=(1, 3, 3), padding=(1, 1), name="wide", **one)
    biased = g.conv3d(x, 8, kernel=(1, 1, 1), name="biased", bias=True, act="relu")
    b = g.conv3d(x, 16, kernel=(1, 1, 1), name="b", norm=True, act="silu", bias=False)
    rare = g.conv3d(x, 8, kernel=(1, 1, 1), stride=(stride, 1, 1), name="rare", **one)
    y = g.concat([a, wide, biased, b, rare], name="all")
    g.output(g.conv3d(y, 4, kernel=(1, 1, 1), name="last"), name="y")
    return g


def test_branches_of_one_map_are_found() -> None:
    assert names(branches(stride=2)) == [("a", "b")]
    assert names(branches()) == [("a", "b", "rare")]


def test_every_inception_block_has_three_and_other_stages_read_other_maps() -> None:
    found = names(par_inception_graph(size=32, width=0.125, classes=5))
    assert ("mixed_4c/branch0", "mixed_4c/branch1_reduce", "mixed_4c/branch2_reduce") in found
    assert {len(same) for same in found} == {3}
    # A cut through a block: its branches in a later stage read older maps.
    g = branches()
    g = g.wire("predictive", [["frame", "a", "b"], ["wide", "biased", "rare", "all", "last"]])
    assert names(g) == [("a", "b")]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
@pytest.mark.parametrize("which", ["branches", "inception"])
def test_together_equals_one_by_one(
    monkeypatch: pytest.MonkeyPatch, layout: torch.memory_format, which: str
) -> None:
    def alone(program: Any, *args: Any) -> Any:
        return run_clip(dataclasses.replace(program, together={}), *args)

    results = []
    for runner in (run_clip, alone):
        monkeypatch.setattr(pvnet.nn.network, "run_clip", runner)
        torch.manual_seed(0)
        if which == "branches":
            net = Network(branches(stride=2)).double()
        else:
            net = par_inception(size=32, width=0.125, classes=5).double()
        size = 8 if which == "branches" else 32
        clip = torch.randn(2, 3, 4, size, size, dtype=torch.float64).contiguous(
            memory_format=layout
        )
        output = net.train()(clip)
        (y,) = output.values()
        y.square().sum().backward()
        grads = {f"grad of {k}": p.grad for k, p in net.named_parameters()}
        results.append({"y": y.detach(), **grads, **dict(net.named_buffers())})
    together, one_by_one = results
    assert together.keys() == one_by_one.keys()
    for name, value in together.items():
        assert value is not None
        torch.testing.assert_close(value, one_by_one[name], rtol=1e-9, atol=1e-11, msg=name)
