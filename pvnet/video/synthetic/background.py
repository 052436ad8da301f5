"""Procedural scenes: textured wall and floor that the camera pans over, light, noise, objects."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvnet.video.raster import draw_disc, draw_line, draw_rectangle

Array = NDArray[np.float32]


def _upsample(coarse: Array, h: int, w: int) -> Array:
    """Smooth periodic-in-x interpolation of a coarse grid [a, b] to [h, w]."""

    def weights(n: int, m: int, periodic: bool) -> Array:
        at = np.arange(n) * ((m if periodic else m - 1) / n)
        low = np.floor(at).astype(np.int64)
        part = at - low
        part = part * part * (3 - 2 * part)
        out = np.zeros((n, m), np.float32)
        rows = np.arange(n)
        out[rows, low % m] += 1 - part
        out[rows, (low + 1) % m if periodic else np.minimum(low + 1, m - 1)] += part
        return out

    a, b = coarse.shape
    return np.asarray(weights(h, a, False) @ coarse @ weights(w, b, True).T, np.float32)


def value_noise(rng: np.random.Generator, h: int, w: int, cells: int, octaves: int = 3) -> Array:
    """[h, w] float32 in about -1..1, periodic in x."""
    out = np.zeros((h, w), np.float32)
    strength, total = 1.0, 0.0
    for _ in range(octaves):
        rows = max(2, min(h, round(cells * h / w) + 1))
        coarse = rng.uniform(-1, 1, (rows, max(2, min(w, cells)))).astype(np.float32)
        out += np.float32(strength) * _upsample(coarse, h, w)
        total += strength
        strength *= 0.55
        cells *= 2
    return out / np.float32(total)


def _palette(rng: np.random.Generator, n: int) -> Array:
    """[n, 3] colours that go together: one hue with a few neighbours."""
    hue = rng.random()
    colors = []
    for _ in range(n):
        h = (hue + rng.normal(0, 0.07)) % 1.0 if rng.random() < 0.75 else rng.random()
        colors.append(colorsys.hsv_to_rgb(h, rng.uniform(0.03, 0.6), rng.uniform(0.2, 0.92)))
    return np.array(colors, np.float32) * 255


@dataclass
class _Mover:
    """A distractor: a disc, a box or a bar that drifts through the picture."""

    kind: int
    size: float
    color: Array
    start: NDArray[np.float64]
    speed: NDArray[np.float64]  # pixels per second
    front: bool

    def position(self, time_s: float, h: int, w: int) -> tuple[float, float]:
        margin = 2 * self.size + 2
        x = (self.start[0] + self.speed[0] * time_s) % (w + 2 * margin) - margin
        y = (self.start[1] + self.speed[1] * time_s) % (h + 2 * margin) - margin
        return float(x), float(y)


class Scene:
    """A wall, a floor and moving things; the camera may pan without end.

    Args:
        rng: where all choices come from.
        height: of the picture in pixels.
        width: of the picture in pixels.
        horizon: y of the line between wall and floor, as a share of the height.
        distractors: number of moving things, None for a random number.
        plain: a single colour, nothing else.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        height: int,
        width: int,
        *,
        horizon: float,
        distractors: int | None,
        plain: bool = False,
    ) -> None:
        self._h, self._w = height, width
        self._margin = max(2, round(0.08 * height)) if not plain else 1
        self._period = 2 * width
        rows = height + 2 * self._margin
        if plain:
            texture = np.full((rows, self._period, 3), rng.uniform(60, 200, 3), np.float32)
        else:
            texture = self._paint(rng, rows, self._margin + round(horizon * height))
        # The first columns again at the end, so that every view is one slice.
        self._texture = np.concatenate([texture, texture[:, : width + 2]], axis=1)
        count = int(rng.integers(0, 5)) if distractors is None else distractors
        self._movers = [] if plain else [self._mover(rng) for _ in range(count)]

    def _paint(self, rng: np.random.Generator, rows: int, floor: int) -> Array:
        w, unit = self._period, self._h / 100
        texture = np.empty((rows, w, 3), np.float32)
        colors = _palette(rng, 8)
        floor = min(max(floor, 2), rows - 2)
        for top, bottom, k in ((0, floor, 0), (floor, rows, 2)):
            noise = value_noise(rng, bottom - top, w, int(rng.integers(3, 14)))
            mix = np.clip(0.5 + rng.uniform(0.2, 0.9) * noise, 0, 1)[..., None]
            texture[top:bottom] = colors[k] * mix + colors[k + 1] * (1 - mix)
        x = np.arange(w, dtype=np.float32)[None, :]
        y = np.arange(rows, dtype=np.float32)[:, None]
        if rng.random() < 0.55:  # bricks, panels or stripes on the wall
            step = w / rng.integers(6, 30)
            tall = step * rng.choice([0.4, 1.0, 40.0])
            shift = np.floor(y[:floor] / tall) * step * 0.5
            line = np.minimum(np.mod(x + shift, step), np.mod(y[:floor], tall))
            depth = np.float32(rng.uniform(8, 40) * rng.choice([-1, 1]))
            texture[:floor] += (np.clip(1.6 - line / unit, 0, 1) * depth)[..., None]
        if rng.random() < 0.5:  # planks or tiles on the floor, denser towards the wall
            far = np.float32(0.15) + (y[floor:] - floor) / max(rows - floor, 1)
            rung = np.mod(6.0 / far, 2.0) < 1.0
            tile = np.mod(x, w / rng.integers(6, 20)) < w / 40
            pattern = np.logical_xor(rung, tile) if rng.random() < 0.5 else rung | (x < 0)
            texture[floor:] += (pattern * np.float32(rng.uniform(-25, 25)))[..., None]
        for k in range(int(rng.integers(0, 9))):  # windows, pictures, cupboards
            bw, bh = rng.uniform(8, 34, 2) * unit
            bx = float(rng.uniform(0, w))
            by = float(rng.uniform(0, floor - 0.3 * bh))
            for copy in (bx, bx - w):
                box = (copy, by, copy + bw, by + bh)
                draw_rectangle(texture, *box, color=colors[4 + k % 4], corner=unit)
                if k % 2:
                    inner = (copy + 2 * unit, by + 2 * unit, copy + bw - 2 * unit, by + bh / 2)
                    draw_rectangle(texture, *inner, color=colors[k % 4], opacity=0.8)
        grain = rng.normal(0, rng.uniform(0.5, 5), (rows, w, 1)).astype(np.float32)
        texture += grain
        draw_line(texture, (-2, floor), (w + 2, floor), color=colors[7], width=1.6 * unit)
        return np.asarray(np.clip(texture, 0, 255), np.float32)

    def _mover(self, rng: np.random.Generator) -> _Mover:
        size = float(rng.uniform(0.02, 0.09) * self._h)
        speed = rng.normal(0, 0.3, 2) * [self._w, 0.35 * self._h]
        return _Mover(
            int(rng.integers(3)),
            size,
            _palette(rng, 1)[0],
            rng.uniform(0, 1, 2) * [2 * self._w, self._h],
            speed,
            bool(rng.random() < 0.25),
        )

    def view(self, pan_x: float, pan_y: float) -> Array:
        """The scene [h, w, 3] float32 seen by a camera moved by (pan_x, pan_y) pixels."""
        pan_y = float(np.clip(pan_y, -self._margin + 1, self._margin - 1)) + self._margin
        pan_x = pan_x % self._period
        ix, iy = int(pan_x), int(pan_y)
        fx, fy = np.float32(pan_x - ix), np.float32(pan_y - iy)
        part = self._texture[iy : iy + self._h + 1, ix : ix + self._w + 1]
        across = part[:, 1:] - part[:, :-1]
        across *= fx
        across += part[:, :-1]
        down = across[1:] - across[:-1]
        down *= fy
        down += across[:-1]
        return np.asarray(down, np.float32)

    def draw_movers(self, image: Array, time_s: float, *, front: bool) -> None:
        """Draw the distractors behind or in front of the figures."""
        for m in self._movers:
            if m.front != front:
                continue
            x, y = m.position(time_s, self._h, self._w)
            if m.kind == 0:
                draw_disc(image, (x, y), m.size, color=m.color)
            elif m.kind == 1:
                box = (x - m.size, y - m.size, x + m.size, y + m.size)
                draw_rectangle(image, *box, color=m.color, corner=m.size / 5)
            else:
                tip = (x + 1.6 * m.size, y + 1.2 * m.size)
                draw_line(image, (x, y), tip, color=m.color, width=0.5 * m.size)

    def hidden(self, joints: Array, time_s: float) -> NDArray[np.bool_]:
        """Which of the points [j, 2] lie behind a distractor that passes in front."""
        out = np.zeros(len(joints), np.bool_)
        for m in self._movers:
            if m.front:
                x, y = m.position(time_s, self._h, self._w)
                out |= np.hypot(joints[:, 0] - x, joints[:, 1] - y) < m.size
        return out


class Camera:
    """Light and sensor: a brightness gradient, slow flicker, noise; and the camera's drift."""

    def __init__(
        self,
        rng: np.random.Generator,
        height: int,
        width: int,
        *,
        noise: float,
        drift: float,
        even: bool,
    ) -> None:
        angle = rng.uniform(0, 2 * np.pi)
        y = np.linspace(-1, 1, height, dtype=np.float32)[:, None, None]
        x = np.linspace(-1, 1, width, dtype=np.float32)[None, :, None]
        slope = 0.0 if even else rng.uniform(0, 0.22)
        tint = 1 + rng.normal(0, 0.04, 3)
        gain = rng.uniform(0.72, 1.12)
        light = 1 + np.float32(slope * np.cos(angle)) * x + np.float32(slope * np.sin(angle)) * y
        self._light = (light * (gain * tint).astype(np.float32)).astype(np.float32)
        self._flicker = (rng.uniform(0, 0.06), rng.uniform(0.2, 1.5), rng.uniform(0, 6))
        self._noise = rng.normal(0, noise, (height + 31, width + 31, 3)).astype(np.float32)
        self._shifts = rng.integers(0, 31, (257, 2))
        self._noisy = noise > 0
        self._drift = rng.normal(0, drift, (2, 2)) * height
        self._pace = rng.uniform(0.15, 0.9, (2, 2))
        self._begin = rng.uniform(0, 6, (2, 2))

    def pan(self, time_s: float) -> tuple[float, float]:
        """Where the camera looks, in pixels."""
        waves = self._drift * np.sin(2 * np.pi * self._pace * time_s + self._begin)
        return float(waves[0].sum()), float(0.5 * waves[1].sum())

    def expose(self, image: Array, index: int, time_s: float) -> NDArray[np.uint8]:
        """The picture as uint8 [h, w, 3]; `image` is used up."""
        depth, rate, begin = self._flicker
        image *= self._light
        image *= np.float32(1 + depth * np.sin(2 * np.pi * rate * time_s + begin))
        if self._noisy:
            h, w = image.shape[:2]
            y, x = self._shifts[index % len(self._shifts)]
            image += self._noise[y : y + h, x : x + w]
        np.maximum(image, 0, out=image)
        np.minimum(image, 255, out=image)
        return image.astype(np.uint8)
