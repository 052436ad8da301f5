"""Trace events of a stream as Chrome/Perfetto JSON.

Each place where work runs is a process: the host with its lanes and the ticks, the cuda_streams,
the multiprocessors (SMs). A lane, a cuda_stream or an SM is a thread of it. Several tiles run on an
SM at a time, and a thread of a trace shows one thing at a time: such an SM has several threads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.runtime.stream import TRACE_PLACES

LANE, CUDA_STREAM, SM = range(len(TRACE_PLACES))
_PROCESSES = {CUDA_STREAM: "cuda_streams", SM: "SMs"}
_THREADS = {LANE: "lane", CUDA_STREAM: "cuda_stream", SM: "SM"}
_MOST_AT_ONCE = 64  # tiles on one SM; hardware has 32
# Colour names the Chrome trace viewer knows; Perfetto colours by name instead.
_COLOURS = (
    "thread_state_running",
    "thread_state_iowait",
    "rail_response",
    "rail_animation",
    "rail_idle",
    "rail_load",
    "startup",
    "heap_dump_stack_frame",
    "cq_build_running",
    "cq_build_passed",
    "good",
    "bad",
    "terrible",
    "yellow",
    "olive",
    "generic_work",
)
_NS_PER_US = 1e3


def chrome_trace(
    events: NDArray[Any], ops: Sequence[dict[str, Any]], *, lanes: int, name: str
) -> dict[str, Any]:
    """Build the trace document.

    Args:
        events: structured array of Stream.trace_stop (TRACE_DTYPE), sorted by begin_ns.
        ops: Plan.ops; `op` of an event is an index into it.
        lanes: lanes of the plan; each becomes a thread, and one more shows whole ticks.
        name: of the network, as the processes are called.

    Returns:
        A document for json.dump: times in microseconds from the first event.
    """
    start_ns = int(events["begin_ns"].min()) if len(events) else 0
    rows = _rows(events)
    out = [*_host_names(lanes, name), *_device_names(events, rows, name)]
    for event, row in zip(events, rows, strict=True):
        op = ops[int(event["op"])]
        stage = int(op["stage"])
        name = "+".join(op[key] for key in ("node", "sum") if key in op)
        span = (int(event["begin_ns"]) - start_ns, int(event["end_ns"]) - start_ns)
        out.append(
            _slice(name, f"stage {stage}", span, int(event["place"]), int(row))
            | {
                "cname": _COLOURS[stage % len(_COLOURS)],
                "args": {
                    "op": op["op"],
                    "stage": stage,
                    "tick": int(event["tick"]),
                    "tiles": f"{int(event['lo'])}-{int(event['hi'])} of {op['tiles']}",
                },
            }
        )
    for tick, begin_ns, end_ns in tick_spans(events):
        span = (begin_ns - start_ns, end_ns - start_ns)
        out.append(_slice(f"tick {tick}", "tick", span, LANE, lanes) | {"args": {"tick": tick}})
    return {"traceEvents": out, "displayTimeUnit": "ms", "otherData": {"producer": "pvnet trace"}}


def _slice(name: str, category: str, ns: tuple[int, int], pid: int, tid: int) -> dict[str, Any]:
    begin, end = ns
    times = {"ts": begin / _NS_PER_US, "dur": (end - begin) / _NS_PER_US}
    return {"name": name, "cat": category, "ph": "X", **times, "pid": pid, "tid": tid}


def _named(kind: str, pid: int, tid: int, name: str) -> dict[str, Any]:
    return {"name": kind, "ph": "M", "pid": pid, "tid": tid, "args": {"name": name}}


def _host_names(lanes: int, name: str) -> Iterator[dict[str, Any]]:
    yield _named("process_name", LANE, 0, name)
    for lane in range(lanes):
        yield _named("thread_name", LANE, lane, f"{_THREADS[LANE]} {lane}")
    yield _named("thread_name", LANE, lanes, "ticks")


def _device_names(
    events: NDArray[Any], rows: NDArray[np.int64], name: str
) -> Iterator[dict[str, Any]]:
    for place, what in _PROCESSES.items():
        used = np.unique(rows[events["place"] == place])
        if len(used):
            yield _named("process_name", place, 0, f"{name}: {what}")
        for row in used.tolist():
            lane, extra = divmod(row, _MOST_AT_ONCE) if place == SM else (row, 0)
            label = f"{_THREADS[place]} {lane}" + (f", tile {extra + 1}" if extra else "")
            yield _named("thread_name", place, row, label)


def _rows(events: NDArray[Any]) -> NDArray[np.int64]:
    """The thread that shows each event: its lane; of an SM, the first that shows nothing then."""
    rows = events["lane"].astype(np.int64)
    busy_until: dict[int, list[int]] = {}  # by SM, the end of the newest event of every thread
    for index in np.flatnonzero(events["place"] == SM).tolist():
        begin, end = int(events["begin_ns"][index]), int(events["end_ns"][index])
        ends = busy_until.setdefault(int(rows[index]), [])
        free = next((i for i, until in enumerate(ends) if until <= begin), len(ends))
        ends[free : free + 1] = [end]
        rows[index] = rows[index] * _MOST_AT_ONCE + free
    return rows


def tick_spans(events: NDArray[Any]) -> list[tuple[int, int, int]]:
    """(tick, begin_ns, end_ns) of every tick in the trace, in order."""
    spans = []
    for tick in np.unique(events["tick"]):
        own = events[events["tick"] == tick]
        spans.append((int(tick), int(own["begin_ns"].min()), int(own["end_ns"].max())))
    return spans


def utilisation(
    events: NDArray[Any], ops: Sequence[dict[str, Any]], *, lanes: int
) -> dict[str, Any]:
    """Share of the ticks' time each lane worked, and milliseconds of work per tick and stage.

    With events of SMs also `sm_utilisation`: the share that each SM had a tile, by SM. Work of a
    stage is the lanes', of a device the cuda_streams'; where these are not recorded, the SMs'.
    """
    spans = tick_spans(events)
    ticks = max(len(spans), 1)
    inside_ns = max(sum(end - begin for _, begin, end in spans), 1)
    busy_ns = (events["end_ns"] - events["begin_ns"]).astype(np.float64)
    stage_of_op = np.asarray([int(op["stage"]) for op in ops], np.int64)
    stages = stage_of_op[events["op"].astype(np.int64)] if len(events) else np.zeros(0, np.int64)
    place = events["place"]
    told = next((p for p in (LANE, CUDA_STREAM, SM) if (place == p).any()), LANE)
    sums: dict[str, Any] = {
        "ticks": len(spans),
        "lane_utilisation": [
            float(busy_ns[(place == LANE) & (events["lane"] == lane)].sum() / inside_ns)
            for lane in range(lanes)
        ],
        "stage_ms_per_tick": {
            str(stage): float(busy_ns[(place == told) & (stages == stage)].sum() / ticks / 1e6)
            for stage in sorted(set(stage_of_op.tolist()))
        },
        "tick_ms": inside_ns / ticks / 1e6,
    }
    if (place == SM).any():
        tiles = events[place == SM]
        sums["sm_utilisation"] = {
            str(sm): _covered_ns(tiles[tiles["lane"] == sm]) / inside_ns
            for sm in np.unique(tiles["lane"]).tolist()
        }
    return sums


def _covered_ns(events: NDArray[Any]) -> int:
    """How long at least one of the events, sorted by begin_ns, lasted."""
    ends = np.maximum.accumulate(events["end_ns"])
    begins = events["begin_ns"].copy()
    begins[1:] = np.maximum(begins[1:], ends[:-1])
    return int(np.maximum(ends - begins, 0).sum())
