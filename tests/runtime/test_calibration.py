"""pvnet.calibrate: what it counts, what it chooses, what it stores, what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest

import pvnet
from pvnet.errors import FileError, InvalidArgumentError
from pvnet.models.random_weights import random_weights
from pvnet.runtime.calibration import histogram, methods
from pvnet.runtime.calibration.histogram import Histogram

SIZE = (16, 20)


def network(wiring: str = "sequential", stages: int = 1) -> pvnet.runtime.Model:
    """A temporal stride, a concat, a delay, an add, a linear output; signed and unsigned maps."""
    g = pvnet.Graph()
    x = g.input("frame", channels=3, height=SIZE[0], width=SIZE[1], mean=0.5, std=0.25)
    stem = g.conv3d(x, 6, kernel=(3, 3, 3), stride=(2, 2, 2), act="relu", name="stem")
    left = g.conv3d(stem, 4, kernel=(1, 1, 1), name="left")
    both = g.concat([left, g.delay(stem, 2, name="late")], name="both")
    y = g.conv3d(both, 10, kernel=(1, 3, 3), name="mixed")
    y = g.add([y, both], act="relu", name="sum")
    g.output(g.linear(y, 5, name="logits"), name="logits")
    g = g.wire(wiring, stages=stages) if stages > 1 else g
    return pvnet.runtime.Model(g, random_weights(g, seed=1))


def clips(n: int = 3, ticks: int = 6) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (ticks, *SIZE, 3), dtype=np.uint8) for _ in range(n)]


def values_of(model: pvnet.runtime.Model, frames: np.ndarray) -> dict[str, np.ndarray]:
    """Of every node at its firings, by the torch twin."""
    torch = pytest.importorskip("torch")
    net = pvnet.nn.Network(model.graph)
    net.load_weights(model.weights)
    names = [node.name for node in model.graph.nodes]
    clip = torch.from_numpy(frames).permute(3, 0, 1, 2)[None]
    with torch.no_grad():
        values = net.eval().features(clip, names)
    clocks = {node.name: node.clock for node in model.graph.nodes}
    due = {n: [t for t in range(len(frames)) if clocks[n].is_due(t)] for n in names}
    return {name: values[name][:, :, due[name]].numpy() for name in names}


@pytest.mark.parametrize(("wiring", "stages"), [("sequential", 1), ("predictive", 3)])
def test_minmax_is_that_of_the_values_of_the_torch_twin(wiring, stages):
    model = network(wiring, stages)
    ranges = pvnet.calibrate(model, clips(), method="minmax")
    assert list(ranges) == [node.name for node in model.graph.nodes]
    found = [values_of(model, clip) for clip in clips()]
    for name in set(ranges) - {"late", "both"}:
        low = min(0.0, *(values[name].min() for values in found))
        high = max(0.0, *(values[name].max() for values in found))
        np.testing.assert_allclose(ranges[name], (low, high), rtol=1e-5, atol=1e-6)
    assert ranges["stem"][0] == 0.0 < -ranges["frame"][0]
    assert ranges["late"] == ranges["stem"]  # no values of their own
    assert ranges["both"] == (ranges["left"][0], max(ranges["left"][1], ranges["stem"][1]))


@pytest.mark.parametrize("method", methods.METHODS)
def test_order_lanes_and_kind_of_clip_do_not_matter(method):
    model = network()
    want = pvnet.calibrate(model, clips(), method=method)
    frames = np.stack(clips())
    normal = (frames.transpose(0, 1, 4, 2, 3) / np.float32(255) - 0.5) / np.float32(0.25)
    for again in (
        pvnet.calibrate(model, clips()[::-1], method=method, lanes=2),
        pvnet.calibrate(model, (iter(clip) for clip in clips()), method=method),
    ):
        assert again == want
        assert again.corrections == want.corrections
    near = pvnet.calibrate(model, normal.astype(np.float32), method=method)
    for name, ends in want.items():
        np.testing.assert_allclose(near[name], ends, rtol=2e-2)


def test_videos_and_data_sets_are_read_and_resized():
    model = network()
    from_video = pvnet.calibrate(model, "synthetic:seed=3,frames=4", method="minmax")
    two = ["synthetic:seed=3,frames=4", "synthetic:seed=5,frames=4"]
    frames: list[None] = []
    both = pvnet.calibrate(model, two, method="minmax", on_frame=lambda: frames.append(None))
    assert len(frames) == 8
    assert all(a[0] >= b[0] and a[1] <= b[1] for a, b in zip(from_video.values(), both.values()))
    short = pvnet.calibrate(model, two, method="minmax", max_frames=1)
    assert short != both
    data = pvnet.data.open_dataset("figures?n=2", train=False, size=SIZE, frames=3)
    assert pvnet.calibrate(model, data).keys() == both.keys()


def test_left_out_nodes_have_no_range():
    ranges = pvnet.calibrate(network(), clips(1), leave_out=["stem", "logits"])
    assert not {"stem", "logits"} & set(ranges)
    assert "left" in ranges


def test_ranges_are_kept_by_the_file_and_by_another_wiring(tmp_path):
    model, path = network(), tmp_path / "m.safetensors"
    ranges = pvnet.calibrate(model, clips(1))
    pvnet.save(model, path, ranges=ranges)
    loaded = pvnet.load(path)
    assert loaded.ranges == ranges  # equal as f32
    assert json.loads(loaded.metadata["ranges"]).keys() == ranges.keys()
    assert loaded.rewire("predictive", stages=3).ranges == ranges
    pvnet.save(loaded, path, metadata={"note": "x"})
    assert pvnet.load(path).ranges == ranges
    assert model.ranges == {}


def test_a_calibrated_file_runs_in_int8(tmp_path):
    model, path = network(), tmp_path / "m.safetensors"
    ranges = pvnet.calibrate(model, clips())
    with pytest.raises(InvalidArgumentError, match=r"Calibrate the model \(pvnet.calibrate\)"):
        pvnet.compile(model, dtype="int8")
    pvnet.save(model, path, ranges=ranges)
    given = pvnet.compile(model, dtype="int8", ranges=ranges)
    for plan in (pvnet.compile(path, dtype="int8"), pvnet.compile(pvnet.load(path), dtype="int8")):
        assert plan.dtype == "int8"
        assert [op["dtype"] for op in plan.ops] == [op["dtype"] for op in given.ops]
    kinds = {op["node"]: op["dtype"] for op in given.ops}
    assert (kinds["stem"], kinds["left"], kinds["logits"]) == ("uint8", "int8", "f32")
    frames = clips()[0]
    f32, int8, again = (
        np.stack([t["logits"].ravel() for t in p.stream().run(frames)])
        for p in (pvnet.compile(path), plan, given)
    )
    np.testing.assert_array_equal(int8, again)
    assert 0 < np.abs(int8 - f32).max() <= 0.05 * np.abs(f32).max()
    assert pvnet.compile(path).dtype == "f32"  # ranges in a file disturb nobody
    all_out = pvnet.compile(path, dtype="int8", ranges={"frame": (-2.0, 2.0)})
    assert {op["node"] for op in all_out.ops if op.get("algorithm") == "int8"} == {"stem"}


def test_what_cannot_be_a_range_is_not_saved(tmp_path):
    bad = [(1.0, 2.0), (-2.0, -1.0), (0.0, float("nan")), (0.0, 1e39), (0.0,), "ab", None]
    for pair in bad:
        with pytest.raises(InvalidArgumentError, match=r"^\[save\] the range of node 'stem' is"):
            pvnet.save(network(), tmp_path / "m.safetensors", ranges={"stem": pair})
    with pytest.raises(InvalidArgumentError, match=r"belongs to no node: got 'stm'"):
        pvnet.save(network(), tmp_path / "m.safetensors", ranges={"stm": (0.0, 1.0)})


@pytest.mark.parametrize(
    "text",
    ["", "[]", "nonsense", '{"a": 1}', '{"a": [1]}', '{"a": [-1, 2, 3]}', '{"a": [1, 2]}',
     '{"a": [-2, -1]}', '{"a": [0, 1e39]}', '{"a": ["0", 1]}', '{"a": [0, NaN]}'],
)  # fmt: skip
def test_damaged_ranges_of_a_file_are_refused(text):
    with pytest.raises(FileError, match=r"^\[load_model\] metadata 'ranges' has no range"):
        _ = pvnet.runtime.Model(pvnet.Graph(), {}, {"ranges": text}).ranges


def test_what_cannot_be_calibrated_is_refused():
    model = network()
    for wrong, words in [
        ({"clips": []}, "0 frames"),
        ({"clips": [np.zeros((0, *SIZE, 3), np.uint8)]}, "0 frames"),
        ({"clips": 7}, "clips cannot be run: got int"),
        ({"clips": [7]}, "clip 0 cannot be run: got int"),
        ({"clips": clips(1), "method": "best"}, "there is no such method: got 'best'"),
        ({"clips": clips(1), "percentile": 5.0}, "percentile is out of range: got 5.0"),
        ({"clips": clips(1), "max_frames": 0}, "max_frames is out of range: got 0"),
        ({"clips": clips(1), "leave_out": ["stm"]}, "leave_out names no node: got 'stm'"),
        ({"clips": clips(1), "leave_out": "stem"}, "leave_out names no node: got 'stem'"),
    ]:
        with pytest.raises(InvalidArgumentError, match=r"^\[calibrate\] ") as caught:
            pvnet.calibrate(model, **wrong)
        assert words in str(caught.value)
    huge = pvnet.runtime.Model(model.graph, {k: v * 1e30 for k, v in model.weights.items()})
    with pytest.raises(InvalidArgumentError, match="are not finite"):
        pvnet.calibrate(huge, clips(1))


def test_counts_do_not_depend_on_how_values_come():
    rng = np.random.default_rng(2)
    values = (rng.standard_normal(20000) * 10.0 ** rng.uniform(-3, 3, 20000)).astype(np.float32)
    values[::7] = 0.0
    whole, parts = Histogram(), Histogram()
    whole.add(values)
    for part in np.array_split(rng.permutation(values), 50):
        parts.add(part)
    assert (whole.low, whole.high, whole.width) == (parts.low, parts.high, parts.width)
    assert whole.zeros == parts.zeros == (values == 0).sum()
    np.testing.assert_array_equal(whole.positive, parts.positive)
    np.testing.assert_array_equal(whole.negative, parts.negative)
    assert whole.count == values.size
    edges = np.arange(histogram.BINS + 1) * whole.width
    exact = np.histogram(-values[values < 0], edges)[0]
    assert np.abs(np.cumsum(whole.negative - exact)).max() <= 1  # who owns an edge


def stored(values: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    """As int8 keeps them, by the definition."""
    low, high = ends
    levels = 255 if low >= 0 else 127
    scale = (high if low >= 0 else max(-low, high)) / levels
    return np.clip(np.rint(values / scale), 0 if low >= 0 else -127, levels) * scale


@pytest.mark.parametrize("signed", [False, True])
def test_the_error_method_has_less_error_than_any_other_end(signed):
    rng = np.random.default_rng(3)
    values = rng.laplace(size=50000).astype(np.float32)
    values = values if signed else np.maximum(values, 0)
    counts = Histogram()
    counts.add(values)
    best = np.square(stored(values, methods.error(counts, 0)) - values).mean()
    most = max(-counts.low, counts.high)
    others = [(-end if signed else 0.0, end) for end in most * np.linspace(0.05, 1, 60)]
    errors = [np.square(stored(values, ends) - values).mean() for ends in others]
    assert best <= 1.01 * min(errors)
    assert best < 0.99 * np.square(stored(values, methods.minmax(counts, 0)) - values).mean()


def test_the_percentile_method_leaves_out_as_many_as_it_may():
    counts, values = Histogram(), np.linspace(-1, 3, 40001, dtype=np.float32)
    counts.add(values)
    low, high = methods.percentile(counts, 99.0)
    for beyond in ((values < low).sum(), (values > high).sum()):
        assert 0.008 * values.size <= beyond <= 0.01 * values.size
    assert methods.percentile(counts, 100.0) == (-1.0, 3.0)
