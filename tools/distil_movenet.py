"""Distils MoveNet into a predictive student of 7 stages, without labels.

    python tools/distil_movenet.py movenet.safetensors --data jhmdb:FOLDER --out student.safetensors

`movenet.safetensors` is what import_movenet.py writes: teacher and start. Every stage before the
pyramid computes what it always did, only later. So those features are computed once, in a first
pass, and the pyramid reads them at the ages that the wiring gives them. It learns to say what the
teacher says about the newest frame. New weights (the refinement) learn fast, those of pyramid and
heads gently; what is written are their running averages.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from pvnet import data, runtime
from pvnet.models import model_metadata
from pvnet.models.movenet import OUTPUTS, SKIP_BLOCK, SKIP_TICKS, movenet_graph

WEIGHTS = dict[str, Tensor]
# Block, or "deep", whose features are kept: channels and side at 192 x 192.
KEPT = {"block2": (24, 48), "block5": (32, 24), "block9": (64, 12), "deep": (64, 6)}
CROP = 16  # cells of the 24 x 24 maps that a step looks at; their rim is not scored
RIM = 2
OLDEST = 6  # ticks of a clip before the first that is learnt
FRESH_RATE, GENTLE_RATE = 1e-3, 2e-5  # gentle at 3e-4 forgets


# How many ticks old kept features are where the pyramid of the student reads them.
STAGES = 7
AGES = {"deep": 3, "block9": 2, "block5": 2, "block2": 1}
SKIP = f"block{SKIP_BLOCK}"
SEEN = (1, *(1 + ticks for ticks in SKIP_TICKS))  # ages of the projected skip


def conv(w: WEIGHTS, name: str, x: Tensor, *, stride: int = 1) -> Tensor:
    """A convolution of the graph on [n, c, h, w]."""
    kernel = w[f"{name}.weight"][:, :, 0]
    groups = x.shape[1] // kernel.shape[1]
    if kernel.shape[-1] == 3:
        x = F.pad(x, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
    return F.conv2d(x, kernel, w.get(f"{name}.bias"), stride, groups=groups)


def backbone(w: WEIGHTS, x: Tensor) -> dict[str, Tensor]:
    """The kept features of frames [n, 3, 192, 192]."""
    found = {}
    x = F.relu6(conv(w, "stem", x, stride=2))
    for index in range(17):
        name, y = f"block{index}", x
        if index:
            y = F.relu6(conv(w, f"{name}/expand", y))
        y = F.relu6(conv(w, f"{name}/depthwise", y, stride=2 if index in (1, 3, 6, 13) else 1))
        y = conv(w, f"{name}/project", y)
        x = x + y if x.shape == y.shape else y
        found[name] = x
    found["deep"] = conv(w, "deep", F.relu6(conv(w, "top", x)))
    return {name: found[name] for name in KEPT}


def separable(w: WEIGHTS, name: str, x: Tensor) -> Tensor:
    """Depthwise, 1x1, ReLU."""
    return F.relu(conv(w, f"{name}/expand", conv(w, f"{name}/depthwise", x)))


def raised(w: WEIGHTS, x: Tensor, level: int, lateral: Tensor) -> Tensor:
    """The sum of a level of the pyramid."""
    up = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    return up + conv(w, f"pyramid/level{level}/lateral", lateral)


def coarse(w: WEIGHTS, deep: Tensor, block9: Tensor, block5: Tensor) -> Tensor:
    """The pyramid up to its sum at 24 x 24."""
    x = separable(w, "pyramid/level0", raised(w, deep, 0, block9))
    return raised(w, x, 1, block5)


def fine(w: WEIGHTS, x: Tensor, lateral: Tensor) -> Tensor:
    """The rest of the pyramid."""
    x = separable(w, "pyramid/level1", x)
    return separable(w, "pyramid/level2", raised(w, x, 2, lateral))


def refined(w: WEIGHTS, x: Tensor, seen: Sequence[Tensor]) -> Tensor:
    """What the student adds at 24 x 24, of early features of several ages."""
    projected = torch.cat([F.relu(conv(w, f"{SKIP}/skip", one)) for one in seen], dim=1)
    motion = F.relu(conv(w, "pyramid/refine/motion", projected, stride=2))
    mixed = F.relu(conv(w, "pyramid/refine/mix", torch.cat([x, motion], dim=1)))
    return x + conv(w, "pyramid/refine/shift", mixed)


def heads(w: WEIGHTS, x: Tensor) -> dict[str, Tensor]:
    """All maps."""
    return {name: conv(w, f"{name}/maps", separable(w, name, x)) for name in OUTPUTS}


class Features:
    """The teacher's features of many frames, float16 on disk.

    Args:
        folder: for one file per kind; made anew.
        frames: how many there will be at most.
    """

    def __init__(self, folder: Path, frames: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.clips: list[tuple[int, int]] = []
        self.count = 0
        self.maps: dict[str, NDArray[np.float16]] = {
            name: np.lib.format.open_memmap(
                folder / f"{name}.npy", "w+", np.float16, (frames, channels, side, side)
            )
            for name, (channels, side) in KEPT.items()
        }

    @torch.no_grad()
    def add(self, w: WEIGHTS, frames: NDArray[np.uint8]) -> None:
        """The frames [t, 192, 192, 3] of one clip."""
        begin = self.count
        for part in np.array_split(frames, -(-len(frames) // 4)):
            x = torch.from_numpy(part).permute(0, 3, 1, 2).float() / 127.5 - 1
            for name, value in backbone(w, x).items():
                self.maps[name][self.count : self.count + len(part)] = value.numpy()
            self.count += len(part)
        self.clips.append((begin, len(frames)))

    def get(self, name: str, ticks: NDArray[np.int64]) -> Tensor:
        """Float features [n, c, h, w]."""
        return torch.from_numpy(self.maps[name][ticks].astype(np.float32))

    def draw(self, rng: np.random.Generator, n: int) -> NDArray[np.int64]:
        """Ticks with enough of their clip before them."""
        usable = np.concatenate([np.arange(b + OLDEST, b + t) for b, t in self.clips])
        return np.sort(rng.choice(usable, n))


def pyramid_inputs(
    features: Features, ticks: NDArray[np.int64], ages: dict[str, int]
) -> list[Tensor]:
    """What the pyramid reads, deepest first, of frames so many ticks before the newest."""
    names = ("deep", "block9", "block5", "block2")
    return [features.get(name, ticks - ages.get(name, 0)) for name in names]


def distance(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> Tensor:
    """How far the student is from the teacher, where the teacher sees a joint or a person."""
    joints, center = (torch.sigmoid(wanted[name]) for name in ("heatmaps", "center"))

    def crossed(name: str, target: Tensor) -> Tensor:
        own = F.binary_cross_entropy_with_logits(wanted[name], target, reduction="none")
        loss = F.binary_cross_entropy_with_logits(found[name], target, reduction="none")
        return (loss - own).sum((2, 3)).mean()

    def apart(name: str, weight: Tensor) -> Tensor:
        return ((found[name] - wanted[name]).abs() * weight).sum((2, 3)).mean()

    return (
        3 * misplaced(found["heatmaps"], wanted["heatmaps"])
        + 0.3 * crossed("heatmaps", joints)
        + 0.06 * crossed("center", center)
        + 0.1 * apart("offsets", joints.repeat_interleave(2, 1))
        + 0.02 * apart("regression", center)
    )


def misplaced(found: Tensor, wanted: Tensor) -> Tensor:
    """How far the student's places of joints are from the teacher's, a little blurred.

    The logarithms of both are those of a softmax over the cells; sure joints count more.
    """
    n, joints, h, w = wanted.shape
    place = torch.softmax(wanted.reshape(n, joints, -1), 2).reshape(n, joints, h, w)
    blurred = F.avg_pool2d(F.avg_pool2d(F.pad(place, (2, 2, 2, 2)), 3, 1), 3, 1)
    target = blurred.reshape(n, joints, -1)
    target = target / target.sum(2, keepdim=True)
    logs = torch.log_softmax(found.reshape(n, joints, -1), 2)
    apart = (target * (target.clamp(min=1e-9).log() - logs)).sum(2)
    sure = torch.sigmoid(wanted.reshape(n, joints, -1).amax(2))
    return (apart * sure).sum() / sure.sum()


def corners(
    center: Tensor, rng: np.random.Generator, n: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where crops of the 24 x 24 maps begin: three in four near the teacher's person."""
    room = 24 - CROP
    y, x = rng.integers(0, room + 1, (2, n))
    peak = center.reshape(n, -1).argmax(1).numpy()
    near = rng.random(n) < 0.75
    shift = rng.integers(-3, 4, (2, n)) - CROP // 2
    y = np.where(near, np.clip(peak // 48 // 2 + shift[0], 0, room), y)
    return y, np.where(near, np.clip(peak % 48 // 2 + shift[1], 0, room), x)


def crop(x: Tensor, y0: NDArray[np.int64], x0: NDArray[np.int64], scale: int) -> Tensor:
    """A box per sample, its corners in cells of 24 x 24."""
    side = scale * CROP
    boxes = zip(scale * y0, scale * x0)
    return torch.stack([x[i, :, a : a + side, b : b + side] for i, (a, b) in enumerate(boxes)])


class Student:
    """Weights that learn, their averages, and the step that moves them.

    Args:
        teacher: weights by name.
        steps: of the whole training, for the rates.
        seed: of new weights and of the ticks that are drawn.
    """

    def __init__(self, teacher: WEIGHTS, steps: int, seed: int) -> None:
        self.teacher, self.steps = teacher, steps
        self.rng = np.random.default_rng(seed)
        torch.manual_seed(seed)
        expected = dict(movenet_graph(refine=True).expected_weights())
        new = {n: _fresh(n, shape) for n, shape in expected.items() if n not in teacher}
        gentle = [n for n in teacher if n.startswith(("pyramid", *OUTPUTS))]
        self.weights = {n: w.clone() for n, w in teacher.items()} | new
        self.learnt = [*new, *gentle]
        for name in self.learnt:
            self.weights[name].requires_grad_(True)
        self.average = {n: self.weights[n].detach().clone() for n in self.learnt}
        groups = [
            {"params": [self.weights[n] for n in new], "rate": FRESH_RATE, "weight_decay": 1e-4},
            {"params": [self.weights[n] for n in gentle], "rate": GENTLE_RATE, "weight_decay": 0},
        ]
        self.optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.99))
        self.step_number = 0

    def step(self, features: Features, batch: int) -> float:
        """One step; the loss."""
        ticks = features.draw(self.rng, batch)
        stale = pyramid_inputs(features, ticks, AGES)
        seen = [features.get(SKIP, ticks - age) for age in SEEN]
        with torch.no_grad():
            deep, block9, block5, lateral = pyramid_inputs(features, ticks, {})
            target = fine(self.teacher, coarse(self.teacher, deep, block9, block5), lateral)
            center = conv(self.teacher, "center/maps", separable(self.teacher, "center", target))
            at = corners(center, self.rng, batch)
            wanted = heads(self.teacher, crop(target, *at, 2))
        w = self.weights
        x = crop(coarse(w, *stale[:3]), *at, 1)
        x = refined(w, x, [crop(one, *at, 2) for one in seen])
        found = heads(w, fine(w, x, crop(stale[3], *at, 2)))
        inside = slice(2 * RIM, 2 * (CROP - RIM))
        scored = ({n: m[..., inside, inside] for n, m in d.items()} for d in (found, wanted))
        loss = distance(*scored)
        self._move(loss)
        return float(loss.detach())

    def _move(self, loss: Tensor) -> None:
        done = min(1.0, self.step_number / self.steps)
        slow = 0.05 + 0.95 * 0.5 * (1 + np.cos(np.pi * done))
        for group in self.optimiser.param_groups:
            group["lr"] = group["rate"] * slow * min(1.0, (self.step_number + 1) / 20)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_([self.weights[n] for n in self.learnt], 20.0)
        self.optimiser.step()
        self.step_number += 1
        keep = min(0.99, (self.step_number + 1) / (self.step_number + 20))
        with torch.no_grad():
            for name, mean in self.average.items():
                mean.mul_(keep).add_(self.weights[name], alpha=1 - keep)

    def export(self) -> dict[str, NDArray[np.float32]]:
        """All weights as the graph of the student names them, averages where it learnt."""
        return {n: w.detach().numpy() for n, w in (self.weights | self.average).items()}


def _fresh(name: str, shape: Sequence[int]) -> Tensor:
    """A new weight: what is added at the end begins with nothing."""
    if name.endswith("bias") or name.startswith("pyramid/refine/shift"):
        return torch.zeros(*shape)
    return torch.randn(*shape) * (2 / np.prod(shape[1:])) ** 0.5


def training_clips(spec: str, frames: int, held_out: Path | None) -> Iterator[NDArray[np.uint8]]:
    """Letterboxed stretches of the training videos, in random order."""
    left_out = set(held_out.read_text().split()) if held_out else set()
    how: dict[str, Any] = {"train": True, "size": (192, 192), "crop": "letterbox"}
    clips = data.open_dataset(spec, frames=frames, task="actions", sampling="center", **how)
    rng = np.random.default_rng(0)
    for index in rng.permutation(len(clips)):
        clip = clips.get(int(index), rng)
        if clip.clip_id not in left_out:
            yield clip.frames


def main() -> None:
    """Compute features, train, write."""
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=style)
    parser.add_argument("teacher", type=Path)
    parser.add_argument("--data", required=True, metavar="SPEC", help="videos; no label is read")
    parser.add_argument("--held-out", type=Path, help="a file with clip ids that are left out")
    parser.add_argument("--clips", type=int, default=540)
    parser.add_argument("--frames", type=int, default=16, help="of a clip")
    parser.add_argument("--steps", type=int, default=1600)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--features", type=Path, default=Path("build/movenet_features"))
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    model = runtime.load(args.teacher)
    teacher = {n: torch.from_numpy(np.array(w, np.float32)) for n, w in model.weights.items()}
    features = Features(args.features, args.clips * args.frames)
    for _, frames in zip(range(args.clips), training_clips(args.data, args.frames, args.held_out)):
        features.add(teacher, frames)
    student = Student(teacher, args.steps, args.seed)
    began = time.perf_counter()
    for number in range(args.steps):
        loss = student.step(features, args.batch)
        if number % 25 == 0:
            print(f"{number} {time.perf_counter() - began:.0f} s, loss {loss:.3f}", flush=True)
    graph = movenet_graph(refine=True, stages=STAGES, wiring="predictive")
    metadata = {n: v for n, v in model.metadata.items() if n != "good_for"}
    metadata |= model_metadata("movenet", "joints", {"size": 192, "refine": True})
    runtime.save(runtime.Model(graph, student.export(), metadata), args.out)


if __name__ == "__main__":
    main()
