"""Evaluation of a program: over a whole clip with dense torch ops, or one tick at a time.

Over a clip a node's value is the tensor of its firings [b, c, J, h, w]; nothing is stored for ticks
between them. Only the nodes of a feedback cycle are walked tick by tick.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from pvnet.nn.node_layers import NodeLayer
from pvnet.nn.operations import OPERATIONS
from pvnet.nn.program import Program, Step
from pvnet.nn.window import Read, is_due, window

Layers = Mapping[str, "NodeLayer | None"]
ReadFiring = Callable[[Read, int], Tensor]


def no_firings(step: Step, like: Tensor) -> Tensor:
    """The value of a node that has not fired, [b, c, 0, h, w]."""
    c, h, w = step.shape
    return torch.zeros((like.shape[0], c, 0, h, w), dtype=like.dtype, device=like.device)


def zero_frame(step: Step, like: Tensor) -> Tensor:
    """The value of a node before its first firing, [b, c, 1, h, w]."""
    c, h, w = step.shape
    return torch.zeros((like.shape[0], c, 1, h, w), dtype=like.dtype, device=like.device)


Windows = dict[tuple[Read, int, int, int], tuple[Tensor, int, int]]


def run_dense(
    step: Step,
    layer: NodeLayer | None,
    values: Mapping[str, Tensor],
    like: Tensor,
    ticks: int,
    windows: Windows,
) -> Tensor:
    """All firings of a node in `ticks` ticks, [b, c, J, h, w], from those of its sources.

    `windows` keeps what readers of one source with the same clock and delay share: in a dense block
    that begins a stage every layer reads the same delayed maps.
    """
    firings = step.firings(ticks)
    if firings == 0:
        return no_firings(step, like)
    parts = []
    for r in step.reads:
        key = (r, step.period, step.origin, firings)
        if key not in windows:
            windows[key] = window(
                values[r.source], r, period=step.period, origin=step.origin, firings=firings
            )
        parts.append(windows[key])
    operation = OPERATIONS[step.op]
    if step.reads[0].taps > 1 or step.op == "conv3d":
        x, stride, dilation = parts[0]
        return operation(step.attrs, layer, [x], stride, dilation)
    aligned = [x if stride == 1 else x[:, :, ::stride] for x, stride, _ in parts]
    return operation(step.attrs, layer, aligned, 1, 1)


def fire(step: Step, layer: NodeLayer | None, read_firing: ReadFiring, tick: int) -> Tensor:
    """One firing of a node at `tick`, [b, c, 1, h, w], straight from the definition."""
    inputs = []
    for read in step.reads:
        newest = read.firing_at(tick)
        taps = [read_firing(read, newest - i * read.dilation) for i in reversed(range(read.taps))]
        inputs.append(taps[0] if len(taps) == 1 else torch.cat(taps, dim=2))
    return OPERATIONS[step.op](step.attrs, layer, inputs, 1, 1)


def run_cycle(
    group: Sequence[Step],
    layers: Layers,
    values: dict[str, Tensor],
    program: Program,
    like: Tensor,
    ticks: int,
) -> None:
    """Runs the nodes of a feedback cycle tick by tick and adds their firings to `values`."""
    fired: dict[str, list[Tensor]] = {step.name: [] for step in group}
    zeros = {
        r.source: zero_frame(source, like)
        for step in group
        for r in step.reads
        if (source := program.step(r.source)) is not None
    }

    def read_firing(read: Read, firing: int) -> Tensor:
        if firing < 0:
            return zeros[read.source]
        if read.source in fired:
            return fired[read.source][firing]
        return values[read.source][:, :, firing : firing + 1]

    for tick in range(ticks):
        for step in group:
            if is_due(step.period, step.origin, tick):
                fired[step.name].append(fire(step, layers.get(step.name), read_firing, tick))
    for step in group:
        done = fired[step.name]
        values[step.name] = torch.cat(done, dim=2) if done else no_firings(step, like)


def run_clip(program: Program, layers: Layers, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All firings of every node.

    Args:
        program: of the graph in its present wiring.
        layers: parameters by node name.
        inputs: by input name, float [b, c, t, h, w] of one b and t.

    Returns:
        By node name, [b, c, J, h, w].
    """
    values = dict(inputs)
    like = next(iter(inputs.values()))
    ticks = int(like.shape[2])
    windows: Windows = {}
    for group in program.groups:
        if program.is_cycle(group):
            run_cycle(group, layers, values, program, like, ticks)
        elif group[0].op != "input":
            step = group[0]
            values[step.name] = run_dense(
                step, layers.get(step.name), values, like, ticks, windows
            )
    return values
