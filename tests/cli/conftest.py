"""Small models and videos for the command line's tests."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pvnet
from pvnet.cli.__main__ import main

ROOT = Path(pvnet.__file__).parents[1]
SMALL = ("--width", "0.125", "--size", "32")


@dataclass(frozen=True)
class Outcome:
    """Exit code and what was printed."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """What is on stdout on one line: tables break lines where a path in them is long."""
        return " ".join(self.out.split())

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout; fails if there is anything else."""
        value, end = json.JSONDecoder().raw_decode(self.out)
        assert self.out[end:].strip() == "", "more than one document on stdout"
        assert isinstance(value, dict)
        return value


@pytest.fixture
def pvnet_cli() -> Callable[..., Outcome]:
    """Runs a command line in this process."""

    def run(*words: object) -> Outcome:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = main([str(word) for word in words])
        return Outcome(code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture
def pvnet_process(tmp_path: Path) -> Callable[..., Outcome]:
    """Runs a command line in a process of its own, in an empty directory."""

    def run(*words: object, program: tuple[str, ...] = ("-m", "pvnet.cli")) -> Outcome:
        path = os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH", "")) if p)
        done = subprocess.run(
            [sys.executable, *program, *(str(word) for word in words)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sequential Par-DenseNet with random weights."""
    path = tmp_path_factory.mktemp("models") / "dense.safetensors"
    with redirect_stdout(io.StringIO()):
        assert main(["export", "--model", "par_densenet", *SMALL, "--out", str(path)]) == 0
    return path


@pytest.fixture(scope="session")
def video_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic video of 12 frames, 80 x 60."""
    pytest.importorskip("av")
    from pvnet.video import VideoWriter
    from pvnet.video.synthetic import SyntheticVideo

    path = tmp_path_factory.mktemp("videos") / "tiny.mp4"
    with VideoWriter(path, 25.0, size=(60, 80)) as writer:
        for frame in SyntheticVideo(3, 60, 80, 12):
            writer.write(frame.image)
    return path


def count_frames(path: Path) -> tuple[int, np.ndarray]:
    """Frames of a video that can be decoded, and the last one."""
    from pvnet import video

    with video.open(str(path)) as source:
        frames = [frame.image for frame in source]
    return len(frames), frames[-1]
