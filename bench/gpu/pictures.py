"""Two pictures from the trace: speed-up over stages, and busy SMs over time."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from gpu import networks
from gpu.networks import Target
from gpu.record import Record, program
from gpu.timing import SM, ticker

STAGES: dict[str, tuple[int | str, ...]] = {
    "par_inception": (1, 2, 3, 5, 10, "layers"),
    "par_densenet": (1, 2, 7, 14, "layers"),
}
DRY_STAGES = {"par_inception": (1, 2)}
TICKS, WARM = 100, 20
TRACED = 3  # ticks
EVENTS = 400_000
BINS = 400


def stage_times(record: Record, where: Target, wanted: dict) -> dict[str, dict[str, float]]:
    """Microseconds of a tick by model and number of stages, by the quickest executor."""
    found: dict[str, dict[str, float]] = {}
    for name, cuts in wanted.items():
        for cut in cuts:
            net = networks.net(name, cut, where)
            plan = net.compile(where, where.dtypes[0])
            way = ticker(plan, networks.frames_of(where), real=where.real)
            way.us(WARM if where.real else 1)
            us = way.us(TICKS if where.real else 1)
            label = str(len(net.graph.stages)) if cut != "layers" else "layers"
            found.setdefault(name, {})[label] = us
            record.add(net=net.label, us=us, speed_up=found[name]["1"] / us)
    return found


def trace(where: Target, cut: int | str) -> np.ndarray:
    """Events of some ticks of Par-Inception: of SMs on a device, of lanes else."""
    net = networks.net("par_inception", cut, where)
    stream = net.compile(where, where.dtypes[0]).stream()
    frames = networks.frames_of(where)
    for t in range(net.shift + 2):
        stream.tick(frames[t % len(frames)])
    stream.trace_start(EVENTS if where.real else 20_000)
    for t in range(TRACED):
        stream.tick(frames[t])
    events = stream.trace_stop()
    return events[events["place"] == SM] if (events["place"] == SM).any() else events


def busy(events: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Of the last traced tick: microseconds, SMs with at least one tile, share of busy SM time."""
    last = events[events["tick"] == events["tick"].max()]
    begin, end = int(last["begin_ns"].min()), int(last["end_ns"].max())
    edges = np.linspace(begin, max(end, begin + 1), BINS + 1)
    at = (edges[:-1] + edges[1:]) / 2
    units = np.unique(events["lane"])
    count = np.zeros(BINS)
    for unit in units:
        mine = last[last["lane"] == unit]
        inside = (mine["begin_ns"][:, None] <= at) & (at < mine["end_ns"][:, None])
        count += inside.any(axis=0)
    return (at - begin) / 1e3, count, float(count.mean() / len(units))


def draw_speed_up(path: Any, times: dict[str, dict[str, float]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4), dpi=150)
    for name, by_stages in times.items():
        labels = list(by_stages)
        values = [by_stages["1"] / us for us in by_stages.values()]
        axes.plot(range(len(labels)), values, marker="o", label=name)
        for x, (label, y) in enumerate(zip(labels, values)):
            axes.annotate(label, (x, y), textcoords="offset points", xytext=(0, 6), ha="center")
    axes.set(
        xticks=[],
        xlabel="stages (as written at the points)",
        ylabel="speed-up over one stage",
        ylim=(0, None),
    )
    axes.legend()
    figure.savefig(path, bbox_inches="tight")
    pyplot.close(figure)


def draw_busy(
    path: Any, curves: dict[str, tuple[np.ndarray, np.ndarray, float]], what: str
) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, rows = pyplot.subplots(
        len(curves), 1, figsize=(8, 4), dpi=150, sharex=True, sharey=True
    )
    for axes, (label, (us, count, share)) in zip(rows, curves.items()):
        axes.fill_between(us, count, step="mid")
        axes.set(title=f"{label}: {us[-1]:.0f} us, busy {100 * share:.0f} %", ylabel=f"busy {what}")
    rows[-1].set(xlabel="us from the begin of the tick")
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)


def body(record: Record, dry: bool) -> None:
    where = networks.target(dry)
    record.note(networks.describe(where))
    times = stage_times(record, where, DRY_STAGES if dry else STAGES)
    draw_speed_up(record.path.with_name("speed_up.png"), times)
    cuts = {"sequential": 1, "depth-parallel": 2 if dry else "layers"}
    traces = {label: trace(where, cut) for label, cut in cuts.items()}
    curves = {label: busy(events) for label, events in traces.items()}
    for label, (us, _, share) in curves.items():
        record.add(trace=label, events=len(traces[label]), tick_us=float(us[-1]), busy_share=share)
    on_sms = all((events["place"] == SM).all() for events in traces.values())
    draw_busy(record.path.with_name("busy_sms.png"), curves, "SMs" if on_sms else "lanes")
    curve = {k: {"us": us.tolist(), "busy": count.tolist()} for k, (us, count, _) in curves.items()}
    record.path.with_name("busy_curves.txt").write_text(json.dumps(curve))


if __name__ == "__main__":
    program("pictures", body)
