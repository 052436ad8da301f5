"""Ticks into a viewer of Rerun: picture, joints, ages and times on the video's own clock."""

from __future__ import annotations

from typing import Any

import numpy as np

from pvnet.distribution import load
from pvnet.results.rows import BONES, Row, row_of
from pvnet.runtime import Tick
from pvnet.video.joints import JOINTS

_SEEN = 0.2


class RerunLog:
    """Logs ticks below one entity of the current recording, or of one that is given.

    Call `rerun.init("name", spawn=True)` before, or `rerun.save("run.rrd")` to write a file.

    Args:
        entity: what the paths begin with.
        recording: a `rerun.RecordingStream`; None: the current one.
        pictures: log the pictures, too.

    Raises:
        MissingPackageError: rerun-sdk is not installed.
    """

    def __init__(
        self, entity: str = "video", *, recording: Any = None, pictures: bool = True
    ) -> None:
        self._rerun = load("rerun", "results.rerun")
        self._entity = entity
        self._recording = recording
        self._pictures = pictures

    def log(self, tick: Tick) -> None:
        """Log a tick that `Stream.run` gave.

        Raises:
            UnsupportedError: the network gives neither joints nor actions.
        """
        row = row_of(tick)
        rr = self._rerun
        rr.set_time("frame", sequence=row.frame, recording=self._recording)
        rr.set_time("time", duration=row.time_s, recording=self._recording)
        picture = getattr(tick.frame, "original", None)
        if picture is None:
            picture = getattr(tick.frame, "image", None)
        # Joints lie in the picture before resizing, which a source need not keep.
        if self._pictures and picture is not None and picture.shape[:2] == row.size:
            self._log("", rr.Image(picture))
        if row.newest_age_ticks is not None:
            self._log("age_ticks", rr.Scalars([row.newest_age_ticks, row.oldest_age_ticks]))
        self._log("latency_ms", rr.Scalars([row.latency_ms]))
        if row.joints is not None:
            self._joints(row)
        elif row.actions:
            self._log("actions", rr.TextLog(", ".join(f"{n} {p:.2f}" for n, p in row.actions)))

    def _joints(self, row: Row) -> None:
        rr, joints = self._rerun, row.joints
        assert joints is not None
        seen = np.isfinite(joints).all(axis=1) & (joints[:, 2] >= _SEEN)
        labels = [f"{name} {s:.2f}" for name, s, there in zip(JOINTS, joints[:, 2], seen) if there]
        points = rr.Points2D(joints[seen, :2], labels=labels, show_labels=False, radii=4.0)
        self._log("joints", points)
        bones = [joints[[a, b], :2] for a, b in BONES if seen[a] and seen[b]]
        self._log("joints/bones", rr.LineStrips2D(bones))

    def _log(self, name: str, what: Any) -> None:
        path = f"{self._entity}/{name}" if name else self._entity
        self._rerun.log(path, what, recording=self._recording)
