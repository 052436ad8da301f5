"""From the nodes of a file to a draft: constants are computed, everything else is converted."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from pvnet.onnx_import.file import Body, Node
from pvnet.onnx_import.fold import fold
from pvnet.onnx_import.importer import Importer, Value
from pvnet.onnx_import.ops.table import CONVERTERS, is_tail
from pvnet.onnx_import.refusal import Cut, Refusal, Refused
from pvnet.onnx_import.view import View

TAIL = "it chooses, sorts or suppresses results"
DEEPEST = 20  # branches inside branches


@dataclass
class Walk:
    """What became of the nodes.

    Attributes:
        refusals: of nodes that cannot be imported, by name.
        lost: names of tensors that nobody computes, and the nodes that would need them.
        nodes: all that were looked at, in order.
    """

    refusals: dict[str, Refusal] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    nodes: list[Node] = field(default_factory=list)


def walk(im: Importer, body: Body, wanted: Collection[str], refused: Collection[str] = ()) -> Walk:
    """Converts what some tensors need.

    Args:
        im: takes the values.
        body: of the file.
        wanted: names of tensors.
        refused: names of nodes that are known to be impossible.
    """
    result = Walk()
    im.values.update(body.constants)
    _nodes(im, needed(body.nodes, wanted), result, refused, 0)
    return result


def needed(nodes: Iterable[Node], wanted: Collection[str]) -> list[Node]:
    """The nodes without which some tensors cannot be computed, in order."""
    names, kept = set(wanted), []
    for node in reversed(list(nodes)):
        if names & set(node.outputs):
            names |= set(node.inputs) | _inner_reads(node)
            kept.append(node)
    return kept[::-1]


def _inner_reads(node: Node) -> set[str]:
    bodies = [v for v in node.attrs.values() if isinstance(v, Body)]
    return {
        name
        for body in bodies
        for inner in body.nodes
        for name in {*inner.inputs, *_inner_reads(inner), *body.outputs}
    }


def _nodes(
    im: Importer, nodes: Iterable[Node], result: Walk, refused: Collection[str], depth: int
) -> None:
    for node in nodes:
        result.nodes.append(node)
        missing = [n for n in node.inputs if n and n not in im.values]
        if missing:
            result.lost |= set(node.outputs)  # one line per cause is enough
            if is_tail(node.op):
                _refuse(result, node, Cut(TAIL))
            unknown = [n for n in missing if n not in result.lost]
            if unknown:
                _refuse(result, node, Refused(f"it reads {unknown[0]!r}, which nobody makes"))
            continue
        try:
            if node.name in refused:
                raise Refused("only as a part of a known pattern, such as gelu or a layer norm")
            if node.op == "If":
                _branch(im, node, result, refused, depth)
            else:
                _one(im, node)
        except Refused as reason:
            _refuse(result, node, reason)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            damaged = f"attributes or operands that do not fit ({type(error).__name__}: {error})"
            _refuse(result, node, Refused(damaged))


def _refuse(result: Walk, node: Node, reason: Refused) -> None:
    cut = isinstance(reason, Cut)
    result.refusals[node.name] = Refusal(node.op, node.name, str(reason), cut)
    result.lost |= set(node.outputs)


def _one(im: Importer, node: Node) -> None:
    inputs = im.inputs(node)
    im.draft.origin = node.name
    views = [v for v in inputs if isinstance(v, View)]
    values: Sequence[Value] | None = None if views else fold(node, inputs)
    if is_tail(node.op) and values is None:
        raise Cut(TAIL)
    converter = CONVERTERS.get(node.op)
    if values is None:
        if not views or converter is None:
            raise Refused(
                "no such operation" if converter is None else "all operands are constants"
            )
        values = converter(im, node)
    for name, value in zip(node.outputs, values):
        if name:
            im.values[name] = value


def _branch(im: Importer, node: Node, result: Walk, refused: Collection[str], depth: int) -> None:
    """An If whose condition is known: one of its branches."""
    condition = im.constant(node, 0)
    body = node.attrs.get(
        "then_branch" if condition is not None and condition.any() else "else_branch"
    )
    if condition is None or not isinstance(body, Body) or depth >= DEEPEST:
        raise Refused("a branch that depends on the frame")
    im.values.update(body.constants)
    _nodes(im, needed(body.nodes, body.outputs), result, refused, depth + 1)
    for name, inner in zip(node.outputs, body.outputs):
        if inner not in im.values:
            raise Refused("its branch cannot be imported")
        im.values[name] = im.values[inner]
