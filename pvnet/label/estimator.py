"""The pose estimator in the other environment, and making that environment."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.data.files.cache import default_folder
from pvnet.data.sets.keypoints import MEDIAPIPE
from pvnet.errors import InvalidArgumentError, PvnetError, UnsupportedError
from pvnet.label import pose_worker

PACKAGE = "mediapipe==0.10.21"
_END, _VIDEO, _FRAME = 0, 1, 2
_WAIT_S = 10.0
ANSWER_S = 120.0  # a frame takes a fraction of a second; the first start loads libraries and models


class EstimatorError(PvnetError, RuntimeError):
    """The estimator's process did not start, or ended while it was needed."""


def environment_folder() -> Path:
    """Where `pvnet label --setup` puts the environment."""
    return default_folder() / PACKAGE.replace("==", "-")


def environment_python(folder: Path) -> Path:
    """The interpreter of an environment."""
    name = ("Scripts", "python.exe") if sys.platform == "win32" else ("bin", "python")
    return folder.joinpath(*name)


def make_environment(folder: Path, *, base: str | None = None) -> Path:
    """Make a virtual environment with the estimator in it; does nothing where it works already.

    Args:
        folder: of the environment.
        base: Python 3.9 to 3.12 to make it with; None: this one.

    Returns:
        Its interpreter.

    Raises:
        UnsupportedError: if the environment cannot be made or the package cannot be installed.
    """
    python = environment_python(folder)
    if python.exists() and works(python):
        return python
    maker = base or sys.executable
    _run([maker, "-m", "venv", "--clear", str(folder)])
    _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE])
    if not works(python):
        raise UnsupportedError(
            f"[label.estimator] the environment in {folder} does not run {PACKAGE}: got an import "
            "error, expected Python 3.9 to 3.12. Make it with another Python (--base-python)."
        )
    return python


def works(python: Path) -> bool:
    """Whether an interpreter has the estimator."""
    code = "import importlib.metadata as m; print(m.version('mediapipe'))"
    try:
        done = subprocess.run([str(python), "-c", code], capture_output=True, text=True)
    except OSError:
        return False
    return done.returncode == 0 and done.stdout.strip() == PACKAGE.partition("==")[2]


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True)
        code, said = done.returncode, (done.stderr or done.stdout).strip()
    except OSError as error:
        code, said = 1, str(error)
    if code:
        raise UnsupportedError(
            f"[label.estimator] `{' '.join(command)}` failed: got {said[-600:] or code}, expected "
            "success. Check the network and the Python version (3.9 to 3.12), or point to a ready "
            "environment with --python."
        )


class Estimator:
    """13 joints of the person in each frame of a video, by a worker process.

    Args:
        python: interpreter that has the estimator.
        worker: script to run there; it speaks the protocol of `pose_worker`.

    Attributes:
        name: of the estimator, with its version.

    Raises:
        EstimatorError: if the worker does not start.
    """

    def __init__(self, python: str | Path, *, worker: Path | None = None) -> None:
        script = Path(pose_worker.__file__) if worker is None else worker
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115  (closed by close)
        command = [str(python), "-u", str(script)]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
            )
        except OSError as error:
            self._complaints.close()
            raise EstimatorError(
                f"[label.estimator] {python} does not start: got {error}, expected a Python with "
                f"{PACKAGE}. Run pvnet label --setup, or pass --python."
            ) from error
        self._late = False
        with self._watch():
            hello = self._hello()
        if "error" in hello:
            said = hello["error"]
            self.close()
            raise EstimatorError(
                f"[label.estimator] {python} cannot run the estimator: got {said}, expected a "
                f"Python with {PACKAGE}. Run pvnet label --setup, or pass --python."
            )
        self.name = f"{hello['name']} {hello['version']}"
        self._landmarks = int(hello["landmarks"])
        if self._landmarks not in (13, 33):
            self.close()
            raise InvalidArgumentError(
                f"[label.estimator] landmarks of the worker: got {self._landmarks}, expected 13 or "
                "33. Use another worker."
            )

    def _hello(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        try:
            hello = json.loads(line)
        except ValueError:
            return {"error": self._complaint() or f"no greeting but {line[:200]!r}"}
        return hello if isinstance(hello, dict) else {"error": f"greeting {hello!r}"}

    def begin(self) -> None:
        """A new video begins: forget where the person was."""
        with self._watch():
            self._send(pose_worker.HEAD.pack(_VIDEO, 0, 0))

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Joints of a frame.

        Args:
            image: uint8 [h, w, 3] RGB.

        Returns:
            float32 [13, 3] pixel x, y, visibility; NaN where nobody was found.

        Raises:
            EstimatorError: if the worker has ended, or takes minutes over a frame.
        """
        h, w, _ = image.shape
        size = self._landmarks * 12
        assert self._process.stdout is not None
        with self._watch():
            self._send(pose_worker.HEAD.pack(_FRAME, h, w) + np.ascontiguousarray(image).tobytes())
            answer = self._process.stdout.read(size)
        if len(answer) != size:
            raise self._gone()
        points = np.frombuffer(answer, "<f4").reshape(self._landmarks, 3)
        return np.array(points[list(MEDIAPIPE)] if self._landmarks == 33 else points, np.float32)

    @contextmanager
    def _watch(self) -> Iterator[None]:
        """Ends a worker that hangs, whatever is waited for: to write, or to read."""
        timer = Timer(ANSWER_S, self._stop_waiting)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _stop_waiting(self) -> None:
        self._late = True
        self._process.kill()

    def _send(self, data: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except OSError as error:
            raise self._gone() from error

    def _gone(self) -> EstimatorError:
        said = self._complaint() or "no message"
        return EstimatorError(
            f"[label.estimator] the worker has ended: got {said}, expected an answer to a frame. "
            "Start it again."
        )

    def _complaint(self) -> str:
        return f"no answer in {ANSWER_S:g} s" if self._late else self._said()

    def _said(self) -> str:
        """The end of what the worker wrote to stderr."""
        try:
            self._process.wait(_WAIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._complaints.seek(0)
        return self._complaints.read().decode(errors="replace").strip()[-400:]

    def close(self) -> None:
        """End the worker; may be called twice."""
        process = self._process
        if process.stdin is not None and not process.stdin.closed:
            try:
                process.stdin.write(pose_worker.HEAD.pack(_END, 0, 0))
                process.stdin.close()
            except OSError:
                pass  # it has ended by itself
        try:
            process.wait(_WAIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
        self._complaints.close()

    def __enter__(self) -> Estimator:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
