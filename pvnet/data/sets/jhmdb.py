"""J-HMDB: 928 clips, 21 actions, true joints of 609 clips, an estimator's joints for all.

The folder has jhmdb.csv, jhmdb_labels.npz (row order of the CSV) and videos/<label>/<id>.mp4.
Joints outside the picture are invisible; estimated joints count from visibility 0.5; clips whose
truth is ambiguous are left out of keypoint evaluation, and train with estimated joints.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pvnet.data.clips import LeftOut, find_inside
from pvnet.data.sets.options import Options, open_cached_store
from pvnet.data.sets.videos import Item, Track, VideoDataset
from pvnet.errors import FileError, InvalidArgumentError

JointsFrom = Literal["truth", "auto", "both"]
PICTURE = (240, 320)
TRUSTED = 0.5


@dataclass(frozen=True)
class JhmdbIndex:
    """The annotations.

    Attributes:
        folder: of the data set.
        rows: of jhmdb.csv.
        classes: 21 names.
        offset: [929] rows of the frame arrays.
        truth: float32 [frames, 13, 2], NaN without.
        auto: float32 [frames, 13, 3] x, y, visibility; NaN where nobody was found.
    """

    folder: Path
    rows: list[dict[str, str]]
    classes: tuple[str, ...]
    offset: NDArray[np.int64]
    truth: NDArray[np.float32]
    auto: NDArray[np.float32]

    def in_part(self, k: int, split: int, *, train: bool) -> bool:
        """Whether row k is in the training (or the test) part of a split."""
        return self.rows[k][f"split{split}"] == ("train" if train else "test")

    def has_truth(self, k: int) -> bool:
        """Whether row k has true joints that are sure."""
        return self.rows[k]["has_gt"] == "1" and self.rows[k]["ambiguous"] == "0"

    def true_track(self, k: int) -> Track:
        """True joints of row k."""
        joints = self.truth[self.offset[k] : self.offset[k + 1]]
        return Track(joints, find_inside(joints, PICTURE))

    def auto_track(self, k: int) -> Track:
        """Estimated joints of row k."""
        found = self.auto[self.offset[k] : self.offset[k + 1]]
        with np.errstate(invalid="ignore"):
            sure = np.asarray(found[..., 2] >= TRUSTED, np.bool_)
        return Track(found[..., :2], sure & find_inside(found[..., :2], PICTURE))


def read_index(folder: Path) -> JhmdbIndex:
    """The annotations of a J-HMDB folder.

    Raises:
        FileError: if a file is missing or they do not fit together.
    """
    try:
        with (folder / "jhmdb.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        with np.load(folder / "jhmdb_labels.npz") as file:
            arrays = {k: file[k] for k in ("classes", "offset", "gt13", "auto13")}
    except (OSError, KeyError, ValueError) as error:
        raise FileError(
            f"[data.jhmdb] {folder} cannot be read: got {error}, expected jhmdb.csv and "
            "jhmdb_labels.npz. Check the folder."
        ) from error
    counts = np.diff(arrays["offset"])
    if len(rows) != len(counts) or any(int(r["n_frames"]) != n for r, n in zip(rows, counts)):
        raise FileError(
            f"[data.jhmdb] list and labels of {folder} do not belong together: got {len(rows)} "
            f"and {len(counts)} clips, expected the same clips with the same numbers of frames. "
            "Copy both files again."
        )
    classes = tuple(str(c) for c in arrays["classes"])
    return JhmdbIndex(folder, rows, classes, arrays["offset"], arrays["gt13"], arrays["auto13"])


def open_jhmdb(folder: Path, options: Options, *, joints: JointsFrom = "both") -> VideoDataset:
    """J-HMDB as a data set.

    Args:
        folder: of the data set.
        options: split 1, 2 or 3; task joints: only clips with joints (evaluation: with sure true
            joints); actions and both: all clips of the part.
        joints: to train with: the truth, the estimator's, or the truth where there is one.
            Evaluation takes the truth.

    Raises:
        FileError: if the folder is not complete.
        InvalidArgumentError: for another split.
    """
    split = 1 if options.split is None else options.split
    if split not in (1, 2, 3) or joints not in get_args(JointsFrom):
        raise InvalidArgumentError(
            f"[data.jhmdb] split and joints: got {split!r} and {joints!r}, expected 1, 2 or 3 and "
            f"{', '.join(get_args(JointsFrom))}. Supported values are these."
        )
    index = read_index(folder)
    left_out = LeftOut()
    chosen: list[tuple[int, Track | None]] = []
    for k, row in enumerate(index.rows):
        if not index.in_part(k, int(split), train=options.train):
            continue
        track = _track(index, k, joints if options.train else "truth")
        if track is None and options.task == "joints":
            left_out.add("no joints", row["clip_id"])
        elif not (folder / row["path"]).exists():
            left_out.add("missing", row["clip_id"])
        else:
            chosen.append((k, track))
    # The cache holds the whole data set, so that all splits, parts and tasks share it.
    paths = [folder / row["path"] for row in index.rows]
    store = open_cached_store(paths, options, source=PICTURE)
    items = []
    for k, track in chosen:
        row = index.rows[k]
        if not len(store.cache.times_s(k)):
            left_out.add("corrupt", row["clip_id"], store.cache.problems[k])
            continue
        items.append(Item(row["clip_id"], index.classes.index(row["label"]), k, track))
    settings: dict[str, Any] = {
        "split": split,
        "part": "train" if options.train else "test",
        "joints": joints if options.train else "truth",
        "task": options.task,
        "source": "J-HMDB (Jhuang et al., ICCV 2013), a subset of HMDB51 (CC BY 4.0)",
    }
    return VideoDataset(
        "jhmdb",
        index.classes,
        items,
        store,
        options.sampling,
        options.size,
        options.crop,
        left_out,
        settings=settings,
    )


def _track(index: JhmdbIndex, k: int, joints: JointsFrom) -> Track | None:
    if joints != "auto" and index.has_truth(k):
        return index.true_track(k)
    if joints == "truth":
        return None
    track = index.auto_track(k)
    return track if track.visible.any() else None
