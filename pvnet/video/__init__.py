"""Videos in and out: files, folders, cameras, synthetic figures; live policies; a writer.

Needs numpy only; files and cameras need PyAV (`pip install "pvnet-video[video]"`).
"""

from __future__ import annotations

from .feed import POLICIES, Feed, FeedStats, Policy, default_policy
from .frame import Frame, Gap, SourceInfo, SourceStats
from .joints import FLIP, JOINTS, SKELETON, flip_joints
from .live import Reconnect
from .mapping import Fit, Mapping
from .one_euro import OneEuro
from .source import DAMAGED, Damaged, Source, open
from .writer import VideoWriter

__all__ = [
    "DAMAGED",
    "FLIP",
    "JOINTS",
    "POLICIES",
    "SKELETON",
    "Damaged",
    "Feed",
    "FeedStats",
    "Fit",
    "Frame",
    "Gap",
    "Mapping",
    "OneEuro",
    "Policy",
    "Reconnect",
    "Source",
    "SourceInfo",
    "SourceStats",
    "VideoWriter",
    "default_policy",
    "flip_joints",
    "open",
]
