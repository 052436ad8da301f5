"""What commands write: never over what they read, complete or not at all, and said when not."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from cli.conftest import SMALL
from pvnet.errors import FileError
from pvnet.files import whole_file, write_whole


def same_names(path: Path, folder: Path) -> dict[str, Path]:
    """Other names of a file."""
    folder.mkdir()
    (folder / f"soft{path.suffix}").symlink_to(path)
    (folder / f"twice{path.suffix}").symlink_to(folder / f"soft{path.suffix}")
    os.link(path, folder / f"hard{path.suffix}")
    (folder / "there").symlink_to(path.parent)
    return {
        "itself": path,
        "spelling": path.parent / "." / ".." / path.parent.name / path.name,
        "soft link": folder / f"soft{path.suffix}",
        "link of a link": folder / f"twice{path.suffix}",
        "hard link": folder / f"hard{path.suffix}",
        "linked folder": folder / "there" / path.name,
    }


def untouched(path: Path, before: bytes, done) -> None:
    assert done.code == 2, done.err
    assert "would be written over the input" in done.err
    assert path.read_bytes() == before
    assert not [p for p in path.parent.rglob("*") if "part" in p.name]


def test_the_input_video_is_not_written_over(pvnet_cli, model_file, video_file, tmp_path):
    path = tmp_path / "big.mp4"
    shutil.copy(video_file, path)
    before = path.read_bytes()
    for what, name in same_names(path, tmp_path / "other").items():
        done = pvnet_cli("run", path, "--model", model_file, "--out", name)
        untouched(path, before, done)
        again = pvnet_cli("run", name, "--model", model_file, "--out", path)
        untouched(path, before, again)
        assert what
    done = pvnet_cli("run", f"file:{path}", "--model", model_file, "--out", path)
    untouched(path, before, done)
    done = pvnet_cli("run", f"file://{path}", "--model", model_file, "--out", path)
    untouched(path, before, done)


def test_the_network_of_a_run_is_not_written_over(pvnet_cli, model_file, video_file, tmp_path):
    model = tmp_path / "net.mp4"  # the loader does not care
    shutil.copy(model_file, model)
    before = model.read_bytes()
    done = pvnet_cli("run", video_file, "--model", model, "--out", model)
    untouched(model, before, done)


@pytest.mark.parametrize("list_name", ["list.m3u8", "list.ffconcat"])
def test_a_video_of_a_playlist_is_not_written_over(
    pvnet_cli, model_file, video_file, tmp_path, list_name
):
    path = tmp_path / "one.mp4"
    shutil.copy(video_file, path)
    before = path.read_bytes()
    lines = "ffconcat version 1.0\nfile 'one.mp4'\n"
    if "m3u8" in list_name:
        lines = "#EXTM3U\none.mp4\n"
    (tmp_path / list_name).write_text(lines)
    done = pvnet_cli("run", tmp_path / list_name, "--model", model_file, "--out", path)
    untouched(path, before, done)


def test_an_image_of_the_folder_is_not_written_over(pvnet_cli, tmp_path):
    folder = tmp_path / "frames"
    (folder / "deep").mkdir(parents=True)
    image = folder / "deep" / "0001.png"
    image.write_bytes(b"a picture")
    for name in same_names(image, tmp_path / "other").values():
        untouched(image, b"a picture", pvnet_cli("bench", "--model", folder, "--picture", name))


def test_other_commands_do_not_write_over_their_input(pvnet_cli, model_file, video_file, tmp_path):
    model = tmp_path / "m.safetensors"
    shutil.copy(model_file, model)
    link = tmp_path / "l.safetensors"
    link.symlink_to(model)
    before = model.read_bytes()
    untouched(model, before, pvnet_cli("export", "--model", model, "--out", link))
    as_graph = tmp_path / "g.json"
    as_graph.symlink_to(model)
    done = pvnet_cli(
        "export", "--model", model, "--out", tmp_path / "n.safetensors", "--graph-json", as_graph
    )  # fmt: skip
    untouched(model, before, done)
    as_json = tmp_path / "m.json"
    shutil.copy(model_file, as_json)
    untouched(as_json, before, pvnet_cli("trace", "--model", as_json, "--out", as_json))
    untouched(as_json, before, pvnet_cli("bench", "--model", as_json, "--out", as_json))
    as_picture = tmp_path / "m.svg"
    shutil.copy(model_file, as_picture)
    untouched(as_picture, before, pvnet_cli("describe", as_picture, "--draw", as_picture))
    (tmp_path / "d").mkdir()
    clip = tmp_path / "d" / "compare.mp4"
    shutil.copy(video_file, clip)
    done = pvnet_cli("demo", "--compare", clip, "--out", tmp_path / "d", "--frames", "3")
    untouched(clip, video_file.read_bytes(), done)
    teacher = tmp_path / "d" / "model.safetensors"
    shutil.copy(model_file, teacher)
    (tmp_path / "a.toml").write_text("")
    done = pvnet_cli("distill", tmp_path / "a.toml", "--teacher", teacher, "--out", tmp_path / "d")
    untouched(teacher, before, done)
    labels = tmp_path / "a.npz"
    labels.write_bytes(b"labels")
    done = pvnet_cli("label", "--merge", labels, "--out", labels)
    untouched(labels, b"labels", done)


def test_two_outputs_of_one_name_are_refused(pvnet_cli, tmp_path):
    out = tmp_path / "a"  # a name that both may have
    words = ("--model", "par_densenet", *SMALL, "--out", out, "--graph-json", out)
    done = pvnet_cli("export", *words)
    assert done.code == 2
    assert "twice" in done.err
    assert not out.exists()


@pytest.mark.parametrize(
    "words",
    [
        ("trace", "--out", "lanes.mp4"),
        ("bench", "--out", "record.png"),
        ("bench", "--picture", "speed.mp4"),
        ("describe", "par_densenet", "--draw", "a.json"),
        ("label", "clips", "--out", "labels.csv"),
    ],
)
def test_an_end_that_means_something_else_is_refused(pvnet_cli, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    done = pvnet_cli(*words)
    assert done.code == 2
    assert "expected a name that ends in" in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_of_a_folder_is_refused_before_the_work(pvnet_cli, tmp_path):
    (tmp_path / "f").write_text("")
    for out in (tmp_path / "f", tmp_path / "f" / "below"):
        done = pvnet_cli("demo", "--out", out, "--frames", "100000")
        assert done.code == 2
        (tmp_path / "a.toml").write_text("")
        assert pvnet_cli("train", tmp_path / "a.toml", "--out", out).code == 2


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("trace", *SMALL, "--ticks", "3"), "--out"),
        (("describe", "par_densenet", *SMALL), "--draw"),
        (("bench", *SMALL, "--ticks", "1", "--rounds", "1", "--stages", "1"), "--out"),
    ],
)
def test_a_full_disk_is_said_by_name_for_other_files(pvnet_cli, tmp_path, words, option):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    full = tmp_path / ("full.png" if option == "--draw" else "full.json")
    full.symlink_to("/dev/full")
    done = pvnet_cli(*words, option, full, "--json")
    assert done.code == 1, done.err
    error = done.document["error"]
    assert error["type"] == "FileError"
    assert str(full) in error["message"]
    assert "ENOSPC" in error["message"]
    assert full.is_symlink()


def test_a_full_stdout_is_said_once(pvnet_process):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    code = (
        "import os, sys\n"
        "os.dup2(os.open('/dev/full', os.O_WRONLY), 1)\n"
        "from pvnet.cli.__main__ import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    for words in (("describe", "par_densenet", *SMALL), ("describe", "nothing", "--json")):
        done = pvnet_process(*words, program=("-c", code))
        assert done.code == 1, done.err
        assert "Traceback" not in done.err
        assert "Exception" not in done.err
        assert len(done.err.strip().splitlines()) == 1


def test_a_failed_write_leaves_the_older_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.json"
    write_whole(path, "older")
    path.chmod(0o600)

    def half(error: Exception) -> None:
        with whole_file(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(ZeroDivisionError):
        half(ZeroDivisionError())
    with pytest.raises(FileError, match="ENOSPC"):
        half(OSError(28, "No space left on device"))
    assert (path.read_text(), list(tmp_path.iterdir())) == ("older", [path])
    write_whole(path, "newer")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("newer", 0o600)
    with pytest.raises(FileError, match="no"):
        write_whole(tmp_path / "no" / "a.json", "x")
