"""Arithmetic of maps: shapes that are broadcast, versions of files, refusals."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

import pvnet
from pvnet.errors import GraphError

SHAPES = [(3, 4, 5), (3, 1, 1), (1, 4, 5), (1, 1, 1)]
OPS = ("add", "sub", "mul", "div")


def graph_of(op: str, *shapes: tuple[int, int, int]) -> tuple[pvnet.Graph, pvnet.Node]:
    """An operation on inputs of these shapes."""
    g = pvnet.Graph()
    xs = [g.input(f"x{i}", channels=c, height=h, width=w) for i, (c, h, w) in enumerate(shapes)]
    y = getattr(g, op)(xs) if op in ("add", "mul") else getattr(g, op)(*xs)
    g.output(y, name="y")
    return g, y


@pytest.mark.parametrize("op", OPS)
def test_either_side_is_broadcast(op: str) -> None:
    for shapes in itertools.product(SHAPES, SHAPES):
        g, y = graph_of(op, *shapes)
        assert y.shape == np.broadcast_shapes(*shapes)
        stream = pvnet.compile(pvnet.runtime.Model(g, {}), backend="ref").stream()
        rng = np.random.default_rng(0)
        frames = [rng.uniform(1, 2, (1, *s)).astype(np.float32) for s in shapes]
        numpy_op = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide}[op]
        got = stream.tick({f"x{i}": f for i, f in enumerate(frames)})["y"]
        np.testing.assert_array_equal(got.reshape(1, *y.shape), numpy_op(*frames))


@pytest.mark.parametrize("op", OPS)
def test_other_shapes_are_refused(op: str) -> None:
    for other in ((2, 4, 5), (3, 4, 4), (3, 1, 5)):
        with pytest.raises(GraphError, match="joins values that cannot be broadcast"):
            graph_of(op, (3, 4, 5), other)


def test_a_difference_has_two_inputs() -> None:
    g, _ = graph_of("add", (3, 4, 5), (3, 4, 5))
    spec = json.loads(g.to_json())
    spec["nodes"][-1] |= {"op": "sub", "inputs": ["x0", "x1", "x0"]}
    with pytest.raises(GraphError, match="wrong number of inputs: got 3, expected 2"):
        pvnet.Graph.from_json(json.dumps(spec))


@pytest.mark.parametrize(
    ("op", "other", "version"),
    [
        ("add", (3, 4, 5), 1),
        ("mul", (3, 1, 1), 1),
        ("add", (3, 1, 1), 2),
        ("sub", (3, 4, 5), 2),
        ("div", (3, 4, 5), 2),
    ],
)
def test_a_sum_of_one_shape_is_of_the_first_version(op, other, version) -> None:
    g, _ = graph_of(op, (3, 4, 5), other)
    assert json.loads(g.to_json())["version"] == version


def test_numbers_of_channels_are_weights(tmp_path) -> None:
    g = pvnet.Graph()
    x = g.input("frame", channels=3, height=2, width=2)
    g.output(g.prelu(g.scale(x, name="s"), name="p"), name="y")
    weights = {
        "s.weight": np.array([1, 2, -3], np.float32),
        "s.bias": np.array([0.5, 0, 1], np.float32),
        "p.weight": np.array([0.1, 0.25, -1], np.float32),
    }
    path = tmp_path / "model.safetensors"
    pvnet.save(pvnet.runtime.Model(g, weights), path)
    model = pvnet.load(path)
    frame = np.linspace(-1, 1, 12, dtype=np.float32).reshape(1, 3, 2, 2)
    shape = (1, 3, 1, 1)
    y = frame * weights["s.weight"].reshape(shape) + weights["s.bias"].reshape(shape)
    want = np.where(y > 0, y, y * weights["p.weight"].reshape(shape))
    for backend in ("ref", "cpu"):
        got = pvnet.compile(model, backend=backend).stream().tick({"frame": frame})["y"]
        np.testing.assert_allclose(got, want, rtol=1e-6)
    with pytest.raises(pvnet.PvnetError, match=r"s\.bias"):
        pvnet.compile(pvnet.runtime.Model(g, {k: v for k, v in weights.items() if k != "s.bias"}))
