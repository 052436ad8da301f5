"""From the joints of others to the 13 of this program; joints of videos out of NPZ and JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.data.sets.videos import Track
from pvnet.errors import FileError, InvalidArgumentError
from pvnet.video.joints import JOINTS

# Shoulders, elbows, wrists, hips, knees, ankles, left before right.
_COCO_BODY = (5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)
_COCO_FACE = (0, 1, 2, 3, 4)  # nose, eyes, ears: the head is the nose, else the mean of the others
MEDIAPIPE = (0, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
"""Of MediaPipe's 33 landmarks, those that are the 13 joints; the head is the nose."""

LABELS_FORMAT = "pvnet-labels"
SURE = 0.5


def from_coco(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """COCO's 17 keypoints as the 13 joints.

    Args:
        points: float32 [..., 17, 3] x, y, visibility (0: not labelled).

    Returns:
        float32 [..., 13, 3]. The head is the nose where it is labelled, else the mean of the
        labelled eyes and ears; the neck and the feet have no counterpart.
    """
    points = np.asarray(points, np.float32)
    body = points[..., list(_COCO_BODY), :]
    face = points[..., list(_COCO_FACE), :]
    nose, rest = face[..., 0, :], face[..., 1:, :]
    there = rest[..., 2:] > 0
    count = np.maximum(there.sum(axis=-2), 1)
    mean = np.where(there, rest, 0).sum(axis=-2) / count
    head = np.where(nose[..., 2:] > 0, nose, mean)
    return np.asarray(np.concatenate([head[..., None, :], body], axis=-2), np.float32)


def to_13(points: NDArray[Any], where: str) -> NDArray[np.float32]:
    """Joints [n, j, 2 or 3] with j of 13, 17 (COCO) or 33 (MediaPipe) as float32 [n, 13, 3].

    Without a third column a joint is known where it is finite and not (0, 0).

    Raises:
        FileError: for other shapes.
    """
    given = np.asarray(points, np.float32)
    if given.ndim != 3 or given.shape[1] not in (13, 17, 33) or given.shape[2] not in (2, 3):
        raise FileError(
            f"[data.keypoints] shape of the joints of {where}: got {given.shape}, expected "
            "[frames, 13, 17 or 33, 2 or 3]. Give x, y and optionally visibility per frame."
        )
    if given.shape[2] == 2:
        known = np.isfinite(given).all(axis=-1) & (given != 0).any(axis=-1)
        given = np.concatenate([given, known[..., None].astype(np.float32)], axis=-1)
    if given.shape[1] == 17:
        return from_coco(given)
    return given[:, list(MEDIAPIPE)] if given.shape[1] == 33 else given


def track_of(points: NDArray[np.float32], times_s: NDArray[np.float64] | None = None) -> Track:
    """A track out of [n, 13, 3] x, y, visibility; joints from visibility 0.5 are trusted."""
    with np.errstate(invalid="ignore"):
        sure = (points[..., 2] >= SURE) & np.isfinite(points).all(axis=-1)
    return Track(points[..., :2], np.asarray(sure, np.bool_), times_s)


def read_joints(path: Path) -> dict[str, Track]:
    """Joints of videos by the videos' names.

    Formats:

    * The NPZ of `pvnet label`.
    * An NPZ with one array [frames, joints, 2 or 3] per video, named by its path.
    * A JSON object {"video": [[[x, y, v], ...] per frame]}.
    * COCO keypoints: one image per frame, named VIDEO/FRAME.jpg, or VIDEO with frame_id. Of several
      persons the largest is taken.

    Raises:
        FileError: if it cannot be read or is none of these.
    """
    try:
        if path.suffix == ".npz":
            with np.load(path) as file:
                arrays = {k: file[k] for k in file.files}
            if str(arrays.get("format", "")) == LABELS_FORMAT:
                return _labels(arrays)
            return {k: track_of(to_13(v, k)) for k, v in arrays.items()}
        document = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(document, Mapping) and "annotations" in document:
            return _coco(document)
        if isinstance(document, Mapping):
            return {str(k): track_of(to_13(_array(v), str(k))) for k, v in document.items()}
    except FileError:
        raise
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise _unreadable(path, f"{type(error).__name__} {error}") from error
    raise _unreadable(path, type(document).__name__)


def _array(frames: Sequence[Any]) -> NDArray[np.float32]:
    """Frames of joints; a frame without a person may be null or empty."""
    full = next((f for f in frames if f), None)
    if full is None:
        return np.zeros((len(frames), len(JOINTS), 3), np.float32)
    nobody = np.zeros((len(full), len(full[0])), np.float32)
    return np.stack([np.asarray(f, np.float32) if f else nobody for f in frames])


def _labels(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Track]:
    out = {}
    for k, name in enumerate(arrays["path"]):
        rows = slice(int(arrays["offset"][k]), int(arrays["offset"][k + 1]))
        out[str(name)] = track_of(arrays["joints"][rows], arrays["time_s"][rows])
    return out


@dataclass(frozen=True)
class _Person:
    area: float
    points: NDArray[np.float32]  # [17, 3]


def _coco(document: Mapping[str, Any]) -> dict[str, Track]:
    place = {image["id"]: _frame_of(image) for image in document["images"]}
    videos: dict[str, dict[int, _Person]] = {}
    numbers: dict[str, set[int]] = {}
    for video, number in place.values():
        numbers.setdefault(video, set()).add(number)
    for note in document["annotations"]:
        points = np.asarray(note["keypoints"], np.float32).reshape(17, 3)
        box = note.get("bbox") or (0, 0, *np.ptp(points[points[:, 2] > 0][:, :2], axis=0))
        area = float(note.get("area") or box[2] * box[3])
        video, number = place[note["image_id"]]
        known = videos.setdefault(video, {}).get(number)
        if known is None or area > known.area:
            videos[video][number] = _Person(area, points)
    out = {}
    for video, there in numbers.items():
        order = sorted(there)
        # Numbers are those of frames in one file; of a folder of images only their order counts.
        rows = {n: i for i, n in enumerate(order)} if _is_folder(video) else {n: n for n in order}
        track = np.zeros((max(rows.values()) + 1, 17, 3), np.float32)
        for number, person in videos.get(video, {}).items():
            track[rows[number]] = person.points
        joints = from_coco(track)
        joints[..., 2] = (joints[..., 2] > 0).astype(np.float32)
        out[video] = track_of(joints)
    return out


def _is_folder(video: str) -> bool:
    return PurePosixPath(video).suffix == ""


def _frame_of(image: Mapping[str, Any]) -> tuple[str, int]:
    """(video, number of the frame) of a COCO image."""
    name = PurePosixPath(str(image["file_name"]))
    for key in ("frame_id", "frame", "frame_index"):
        if key in image:
            video = str(name) if name.suffix.lower() not in _PICTURES else str(name.parent)
            return video, int(image[key])
    digits = re.findall(r"\d+", name.stem)
    if not digits or str(name.parent) == ".":
        raise InvalidArgumentError(
            f"[data.keypoints] COCO image: got {image['file_name']!r}, expected VIDEO/FRAME.jpg or "
            "a video with frame_id. Name images by the folder of their video."
        )
    return str(name.parent), int(digits[-1])


_PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}


def _unreadable(path: Path, detail: str) -> FileError:
    return FileError(
        f"[data.keypoints] {path} holds no joints that can be read: got {detail}, expected the "
        "NPZ of pvnet label, an NPZ or JSON object with joints per video, or COCO keypoints. "
        "See docs/data.md."
    )
