"""Who does what when: a performer's endless sequence of actions, as poses per frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pvnet.video.synthetic.actions import ACTIONS, Action, Manner, action, pose_at
from pvnet.video.synthetic.body import Body, root_motion, skeleton

Array = NDArray[np.float64]

BLEND_S = 0.24  # time to pass from one action's pose to the next one's
HOLD_S = 0.3  # rest after a one-shot action


@dataclass(frozen=True)
class Motion:
    """A stretch of a performance, n frames.

    Attributes:
        points: [n, 15, 3] joints and toes in the body's frame, in body heights.
        forward: [n] way walked along the body's forward direction.
        yaw: [n] turn of the body in radians; 0 faces the camera.
        actions: int [n] label.
        cuts: bool [n] where a pose does not follow from the one before (jump cut).
    """

    points: Array
    forward: Array
    yaw: Array
    actions: NDArray[np.int64]
    cuts: NDArray[np.bool_]


@dataclass(frozen=True)
class _Segment:
    act: Action
    label: int
    manner: Manner
    start: int
    length: int
    period: float  # frames per cycle or performance
    begun: float  # progress at its start
    yaw: float
    cut: bool

    def progress(self, frames: NDArray[np.int64]) -> Array:
        passed = (frames - self.start) / self.period
        return passed + self.begun if self.act.cyclic else passed


class Performer:
    """Produces the motion of one figure, frame after frame, from a seed.

    Args:
        rng: where all choices come from.
        fps: frames per second.
        label: index of the only action, or None for a changing sequence in which every action
            begins where the one before ended.
        span: for a clip of this many frames: a one-shot action fills most of it.
    """

    def __init__(
        self, rng: np.random.Generator, *, fps: float, label: int | None, span: int | None = None
    ) -> None:
        self._rng = rng
        self._fps = fps
        self._label = label
        self._span = span
        self.body = Body.sample(rng)
        self._tempo = float(np.clip(rng.normal(1.0, 0.18), 0.6, 1.5))
        self._segments: list[_Segment] = [self._first()]
        self._frame = 0
        self._forward = 0.0
        self._last: tuple[Array, Array] | None = None  # pose [1, p], points [1, 15, 3]

    def _manner(self) -> Manner:
        return Manner(
            strength=float(np.clip(self._rng.normal(1.0, 0.1), 0.75, 1.15)),
            side=int(self._rng.integers(2)),
            variant=int(self._rng.integers(2)),
        )

    def _segment(self, label: int, start: int, like: _Segment | None, cut: bool) -> _Segment:
        rng, act = self._rng, action(label)
        paired = like is not None and like.act.leaves == act.name
        if like is not None and paired:
            yaw, manner = like.yaw, like.manner
        else:
            yaw = rng.uniform(*act.yaw) * (rng.choice([-1, 1]) if act.mirrored_yaw else 1)
            manner = self._manner()
        speed = self._tempo * float(np.clip(rng.normal(1.0, 0.12), 0.7, 1.4))
        period = act.period_s * self._fps / speed
        rest = HOLD_S * self._fps
        if act.cyclic:
            length = round(rng.uniform(1.8, 3.6) * self._fps)
        elif self._span is not None and self._label is not None and start <= 0:
            # Let one performance fill the clip, with a little rest before and after it.
            period = min(max(self._span * rng.uniform(0.62, 0.95), 3.0), 2.2 * period)
            length = max(round(period + rest), 1)
            start = -round(rng.uniform(-0.1, 0.02) * self._span) if self._span > 8 else 0
        else:
            length = max(round(period + rest * rng.uniform(0.4, 1.6)), 1)
        begun = float(rng.random()) if act.cyclic else 0.0
        return _Segment(act, label, manner, start, length, period, begun, np.deg2rad(yaw), cut)

    def _first(self) -> _Segment:
        label = self._label
        if label is None:  # begin with an action that starts from the stand
            firsts = [i for i in range(len(ACTIONS)) if not _follows(i)]
            label = int(self._rng.choice(firsts))
        return self._segment(label, 0, None, True)

    def _next(self, now: _Segment) -> _Segment:
        start = now.start + now.length
        if self._label is not None:
            if now.act.cyclic:
                return replace(now, start=start, begun=now.begun + now.length / now.period)
            again = self._segment(self._label, start, None, True)
            return replace(again, start=start, yaw=now.yaw)
        if now.act.leaves:
            return self._segment(ACTIONS.index(now.act.leaves), start, now, False)
        free = [i for i in range(len(ACTIONS)) if not _follows(i) and i != now.label]
        return self._segment(int(self._rng.choice(free)), start, now, False)

    def frames(self, n: int) -> Motion:
        """The next n frames."""
        begin, end = self._frame, self._frame + n
        while self._segments[-1].start + self._segments[-1].length < end:
            self._segments.append(self._next(self._segments[-1]))
        poses: list[Array] = []
        yaw, labels = np.zeros(n), np.zeros(n, np.int64)
        cuts = np.zeros(n, np.bool_)
        previous: _Segment | None = None
        for seg in self._segments:
            a, b = max(seg.start, begin), min(seg.start + seg.length, end)
            if seg is self._segments[0]:
                a = begin
            if a < b:
                frames = np.arange(a, b)
                pose = pose_at(seg.act, seg.progress(frames), seg.manner)
                turn = np.full(b - a, seg.yaw)
                if previous is not None and not seg.cut:
                    pose, turn = self._blend(previous, seg, frames, pose, turn)
                elif previous is not None and a == seg.start:
                    cuts[a - begin] = True
                poses.append(pose)
                yaw[a - begin : b - begin] = turn
                labels[a - begin : b - begin] = seg.label
            previous = seg
        self._segments = self._segments[-2:]
        self._frame = end
        return self._motion(np.concatenate(poses), yaw, labels, cuts)

    def _blend(
        self, old: _Segment, new: _Segment, frames: NDArray[np.int64], pose: Array, turn: Array
    ) -> tuple[Array, Array]:
        x = np.clip((frames - new.start + 1) / (BLEND_S * self._fps + 1), 0, 1)
        weight = x * x * (3 - 2 * x)
        before = pose_at(old.act, old.progress(frames), old.manner)
        gap = (new.yaw - old.yaw + np.pi) % (2 * np.pi) - np.pi
        return (
            before + (pose - before) * weight[:, None],
            turn - gap * (1 - weight),
        )

    def _motion(
        self, pose: Array, yaw: Array, labels: NDArray[np.int64], cuts: NDArray[np.bool_]
    ) -> Motion:
        points = skeleton(pose, self.body)
        if self._last is None:
            forward = root_motion(points, pose)
        else:
            joined = (
                np.concatenate([self._last[1], points]),
                np.concatenate([self._last[0], pose]),
            )
            forward = root_motion(*joined)[1:]
        moved = np.diff(forward, prepend=0.0)
        moved[cuts] = 0.0
        forward = self._forward + np.cumsum(moved)
        self._forward = float(forward[-1])
        self._last = (pose[-1:], points[-1:])
        return Motion(points, forward, yaw, labels, cuts)


def _follows(label: int) -> bool:
    """Whether an action begins where another one left the body."""
    return any(action(i).leaves == ACTIONS[label] for i in range(len(ACTIONS)))
