"""Training on streams that never end: rows are videos, each begins anew when it likes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_runs import SIZE, losses, small

from pvnet.errors import InvalidArgumentError
from pvnet.models import MEAN, STD
from pvnet.train.loop import train
from pvnet.train.source import Source
from pvnet.video import synthetic

MESSAGE = r"(?s)^\[.+\] .+: got .+, expected .+\. .+\.$"
TICKS, LENGTHS = 4, (9, 1_000_000)  # of a piece; of the videos of the two rows


class Cameras:
    """Two rows of pictures: the first begins anew every 9 frames, the second never."""

    def __init__(self) -> None:
        self.clips = [synthetic.clip(seed, 9, *SIZE) for seed in (0, 1)]
        self.asked: list[int] = []

    def batches(self, start: int, rank: int, world: int):
        assert (rank, world) == (0, 1)
        self.asked.append(start)
        mean, std = (torch.tensor(v).view(1, -1, 1, 1, 1) for v in (MEAN, STD))
        while True:
            now = torch.arange(start * TICKS, (start + 1) * TICKS)
            rows = [[torch.from_numpy(x[now % 9]) for x in clip[:3]] for clip in self.clips]
            frames, joints, visible = (torch.stack(x) for x in zip(*rows))
            yield {
                "frames": (frames.permute(0, 4, 1, 2, 3).float() / 255 - mean) / std,
                "joints": joints,
                "visible": visible,
                "label": torch.zeros(2, TICKS, dtype=torch.int64),
                "ages": torch.stack([now % n for n in LENGTHS]),
            }
            start += 1


def config(**more):
    return small(run_carry=TICKS, run_steps=7, model_wiring="predictive", model_stages=2, **more)


def test_an_endless_stream_is_trained_on_and_goes_on_after_an_interruption(tmp_path: Path):
    whole = Cameras()
    result = train(config(), tmp_path / "whole", source=Source(whole.batches, None))
    assert result["steps"] == 7
    assert whole.asked == [0]
    values = losses(tmp_path / "whole")
    assert values[-1] < values[0]

    def stop(step: int, said: dict[str, float]) -> None:
        if step == 5:
            raise KeyboardInterrupt

    parts = Cameras()
    with pytest.raises(KeyboardInterrupt):  # after the checkpoint of step 4
        train(config(), tmp_path / "parts", source=Source(parts.batches, None), on_step=stop)
    train(config(), tmp_path / "parts", source=Source(parts.batches, None))
    assert parts.asked == [0, 4]
    assert losses(tmp_path / "parts") == values


def test_a_row_that_begins_anew_forgets_and_the_other_does_not(tmp_path: Path):
    """The same pictures with other ages are other losses: the state is carried, and reset."""
    seen = {}
    for name, lengths in (("as they are", LENGTHS), ("never reset", (1_000_000, 1_000_000))):
        cameras = Cameras()

        def batches(start, rank, world, cameras=cameras, lengths=lengths):
            for piece in cameras.batches(start, rank, world):
                now = piece["ages"][1]
                yield {**piece, "ages": torch.stack([now % n for n in lengths])}

        options = {"size": list(SIZE), "width": 0.125, "temporal": 3}
        made = config(loss_warm_up=0, model_options=options)
        train(made, tmp_path / name, source=Source(batches, None))
        seen[name] = losses(tmp_path / name)
    a, b = seen.values()
    assert a[:2] == b[:2]  # 8 ticks: no row has begun anew
    assert a[2] != b[2]


def test_pieces_without_ages_and_ages_without_carried_state_are_refused(tmp_path: Path):
    cameras = Cameras()
    with pytest.raises(InvalidArgumentError, match=MESSAGE):
        train(small(), tmp_path / "a", source=Source(cameras.batches, None))

    def bare(start, rank, world):
        for piece in cameras.batches(start, rank, world):
            yield {k: v for k, v in piece.items() if k != "ages"}

    with pytest.raises(InvalidArgumentError, match=MESSAGE):
        train(config(), tmp_path / "b", source=Source(bare, None))
