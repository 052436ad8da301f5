"""Builders of operations that move the values of a map elsewhere, and of its norms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pvnet.graph import arguments as arg
from pvnet.graph.arguments import Activation, Pair
from pvnet.graph.base import GraphBase, Node, Source

PadMode = Literal["zeros", "reflect", "replicate"]


class MapBuilders(GraphBase):
    """Methods that add nodes, in the manner of `Builders`."""

    def pad(
        self,
        x: Source,
        padding: Pair,
        *,
        padding_end: Pair | None = None,
        mode: PadMode = "zeros",
        value: float = 0.0,
        phase: int = 0,
        name: str | None = None,
    ) -> Node:
        """Rows and columns around a map; negative numbers cut them off ("zeros" only).

        [c, h, w] -> [c, h + p[0] + e[0], w + p[1] + e[1]], p = padding, e = padding_end.

        Args:
            x: source.
            padding: (h, w) above and to the left, pixels.
            padding_end: (h, w) below and to the right, pixels; None: as `padding`.
            mode: "zeros" (that is, `value`), "reflect" or "replicate", as torch.
            value: of the new pixels of mode "zeros".
            phase: ticks.
            name: of the node.
        """
        where = "Graph.pad"
        start = arg.integers(where, "padding", padding, count=2)
        end = start
        if padding_end is not None:
            end = arg.integers(where, "padding_end", padding_end, count=2)
        attrs: dict[str, Any] = {
            "padding": start,
            "padding_end": end,
            "pad_mode": arg.word(where, "mode", mode),
            "value": arg.numbers(where, "value", value, count=1)[0],
            "phase": arg.integer(where, "phase", phase),
        }
        return self._add("pad", name, [self._source(where, x)], attrs)

    def channel_select(
        self, x: Source, index: Sequence[int], *, phase: int = 0, name: str | None = None
    ) -> Node:
        """Chosen channels: output channel i is channel index[i] of x.

        [c, h, w] -> [len(index), h, w]. Slices, chunks, flips and shuffles of channels are all
        of this kind. A channel may come several times, or not at all.
        """
        where = "Graph.channel_select"
        many = index.tolist() if hasattr(index, "tolist") else index
        if isinstance(many, str) or not isinstance(many, (Sequence, range)):
            raise arg.refuse(
                where, "index is no list", index, "a list of channels", "Give [0, 1, ...]."
            )
        attrs = {
            "index": [arg.integer(where, "index", i) for i in many],
            "phase": arg.integer(where, "phase", phase),
        }
        return self._add("channel_select", name, [self._source(where, x)], attrs)

    def depth_to_space(
        self, x: Source, block: int, *, phase: int = 0, name: str | None = None
    ) -> Node:
        """Channels become pixels, as torch's pixel_shuffle.

        [c b b, h, w] -> [c, h b, w b], b = block.
        """
        return self._by_block("depth_to_space", x, block, phase, name)

    def space_to_depth(
        self, x: Source, block: int, *, phase: int = 0, name: str | None = None
    ) -> Node:
        """Pixels become channels, as torch's pixel_unshuffle.

        [c, h b, w b] -> [c b b, h, w], b = block.
        """
        return self._by_block("space_to_depth", x, block, phase, name)

    def _by_block(self, op: str, x: Source, block: int, phase: int, name: str | None) -> Node:
        where = f"Graph.{op}"
        attrs = {
            "block": arg.integer(where, "block", block),
            "phase": arg.integer(where, "phase", phase),
        }
        return self._add(op, name, [self._source(where, x)], attrs)

    def group_norm(
        self,
        x: Source,
        groups: int,
        *,
        norm_eps: float = 1e-5,
        act: Activation = None,
        phase: int = 0,
        name: str | None = None,
    ) -> Node:
        """Group norm, then `act`: mean and variance over the pixels and channels of a group.

        [c, h, w] -> [c, h, w]. Weight and bias are [c]. One group a channel is instance norm, one
        group is layer norm over the whole map.

        Args:
            x: source.
            groups: divides c; a group is c / groups channels that lie side by side.
            norm_eps: added to the variance.
            act: as `conv3d`.
            phase: ticks.
            name: of the node.
        """
        where = "Graph.group_norm"
        attrs = self._norm_attrs(where, norm_eps, act, phase)
        attrs["groups"] = arg.integer(where, "groups", groups)
        return self._add("group_norm", name, [self._source(where, x)], attrs)

    def layer_norm(
        self,
        x: Source,
        *,
        norm_eps: float = 1e-5,
        act: Activation = None,
        phase: int = 0,
        name: str | None = None,
    ) -> Node:
        """Layer norm over the channels of every pixel by itself, then `act`.

        [c, h, w] -> [c, h, w]. Weight and bias are [c]. Arguments as group_norm.
        """
        where = "Graph.layer_norm"
        attrs = self._norm_attrs(where, norm_eps, act, phase)
        return self._add("layer_norm", name, [self._source(where, x)], attrs)

    def _norm_attrs(
        self, where: str, norm_eps: float, act: Activation, phase: int
    ) -> dict[str, Any]:
        return {
            "norm_eps": arg.numbers(where, "norm_eps", norm_eps, count=1)[0],
            **arg.activation(where, act),
            "phase": arg.integer(where, "phase", phase),
        }
