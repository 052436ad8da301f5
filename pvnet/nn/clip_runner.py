"""Evaluation of a program: over a whole clip with dense torch ops, or one tick at a time.

Over a clip a node's value is the tensor of its firings [b, c, J, h, w]; nothing is stored for ticks
between them. Only the nodes of a feedback cycle are walked tick by tick.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import torch
from torch import Tensor

from pvnet.nn.frames import (
    FRAME_OPERATIONS,
    is_framewise,
    per_clip,
    per_frame,
    pointwise_together,
)
from pvnet.nn.node_layers import NodeLayer
from pvnet.nn.operations import OPERATIONS
from pvnet.nn.program import Program, Step
from pvnet.nn.window import Read, is_due, window

Layers = Mapping[str, "NodeLayer | None"]
ReadFiring = Callable[[Read, int], Tensor]
_Key = tuple[Read, int, int, int]


def no_firings(step: Step, like: Tensor) -> Tensor:
    """The value of a node that has not fired, [b, c, 0, h, w]."""
    c, h, w = step.shape
    return torch.zeros((like.shape[0], c, 0, h, w), dtype=like.dtype, device=like.device)


def zero_frame(step: Step, like: Tensor) -> Tensor:
    """The value of a node before its first firing, [b, c, 1, h, w]."""
    c, h, w = step.shape
    return torch.zeros((like.shape[0], c, 1, h, w), dtype=like.dtype, device=like.device)


class Values(dict[str, Tensor]):
    """Firings of nodes by name, [b, c, J, h, w]; those kept as frames are unfolded when asked for.

    Attributes:
        frames: [b * J, c, h, w] by name.
    """

    def __init__(self, inputs: Mapping[str, Tensor], batch: int) -> None:
        super().__init__(inputs)
        self.frames: dict[str, Tensor] = {}
        self._batch = batch

    def __missing__(self, name: str) -> Tensor:
        self[name] = per_clip(self.frames[name], self._batch)
        return self[name]


class Clip:
    """Values of one clip while it is computed.

    Readers of one source with the same clock and delay share what they read: in a dense block that
    begins a stage every layer reads the same delayed maps. Values of framewise nodes stay folded
    along chains of such nodes: views are cheap, but a small network has hundreds of them.

    Attributes:
        values: of the nodes so far.
        like: an input, for its sizes, dtype and device.
        ticks: t.
    """

    def __init__(self, inputs: Mapping[str, Tensor], kept: Collection[str]) -> None:
        self.like = next(iter(inputs.values()))
        self.ticks = int(self.like.shape[2])
        self.values = Values(inputs, int(self.like.shape[0]))
        self._kept = frozenset(kept)
        self._windows: dict[_Key, tuple[Tensor, int, int]] = {}
        self._window_frames: dict[_Key, Tensor] = {}

    def store(self, name: str, frames: Tensor) -> None:
        """The value of a framewise node, [b * J, c, h, w]."""
        if name in self._kept:
            # What a caller gets must be what readers read, or it would have no gradient.
            self.values[name] = per_clip(frames, int(self.like.shape[0]))
        else:
            self.values.frames[name] = frames

    def read(self, read: Read, step: Step) -> tuple[Tensor, int, int]:
        """What `step` reads over an edge; see `window`."""
        firings = step.firings(self.ticks)
        key = (read, step.period, step.origin, firings)
        if key not in self._windows:
            self._windows[key] = window(
                self.values[read.source],
                read,
                period=step.period,
                origin=step.origin,
                firings=firings,
            )
        return self._windows[key]

    def read_frames(self, read: Read, step: Step) -> Tensor:
        """The same for a framewise step, [b * J, c, h, w]."""
        aligned = (read.delay, read.period, read.origin) == (0, step.period, step.origin)
        if aligned and read.source in self.values.frames:
            return self.values.frames[read.source]
        key = (read, step.period, step.origin, step.firings(self.ticks))
        if key not in self._window_frames:
            x, stride, _ = self.read(read, step)
            self._window_frames[key] = per_frame(x if stride == 1 else x[:, :, ::stride])
        return self._window_frames[key]


def _maps(step: Step, begun: Step | None, clip: Clip) -> list[Tensor]:
    """What a framewise step reads.

    A concat takes a shorter one that is there for its first inputs. In a dense block the gradient
    of a map is then added up once per layer in one piece, not once per later layer in strips of a
    few channels, which on CPUs costs as much as the norms.
    """
    reads = step.reads
    if begun is not None and begun.name in clip.values.frames:
        rest = [clip.read_frames(r, step) for r in reads[len(begun.reads) :]]
        return [clip.values.frames[begun.name], *rest]
    return [clip.read_frames(r, step) for r in reads]


def run_dense(
    step: Step, layer: NodeLayer | None, clip: Clip, begun: Step | None = None
) -> None:
    """Computes all firings of a node from those of its sources.

    Args:
        step: of the node.
        layer: its parameters.
        clip: gets the value.
        begun: for a concat, another one with its first inputs (`Program.longer`).
    """
    if step.firings(clip.ticks) == 0:
        clip.values[step.name] = no_firings(step, clip.like)
    elif is_framewise(step.op, step.attrs):
        maps = _maps(step, begun, clip)
        clip.store(step.name, FRAME_OPERATIONS[step.op](step.attrs, layer, maps))
    else:
        parts = [clip.read(r, step) for r in step.reads]
        operation = OPERATIONS[step.op]
        if step.reads[0].taps > 1 or step.op == "conv3d":
            x, stride, dilation = parts[0]
            clip.values[step.name] = operation(step.attrs, layer, [x], stride, dilation)
        else:
            aligned = [x if stride == 1 else x[:, :, ::stride] for x, stride, _ in parts]
            clip.values[step.name] = operation(step.attrs, layer, aligned, 1, 1)


def run_together(steps: Sequence[Step], layers: Layers, clip: Clip) -> None:
    """Computes all firings of pointwise convolutions that read the same."""
    if steps[0].firings(clip.ticks) == 0:
        return
    parts = [(s.attrs, layer) for s in steps if (layer := layers.get(s.name)) is not None]
    x = clip.read_frames(steps[0].reads[0], steps[0])
    for step, y in zip(steps, pointwise_together(parts, x), strict=True):
        clip.store(step.name, y)


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


def run_clip(
    program: Program, layers: Layers, inputs: Mapping[str, Tensor], kept: Collection[str] = ()
) -> dict[str, Tensor]:
    """All firings of every node.

    Args:
        program: of the graph in its present wiring.
        layers: parameters by node name.
        inputs: by input name, float [b, c, t, h, w] of one b and t.
        kept: names of nodes whose values the caller may differentiate by.

    Returns:
        By node name, [b, c, J, h, w].
    """
    clip = Clip(inputs, kept)
    for group in program.groups:
        if program.is_cycle(group):
            run_cycle(group, layers, clip.values, program, clip.like, clip.ticks)
        elif group[0].op != "input":
            step = group[0]
            if step.name in program.together and clip.like.device.type == "cpu":
                run_together(program.together[step.name], layers, clip)
            if step.name not in clip.values and step.name not in clip.values.frames:
                run_dense(step, layers.get(step.name), clip, program.longer.get(step.name))
    return clip.values
