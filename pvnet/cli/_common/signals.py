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
_GRACE_S = 10.0


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

    def __init__(self) -> None:
        self.pid: int | None = None
        self.ending = False  # one signal was raised; the command is on its way out
        self.held = 0  # depth of `uninterrupted`
        self.waiting: list[int] = []
        self.noticed = threading.Event()  # the main thread came to the handler


_state = _State()


def _on_signal(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    if os.getpid() != _state.pid:  # a forked child: nothing there is closed by unwinding
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        return
    _state.noticed.set()
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
def ending_in_any_case() -> Iterator[None]:
    """End the process where the main thread is inside a read that no signal interrupts.

    FFmpeg reads a pipe on which nothing comes for ever, and Python handles a signal between two of
    its own instructions. Such a process gets some seconds, and ends with the signal's code.
    """
    alone = threading.current_thread() is threading.main_thread() and _state.pid == os.getpid()
    if not alone or signal.set_wakeup_fd(-1) != -1:
        yield
        return
    here, there = os.pipe()
    os.set_blocking(there, False)
    _state.noticed.clear()
    watch = threading.Thread(target=_watch, args=(here,), name="pvnet-signals", daemon=True)
    watch.start()
    signal.set_wakeup_fd(there, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(-1)
        os.close(there)  # ends the thread
        watch.join(1.0)


def _watch(pipe: int) -> None:
    with os.fdopen(pipe, "rb", buffering=0) as numbers:
        while number := numbers.read(1):
            name = signal.Signals(number[0]).name
            if name in _ENDING and not _state.noticed.wait(_GRACE_S):
                words = f"pvnet: {name} inside a read that does not return: the process ends now\n"
                os.write(2, words.encode())
                os._exit(128 + number[0])


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
