"""from_torch: what it keeps beside the weights, and how it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from imported import Function
from torch import nn

import pvnet
from pvnet.errors import InvalidArgumentError, UnsupportedError
from pvnet.evaluate.class_names import labels_of
from pvnet.nn import from_torch


class Heads(nn.Module):
    """A dict of two outputs, as segmenters return them."""

    def __init__(self):
        super().__init__()
        self.out, self.aux = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 2, 1)

    def forward(self, x):
        return {"out": self.out(x), "aux": self.aux(x)}


def test_normalisation_labels_and_names_are_in_the_file(tmp_path):
    mean, std = [0.4, 0.5, 0.3], [0.2, 0.3, 0.4]
    module, labels = Heads().eval(), ["cat", "dog", "bird", "fish"]
    net = from_torch(module, torch.randn(1, 3, 5, 4), mean=mean, std=std, labels=labels)
    pvnet.save(net, tmp_path / "m.safetensors")
    model = pvnet.load(tmp_path / "m.safetensors")
    assert labels_of(model.metadata) == tuple(labels)
    assert json.loads(model.metadata["labels"]) == labels
    assert [o.name for o in model.graph.outputs] == ["out", "aux"]
    frame = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    found = pvnet.compile(model).stream().tick(frame).outputs
    x = (torch.as_tensor(frame).permute(2, 0, 1)[None] / 255 - torch.tensor(mean)[:, None, None])
    expected = module(x / torch.tensor(std)[:, None, None])
    for name in ("out", "aux"):
        y = torch.as_tensor(np.array(found[name])).reshape(expected[name].shape)
        torch.testing.assert_close(y, expected[name])


def test_outputs_are_named_by_who_asks():
    x = torch.randn(1, 3, 5, 4)
    assert [o.name for o in from_torch(Heads(), x, outputs=["a", "b"]).graph.outputs] == ["a", "b"]
    pair = Function(lambda x: (x.tanh(), x.relu()))
    assert [o.name for o in from_torch(pair, x).graph.outputs] == ["output_0", "output_1"]
    one = from_torch(nn.ReLU(), x, outputs="map")
    assert [o.name for o in one.graph.outputs] == ["map"]
    assert one.metadata == {}
    for wrong in (["a"], ["a", "a"], ["a", "b", "c"]):
        with pytest.raises(InvalidArgumentError, match=r"expected 2 different names\. Give one"):
            from_torch(Heads(), x, outputs=wrong)


@pytest.mark.parametrize("given", [{"mean": [0.5, 0.5]}, {"std": [1.0] * 4}])
def test_normalisation_has_a_number_per_channel(given):
    with pytest.raises(InvalidArgumentError, match=r"from_torch.*got"):
        from_torch(nn.ReLU(), torch.randn(1, 3, 5, 4), **given)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.side = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        y = self.side(x).flatten(2)
        return (y @ x.flatten(2).transpose(1, 2)).softmax(-1)


def test_one_line_for_every_kind_of_operation():
    gates = [nn.Sequential(nn.Conv2d(3, 3, 1), nn.LogSigmoid()) for _ in range(4)]
    module = nn.Sequential(nn.Conv2d(3, 3, 1), *gates, Attention())
    with pytest.raises(UnsupportedError) as error:
        from_torch(module, torch.randn(1, 3, 6, 6))
    lines = str(error.value).splitlines()
    assert "got 5 unsupported operations" in lines[0]
    assert lines[1:-1] == [
        "  aten.log_sigmoid (4 times, in 1.1, 2.1, 3.1 and 1 more): not supported. "
        "Replace it by operations that docs/import.md lists.",
        "  aten.matmul (in 5): not supported. "
        "Cut the network in front of attention, or use a convolutional one.",
    ]


REFUSED = {
    "position": (lambda x: x + torch.arange(12.0).view(1, 3, 2, 2), "constant per pixel"),
    "inverse": (lambda x: 1 / x, "number divided by a map"),
    "two alphas": (lambda x: torch.add(x, x.relu(), alpha=2), "alpha"),
    "uneven bins": (lambda x: nn.functional.adaptive_avg_pool2d(x.repeat(1, 1, 1, 2), 3), None),
    "cat of rows": (lambda x: torch.cat([x, x.relu()], 2), "cat over dimension 2"),
    "swapped sides": (lambda x: x.transpose(2, 3), "mixes pixels"),
    "tensor bound": (lambda x: x.clamp(min=x.mean()), None),
    "beta": (lambda x: nn.functional.softplus(x, beta=2.0), "beta"),
    "circular": (lambda x: nn.functional.pad(x, (1, 1, 1, 1), mode="circular"), None),
    "cube": (lambda x: x**3, "power"),
    "batch": (lambda x: x.mean(0, keepdim=True), "batch"),
    "constant channel": (lambda x: torch.cat([x, torch.zeros(1, 1, 2, 2)], 1), "constant beside"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_the_reason(name):
    function, reason = REFUSED[name]
    with pytest.raises(UnsupportedError) as error:
        from_torch(Function(function), torch.randn(1, 3, 2, 2))
    assert reason is None or reason in str(error.value)
