"""Records of the steps of bench/gpu.sh, their table, and what has a goal."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FACTS = {
    "card": "NVIDIA H100 80GB HBM3", "driver": "580.1", "commit": "0123456789ab",
    "clocks": {"before": {"sm_mhz": 345.0}, "after": {"sm_mhz": 1980.0}},
    "bf16_tflops": 790.0, "cpu": "a CPU", "cpus": 16, "python": "3.12.3",
}  # fmt: skip


def make(folder: Path, step: str, rows: list[dict], *, ended: str = "done", dry: bool = False):
    from gpu import record

    data = record.Record.begin(folder / f"{step}.json", step, dry=dry).data
    data.update(rows=rows, ended=ended, seconds=12.5, facts=FACTS)
    record.write(folder / f"{step}.json", data)
    return data


def test_what_a_step_has_measured_outlives_it(tmp_path: Path) -> None:
    from gpu import record

    path = tmp_path / "own.json"
    found = record.Record.begin(path, "own", dry=False)
    found.add(us=np.float32(1.5), count=np.int64(2), times=(1.0, float("nan")))
    found.note("a note")
    data = record.read(path)
    assert data is not None
    assert data["rows"] == [{"us": 1.5, "count": 2, "times": [1.0, None]}]
    assert data["ended"] == record.RUNNING
    assert not record.right(data)
    found.end()
    data = record.read(path)
    assert data is not None
    assert record.right(data)
    assert record.faults(data) == [f"no fact '{name}'" for name in record.FACTS]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"step": "own"}', "nonsense"])
def test_files_that_are_no_records_are_none(tmp_path: Path, text: str) -> None:
    from gpu import record

    (tmp_path / "own.json").write_text(text)
    assert record.read(tmp_path / "own.json") is None
    assert record.read(tmp_path / "missing.json") is None


def test_rows_with_errors_or_wrong_results_make_a_step_wrong(tmp_path: Path) -> None:
    from gpu import record

    for row in ({"right": False}, {"error": "no memory"}):
        data = make(tmp_path, "own", [{"right": True}, row])
        assert record.wrong_rows(data) == [row]
        assert not record.right(data)
    assert record.right(make(tmp_path, "own", [{"right": True, "error": ""}]))
    assert not record.right(make(tmp_path, "own", [], ended="failed: exit code 1"))


def test_the_table_shows_every_step_in_12000_characters(tmp_path: Path) -> None:
    from gpu import summary
    from gpu.steps import EVERY

    names = [step.name for step in EVERY]
    for name in names[1:]:
        make(
            tmp_path,
            name,
            [{"net": f"net {i}", "us": 1.0 * i, "right": i != 3} for i in range(400)],
        )
    make(tmp_path, "wave", [], ended="ended at its deadline of 40 s")
    (tmp_path / "wave.log").write_text("\n".join(f"line {i}" for i in range(100)))
    text = summary.text(tmp_path, names)
    assert len(text) < 12_000
    assert all(f"-- {name}: " in text for name in names)
    assert f"-- {names[0]}: no record" in text
    assert "1 ROWS NOT RIGHT" in text
    assert "! net 3" in text
    assert "| line 99" in text
    assert "H100" in text
    assert summary.code(tmp_path, names) == 1
    make(tmp_path, "own", [{"us": 1.0}])
    assert summary.code(tmp_path, ["own"]) == 0


def test_columns_of_the_table_follow_the_rows(tmp_path: Path) -> None:
    from gpu import summary

    rows = [
        {"net": "a", "us": 12.345, "times": {"x": 1}},
        {"net": "long", "us": None},
        {"other": True},
    ]
    make(tmp_path, "own", rows)
    lines = summary.text(tmp_path, ["own"]).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("-- own"))
    assert lines[at + 1 :] == ["  net  us", "  a    12.3", "  long -", "  other", "  yes"]


def test_goals_are_read_from_the_records(tmp_path: Path) -> None:
    from gpu import figures, record, summary

    own = {"net": "par_inception layers", "dtype": "bf16", "best": "wave", "wave_us": 61.0}
    make(
        tmp_path,
        "own",
        [{**own, "right": True}, {**own, "net": "par_inception 10", "right": False}],
    )
    ours = {"net": "par_inception", "way": "pvnet 10", "best_peer_over_this": 2.0, "right": True}
    make(tmp_path, "peers", [ours])
    make(tmp_path, "latency", [{"p50_us": 90.0, "p99_us": 501.0}])
    records = {path.stem: record.read(path) for path in tmp_path.glob("*.json")}
    rows = {goal.name: goal.row(records)[3:] for goal in figures.GOALS}
    assert rows["Par-Inception layers, us a tick"] == ("61", "at least")
    assert rows["Par-Inception 10, us a tick"] == (figures.NOT_MEASURED, "")  # its check failed
    assert rows["Par-Inception 10 over the best peer"] == ("2", "MISSED")
    assert rows["host to host p50, us"] == ("90", "aim")
    assert rows["host to host p99, us"] == ("501", "MISSED")
    assert rows["64 rows, % of the matrix rate"] == (figures.NOT_MEASURED, "")
    assert "MISSED" in summary.text(tmp_path, ["own", "peers", "latency"])
    make(tmp_path, "own", [{**own, "right": True}], dry=True)
    assert "a dry run measures none" in summary.text(tmp_path, ["own"])


def test_a_call_hands_out_few_files_and_takes_them_back(tmp_path: Path) -> None:
    from gpu import bundle, record

    made = make(tmp_path, "own", [{"us": 1.0}])
    (tmp_path / "own.log").write_text("a line\n")
    (tmp_path / "speed_up.png").write_bytes(b"a picture")
    bundle.pack(tmp_path, tmp_path / "out", "the table")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "logs.txt", "records.json", "speed_up.png", "table.txt",
    ]  # fmt: skip
    (tmp_path / "new").mkdir()
    bundle.unpack(tmp_path / "out", tmp_path / "new")
    assert record.read(tmp_path / "new" / "own.json") == made
    make(tmp_path / "new", "own", [{"us": 2.0}])
    bundle.unpack(tmp_path / "out", tmp_path / "new")  # newer ones stay
    assert json.loads((tmp_path / "new" / "own.json").read_text())["rows"] == [{"us": 2.0}]


def test_the_folder_of_a_card_is_a_plain_name() -> None:
    from gpu import machine

    assert machine.folder("NVIDIA H100 80GB HBM3") == "h100-80gb-hbm3"
    assert machine.folder("NVIDIA H200") == "h200"
    assert machine.folder(None) == "no-card"


def test_counters_of_nsight_compute_are_read() -> None:
    from gpu import wave

    text = (
        '==PROF== Connected\n"ID","Kernel Name","Metric Name","Metric Unit","Metric Value"\n'
        + "".join(
            f'"{i}","pv_tiles(program)","{name}","{unit}","{value}"\n'
            for i in (12, 13)
            for name, unit, value in (
                ("Duration", "us", "12.5"),
                ("Other", "", "1"),
                ("Grid Size", "", "132"),
            )
        )
    )
    row = {"kernel": "pv_tiles", "Duration": "12.5 us", "Grid Size": "132"}
    assert wave.parse(text) == [row, row]


def test_peers_are_described_as_the_models_are() -> None:
    """Run `PYTHONPATH=bench python -m gpu.describe` when a model has changed."""
    from gpu import describe, peer_net

    assert peer_net.FILE.read_text() == describe.text()


def test_the_peer_gives_the_results_of_the_network() -> None:
    import torch
    from gpu import networks, peer_net, peer_ways, peers

    where = networks.Target("cpu", None, (), ("f32",), real=False, size=32, width=0.125)
    for net in (peers.small_net(where, 1), networks.net("par_inception", 1, where)):
        frames = networks.frames_of(where)
        layers = peers.folded(net.graph, net.weights)
        nodes = peers.nodes_of(net.graph)
        peer = peer_net.PeerNet(nodes, layers, device="cpu", dtype=torch.float32)
        inputs = [f.float() for f in peers.normalised(net, frames, where)]
        # Frames are rounded to bfloat16 for peers: outputs are near, not equal.
        want = networks.play(net.compile(where, "f32"), frames, 4)
        for _ in range(2):  # the second time after its past was cleared
            with torch.inference_mode():
                got = [peer(inputs[t]).numpy() for t in range(len(want))]
            far = [networks.far(a.reshape(b.shape), b) for a, b in zip(got, want)]
            assert max(far) < 1e-2
            peer_ways.forget(peer)


def test_a_program_without_arguments_says_what_it_needs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gpu.own"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "--out" in done.stderr
