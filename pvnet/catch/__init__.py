"""A closed loop: a paddle that sees by a network must catch a ball."""

from __future__ import annotations

from pvnet.catch.drawing import draw
from pvnet.catch.engine import Engine
from pvnet.catch.game import Game, play, play_frozen
from pvnet.catch.live import Way, play_live
from pvnet.catch.networks import network
from pvnet.catch.throws import FALL, HEIGHT, PADDLE_HALF, WIDTH, Throws

__all__ = [
    "FALL",
    "HEIGHT",
    "PADDLE_HALF",
    "WIDTH",
    "Engine",
    "Game",
    "Throws",
    "Way",
    "draw",
    "network",
    "play",
    "play_frozen",
    "play_live",
]
