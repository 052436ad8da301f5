"""The report: Markdown that a person reads, from the JSON document of the command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def markdown(d: Mapping[str, Any], pictures: Sequence[str]) -> str:
    """The whole report.

    Args:
        d: the document.
        pictures: file names beside the report.
    """
    parts = [
        f"# {d['model']} in {d['stages']} stages",
        "## Who wins",
        _verdicts(d),
        _picture(pictures, "errors.png", "errors of all, by clock"),
        "## Is it exact?",
        _exact(d["exact"], d["stages"]),
        "## How long is a tick?",
        _times(d),
        "## Who answers what?",
        _WORDS,
        *(_clock(clock) for clock in d["clocks"]),
        *(_picture(pictures, n, "answers over time") for n in pictures if n.startswith("answers")),
        "## The training",
        _training(d),
        _picture(pictures, "curve.png", "loss over steps"),
        "## What now",
        _next(d),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


_WORDS = """\
The frames are held-out ones. At the end of every frame's time each contender is asked what the
network says about the newest frame.

* *error*: root of the mean squared difference from the exact answer for that frame. It is divided
  by the same of always giving the mean answer. 0 is exact, 1 is no better than that mean.
* *cosine*: mean cosine between the two answers.
* *same top*: the share of ticks with the same largest channel. Of a map: the share of channels
  with the same peak, one cell away at most.
* *late*: how many frames came since the one that is answered.
* *delay*: from the arrival of a frame until its answer is there."""


def _verdicts(d: Mapping[str, Any]) -> str:
    return "\n".join(f"* **{c['clock']}**: {c['verdict']}" for c in d["clocks"])


def _picture(pictures: Sequence[str], name: str, words: str) -> str:
    return f"![{words}]({name})" if name in pictures else ""


def _exact(exact: Mapping[str, Any], stages: int) -> str:
    if exact["equal_bits"]:
        return (
            f"Yes. Pipelined in {stages} stages gave the bits of the sequential network, "
            f"{exact['late_ticks']} ticks later, on {exact['ticks']} ticks."
        )
    return (
        f"Yes, up to rounding. Pipelined in {stages} stages is the sequential network "
        f"{exact['late_ticks']} ticks later, with a difference of {exact['max_difference']:.2g}."
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(c) for c in line) + " |" for line in lines)


def _times(d: Mapping[str, Any]) -> str:
    rows = []
    for t in d["times"]:
        where = f"{_count(t['lanes'], 'lane')}, " + ("simulated" if t["simulated"] else "measured")
        for key, name in (
            ("sequential_ms", "sequential"),
            ("pipelined_ms", "pipelined"),
            ("predictive_ms", "predictive"),
        ):
            rows.append([where, name, f"{t[key]:.2f}", f"{1e3 / t[key]:.1f}"])
        if not d["has_state"]:
            together = 1e3 * t["lanes"] / t["one_lane_ms"]
            rows.append([where, "round-robin", f"{t['one_lane_ms']:.2f}", f"{together:.1f}"])
    note = (
        f"{d['machine']}. The smallest of nine medians; one lane where all "
        "together were slower. Simulated lanes are put together from "
        "times of operations and stages on one lane. What barriers and memory cost on the lanes "
        "here is added to both."
    )
    if d["has_state"]:
        note += f" Round-robin cannot follow: the network remembers ({d['state'][0]})."
    return _table(("lanes", "wiring", "tick, ms", "ticks per second"), rows) + "\n\n" + note


def _count(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number} {what}s"


def _clock(clock: Mapping[str, Any]) -> str:
    several = len(clock["rows"][0]["outputs"]) > 1
    rows = []
    for row in clock["rows"]:
        for name, score in row["outputs"].items():
            who = row["name"] if row["every"] == 1 else f"{row['name']}, 1 of {row['every']}"
            rows.append(
                [
                    who,
                    *([name] if several else []),
                    f"{score['error']:.3f}",
                    f"{score['cosine']:.4f}",
                    f"{100 * score['same_top']:.1f} %",
                    _count(row["late_ticks"], "frame"),
                    f"{row['delay_ms']:.1f} ms",
                    f"{row['answers_per_s']:.1f}",
                ]
            )
    head = ["who", *(["output"] if several else []), "error", "cosine", "same top", "late"]
    title = (
        f"### {clock['clock']}: {_count(clock['lanes'], 'lane')}"
        f"{', simulated' if clock['simulated'] else ''}, a frame every {clock['frame_ms']:.1f} ms"
    )
    told = f"{clock['verdict']} {clock['ticks']} ticks were compared."
    return f"{title}\n\n{_table([*head, 'delay', 'answers per second'], rows)}\n\n{told}"


def _training(d: Mapping[str, Any]) -> str:
    t = d["training"]
    if t is None:
        return "None was asked for: the predictive network has the weights of the sequential one."
    if "given" in t:
        return f"The student is {t['given']}, made before. The comparison is on {d['compared_on']}."
    return (
        f"{t['steps']} steps in {t['minutes']:.1f} minutes, without labels, on {d['trained_on']}. "
        f"The distance from the teacher on clips that no step saw went from {t['first']:.4g} to "
        f"{t['best']:.4g} (after step {t['best_step']}). The comparison above is on other frames: "
        f"{d['compared_on']}."
    )


def _next(d: Mapping[str, Any]) -> str:
    if d["out"] is None:
        return ""
    return (
        "The student is wired predictively. It runs on a camera, a file or a live stream:\n\n"
        f"```\npvnet run 0 --model {d['out']}\n```"
    )
