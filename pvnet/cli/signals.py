"""Ctrl-C, SIGTERM and SIGHUP end a command in one way: what was done is kept and summed up."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

_ENDING = ("SIGINT", "SIGTERM", "SIGHUP")


class Interrupted(KeyboardInterrupt):
    """A signal that ends the command.

    Attributes:
        signal_name: `SIGINT`, `SIGTERM` or `SIGHUP`.
        exit_code: 128 + its number, as shells have it.
    """

    def __init__(self, number: int = signal.SIGINT) -> None:
        self.signal_name = signal.Signals(number).name
        self.exit_code = 128 + int(number)
        super().__init__(self.signal_name)


def as_interrupted(error: KeyboardInterrupt) -> Interrupted:
    """The same with its name; a plain KeyboardInterrupt is a SIGINT."""
    return error if isinstance(error, Interrupted) else Interrupted()


class _State:
    """Of the one process whose main thread runs a command."""

    pid: int | None = None
    ending = False  # one signal was raised; the command is on its way out
    held = 0  # depth of `uninterrupted`
    waiting: list[int]


_state = _State()
_state.waiting = []


def _on_signal(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    if os.getpid() != _state.pid:  # a forked child: nothing there is closed by unwinding
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        return
    if _state.ending and number != signal.SIGINT:
        return  # closing a terminal sends several
    if _state.held:
        _state.waiting.append(number)
        # While a file is being closed the first further Ctrl-C waits, the second means it.
        if _state.waiting.count(signal.SIGINT) < 2:
            return
        _state.waiting.clear()
    _state.ending = True
    raise Interrupted(number)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """What is done inside is done whole; a signal is raised behind it, the first time only."""
    _state.held += 1
    try:
        yield
    finally:
        _state.held -= 1
        waiting = None
        if not _state.held and _state.waiting:
            waiting = _state.waiting[0]
            _state.waiting.clear()
    if waiting is not None and not _state.ending:
        _state.ending = True
        raise Interrupted(waiting)


@contextlib.contextmanager
def ending_signals() -> Iterator[None]:
    """Raise `Interrupted` in the main thread for as long as a command runs.

    A signal that is ignored stays ignored (nohup), and a handler of the caller stays in force.
    """
    if threading.current_thread() is not threading.main_thread() or _state.pid == os.getpid():
        yield
        return
    before: dict[int, Any] = {}
    for name in _ENDING:
        number = getattr(signal, name, None)
        if number is None:
            continue
        handler = signal.getsignal(number)
        if handler in (signal.SIG_DFL, signal.default_int_handler):
            before[number] = handler
    _state.pid, _state.ending, _state.held = os.getpid(), False, 0
    _state.waiting.clear()
    try:
        for number in before:
            signal.signal(number, _on_signal)
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is _on_signal:
                signal.signal(number, handler)
        _state.pid = None
