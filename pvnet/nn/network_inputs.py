"""What a Network accepts as frames and clips."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from pvnet.errors import InvalidArgumentError
from pvnet.nn.operations import normalize
from pvnet.nn.program import Program


def _by_name(
    program: Program, given: Tensor | Mapping[str, Tensor], where: str
) -> dict[str, Tensor]:
    names = program.inputs
    if isinstance(given, Tensor):
        if len(names) != 1:
            raise InvalidArgumentError(
                f"[{where}] one tensor for a graph of several inputs: got a tensor, expected a "
                f"dict of {list(names)}. Name every input."
            )
        return {names[0]: given}
    if set(given) != set(names):
        raise InvalidArgumentError(
            f"[{where}] wrong inputs: got {sorted(given)}, expected {sorted(names)}. "
            "Give one tensor for every input node."
        )
    return {name: given[name] for name in names}


def _as_float(program: Program, name: str, x: Tensor, dtype: torch.dtype) -> Tensor:
    """Float frames as they are, uint8 frames as the input node says."""
    if x.dtype != torch.uint8:
        return x
    step = program.step(name)
    assert step is not None
    attrs = step.attrs
    return normalize(x.to(dtype) / 255, attrs.get("mean") or (), attrs.get("std") or ())


def check_clips(
    program: Program, clip: Tensor | Mapping[str, Tensor], dtype: torch.dtype
) -> dict[str, Tensor]:
    """The clips by input name as float [b, c, t, h, w], checked against the graph.

    Raises:
        InvalidArgumentError: another shape, no tick, or clips of different length or batch.
    """
    clips = _by_name(program, clip, "Network.forward")
    first = next(iter(clips.values()))
    for name, x in clips.items():
        step = program.step(name)
        assert step is not None
        c, h, w = step.shape
        if x.dim() != 5 or (x.shape[1], x.shape[3], x.shape[4]) != (c, h, w):
            raise InvalidArgumentError(
                f"[Network.forward] wrong shape of the clip for input {name!r}: got "
                f"{list(x.shape)}, expected [b, {c}, t, {h}, {w}]. Resize the frames, or build the "
                "graph for this size."
            )
        if x.shape[2] < 1 or (x.shape[0], x.shape[2]) != (first.shape[0], first.shape[2]):
            raise InvalidArgumentError(
                f"[Network.forward] wrong length of the clip for input {name!r}: got batch "
                f"{int(x.shape[0])} and {int(x.shape[2])} ticks, expected batch "
                f"{int(first.shape[0])} and {max(1, int(first.shape[2]))} ticks as the first input "
                "has, at least 1. Give clips of one batch and length."
            )
    return {name: _as_float(program, name, x, dtype) for name, x in clips.items()}


def check_frames(
    program: Program, frames: Tensor | Mapping[str, Tensor], dtype: torch.dtype, batch: int
) -> dict[str, Tensor]:
    """The frames by input name as float [b, c, 1, h, w], checked against graph and state.

    Raises:
        InvalidArgumentError: another shape or batch.
    """
    given = _by_name(program, frames, "Network.step")
    for name, x in given.items():
        step = program.step(name)
        assert step is not None
        if tuple(x.shape) != (batch, *step.shape):
            raise InvalidArgumentError(
                f"[Network.step] wrong shape of the frame for input {name!r}: got {list(x.shape)}, "
                f"expected {[batch, *step.shape]}. Start a new state for another batch or size."
            )
    return {name: _as_float(program, name, x.unsqueeze(2), dtype) for name, x in given.items()}
