"""Random changes of a training clip: zoom, shift, shape, rotation, mirror image, colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from pvnet.data.clips import Clip, find_inside
from pvnet.data.resample import Box, move, resample, warp
from pvnet.errors import InvalidArgumentError
from pvnet.video.joints import FLIP, flip_joints

_GREY = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class Change:
    """What happens to one clip.

    Attributes:
        zoom: factor on the size of what is shown.
        shape: factor on its width over height.
        shift: (x, y) of the middle of the new picture, shares of its size from the old middle.
        angle: rotation of the content in radians, clockwise on the screen.
        mirrored: left and right exchanged, after everything else.
        colour: [3, 3] matrix on RGB.
        offset: added to every channel after it, in grey levels.
    """

    zoom: float
    shape: float
    shift: tuple[float, float]
    angle: float
    mirrored: bool
    colour: NDArray[np.float64]
    offset: float

    @property
    def moves(self) -> bool:
        """Whether pixels change their place (but for mirroring)."""
        return self.zoom != 1 or self.shape != 1 or self.shift != (0.0, 0.0) or self.angle != 0

    def box(self, h: int, w: int) -> Box:
        """What is shown, before rotation."""
        half_w, half_h = 0.5 * w / (self.zoom * self.shape), 0.5 * h * self.shape / self.zoom
        x, y = w * (0.5 + self.shift[0]), h * (0.5 + self.shift[1])
        return Box(x - half_w, y - half_h, x + half_w, y + half_h)

    def matrix(self, size: tuple[int, int], *, mirror: bool = True) -> NDArray[np.float64]:
        """[2, 3]: where (x, y, 1) of the new picture lies in the old one, both of (h, w) `size`.

        Edge coordinates: pixel i reaches from i to i + 1.

        Args:
            size: (h, w).
            mirror: with the mirroring.
        """
        h, w = size
        box = self.box(h, w)
        sx, sy = (box.x1 - box.x0) / w, (box.y1 - box.y0) / h
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        turn = np.array([[cos, sin], [-sin, cos]])
        lin = turn @ np.diag([sx, sy])
        middle = np.array([(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2])
        shift = middle - lin @ np.array([w / 2, h / 2])
        if mirror and self.mirrored:
            shift = shift + lin @ np.array([w, 0.0])
            lin = lin @ np.diag([-1.0, 1.0])
        return np.concatenate([lin, shift[:, None]], axis=1)


@dataclass(frozen=True)
class Augment:
    """Strengths of the random changes; 0 everywhere changes nothing. One draw per clip.

    Attributes:
        zoom: the picture is made larger or smaller by up to this share (0.25: 0.8 to 1.25).
        shift: moved by up to this share of its size.
        stretch: change of its shape, width over height, by up to this share.
        rotate: turned by up to this many degrees.
        flip: probability of the mirror image (joints and mirrored labels change with it).
        brightness: offset, share of the grey range.
        contrast: change of the slope.
        saturation: change of the colour strength.
        tint: change of the gain of each channel.
        noise: standard deviation of pixel noise in grey levels.
    """

    zoom: float = 0.25
    shift: float = 0.08
    stretch: float = 0.1
    rotate: float = 0.0
    flip: float = 0.5
    brightness: float = 0.12
    contrast: float = 0.25
    saturation: float = 0.35
    tint: float = 0.06
    noise: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (np.isfinite(value) and value >= 0) or (field.name == "flip" and value > 1):
                raise InvalidArgumentError(
                    f"[data.Augment] {field.name}: got {value!r}, expected a number of at least 0"
                    f"{' and at most 1' if field.name == 'flip' else ''}. Pass 0 to turn it off."
                )

    @staticmethod
    def parse(text: str) -> Augment:
        """`none`, `default`, or settings that replace the defaults: `flip=0,zoom=0.1`.

        Raises:
            InvalidArgumentError: for an unknown name or a value that is no number.
        """
        if text in ("none", "off"):
            return Augment(**{f.name: 0.0 for f in fields(Augment)})
        known = {f.name for f in fields(Augment)}
        values = {}
        for item in [] if text in ("", "default") else text.split(","):
            key, _, value = item.partition("=")
            try:
                if key.strip() not in known:
                    raise ValueError(key)
                values[key.strip()] = float(value)
            except ValueError as error:
                raise InvalidArgumentError(
                    f"[data.Augment] setting: got {item!r}, expected NAME=NUMBER with a name of "
                    f"{', '.join(sorted(known))}. Write for example flip=0,zoom=0.1."
                ) from error
        return Augment(**values)

    def __call__(
        self, clip: Clip, rng: np.random.Generator, *, mirror_labels: Sequence[int] = ()
    ) -> Clip:
        """The changed clip.

        Args:
            clip: frames uint8 [t, h, w, 3] and the rest; it is left as it is.
            rng: where the choices come from; it advances equally whatever the strengths are.
            mirror_labels: label of the mirror image of each label; empty: labels stay.
        """
        change = self.draw(rng)
        h, w = clip.frames.shape[1:3]
        frames, joints, visible, label = clip.frames, clip.joints, clip.visible, clip.label
        if change.moves:
            if change.angle:
                frames = warp(frames, change.matrix((h, w), mirror=False), (h, w))
            else:
                frames = resample(frames, change.box(h, w), (h, w))
            if joints is not None:
                joints = move(joints, change.matrix((h, w), mirror=False))
        if change.mirrored:
            frames = frames[:, :, ::-1]
            if joints is not None:
                joints = flip_joints(joints, w)
            if visible is not None:
                visible = visible[:, list(FLIP)]
            if mirror_labels and label >= 0:
                label = int(mirror_labels[label])
        if joints is not None and visible is not None:
            visible = visible & find_inside(joints, (h, w))
        frames = self._colour(np.ascontiguousarray(frames), change, rng)
        return replace(clip, frames=frames, joints=joints, visible=visible, label=label)

    def draw(self, rng: np.random.Generator) -> Change:
        """The changes of one clip; `rng` advances equally whatever the strengths are."""
        draw = rng.uniform(-1.0, 1.0, 10)
        mirrored = bool(rng.random() < self.flip)
        angle = float(rng.uniform(-1.0, 1.0)) * np.deg2rad(self.rotate)
        slope = (1 + self.contrast) ** draw[4]
        strength = max(0.0, 1 + self.saturation * draw[5])
        matrix = strength * np.eye(3) + (1 - strength) * _GREY[None, :]
        return Change(
            zoom=float((1 + self.zoom) ** draw[0]),
            shape=float((1 + self.stretch) ** (0.5 * draw[1])),
            shift=(float(self.shift * draw[2]), float(self.shift * draw[3])),
            angle=float(angle),
            mirrored=mirrored,
            colour=slope * (1 + self.tint * draw[7:10])[:, None] * matrix,
            offset=float(255 * self.brightness * draw[6] + 127.5 * (1 - slope)),
        )

    def _colour(
        self, frames: NDArray[np.uint8], change: Change, rng: np.random.Generator
    ) -> NDArray[np.uint8]:
        if not (self.brightness or self.contrast or self.saturation or self.tint or self.noise):
            return frames
        matrix = change.colour.astype(np.float32)
        channels = [frames[..., c].astype(np.float32) for c in range(3)]
        out = np.empty_like(frames)
        noise: NDArray[np.float32] | None = None
        if self.noise:
            noise = rng.normal(0, self.noise, frames.shape[1:3]).astype(np.float32)
        for c in range(3):
            plane = channels[0] * matrix[c, 0]
            plane += channels[1] * matrix[c, 1]
            plane += channels[2] * matrix[c, 2]
            plane += np.float32(change.offset + 0.5)
            if noise is not None:  # another shift of it in every frame and channel
                for t in range(len(plane)):
                    plane[t] += np.roll(noise, (7 * t + 3 * c, 11 * t + 5 * c), (0, 1))
            out[..., c] = np.clip(plane, 0, 255, out=plane)
        return out
