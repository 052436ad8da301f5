"""The video of the game: four panes, each with its own paddle below the same balls."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pvnet import catch
from pvnet.catch.drawing import scene
from pvnet.cli._demo.picture import fitted
from pvnet.viz import draw_text

_BACKGROUND = (20, 23, 29)
_INK = (236, 239, 244)
_FAINT = (150, 158, 170)
_CAUGHT, _MISSED = (86, 204, 140), (236, 96, 96)
_SCALE = 4
_TOP = 42
_GAP = 10
_STEPS = 28  # pictures of one throw
_HELD = 12  # pictures of its end
_SHOWN = 12  # throws


class CatchPicture:
    """Draws the moments of the first throws, one throw after the other.

    Args:
        throws: what fell.
        games: of one speed.
    """

    def __init__(self, throws: catch.Throws, games: Sequence[catch.Game]) -> None:
        self._throws = throws
        self._games = games
        self._fall_ms = catch.FALL / games[0].speed
        self._paths = [self._path(game) for game in games]
        self._noise = np.random.default_rng(0)
        self.n = min(len(throws), _SHOWN) * (_STEPS + _HELD)

    @staticmethod
    def _path(game: catch.Game) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        times = np.array([t for t, _ in game.paddle])
        return times, np.stack([x for _, x in game.paddle])

    def draw(self, index: int) -> NDArray[np.uint8]:
        """One picture, uint8 [h, w, 3]."""
        throw, step = divmod(index, _STEPS + _HELD)
        now_ms = self._fall_ms * min(1.0, step / (_STEPS - 1))
        panes = [self._pane(i, throw, now_ms, step >= _STEPS) for i in range(len(self._games))]
        gap = np.full((panes[0].shape[0], _GAP, 3), _BACKGROUND, np.uint8)
        rows = [np.concatenate([gap, a, gap, b, gap], 1) for a, b in zip(panes[::2], panes[1::2])]
        line = np.full((_GAP, rows[0].shape[1], 3), _BACKGROUND, np.uint8)
        return np.concatenate([rows[0], line, rows[1], line], axis=0)

    def _pane(self, i: int, throw: int, now_ms: float, ended: bool) -> NDArray[np.uint8]:
        game, (times, places) = self._games[i], self._paths[i]
        x = np.array([np.interp(now_ms, times, places[:, throw])])
        fallen = np.full(len(self._throws), now_ms * game.speed)
        ball = self._throws.ball(fallen)[throw : throw + 1]
        scenes = scene(self._throws.scenes[throw])[None]
        frame = fitted(catch.draw(scenes, ball, x, self._noise)[0], _SCALE * catch.HEIGHT)
        out = np.full((frame.shape[0] + _TOP, frame.shape[1], 3), _BACKGROUND, np.uint8)
        out[_TOP:] = frame
        done = throw + ended
        caught = int(game.caught[:done].sum())
        way = game.engine
        draw_text(out, way.name, at=(4, 4), scale=2, color=_INK, shadow=0.0)
        words = "down before an answer"
        if math.isfinite(way.delay_ms):
            words = f"a frame every {way.period_ms:.2f} ms, answers {way.delay_ms:.2f} ms old"
        draw_text(out, words, at=(4, 24), scale=1, color=_FAINT, shadow=0.0)
        score = f"{caught} of {done}"
        at = (out.shape[1] - 12 * len(score) - 4, 4)
        draw_text(out, score, at=at, scale=2, color=_INK, shadow=0.0)
        if ended:
            hit = bool(game.caught[throw])
            color = _CAUGHT if hit else _MISSED
            out[_TOP : _TOP + 6] = color
            draw_text(out, "caught" if hit else "missed", at=(8, _TOP + 14), scale=2, color=color)
        return out
