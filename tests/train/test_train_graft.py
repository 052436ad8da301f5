"""A network that grew out of another one computes what the other one did."""

from __future__ import annotations

import pytest
import torch

from pvnet.errors import InvalidArgumentError
from pvnet.graph import Graph
from pvnet.models import par_densenet, par_inception
from pvnet.nn import Network
from pvnet.runtime import Model
from pvnet.train.graft import graft, origins, start_from

SMALL = {"size": (32, 32), "width": 0.125}


def randomised(net: Network, seed: int = 0) -> Network:
    """Running statistics as after training, so that a mistake in copying them shows."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in net.state_dict().items():
        if name.endswith("running_mean"):
            value.copy_(0.1 * torch.randn(value.shape, generator=generator))
        elif name.endswith("running_var"):
            value.copy_(0.5 + torch.rand(value.shape, generator=generator))
    return net.eval()


def model_of(net: Network) -> Model:
    return Model(net.graph, net.export_weights(), {})


@pytest.mark.parametrize("more", [{"skips": "head"}, {"skips": "all"}, {"feedback": 1}])
def test_grown_densenet_computes_what_the_plain_one_does(more: dict[str, object]) -> None:
    torch.manual_seed(0)
    plain = randomised(par_densenet(**SMALL))
    grown = randomised(par_densenet(**SMALL, stages=7, **more), seed=1)  # type: ignore[arg-type]
    changed = graft(grown, model_of(plain))
    clip = torch.randn(2, 3, 4, 32, 32)
    want, got = plain(clip)["heatmaps"], grown.eval()(clip)["heatmaps"]
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)
    assert changed
    assert want.abs().max() > 0.01


def test_grown_inception_computes_what_the_plain_one_does() -> None:
    torch.manual_seed(0)
    plain = randomised(par_inception(classes=5, **SMALL))
    grown = randomised(par_inception(classes=5, **SMALL, stages=5, skips="head"), seed=1)
    assert "logits" in graft(grown, model_of(plain))
    clip = torch.randn(1, 3, 4, 32, 32)
    torch.testing.assert_close(
        grown.eval()(clip)["logits"], plain(clip)["logits"], rtol=1e-5, atol=1e-5
    )


def joined(names: list[str]) -> Graph:
    graph = Graph()
    x = graph.input("frame", channels=2, height=4, width=4)
    parts = {n: graph.conv3d(x, 2, kernel=(1, 1, 1), name=n) for n in names}
    y = graph.concat([parts[n] for n in names], name="join")
    y = graph.max_pool(y, kernel=(1, 2, 2), stride=(1, 2, 2), name="pool")
    graph.output(graph.conv3d(y, 3, kernel=(1, 1, 1), name="last"), name="y")
    return graph


def test_channels_are_matched_by_origin_not_by_position() -> None:
    torch.manual_seed(0)
    old, new = Network(joined(["a", "b"])), Network(joined(["n", "b", "a"]))
    assert graft(new, model_of(old)) == ["n", "last"]
    clip = torch.randn(1, 2, 1, 4, 4)
    torch.testing.assert_close(new(clip)["y"], old(clip)["y"])
    assert new.get_parameter("last.weight")[:, :2].abs().max() == 0
    assert origins(new.graph, "pool")[2] == ("b", 0)


def test_the_same_architecture_is_copied_whole() -> None:
    a, b = par_densenet(**SMALL), par_densenet(**SMALL)
    assert start_from(b, model_of(a)) == []
    for key, value in a.export_weights().items():
        assert (b.export_weights()[key] == value).all()


@pytest.mark.parametrize("other", [{"width": 0.25}, {"temporal": 3}])
def test_another_size_is_refused_and_changes_nothing(other: dict[str, object]) -> None:
    net = par_densenet(**{**SMALL, **other})  # type: ignore[arg-type]
    before = net.export_weights()
    with pytest.raises(InvalidArgumentError, match=r"\[train.graft\] node '.*Start from"):
        graft(net, model_of(par_densenet(**SMALL)))
    assert all((before[k] == v).all() for k, v in net.export_weights().items())
