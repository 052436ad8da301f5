"""Par-DenseNet: a 54-layer DenseNet that gives one heatmap per joint, frame by frame.

    stem 7x7/2, pool/2 - 4 - t - 8 - t - 8 - t - 6 dense layers (1x1, then 3x3), transitions t -
    last layer of every resolution, upsampled to 1/4 of the frame and concatenated - 3x3 - heatmaps

docs/models.md says where the definition is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pvnet.errors import InvalidArgumentError
from pvnet.graph import Graph
from pvnet.models.common import (
    MEAN,
    STD,
    Stages,
    Wiring,
    check_choice,
    check_positive,
    check_size,
    check_width,
    model_metadata,
    scale_channels,
    wire_stages,
)
from pvnet.models.skips import SKIPS, Skips, add_skips

if TYPE_CHECKING:
    from pvnet.graph import Node
    from pvnet.nn import Network

BLOCKS = (4, 8, 8, 6)
GROWTH = 64
STEM = 64
# DenseNet-BC reduces to 4 * growth; 2 * growth gives the 1x1 and the 3x3 convolutions about the
# same share of the work and halves the cost of the whole network.
BOTTLENECK = 2 * GROWTH
HEAD = 64
SKIP_CHANNELS = 16
OUTPUT_STRIDE = 4

# 14 = the stem, then 13 groups of two dense layers (four convolutions each); 7 = pairs of those;
# 2 = the cut at half of the multiply-adds.
_FOURTEEN = (
    "frame",
    "block1",
    "block1/layer3",
    "block2/layer1",
    "block2/layer3",
    "block2/layer5",
    "block2/layer7",
    "block3/layer1",
    "block3/layer3",
    "block3/layer5",
    "block3/layer7",
    "block4/layer1",
    "block4/layer3",
    "block4/layer5",
)
PRESETS: dict[int, tuple[str, ...]] = {
    1: ("frame",),
    2: ("frame", "block2/layer3"),
    7: _FOURTEEN[::2],
    14: _FOURTEEN,
}


class _Builder:
    """Adds DenseNet's pieces to a graph, with one rule for width and temporal kernels."""

    def __init__(self, graph: Graph, *, width: float, temporal: int) -> None:
        self.graph = graph
        self.width = width
        self.temporal = temporal

    def conv(self, x: Node, out: int, kernel: int, *, name: str, stride: int = 1) -> Node:
        """A convolution with batch norm and ReLU; only 3x3 kernels reach into the past."""
        return self.graph.conv3d(
            x,
            scale_channels(out, self.width),
            kernel=(self.temporal if kernel == 3 else 1, kernel, kernel),
            stride=(1, stride, stride),
            bias=False,
            norm=True,
            act="relu",
            name=name,
        )

    def join(self, xs: list[Node], *, name: str) -> Node:
        """The states so far, side by side."""
        return xs[0] if len(xs) == 1 else self.graph.concat(xs, name=name)

    def block(self, inputs: list[Node], layers: int, *, name: str) -> list[Node]:
        """Dense layers, each reading the block's inputs and every layer before it.

        Several inputs are not joined first: a join has a stage, and to every later stage all that
        goes through it would come a tick later.
        """
        states = list(inputs)
        for i in range(1, layers + 1):
            layer = f"{name}/layer{i}"
            y = self.join(states, name=f"{layer}/input")
            y = self.conv(y, BOTTLENECK, 1, name=f"{layer}/reduce")
            states.append(self.conv(y, GROWTH, 3, name=f"{layer}/grow"))
        return states

    def transition(self, states: list[Node], out: int, *, name: str) -> Node:
        """Half the channels, half the resolution."""
        x = self.join(states, name=f"{name}/input")
        x = self.conv(x, out, 1, name=f"{name}/conv")
        return self.graph.avg_pool(x, kernel=(1, 2, 2), stride=(1, 2, 2), name=f"{name}/pool")


def par_densenet_graph(
    *,
    joints: int = 13,
    temporal: Literal[1, 3] = 1,
    width: float = 1.0,
    size: int | Sequence[int] = 224,
    skips: Skips = "none",
    feedback: bool | int = False,
    stages: Stages = 1,
    wiring: Wiring = "sequential",
) -> Graph:
    """Par-DenseNet as a graph; input "frame" [3, h, w], output "heatmaps" [joints, h/4, w/4].

    The heatmaps are logits: a sigmoid of them is the score of a joint at a position.

    Args:
        joints: number of heatmaps.
        temporal: temporal size of the 3x3 kernels: 1 (per frame) or 3 (two past firings too).
        width: scales all channels (rounded to multiples of 8, at least 8).
        size: frame (height, width) in pixels or the side of a square; multiples of 16, >= 32.
        skips: which later stages get every stage's output directly (pvnet.models.add_skips).
        feedback: the age in ticks (True = 1) of the heatmap scores that are a further input of the
            first dense block; False = no feedback. To its layers in a later stage they come a tick
            later. "pipelined" needs at least as many ticks as there are stages between the two.
        stages: preset 1, 2, 7, 14, any other number (cost-balanced), or lists of node names.
        wiring: "sequential", "pipelined" or "predictive".

    Raises:
        InvalidArgumentError: an argument out of range.
        GraphError: stages that do not cover the nodes, or a wiring that cannot be.
    """
    where = "models.par_densenet"
    height, width_px = check_size(where, size, multiple=16)
    check_choice(where, "temporal", temporal, (1, 3))
    check_choice(where, "skips", skips, SKIPS)
    check_width(where, width)
    check_positive(where, "joints", joints)
    if int(feedback) < 0:
        raise InvalidArgumentError(
            f"[{where}] feedback comes from the past: got {feedback!r}, expected an age of at "
            "least 1 tick, True or False. Pass feedback=True."
        )

    graph = Graph()
    build = _Builder(graph, width=width, temporal=temporal)
    x = graph.input("frame", channels=3, height=height, width=width_px, mean=MEAN, std=STD)
    x = build.conv(x, STEM, 7, stride=2, name="stem/conv")
    x = graph.max_pool(x, kernel=(1, 3, 3), stride=(1, 2, 2), name="stem/pool")
    inputs = [x]
    if feedback:
        scores = graph.feedback(
            "scores",
            like=(joints, height // OUTPUT_STRIDE, width_px // OUTPUT_STRIDE),
            ticks=int(feedback),
            name="block1/feedback",
        )
        inputs.append(scores)

    last_states = []
    channels = STEM
    for index, layers in enumerate(BLOCKS, start=1):
        states = build.block(inputs, layers, name=f"block{index}")
        last_states.append(states[-1])
        channels += layers * GROWTH
        if index < len(BLOCKS):
            channels //= 2
            inputs = [build.transition(states, channels, name=f"transition{index}")]

    out_size = (height // OUTPUT_STRIDE, width_px // OUTPUT_STRIDE)
    maps = [last_states[0]] + [
        graph.upsample(state, size=out_size, mode="bilinear", name=f"head/up{index}")
        for index, state in enumerate(last_states[1:], start=2)
    ]
    x = graph.concat(maps, name="head/input")
    x = build.conv(x, HEAD, 3, name="head/conv")
    x = graph.conv3d(x, joints, kernel=(1, 1, 1), name="heatmaps")
    if feedback:
        graph.act(x, "sigmoid", name="scores")
    graph.output(x, name="heatmaps")

    wired = wire_stages(graph, wiring, stages, presets=PRESETS)
    skip_channels = scale_channels(SKIP_CHANNELS, width)
    return add_skips(wired, skips, head="head/input", channels=skip_channels)


def par_densenet(
    *,
    joints: int = 13,
    temporal: Literal[1, 3] = 1,
    width: float = 1.0,
    size: int | Sequence[int] = 224,
    skips: Skips = "none",
    feedback: bool | int = False,
    stages: Stages = 1,
    wiring: Wiring = "sequential",
) -> Network:
    """`par_densenet_graph` with random weights: a torch module, clip [b, 3, t, h, w] in.

    The arguments and errors are those of `par_densenet_graph`; needs torch.
    """
    from pvnet.nn import Network

    options = {
        "joints": joints,
        "temporal": temporal,
        "width": width,
        "size": size,
        "skips": skips,
        "feedback": feedback,
    }
    graph = par_densenet_graph(**options, stages=stages, wiring=wiring)  # type: ignore[arg-type]
    return Network(graph, metadata=model_metadata("par_densenet", "joints", options))
