"""The builders: one method per operation of a graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pvnet.graph import arguments as arg
from pvnet.graph.arguments import Pair, Triple
from pvnet.graph.base import GraphBase, Node, Source

Activation = arg.Activation
Padding = Pair | Sequence[Sequence[int]] | Literal["same"]


class Builders(GraphBase):
    """Methods that add nodes. Every one takes `name=` (made up if None) and returns the node.

    A source is a `Node` of this graph, or its name. One integer for `kernel`, `stride` or
    `dilation` stands for all three of (time, height, width). Time is causal: a kernel of kt taps
    reads the newest firing of its source and kt - 1 before it. `phase` (ticks, below the period)
    moves the firings of a node with a temporal stride, to level the work over the hyper-period.

    All raise InvalidArgumentError for wrong arguments and GraphError for nodes that do not fit.
    """

    def input(
        self,
        name: str,
        *,
        channels: int,
        height: int,
        width: int,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
    ) -> Node:
        """A frame per tick, shape [channels, height, width].

        Args:
            name: of the input; frames are given under this name.
            channels: of a frame.
            height: pixels.
            width: pixels.
            mean: subtracted from uint8 frames after their division by 255, per channel.
            std: uint8 frames are divided by it after that, per channel.
        """
        where = "Graph.input"
        c = arg.integer(where, "channels", channels)
        attrs: dict[str, Any] = {
            "channels": c,
            "height": arg.integer(where, "height", height),
            "width": arg.integer(where, "width", width),
        }
        if mean is not None:
            attrs["mean"] = arg.numbers(where, "mean", mean, count=c)
        if std is not None:
            attrs["std"] = arg.numbers(where, "std", std, count=c)
        return self._add("input", name, [], attrs)

    def conv3d(
        self,
        x: Source,
        out: int,
        *,
        kernel: Triple,
        stride: Triple = 1,
        padding: Padding = "same",
        dilation: Triple = 1,
        groups: int = 1,
        bias: bool = True,
        norm: bool = False,
        norm_eps: float = 1e-5,
        act: Activation = None,
        phase: int = 0,
        name: str | None = None,
    ) -> Node:
        """A causal convolution, then batch norm if `norm`, then `act`.

        [c, h, w] -> [out, h', w'], h' = floor((h + p - d (k - 1) - 1) / s) + 1, where p is the
        padding of both sides. The weight is
        [out, c / groups, kt, kh, kw], temporal index kt - 1 the newest frame.

        Args:
            x: source.
            out: output channels.
            kernel: (kt, kh, kw).
            stride: (st, sh, sw); st makes the node fire at every st-th firing of its source.
            padding: (ph, pw) per side, ((top, bottom), (left, right)), or "same":
                floor(d (k - 1) / 2).
            dilation: (dt, dh, dw); dt in firings of the source.
            groups: as torch.
            bias: whether it has one.
            norm: batch norm with running statistics, folded when compiled.
            norm_eps: its eps.
            act: any activation but softmax (docs/model_format.md) by name: "relu", "relu6", ...
                Numbers may follow: ("clamp", low, high).
            phase: ticks.
            name: of the node.
        """
        where = "Graph.conv3d"
        k = arg.integers(where, "kernel", kernel, count=3)
        d = arg.integers(where, "dilation", dilation, count=3)
        attrs = {
            "out": arg.integer(where, "out", out),
            "kernel": k,
            "stride": arg.integers(where, "stride", stride, count=3),
            **arg.padding_pairs(where, padding, kernel=k, dilation=d),
            "dilation": d,
            "groups": arg.integer(where, "groups", groups),
            "bias": arg.truth(where, "bias", bias),
            "norm": arg.truth(where, "norm", norm),
            "norm_eps": arg.numbers(where, "norm_eps", norm_eps, count=1)[0],
            **arg.activation(where, act),
            "phase": arg.integer(where, "phase", phase),
        }
        return self._add("conv3d", name, [self._source(where, x)], attrs)

    def _pool(
        self, op: str, x: Source, kernel: Triple, stride: Triple, padding: Padding, phase: int
    ) -> tuple[str, dict[str, Any]]:
        where = f"Graph.{op}"
        k = arg.integers(where, "kernel", kernel, count=3)
        return self._source(where, x), {
            "kernel": k,
            "stride": arg.integers(where, "stride", stride, count=3),
            **arg.padding_pairs(where, padding, kernel=k, dilation=(1, 1, 1)),
            "phase": arg.integer(where, "phase", phase),
        }

    def max_pool(
        self,
        x: Source,
        kernel: Triple,
        *,
        stride: Triple = 1,
        padding: Padding = "same",
        phase: int = 0,
        name: str | None = None,
    ) -> Node:
        """Maximum over (kt, kh, kw) windows; a firing before the first counts as 0.

        Pixels outside the map take no part. Arguments and output size as conv3d.
        """
        source, attrs = self._pool("max_pool", x, kernel, stride, padding, phase)
        return self._add("max_pool", name, [source], attrs)

    def avg_pool(
        self,
        x: Source,
        kernel: Triple,
        *,
        stride: Triple = 1,
        padding: Padding = "same",
        count_include_pad: bool = True,
        phase: int = 0,
        name: str | None = None,
    ) -> Node:
        """Mean over (kt, kh, kw) windows; a firing before the first counts as 0.

        Divides by kt kh kw, or by kt times the pixels inside the map if not
        `count_include_pad`. Arguments and output size as conv3d.
        """
        source, attrs = self._pool("avg_pool", x, kernel, stride, padding, phase)
        attrs["count_include_pad"] = arg.truth(
            "Graph.avg_pool", "count_include_pad", count_include_pad
        )
        return self._add("avg_pool", name, [source], attrs)

    def global_pool(
        self, x: Source, *, window: int = 1, phase: int = 0, name: str | None = None
    ) -> Node:
        """Mean over space and the last `window` firings -> [c, 1, 1].

        Firings before the first count as 0; the divisor is always `window`.
        """
        where = "Graph.global_pool"
        attrs = {
            "window": arg.integer(where, "window", window),
            "phase": arg.integer(where, "phase", phase),
        }
        return self._add("global_pool", name, [self._source(where, x)], attrs)

    def _sources(self, where: str, xs: Sequence[Source]) -> list[str]:
        if isinstance(xs, (str, Node)) or not isinstance(xs, Sequence):
            raise arg.refuse(
                where, "the sources are no list", xs, "a list of nodes", "Give [x, y, ...]."
            )
        return [self._source(where, x) for x in xs]

    def concat(self, xs: Sequence[Source], *, name: str | None = None) -> Node:
        """Joins channels of values of one (h, w)."""
        return self._add("concat", name, self._sources("Graph.concat", xs), {})

    def add(
        self,
        xs: Sequence[Source],
        *,
        act: Activation = None,
        phase: int = 0,
        name: str | None = None,
    ) -> Node:
        """The sum of 2 to 16 values of one shape, then `act`."""
        where = "Graph.add"
        attrs = {
            **arg.activation(where, act),
            "phase": arg.integer(where, "phase", phase),
        }
        return self._add("add", name, self._sources(where, xs), attrs)

    def mul(
        self,
        xs: Sequence[Source],
        *,
        act: Activation = None,
        phase: int = 0,
        name: str | None = None,
    ) -> Node:
        """The product of 2 to 16 values, then `act`; [c, 1, 1] and [1, h, w] are broadcast."""
        where = "Graph.mul"
        attrs = {
            **arg.activation(where, act),
            "phase": arg.integer(where, "phase", phase),
        }
        return self._add("mul", name, self._sources(where, xs), attrs)

    def act(
        self, x: Source, kind: Activation, *, phase: int = 0, name: str | None = None
    ) -> Node:
        """An activation, as `act` of conv3d, or "softmax" (over channels)."""
        where = "Graph.act"
        attrs = {
            **arg.activation(where, kind),
            "phase": arg.integer(where, "phase", phase),
        }
        return self._add("act", name, [self._source(where, x)], attrs)

    def upsample(
        self,
        x: Source,
        *,
        size: Pair | None = None,
        scale: Pair | None = None,
        like: Source | None = None,
        mode: Literal["nearest", "bilinear"] = "nearest",
        phase: int = 0,
        name: str | None = None,
    ) -> Node:
        """Resizes maps to `size` (h, w), by `scale`, or to the size of `like`: exactly one of them.

        "bilinear" is that of torch with align_corners=False.
        """
        where = "Graph.upsample"
        given = [k for k, v in (("size", size), ("scale", scale), ("like", like)) if v is not None]
        if len(given) != 1:
            raise arg.refuse(
                where, "the target size is unclear", given, "one of size, scale and like",
                "Give exactly one of them.",
            )  # fmt: skip
        if like is not None:
            target = list(self._info(where, like).shape[1:])
        elif scale is not None:
            _, h, w = self._info(where, x).shape
            sh, sw = arg.integers(where, "scale", scale, count=2)
            target = [h * sh, w * sw]
        else:
            target = arg.integers(where, "size", size, count=2)
        attrs = {
            "size": target,
            "mode": arg.word(where, "mode", mode),
            "phase": arg.integer(where, "phase", phase),
        }
        return self._add("upsample", name, [self._source(where, x)], attrs)

    def linear(
        self,
        x: Source,
        out: int,
        *,
        bias: bool = True,
        act: Activation = None,
        phase: int = 0,
        name: str | None = None,
    ) -> Node:
        """A fully connected layer over the flattened map -> [out, 1, 1].

        The weight is [out, c h w].
        """
        where = "Graph.linear"
        attrs = {
            "out": arg.integer(where, "out", out),
            "bias": arg.truth(where, "bias", bias),
            **arg.activation(where, act),
            "phase": arg.integer(where, "phase", phase),
        }
        return self._add("linear", name, [self._source(where, x)], attrs)

    def normalize(
        self,
        x: Source,
        *,
        mean: float | Sequence[float],
        std: float | Sequence[float],
        phase: int = 0,
        name: str | None = None,
    ) -> Node:
        """(x - mean) / std, constants per channel."""
        where = "Graph.normalize"
        c = self._info(where, x).shape[0]
        attrs = {
            "mean": arg.numbers(where, "mean", mean, count=c),
            "std": arg.numbers(where, "std", std, count=c),
            "phase": arg.integer(where, "phase", phase),
        }
        return self._add("normalize", name, [self._source(where, x)], attrs)

    def delay(self, x: Source, ticks: int, *, name: str | None = None) -> Node:
        """The value of x `ticks` ticks ago; nothing is copied."""
        where = "Graph.delay"
        attrs = {"ticks": arg.integer(where, "ticks", ticks)}
        return self._add("delay", name, [self._source(where, x)], attrs)

    def feedback(
        self,
        target: Source,
        *,
        like: Source | Sequence[int],
        ticks: int = 1,
        name: str | None = None,
    ) -> Node:
        """The value that a node, usually one that is added later, had `ticks` ticks ago.

        Args:
            target: name of that node.
            like: its shape (c, h, w), or a node of that shape.
            ticks: at least 1.
            name: of the feedback node itself.
        """
        where = "Graph.feedback"
        if isinstance(like, (str, Node)):
            shape = list(self._info(where, like).shape)
        else:
            shape = arg.shape(where, like)
        attrs = {
            "ticks": arg.integer(where, "ticks", ticks),
            "channels": shape[0],
            "height": shape[1],
            "width": shape[2],
        }
        source = target if isinstance(target, str) else self._source(where, target)
        return self._add("feedback", name, [source], attrs)
