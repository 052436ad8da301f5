"""MoveNet: one person's 17 joints from a MobileNetV2 with a feature pyramid, frame by frame.

    stem 3x3/2 - 17 inverted residuals (1/4, 1/8, 1/16, 1/32 of the frame) - 1x1
    pyramid: up, + lateral, separable 3x3, three times, to 1/4 - four heads of separable 3x3 and 1x1

The structure is that of Google's `movenet/singlepose`; docs/models.md says where the weights come
from. With "predictive" the laterals of the pyramid are fresh skips: shallow features of the last
frame meet deep ones of older frames. `refine` adds what a student of 7 stages has learnt: what has
moved in early features corrects the deep ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pvnet.graph import Graph
from pvnet.models.common import (
    Stages,
    Wiring,
    check_choice,
    check_size,
    model_metadata,
    wire_stages,
)

if TYPE_CHECKING:
    from pvnet.graph import Node
    from pvnet.nn import Network

# (output channels, stride) of every inverted residual; the hidden layer is six times the input.
_BLOCKS = (
    *((16, 1), (24, 2), (24, 1), (32, 2), (32, 1), (32, 1), (64, 2), (64, 1), (64, 1), (64, 1)),
    *((96, 1), (96, 1), (96, 1), (160, 2), (160, 1), (160, 1), (320, 1)),
)
_STEM, _TOP, _EXPANSION = 32, 1280, 6
_LATERALS = ((9, 64, 32), (5, 32, 24), (2, 24, 24))  # block, channels of the sum, of what follows
_DEEP = 64
_HIDDEN = 96
_PADDED = ((0, 1), (0, 1))  # TensorFlow's SAME of a 3x3 kernel at stride 2 on an even size
OUTPUTS = {"heatmaps": 17, "offsets": 34, "center": 1, "regression": 34}
"""Channels by output: logits of joints, (y, x) from the cell of a joint to it in cells, logits of
a person's centre, (y, x) from that centre to every joint in cells."""

MEAN = STD = (0.5, 0.5, 0.5)
"""uint8 frames become x / 127.5 - 1."""

# Few stages lie between the frame and the deepest features, for what is old costs most there. Heads
# that only say roughly where a joint is come a tick later, in stages of their own.
PRESETS: dict[int, tuple[str, ...]] = {
    1: ("frame",),
    4: ("frame", "block6", "pyramid", "center"),
    7: ("frame", "block3", "block11", "pyramid", "offsets", "center", "regression"),
}

SKIP_BLOCK = 2
"""The block whose output a refinement projects for the pyramid."""
SKIP_TICKS = (1, 2)
"""Further ages of that projection, beside the newest."""
_SKIP, _MOTION = 16, 48


class _Builder:
    """Adds MoveNet's pieces to a graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def conv(
        self, x: Node, out: int, name: str, *, kernel: int = 1, stride: int = 1, act: str | None
    ) -> Node:
        """A convolution with bias."""
        return self.graph.conv3d(
            x,
            out,
            kernel=(1, kernel, kernel),
            stride=(1, stride, stride),
            padding=_PADDED if stride == 2 else "same",
            act=act,
            name=name,
        )

    def depthwise(self, x: Node, name: str, *, stride: int = 1) -> Node:
        """A depthwise 3x3 with bias and ReLU6, as inverted residuals have it."""
        channels = x.shape[0]
        return self.graph.conv3d(
            x,
            channels,
            kernel=(1, 3, 3),
            stride=(1, stride, stride),
            padding=_PADDED if stride == 2 else "same",
            groups=channels,
            act="relu6",
            name=name,
        )

    def block(self, x: Node, out: int, stride: int, *, name: str, expand: bool) -> Node:
        """An inverted residual: 1x1 up, depthwise 3x3, 1x1 down, plus its input where it fits."""
        y = x
        if expand:
            hidden = _EXPANSION * x.shape[0]
            y = self.conv(y, hidden, f"{name}/expand", act="relu6")
        y = self.depthwise(y, f"{name}/depthwise", stride=stride)
        y = self.conv(y, out, f"{name}/project", act=None)
        if stride != 1 or x.shape[0] != out:
            return y
        return self.graph.add([x, y], name=f"{name}/sum")

    def separable(self, x: Node, out: int, name: str) -> Node:
        """A depthwise 3x3 without bias, then a 1x1 with ReLU."""
        c = x.shape[0]
        y = self.graph.conv3d(
            x, c, kernel=(1, 3, 3), groups=c, bias=False, name=f"{name}/depthwise"
        )
        return self.conv(y, out, f"{name}/expand", act="relu")

    def refined(self, x: Node, fresh: Node) -> Node:
        """Stale features plus what the motion of fresh ones says about them."""
        graph, name = self.graph, "pyramid/refine"
        ages = [graph.delay(fresh, n, name=f"{name}/ago{n}") for n in SKIP_TICKS]
        seen = graph.concat([fresh, *ages], name=f"{name}/seen")
        motion = self.conv(seen, _MOTION, f"{name}/motion", kernel=3, stride=2, act="relu")
        mixed = graph.concat([x, motion], name=f"{name}/both")
        mixed = self.conv(mixed, _MOTION, f"{name}/mix", kernel=3, act="relu")
        shift = self.conv(mixed, x.shape[0], f"{name}/shift", kernel=3, act=None)
        return graph.add([x, shift], name=f"{name}/sum")


def movenet_graph(
    *,
    size: int | Sequence[int] = 192,
    refine: bool = False,
    stages: Stages = 1,
    wiring: Wiring = "sequential",
) -> Graph:
    """MoveNet Lightning as a graph; input "frame" [3, h, w], outputs at 1/4 of its size.

    `pvnet.models.pose.decode` makes 13 joints of the outputs (`OUTPUTS`).

    Args:
        size: frame (height, width) in pixels or the side of a square; multiples of 32. The weights
            were trained for 192.
        refine: with the refinement that the student of 7 stages has learnt.
        stages: preset 1, 4 or 7, any other number (cost-balanced), or lists of node names.
        wiring: "sequential", "pipelined" or "predictive".

    Raises:
        InvalidArgumentError: an argument out of range.
        GraphError: stages that do not cover the nodes, or a wiring that cannot be.
    """
    where = "models.movenet"
    height, width = check_size(where, size, multiple=32)
    check_choice(where, "refine", refine, (False, True))
    graph = Graph()
    build = _Builder(graph)
    x = graph.input("frame", channels=3, height=height, width=width, mean=MEAN, std=STD)
    x = build.conv(x, _STEM, "stem", kernel=3, stride=2, act="relu6")
    blocks: list[Node] = []
    for index, (out, stride) in enumerate(_BLOCKS):
        x = build.block(x, out, stride, name=f"block{index}", expand=index > 0)
        blocks.append(x)
        if refine and index == SKIP_BLOCK:
            fresh = build.conv(x, _SKIP, f"block{index}/skip", act="relu")
    x = build.conv(x, _TOP, "top", act="relu6")
    x = build.conv(x, _DEEP, "deep", act=None)
    for level, (block, channels, out) in enumerate(_LATERALS):
        name = f"pyramid/level{level}"
        up = graph.upsample(x, scale=2, mode="bilinear", name=f"{name}/up")
        lateral = build.conv(blocks[block], channels, f"{name}/lateral", act=None)
        x = graph.add([up, lateral], name=f"{name}/sum")
        if refine and level == 1:
            x = build.refined(x, fresh)
        x = build.separable(x, out, name)
    for name, channels in OUTPUTS.items():
        hidden = build.separable(x, _HIDDEN, name)
        graph.output(build.conv(hidden, channels, f"{name}/maps", act=None), name=name)
    return wire_stages(graph, wiring, stages, presets=PRESETS)


def movenet(
    *,
    size: int | Sequence[int] = 192,
    refine: bool = False,
    stages: Stages = 1,
    wiring: Wiring = "sequential",
) -> Network:
    """`movenet_graph` with random weights: a torch module, clip [b, 3, t, h, w] in.

    The arguments and errors are those of `movenet_graph`; needs torch.
    """
    from pvnet.nn import Network

    graph = movenet_graph(size=size, refine=refine, stages=stages, wiring=wiring)
    options = {"size": size, "refine": refine}
    return Network(graph, metadata=model_metadata("movenet", "joints", options))
