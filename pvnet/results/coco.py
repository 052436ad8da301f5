"""Joints as key points of COCO: images, annotations and one category with our 13 joints."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from pvnet.results.rows import BONES, Row
from pvnet.video.joints import JOINTS

# Joints of a lower confidence count as not labelled, as the overlay leaves them out.
SEEN = 0.2
_UNLABELLED, _VISIBLE = 0, 2


def category() -> dict[str, Any]:
    """The category `person`; COCO counts joints from 1."""
    return {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": list(JOINTS),
        "skeleton": [[a + 1, b + 1] for a, b in BONES],
    }


def image(row: Row, source: str) -> dict[str, Any]:
    """The frame of a row; a video has no file a frame, so its name is the video's and the index."""
    height, width = row.size or (0, 0)
    return {
        "id": row.tick + 1,
        "file_name": f"{source}#{row.frame}",
        "frame_index": row.frame,
        "time_s": round(row.time_s, 6),
        "width": width,
        "height": height,
    }


def annotation(row: Row) -> dict[str, Any] | None:
    """The person of a row; None where no joint was seen."""
    if row.joints is None:
        return None
    seen = np.isfinite(row.joints).all(axis=1) & (row.joints[:, 2] >= SEEN)
    if not seen.any():
        return None
    points: list[float] = []
    for (x, y, _), there in zip(row.joints.tolist(), seen):
        points += [round(x, 2), round(y, 2), _VISIBLE] if there else [0, 0, _UNLABELLED]
    low, high = row.joints[seen, :2].min(axis=0), row.joints[seen, :2].max(axis=0)
    box = [round(float(v), 2) for v in (*low, *(high - low))]
    return {
        "id": row.tick + 1,
        "image_id": row.tick + 1,
        "category_id": 1,
        "keypoints": points,
        "num_keypoints": int(seen.sum()),
        "keypoint_scores": [round(float(s), 4) for s in row.joints[:, 2]],
        "score": round(float(row.joints[seen, 2].mean()), 4),
        "bbox": box,
        "area": round(box[2] * box[3], 2),
        "iscrowd": 0,
    }


class Document:
    """A COCO document that grows; it can be written out at any time.

    Args:
        source: name of the video.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._images: list[str] = []
        self._annotations: list[str] = []

    def add(self, row: Row) -> None:
        """Add the image of a row, and its person."""
        self._images.append(json.dumps(image(row, self._source)))
        person = annotation(row)
        if person is not None:
            self._annotations.append(json.dumps(person))

    def text(self) -> str:
        """JSON, one image or annotation a line."""
        head = json.dumps({"description": f"pvnet on {self._source}"})
        return (
            f'{{"info": {head},\n"licenses": [],\n"categories": [{json.dumps(category())}],\n'
            f'"images": [\n{_lines(self._images)}],\n'
            f'"annotations": [\n{_lines(self._annotations)}]}}\n'
        )


def _lines(items: list[str]) -> str:
    return ",\n".join(items) + ("\n" if items else "")
