"""bench/peers.py without its peers: turns, checks, figures, the networks in plain torch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def no_peers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Folders of this test alone, and no environment of the peers."""
    from peer import files, venv

    monkeypatch.setattr(files, "HOME", tmp_path / "peers")
    monkeypatch.setattr(venv, "HOME", tmp_path / "no-environment")
    return tmp_path


def test_engines_take_turns_in_one_order() -> None:
    from peer.turns import Seat, schedule

    a, b = Seat("pvnet", 1), Seat("openvino", 1)
    order = [(number, seat.engine) for number, seat in schedule(3, [a, b])]
    assert order == [
        (0, "pvnet"), (0, "openvino"), (1, "pvnet"), (1, "openvino"), (2, "pvnet"), (2, "openvino")
    ]  # fmt: skip


def test_what_is_wrong_is_refused_and_what_ends_is_told() -> None:
    from peer import networks, turns
    from peer.turns import Seat

    net = networks.prepare("densenet", dry=True)
    right, wrong, missing = Seat("fake:3", 1), Seat("fake wrong", 1), Seat("openvino", 1)
    own, broken = Seat("pvnet", 1), Seat("fake:broken", 1)
    said: list[str] = []
    seats = [right, wrong, missing, own, broken]
    turns.play(net, seats, rounds=2, seconds=0.02, peak=lambda: 100.0, say=said.append)

    assert right.error == ""
    assert right.far == 0.0
    assert len(right.rounds) == 2
    assert min(right.rounds[0]["ms"]) >= 3.0
    assert own.error == ""
    assert own.far is not None
    assert own.far <= 2e-4
    assert wrong.error.startswith("refused: outputs differ by 1.00e-02")
    assert not wrong.rounds
    assert "no environment" in missing.error
    assert "could not convert string to float: 'broken'" in broken.error
    assert len(said) == 3
    assert "error" in turns.figures(net, wrong)
    assert "ms" not in turns.figures(net, wrong)


def test_no_other_engine_works_during_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    from peer import networks, turns
    from peer.turns import Seat

    at_work: list[str] = []
    order: list[str] = []

    class Noted:
        def __init__(self, net: object, seat: Seat) -> None:
            self.name = seat.engine

        def ask(self, do: str, **more: float) -> dict[str, object]:
            assert not at_work
            at_work.append(self.name)
            order.append(f"{do} {self.name}")
            at_work.pop()
            return {"far": 0.0, "ms": [1.0], "seconds": 1e-3, "cpu_s": 0.0, "peak_mb": 1.0}

        def end(self) -> None:
            order.append(f"end {self.name}")

    monkeypatch.setattr(turns, "Player", Noted)
    net = networks.prepare("densenet", dry=True)
    seats = [Seat("fake:1", 1), Seat("fake:2", 1)]
    turns.play(net, seats, rounds=2, seconds=0.1, peak=lambda: 1.0, say=lambda _: None)
    a, b = "fake:1", "fake:2"
    assert order == [f"{what} {who}" for what in ("check", "time", "time", "end") for who in (a, b)]


def test_fully_parallel_outputs_are_compared_on_still_video() -> None:
    from peer import networks
    from peer.files import NEAR
    from peer.own import OwnParallel, OwnPipelined, OwnSingle
    from peer.serve import distance

    net = networks.prepare("inception_halving", dry=True)
    assert net.clock_ticks == 16
    assert distance(OwnParallel(net, 1), net) <= NEAR
    late = OwnPipelined(net, 2)
    assert len(late.plan.graph.stage_lists) == 2
    assert late.plan.graph.wiring == "pipelined"
    assert distance(late, net) <= NEAR
    single = OwnSingle(net, 1)
    assert (single.net.name, single.net.clock_ticks) == ("inception_single", 1)
    assert distance(single, net) <= NEAR


@pytest.mark.parametrize("name", ["densenet", "inception_single", "movenet"])
def test_the_networks_in_plain_torch(name: str) -> None:
    pytest.importorskip("torch")
    from peer import networks
    from peer.engines import Torch
    from peer.files import NEAR
    from peer.serve import distance

    net = networks.prepare(name, dry=True)
    assert distance(Torch(net, 1), net) <= NEAR


@pytest.mark.parametrize("name", ["inception_single", "inception_i3d"])
def test_a_window_computed_anew_gives_the_newest_output(name: str) -> None:
    torch = pytest.importorskip("torch")
    from peer import networks
    from peer.files import NEAR, far
    from peer.torch_net import WindowNet

    net = networks.prepare(name, dry=True)
    clip = torch.from_numpy(net.frames()[: net.window, 0]).transpose(0, 1)[None]
    with torch.inference_mode():
        found = WindowNet(net.nodes, [node for _, node in net.outputs], net.weights())(clip)
    assert far(found[0].numpy(), net.want()[0][net.window - 1]) <= NEAR


def test_the_past_comes_back_newest_first() -> None:
    from peer.past import Past

    past = Past([("frame", [1], 2), ("map", [1], 1)], "frame", lambda shape: np.zeros(shape))
    for frame in (1.0, 2.0, 3.0):
        (written,) = past.now()
        written[:] = 10 * frame
        past.turn(np.full(1, frame))
    assert [float(value[0]) for value in past.before()] == [3.0, 2.0, 30.0]
    past.turn(np.full(1, 4.0), [np.full(1, 40.0)])
    assert [float(value[0]) for value in past.before()] == [4.0, 3.0, 40.0]


def test_who_takes_part_in_what() -> None:
    from peer import networks
    from peer.turns import seats

    engines = ["pvnet", "pvnet single-rate", "openvino", "openvino streams", "openvino window"]
    clocks = seats(networks.prepare("inception_i3d", dry=True), engines, [2])
    assert [s.engine for s in clocks] == ["pvnet", "pvnet single-rate", "openvino window"]
    single = seats(networks.prepare("inception_single", dry=True), engines, [2])
    assert [s.engine for s in single] == ["pvnet", "openvino", "openvino window"]
    frames = seats(networks.prepare("densenet", dry=True), engines, [1, 2])
    labels = [s.label for s in frames]
    assert labels == ["pvnet x1", "pvnet x2", "openvino x1", "openvino x2", "openvino streams x2"]


def test_figures_of_rounds() -> None:
    from types import SimpleNamespace

    from peer.turns import Seat, figures

    seat = Seat("pvnet", 2, far=1e-6)
    for mean, single in ((10.0, [9.0, 11.0]), (12.0, [12.0, 12.0]), (11.0, [10.0, 12.0])):
        seat.rounds.append(
            {"ms": single, "ms_per_frame": mean, "peak_mb": 50.0, "peak_gflops": 100.0,
             "others": 0.1, "core_ns": 3 * mean}
        )  # fmt: skip
    row = figures(SimpleNamespace(gmac=0.55), seat)  # type: ignore[arg-type]
    assert (row["ms"], row["p50_ms"], row["frames"]) == (11.0, 11.5, 6)
    assert row["spread"] == pytest.approx(2 / 11)
    assert row["p99_ms"] == pytest.approx(12.0)
    assert row["rounds_core_ns"] == [30.0, 36.0, 33.0]
    assert row["of_peak"] == pytest.approx(0.5)  # 1.1 GFLOP in 11 ms on two cores of 100 GFLOP/s


def _row(engine: str, threads: int, *rounds: float) -> dict[str, object]:
    middle = float(np.median(rounds))
    return {
        "engine": engine, "threads": threads, "ms": middle, "p50_ms": middle, "p99_ms": middle,
        "spread": 0.1, "rounds_ms": list(rounds), "of_peak": 0.5, "peak_gflops": 100.0,
        "others": 0.02,
    }  # fmt: skip


def test_turns_with_cores_at_other_distances_are_not_compared() -> None:
    from peer.summary import ratio

    own, other = _row("pvnet", 2, 10.0, 10.0, 15.0), _row("openvino", 2, 11.0, 18.0, 18.0)
    assert ratio(other, own) == pytest.approx(1.2)
    own["rounds_core_ns"], other["rounds_core_ns"] = [27.0, 27.0, 160.0], [27.0, 160.0, 165.0]
    assert ratio(other, own) == pytest.approx(1.15)  # of 1.1 and 1.2
    other["rounds_core_ns"] = [160.0, 160.0, 27.0]
    assert ratio(other, own) == pytest.approx(1.2)  # none are alike


def _record(network: str, *rows: dict[str, object]) -> dict[str, object]:
    return {
        "network": network, "label": network, "gmac": 1.0, "commit": "abc", "made": "today",
        "dry": False, "rows": list(rows),
    }  # fmt: skip


def test_ratios_bars_and_losses() -> None:
    from peer import summary

    resnet = _record(
        "resnet18", _row("pvnet", 2, 10, 20, 10), _row("openvino", 2, 13, 26, 12),
        _row("onnxruntime", 2, 15, 30, 15), {"engine": "torch", "threads": 2, "error": "gone"},
    )  # fmt: skip
    mobile = _record("mobilenet_v2", _row("pvnet", 2, 10, 10), _row("onnxruntime", 2, 8, 8))
    clocks = _record(
        "inception_i3d", _row("pvnet", 2, 10), _row("pvnet single-rate", 2, 25)
    )
    dense = _record(
        "densenet", _row("pvnet", 1, 20), _row("pvnet", 2, 11), _row("pvnet parallel", 1, 20),
        _row("pvnet parallel", 2, 10), _row("openvino", 2, 10.5),
    )  # fmt: skip
    records = {r["network"]: r for r in (resnet, mobile, clocks, dense)}
    bars = {(b.network, b.against): b for b in summary.BARS}

    own = summary.find(resnet, "pvnet", 2)
    assert summary.ratio(summary.find(resnet, "openvino", 2), own) == 1.3
    assert summary.held(bars["resnet18", summary.RIVALS], resnet) == (2, 1.3, "openvino")
    lanes = summary.held(bars["densenet", ()], dense)
    assert lanes == (2, 2.0, "pvnet parallel")
    assert summary.held(bars["inception_i3d", ("openvino window",)], clocks) is None
    assert summary.losses(records) == [
        "loss: mobilenet_v2 x2: onnxruntime takes 0.80 of pvnet's time"
    ]
    late = _record(
        "densenet", _row("pvnet", 2, 10), _row("pvnet pipelined", 2, 8),
        _row("openvino streams", 2, 9), _row("openvino", 2, 9),
    )  # fmt: skip
    assert summary.losses({"densenet": late}) == [
        "loss: densenet x2: openvino takes 0.90 of pvnet's time"
    ]
    text = summary.table_of(records)
    assert "busy" not in text
    busy = _record("resnet18", {**_row("pvnet", 2, 10), "others": 0.4})
    assert "40 % of the machine, busy: measure again" in summary.table_of({"resnet18": busy})
    for part in ("held", "aim reached", "missed by 16 %", "not measured", "loss: mobilenet_v2"):
        assert part in text
    assert "left out: torch x2: gone" in summary.of_network(resnet)


def test_outputs_of_low_precision_are_measured_by_their_noise(monkeypatch) -> None:
    from peer import files, networks

    rng = np.random.default_rng(0)
    want = rng.standard_normal((1, 5, 8, 8)).astype(np.float32) + 3
    off = want + 0.05 * rng.standard_normal(want.shape).astype(np.float32)
    assert files.noise(want, want) == 0
    assert files.noise(off, want) == pytest.approx(0.05, rel=0.2)
    assert files.noise(np.full_like(want, 3), want) == pytest.approx(1, rel=0.1)
    assert files.noise(off * np.nan, want) == files.noise(off[:, 1:], want) == np.inf

    net = networks.prepare("densenet", dry=True)
    monkeypatch.setenv(files.PRECISION, "int8")
    small, noisy = 1e-3 * want, 1e-3 * off + 0.01
    assert files.noise(noisy, small) > files.near(net.name)
    assert files.distance(net, [[noisy], [off]], [[small], [want]]) <= files.near(net.name)
    one_value = want.copy()
    one_value[0, 0, 0, 0] *= 1.4
    for precision, right in (("f32", False), ("bf16", False), ("int8", True)):
        monkeypatch.setenv(files.PRECISION, precision)
        assert (files.distance(net, [[one_value]], [[want]]) <= files.near(net.name)) is right


def test_joints_of_low_precision_are_measured_by_how_far_they_moved(monkeypatch) -> None:
    from peer import files, networks

    net = networks.prepare("movenet", dry=True)
    want = [value[0] for value in net.want()]
    names = [name for name, _ in net.outputs]
    side = want[names.index("center")].shape[-1]
    moved = [value + 1.0 * (name == "regression") for name, value in zip(names, want)]
    dimmed = [value - 1.0 * (name == "center") for name, value in zip(names, want)]
    monkeypatch.setenv(files.PRECISION, "int8")
    assert files.distance(net, [want], [want]) == files.distance(net, [dimmed], [want]) == 0
    assert files.distance(net, [want, moved], [want, want]) == pytest.approx(2**0.5 / side)
    monkeypatch.setenv(files.PRECISION, "f32")
    assert files.distance(net, [want, dimmed], [want, want]) > files.near("movenet")


def test_frames_to_calibrate_on_are_not_those_that_are_compared() -> None:
    from peer import networks

    for name in ("densenet", "movenet"):
        net = networks.prepare(name, dry=True)
        frames, calibration = net.frames(), net.calibration()
        assert frames.shape == calibration.shape
        assert abs(frames - calibration).max() > 0.5
        assert abs(frames.std() - calibration.std()) < 0.2


def test_a_machine_has_a_folder() -> None:
    from peer.summary import slug

    assert slug("AMD EPYC", 2) == "epyc-2core"
    assert slug("Intel(R) Xeon(R) Processor @ 2.10GHz", 4) == "xeon-4core"


def test_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import peers
    from peer import own

    monkeypatch.setenv(own.OPTIONS, "")  # put back afterwards
    out = str(tmp_path / "records")
    options = ["--dry", "--threads", "1", "--out", out, "--networks", "densenet", "resnet18"]
    options += ["--compile", "backend=cpu"]
    peers.main([*options, "--engines", "pvnet", "pvnet parallel", "fake wrong"])
    shown = capsys.readouterr()
    assert "resnet18 left out: torchvision: there is no environment of the peers" in shown.err
    assert "left out: fake wrong x1: refused" in shown.out

    record = json.loads((tmp_path / "records" / "densenet.json").read_text())
    assert record["dry"]
    assert record["compile"] == {"backend": "cpu"}
    assert record["rounds"] == 2
    assert record["machine"]["cpus"] >= 1
    assert [row["engine"] for row in record["rows"]] == ["pvnet", "pvnet parallel", "fake wrong"]
    assert record["rows"][0]["frames"] >= 2
    assert record["rows"][0]["peak_gflops"] > 0

    peers.main([*options, "--engines", "pvnet", "--minutes", "0"])
    assert "no time left for resnet18" in capsys.readouterr().err

    peers.main(["--table", "--out", out])
    assert "Par-DenseNet" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        peers.main(["--networks", "alexnet"])
    assert "got 'alexnet', expected some of inception_frame" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("precision", "engines"),
    [("bf16", ["openvino", "openvino streams"]),
     ("int8", ["openvino", "openvino streams", "onnxruntime"])],
)  # fmt: skip
def test_engines_of_a_precision(precision: str, engines: list[str], capsys) -> None:
    import peers

    args = peers.parsed(["--precision", precision])
    assert args.engines == ["pvnet", "pvnet pipelined", *engines]
    assert args.out.name == f"peers_{precision}"
    with pytest.raises(SystemExit):
        peers.parsed(["--precision", precision, "--engines", "torch"])
    assert f"got 'torch', which has no {precision}" in capsys.readouterr().err
