"""Who makes a tick: all lanes, or the calling thread alone."""

import argparse
from pathlib import Path

import numpy as np
import pytest

import pvnet
from pvnet import models
from pvnet.models.random_weights import random_weights

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.fixture(scope="module")
def model():
    graph = models.build("par_densenet", size=64, width=0.25, wiring="sequential", stages=1)
    return graph, random_weights(graph, seed=0)


def test_lanes_used_and_the_same_bits_in_every_way(model):
    frames = np.random.default_rng(0).integers(0, 256, (30, 64, 64, 3), np.uint8)
    costs = {node.name: 1000.0 for node in model[0].nodes}  # no tick too short to share
    plan = pvnet.compile(model, lanes=2, fixed_lanes=True, costs=costs, pin=False)
    stream, other = plan.stream(), plan.stream()
    assert stream.lanes_used == 0
    for number, frame in enumerate(frames):
        way = ("alone", "flexible", "shared", "flexible")[number % 4]
        other._core.make_ticks(way)
        mine, its = stream.tick(frame), other.tick(frame)
        assert stream.lanes_used == 2
        assert other.lanes_used == (1 if way == "alone" else 2)
        for name in plan.outputs:
            np.testing.assert_array_equal(mine[name], its[name])


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
def test_lanes_share_large_frames(dtype):
    """To the bits of one lane, from pixels in either order, with any strides."""
    graph = pvnet.Graph()
    x = graph.input("x", channels=3, height=131, width=96, mean=(0.1, 0.2, 0.3), std=(1, 2, 3))
    graph.output(graph.conv3d(x, 4, kernel=(2, 3, 3), padding=1, name="c"), name="y")
    model = (graph, random_weights(graph, seed=0))
    costs = {"x": 0.0, "c": 1000.0}
    one, three = (
        pvnet.compile(
            model, lanes=n, fixed_lanes=True, costs=costs, pin=False, dtype=dtype
        ).stream()
        for n in (1, 3)
    )
    rng = np.random.default_rng(0)
    wide = rng.integers(0, 256, (2, 131, 100, 3), np.uint8)
    floats = rng.standard_normal((2, 3, 131, 96), np.float32)
    planes = np.ascontiguousarray(floats.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    for frame in (*wide[:, :, :96], *floats, *planes):
        np.testing.assert_array_equal(one.tick(frame)["y"], three.tick(frame)["y"])
        assert three.lanes_used == 3


def test_one_lane_is_alone(model):
    stream = pvnet.compile(model, lanes=1).stream()
    stream.tick(np.zeros((64, 64, 3), np.uint8))
    assert stream.lanes_used == 1


def test_the_benchmark_fills_its_rows(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    import busy

    small = {"model": "par_densenet", "stages": 1, "wiring": "sequential", "lanes": 2}
    small |= {"width": 0.125, "size": 32, "ticks": 10, "rounds": 2}
    rows = busy.measure(argparse.Namespace(**small))
    assert [row["plan"] for row in rows] == ["1 lane", "2 fixed lanes", "2 lanes"]
    assert rows[0]["alone"] == 1.0
    assert all(0 < row["p50_ms"] <= row["p99_ms"] for row in rows)
