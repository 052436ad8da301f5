"""Where the imported network ends: at the outputs of the file, or before a tail that is cut off."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pvnet.onnx_import.draft import word
from pvnet.onnx_import.importer import Importer
from pvnet.onnx_import.refusal import Refusal, Refused
from pvnet.onnx_import.settle import select
from pvnet.onnx_import.view import C, View, axes, merge
from pvnet.onnx_import.walk import Walk


def blocking(walk: Walk, wanted: Collection[str]) -> list[Refusal]:
    """Refusals that stand between the frame and an output, with no tail between."""
    reach, blocks = set(wanted), []
    for node in reversed(walk.nodes):
        if not reach & set(node.outputs):
            continue
        refusal = walk.refusals.get(node.name)
        if refusal is not None and refusal.cut:
            continue
        if refusal is not None:
            blocks.append(refusal)
        reach |= set(node.inputs)
    return blocks[::-1]


def ends(im: Importer, walk: Walk, wanted: Sequence[str]) -> list[str]:
    """Names of tensors that become outputs: those wanted, and what tails that are cut off read."""
    whole = [n for n in wanted if isinstance(im.values.get(n), View)]
    cut: dict[str, None] = {}
    for node in walk.nodes:
        if not walk.lost & set(node.outputs):
            continue
        for name in node.inputs:
            value = im.values.get(name)
            if isinstance(value, View) and im.draft.ops[value.node].op != "input":
                cut[name] = None
    seen = {(v.node, v.dims) for n in whole if isinstance(v := im.values[n], View)}
    kept = []
    for name in cut:
        value = im.values[name]
        assert isinstance(value, View)
        if (value.node, value.dims) not in seen:
            seen.add((value.node, value.dims))
            kept.append(name)
    return whole + kept


def as_map(im: Importer, x: View) -> str:
    """A node that holds a tensor as [c, h, w]: as the file has it, or as its pixels lie.

    Flattened and transposed tensors keep their map: rows of features become channels.
    """
    try:
        return im.map(x)[0]
    except Refused:
        channels = [a for dim in x.dims for a in dim if a[0] == C]
        if any(C in axes(dim) and axes(dim) != {C} for dim in x.dims):
            return x.node
        return select(im.draft, x.node, merge(channels))


def named(names: Sequence[str]) -> list[str]:
    """Names of outputs, made of the file's; no two are the same."""
    out: list[str] = []
    for name in names:
        base = word(name)
        unique, i = base, 1
        while unique in out:
            i += 1
            unique = f"{base}_{i}"
        out.append(unique)
    return out
