"""Wire, check, measure and distil a network on videos, and compare it with its rivals."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pvnet import runtime
from pvnet.cli._common.parse import natural, new_folder, new_model, positive
from pvnet.cli._common.progress import Progress, note
from pvnet.cli._common.report import Report
from pvnet.cli._parallelise import pictures
from pvnet.cli._parallelise.answers import check_exact
from pvnet.cli._parallelise.comparison import UNTRAINED, Answers, Clock, rivals_of, score
from pvnet.cli._parallelise.report import markdown
from pvnet.cli._parallelise.timing import compile_all, measure, simulate, tick_times
from pvnet.errors import InvalidArgumentError
from pvnet.evaluate.rivals import TickTimes, first_asked, state_reasons
from pvnet.files import write_json, write_whole
from pvnet.graph import Graph
from pvnet.report import plain, table
from pvnet.runtime.machine import machine_record

if TYPE_CHECKING:
    from pvnet.data.footage import Footage

_TEST, _VALIDATION = 0.25, 0.2  # shares of the videos; of what is left of them
_CLIP = 8  # scored ticks of a clip
_ENDLESS = 10**6  # steps, where minutes end the training
_LOOK_EVERY = 25  # steps


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `pvnet parallelise`."""
    parser.add_argument(
        "model", metavar="MODEL", help="model.safetensors, model.onnx, module.py:factory"
    )
    parser.add_argument(
        "videos", nargs="+", metavar="VIDEOS", help="videos without labels: files, folders"
    )
    parser.add_argument("--stages", type=positive, default=4, metavar="K", help="default 4")
    parser.add_argument("--out", type=new_model, metavar="FILE", help="the student's model file")
    parser.add_argument(
        "--report", type=new_folder, metavar="DIR", help="default: beside --out, or pvnet_report"
    )
    frames = parser.add_argument_group("frames")
    frames.add_argument(
        "--held-out",
        nargs="+",
        metavar="VIDEO",
        help="to compare on; default: "
        "a quarter of the videos, or the last quarter of each of a few",
    )
    frames.add_argument(
        "--fps",
        type=float,
        help="frames per second of your camera; default: that of the first video",
    )
    frames.add_argument(
        "--size",
        type=positive,
        nargs="+",
        metavar="N",
        help="height and width of the frames, of a torch or ONNX network (default 224)",
    )
    frames.add_argument(
        "--mean",
        type=float,
        nargs="+",
        help="per channel of frames scaled to 0..1",
    )
    frames.add_argument("--std", type=float, nargs="+", help="per channel, after that")
    training = parser.add_argument_group("training")
    training.add_argument("--minutes", type=_minutes, metavar="M", help="default 10; 0: none")
    training.add_argument("--steps", type=natural, metavar="N", help="instead of minutes")
    training.add_argument("--batch", type=positive, default=2, help="clips per step (default 2)")
    training.add_argument("--rate", type=float, default=2e-5, help="default 2e-5: gentle")
    training.add_argument(
        "--prediction-latency",
        type=natural,
        default=0,
        metavar="P",
        help="learn the answer for frame t - P (default 0)",
    )
    training.add_argument(
        "--set",
        dest="settings",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="keys of docs/training.md, e.g. optimiser.clip_norm=0.5",
    )
    training.add_argument(
        "--student", metavar="FILE", help="compare this one, made by an earlier --out; no training"
    )
    parser.add_argument("--lanes", type=positive, metavar="N", help="default: as many as it uses")
    parser.add_argument(
        "--simulate",
        type=positive,
        metavar="N",
        help="further lanes to put together from measured times; default K",
    )


def _minutes(text: str) -> float:
    value = float(text)
    if not value >= 0:
        raise argparse.ArgumentTypeError(f"got {text}, expected at least 0")
    return value


def written(args: argparse.Namespace) -> list[Path]:
    """What may not be the network's own file."""
    return [args.out] if args.out else []


def run(args: argparse.Namespace) -> Report:
    """Load, wire, check, measure, train, compare, report."""
    from pvnet.train.any_model import load_any

    folder = args.report or _beside(args.out)
    model = load_any(args.model, size=_size(args.size), mean=args.mean, std=args.std)
    known = None if args.student is None else runtime.load(args.student)
    wired = _wire(model, args.stages, known)
    args.stages = wired["predictive"].n_stages
    train, validation, test = _footage(args, wired)
    folder.mkdir(parents=True, exist_ok=True)
    _say(args, f"{train.frames} frames to learn from, {test.frames} to compare on ({test.how})")
    plans = compile_all(model, wired, args.lanes)
    exact = check_exact(plans["sequential"], plans["pipelined"], test.pieces[0][:64])
    frames = list(test.pieces[0][:16])
    lanes = max(plan.lanes for plan in plans.values())
    here = tick_times(measure(plans, frames), lanes)
    more = simulate(model, wired, frames, args.simulate or args.stages, here)
    _say(
        args,
        f"a tick takes {here.sequential_ms:.1f} ms sequential, {here.predictive_ms:.1f} ms "
        f"depth-parallel, on {lanes} lane(s)",
    )
    training: dict[str, Any] | None
    if known is not None:
        student, training = known, {"steps": 0, "given": Path(args.student).name}
    else:
        student, training = _train(args, model, wired["predictive"], train, validation, folder)
    networks = {"exact": plans["sequential"], "predictive": plans["predictive"]}
    if training is not None:
        networks[UNTRAINED] = plans["predictive"]
        networks["predictive"] = runtime.compile(student, lanes=args.lanes)
    answers = Answers(networks, test.pieces)
    reasons = state_reasons(wired["sequential"])
    rows = [
        (
            clock,
            rivals_of(
                clock, stages=args.stages, has_state=bool(reasons), trained=training is not None
            ),
        )
        for clock in _clocks(here, more, args.fps or test.fps[0])
    ]
    clocks = [score(clock, rivals, answers) for clock, rivals in rows]
    document: dict[str, Any] = {
        "command": "parallelise",
        "model": Path(args.model.rpartition("/")[2]).name,
        "stages": args.stages,
        "out": None if args.out is None else str(args.out),
        "report": str(folder / "report.md"),
        "exact": exact,
        "times": [asdict(here), asdict(more)],
        "has_state": bool(reasons),
        "state": reasons[:5],
        "clocks": clocks,
        "training": training,
        "trained_on": f"{train.frames} frames of {len(train.names)} videos",
        "compared_on": f"{test.frames} frames of {', '.join(test.names[:6])} ({test.how})",
        "left_out": train.left_out.document(),
        "machine": machine_record()["cpu"],
    }
    if args.out is not None:
        runtime.save(student, args.out)
    _write(folder, document, answers, [rivals for _, rivals in rows])
    return Report(document, _text(document))


def _beside(out: Path | None) -> Path:
    return Path("pvnet_report") if out is None else out.with_name(f"{out.stem}_report")


def _say(args: argparse.Namespace, words: str) -> None:
    if not args.quiet:
        note(words)


def _size(given: list[int] | None) -> tuple[int, int] | None:
    if given is None:
        return None
    if len(given) > 2:
        raise InvalidArgumentError(
            f"[parallelise] --size: got {given}, expected height and width, or one number for "
            "both. Correct it."
        )
    return given[0], given[-1]


def _wire(model: runtime.Model, stages: int, student: runtime.Model | None) -> dict[str, Graph]:
    """The three wirings, cut as a known model is, else where measured times are even."""
    inputs = [n for n in model.graph.nodes if n.op == "input"]
    if len(inputs) != 1 or inputs[0].shape[0] != 3:
        raise InvalidArgumentError(
            f"[parallelise] the network takes no video: got inputs {[i.shape for i in inputs]}, "
            "expected one with 3 channels. Use pvnet.train.fit with tensors."
        )
    from pvnet import models

    chosen = models.rewired(model, "predictive", stages)
    predictive = chosen.graph
    if student is not None:
        predictive = model.graph.wire("predictive", student.graph.stage_lists)
    elif "even" in chosen.how:
        predictive = model.graph.wire("predictive", stages, costs=runtime.measure_costs(model))
    others = {name: predictive.wire(name) for name in ("sequential", "pipelined")}
    return {**others, "predictive": predictive}


def _footage(
    args: argparse.Namespace, wired: Mapping[str, Graph]
) -> tuple[Footage, Footage, Footage]:
    """To learn from, to choose by, and to compare on; they share no frame."""
    from pvnet.data.footage import read_footage

    _, h, w = next(n.shape for n in wired["predictive"].nodes if n.op == "input")
    # The last parts must be longer than a clip, and than the latest rival.
    least = 2 * (_ticks(wired) + 1)
    everything = read_footage(args.videos, (h, w), least=least)
    if args.held_out:
        test, rest = read_footage(args.held_out, (h, w), least=least), everything
    else:
        rest, test = everything.split(_TEST)
    train, validation = rest.split(_VALIDATION)
    return train, validation, test


def _ticks(wired: Mapping[str, Graph]) -> int:
    """Frames of a clip: the warm-up and some that are scored."""
    return max(o.warm_up_ticks for o in wired["predictive"].outputs) + _CLIP


def _train(
    args: argparse.Namespace,
    model: runtime.Model,
    graph: Graph,
    train: Footage,
    validation: Footage,
    folder: Path,
) -> tuple[runtime.Model, dict[str, Any] | None]:
    """The student; None where no training was asked for."""
    untrained = runtime.Model(graph, model.weights, dict(model.metadata))
    minutes = 10.0 if args.minutes is None and args.steps is None else args.minutes
    if not minutes and not args.steps:
        return untrained, None
    from pvnet.nn import Network
    from pvnet.train import fit
    from pvnet.train.config import set_override

    net = Network(graph, metadata=model.metadata)
    net.load_weights(model.weights)
    document: dict[str, Any] = {}
    for override in args.settings:
        set_override(document, override)
    own = {f"{s}.{k}": v for s, values in document.items() for k, v in values.items()}
    settings = {
        "run.steps": args.steps or _ENDLESS,
        "run.minutes": minutes or 0.0,
        "run.batch": args.batch,
        "run.validate_every": _LOOK_EVERY,
        "optimiser.rate": args.rate,
        "data.frames": _ticks({"predictive": graph}),
        "loss.prediction_latency": args.prediction_latency,
        **own,
    }
    began = time.monotonic()
    with Progress("distilling", total=args.steps, quiet=args.quiet) as bar:

        def on_step(_: int, losses: dict[str, float]) -> None:
            bar.step()
            bar.say(f"loss {losses['loss']:.4g}")

        made = fit(
            net,
            videos=train,
            held_out=validation,
            out=folder / "run",
            teacher="self",
            settings=settings,
            on_step=on_step,
        )
    looks = made.result["validation"]
    told = {"steps": made.result["steps"], "minutes": (time.monotonic() - began) / 60}
    return runtime.load(made.path), {**told, **looks}


def _clocks(here: TickTimes, more: TickTimes, fps: float) -> list[Clock]:
    return [
        Clock(f"at {fps:g} frames per second", 1e3 / fps, here),
        Clock("as fast as predictive goes here", here.predictive_ms, here),
        Clock(f"as fast as {more.lanes} lanes go", more.predictive_ms, more),
    ]


def _write(
    folder: Path, document: dict[str, Any], answers: Answers, rivals: list[list[Any]]
) -> None:
    """Pictures, `report.md` and `report.json`."""
    drawn = []
    if pictures.available():
        pictures.draw_errors(document["clocks"], folder / "errors.png")
        drawn.append("errors.png")
        first = first_asked(rivals[-1], answers.warm_up)
        for name in list(document["clocks"][0]["rows"][0]["outputs"])[:2]:
            others = {
                r.name: (answers.of(r.says, r.protocol.every, name)[0], r.protocol)
                for r in rivals[-1]
                if r.name in ("pipelined", "predictive", "predictive, untrained")
            }
            file = "answers.png" if name == "output" else f"answers_{name}.png".replace("/", "_")
            pictures.draw_answers(
                name, answers.of("exact", 1, name)[0], others, first, folder / file
            )
            drawn.append(file)
        curve = folder / "run" / "curve.png"
        if document["training"] is not None and curve.exists():
            write_whole(folder / "curve.png", curve.read_bytes(), where="parallelise")
            drawn.append("curve.png")
    document["pictures"] = drawn
    write_json(folder / "report.json", plain(document), where="parallelise")
    write_whole(folder / "report.md", markdown(document, drawn), where="parallelise")


def _text(d: Mapping[str, Any]) -> str:
    rows = [
        (c["clock"], r["name"], r["error"], r["late_ticks"], r["delay_ms"])
        for c in d["clocks"]
        for r in c["rows"]
    ]
    verdicts = "\n".join(f"{c['clock']}: {c['verdict']}" for c in d["clocks"])
    wrote = f"wrote {d['report']}" + (f" and {d['out']}" if d["out"] else "")
    header = ("frames come", "who", "error", "late, frames", "delay, ms")
    return f"{table(header, rows)}\n\n{verdicts}\n{wrote}"
