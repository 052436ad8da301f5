"""A tiny network, tiny data in memory, and runs that take a second."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pvnet.data.clips import Clip
from pvnet.models import MEAN, STD
from pvnet.train.config import Config
from pvnet.train.source import Source
from pvnet.video import synthetic

SIZE = (32, 32)


@dataclass
class Figures:
    """Rendered clips in memory: `frames` long, or of different lengths."""

    clips: list[Clip]
    name: str = "figures in memory"
    classes: tuple[str, ...] = synthetic.ACTIONS
    mirror_labels: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.clips)

    def get(self, index: int, rng: np.random.Generator) -> Clip:
        rng.random()
        return self.clips[index]

    def describe(self) -> dict[str, Any]:
        return {"clips": len(self.clips)}


def figures(clips: int, frames: int = 10, *, ragged: bool = False) -> Figures:
    made = []
    for seed in range(clips):
        t = frames + seed % 3 if ragged else frames
        images, joints, visible, label = synthetic.clip(seed, t, *SIZE)
        made.append(Clip(images, joints, visible, label, f"figure-{seed}", 25.0))
    return Figures(made)


def source_of(dataset: Figures, batch: int) -> Source:
    """Batches of fixed clips; every process takes its share of the rows."""
    mean, std = (torch.tensor(v).view(1, -1, 1, 1, 1) for v in (MEAN, STD))

    def batches(start: int, rank: int, world: int) -> Iterator[dict[str, Any]]:
        index = start
        while True:
            rng = np.random.default_rng([5, index])
            rows = rng.integers(len(dataset), size=batch)[rank::world]
            clips = [dataset.clips[i] for i in rows]
            frames = torch.from_numpy(np.stack([c.frames for c in clips]))
            yield {
                "frames": (frames.permute(0, 4, 1, 2, 3).float() / 255 - mean) / std,
                "joints": torch.from_numpy(np.stack([c.joints for c in clips])),
                "visible": torch.from_numpy(np.stack([c.visible for c in clips])),
                "label": torch.tensor([c.label for c in clips]),
            }
            index += 1

    return Source(batches, lambda: dataset, dataset.classes)


def small(**overrides: Any) -> Config:
    """A configuration of seconds; overrides as `section_key=value`."""
    document: dict[str, Any] = {
        "model": {"options": {"size": list(SIZE), "width": 0.125}},
        "optimiser": {"rate": 3e-3},
        "schedule": {"warm_up_steps": 2},
        "run": {"steps": 6, "batch": 2, "log_every": 1, "checkpoint_every": 2, "threads": 1},
    }
    document["run"]["device"] = "cpu"
    for key, value in overrides.items():
        section, name = key.split("_", 1)
        document.setdefault(section, {})[name] = value
    return Config.from_dict(document)


def losses(folder: Any) -> list[float]:
    """Of every logged step."""
    lines = (folder / "log.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]
