"""Finds the ranges of a network's values on videos."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pvnet.errors import InvalidArgumentError
from pvnet.graph import Graph
from pvnet.runtime.calibration.corrections import PASS, find_corrections
from pvnet.runtime.calibration.frames import each_clip
from pvnet.runtime.calibration.histogram import Histogram
from pvnet.runtime.calibration.means import Means
from pvnet.runtime.calibration.methods import FIND, METHOD, METHODS, PERCENTILE, Method
from pvnet.runtime.calibration.ranges import Range, Ranges
from pvnet.runtime.compile import compile
from pvnet.runtime.model import ExportsWeights, Model, Weights, to_model

if TYPE_CHECKING:
    from pvnet.graph.facts import NodeInfo
    from pvnet.runtime.plan import Plan
    from pvnet.video import Fit


def calibrate(
    source: Model | ExportsWeights | str | os.PathLike[str] | bytes | tuple[Graph, Weights],
    clips: Any,
    *,
    method: Method = METHOD,
    percentile: float = PERCENTILE,
    correct: bool = True,
    leave_out: Sequence[str] = (),
    max_frames: int | None = None,
    fit: Fit | None = None,
    lanes: int | None = None,
    isa: str | None = None,
    on_frame: Callable[[], None] | None = None,
) -> Ranges:
    """Runs a network in f32 over clips, and finds the range of every node's values.

    The ranges are for `pvnet.compile(..., dtype="int8", ranges=...)`; `pvnet.save` keeps them in a
    model file. Equal clips give equal ranges, in any order. Memory does not grow with the clips.
    They carry corrections of biases, by which rounded weights do not move the mean of a channel.

    Args:
        source: what `pvnet.compile` takes, in the wiring that it is to run in.
        clips: a video (what `pvnet.video.open` takes by name), an array of frames [t, h, w, c] of
            uint8 or [t, c, h, w] of float32, a data set of `pvnet.data`, or several of the first
            two. They should be like what the network will see: some hundred frames are enough.
        method: "minmax" (the range of all values), "percentile" (all but the outermost) or "error"
            (the range that stores the values with the least squared error).
        percentile: of "percentile", of the values on either side of 0.
        correct: whether to find corrections.
        leave_out: nodes that get no range, so that they stay f32, and what reads them.
        max_frames: at most so many of every clip.
        fit: how videos are resized; None: as the model was trained, else "stretch".
        lanes: as of `pvnet.compile`. The ranges do not depend on it.
        isa: the same. Instruction sets differ in the last bits of f32.
        on_frame: called after every frame.

    Returns:
        (low, high) by node, low <= 0 <= high, and `corrections`.

    Raises:
        InvalidArgumentError: no frame came, values that are not finite, or wrong arguments.
        FileError: a video that cannot be read.

    """
    model = to_model(source, "calibrate")
    _check(model.graph, method, percentile, leave_out, max_frames)
    nodes = model.graph.nodes
    seen = {n.name: (Histogram(), Means(n.shape[0])) for n in nodes if n.op not in PASS}
    shown = Model(_showing(model.graph, list(seen)), model.weights)
    plan = compile(shown, backend="cpu", lanes=lanes, isa=isa)
    stored = model.metadata.get("fit")
    how: Fit = fit or ("letterbox" if stored == "letterbox" else "stretch")
    frames = 0
    for clip in each_clip(clips, _size(plan), how):
        frames += _watch(plan, itertools.islice(clip, max_frames), seen, nodes, on_frame)
    if not frames:
        raise InvalidArgumentError(
            "[calibrate] there is nothing to calibrate on: got 0 frames, expected at least 1. Give "
            "clips like those that the network will see."
        )
    find = FIND[method]
    found = {name: _as_f32(find(counts, percentile)) for name, (counts, _) in seen.items()}
    _pass_on(nodes, found)
    ranges = Ranges((n.name, found[n.name]) for n in nodes if n.name not in set(leave_out))
    if correct:
        means = {name: of_channels.get() for name, (_, of_channels) in seen.items()}
        ranges.corrections = find_corrections(model, ranges, means)
    return ranges


def _check(
    graph: Graph, method: str, percentile: float, leave_out: Sequence[str], most: int | None
) -> None:
    def refuse(what: str, got: object, expected: str, cure: str) -> InvalidArgumentError:
        return InvalidArgumentError(f"[calibrate] {what}: got {got!r}, expected {expected}. {cure}")

    if method not in METHODS:
        known = ", ".join(map(repr, METHODS))
        raise refuse("there is no such method", method, known, "Leave it out for the usual one.")
    if not 50.0 < percentile <= 100.0:
        raise refuse("percentile is out of range", percentile, "above 50, up to 100", "Try 99.99.")
    if most is not None and most < 1:
        raise refuse("max_frames is out of range", most, "at least 1", "Leave it out for all.")
    names = {node.name for node in graph.nodes}
    for name in [leave_out] if isinstance(leave_out, str) else leave_out:
        if isinstance(leave_out, str) or name not in names:
            raise refuse(
                "leave_out names no node", name, "a list of names of nodes", "Correct the name."
            )


def _showing(graph: Graph, names: list[str]) -> Graph:
    """The same graph with these nodes as its outputs, in the same wiring."""
    document = json.loads(graph.to_json())
    document["outputs"] = [{"name": name, "node": name} for name in names]
    return Graph.from_json(json.dumps(document))


def _size(plan: Plan) -> tuple[int, int]:
    _, height, width = next(iter(plan.inputs.values()))
    return height, width


def _watch(
    plan: Plan,
    frames: Iterable[Any],
    seen: dict[str, tuple[Histogram, Means]],
    nodes: Sequence[NodeInfo],
    on_frame: Callable[[], None] | None,
) -> int:
    """Counts the values of one clip; how many frames it had."""
    watched = [(node, seen[node.name]) for node in nodes if node.name in seen]
    count = 0
    for tick in plan.stream().run(frames, policy="block"):
        for node, (counts, of_channels) in watched:
            if not node.clock.is_due(count):
                continue  # held: it has been counted
            values = np.asarray(tick[node.name])
            try:
                counts.add(values)
            except ValueError as error:
                raise InvalidArgumentError(
                    f"[calibrate] values of node {node.name!r} are not finite: got {error}, "
                    "expected numbers. Calibrate a network whose outputs are finite in f32."
                ) from None
            of_channels.add(values)
        count += 1
        if on_frame is not None:
            on_frame()
    return count


def _as_f32(ends: tuple[float, float]) -> tuple[float, float]:
    low, high = (float(np.float32(end)) + 0.0 for end in ends)  # never -0
    return low, high


def _pass_on(nodes: Sequence[NodeInfo], found: dict[str, Range]) -> None:
    """Ranges of what has the values of other nodes; a feedback's node may come later."""
    waiting = [node for node in nodes if node.op in PASS]
    while waiting:
        ready = [node for node in waiting if all(edge.node in found for edge in node.inputs)]
        for node in ready:
            ends = [found[edge.node] for edge in node.inputs]
            found[node.name] = (min(low for low, _ in ends), max(high for _, high in ends))
        waiting = [node for node in waiting if node.name not in found]
        if not ready:  # a circle of them alone: nothing ever comes into it
            found.update({node.name: (0.0, 0.0) for node in waiting})
            return
