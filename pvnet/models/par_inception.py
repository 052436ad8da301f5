"""Par-Inception: the I3D Inception-v1 table made causal, for action recognition on live video.

    conv1a 7x7x7/2 64 - pool - conv2b 1x1x1 64 - conv2c 3x3x3 192 - pool - 3b 3c - pool -
    4b 4c 4d 4e 4f - pool - 5b 5c - average over space and `window` firings - logits

Every convolution has batch norm and ReLU. docs/models.md says where the definition is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

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

Clocks = Literal["single", "i3d", "halving"]

# name: (1x1 | 1x1, 3x3x3 | 1x1, 3x3x3 | pool, 1x1) output channels at width 1.
MIXED: dict[str, tuple[int, int, int, int, int, int]] = {
    "mixed_3b": (64, 96, 128, 16, 32, 32),
    "mixed_3c": (128, 128, 192, 32, 96, 64),
    "mixed_4b": (192, 96, 208, 16, 48, 64),
    "mixed_4c": (160, 112, 224, 24, 64, 64),
    "mixed_4d": (128, 128, 256, 24, 64, 64),
    "mixed_4e": (112, 144, 288, 32, 64, 64),
    "mixed_4f": (256, 160, 320, 32, 128, 128),
    "mixed_5b": (256, 160, 320, 32, 128, 128),
    "mixed_5c": (384, 192, 384, 48, 128, 128),
}

# Temporal strides. `halving` halves the rate at every pool that halves the resolution: periods
# 1, 2, 4, 8, 16, so that conv1a still sees every frame.
CLOCKS: dict[str, dict[str, int]] = {
    "single": {},
    "i3d": {"conv1a": 2, "pool4a": 2, "pool5a": 2},
    "halving": {"pool2a": 2, "pool3a": 2, "pool4a": 2, "pool5a": 2},
}

# First node of every stage. Costs at 224, width 1, `single`: conv1a and conv2c are a quarter of
# the network each, so 5 stages already reach the best balance that whole layers allow.
PRESETS: dict[int, tuple[str, ...]] = {
    1: ("frame",),
    2: ("frame", "mixed_3c"),
    3: ("frame", "mixed_3b", "mixed_4c"),
    5: ("frame", "conv2b", "mixed_3b", "mixed_4b", "mixed_4e"),
    10: (
        "frame",
        "conv2b",
        "mixed_3b",
        "mixed_3c",
        "mixed_4b",
        "mixed_4c",
        "mixed_4d",
        "mixed_4e",
        "mixed_4f",
        "mixed_5b",
    ),
}
SKIP_CHANNELS = 64


class _Builder:
    """Adds Inception's pieces to a graph, with one rule for width, clocks and temporal kernels."""

    def __init__(self, graph: Graph, *, width: float, clocks: str, temporal: int) -> None:
        self.graph = graph
        self.width = width
        self.strides = CLOCKS[clocks]
        self.temporal = temporal

    def conv(self, x: Node, out: int, kernel: int, stride: int, *, name: str) -> Node:
        """A k x k x k convolution with batch norm and ReLU."""
        kt = kernel if self.temporal == 3 else 1
        return self.graph.conv3d(
            x,
            scale_channels(out, self.width),
            kernel=(kt, kernel, kernel),
            stride=(self.strides.get(name, 1), stride, stride),
            bias=False,
            norm=True,
            act="relu",
            name=name,
        )

    def pool(self, x: Node, kernel: tuple[int, int], stride: int, *, name: str) -> Node:
        """Max pooling; kernel = (time, space)."""
        kt = kernel[0] if self.temporal == 3 else 1
        return self.graph.max_pool(
            x,
            kernel=(kt, kernel[1], kernel[1]),
            stride=(self.strides.get(name, 1), stride, stride),
            name=name,
        )

    def mixed(self, x: Node, *, name: str) -> Node:
        """One Inception block: four branches, concatenated."""
        c = MIXED[name]
        a = self.conv(x, c[0], 1, 1, name=f"{name}/branch0")
        b = self.conv(x, c[1], 1, 1, name=f"{name}/branch1_reduce")
        b = self.conv(b, c[2], 3, 1, name=f"{name}/branch1")
        d = self.conv(x, c[3], 1, 1, name=f"{name}/branch2_reduce")
        d = self.conv(d, c[4], 3, 1, name=f"{name}/branch2")
        e = self.pool(x, (3, 3), 1, name=f"{name}/branch3_pool")
        e = self.conv(e, c[5], 1, 1, name=f"{name}/branch3")
        return self.graph.concat([a, b, d, e], name=f"{name}/concat")


def par_inception_graph(
    *,
    classes: int = 200,
    clocks: Clocks = "single",
    temporal: Literal[3, 1] = 3,
    width: float = 1.0,
    size: int | Sequence[int] = 224,
    skips: Skips = "none",
    window: int = 2,
    stages: Stages = 1,
    wiring: Wiring = "sequential",
) -> Graph:
    """Par-Inception as a graph; input "frame" [3, h, w], output "logits" [classes, 1, 1].

    Args:
        classes: number of actions.
        clocks: "single" (every layer every tick), "i3d" (temporal strides 2, 2, 2 at conv1a,
            pool4a, pool5a) or "halving" (rate 1/2 at every pool that halves the resolution).
        temporal: 3 = the kernels of the table, 1 = one frame per firing (GoogLeNet).
        width: scales all channels (rounded to multiples of 8, at least 8).
        size: frame (height, width) in pixels or the side of a square; multiples of 16, >= 32.
        skips: which later stages get every stage's output directly (pvnet.models.add_skips).
        window: the head averages space and this many of its last firings.
        stages: preset 1, 2, 3, 5, 10, any other number (cost-balanced), or lists of node names.
        wiring: "sequential", "pipelined" or "predictive".

    Raises:
        InvalidArgumentError: an argument out of range.
        GraphError: stages that do not cover the nodes, or a wiring that cannot be.
    """
    where = "models.par_inception"
    height, width_px = check_size(where, size, multiple=16)
    check_choice(where, "clocks", clocks, list(CLOCKS))
    check_choice(where, "temporal", temporal, (3, 1))
    check_choice(where, "skips", skips, SKIPS)
    check_width(where, width)
    check_positive(where, "classes", classes)
    check_positive(where, "window", window)

    graph = Graph()
    build = _Builder(graph, width=width, clocks=clocks, temporal=temporal)
    x = graph.input("frame", channels=3, height=height, width=width_px, mean=MEAN, std=STD)
    x = build.conv(x, 64, 7, 2, name="conv1a")
    x = build.pool(x, (1, 3), 2, name="pool2a")
    x = build.conv(x, 64, 1, 1, name="conv2b")
    x = build.conv(x, 192, 3, 1, name="conv2c")
    x = build.pool(x, (1, 3), 2, name="pool3a")
    for name in ("mixed_3b", "mixed_3c"):
        x = build.mixed(x, name=name)
    x = build.pool(x, (3, 3), 2, name="pool4a")
    for name in ("mixed_4b", "mixed_4c", "mixed_4d", "mixed_4e", "mixed_4f"):
        x = build.mixed(x, name=name)
    x = build.pool(x, (2, 2), 2, name="pool5a")
    for name in ("mixed_5b", "mixed_5c"):
        x = build.mixed(x, name=name)
    x = graph.global_pool(x, window=window, name="head/pool")
    x = graph.linear(x, classes, name="logits")
    graph.output(x, name="logits")

    wired = wire_stages(graph, wiring, stages, presets=PRESETS)
    channels = scale_channels(SKIP_CHANNELS, width)
    return add_skips(wired, skips, head="head/pool", channels=channels)


def par_inception(
    *,
    classes: int = 200,
    clocks: Clocks = "single",
    temporal: Literal[3, 1] = 3,
    width: float = 1.0,
    size: int | Sequence[int] = 224,
    skips: Skips = "none",
    window: int = 2,
    stages: Stages = 1,
    wiring: Wiring = "sequential",
) -> Network:
    """`par_inception_graph` with random weights: a torch module, clip [b, 3, t, h, w] in.

    The arguments and errors are those of `par_inception_graph`; needs torch.
    """
    from pvnet.nn import Network

    options = {
        "classes": classes,
        "clocks": clocks,
        "temporal": temporal,
        "width": width,
        "size": size,
        "skips": skips,
        "window": window,
    }
    graph = par_inception_graph(**options, stages=stages, wiring=wiring)  # type: ignore[arg-type]
    return Network(graph, metadata=model_metadata("par_inception", "actions", options))
