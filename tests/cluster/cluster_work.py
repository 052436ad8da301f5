"""Work for workers of a cluster, some of which end their own process."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np

from pvnet.errors import InvalidArgumentError

MARKS = "PVNET_TEST_MARKS"


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def once(name):
    """Whether this is the first time that somebody, in any process, asks for the name."""
    try:
        (Path(os.environ[MARKS]) / name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


class Doubling:
    """Doubles numbers; ends the process over some of them, the first time or always."""

    def __init__(self, first=(), always=(), refused=()):
        self.first, self.always, self.refused = first, always, refused

    def __call__(self, item):
        if item in self.always or (item in self.first and once(f"item{item}")):
            die()
        if item in self.refused:
            raise InvalidArgumentError(
                f"[test] item: got {item}, expected another. Take another one."
            )
        return 2 * item


def bad_start():
    raise InvalidArgumentError("[test] start: got none, expected one. Start it.")


class Levels:
    """An estimator in the worker's own process; a bright frame ends it, once or always."""

    name = "levels"

    def __init__(self, *, always=False):
        self.always = always

    def begin(self):
        pass

    def __call__(self, image):
        level = float(image.mean())
        if level > 240 and (self.always or once("bright")):
            die()
        return np.full((13, 3), level, np.float32)

    def close(self):
        pass


class Sleeping:
    """Says that it has begun, and takes long over every item."""

    def __init__(self, mark, seconds):
        self.mark, self.seconds = mark, seconds

    def __call__(self, item):
        self.mark.touch()
        time.sleep(self.seconds)
        return item


class Stuck:
    """Gives back, or raises, what cannot be pickled."""

    def __init__(self, result):
        self.result = result

    def __call__(self, item):
        lock = threading.Lock()
        if self.result:
            return lock
        raise ValueError(lock)
