"""Disks that fill, programs that are killed: what was written stays and can be played."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

import pvnet
from pvnet import video
from pvnet.errors import FileError, InvalidArgumentError, StateError

sys.path.insert(0, str(Path(__file__).parent))
from video_helpers import refused

SUFFIXES = (
    *(".mp4", ".mkv"),
    *(pytest.param(suffix, marks=pytest.mark.slow) for suffix in (".mov", ".webm", ".avi")),
)


def noise(i: int) -> np.ndarray:
    return np.random.default_rng(i).integers(0, 256, (96, 128, 3), dtype=np.uint8)


def readable(path: Path) -> int:
    """Frames up to the first that cannot be read."""
    n = 0
    with av.open(str(path)) as container:
        try:
            for _ in container.decode(video=0):
                n += 1
        except av.FFmpegError:
            pass
    return n


def python(code: str, *words: object) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(pvnet.__file__).parents[1]), *sys.path[1:]])
    return subprocess.run(
        [sys.executable, "-c", code, *(str(word) for word in words)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )


FILL = """
import os, resource, sys
import numpy as np
from pvnet import video
from pvnet.errors import FileError

path, n_frames, sizes = sys.argv[1], int(sys.argv[2]), [int(n) for n in sys.argv[3:]]
frames = [np.random.default_rng(i).integers(0, 256, (96, 128, 3), dtype=np.uint8) for i in range(8)]
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
for size in sizes:
    out = video.VideoWriter(path, 25, size=(96, 128))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        for i in range(n_frames):
            out.write(frames[i % 8])
        out.close()
        print(size, "whole", out.frames, path)
    except FileError as error:
        assert "EFBIG" in str(error) and repr(path) in str(error), error
        assert out.kept is None or repr(str(out.kept)) in str(error), error
        print(size, "broke", out.frames, out.kept)
        out.close()
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    if out.kept is not None:
        os.rename(out.kept, f"{path}.{size}" + os.path.splitext(path)[1])
print("done")
"""


@pytest.mark.parametrize(
    ("suffix", "n_frames"),
    [
        *((".mp4", 60), (".mkv", 60)),
        *(pytest.param(*of, marks=pytest.mark.slow) for of in ((".avi", 60), (".gif", 12))),
    ],
)
def test_a_disk_that_fills_at_any_moment_is_an_error_and_keeps_what_was_written(
    tmp_path, suffix, n_frames
):
    with video.VideoWriter(tmp_path / f"whole{suffix}", 25, size=(96, 128)) as out:
        for i in range(n_frames):
            out.write(noise(i % 8))
    whole = (tmp_path / f"whole{suffix}").stat().st_size
    # At once, in the middle, in the last frames, and in what closes the file.
    shares = (0, 0.02, 0.4, 0.8, 0.97)
    sizes = sorted({*(int(whole * s) for s in shares), whole - 1000, whole - 100, whole - 1})
    path = tmp_path / f"a{suffix}"
    done = python(FILL, path, n_frames, *sizes)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[-1] == ["done"]
    assert len(lines) == len(sizes) + 1
    kept = 0
    for size, what, frames, where in lines[:-1]:
        assert what == "broke"
        if where == "None":
            assert int(size) < 0.45 * whole
            continue
        n = readable(Path(f"{path}.{size}{suffix}"))
        assert n >= 1
        assert n >= int(frames) - 40  # half a second, and what waits in the encoder
        kept += 1
    assert kept >= 4
    assert not path.exists()


@pytest.mark.parametrize(
    "name",
    [
        *("/dev/full", "link.mp4"),
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("link.avi", "link.gif")),
    ],
)
def test_a_full_device_is_an_error_and_no_crash_at_the_end(tmp_path, name):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    path = Path(name)
    if not path.is_absolute():
        path = tmp_path / name
        path.symlink_to("/dev/full")
    code = """
import sys
import numpy as np
from pvnet import video
from pvnet.errors import FileError

for how in ("close", "with", "forgotten"):
    try:
        out = video.VideoWriter(sys.argv[1], 25, size=(96, 128))
        for i in range(200):
            out.write(np.random.default_rng(i).integers(0, 256, (96, 128, 3), dtype=np.uint8))
        out.close()
    except FileError as error:
        assert "ENOSPC" in str(error) and sys.argv[1] in str(error), error
        print("refused")
    if how == "close":
        out.close()
    elif how == "with":
        with out:
            pass
"""
    done = python(code, path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["refused"] * 3


def test_devices_and_pipes_are_written_directly(tmp_path):
    with video.VideoWriter("/dev/null", 25, size=(96, 128)) as out:
        for i in range(30):
            out.write(noise(i))
    os.mkfifo(tmp_path / "pipe.mp4")
    with (tmp_path / "got.mp4").open("wb") as got:
        reader = subprocess.Popen(["cat", str(tmp_path / "pipe.mp4")], stdout=got)
        with video.VideoWriter(tmp_path / "pipe.mp4", 25, size=(96, 128)) as out:
            for i in range(30):
                out.write(noise(i))
        assert reader.wait(20) == 0
    assert readable(tmp_path / "got.mp4") == 30


WRITE = """
import sys, time
import numpy as np
from pvnet import video

out = video.VideoWriter(sys.argv[1], 25, size=(96, 128))
for i in range(100000):
    out.write(np.random.default_rng(i % 8).integers(0, 256, (96, 128, 3), dtype=np.uint8))
    print(i + 1, flush=True)
    time.sleep(0.001)
"""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_killed_program_leaves_a_file_that_plays(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"an older one")
    python_path = os.pathsep.join([str(Path(pvnet.__file__).parents[1]), *sys.path[1:]])
    words = [sys.executable, "-c", WRITE, str(path)]
    env = {**os.environ, "PYTHONPATH": python_path}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=env) as process:
        for line in process.stdout:
            if int(line) == 120:
                break
        process.send_signal(signal.SIGKILL)
        written = max([120, *(int(line) for line in process.stdout if line.endswith("\n"))])
    part = tmp_path / f"a.partial{suffix}"
    assert readable(part) >= written - 25
    assert path.read_bytes() == b"an older one"
    # The next one leaves it alone, and says that it is there.
    with video.VideoWriter(path, 25, size=(96, 128)) as out:
        out.write(noise(1))
        assert out.older_parts == [part]
    assert readable(path) == 1
    assert readable(part) >= written - 25


def test_an_error_beside_the_writer_leaves_the_older_file(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"an older one")
    writer = video.VideoWriter(path, 25, size=(96, 128))

    def broken() -> None:
        with writer:
            for i in range(10):
                writer.write(noise(i))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert path.read_bytes() == b"an older one"
    assert writer.kept == tmp_path / "a.partial.mp4"
    assert readable(writer.kept) == 10
    refused(StateError, writer.write, noise(0))


def test_a_writer_without_frames_leaves_everything_as_it_was(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"an older one")
    video.VideoWriter(path, 25, size=(96, 128)).close()
    with pytest.raises(ZeroDivisionError), video.VideoWriter(path, 25, size=(96, 128)):
        raise ZeroDivisionError
    refused(InvalidArgumentError, video.VideoWriter, path, -1, size=(96, 128))
    assert path.read_bytes() == b"an older one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_that_cannot_be_given_loses_nothing(tmp_path):
    path = tmp_path / "a.mp4"
    out = video.VideoWriter(path, 25, size=(96, 128))
    out.write(noise(0))
    path.mkdir()
    (path / "in the way").touch()
    text = refused(FileError, out.close)
    assert "a.partial.mp4" in text
    assert readable(tmp_path / "a.partial.mp4") == 1
    refused(FileError, video.VideoWriter, path, 25, size=(96, 128))


def test_a_link_is_written_through_and_permissions_stay(tmp_path):
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "a.mp4"
    target.write_bytes(b"an older one")
    target.chmod(0o640)
    link = tmp_path / "link.mp4"
    link.symlink_to(target)
    with video.VideoWriter(link, 25, size=(96, 128)) as out:
        out.write(noise(0))
        assert target.read_bytes() == b"an older one"
    assert link.is_symlink()
    assert readable(target) == 1
    assert target.stat().st_mode & 0o777 == 0o640


def test_the_longest_name_has_room_for_its_part(tmp_path):
    path = tmp_path / ("ä" * 125 + ".mp4")
    path.write_bytes(b"an older one")
    with video.VideoWriter(path, 25, size=(96, 128)) as out:
        out.write(noise(0))
        assert path.read_bytes() == b"an older one"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_a_closed_mp4_is_an_ordinary_one(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    with video.VideoWriter(path, 25, size=(96, 128)) as out:
        for i in range(60):
            out.write(noise(i))
        assert readable(tmp_path / f"a.partial{suffix}") > 30  # and while it is written, too
    data, at, kinds = path.read_bytes(), 0, []
    while at < len(data):
        kinds.append(data[at + 4 : at + 8])
        at += int.from_bytes(data[at : at + 4], "big")
    assert kinds.count(b"moov") == 1
    if av.library_versions["libavformat"][0] < 62:
        return  # an FFmpeg that cannot make one of the fragments
    assert b"moof" not in kinds
    assert data.count(b"tkhd") == 1  # no header of the fragments is left inside
