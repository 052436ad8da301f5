"""A resident set gives the loader's clips; the affine maps of augmentation are what they say."""

from __future__ import annotations

import resource
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from test_collage import People

from pvnet import data
from pvnet.data import Augment
from pvnet.data.batches.resident import Resident, load_resident, resident_batches
from pvnet.data.clips import Clip
from pvnet.data.collage.clips import Collage
from pvnet.data.resample import warp
from pvnet.data.sampling import Sampling
from pvnet.errors import InvalidArgumentError

SIZE = (64, 48)
READ = "pvnet.data.batches.resident._read"
WINDOW = Sampling(6, None, "random")
MEAN, STD = (0.45,) * 3, (0.225,) * 3


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("resident")


def figures(frames: int | None = 12) -> Any:
    return data.open_dataset("figures?n=4", size=SIZE, frames=frames, sampling="start")


@pytest.fixture(scope="module")
def resident(cache: Path) -> Resident:
    return load_resident(figures(), torch.device("cpu"), cache=cache)


class Windows:
    """The same windows as a data set of the ordinary loader."""

    name = "windows"
    classes = ()

    def __init__(self, resident: Resident) -> None:
        self.resident = resident
        self.mirror_labels = resident.mirror_labels

    def __len__(self) -> int:
        return len(self.resident)

    def get(self, i: int, rng: np.random.Generator) -> Clip:
        kept = self.resident
        rows = kept.rows(i, WINDOW, rng)
        joints, visible = kept.joints[rows].numpy(), kept.visible[rows].numpy()
        return Clip(kept.frames[rows].numpy(), joints, visible, int(kept.label[i]), str(i), 25.0)


@pytest.mark.parametrize(
    ("augment", "mean_off"), [("none", 1e-6), ("default", 0.05), ("rotate=30", 0.05)]
)
def test_batches_are_the_loaders_but_for_interpolation(
    resident: Resident, augment: str, mean_off: float
) -> None:
    changes = Augment.parse(augment)
    windows: Any = Windows(resident)
    want = data.loader(windows, batch=3, seed=5, augment=changes, mean=MEAN, std=STD)
    got = resident_batches(
        resident, WINDOW, batch=3, size=SIZE, mean=MEAN, std=STD, seed=5, augment=changes
    )
    for _ in range(3):
        a, b = next(want), next(got)
        assert torch.equal(a["visible"], b["visible"])
        assert torch.equal(a["label"], b["label"])
        seen = a["visible"]
        torch.testing.assert_close(a["joints"][seen], b["joints"][seen], rtol=0, atol=1e-3)
        assert (a["frames"] - b["frames"]).abs().mean() < mean_off


def test_a_run_can_go_on_from_any_batch_and_be_shared(resident: Resident) -> None:
    common: dict[str, Any] = {"size": SIZE, "mean": MEAN, "std": STD, "augment": Augment()}
    whole = resident_batches(resident, WINDOW, batch=4, **common)
    next(whole)
    second = next(whole)["frames"]
    again = next(resident_batches(resident, WINDOW, batch=4, start_batch=1, **common))["frames"]
    assert torch.equal(second, again)
    halves = [
        next(
            resident_batches(
                resident, WINDOW, batch=2, rank=r, world=2, start_batch=1, **common
            )
        )["frames"]
        for r in (0, 1)
    ]
    assert torch.equal(second, torch.cat(halves))


def test_rendered_videos_are_kept_and_read_again(
    resident: Resident, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(READ, lambda *_: pytest.fail("rendered again"))
    again = load_resident(figures(), torch.device("cpu"), cache=cache)
    assert torch.equal(again.frames, resident.frames)


def test_copies_are_the_epochs_of_the_loader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = Collage(People(4), 0.5, 0.5)  # type: ignore[arg-type]
    kept = load_resident(people, torch.device("cpu"), copies=3, cache=tmp_path)
    assert len(kept) == 12
    epochs = list(data.loader(people, batch=4, shuffle=False, raw=True, batches=3))
    frames = torch.cat([e["frames"] for e in epochs])  # [12, 3, t, h, w]
    t = frames.shape[2]
    assert torch.equal(kept.frames.unflatten(0, (12, t)), frames.permute(0, 2, 3, 4, 1))
    assert torch.equal(kept.joints.unflatten(0, (12, t)), torch.cat([e["joints"] for e in epochs]))
    # Collages differ from copy to copy; made once, they are read again.
    assert not torch.equal(frames[:4], frames[4:8])
    monkeypatch.setattr(READ, lambda *_: pytest.fail("made again"))
    again = load_resident(people, torch.device("cpu"), copies=3, cache=tmp_path)
    assert torch.equal(again.frames, kept.frames)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux tells open files so")
def test_reading_keeps_no_file_open(tmp_path: Path) -> None:
    # Tensors of reading processes are files in shared memory as long as something refers to them.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = len(list(Path("/proc/self/fd").iterdir())) + 60
    many: Any = data.open_dataset("figures?n=80", size=(32, 32), frames=2, sampling="start")
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (few, hard))
        kept = load_resident(many, torch.device("cpu"), workers=2, cache=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(kept) == 80


def test_cropped_pictures_are_refused() -> None:
    cropped = SimpleNamespace(describe=lambda: {"crop": "person"})
    with pytest.raises(InvalidArgumentError, match=r"\[data.resident\] .*got crop 'person'"):
        load_resident(cropped, torch.device("cpu"))  # type: ignore[arg-type]


def test_a_turned_picture_carries_its_points_along() -> None:
    # A bright dot is a joint: after any change the dot is where the joint says.
    rng = np.random.default_rng(3)
    frames = np.zeros((1, 60, 80, 3), np.uint8)
    frames[0, 28:31, 38:41] = 255
    joints = np.full((1, 13, 2), (39.0, 29.0), np.float32)
    visible = np.ones((1, 13), np.bool_)
    augment = Augment.parse("rotate=90,brightness=0,contrast=0,saturation=0,tint=0")
    turned = 0
    for _ in range(8):
        changed = augment(Clip(frames, joints, visible, 0, "dot", 25.0), rng)
        assert changed.joints is not None
        mass = changed.frames[0, :, :, 0].astype(float)
        centre = [(mass.sum(0) * np.arange(80)).sum(), (mass.sum(1) * np.arange(60)).sum()]
        np.testing.assert_allclose(np.array(centre) / mass.sum(), changed.joints[0, 0], atol=0.3)
        turned += abs(changed.joints[0, 0] - joints[0, 0]).max() > 1
    assert turned


def test_warp_with_the_identity_changes_nothing() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 9, 7, 3), dtype=np.uint8)
    same = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    np.testing.assert_array_equal(warp(frames, same, (9, 7)), frames)


def test_every_video_keeps_its_own_rate() -> None:
    class Rates:
        name, classes, mirror_labels = "rates", (), ()
        __len__ = lambda self: 2  # noqa: E731
        describe = staticmethod(dict)

        def get(self, i: int, rng: np.random.Generator) -> Clip:
            frames = np.full((4, 16, 16, 3), i, np.uint8)
            return Clip(frames, None, None, i, str(i), (25.0, 10.0)[i])

    both: Any = Rates()
    kept = load_resident(both, torch.device("cpu"))
    assert kept.fps.tolist() == [25.0, 10.0]
    # Every second at 5 fps: of the slow video every second frame, of the fast one every fifth.
    slow = kept.rows(1, Sampling(2, 5.0, "start"), np.random.default_rng(0))
    assert slow.tolist() == [4, 6]
