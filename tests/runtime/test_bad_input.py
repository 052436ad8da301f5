"""Bad input: a clear error, the state intact, the stream usable afterwards."""

from __future__ import annotations

import re
import threading

import numpy as np
import pytest
import torch

import pvnet

MESSAGE = re.compile(r"^\[.+\] .+: got .+, expected .+\. .+\.$", re.DOTALL)


def small_plan(batch: int = 1, **kwargs) -> pvnet.Plan:
    g = pvnet.Graph()
    x = g.input("frame", channels=3, height=8, width=10)
    x = g.conv3d(x, 4, kernel=(2, 3, 3), act="relu", name="a")
    x = g.conv3d(x, 2, kernel=1, name="b")
    g.output(x, name="y")
    g = g.wire("predictive", stages=2)
    rng = np.random.default_rng(0)
    weights = {n: rng.standard_normal(s).astype(np.float32) for n, s in g.expected_weights()}
    return pvnet.compile((g, weights), batch=batch, **kwargs)


GOOD = np.random.default_rng(1).integers(0, 255, (5, 8, 10, 3), dtype=np.uint8)

BAD_FRAMES = {
    "nan": np.full((3, 8, 10), np.nan, np.float32),
    "inf": np.where(np.arange(240).reshape(3, 8, 10) == 239, np.inf, 0).astype(np.float32),
    "wrong height": np.zeros((9, 10, 3), np.uint8),
    "wrong channels": np.zeros((8, 10, 4), np.uint8),
    "float64": np.zeros((3, 8, 10)),
    "int64": np.zeros((8, 10, 3), np.int64),
    "rank 2": np.zeros((8, 10), np.uint8),
    "batch of two": np.zeros((2, 8, 10, 3), np.uint8),
    "zero size": np.zeros((0, 10, 3), np.uint8),
    "no array": "frame",
    "none": None,
    "list": [[1, 2], [3, 4]],
    "meta device": torch.zeros(3, 8, 10, device="meta"),
    "unknown input": {"image": np.zeros((8, 10, 3), np.uint8)},
    "complex": np.zeros((3, 8, 10), np.complex64),
}


@pytest.mark.parametrize("what", BAD_FRAMES)
def test_a_bad_frame_is_refused_and_the_stream_goes_on(what: str) -> None:
    plan = small_plan()
    want = [plan_out for s in [plan.stream()] for plan_out in (s.tick(f)["y"] for f in GOOD)]
    stream = plan.stream()
    for t, frame in enumerate(GOOD):
        with pytest.raises(pvnet.PvnetError) as e:
            stream.tick(BAD_FRAMES[what])
        assert MESSAGE.match(str(e.value)), str(e.value)
        assert np.array_equal(stream.tick(frame)["y"], want[t])


def test_any_layout_of_a_good_frame_gives_the_same_bits() -> None:
    plan = small_plan()
    u8 = GOOD[0]
    want = plan.stream().tick(u8)["y"]
    read_only = u8.copy()
    read_only.flags.writeable = False
    padded = np.zeros((8, 16, 3), np.uint8)
    padded[:, :10] = u8
    layouts = {
        "read-only": read_only,
        "row pitch": padded[:, :10],
        "reversed twice": np.ascontiguousarray(u8[:, :, ::-1])[:, :, ::-1],
        "planes": np.ascontiguousarray(u8.transpose(2, 0, 1)).transpose(1, 2, 0),
        "batch axis": u8[None],
        "torch": torch.from_numpy(u8.copy()),
        "torch strided": torch.from_numpy(u8.copy()).permute(2, 0, 1).contiguous().permute(1, 2, 0),
        "by name": {"frame": u8},
    }
    for name, frame in layouts.items():
        assert np.array_equal(plan.stream().tick(frame)["y"], want), name


def test_float_frames_of_any_layout_give_the_same_output() -> None:
    plan = small_plan()
    f = np.random.default_rng(2).standard_normal((3, 8, 10)).astype(np.float32)
    want = plan.stream().tick(f)["y"]
    channels_last = np.ascontiguousarray(f.transpose(1, 2, 0)).transpose(2, 0, 1)
    for frame in (channels_last, f[None], torch.from_numpy(f), np.asfortranarray(f)):
        assert np.array_equal(plan.stream().tick(frame)["y"], want)
    requires_grad = torch.from_numpy(f.copy()).requires_grad_()  # inference: no graph is recorded
    assert np.array_equal(plan.stream().tick(requires_grad)["y"], want)


def test_uint8_is_normalised_by_the_input_node() -> None:
    g = pvnet.Graph()
    x = g.input("frame", channels=3, height=8, width=10, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
    x = g.act(x, "relu", name="a")
    g.output(x, name="y")
    plan = pvnet.compile((g, {}))
    got = plan.stream().tick(GOOD[0])["y"][0]
    want = (GOOD[0] / 255 - [0.5, 0.4, 0.3]) / [0.2, 0.3, 0.4]
    assert np.allclose(got, np.maximum(want, 0).transpose(2, 0, 1), atol=1e-6)


@pytest.mark.parametrize(
    "kwargs",
    [
        {"backend": "tpu"},
        {"backend": "cuda"},
        {"dtype": "f16"},
        {"isa": "avx9000"},
        {"lanes": 0},
        {"lanes": -1},
        {"lanes": 100000},
        {"lanes": 1.5},
        {"batch": 0},
        {"batch": 10**6},
    ],
)
def test_bad_options_of_compile_are_refused(kwargs: dict) -> None:
    with pytest.raises(pvnet.PvnetError) as e:
        small_plan(**kwargs)
    assert MESSAGE.match(str(e.value)), str(e.value)


def test_missing_extra_and_misshaped_weights_are_refused() -> None:
    plan = small_plan()
    weights = {n: np.zeros(s, np.float32) for n, s in plan.graph.expected_weights()}
    broken = {
        "missing": {k: v for k, v in weights.items() if k != "a.weight"},
        "shape": {**weights, "a.bias": np.zeros(5, np.float32)},
        "extra": {**weights, "zzz.weight": np.zeros(5, np.float32)},
        "nan": {**weights, "a.bias": np.full(4, np.nan, np.float32)},
        "dtype": {**weights, "a.bias": np.zeros(4, np.int32)},
    }
    for what, w in broken.items():
        with pytest.raises(pvnet.PvnetError) as e:
            pvnet.compile((plan.graph, w))
        assert MESSAGE.match(str(e.value)), (what, str(e.value))


def test_rows_of_the_wrong_length_are_refused() -> None:
    stream = small_plan(batch=2).stream()
    frames = np.zeros((2, 8, 10, 3), np.uint8)
    for rows in ([True], [True, False, True], []):
        with pytest.raises(pvnet.PvnetError):
            stream.tick(frames, rows=rows)
        with pytest.raises(pvnet.PvnetError):
            stream.reset(rows)
    assert stream.tick(frames, rows=np.array([True, False])).tick.tolist() == [0, -1]


@pytest.mark.parametrize(
    "rows",
    [
        [0, 1],
        (1, 1),
        np.array([0, 1]),
        np.array([1.0, 0.0]),
        range(2),
        "01",
        b"01",
        {True, False},
        {0: True, 1: True},
        [None, True],
        ["True", ""],
        np.array([[True, False], [True, True]]),
        True,
        1,
    ],
    ids=repr,
)
def test_rows_given_as_indices_are_not_taken_for_a_mask(rows) -> None:
    stream = small_plan(batch=2).stream()
    frames = np.zeros((2, 8, 10, 3), np.uint8)
    stream.tick(frames)
    for call in (lambda: stream.tick(frames, rows=rows), lambda: stream.reset(rows)):
        with pytest.raises((pvnet.PvnetError, ValueError)) as e:
            call()
        if isinstance(e.value, pvnet.PvnetError):
            assert "rows is no mask" in str(e.value)
            assert MESSAGE.match(str(e.value)), str(e.value)
    assert stream.ticks.tolist() == [1, 1]


def test_rows_may_be_any_sequence_of_bools() -> None:
    torch = pytest.importorskip("torch")
    frames = np.zeros((2, 8, 10, 3), np.uint8)
    masks = ([True, False], (np.True_, np.False_), np.array([True, False]))
    for rows in (*masks, torch.tensor([True, False])):
        stream = small_plan(batch=2).stream()
        stream.tick(frames, rows=rows)
        assert stream.ticks.tolist() == [1, 0]
        stream.reset(rows)
        assert stream.ticks.tolist() == [0, 0]


def test_a_refused_snapshot_leaves_the_stream_as_it_was() -> None:
    stream, other = small_plan().stream(), small_plan(batch=2).stream()
    stream.tick(GOOD[0])
    good = stream.snapshot()
    for bad in (b"", b"x", good[:-1], good + b"x", b"z" + good[1:], other.snapshot(), "text", None):
        with pytest.raises(pvnet.PvnetError) as e:
            stream.restore(bad)
        assert MESSAGE.match(str(e.value)), str(e.value)
    stream.restore(good)
    assert stream.tick(GOOD[1]).tick.tolist() == [1]


def test_two_threads_on_one_stream() -> None:
    stream = small_plan().stream()
    errors: list[Exception] = []
    done = []

    def work() -> None:
        for frame in np.repeat(GOOD, 100, axis=0):
            try:
                stream.tick(frame)
                done.append(1)
            except pvnet.PvnetError as e:
                errors.append(e)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert all(type(e).__name__ == "StateError" for e in errors)
    assert all(MESSAGE.match(str(e)) for e in errors)
    assert len(done) + len(errors) == 1500
    assert stream.outputs().tick[0] == len(done) - 1


def test_an_output_that_is_not_there() -> None:
    out = small_plan().stream().tick(GOOD[0])
    with pytest.raises(pvnet.PvnetError, match="expected one of"):
        out["logits"]


@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("apart", [1, 2])
def test_a_value_that_is_no_number_is_found_wherever_it_lies(
    value: float, channels_last: bool, apart: int
) -> None:
    g = pvnet.Graph()
    g.output(g.act(g.input("frame", channels=3, height=2, width=19), "relu", name="a"), name="y")
    stream = pvnet.compile((g, {})).stream()
    extremes = np.array([0.0, -0.0, 1e-45, 3.4028235e38, -3.4028235e38], np.float32)
    good = np.resize(extremes, 3 * 2 * 19)
    for at in range(len(good)):
        bad = good.copy()
        bad[at] = value
        for values in (bad, good):
            if channels_last:
                memory = np.full((2, 19 * apart, 3), np.nan, np.float32)
                frame = memory[:, ::apart].transpose(2, 0, 1)
            else:
                memory = np.full((3, 2, 19 * apart), np.nan, np.float32)
                frame = memory[:, :, ::apart]
            frame[...] = values.reshape(frame.shape)
            if values is bad:
                with pytest.raises(pvnet.PvnetError, match="not numbers"):
                    stream.tick(frame)
            else:
                want = np.maximum(frame, 0)
                assert np.array_equal(stream.tick(frame)["y"][0], want)
