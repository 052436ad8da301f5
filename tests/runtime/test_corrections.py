"""What `pvnet.calibrate` adds to the biases of int8: that it moves means back, and who gets it."""

from __future__ import annotations

import json

import numpy as np
import pytest

import pvnet
from pvnet.errors import FileError, InvalidArgumentError
from pvnet.models.random_weights import random_weights
from pvnet.runtime import Model
from pvnet.runtime.calibration.ranges import Ranges

SIZE = (16, 20)


def network() -> Model:
    """Groups, a batch norm, a concat of maps with other steps, taps in time, a linear output."""
    g = pvnet.Graph()
    x = g.input("frame", channels=4, height=SIZE[0], width=SIZE[1])
    wide = g.conv3d(x, 8, kernel=(1, 3, 3), padding=(0, 0), groups=2, norm=True, name="wide")
    even = g.conv3d(x, 6, kernel=(1, 3, 3), padding=(0, 0), act="relu", name="even")
    both = g.concat([wide, g.delay(even, 1)], name="both")
    mixed = g.conv3d(both, 9, kernel=(2, 1, 1), name="mixed")
    bare = g.conv3d(mixed, 9, kernel=(1, 1, 1), bias=False, name="bare")
    g.output(g.linear(g.global_pool(bare), 5, name="logits"), name="logits")
    return Model(g, random_weights(g, seed=1))


def clips(seed: int = 0) -> np.ndarray:
    """Channels whose means differ: rounded weights then move those of what reads them."""
    values = np.random.default_rng(seed).random((3, 12, 4, *SIZE), dtype=np.float32)
    return values + np.float32([0, 1, 2, 3])[:, None, None]


def shown(model: Model, names: list[str]) -> Model:
    document = json.loads(model.graph.to_json())
    document["outputs"] = [{"name": name, "node": name} for name in names]
    return Model(pvnet.Graph.from_json(json.dumps(document)), model.weights)


def means(plan: pvnet.Plan, seed: int) -> dict[str, np.ndarray]:
    """Of every channel of every output, over the warm ticks of the clips."""
    ticks = [list(plan.stream().run(clip, policy="block"))[4:] for clip in clips(seed)]
    return {
        name: np.mean([t[name].reshape(t[name].shape[0], -1) for c in ticks for t in c], (0, 2))
        for name in plan.outputs
    }


def test_the_means_of_channels_are_those_of_f32():
    model = network()
    ranges = pvnet.calibrate(model, clips())
    assert set(ranges.corrections) == {"wide", "even", "mixed", "logits"}
    model = shown(model, ["wide", "even", "mixed", "logits"])
    exact = means(pvnet.compile(model), 7)
    corrected, plain = (
        means(pvnet.compile(model, dtype="int8", ranges=r), 7) for r in (ranges, dict(ranges))
    )
    for name, want in exact.items():
        moved = np.abs(corrected[name] - want).sum()
        assert moved < 0.35 * np.abs(plain[name] - want).sum(), name


def test_only_convolutions_of_8_bits_are_corrected():
    left = pvnet.calibrate(network(), clips(), leave_out=["both"])
    assert set(left.corrections) == {"wide", "even", "mixed", "logits"}  # no map of its own
    left = pvnet.calibrate(network(), clips(), leave_out=["even"])
    assert set(left.corrections) == {"wide", "even", "logits"}
    names = [node.name for node in network().graph.nodes]
    nothing = pvnet.calibrate(network(), clips(), leave_out=names)
    assert (nothing, nothing.corrections) == ({}, {})
    assert pvnet.calibrate(network(), clips(), correct=False).corrections == {}


def test_a_file_keeps_them_for_int8_alone(tmp_path):
    model, path, plain = network(), tmp_path / "m.safetensors", tmp_path / "plain.safetensors"
    ranges = pvnet.calibrate(model, clips())
    pvnet.save(model, path, ranges=ranges)
    pvnet.save(pvnet.load(path), plain, ranges=dict(ranges))
    assert pvnet.load(path).ranges.corrections == {
        node: [float(np.float32(x)) for x in numbers]
        for node, numbers in ranges.corrections.items()
    }
    assert pvnet.load(plain).ranges.corrections == {}

    def answers(source, **how):
        stream = pvnet.compile(source, **how).stream()
        return np.stack([t["logits"].ravel() for t in stream.run(clips()[0], policy="block")])

    want = answers(model, dtype="int8", ranges=ranges)
    for source in (path, pvnet.load(path), pvnet.load(path).rewire("sequential")):
        np.testing.assert_array_equal(answers(source, dtype="int8"), want)
    assert np.any(want != answers(plain, dtype="int8"))
    np.testing.assert_array_equal(
        answers(path, dtype="int8", ranges=dict(ranges)), answers(plain, dtype="int8")
    )
    for dtype in ("f32", "bf16"):
        np.testing.assert_array_equal(answers(path, dtype=dtype), answers(model, dtype=dtype))


def test_what_fits_no_bias_is_refused(tmp_path):
    ranges = {"frame": (0.0, 4.0)}
    for name, numbers in [
        ("wide", [1.0]),
        ("wide", [float("nan")] * 8),
        ("wide", [1e39] * 8),
        ("bare", [1.0] * 9),
        ("both", [1.0] * 14),
        ("nobody", []),
    ]:
        wrong = Ranges(ranges, {name: numbers})
        with pytest.raises(InvalidArgumentError, match=r"^\[compile\] (the )?corrections "):
            pvnet.compile(network(), dtype="int8", ranges=wrong)
        with pytest.raises(InvalidArgumentError, match=r"^\[save\] corrections fit no bias of nod"):
            pvnet.save(network(), tmp_path / "m.safetensors", ranges=wrong)


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', '{"a": ["0"]}', '{"a": [1e39]}'])
def test_damaged_corrections_of_a_file_are_refused(text):
    with pytest.raises(FileError, match=r"^\[load_model\] metadata 'corrections' has no correct"):
        _ = Model(pvnet.Graph(), {}, {"corrections": text}).ranges
