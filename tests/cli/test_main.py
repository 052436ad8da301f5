"""What all commands share: exit codes, --json, errors, light imports."""

from __future__ import annotations

import json
import re

import pytest

from pvnet.cli.__main__ import COMMANDS
from pvnet.report import plain, table

ERROR = re.compile(r"\[.+\] .+: got .+, expected .+\. .+\.", re.DOTALL)


@pytest.mark.parametrize("module", ["pvnet", "pvnet.cli"])
def test_help_lists_every_command(pvnet_process, module):
    done = pvnet_process("--help", program=("-m", module))
    assert done.code == 0
    assert all(name in done.words for name in COMMANDS)
    assert done.err == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command(pvnet_cli, command):
    done = pvnet_cli(command, "--help")
    assert done.code == 0
    assert "--json" in done.words


def test_version_prints_the_package_version(pvnet_cli):
    import pvnet

    done = pvnet_cli("--version")
    assert (done.code, done.out.strip()) == (0, pvnet.__version__)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("fly",),
        ("run",),
        ("run", "synthetic", "--stages", "0"),
        ("run", "synthetic", "--stages", "two"),
        ("run", "synthetic", "--lanes", "-1"),
        ("run", "synthetic", "--wiring", "diagonal"),
        ("run", "synthetic", "--policy", "sometimes"),
        ("run", "synthetic", "--width", "0"),
        ("bench", "--stages", "1,,2"),
        ("trace", "--ticks", "x"),
        ("export", "--model", "par_densenet"),
        ("describe",),
        ("info", "movenet", "extra"),
        ("run", "synthetic", "--model", "par_densenet", "--classes", "5"),
        ("run", "synthetic", "--model", "par_inception", "--feedback"),
    ],
)
def test_bad_usage_ends_with_2(pvnet_cli, words):
    done = pvnet_cli(*words)
    assert done.code == 2
    assert done.out == ""
    assert done.err != ""
    assert "Traceback" not in done.err


def test_bad_usage_with_json_prints_one_document(pvnet_cli):
    done = pvnet_cli("run", "--json")
    assert done.code == 2
    assert done.document["error"]["type"] == "UsageError"


def test_options_of_random_networks_do_not_fit_files(pvnet_cli, model_file):
    done = pvnet_cli("describe", model_file, "--width", "0.5")
    assert done.code == 2
    assert "--width" in done.err


def test_missing_model_fails_with_its_message(pvnet_process):
    done = pvnet_process("describe", "nothing.safetensors")
    assert done.code == 1
    assert done.out == ""
    assert "Traceback" not in done.err
    assert ERROR.search(done.err)
    assert "nothing.safetensors" in done.err


def test_failure_with_json_prints_one_document(pvnet_cli):
    done = pvnet_cli("describe", "nothing.safetensors", "--json")
    assert done.code == 1
    assert done.document["error"]["type"] == "FileError"
    assert ERROR.search(done.document["error"]["message"])


def test_debug_shows_the_traceback(pvnet_cli):
    done = pvnet_cli("describe", "nothing.safetensors", "--debug")
    assert done.code == 1
    assert "Traceback" in done.err


def test_damaged_model_fails(pvnet_cli, model_file, tmp_path):
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(model_file.read_bytes()[:1000])
    done = pvnet_cli("run", "synthetic", "--model", cut, "--json")
    assert done.code == 1
    assert done.document["error"]["type"] == "FileError"


def test_impossible_network_fails(pvnet_cli):
    done = pvnet_cli("describe", "par_densenet", "--size", "33")
    assert done.code == 1
    assert ERROR.search(done.err)


def test_unwritable_output_is_refused_before_the_work(pvnet_cli, tmp_path):
    done = pvnet_cli(
        "trace",
        "--width",
        "0.125",
        "--size",
        "32",
        "--ticks",
        "1",
        "--out",
        tmp_path / "no" / "t.json",
    )
    assert done.code == 2
    assert "Traceback" not in done.err
    assert "there is no folder" in done.err


@pytest.mark.parametrize(
    "words",
    [
        ("demo", "--frames", "3", "--size", "32", "--no-files", "--quiet"),
        ("run", "synthetic", "--width", "0.125", "--size", "32", "--max-frames", "2"),
        ("trace", "--width", "0.125", "--size", "32", "--ticks", "2"),
        ("bench", "--width", "0.125", "--size", "32", "--ticks", "1", "--rounds", "1"),
        ("export", "--model", "par_densenet", "--width", "0.125", "--size", "32", "--out", "m.st"),
        ("describe", "par_densenet", "--width", "0.125", "--size", "32"),
        ("info",),
    ],
)
def test_no_command_imports_torch(pvnet_process, words):
    code = (
        "import sys\n"
        "from pvnet.cli.__main__ import main\n"
        "code = main(sys.argv[1:])\n"
        "assert 'torch' not in sys.modules, 'torch was imported'\n"
        "sys.exit(code)\n"
    )
    done = pvnet_process(*words, "--json", program=("-c", code))
    assert done.code == 0, done.err
    assert done.document


def test_table_aligns_numbers_to_the_right():
    text = table(("name", "n"), [("a", 1), ("long", 200.0), ("b", None)])
    assert text.splitlines() == ["name    n", "----  ---", "a       1", "long  200", "b       -"]


def test_plain_leaves_nothing_json_cannot_say():
    import numpy as np

    value = {1: np.float32(0.5), "a": (np.int64(3), float("nan")), "b": np.arange(2)}
    assert json.dumps(plain(value)) == '{"1": 0.5, "a": [3, null], "b": [0, 1]}'
