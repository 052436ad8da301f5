"""Builders: shapes as torch has them, arguments, errors."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import pvnet
from pvnet import PvnetError
from pvnet.errors import FileError, GraphError, InvalidArgumentError

FORM = re.compile(r"^\[.+\] .+: got .+, expected .+\. .+\.$", re.DOTALL)


def start(channels: int = 4, height: int = 12, width: int = 14) -> pvnet.Graph:
    graph = pvnet.Graph()
    graph.input("frame", channels=channels, height=height, width=width)
    return graph


def triple(low: int, high: int) -> st.SearchStrategy[tuple[int, int, int]]:
    return st.tuples(*[st.integers(low, high)] * 3)


@settings(max_examples=100, deadline=None)
@given(
    kernel=triple(1, 5),
    stride=triple(1, 3),
    dilation=triple(1, 2),
    padding=st.one_of(st.just("same"), st.tuples(st.integers(0, 4), st.integers(0, 4))),
    groups=st.sampled_from([1, 2, 4]),
)
def test_conv_shapes_are_those_of_torch(kernel, stride, dilation, padding, groups) -> None:
    graph = start()
    pair = padding
    if padding == "same":
        pair = tuple((k - 1) * d // 2 for k, d in zip(kernel[1:], dilation[1:], strict=True))
    layer = torch.nn.Conv3d(4, 8, kernel, stride, (0, *pair), dilation, groups, device="meta")
    clip = torch.empty(1, 4, 2 * (kernel[0] - 1) + 1, 12, 14, device="meta")
    args = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    try:
        expected = tuple(layer(clip).shape[i] for i in (1, 3, 4))
    except RuntimeError:
        with pytest.raises(GraphError, match="kernel larger"):
            graph.conv3d("frame", 8, groups=groups, **args)
        return
    node = graph.conv3d("frame", 8, groups=groups, **args)
    assert node.shape == expected
    assert node.clock.period == stride[0]
    macs = np.prod(expected) * 4 // groups * np.prod(kernel)
    assert node.info.macs == macs


@settings(max_examples=100, deadline=None)
@given(
    kernel=triple(1, 5),
    stride=triple(1, 3),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    kind=st.sampled_from(["max_pool", "avg_pool"]),
)
def test_pool_shapes_are_those_of_torch(kernel, stride, padding, kind) -> None:
    graph = start()
    function = {
        "max_pool": torch.nn.functional.max_pool2d,
        "avg_pool": torch.nn.functional.avg_pool2d,
    }
    try:
        expected = function[kind](torch.empty(1, 4, 12, 14), kernel[1:], stride[1:], padding).shape
    except RuntimeError:
        with pytest.raises(GraphError, match="padding"):
            getattr(graph, kind)("frame", kernel, stride=stride, padding=padding)
        return
    node = getattr(graph, kind)("frame", kernel, stride=stride, padding=padding)
    assert node.shape == tuple(expected[1:])


def test_every_builder_returns_a_node_with_its_shape() -> None:
    graph = start()
    x = graph.conv3d("frame", 6, kernel=3, name="x")
    assert (x.name, x.shape) == ("x", (6, 12, 14))
    assert graph.max_pool(x, 2, stride=(1, 2, 2)).shape == (6, 6, 7)
    assert graph.avg_pool(x, (1, 3, 3), count_include_pad=False).shape == (6, 12, 14)
    pooled = graph.global_pool(x, window=2)
    assert pooled.shape == (6, 1, 1)
    assert graph.concat([x, "frame"]).shape == (10, 12, 14)
    assert graph.add([x, x, x], act="silu").shape == (6, 12, 14)
    assert graph.mul([x, pooled]).shape == (6, 12, 14)
    assert graph.act(x, "softmax").shape == (6, 12, 14)
    small = graph.max_pool(x, 2, stride=(1, 2, 2))
    assert graph.upsample(small, scale=2).shape == (6, 12, 14)
    assert graph.upsample(small, size=(5, 9), mode="bilinear").shape == (6, 5, 9)
    assert graph.upsample(small, like=x).shape == (6, 12, 14)
    assert graph.upsample(small, scale=2, mode="bilinear", align_corners=True).shape == x.shape
    assert graph.pad(x, (1, 2)).shape == (6, 14, 18)
    assert graph.pad(x, (1, 0), padding_end=(-2, 3), value=0.5).shape == (6, 11, 17)
    assert graph.pad(x, 11, mode="reflect").shape == (6, 34, 36)
    assert graph.channel_select(x, np.array([5, 0, 0])).shape == (3, 12, 14)
    assert graph.channel_select(x, range(1, 3)).info.attrs["index"] == [1, 2]
    deep = graph.space_to_depth(x, 2)
    assert deep.shape == (24, 6, 7)
    assert graph.depth_to_space(deep, 2).shape == x.shape
    assert graph.group_norm(x, 3, act="relu").shape == graph.layer_norm(x).shape == x.shape
    assert graph.linear(x, 10).shape == (10, 1, 1)
    assert graph.normalize(x, mean=0, std=np.ones(6)).info.attrs["std"] == [1.0] * 6
    assert graph.delay(x, 3).clock.origin == 3
    assert graph.feedback("later", like=x, ticks=2).info.inputs[0].node == "later"
    assert graph.output(x) == x
    assert [n.name for n in graph.nodes][:2] == ["frame", "x"]  # also of an incomplete graph
    with pytest.raises(GraphError, match="later"):
        graph.check()


def test_integers_of_numpy_are_integers() -> None:
    node = start().conv3d("frame", np.int64(3), kernel=np.array([1, 3, 3]), stride=np.int32(2))
    assert node.shape == (3, 6, 7)


BAD: dict[str, Callable[[pvnet.Graph], object]] = {
    "a source that is no node": lambda g: g.conv3d(3, 4, kernel=1),
    "an unknown source": lambda g: g.conv3d("nobody", 4, kernel=1),
    "a node of another graph": lambda g: g.act(start().conv3d("frame", 1, kernel=1), "relu"),
    "two numbers for a kernel": lambda g: g.conv3d("frame", 4, kernel=(1, 2)),
    "text for a kernel": lambda g: g.conv3d("frame", 4, kernel="3"),
    "a float kernel": lambda g: g.conv3d("frame", 4, kernel=1.5),
    "a kernel of zero": lambda g: g.conv3d("frame", 4, kernel=0),
    "a float out": lambda g: g.conv3d("frame", 4.0, kernel=1),
    "a bool out": lambda g: g.conv3d("frame", True, kernel=1),
    "a huge out": lambda g: g.conv3d("frame", 10**30, kernel=1),
    "unknown padding": lambda g: g.conv3d("frame", 4, kernel=3, padding="valid"),
    "negative padding": lambda g: g.conv3d("frame", 4, kernel=3, padding=-1),
    "no bool": lambda g: g.conv3d("frame", 4, kernel=1, bias=1),
    "a NaN eps": lambda g: g.conv3d("frame", 4, kernel=1, norm_eps=float("nan")),
    "unknown activation": lambda g: g.conv3d("frame", 4, kernel=1, act="tan"),
    "softmax in a conv": lambda g: g.conv3d("frame", 4, kernel=1, act="softmax"),
    "groups": lambda g: g.conv3d("frame", 4, kernel=1, groups=3),
    "a phase beyond the period": lambda g: g.conv3d("frame", 4, kernel=1, phase=1),
    "a bad name": lambda g: g.conv3d("frame", 4, kernel=1, name="a.b"),
    "a name that is no text": lambda g: g.conv3d("frame", 4, kernel=1, name=3),
    "a name twice": lambda g: g.act("frame", "relu", name="frame"),
    "no list": lambda g: g.concat("frame"),
    "an empty list": lambda g: g.concat([]),
    "one summand": lambda g: g.add(["frame"]),
    "shapes of add": lambda g: g.add(["frame", g.conv3d("frame", 3, kernel=1)]),
    "shapes of concat": lambda g: g.concat(["frame", g.global_pool("frame")]),
    "no size": lambda g: g.upsample("frame"),
    "two sizes": lambda g: g.upsample("frame", size=3, scale=2),
    "unknown mode": lambda g: g.upsample("frame", size=3, mode="cubic"),
    "corners of nearest": lambda g: g.upsample("frame", size=3, align_corners=True),
    "unknown padding mode": lambda g: g.pad("frame", 1, mode="circular"),
    "a crop of all": lambda g: g.pad("frame", -6),
    "a crop by reflection": lambda g: g.pad("frame", -1, mode="reflect"),
    "a reflection of too much": lambda g: g.pad("frame", 12, mode="reflect"),
    "a value that is not used": lambda g: g.pad("frame", 1, mode="replicate", value=1),
    "an infinite value": lambda g: g.pad("frame", 1, value=float("inf")),
    "no channels": lambda g: g.channel_select("frame", []),
    "a channel too high": lambda g: g.channel_select("frame", [0, 4]),
    "text for channels": lambda g: g.channel_select("frame", "0"),
    "a float for a channel": lambda g: g.channel_select("frame", [0.0]),
    "a block that does not divide": lambda g: g.depth_to_space("frame", 3),
    "a block that divides the height only": lambda g: g.space_to_depth("frame", 3),
    "groups of a norm": lambda g: g.group_norm("frame", 3),
    "softmax in a norm": lambda g: g.layer_norm("frame", act="softmax"),
    "mean per channel": lambda g: g.normalize("frame", mean=[1, 2], std=1),
    "std of zero": lambda g: g.normalize("frame", mean=0, std=0),
    "infinite mean": lambda g: g.input("x", channels=1, height=1, width=1, mean=float("inf")),
    "negative delay": lambda g: g.delay("frame", -1),
    "feedback without delay": lambda g: g.feedback("a", like=(1, 1, 1), ticks=0),
    "feedback without shape": lambda g: g.feedback("a", like=5),
    "a second output": lambda g: [g.output("frame"), g.output("frame")],
    "no output": lambda g: g.wire("sequential", stages=1),
    "a window": lambda g: g.global_pool("frame", window=0),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_calls_say_what_is_wrong(case: str) -> None:
    graph = start()
    with pytest.raises(PvnetError) as error:
        BAD[case](graph)
    assert FORM.match(str(error.value)), str(error.value)


def test_errors_name_nodes_and_shapes() -> None:
    graph = start()
    graph.max_pool("frame", 2, stride=(1, 2, 2), name="half")
    with pytest.raises(GraphError, match=r"'frame' \[4, 12, 14\] and 'half' \[4, 6, 7\]"):
        graph.concat(["frame", "half"], name="both")


def test_graphs_compare_copy_and_pickle() -> None:
    graph = start()
    graph.output(graph.conv3d("frame", 2, kernel=3, name="a"))
    same = copy.deepcopy(graph)
    assert same == graph
    assert pickle.loads(pickle.dumps(graph)) == graph
    same.conv3d("a", 2, kernel=1, name="b")
    assert same != graph
    assert len(graph.nodes) == 2
    assert graph != 3


@pytest.mark.parametrize("text", ["", "{}", "[1", '{"format":"pvnet-graph","version":9}'])
def test_text_that_is_no_graph_is_a_file_error(text: str) -> None:
    with pytest.raises(FileError, match=FORM.pattern):
        pvnet.Graph.from_json(text)


def test_import_needs_no_torch() -> None:
    import subprocess
    import sys

    code = (
        "import sys, pvnet; pvnet.Graph(); pvnet.errors; pvnet.PvnetError; pvnet.__version__\n"
        "assert 'torch' not in sys.modules; assert 'matplotlib' not in sys.modules\n"
        "try: pvnet.nonsense\nexcept AttributeError: pass\nelse: raise SystemExit(1)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_wire_refuses_bad_stages_and_leaves_the_graph_alone() -> None:
    graph = start()
    a = graph.conv3d("frame", 2, kernel=3, name="a")
    graph.output(graph.conv3d(a, 2, kernel=3, name="b"))
    for stages in (0, -1, 3, 2**40, True, 1.5, "a", [], ["a", "b"], [["a"]], [["a"], ["b", 3]]):
        with pytest.raises(InvalidArgumentError) as error:
            graph.wire("predictive", stages=stages)
        assert FORM.match(str(error.value)), str(error.value)
    with pytest.raises(InvalidArgumentError, match="predictive"):
        graph.wire("fresh", stages=2)
    with pytest.raises(InvalidArgumentError, match="costs"):
        graph.wire("predictive", stages=[["a"], ["b"]], costs={"a": 1.0, "b": 1.0})
    wired = graph.wire("predictive", stages=[[a], ["b"]])
    assert wired.stage_lists == [["frame", "a"], ["b"]]
    assert wired.wire("pipelined").stage_lists == wired.stage_lists
    assert graph.n_stages == 1
    with pytest.raises(PvnetError, match="wired already"):
        wired.conv3d("b", 2, kernel=1)
