"""Small graphs with every operation alone, between two convolutions, on every kernel, stride and
dilation that matters.
"""

from __future__ import annotations

import pvnet

CONVS = [
    {"kernel": (1, 1, 1)},
    {"kernel": (3, 3, 3)},
    {"kernel": (2, 3, 5), "dilation": (2, 1, 2)},
    {"kernel": (1, 1, 1), "stride": (2, 1, 1)},  # a stride without a temporal kernel
    {"kernel": (3, 3, 3), "stride": (2, 2, 2)},
    {"kernel": (5, 1, 1), "stride": (3, 1, 1), "dilation": (3, 1, 1)},
    {"kernel": (2, 3, 3), "groups": 2},
    {"kernel": (3, 3, 3), "groups": 6},  # depthwise
    {"kernel": (1, 7, 7), "stride": (1, 2, 2), "padding": (3, 3)},
    {"kernel": (1, 2, 2), "padding": (0, 0), "bias": False, "norm": True, "act": "silu"},
    {"kernel": (2, 3, 3), "stride": (1, 2, 2), "padding": ((0, 1), (1, 0)), "act": "relu6"},
    {"kernel": (1, 3, 3), "padding": ((0, 2), (3, 1)), "groups": 6, "act": ("clamp", None, 0.5)},
]
POOLS = [
    {"kernel": (1, 3, 3), "stride": (1, 2, 2)},
    {"kernel": (3, 3, 3)},
    {"kernel": (2, 2, 2), "stride": (2, 2, 2), "padding": (0, 0)},
    {"kernel": (1, 1, 1), "stride": (3, 1, 1)},
    {"kernel": (2, 3, 2), "stride": (1, 2, 2), "padding": ((0, 2), (1, 0))},
]
ACTS = ("relu", "silu", "sigmoid", "softmax", "relu6")
OTHERS = {
    "global_pool": lambda g, x: g.global_pool(x, window=2),
    "linear": lambda g, x: g.linear(x, 5, act="relu"),
    "nearest": lambda g, x: g.upsample(x, scale=2),
    "bilinear": lambda g, x: g.upsample(x, size=(11, 7), mode="bilinear"),
    "normalize": lambda g, x: g.normalize(x, mean=(0.1,) * 6, std=(2.0,) * 6),
    "delay": lambda g, x: g.concat([g.conv3d(x, 2, kernel=1), g.delay(x, 3)]),
    "add": lambda g, x: g.add([x, g.delay(x, 1), x], act="relu"),
    "mul": lambda g, x: g.mul([x, g.act(g.global_pool(x), "sigmoid")]),
    "concat of clocks": lambda g, x: g.concat(
        [x, g.conv3d(x, 3, kernel=1, stride=(2, 1, 1)), g.max_pool(x, kernel=1, stride=(4, 1, 1))]
    ),
    **{a: lambda g, x, a=a: g.act(x, a) for a in ACTS},
}
LAYERS = {
    **{f"conv3d {i}": lambda g, x, k=k: g.conv3d(x, 6, **k) for i, k in enumerate(CONVS)},
    **{f"max_pool {i}": lambda g, x, k=k: g.max_pool(x, **k) for i, k in enumerate(POOLS)},
    **{f"avg_pool {i}": lambda g, x, k=k: g.avg_pool(x, **k) for i, k in enumerate(POOLS)},
    "avg_pool inside at the end": lambda g, x: g.avg_pool(
        x, kernel=(2, 3, 3), stride=2, padding=((1, 2), (0, 1)), count_include_pad=False
    ),
    "avg_pool inside": lambda g, x: g.avg_pool(x, kernel=(2, 3, 3), count_include_pad=False),
    **OTHERS,
}


def layer_graph(layer: str) -> pvnet.Graph:
    """The graph of one of `LAYERS`."""
    g = pvnet.Graph()
    x = g.input("frame", channels=3, height=9, width=8)
    x = g.conv3d(x, 6, kernel=(2, 3, 3), act="relu", name="before")
    x = LAYERS[layer](g, x)
    g.output(g.conv3d(x, 2, kernel=1, name="after"), name="y")
    return g


def feedback_graph() -> pvnet.Graph:
    """Three convolutions, the last of which the first one reads three ticks later."""
    g = pvnet.Graph()
    x = g.input("frame", channels=3, height=9, width=8)
    back = g.feedback("after", like=(2, 9, 8), ticks=3)
    x = g.conv3d(g.concat([x, back]), 6, kernel=(2, 3, 3), act="relu", name="before")
    x = g.conv3d(x, 4, kernel=(1, 3, 3), act="sigmoid", name="middle")
    g.output(g.conv3d(x, 2, kernel=1, act="sigmoid", name="after"), name="y")
    return g
