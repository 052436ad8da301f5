"""Snapshots belong to one network with its weights; a reset row is a new row."""

from __future__ import annotations

import numpy as np
import pytest

import pvnet
from pvnet.errors import FileError, GraphError, InvalidArgumentError, StateError


def network(seed=0):
    """State in convolutions with padding (halos), a pool and a feedback."""
    graph = pvnet.Graph()
    x = graph.input("frame", channels=3, height=10, width=12)
    back = graph.feedback("b", like=(5, 10, 12))
    x = graph.conv3d(graph.concat([x, back]), 5, kernel=(3, 3, 3), act="relu", name="a")
    x = graph.conv3d(x, 5, kernel=(2, 3, 3), stride=(2, 1, 1), name="b")
    x = graph.avg_pool(x, kernel=(2, 2, 2), stride=(1, 2, 2), name="p")
    graph.output(x, name="y")
    rng = np.random.default_rng(seed)
    return graph, {n: 0.2 * rng.standard_normal(s) for n, s in graph.expected_weights()}


def clip(batch, ticks=9, seed=1):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((ticks, batch, 3, 10, 12)).astype(np.float32)


BACKENDS = ("ref", "cpu")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_snapshot_of_other_weights_is_refused(backend):
    one, other = (pvnet.compile(network(s), backend=backend).stream() for s in (0, 1))
    for frame in clip(1):
        one.tick(frame)
    saved, before = one.snapshot(), other.snapshot()
    with pytest.raises(StateError, match="another plan"):
        other.restore(saved)
    assert other.snapshot() == before
    again = pvnet.compile(network(0), backend=backend, lanes=2).stream()
    again.restore(saved)  # the same weights, whatever the lanes
    assert again.snapshot() == saved


@pytest.mark.parametrize("backend", BACKENDS)
def test_reset_leaves_nothing_of_the_old_video(backend):
    plan = pvnet.compile(network(), backend=backend, batch=3)
    stream, new = plan.stream(), plan.stream()
    frames = clip(3)
    for frame in frames:
        stream.tick(frame)
    stream._core.poison_unwritten()
    kept = stream.snapshot()
    stream.reset([True, False, True])
    stream.restore(stream.snapshot())
    for t, frame in enumerate(frames):
        a, b = stream.tick(frame), new.tick(frame)
        np.testing.assert_array_equal(a["y"][[0, 2]], b["y"][[0, 2]], err_msg=f"tick {t}")
    stream.restore(kept)
    stream.reset()
    assert stream.snapshot() == plan.stream().snapshot()


@pytest.mark.parametrize("backend", BACKENDS)
def test_values_that_are_not_numbers_do_not_come_in_through_a_snapshot(backend):
    stream = pvnet.compile(network(), backend=backend).stream()
    frames = clip(1)
    for frame in frames[:5]:
        stream.tick(frame)
    good = stream.snapshot()
    wanted = [stream.tick(f)["y"] for f in frames[5:]]
    state = np.frombuffer(good[40 + 8 :], np.float32)
    for value in (np.nan, np.inf, -np.inf):
        everywhere = good[:48] + np.full_like(state, value).tobytes()
        stream.restore(good)
        with pytest.raises(FileError, match="not numbers"):
            stream.restore(signed(everywhere))
        assert stream.snapshot() == good
        # Halos, padding and slots without a firing are not believed: they stay zero.
        only_dead = np.where(state == 0, np.float32(value), state)
        try:
            stream.restore(signed(good[:48] + only_dead.tobytes()))
        except FileError:
            stream.restore(good)  # a zero of the network itself was hit
        for frame, y in zip(frames[5:], wanted, strict=True):
            np.testing.assert_array_equal(stream.tick(frame)["y"], y)


def signed(snapshot):
    """With the checksum put right, as somebody who writes snapshots would."""
    mask, prime = (1 << 64) - 1, 1099511628211

    def hashed(h, data):
        words = np.frombuffer(data[: len(data) // 8 * 8], np.uint64)
        for word in words.tolist():
            h = ((h ^ word) * prime) & mask
            h ^= h >> 29
        for byte in data[len(data) // 8 * 8 :]:
            h = ((h ^ byte) * prime) & mask
        return h

    head = snapshot[:32] + bytes(8)
    total = hashed(hashed(14695981039346656037, head), snapshot[40:])
    return snapshot[:32] + total.to_bytes(8, "little") + snapshot[40:]


def test_the_header_of_a_snapshot_is_part_of_its_checksum():
    stream = pvnet.compile(network()).stream()
    stream.tick(clip(1)[0])
    good = stream.snapshot()
    assert signed(good) == good
    for at in range(len(good[:48])):
        damaged = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
        with pytest.raises((FileError, StateError)):
            stream.restore(damaged)
    assert stream.snapshot() == good


def norm_network(**attrs):
    graph = pvnet.Graph()
    x = graph.input("frame", channels=3, height=6, width=6)
    graph.output(graph.conv3d(x, 4, kernel=(1, 3, 3), norm=True, name="a", **attrs), name="y")
    weights = {n: np.ones(s, np.float32) for n, s in graph.expected_weights()}
    return graph, weights


@pytest.mark.parametrize(
    ("name", "value", "eps"),
    [
        ("a.norm.running_var", 0.0, 0.0),
        ("a.norm.running_var", -1.0, 1e-5),
        ("a.norm.weight", 3e38, 1e-5),
        ("a.norm.running_mean", 3e38, 1e-30),
    ],
)
def test_a_batch_norm_that_folds_to_infinity_is_refused(name, value, eps):
    graph, weights = norm_network(norm_eps=eps)
    weights[name] = np.full(4, value, np.float32)
    if name == "a.norm.weight":
        weights["a.norm.running_var"] = np.full(4, 1e-12, np.float32)
    if name == "a.norm.running_mean":
        weights["a.norm.running_var"] = np.zeros(4, np.float32)
    with pytest.raises((InvalidArgumentError, GraphError), match=r"'a'|a\.norm"):
        pvnet.compile((graph, weights))


def test_a_std_that_divides_to_infinity_is_refused():
    graph = pvnet.Graph()
    x = graph.input("frame", channels=1, height=4, width=4, mean=[0.5], std=[1e-45])
    graph.output(graph.act(x, "relu"), name="y")
    with pytest.raises(GraphError, match="mean and std of node 'frame'"):
        pvnet.compile((graph, {}))
    graph = pvnet.Graph()
    x = graph.input("frame", channels=1, height=4, width=4)
    graph.output(graph.normalize(x, mean=[1.0], std=[1e-45], name="n"), name="y")
    with pytest.raises(GraphError, match="mean and std of node 'n'"):
        pvnet.compile((graph, {}))


def test_a_negated_view_of_torch_is_not_read_as_its_opposite():
    torch = pytest.importorskip("torch")
    graph = pvnet.Graph()
    x = graph.input("frame", channels=3, height=4, width=5)
    graph.output(graph.act(x, "relu"), name="y")
    stream = pvnet.compile((graph, {})).stream()
    z = torch.randn(3, 4, 5, dtype=torch.complex64)
    lazy = z.conj().imag
    assert lazy.is_neg()
    with pytest.raises(InvalidArgumentError, match="resolve_neg"):
        stream.tick(lazy)
    out = stream.tick(lazy.resolve_neg())["y"][0]
    np.testing.assert_array_equal(out, np.maximum(-z.imag.numpy(), 0))
    for bad in (z, z.conj(), torch._efficientzerotensor((3, 4, 5))):
        with pytest.raises(pvnet.PvnetError):
            stream.tick(bad)
    grown = z.imag.clone().requires_grad_()
    out = stream.tick(grown)["y"][0]  # values are taken, no graph is recorded
    np.testing.assert_array_equal(out, np.maximum(z.imag.numpy(), 0))


def test_ops_see_the_values_of_a_negated_view():
    torch = pytest.importorskip("torch")
    z = torch.randn(1, 3, 2, 6, 6, dtype=torch.complex64)
    weight = torch.randn(4, 3, 1, 3, 3)
    lazy = z.conj().imag
    np.testing.assert_array_equal(
        pvnet.ops.causal_conv3d(lazy, weight, None).numpy(),
        pvnet.ops.causal_conv3d(lazy.resolve_neg(), weight, None).numpy(),
    )


def test_indices_outside_the_plan_are_refused_by_the_core():
    core = pvnet.compile(network(), batch=2).stream()._core
    assert core.age_ticks(0, 1, 0) == -1
    for bad in ((10**6, 0, 0), (-1, 0, 0), (0, 2, 0), (0, -1, 0), (0, 0, 1), (0, 0, 1 << 40)):
        with pytest.raises(InvalidArgumentError, match="out of range"):
            core.age_ticks(*bad)


def test_a_broadcast_frame_is_read_as_the_broadcast_it_is():
    graph = pvnet.Graph()
    x = graph.input("frame", channels=3, height=4, width=5)
    graph.output(graph.act(x, "relu"), name="y")
    stream = pvnet.compile((graph, {})).stream()
    row = np.arange(15, dtype=np.uint8).reshape(1, 5, 3)
    wide = np.broadcast_to(row, (4, 5, 3))
    assert wide.strides[0] == 0
    a, b = stream.tick(wide)["y"], stream.tick(wide.copy())["y"]
    np.testing.assert_array_equal(a, b)
    one = np.broadcast_to(np.float32(2.5), (3, 4, 5))
    assert (stream.tick(one)["y"] == 2.5).all()
