"""Ticks on frames that lie on the device: the bits of ticks on the host, in the order of a
cuda_stream, without a copy. The machine for tests runs everything late and in a random order."""

from __future__ import annotations

import re
import weakref
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from device_frames import (
    CUDA,
    DlpackFrame,
    ExchangeFrame,
    InterfaceFrame,
    OldDlpackFrame,
    needs_shim,
    tensor_of,
)

import pvnet
from pvnet import _core

pytestmark = needs_shim

MESSAGE = re.compile(r"^\[.+\] .+: got .+, expected .+\. .+\.$", re.DOTALL)
C, H, W, TICKS = 3, 6, 5, 6
KINDS = (DlpackFrame, OldDlpackFrame, InterfaceFrame, ExchangeFrame)
LEGACY = 1


def small_plan(batch: int = 1, backend: str = "cuda", **kwargs: Any) -> pvnet.Plan:
    g = pvnet.Graph()
    x = g.input("frame", channels=C, height=H, width=W, mean=(0.4,) * C, std=(0.2,) * C)
    x = g.conv3d(x, 4, kernel=(2, 3, 3), act="relu", name="a")
    g.output(g.conv3d(x, C, kernel=1, name="b"), name="y")
    g.output(g.global_pool(x, name="p"), name="pool")
    g = g.wire("predictive", stages=2)
    rng = np.random.default_rng(0)
    weights = {n: rng.standard_normal(s).astype(np.float32) for n, s in g.expected_weights()}
    if backend == "cuda":
        kwargs = {"isa": "shim", "executor": "serial", **kwargs}
    return pvnet.compile((g, weights), batch=batch, backend=backend, **kwargs)


def floats(batch: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((TICKS, batch, C, H, W), np.float32)


def images(batch: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (TICKS, batch, H, W, C), np.uint8)


def run_on_host(plan: pvnet.Plan, frames: np.ndarray) -> list[pvnet.runtime.Tick]:
    stream = plan.stream()
    return [stream.tick(frame) for frame in frames]


def same(tick: pvnet.runtime.Tick, want: pvnet.runtime.Tick) -> bool:
    equal = [np.array_equal(tick[name].numpy(), want[name]) for name in want]
    return all(equal) and bool((tick.tick == want.tick).all() and (tick.valid == want.valid).all())


@pytest.fixture(autouse=True)
def _nothing_is_refused():
    _core.shim_refusals()
    ExchangeFrame.current_stream = _core.shim.make_stream()
    yield
    assert _core.shim_refusals() == []


def device_frame(kind: Any, array: np.ndarray) -> Any:
    stream = ExchangeFrame.current_stream if kind is ExchangeFrame else None
    return kind(array, stream=stream)


@pytest.mark.parametrize("executor", ["serial", "streams", "packed"])
@pytest.mark.parametrize("kind", KINDS)
def test_device_frames_give_the_bits_of_host_frames(kind: Any, executor: str) -> None:
    plan = small_plan(batch=2, executor=executor)
    for frames in (floats(2), images(2)):
        want = run_on_host(plan, frames)
        for seed in range(4):
            _core.seed_shim(seed)
            stream = plan.stream()
            for t, frame in enumerate(frames):
                tick = stream.tick(device_frame(kind, frame))
                assert isinstance(tick["y"], pvnet.runtime.DeviceArray)
                assert same(tick, want[t])
            assert stream.ticks.tolist() == [TICKS, TICKS]


def test_the_results_are_those_of_the_reference() -> None:
    frames = images()[:, 0]
    want = run_on_host(small_plan(backend="ref"), frames)
    stream = small_plan().stream()
    for t, frame in enumerate(frames):
        tick = stream.tick(DlpackFrame(frame))
        assert np.allclose(tick["y"].numpy(), want[t]["y"], rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a[::-1],
        lambda a: a.transpose(1, 0, 2),
        lambda a: a[1:, :, 1:],
        lambda a: np.broadcast_to(a[:1], a.shape),
    ],
)
def test_float_frames_have_any_strides(view: Any) -> None:
    base = np.random.default_rng(3).standard_normal((C + 1, C + 1, W + 1), np.float32)
    shown = view(base)
    g = pvnet.Graph()
    x = g.input("frame", channels=shown.shape[0], height=shown.shape[1], width=shown.shape[2])
    g.output(g.add([x, x]), name="y")
    plan = pvnet.compile((g.wire("sequential"), {}), backend="cuda", isa="shim")
    out = plan.stream().tick(DlpackFrame(_on(base, shown)))
    assert np.array_equal(out["y"].numpy()[0], 2 * shown)


def _on(base: np.ndarray, view: np.ndarray) -> np.ndarray:
    """The view with `base` itself as its base, not a view in between."""
    offset = view.ctypes.data - base.ctypes.data
    return np.ndarray(view.shape, view.dtype, base, offset, view.strides)


def test_rows_of_an_image_may_lie_apart() -> None:
    image = images()[0, 0]
    wide = np.zeros((H, W + 3, C), np.uint8)
    wide[:, :W] = image
    plan = small_plan()
    want = plan.stream().tick(image)
    tick = plan.stream().tick(DlpackFrame(_on(wide, wide[:, :W])))
    assert same(tick, want)


STREAMS = {
    "int": lambda n: n,
    "torch": lambda n: SimpleNamespace(cuda_stream=n),
    "cupy": lambda n: SimpleNamespace(ptr=n),
    "protocol": lambda n: SimpleNamespace(__cuda_stream__=lambda: (0, n)),
}


@pytest.mark.parametrize("kind", STREAMS)
def test_the_caller_names_its_cuda_stream(kind: str) -> None:
    plan = small_plan()
    frames = floats()
    want = run_on_host(plan, frames)
    number = _core.shim.make_stream()
    frame = DlpackFrame(frames[0].copy(), stream=number)
    stream = plan.stream()
    for t in range(TICKS):
        frame.show(frames[t])  # the tick before has read the frame in this order
        tick = stream.tick(frame, cuda_stream=STREAMS[kind](number))
        interface = tick["y"].__cuda_array_interface__
        assert interface["stream"] == number
        data = _core.shim.read(interface["data"][0], want[t]["y"].nbytes, number)
        assert data == want[t]["y"].tobytes()


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("named", [True, False])
def test_a_default_cuda_stream_orders_the_tick_and_runs_no_kernel(number: int, named: bool) -> None:
    plan = small_plan()
    frames = floats()
    want = run_on_host(plan, frames)
    shown = max(number, LEGACY)
    ExchangeFrame.current_stream = number
    frame = ExchangeFrame(frames[0].copy(), stream=shown)
    for seed in range(6):
        _core.seed_shim(seed)
        stream = plan.stream()
        for t in range(TICKS):
            frame.show(frames[t])
            tick = stream.tick(frame, cuda_stream=number if named else None)
            interface = tick["y"].__cuda_array_interface__
            assert interface["stream"] == shown
            data = _core.shim.read(interface["data"][0], want[t]["y"].nbytes, shown)
            assert data == want[t]["y"].tobytes()


def test_frames_of_two_cuda_streams_are_both_waited_for() -> None:
    g = pvnet.Graph()
    a, b = (g.input(name, channels=C, height=H, width=W) for name in "ab")
    g.output(g.add([a, b]), name="y")
    plan = pvnet.compile((g.wire("sequential"), {}), backend="cuda", isa="shim")
    one, two = floats(seed=1)[:, 0], floats(seed=2)[:, 0]
    for kinds in ((ExchangeFrame, DlpackFrame), (InterfaceFrame, InterfaceFrame), KINDS[:2]):
        for seed in range(6):
            _core.seed_shim(seed)
            stream = plan.stream()
            for x, y in zip(one, two, strict=True):
                frames = {"a": device_frame(kinds[0], x), "b": device_frame(kinds[1], y)}
                assert np.array_equal(stream.tick(frames)["y"].numpy()[0], x + y)


def test_outputs_are_arrays_of_the_device() -> None:
    plan = small_plan(batch=2)
    tick = plan.stream().tick(DlpackFrame(floats(2)[0]))
    out = tick["y"]
    assert out.shape == (2, C, H, W)
    assert tick["pool"].shape == (2, 4)
    assert out.dtype == np.float32
    assert out.__dlpack_device__() == (CUDA, 0)
    assert repr(out) == "DeviceArray(shape=(2, 3, 6, 5), dtype=float32, device=cuda:0)"
    for version in (None, (1, 1)):
        capsule = out.__dlpack__(stream=-1, max_version=version)
        tensor = tensor_of(capsule)
        assert tensor.data == out.__cuda_array_interface__["data"][0]
        assert [tensor.shape[i] for i in range(tensor.ndim)] == [2, C, H, W]
        strides = [tensor.strides[i] * 4 for i in range(tensor.ndim)]
        assert tuple(strides) == out.__cuda_array_interface__["strides"]
    for wrong in ({"copy": True}, {"dl_device": (1, 0)}):
        with pytest.raises(BufferError):
            out.__dlpack__(stream=-1, **wrong)
    with pytest.raises(pvnet.errors.InvalidArgumentError, match="ambiguous"):
        out.__dlpack__(stream=0)


def test_outputs_are_frames_of_the_next_stream() -> None:
    plan = small_plan()
    frames = floats()
    first, second = plan.stream(), plan.stream()
    want = [second.tick(first.tick(f)["y"]) for f in frames]
    for seed in range(6):
        _core.seed_shim(seed)
        first, second = plan.stream(), plan.stream()
        for t, f in enumerate(frames):
            assert same(second.tick(first.tick(DlpackFrame(f))["y"]), want[t])


def test_outputs_are_there_until_the_second_next_tick() -> None:
    plan = small_plan()
    frames = floats()
    want = run_on_host(plan, frames)
    stream = plan.stream()
    ticks = [stream.tick(DlpackFrame(f)) for f in frames[:3]]
    assert same(ticks[2], want[2])
    assert same(ticks[1], want[1])
    late = (
        lambda out: out.numpy(),
        lambda out: out.__dlpack__(stream=LEGACY),
        lambda out: out.__cuda_array_interface__,
    )
    for access in late:
        with pytest.raises(pvnet.errors.StateError, match="2 ticks ago") as e:
            access(ticks[0]["y"])
        assert MESSAGE.match(str(e.value))
    with pytest.raises(pvnet.errors.StateError):
        _ = ticks[0].finite


def test_outputs_outlive_their_stream() -> None:
    plan = small_plan()
    want = run_on_host(plan, floats())
    out = plan.stream().tick(DlpackFrame(floats()[0]))["y"]
    capsule = out.__dlpack__(stream=LEGACY)
    del plan
    assert np.array_equal(out.numpy(), want[0]["y"])
    address = out.__cuda_array_interface__["data"][0]
    del out
    data = _core.shim.read(tensor_of(capsule).data, want[0]["y"].nbytes, LEGACY)
    assert tensor_of(capsule).data == address
    assert data == want[0]["y"].tobytes()


def test_host_and_device_frames_take_turns() -> None:
    plan = small_plan()
    frames = floats()
    want = run_on_host(plan, frames)
    stream = plan.stream()
    for t, frame in enumerate(frames):
        if t % 3 == 1:
            out = stream.tick(frame)
            assert all(np.array_equal(out[n], want[t][n]) for n in want[t])
        else:
            assert same(stream.tick(device_frame(KINDS[t % 4], frame)), want[t])
        assert np.array_equal(stream.outputs()["y"], want[t]["y"])


def test_frozen_rows_stay() -> None:
    plan = small_plan(batch=3)
    frames = floats(3)
    rng = np.random.default_rng(5)
    host, stream = plan.stream(), plan.stream()
    for frame in frames:
        rows = rng.random(3) < 0.6
        assert same(stream.tick(DlpackFrame(frame), rows), host.tick(frame, rows))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_frame_that_is_not_finite_is_told_with_the_result(value: float) -> None:
    plan = small_plan(batch=2)
    frames = floats(2)
    bad = frames[1].copy()
    bad[1, 2, 3, 4] = value
    stream = plan.stream()
    first = stream.tick(DlpackFrame(frames[0]))
    second = stream.tick(DlpackFrame(bad))
    assert first.finite
    assert not second.finite
    third = stream.tick(DlpackFrame(frames[2]))
    assert third.finite
    assert not second.finite  # asked once, known for good
    assert stream.tick(DlpackFrame(images(2)[0])).finite
    assert plan.stream().tick(frames[0]).finite


def test_frames_of_others_are_held_until_their_tick_has_run() -> None:
    plan = small_plan()
    stream = plan.stream()
    refs = []
    for f in (*floats(), *floats(seed=1)):
        frame = InterfaceFrame(f)
        refs.append(weakref.ref(frame))
        stream.tick(frame, cuda_stream=_core.shim.make_stream())
        del frame
    assert all(r() is not None for r in refs[-4:])
    assert all(r() is None for r in refs[:-4])


def test_frames_of_the_own_cuda_stream_are_not_held() -> None:
    frame = device_frame(ExchangeFrame, floats()[0])
    ref = weakref.ref(frame)
    stream = small_plan().stream()
    stream.tick(frame)
    del frame
    assert ref() is None


def refused(stream: pvnet.Stream, frame: Any, **kwargs: Any) -> str:
    before = stream.ticks.tolist()
    with pytest.raises(pvnet.PvnetError) as e:
        stream.tick(frame, **kwargs)
    assert stream.ticks.tolist() == before
    assert MESSAGE.match(str(e.value)), str(e.value)
    return str(e.value)


@pytest.mark.parametrize("kind", [DlpackFrame, OldDlpackFrame, ExchangeFrame])
def test_another_device_is_refused(kind: Any) -> None:
    frame = device_frame(kind, floats()[0])
    frame.device = 1
    message = refused(small_plan().stream(), frame)
    assert "got device cuda:1, expected device cuda:0" in message
    assert 'tensor.to("cuda:0")' in message


@pytest.mark.parametrize("kind", KINDS)
def test_a_plan_on_the_host_takes_no_device_frames(kind: Any) -> None:
    stream = small_plan(backend="ref").stream()
    message = refused(stream, device_frame(kind, floats()[0]))
    assert ".cpu()" in message
    assert 'backend="cuda"' in message


@pytest.mark.parametrize("kind", KINDS)
def test_bad_frames_are_refused(kind: Any) -> None:
    plan = small_plan(batch=2)
    stream = plan.stream()
    good = floats(2)
    assert "float64" in refused(stream, device_frame(kind, good[0].astype(np.float64)))
    assert "wrong shape" in refused(stream, device_frame(kind, good[0, 0]))
    assert "wrong size" in refused(stream, device_frame(kind, np.zeros((2, C, H, 9), np.float32)))
    planes = np.zeros((2, C, H, W), np.uint8)
    pixels = _on(planes, planes.transpose(0, 2, 3, 1))
    assert ".contiguous()" in refused(stream, device_frame(kind, pixels))
    assert same(stream.tick(device_frame(kind, good[0])), run_on_host(plan, good)[0])


def test_frames_in_different_places_are_refused() -> None:
    g = pvnet.Graph()
    a, b = (g.input(name, channels=C, height=H, width=W) for name in "ab")
    g.output(g.add([a, b]), name="y")
    plan = pvnet.compile((g.wire("sequential"), {}), backend="cuda", isa="shim")
    frame = floats()[0, 0]
    message = refused(plan.stream(), {"a": DlpackFrame(frame), "b": frame})
    assert "1 of 2 on the device" in message


def test_a_cuda_stream_belongs_to_device_frames() -> None:
    stream = small_plan().stream()
    assert "frames on the host" in refused(stream, floats()[0], cuda_stream=LEGACY)
    for wrong in ("1", True, -1, 1.0, object()):
        assert "no cuda_stream" in refused(stream, DlpackFrame(floats()[0]), cuda_stream=wrong)
