"""Joints of people in videos by an off-the-shelf pose estimator, and how good they are."""

from __future__ import annotations

from pvnet.label.estimator import Estimator, make_environment
from pvnet.label.files import Labels, load_labels, merge_labels, save_labels
from pvnet.label.labelling import find_jobs, label_videos
from pvnet.label.scores import score_labels

__all__ = [
    "Estimator",
    "Labels",
    "find_jobs",
    "label_videos",
    "load_labels",
    "make_environment",
    "merge_labels",
    "save_labels",
    "score_labels",
]
