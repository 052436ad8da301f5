"""The connection to a Ray cluster: made, kept quiet, and closed without a trace.

Ray writes to the driver's stdout, sets its handler of SIGTERM and waits for minutes where nobody
answers. A command that prints one JSON document can have none of that.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import re
import signal
import socket
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pvnet.distribution import install
from pvnet.errors import InvalidArgumentError, MissingPackageError, PvnetError

_ANSWER_S = 5.0
# No item and no result is large, so Ray need not reserve a third of the memory for them.
_STORE_BYTES = 100 * 2**20
_HOST_PORT = re.compile(r"(?P<host>[^\s/]+):(?P<port>\d{1,5})")


class ClusterError(PvnetError, RuntimeError):
    """No cluster answers, it has no room for a worker, or its workers do not start."""


def load_ray() -> Any:
    """The module `ray`.

    Raises:
        MissingPackageError: if Ray is not installed.
    """
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise MissingPackageError(
            f"[cluster] spreading work needs Ray: got {error}, expected the package ray. "
            f"Run {install('ray')}, on every machine of the cluster.",
            name="ray",
        ) from error


def check_address(address: str) -> str:
    """`address` itself, if it is "local", "auto" or HOST:PORT.

    Raises:
        InvalidArgumentError: otherwise.
    """
    match = _HOST_PORT.fullmatch(address)
    if address not in ("local", "auto") and not (match and 0 < int(match["port"]) < 2**16):
        raise InvalidArgumentError(
            f"[cluster] address of the cluster: got {address!r}, expected local, auto or "
            "HOST:PORT. Write local for the processors of this machine, auto for the cluster "
            "that this machine belongs to."
        )
    return address


@contextlib.contextmanager
def connect(ray: Any, address: str, processors: int | None) -> Iterator[None]:
    """Connected to a cluster; a process that is connected already stays as it is.

    Args:
        ray: the module.
        address: "local" starts a cluster on this machine that ends with the context; "auto" is
            the one that this machine belongs to; or HOST:PORT.
        processors: of a cluster that is started; None: all.

    Raises:
        ClusterError: if no cluster answers, or none can be started.
    """
    if ray.is_initialized():
        yield
        return
    check_answer(_own_cluster() if address == "auto" else address)
    new: dict[str, Any] = {"num_cpus": processors, "object_store_memory": _STORE_BYTES}
    with _undisturbed():
        before = set(threading.enumerate())
        try:
            with warnings.catch_warnings(), _without_stderr(), _beside_the_package():
                warnings.simplefilter("ignore", FutureWarning)  # tips for other programs
                ray.init(
                    address=address,
                    log_to_driver=False,
                    configure_logging=False,
                    include_dashboard=False,
                    **(new if address == "local" else {}),
                )
        except Exception as error:
            ray.shutdown()  # of what has been started already
            raise ClusterError(
                f"[cluster] no cluster at {address!r}: got {shorten(error)}, expected one of "
                "the same versions of Ray and Python that admits this process. Start it with `ray "
                "start --head`; where it asks for a token, set RAY_AUTH_MODE=token; or use local."
            ) from error
        own_threads = set(threading.enumerate()) - before
        try:
            with _silence(own_threads):
                yield
        finally:
            # What it has held back to join with later news, it prints in this thread.
            with _silence(own_threads | {threading.current_thread()}):
                ray.shutdown()


def _own_cluster() -> str:
    """HOST:PORT of the cluster that this machine belongs to, as Ray finds it; "" if it does not."""
    folder = Path(os.environ.get("RAY_TMPDIR", tempfile.gettempdir())) / "ray"
    with contextlib.suppress(OSError):  # left behind by a cluster that has crashed, as may be
        return os.environ.get("RAY_ADDRESS") or (folder / "ray_current_cluster").read_text().strip()
    return ""


def check_answer(address: str) -> None:
    """Refuse HOST:PORT where nobody listens, for which Ray would wait for minutes.

    Raises:
        ClusterError: if nobody does.
    """
    match = _HOST_PORT.fullmatch(address)
    if match is None:
        return
    try:
        with socket.create_connection((match["host"], int(match["port"])), _ANSWER_S):
            return
    except OSError as error:
        raise ClusterError(
            f"[cluster] nobody answers at {address}: got {error}, expected the head of a Ray "
            "cluster. Start it with `ray start --head --port 6379`, or correct the address."
        ) from error


def shorten(error: BaseException) -> str:
    """What an error says, in one short line; Ray's own are pages long."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = next((line for line in lines if line.startswith("The actor is dead")), "")
    where = next((line for line in lines if line.startswith("ip: ")), "")
    said = said.partition(" Some common causes")[0] or (lines[-1] if lines else "no message")
    text = f"{type(error).__name__}: {said}"
    return (text[:300] + (f" ({where})" if where else "")).rstrip(".")


@contextlib.contextmanager
def _beside_the_package() -> Iterator[None]:
    """Stand where this very package lies.

    Ray puts the folder it is connected from in front of its workers' module search path: a source
    tree there, which has no compiled core, would hide the installed package.
    """
    before = Path.cwd()
    os.chdir(Path(__file__).parents[2])
    try:
        yield
    finally:
        os.chdir(before)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """No log lines of Ray, and the handler of SIGTERM as it was."""
    logger = logging.getLogger("ray")
    level = logger.level
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
        if main and handler is not None:
            signal.signal(signal.SIGTERM, handler)


@contextlib.contextmanager
def _without_stderr() -> Iterator[None]:
    """Descriptor 2 leads nowhere: Ray's core writes there once a second while it is refused."""
    try:
        kept = os.dup(2)
    except OSError:  # a process without stderr
        yield
        return
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


class _WithoutThreads:
    """A text stream that drops what some threads write."""

    def __init__(self, under: Any, dropped: frozenset[int | None]) -> None:
        self._under, self._dropped = under, dropped

    def write(self, text: str) -> int:
        """Write, unless a dropped thread asks."""
        if threading.get_ident() in self._dropped:
            return len(text)
        return int(self._under.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._under, name)


@contextlib.contextmanager
def _silence(threads: set[threading.Thread]) -> Iterator[None]:
    """Without what these threads print: `ray` has no setting for its news of dead workers."""
    out = sys.stdout
    sys.stdout = _WithoutThreads(out, frozenset(t.ident for t in threads))
    try:
        yield
    finally:
        sys.stdout = out
