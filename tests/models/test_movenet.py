"""MoveNet: equal to a plain torch reading, and its students to the timing they claim."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import pvnet
from pvnet.errors import InvalidArgumentError
from pvnet.models.movenet import OUTPUTS, movenet_graph
from pvnet.models.random_weights import random_weights

TOOLS = Path(__file__).parents[2] / "tools"
FILE = Path(os.environ.get("PVNET_MOVENET", "")) / "movenet-lightning.json"


class Plain:
    """The network once more, written down layer by layer in torch; frames [n, 3, h, w]."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self.weights = {name: torch.from_numpy(w.copy()) for name, w in weights.items()}

    def conv(self, x: Tensor, name: str, *, stride: int = 1) -> Tensor:
        kernel = self.weights[f"{name}.weight"][:, :, 0]
        if kernel.shape[-1] == 3:  # on even sizes TensorFlow pads at the end only, at stride 2
            x = F.pad(x, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
        groups = x.shape[1] // kernel.shape[1]
        return F.conv2d(x, kernel, self.weights.get(f"{name}.bias"), stride, groups=groups)

    def block(self, x: Tensor, index: int, stride: int) -> Tensor:
        y, name = x, f"block{index}"
        if index:
            y = F.relu6(self.conv(y, f"{name}/expand"))
        y = F.relu6(self.conv(y, f"{name}/depthwise", stride=stride))
        y = self.conv(y, f"{name}/project")
        return x + y if x.shape == y.shape else y

    def separable(self, x: Tensor, name: str) -> Tensor:
        return F.relu(self.conv(self.conv(x, f"{name}/depthwise"), f"{name}/expand"))

    def __call__(self, x: Tensor) -> dict[str, Tensor]:
        x, found = F.relu6(self.conv(x, "stem", stride=2)), []
        for index in range(17):
            x = self.block(x, index, 2 if index in (1, 3, 6, 13) else 1)
            found.append(x)
        x = self.conv(F.relu6(self.conv(x, "top")), "deep")
        for level, block in enumerate((9, 5, 2)):
            name = f"pyramid/level{level}"
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = self.separable(x + self.conv(found[block], f"{name}/lateral"), name)
        return {n: self.conv(self.separable(x, n), f"{n}/maps") for n in OUTPUTS}


def frames(n: int, size: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


def normalised(images: np.ndarray) -> Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def assert_close(found: np.ndarray, wanted: np.ndarray) -> None:
    spread = max(float(np.ptp(wanted)), 1e-6)
    assert float(np.abs(found - wanted).max()) / spread < 1e-4


def test_equal_to_plain_torch():
    graph = movenet_graph(size=(64, 96))
    weights = random_weights(graph, seed=1)
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    tick = pvnet.compile((graph, weights)).stream().tick(image)
    with torch.no_grad():
        wanted = Plain(weights)(normalised(image[None]))
    for name in OUTPUTS:
        assert_close(tick[name][0], wanted[name][0].numpy())


@pytest.mark.skipif(not FILE.exists(), reason="PVNET_MOVENET names no folder with the file")
def test_equal_to_the_published_file(monkeypatch):
    monkeypatch.syspath_prepend(TOOLS)
    sys.modules.pop("read_tfjs", None)
    from import_movenet import import_movenet
    from read_tfjs import Reading

    image = frames(1, 192)
    tick = pvnet.compile(import_movenet(FILE)).stream().tick(image[0])
    wanted = Reading(FILE)(torch.from_numpy(image))
    for name, value in wanted.items():
        assert_close(tick[name][0], value[0].numpy())


@pytest.mark.parametrize(("stages", "oldest"), [(4, 2), (7, 3)])
def test_student_hears_of_frames_as_its_cut_says(stages, oldest):
    wired = {"stages": stages, "wiring": "predictive"}
    graph = movenet_graph(size=64, **wired)
    assert graph.n_stages == stages
    facts = {o.name: o for o in graph.outputs}
    assert facts["heatmaps"].information_latency_ticks == 1
    assert facts["heatmaps"].warm_up_ticks == oldest
    assert facts["regression"].warm_up_ticks == oldest + 1


def test_refinement_without_weight_changes_nothing():
    plain, fine = (movenet_graph(size=64, refine=r) for r in (False, True))
    weights = random_weights(fine, seed=2)
    weights["pyramid/refine/shift.weight"][:] = 0
    weights["pyramid/refine/shift.bias"][:] = 0
    own = {name: weights[name] for name, _ in plain.expected_weights()}
    image = frames(1, 64)[0]
    a, b = (pvnet.compile(m).stream().tick(image) for m in ((plain, own), (fine, weights)))
    for name in OUTPUTS:
        assert_close(b[name], a[name])


def test_sizes_are_multiples_of_32():
    with pytest.raises(InvalidArgumentError, match="multiple of 32"):
        movenet_graph(size=100)
