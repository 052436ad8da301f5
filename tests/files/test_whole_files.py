"""Files are written as a whole or not at all: killed, through links, on a full disk."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from model_files import GRAPH, arrays

import pvnet
from pvnet.cli.__main__ import main
from pvnet.errors import FileError
from pvnet.files import save_figure, whole_file, write_json, write_whole

MESSAGE = re.compile(r"^\[.+\] .+: got .+, expected .+\. .+\.$", re.DOTALL)
PACKAGE = Path(pvnet.__file__).parent


def tiny_model() -> pvnet.runtime.Model:
    return pvnet.runtime.Model(pvnet.Graph.from_json(json.dumps(GRAPH)), arrays())
def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


SAVE = "pvnet.save(pvnet.load(sys.argv[1]), sys.argv[2])"
WRITES = {
    "save": SAVE,
    "write_whole": "import pvnet.files; pvnet.files.write_whole(sys.argv[2], 'x' * 100000)",
    "checkpoint": (
        "import torch\nfrom pathlib import Path\nfrom pvnet.train.checkpoint import save_state\n"
        "save_state(Path(sys.argv[2]), {'x': torch.zeros(30000)}, {})"
    ),
    "trace": (
        "from pvnet.cli.__main__ import main\n"
        "sys.exit(main(['trace', '--model', sys.argv[1], '--ticks', '2', '--out', sys.argv[2]]))"
    ),
}


def run_limited(write: str, model: Path, out: Path, *, killed: bool) -> subprocess.CompletedProcess:
    """A process that may write 1000 bytes of a file: then it is killed, or the disk is full."""
    handler = "SIG_DFL" if killed else "SIG_IGN"
    code = (
        "import resource, signal, sys\nimport pvnet\n"
        f"signal.signal(signal.SIGXFSZ, signal.{handler})\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n{write}\n"
    )
    args = [sys.executable, "-c", code, str(model), str(out)]
    return subprocess.run(args, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    pvnet.save(tiny_model(), path)
    return path


@pytest.mark.parametrize("name", WRITES)
def test_a_process_killed_while_it_writes_leaves_the_old_file_and_nothing_else(
    name: str, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    file = out / "file"
    file.write_text("old")
    done = run_limited(WRITES[name], model, file, killed=True)
    assert done.returncode < 0, done.stderr
    assert names(out) == ["file"]
    assert file.read_text() == "old"


@pytest.mark.parametrize("name", WRITES)
def test_a_full_disk_is_said_and_leaves_the_old_file(
    name: str, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    file = out / "file"
    file.write_text("old")
    done = run_limited(WRITES[name], model, file, killed=False)
    assert done.returncode == 1
    assert "cannot be written: got File too large" in done.stderr
    assert names(out) == ["file"]
    assert file.read_text() == "old"


def test_what_a_killed_writer_left_is_removed_and_what_a_living_one_has_is_not(
    tmp_path: Path,
) -> None:
    fcntl = pytest.importorskip("fcntl")
    path = tmp_path / "m.safetensors"
    stale, living = tmp_path / f"{path.name}.999.1.tmp", tmp_path / f"{path.name}.999.2.tmp"
    other = tmp_path / f"{path.name}.bak.tmp"
    for p in (stale, living, other):
        p.write_bytes(b"half")
    with living.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        pvnet.save(tiny_model(), path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        p.name for p in (path, living, other)
    )


def by_save(path: Path) -> None:
    pvnet.save(tiny_model(), path)


def by_figure(path: Path) -> None:
    figure = pytest.importorskip("matplotlib.figure").Figure()
    save_figure(figure, path)


def by_checkpoint(path: Path) -> None:
    torch = pytest.importorskip("torch")
    from pvnet.train.checkpoint import save_state

    save_state(path, {"x": torch.zeros(3)}, {})


def by_labels(path: Path) -> None:
    from pvnet.label.files import Labels, save_labels

    save_labels(path, Labels({}))


def by_trace(path: Path) -> None:
    source = path.parent / "traced.safetensors"
    pvnet.save(tiny_model(), source)
    assert main(["trace", "--model", str(source), "--ticks", "2", "--out", str(path)]) == 0


def by_stream(path: Path) -> None:
    with whole_file(path) as file:
        np.savez(file, a=np.zeros(3))


EVERYONE = {
    "save": by_save,
    "figure": by_figure,
    "checkpoint": by_checkpoint,
    "labels": by_labels,
    "trace": by_trace,
    "json": lambda path: write_json(path, {"a": 1}),
    "stream": by_stream,
}


@pytest.mark.parametrize("write", EVERYONE.values(), ids=EVERYONE)
def test_a_symbolic_link_stays_and_what_it_points_at_is_written(write, tmp_path: Path) -> None:
    real = tmp_path / "far" / "real"
    real.parent.mkdir()
    link = tmp_path / "link"
    link.symlink_to(Path("far") / "real")
    for before in (None, b"old"):  # the first one makes what the link points at
        if before is not None:
            real.write_bytes(before)
            real.chmod(0o640)
        write(link)
        assert link.is_symlink()
        assert real.stat().st_size > 3
    assert real.stat().st_mode & 0o777 == 0o640
    assert names(real.parent) == ["real"]


@pytest.mark.parametrize("write", EVERYONE.values(), ids=EVERYONE)
def test_a_new_file_has_the_permissions_of_any_new_file(write, tmp_path: Path) -> None:
    mask = os.umask(0o037)
    try:
        write(tmp_path / "out")
    finally:
        os.umask(mask)
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_the_owner_stays_where_root_writes(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("old")
    os.chown(path, 1234, 4321)
    path.chmod(0o660)
    write_whole(path, "new")
    info = path.stat()
    assert (info.st_uid, info.st_gid, info.st_mode & 0o777) == (1234, 4321, 0o660)


@pytest.mark.parametrize("write", [by_save, EVERYONE["json"]])
def test_a_write_protected_file_is_not_replaced(write) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out"
        write(path)  # imports what it needs, which others may not read
        path.write_text("old")
        path.chmod(0o444)
        Path(folder).chmod(0o777)
        pid = os.fork()
        if pid == 0:  # as somebody who is not root
            code = 1
            try:
                if os.geteuid() == 0:
                    os.setgid(65534)
                    os.setuid(65534)
                write(path)
            except FileError as error:
                code = 0 if "Permission denied" in str(error) else 2
            finally:
                os._exit(code)
        assert os.waitpid(pid, 0)[1] == 0
        assert path.read_text() == "old"


def test_an_error_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("old")

    def write() -> None:
        with whole_file(path) as file:
            file.write(b"half")
            raise KeyError

    with pytest.raises(KeyError):
        write()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["out"]


def test_devices_and_pipes_are_written_as_they_are(tmp_path: Path) -> None:
    write_whole("/dev/null", "x")
    with pytest.raises(FileError) as full:
        write_whole("/dev/full", "x")
    assert MESSAGE.match(str(full.value))
    for place in (tmp_path, tmp_path / "none" / "out"):
        with pytest.raises(FileError) as error:
            write_whole(place, "x")
        assert MESSAGE.match(str(error.value))


# What is no file of a user's, or is written elsewhere and renamed as a folder.
OWN_WAY = {"files.py", "video/encoder.py", "data/files/cache.py", "cluster/connection.py"}


def test_everything_that_writes_files_does_it_the_same_way() -> None:
    direct = re.compile(r"""\.write_(text|bytes)\(|\.savefig\(|open\([^)\n]*["'][wx]b?\+?["']""")
    found = [
        f"{path.relative_to(PACKAGE)}:{number}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if str(path.relative_to(PACKAGE)) not in OWN_WAY and path.name != "pose_worker.py"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if direct.search(line)
    ]
    assert found == []
