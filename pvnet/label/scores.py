"""How good labels of videos are: against J-HMDB's true joints."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from pvnet.data.sets.jhmdb import JhmdbIndex, read_index
from pvnet.errors import FileError
from pvnet.evaluate.metrics import joint_counts, summary
from pvnet.label.files import Labels, VideoLabels

_NOWHERE = 1e6  # where a joint is put that was not found: far from every truth


def score_labels(
    labels: Labels, folder: Path, *, split: int | None = None, seed: int = 0
) -> dict[str, Any]:
    """Metrics with bootstrap intervals over clips; ambiguous clips are left out.

    Joints outside the picture do not count. `found` scores the frames in which somebody was found,
    `all` every frame, a joint that was not found being wrong.

    Args:
        labels: of J-HMDB's videos; joined by `<label>/<clip id>.mp4`, or by the clip id.
        folder: of the data set.
        split: only the test clips of this split; None: all clips with truth.
        seed: of the bootstrap.

    Returns:
        `clips`, `frames`, `found_rate`, and `found` and `all` with `pck@0.2_box`,
        `pck@0.2_box_interval`, and so on (see `pvnet.evaluate.metrics`).

    Raises:
        FileError: if the folder is not complete or none of its videos is labelled.
    """
    index = read_index(folder)
    by_name = _names(labels)
    found_counts, all_counts, clips, frames, found_frames, unlabelled = [], [], 0, 0, 0, 0
    for k in range(len(index.rows)):
        if not index.has_truth(k) or (split and not index.in_part(k, split, train=False)):
            continue
        video = _find(by_name, index, k)
        if video is None:
            unlabelled += 1
            continue
        track = index.true_track(k)
        n = min(len(track.joints), len(video.joints))
        found = video.found[:n]
        joints = np.where(found[:, None, None], video.joints[:n, :, :2], _NOWHERE)
        truth, visible = track.joints[:n], track.visible[:n]
        found_counts.append(joint_counts(joints, truth, visible, found))
        everything = joint_counts(joints, truth, visible, np.ones(n, np.bool_))
        all_counts.append({m: c for m, c in everything.items() if m.startswith("pck")})
        clips, frames, found_frames = clips + 1, frames + n, found_frames + int(found.sum())
    if not clips:
        raise FileError(
            f"[label.scores] no video of {folder} is labelled: got {len(by_name)} other "
            "names, expected names like walk/12.mp4. Label the data set's videos folder."
        )
    return {
        "clips": clips,
        "clips_without_labels": unlabelled,
        "frames": frames,
        "found_rate": found_frames / frames,
        "found": summary(found_counts, seed=seed),
        "all": summary(all_counts, seed=seed),
    }


def _names(labels: Labels) -> dict[str, VideoLabels]:
    out: dict[str, VideoLabels] = {}
    for name, video in labels.videos.items():
        path = PurePosixPath(name)
        out[path.stem] = video
        out["/".join(path.parts[-2:])] = video
    return out


def _find(names: dict[str, VideoLabels], index: JhmdbIndex, k: int) -> VideoLabels | None:
    row = index.rows[k]
    path = PurePosixPath(row["path"])
    return names.get("/".join(path.parts[-2:])) or names.get(row["clip_id"])
