"""Tiny videos whose frames tell their number, and a miniature of the J-HMDB folder."""

from __future__ import annotations

import csv
import os
import re
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

MESSAGE = re.compile(r"^\[.+\] .+: got .+, expected .+\. .+\.$", re.DOTALL)
FAKE_POSE_WORKER = Path(__file__).with_name("fake_pose_worker.py")
DATA = Path(os.environ["PVNET_TEST_DATA"]) if os.environ.get("PVNET_TEST_DATA") else None
needs_data = pytest.mark.skipif(DATA is None, reason="PVNET_TEST_DATA names no folder")


def refused(kind, function, *args, **kwargs):
    """The message of the error that the call must raise, checked for its form."""
    with pytest.raises(kind) as caught:
        function(*args, **kwargs)
    assert MESSAGE.match(str(caught.value)), str(caught.value)
    return str(caught.value)


def level(k: int) -> int:
    """Grey level of frame k."""
    return 16 + 6 * (k % 38)


def write_video(path, n, *, size=(48, 64), fps=25, times=None, gop=12):
    """n frames of one grey level each; `times` in 1/1000 s makes the rate variable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.height, stream.width = size
        odd = size[0] % 2 or size[1] % 2
        stream.pix_fmt = "yuv444p" if odd else "yuv420p"
        stream.options = {"crf": "4", "preset": "ultrafast", "g": str(gop), "bf": "0"}
        if times is not None:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for k in range(n):
            image = np.full((*size, 3), level(k), np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = k if times is None else times[k]
            frame.time_base = 1 / Fraction(fps) if times is None else Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def numbers(frames):
    """Frame numbers of frames written by `write_video`, from their grey levels."""
    levels = frames.reshape(len(frames), -1).mean(axis=1)
    return np.round((levels - 16) / 6).astype(int).tolist()


def write_csv(path, header, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def tiny_jhmdb(folder: Path) -> Path:
    """Six clips of two classes: truth, ambiguous truth, only estimates; 320x240 pictures.

    Clip 0..2 train, 3..5 test of split 1. 0, 1, 3, 4 have truth; 1 and 4 are ambiguous. The joints
    of clip k lie at (10 + 20 j + t, 20 + 15 j + k); joint 12 is outside the picture.
    """
    n, clips = 8, 6
    rows, truth, auto = [], [], []
    joint = np.arange(13, dtype=np.float32)
    for k in range(clips):
        label = ("sit", "walk")[k % 2]
        path = f"videos/{label}/{k}.mp4"
        write_video(folder / path, n, size=(240, 320), fps=30)
        has_gt, ambiguous = int(k in (0, 1, 3, 4)), int(k in (1, 4))
        part = "train" if k < 3 else "test"
        rows.append([k, path, label, n, part, "train", "test", has_gt, ambiguous])
        for t in range(n):
            xy = np.stack([10 + 20 * joint + t, 20 + 15 * joint + k], 1)
            xy[12] = (400, 100)
            truth.append(xy if has_gt else np.full_like(xy, np.nan))
            visibility = np.where(joint == 3, 0.4, 0.9)
            found = np.concatenate([xy + 2, visibility[:, None]], 1)
            auto.append(found if t else np.full_like(found, np.nan))
    header = [
        "clip_id",
        "path",
        "label",
        "n_frames",
        "split1",
        "split2",
        "split3",
        "has_gt",
        "ambiguous",
    ]
    write_csv(folder / "jhmdb.csv", header, rows)
    np.savez(
        folder / "jhmdb_labels.npz",
        classes=np.array(["sit", "walk"]),
        offset=np.arange(0, n * clips + 1, n),
        gt13=np.array(truth, np.float32),
        auto13=np.array(auto, np.float32),
    )
    return folder
