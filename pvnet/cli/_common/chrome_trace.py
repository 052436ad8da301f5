"""Trace events of a stream as Chrome/Perfetto JSON: pid = stream, tid = lane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
        events: structured array of Stream.trace_stop (tick, lane, op, lo, hi, begin_ns, end_ns).
        ops: Plan.ops; `op` of an event is an index into it.
        lanes: lanes of the plan; each becomes a thread, and one more shows whole ticks.
        name: of the process shown.

    Returns:
        A document for json.dump: times in microseconds from the first event.
    """
    out: list[dict[str, Any]] = [_named("process_name", 0, name)]
    out += [_named("thread_name", lane, f"lane {lane}") for lane in range(lanes)]
    out.append(_named("thread_name", lanes, "ticks"))
    start_ns = int(events["begin_ns"].min()) if len(events) else 0
    for event in events:
        op = ops[int(event["op"])]
        stage = int(op["stage"])
        out.append(
            {
                "name": op["node"],
                "cat": f"stage {stage}",
                "ph": "X",
                "ts": (int(event["begin_ns"]) - start_ns) / _NS_PER_US,
                "dur": (int(event["end_ns"]) - int(event["begin_ns"])) / _NS_PER_US,
                "pid": 0,
                "tid": int(event["lane"]),
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
        out.append(
            {
                "name": f"tick {tick}",
                "cat": "tick",
                "ph": "X",
                "ts": (begin_ns - start_ns) / _NS_PER_US,
                "dur": (end_ns - begin_ns) / _NS_PER_US,
                "pid": 0,
                "tid": lanes,
                "args": {"tick": tick},
            }
        )
    return {"traceEvents": out, "displayTimeUnit": "ms", "otherData": {"producer": "pvnet trace"}}


def _named(kind: str, tid: int, name: str) -> dict[str, Any]:
    return {"name": kind, "ph": "M", "pid": 0, "tid": tid, "args": {"name": name}}


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
    """Share of the ticks' time each lane worked, and milliseconds of work per tick and stage."""
    spans = tick_spans(events)
    ticks = max(len(spans), 1)
    inside_ns = max(sum(end - begin for _, begin, end in spans), 1)
    busy_ns = (events["end_ns"] - events["begin_ns"]).astype(np.float64)
    stage_of_op = np.asarray([int(op["stage"]) for op in ops], np.int64)
    stages = stage_of_op[events["op"].astype(np.int64)] if len(events) else np.zeros(0, np.int64)
    return {
        "ticks": len(spans),
        "lane_utilisation": [
            float(busy_ns[events["lane"] == lane].sum() / inside_ns) for lane in range(lanes)
        ],
        "stage_ms_per_tick": {
            str(stage): float(busy_ns[stages == stage].sum() / ticks / 1e6)
            for stage in sorted(set(stage_of_op.tolist()))
        },
        "tick_ms": inside_ns / ticks / 1e6,
    }
