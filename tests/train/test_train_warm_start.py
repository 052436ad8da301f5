"""A network that grew out of another one computes what the other one did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import small

from pvnet import save
from pvnet.errors import InvalidArgumentError
from pvnet.graph import Graph, Node
from pvnet.models import par_densenet, par_inception, pretrained_path
from pvnet.nn import Network
from pvnet.runtime import Model, load
from pvnet.train.build import build_network, build_teacher, match_stages
from pvnet.train.warm_start import origins, start_from, warm_start

SMALL: dict[str, Any] = {"size": (32, 32), "width": 0.125}


def trained(net: Network, seed: int = 0) -> Network:
    """Weights and statistics as after training, so that a mistake in copying any of them shows."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in net.state_dict().items():
        if name.endswith(("running_var", "norm.weight")):
            value.copy_(0.5 + torch.rand(value.shape, generator=generator))
        elif value.is_floating_point() and value.dim() == 1:
            value.copy_(0.1 * torch.randn(value.shape, generator=generator))
    return net.eval()


def model_of(net: Network) -> Model:
    return Model(net.graph, net.export_weights(), {})


def runtime_model(path: str, labels: list[str]) -> str:
    """The same file with names of its outputs."""
    model = load(path)
    named = path.replace(".safetensors", "_named.safetensors")
    save(Model(model.graph, model.weights, {"labels": json.dumps(labels)}), named)
    return named


def assert_same_outputs(got: Network, want: Network, clip: torch.Tensor) -> None:
    """In float64, where another order of a sum is far below the tolerance."""
    (name, y), (_, x) = got.eval().double()(clip).popitem(), want.eval().double()(clip).popitem()
    torch.testing.assert_close(y, x, rtol=1e-9, atol=1e-9)
    assert x.std() > 0.01, f"{name} is constant: this would not show a mistake"


@pytest.mark.parametrize(
    ("had", "more"),
    [
        ({}, {"skips": "head"}),
        ({}, {"skips": "all"}),
        ({}, {"feedback": 1}),
        ({}, {"skips": "all", "feedback": 2}),
        ({"feedback": 1}, {"skips": "head", "feedback": 1}),
    ],
)
def test_grown_densenet_computes_what_the_small_one_does(
    had: dict[str, Any], more: dict[str, Any]
) -> None:
    torch.manual_seed(0)
    plain = trained(par_densenet(**SMALL, **had))
    grown = trained(par_densenet(**SMALL, stages=7, **more), seed=1)
    drawn = grown.export_weights()
    changed = warm_start(grown, model_of(plain))
    assert "head/conv" in changed or "skips" not in more
    assert "block1/layer1/reduce" in changed or "feedback" in had or "feedback" not in more
    for name in changed:
        if name.startswith("skip"):
            assert (grown.export_weights()[f"{name}.weight"] == drawn[f"{name}.weight"]).all()
    clip = torch.randn(2, 3, 4, 32, 32, dtype=torch.float64)
    assert_same_outputs(grown, plain, clip)


@pytest.mark.parametrize("stages", [7, 14])
@pytest.mark.parametrize("more", [{"skips": "head"}, {"skips": "head", "feedback": 1}])
def test_grown_and_predictive_no_path_is_later_than_before(
    more: dict[str, Any], stages: int
) -> None:
    torch.manual_seed(0)
    cut: dict[str, Any] = {"stages": stages, "wiring": "predictive"}
    plain = trained(par_densenet(**SMALL, **cut))
    grown = trained(par_densenet(**SMALL, **cut, **more), seed=1)
    warm_start(grown, model_of(plain))
    assert_same_outputs(grown, plain, torch.randn(2, 3, 18, 32, 32, dtype=torch.float64))


@pytest.mark.parametrize("skips", ["head", "all"])
def test_grown_inception_computes_what_the_plain_one_does(skips: Any) -> None:
    torch.manual_seed(0)
    plain = trained(par_inception(classes=5, **SMALL))
    grown = trained(par_inception(classes=5, **SMALL, stages=5, skips=skips), seed=1)
    assert "logits" in warm_start(grown, model_of(plain))
    assert_same_outputs(grown, plain, torch.randn(2, 3, 4, 32, 32, dtype=torch.float64))


def network(parts: list[str], *, groups: int = 1, sum_of: int = 2) -> Network:
    """Two branches, joined in the given order with "n" and a pooled "a", seen through a pool."""
    graph = Graph()
    x = graph.input("frame", channels=2, height=4, width=4)
    made: dict[str, Node] = {}
    for n in ("a", "b", *(["n"] if "n" in parts else [])):
        made[n] = graph.conv3d(x, 2, kernel=(1, 1, 1), act="relu", name=n)
    made["p"] = graph.avg_pool(made["a"], kernel=(1, 3, 3), padding=(1, 1), name="p")
    y = graph.concat([made[n] for n in parts], name="join")
    y = graph.max_pool(y, kernel=(1, 2, 2), stride=(1, 2, 2), name="pool")
    y = graph.conv3d(y, 4, kernel=(1, 1, 1), groups=groups, name="last")
    z = graph.conv3d(made["b"], 4, kernel=(1, 2, 2), stride=(1, 2, 2), padding=(0, 0), name="side")
    y = graph.add([y, z] if sum_of == 2 else [y, z, z], name="sum")
    y = graph.global_pool(y, window=2, name="mean")
    graph.output(graph.linear(y, 3, name="logits"), name="y")
    return Network(graph)


@pytest.mark.parametrize("parts", ["anpb", "nbpa", "pabn", "abnpb"])
def test_channels_are_matched_by_origin_not_by_position(parts: str) -> None:
    torch.manual_seed(0)
    old, new = network(list("apb")), network(list(parts))
    assert warm_start(new, model_of(old)) == ["n", "last"]
    assert_same_outputs(new, old, torch.randn(1, 2, 3, 4, 4, dtype=torch.float64))
    at = 2 * parts.index("n")
    assert new.get_parameter("last.weight")[:, at : at + 2].abs().max() == 0


def test_origins_say_which_nodes_were_passed() -> None:
    graph = network(list("apb")).graph
    assert origins(graph, "pool")[1:3] == [("a", 1, ("pool",)), ("a", 0, ("p", "pool"))]
    assert origins(graph, "mean")[3] == ("sum", 3, ("mean",))


def test_the_same_architecture_is_copied_whole() -> None:
    for take in (start_from, warm_start):
        a, b = trained(par_densenet(**SMALL, skips="head")), par_densenet(**SMALL, skips="head")
        assert take(b, model_of(a)) == []
        for key, value in a.export_weights().items():
            assert (b.export_weights()[key] == value).all()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (par_densenet(**SMALL), par_densenet(size=32, width=0.25), "'stem/conv' .*sizes"),
        (par_densenet(**SMALL), par_densenet(**SMALL, temporal=3), "'block1/layer1/grow' .*sizes"),
        (par_densenet(**SMALL), par_densenet(**SMALL, joints=5), "'heatmaps' .*sizes"),
        (
            par_densenet(**SMALL, stages=7, skips="head"),
            par_densenet(**SMALL),
            "'skip0/head/input/project' .*no such node",
        ),
        (network(list("apb")), network(list("ab")), "'last' .*no input.*of 'a'"),
        (network(list("ab"), groups=2), network(list("anb"), groups=2), "'last' .*(group|sizes)"),
        (network(list("apb"), groups=2), network(list("pab"), groups=2), "'last' .*groups"),
        (network(list("ab")), network(list("anb"), sum_of=3), "'sum' .*other inputs"),
    ],
)
def test_what_would_compute_something_else_is_refused(
    old: Network, new: Network, words: str
) -> None:
    before = new.export_weights()
    told = rf"\[train.warm_start\] node {words}.*Start from"
    with pytest.raises(InvalidArgumentError, match=told):
        warm_start(new, model_of(old))
    assert all((before[k] == v).all() for k, v in new.export_weights().items())


def test_a_run_and_its_teacher_start_from_a_smaller_model(tmp_path: Path) -> None:
    path = str(tmp_path / "plain.safetensors")
    plain = trained(par_densenet(**SMALL))
    save(plain, path)
    options = {"size": [32, 32], "width": 0.125, "skips": "head", "feedback": 1}
    grown = build_network(small(model_start=path, model_stages=2, model_options=options))
    clip = torch.randn(1, 3, 3, 32, 32, dtype=torch.float64)
    assert_same_outputs(grown, plain, clip)
    teacher = build_teacher(grown, path)
    assert_same_outputs(teacher.net, plain, clip)
    matched = {name for stage in match_stages(grown, teacher) for name in stage}
    # Its skips were drawn, not learned, and the head's input holds them too.
    assert "heatmaps" in matched
    assert matched < {n.name for n in plain.graph.nodes} - {"head/input"}
    kept = runtime_model(path, labels=["a", "b"])
    assert build_teacher(grown, kept, ["A", "b"]).learned == teacher.learned
    assert build_teacher(grown, kept).learned == teacher.learned
    with pytest.raises(InvalidArgumentError, match=r"^\[train\] .+: got a, b, expected b, a as"):
        build_teacher(grown, kept, ["b", "a"])
    inner = {name for stage in match_stages(grown, teacher, outputs=False) for name in stage}
    assert inner == matched - {"heatmaps"}
    assert inner


def for_other_classes(start: str, options: dict[str, Any]) -> Network:
    return build_network(
        small(
            model_name="par_inception",
            model_start=start,
            model_from_scratch=("logits",),
            model_options=options,
        )
    )


def test_a_network_for_other_classes_keeps_its_own_last_layer(tmp_path: Path) -> None:
    path = str(tmp_path / "five.safetensors")
    five = trained(par_inception(size=32, width=0.125, classes=5))
    save(five, path)
    few = for_other_classes(path, {"size": 32, "width": 0.125, "classes": 3})
    old, new = five.export_weights(), few.export_weights()
    assert new["logits.weight"].shape[0] == 3
    same = [k for k in old if not k.startswith("logits.")]
    assert same
    assert all((old[k] == new[k]).all() for k in same)
    # As many classes, but other ones.
    torch.manual_seed(1)
    other = par_inception(size=32, width=0.125, classes=5)
    own = other.export_weights()["logits.weight"]
    assert "logits" in start_from(other, model_of(five), ("logits",))
    assert (other.export_weights()["logits.weight"] == own).all()
    with pytest.raises(InvalidArgumentError, match=r"no new weights for 'logitz'"):
        start_from(other, model_of(five), ("logitz",))
    with pytest.raises(InvalidArgumentError, match=r"'logits' .*sizes"):
        start_from(par_inception(size=32, width=0.125, classes=3), model_of(five))


def test_a_shipped_model_is_a_start_by_its_name() -> None:
    name = "par_inception_sequential"
    net = for_other_classes(name, {"size": [64, 64], "width": 0.25, "classes": 4})
    shipped = load(pretrained_path(name)).weights
    kernel = next(k for k in shipped if k.endswith(".weight") and "logits" not in k)
    assert (net.export_weights()[kernel] == shipped[kernel]).all()
