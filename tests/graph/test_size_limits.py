"""Sizes out of files: what fits neither 64 bits nor the limits nor the machine is refused."""

from __future__ import annotations

import json
import os
import random
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_compile_cost import Spec, in_a_process, node
from test_graph_build import FORM

import pvnet
from pvnet.errors import GraphError, PvnetError


def document(frame: dict[str, int], nodes: list[Spec], last: str) -> str:
    return json.dumps(
        {
            "format": "pvnet-graph",
            "version": 1,
            "wiring": "sequential",
            "nodes": [node("x", "input", [], **frame), *nodes],
            "outputs": [{"name": "y", "node": last}],
        }
    )


def compiled(text: str, **options: Any) -> pvnet.Plan:
    graph = pvnet.Graph.from_json(text)
    weights = {n: np.zeros(s, np.float32) for n, s in graph.expected_weights()}
    return pvnet.compile((graph, weights), backend="ref", lanes=1, **options)


def pixel(channels: int) -> int:
    """Floats from pixel to pixel: whole granules, and one more for multiples of 2048 bytes."""
    whole = channels if channels < 8 else -(-channels // 16) * 16
    return whole + 16 if whole % 512 == 0 else whole


def hostile(**attrs: Any) -> str:
    frame = {"channels": 524288, "height": 2, "width": 2}
    nodes = [
        node("late", "delay", ["x"], ticks=2047),
        node("y", "conv3d", ["late"], out=1, **attrs),
    ]
    return document(frame, nodes, "y")


def test_sizes_that_wrap_do_not_become_a_small_state() -> None:
    with pytest.raises(GraphError, match="more padding than map and kernel"):
        compiled(hostile(padding=[65535, 65535], stride=[1, 4, 4]))
    wide = {"kernel": [1, 1024, 1024], "dilation": [1, 64, 64], "padding": [65472, 65472]}
    with pytest.raises(GraphError, match="too large with its padding"):
        compiled(hostile(groups=1, **wide))
    # As large as it is, and the number is right.
    values = json.loads(compiled(hostile(padding=[1, 1])).to_json())["values"]
    assert values[0]["slot_bytes"] == 4 * 4 * pixel(524288) * 4
    assert values[0]["depth_slots"] == 2048


EXTREMES = [1, 2, 3, 7, 8, 9, 255, 1024, 4095, 65535, 65536]


class Drawn:
    """A chain of nodes with extreme attributes, and the sizes that follow, in Python's integers."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = random.Random(seed)
        pick = rng.choice
        c, h, w = (
            pick([*EXTREMES, 524288, 524288, 524288, 1_000_000]),
            pick(EXTREMES[:9]),
            pick(EXTREMES),
        )
        if rng.random() < 0.3:
            h = w = 2
        self.frame = {"channels": c, "height": h, "width": w}
        self.shape = (c, h, w)
        self.nodes: list[Spec] = []
        self.values = {"x": (self.shape, [0, 0], [1])}  # shape, halo, depths that readers need
        self.last, self.at, self.delay = "x", "x", 0  # node, value behind it, delay between them
        for i in range(rng.randint(1, 5)):
            rng.choice([self.wait, self.wait, self.conv, self.conv, self.pool, self.trap])(f"n{i}")
        self.read(1)

    def read(self, taps: int) -> None:
        self.values[self.at][2].append(self.delay + taps)

    def wait(self, name: str, ticks: int | None = None) -> None:
        if ticks is None:  # rarely a million: the ages of that many ticks take a second
            ticks = self.rng.choice([0, 1, 7, 2047, 65535] * 8 + [1_000_000])
        self.nodes.append(node(name, "delay", [self.last], ticks=ticks))
        self.last = name
        self.delay += ticks

    def window(
        self, name: str, op: str, kernel: list[int], padding: list[int], **attrs: Any
    ) -> None:
        c, h, w = self.shape
        dilation = attrs.get("dilation", [1, 1, 1])
        self.read((kernel[0] - 1) * dilation[0] + 1)
        if op == "conv3d":
            halo = self.values[self.at][1]
            halo[:] = [max(a, b) for a, b in zip(halo, padding, strict=True)]
            c = attrs["out"]
        stride = attrs.get("stride", [1, 1, 1])
        sides = [
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, p, d, k, s in zip(
                (h, w), padding, dilation[1:], kernel[1:], stride[1:], strict=True
            )
        ]
        self.shape = (c, sides[0], sides[1])
        self.nodes.append(node(name, op, [self.last], kernel=kernel, padding=padding, **attrs))
        self.last = self.at = name
        self.delay = 0
        self.values[name] = (self.shape, [0, 0], [1])

    def conv(self, name: str) -> None:
        rng, c = self.rng, self.shape[0]
        kernel = [rng.choice([1, 2, 1024]), rng.choice([1, 2, 3]), rng.choice([1, 3, 255])]
        if c * kernel[0] * kernel[1] * kernel[2] > 2_000_000:  # the weights are really made
            kernel = [1, 1, 1]
        dilation = [rng.choice([1, 1024]), rng.choice([1, 3, 1024]), rng.choice([1, 64])]
        padding = [rng.choice([0, 1, 1024, 65535]), rng.choice([0, 1, 255, 65536])]
        stride = [1, rng.choice([1, 2, 4]), rng.choice([1, 4, 4096])]
        self.window(name, "conv3d", kernel, padding, out=1, dilation=dilation, stride=stride)

    def trap(self, name: str) -> None:
        """The deepest ring of the largest map around the smallest one: products of powers of 2."""
        self.wait(f"{name}_late", ticks=2 ** self.rng.choice([11, 11, 12, 14, 16]) - 1)
        self.window(name, "conv3d", [1, 1, 1], [65535, 65535], out=1, stride=[1, 4, 4])

    def pool(self, name: str) -> None:
        kernel = [self.rng.choice([1, 2, 1023]), *(self.rng.choice([1, 2]) for _ in range(2))]
        self.window(name, "max_pool", kernel, [0, 0])

    def slot(self, name: str) -> int:
        (c, h, w), (halo_h, halo_w), _ = self.values[name]
        return -(-(h + 2 * halo_h) * (w + 2 * halo_w) * pixel(c) // 16) * 16 * 4


def test_extreme_attributes_give_an_error_or_the_sizes_of_exact_integers() -> None:
    right, refused = 0, 0
    for seed in range(700):
        drawn = Drawn(seed)
        try:
            plan = compiled(document(drawn.frame, drawn.nodes, drawn.last))
        except PvnetError as error:
            assert FORM.match(str(error)), str(error)  # noqa: PT017
            refused += 1
            continue
        right += 1
        state = 0
        for value in json.loads(plan.to_json())["values"]:
            _, _, depths = drawn.values[value["node"]]
            assert value["slot_bytes"] == drawn.slot(value["node"]), seed
            if value["memory"] == "state":
                assert value["depth_slots"] == max(depths), seed
                state += value["depth_slots"] * value["slot_bytes"]
        assert plan.state_bytes == state < 2**40, seed
        c, h, w = drawn.shape
        assert plan.stream_bytes >= state + plan.scratch_bytes + 4 * c * h * w
    assert right > 100
    assert refused > 100


def waiting(ticks: int, batch: int) -> pvnet.Plan:
    frame = {"channels": 4, "height": 128, "width": 128}
    return compiled(document(frame, [node("y", "delay", ["x"], ticks=ticks)], "y"), batch=batch)


def refused_stream(ticks: int, batch: int) -> str:
    try:
        waiting(ticks, batch).stream()
    except pvnet.errors.OutOfMemoryError as error:
        return str(error)
    return "a stream"


def test_a_state_beyond_the_memory_is_refused_before_it_is_taken() -> None:
    # 8 rows of 500 MB, where 3 GB may be had: seven would fit.
    said, used = in_a_process("__import__('test_size_limits').refused_stream(2000, 8)")
    assert FORM.match(said), said
    assert "Stream.create" in said
    assert str(waiting(2000, 8).stream_bytes) in said
    assert "ulimit -v" in said
    assert used < 300
    said, _ = in_a_process("__import__('test_size_limits').refused_stream(20, 2)")
    assert said == "a stream"


def ladder(clocks: int) -> pvnet.Graph:
    """A read that goes from clock to clock: concats of concats, each at twice the period."""
    graph = pvnet.Graph()
    values = [graph.input("frame", channels=1, height=1, width=1)]
    for i in range(1, clocks):
        values.append(graph.conv3d(values[-1], 1, kernel=1, stride=(2, 1, 1), name=f"n{i}"))
    x = values.pop()
    for value in reversed(values):
        x = graph.concat([value, x])
    graph.output(graph.conv3d(x, 1, kernel=1, name="y"))
    return graph


def test_a_read_through_more_clocks_than_a_device_holds_is_refused() -> None:
    assert compiled(ladder(8).to_json()).hyper_period == 128
    with pytest.raises(pvnet.errors.UnsupportedError, match="9 hops, expected at most 8"):
        compiled(ladder(9).to_json())


def file_with_holes(path: Path, layers: int) -> None:
    """A model of `layers` times 400 MB of zero weights that takes no room on the disk."""
    frame = {"channels": 10_000, "height": 1, "width": 1}
    nodes = [
        node(f"n{i}", "conv3d", [f"n{i - 1}" if i else "x"], out=10_000) for i in range(layers)
    ]
    graph = pvnet.Graph.from_json(document(frame, nodes, f"n{layers - 1}"))
    header: dict[str, Any] = {
        "__metadata__": {"pvnet_graph": graph.to_json(), "pvnet_version": "1"}
    }
    end = 0
    for name, shape in graph.expected_weights():
        begin, end = end, end + 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    os.truncate(path, path.stat().st_size + end)


def refused_file(path: str) -> str:
    try:
        pvnet.load(path)
    except pvnet.errors.OutOfMemoryError as error:
        return str(error)
    return "a model"


def test_a_model_file_beyond_the_memory_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.safetensors"
    file_with_holes(path, 8)  # 3.2 GB, where 3 GB may be had: six or seven layers would fit
    said, used = in_a_process(f"__import__('test_size_limits').refused_file({str(path)!r})")
    assert FORM.match(said), said
    assert "load_model" in said
    assert "ulimit -v" in said
    assert used < 300
    file_with_holes(path, 1)
    said, _ = in_a_process(f"__import__('test_size_limits').refused_file({str(path)!r})")
    assert said == "a model"
