"""What the built-in models share: width scaling, size checks, stage presets, timing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pvnet.errors import InvalidArgumentError

if TYPE_CHECKING:
    from pvnet.graph import Graph

Wiring = Literal["sequential", "pipelined", "predictive"]
Stages = int | Sequence[Sequence[str]]

# uint8 frames become (x / 255 - MEAN) / STD; float frames must be normalised the same way.
MEAN = (0.45, 0.45, 0.45)
STD = (0.225, 0.225, 0.225)


def scale_channels(channels: int, width: float) -> int:
    """`channels * width`, rounded to the nearest multiple of 8, at least 8."""
    return max(8, int(channels * width / 8 + 0.5) * 8)


def check_width(where: str, width: float) -> None:
    """Refuse a width that scales to nothing or to something no machine holds.

    Raises:
        InvalidArgumentError: width not in (0, 16].
    """
    number = isinstance(width, int | float) and not isinstance(width, bool)
    if not number or not 0.0 < width <= 16.0:
        raise InvalidArgumentError(
            f"[{where}] width scales the channels: got {width!r}, expected a number in (0, 16]. "
            "Pass e.g. width=0.25 for a small network."
        )


def check_choice(where: str, name: str, value: object, choices: Sequence[object]) -> None:
    """Refuse a value that is not one of `choices`.

    Raises:
        InvalidArgumentError: with the supported values.
    """
    if value not in choices:
        supported = ", ".join(repr(c) for c in choices)
        raise InvalidArgumentError(
            f"[{where}] unknown {name}: got {value!r}, expected one of {supported}. "
            f"Pass one of the supported values as {name}=."
        )


def check_positive(where: str, name: str, value: int) -> None:
    """Refuse a count below 1.

    Raises:
        InvalidArgumentError: value < 1.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidArgumentError(
            f"[{where}] {name} is a count: got {value!r}, expected an integer >= 1. "
            f"Pass a positive {name}=."
        )


def check_size(where: str, size: int | Sequence[int], *, multiple: int) -> tuple[int, int]:
    """`size` as (height, width) in pixels; an integer means a square.

    Raises:
        InvalidArgumentError: below 32 pixels, or not a multiple of `multiple`.
    """
    pair = [size, size] if isinstance(size, int) else size
    numbers = not isinstance(pair, str) and len(pair) == 2 and all(isinstance(v, int) for v in pair)
    if not numbers or not all(v >= 32 and v % multiple == 0 for v in pair):
        nearest = [max(32, round(v / multiple) * multiple) for v in pair] if numbers else [96, 128]
        raise InvalidArgumentError(
            f"[{where}] the frame size does not fit the network: got {size!r}, expected (height, "
            f"width) of at least 32 pixels, each a multiple of {multiple}. "
            f"Pass size={tuple(nearest)}."
        )
    return pair[0], pair[1]


def model_metadata(name: str, task: str, options: Mapping[str, object]) -> dict[str, str]:
    """What a model file says of the model it holds: "model", "task" and "options" (JSON).

    Args:
        name: of the model, as `pvnet.models.build` takes it.
        task: "joints" or "actions".
        options: arguments of its graph function, beside stages and wiring.
    """
    return {"model": name, "task": task, "options": json.dumps(dict(options))}


def cut_at(names: Sequence[str], starts: Sequence[str]) -> list[list[str]]:
    """Node names in graph order, cut before every node of `starts`.

    A start is a node, or a prefix: "mixed_3b" means the first node whose name begins with
    "mixed_3b/". The first start must be the first node.
    """
    begin = []
    for start in starts:
        hits = [i for i, n in enumerate(names) if n == start or n.startswith(start + "/")]
        if not hits:
            raise InvalidArgumentError(
                f"[models.cut_at] no node begins a stage: got {start!r}, expected one of "
                f"{list(names)}. Name a node of the graph or its prefix."
            )
        begin.append(hits[0])
    return [list(names[a:b]) for a, b in zip(begin, [*begin[1:], len(names)], strict=True)]


def wire_stages(
    graph: Graph, wiring: Wiring, stages: Stages, *, presets: Mapping[int, Sequence[str]]
) -> Graph:
    """Cut `graph` into stages and give it a wiring.

    Args:
        graph: the nodes, in an order in which they can run.
        wiring: which delays the edges between stages have.
        stages: a preset (a key of `presets`: the starts of its stages), any other number of
            stages (cost-balanced cuts), or the node names of every stage.
        presets: number of stages -> first node, or prefix, of every stage.
    """
    if isinstance(stages, int) and stages in presets:
        names = [node.name for node in graph.nodes]
        return graph.wire(wiring, stages=cut_at(names, presets[stages]))
    return graph.wire(wiring, stages=stages)
