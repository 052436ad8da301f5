"""Videos in and out: files, folders, cameras, synthetic figures; live policies; a writer.

Needs numpy only; files and cameras need PyAV (`pip install "pvnet-video[video]"`).
"""

from __future__ import annotations

from pvnet.video.feed import POLICIES, Feed, FeedStats, Policy, default_policy
from pvnet.video.frame import Frame, Gap, SourceInfo, SourceStats
from pvnet.video.joints import FLIP, JOINTS, SKELETON, flip_joints
from pvnet.video.live import Reconnect
from pvnet.video.mapping import Fit, Mapping
from pvnet.video.one_euro import OneEuro
from pvnet.video.source import DAMAGED, Damaged, Source, open
from pvnet.video.writer import VideoWriter

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
