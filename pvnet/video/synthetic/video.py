"""Endless labelled videos of moving figures, from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pvnet.errors import InvalidArgumentError
from pvnet.video.frame import Frame
from pvnet.video.raster import draw_disc
from pvnet.video.synthetic.actions import ACTIONS
from pvnet.video.synthetic.background import Camera, Scene
from pvnet.video.synthetic.body import Style
from pvnet.video.synthetic.render import draw_figure
from pvnet.video.synthetic.timeline import Performer

_CHUNK = 32  # frames whose motion is computed at once


@dataclass(frozen=True, slots=True)
class SyntheticFrame(Frame):
    """A frame with its truth.

    Attributes:
        joints: float32 [13, 2], pixel x, y of the main figure.
        visible: bool [13], inside the picture and not behind something.
        action: label of the main figure, an index into ACTIONS.
        all_joints: float32 [figures, 13, 2], the main figure first.
    """

    joints: NDArray[np.float32] = field(default_factory=lambda: np.zeros((13, 2), np.float32))
    visible: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(13, np.bool_))
    action: int = -1
    all_joints: NDArray[np.float32] = field(
        default_factory=lambda: np.zeros((0, 13, 2), np.float32)
    )


@dataclass(frozen=True)
class _Chunk:
    """Per frame: joints and toes in pixels, depth, facing, label."""

    points: NDArray[np.float32]  # [n, 15, 2], before the camera's drift
    depth: NDArray[np.float32]  # [n, 15]
    facing: NDArray[np.float32]  # [n, 2]
    labels: NDArray[np.int64]  # [n]
    pan: NDArray[np.float32]  # [n]
    ground: NDArray[np.float32]  # [n] y of the ground under the body


class _Actor:
    """One figure in the picture: performer, looks, position, size."""

    def __init__(
        self,
        rng: np.random.Generator,
        size: tuple[int, int],
        *,
        fps: float,
        label: int | None,
        rank: int,
        span: int | None,
        follow: float,
    ) -> None:
        h, w = size
        self.performer = Performer(rng, fps=fps, label=label, span=span)
        self.style = Style.sample(rng, self.performer.body.girth)
        share = rng.uniform(0.58, 0.84) * (0.8 if rank else 1.0)
        self.scale = float(share * min(h, 1.5 * w))
        low = 0.97 if rank == 0 else 0.88
        self._floor = float(rng.uniform(low - 0.08, low)) * h
        self._home = float(rng.uniform(0.36, 0.64) if rank == 0 else rng.uniform(0.1, 0.9)) * w
        self._tilt = float(rng.uniform(0.03, 0.16))
        self._follow = follow  # clip: share of the way the camera goes; endless: rate per frame
        self._w = w
        self._pan = 0.0
        self._x = 0.0  # way walked to the right, in pixels
        self._last_forward = 0.0
        self._span = span

    def chunk(self, n: int) -> _Chunk:
        motion = self.performer.frames(n)
        s, c = np.sin(motion.yaw)[:, None], np.cos(motion.yaw)[:, None]
        p = motion.points
        # Yaw 0 faces the camera: forward is towards it, the body's left is the image's right.
        across = p[..., 0] * c + p[..., 2] * s
        toward = p[..., 2] * c - p[..., 0] * s
        moved = np.diff(motion.forward, prepend=self._last_forward)
        self._last_forward = float(motion.forward[-1])
        x = self._x + np.cumsum(moved * np.sin(motion.yaw)) * self.scale
        self._x = float(x[-1])
        if self._span is not None:  # a clip: follow as much as the way needs to stay in view
            follow = max(self._follow, 1 - 0.55 * self._w / max(float(np.ptp(x)), 1e-3))
            pan = x * follow
            shown = x - pan - (x - pan).mean()
        else:
            pan = self._pans(x) if self._follow > 0 else 0 * x
            shown = x - pan
        height = p[..., 1] - self._tilt * toward
        points = np.stack(
            [
                self._home + shown[:, None] + self.scale * across,
                self._floor - self.scale * height,
            ],
            -1,
        )
        return _Chunk(
            points.astype(np.float32),
            toward.astype(np.float32),
            np.concatenate([s, c], 1).astype(np.float32),
            motion.actions,
            pan.astype(np.float32),
            np.full(n, self._floor, np.float32),
        )

    def _pans(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where the camera is that goes after the figure at x: slowly, but never losing it."""
        out, room = np.empty_like(x), 0.22 * self._w
        for i, position in enumerate(x):
            self._pan += self._follow * (position - self._pan)
            self._pan = min(max(self._pan, position - room), position + room)
            out[i] = self._pan
        return out


class SyntheticVideo:
    """An iterator over `SyntheticFrame`s; the same seed gives the same pixels.

    Args:
        seed: every choice derives from it.
        height: of the picture in pixels.
        width: of the picture in pixels.
        n_frames: length, None for an endless video.
        action: label (index or name) of the main figure's only action, None for a changing
            sequence.
        figures: number of figures; the first is the main one, nearest to the camera.
        fps: frames per second.
        noise: standard deviation of the sensor noise in grey levels.
        drift: strength of the camera's drift as a share of the height.
        distractors: number of moving things, None for a random number.
        plain: a background of one colour and even light.
        whole_clip: put the figure so that its whole way fits around the middle (needs n_frames).
        backdrop: [n, h, w, 3] float32 (0..255) pictures behind the figures, used again and again,
            instead of a procedural scene.

    Raises:
        InvalidArgumentError: for sizes below 16, an unknown action, or other values out of range.
    """

    def __init__(
        self,
        seed: int,
        height: int = 128,
        width: int = 96,
        n_frames: int | None = None,
        *,
        action: int | str | None = None,
        figures: int = 1,
        fps: float = 25.0,
        noise: float = 3.0,
        drift: float = 0.02,
        distractors: int | None = None,
        plain: bool = False,
        whole_clip: bool = False,
        backdrop: NDArray[np.float32] | None = None,
    ) -> None:
        label = _label(action)
        _check("height", height, height >= 16, "at least 16")
        _check("width", width, width >= 16, "at least 16")
        _check("figures", figures, 0 <= figures <= 16, "0 to 16")
        _check("fps", fps, fps > 0, "a positive number")
        _check("noise", noise, noise >= 0, "a number of at least 0")
        _check("n_frames", n_frames, n_frames is None or n_frames >= 0, "None or at least 0")
        _check("seed", seed, seed >= 0, "a number of at least 0")
        shape = None if backdrop is None else np.shape(backdrop)
        fits = shape is None or (shape[0] > 0 and shape[1:] == (height, width, 3))
        _check("shape of backdrop", shape, fits, f"(n, {height}, {width}, 3)")
        self._backdrop = backdrop
        rng = np.random.default_rng(seed)
        self.height, self.width, self.fps, self.n_frames = height, width, fps, n_frames
        self.seed = seed
        span = n_frames if whole_clip and n_frames else None
        follow = float(rng.choice([0.0, 0.75, 0.95])) if span else 1.0 / fps
        self._actors = [
            _Actor(
                rng,
                (height, width),
                fps=fps,
                label=label if k == 0 else None,
                rank=k,
                span=span,
                follow=follow if k == 0 else 0.0,
            )
            for k in range(figures)
        ]
        self._scene = Scene(
            rng,
            height,
            width,
            horizon=float(rng.uniform(0.5, 0.85)),
            distractors=distractors,
            plain=plain,
        )
        self._camera = Camera(
            rng, height, width, noise=noise, drift=0.0 if plain else drift, even=plain
        )
        self._chunk_frames = span or _CHUNK
        self._chunks: list[_Chunk] = []
        self._index = 0

    def __iter__(self) -> Iterator[SyntheticFrame]:
        return self

    def __next__(self) -> SyntheticFrame:
        if self.n_frames is not None and self._index >= self.n_frames:
            raise StopIteration
        index, time_s = self._index, self._index / self.fps
        k = index % self._chunk_frames
        if k == 0:
            self._chunks = [a.chunk(self._chunk_frames) for a in self._actors]
        drift_x, drift_y = self._camera.pan(time_s)
        follow = float(self._chunks[0].pan[k]) if self._chunks else 0.0
        if self._backdrop is None:
            image = self._scene.view(drift_x + follow, drift_y)
        else:
            image = np.array(self._backdrop[index % len(self._backdrop)], np.float32)
        self._scene.draw_movers(image, time_s, front=False)
        shift = np.array([drift_x, drift_y], np.float32)
        bodies = [c.points[k] - shift for c in self._chunks]
        for j in range(1, len(bodies)):  # what walks behind is left behind when the camera follows
            lap = 2.0 * self.width
            middle = float(bodies[j][:, 0].mean())
            bodies[j][:, 0] += (middle - follow + lap / 4) % lap - lap / 4 - middle
        for actor, chunk, body in list(zip(self._actors, self._chunks, bodies))[::-1]:
            self._draw(image, actor, chunk, body, k, drift_y)
        self._scene.draw_movers(image, time_s, front=True)
        joints = bodies[0][:13] if bodies else np.zeros((13, 2), np.float32)
        limits = np.array([self.width, self.height], np.float32) - 0.5
        visible = ((joints >= -0.5) & (joints < limits)).all(axis=1) & bool(bodies)
        visible &= ~self._scene.hidden(joints, time_s)
        self._index += 1
        return SyntheticFrame(
            image=self._camera.expose(image, index, time_s),
            index=index,
            time_s=time_s,
            source=f"synthetic:seed={self.seed}",
            joints=np.ascontiguousarray(joints, np.float32),
            visible=visible,
            action=int(self._chunks[0].labels[k]) if bodies else -1,
            all_joints=np.array([p[:13] for p in bodies], np.float32).reshape(-1, 13, 2),
        )

    def _draw(
        self,
        image: NDArray[np.float32],
        actor: _Actor,
        chunk: _Chunk,
        body: NDArray[np.float32],
        k: int,
        drift_y: float,
    ) -> None:
        middle = float(body[[7, 8, 11, 12], 0].mean())
        spread = float(np.ptp(body[[11, 12], 0])) / 2
        ground = (middle, float(chunk.ground[k]) - drift_y)
        wide = 0.13 * actor.scale + 0.6 * spread
        draw_disc(image, ground, wide, color=(12, 12, 16), opacity=0.38, squash=0.22)
        draw_figure(
            image,
            body[:13],
            style=actor.style,
            depth=chunk.depth[k, :13],
            toes=body[13:],
            height=actor.scale,
            facing=(float(chunk.facing[k, 0]), float(chunk.facing[k, 1])),
        )


def clip(
    seed: int, frames: int, height: int, width: int, *, action: int | str | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.bool_], int]:
    """A labelled training clip of one figure doing one action.

    Args:
        seed: every choice derives from it.
        frames: length t in frames (25 per second).
        height: of the picture in pixels.
        width: of the picture in pixels.
        action: label (index or name), None for a random one.

    Returns:
        images uint8 [t, h, w, 3], joints float32 [t, 13, 2] (pixel x, y), visible bool [t, 13],
        and the label.

    Raises:
        InvalidArgumentError: as `SyntheticVideo`, or if frames < 1.
    """
    _check("frames", frames, frames >= 1, "at least 1")
    label = _label(action)
    if label is None:
        label = int(np.random.default_rng([seed, 13]).integers(len(ACTIONS)))
    video = SyntheticVideo(seed, height, width, frames, action=label, whole_clip=True)
    made = list(video)
    return (
        np.stack([f.image for f in made]),
        np.stack([f.joints for f in made]),
        np.stack([f.visible for f in made]),
        label,
    )


def _label(action: int | str | None) -> int | None:
    if action is None:
        return None
    if isinstance(action, str) and action in ACTIONS:
        return ACTIONS.index(action)
    if isinstance(action, int) and 0 <= action < len(ACTIONS):
        return action
    raise InvalidArgumentError(
        f"[synthetic] action: got {action!r}, expected an index below {len(ACTIONS)} or a name. "
        f"Names are {', '.join(ACTIONS)}."
    )


def _check(name: str, value: object, good: bool, expected: str) -> None:
    if not good:
        raise InvalidArgumentError(
            f"[synthetic] {name}: got {value!r}, expected {expected}. Change {name}."
        )
