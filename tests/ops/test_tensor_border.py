"""Arrays of other libraries at the border of the core: borrowed without a copy, or refused."""

from __future__ import annotations

import gc
import sys

import numpy as np
import pytest

from pvnet import _core
from pvnet.errors import InvalidArgumentError, PvnetError, UnsupportedError

MESSAGE = r"(?s)^\[.+\] .+: got .+, expected .+\. .+\.$"
describe = _core.ops.describe_array


class Exporter:
    """Speaks only `__dlpack__`; `old` refuses max_version as exporters before DLPack 1.0 do."""

    def __init__(self, array, old: bool) -> None:
        self.array, self.old = array, old

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __dlpack__(self, **kwargs):
        if self.old and kwargs:
            raise TypeError("unexpected keyword argument")
        return self.array.__dlpack__(**kwargs)


def facts(array) -> tuple:
    d = describe(array)
    return d["dtype"], d["shape"], d["strides"], d["readonly"]


@pytest.mark.parametrize("wrap", ["buffer", "dlpack", "old dlpack"])
def test_numpy_arrays_are_borrowed_with_their_strides(wrap):
    def through(a):
        return a if wrap == "buffer" else Exporter(a, wrap == "old dlpack")

    a = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    assert facts(through(a)) == ("float32", [2, 3, 4], [12, 4, 1], False)
    assert facts(through(a.transpose(2, 0, 1))) == ("float32", [4, 2, 3], [1, 12, 4], False)
    assert facts(through(a[:, ::-1]))[2] == [12, -4, 1]
    assert describe(through(a[1]))["address"] == a.ctypes.data + 48
    assert facts(through(a.astype(np.uint8)))[0] == "uint8"
    assert facts(through(np.zeros((), np.float32)))[1] == []


def test_read_only_numpy_is_read_and_never_written():
    a = np.ones((1, 1, 1, 2, 2), dtype=np.float32)
    a.flags.writeable = False
    assert facts(a)[3]
    assert facts(Exporter(a, old=False))[3]
    _core.ops.causal_conv3d(
        a, a, None, np.empty((1, 1, 1, 1, 1), np.float32), [1, 1, 1], [0, 0], [1, 1, 1], 1
    )
    with pytest.raises(InvalidArgumentError, match=MESSAGE):
        _core.ops.ring_write(a, 0, a[0])


def test_dtypes_are_told_apart_and_unknown_ones_refused():
    for dtype in (np.uint8, np.int32, np.int64, np.float16, np.float32, np.float64, np.bool_):
        assert facts(np.zeros(2, dtype))[0] == np.dtype(dtype).name
    assert facts(np.zeros(2, ">f4"))[0] == "another dtype"
    assert facts(np.zeros(2, np.complex64))[0] == "another dtype"
    with pytest.raises(InvalidArgumentError, match=MESSAGE):
        _core.ops.ring_read(np.zeros((1, 1, 1, 1, 1)), 0, 0, np.zeros((1, 1, 1, 1)))


class CudaDlpack:
    def __dlpack_device__(self):
        return (2, 0)

    def __dlpack__(self, **kwargs):
        pytest.fail("a device array must be refused before it is exported")


class CudaInterface:
    @property
    def __cuda_array_interface__(self):
        return {"shape": (1,), "typestr": "<f4", "data": (0, False), "version": 3}


class Broken:
    def __dlpack_device__(self):
        return "nonsense"

    def __dlpack__(self, **kwargs):
        return None


class Raising(Broken):
    def __dlpack_device__(self):
        return (1, 0)

    def __dlpack__(self, **kwargs):
        raise BufferError("not today")


@pytest.mark.parametrize("array", [CudaDlpack(), CudaInterface()])
def test_device_arrays_are_refused_by_name(array):
    with pytest.raises(UnsupportedError, match=MESSAGE) as info:
        describe(array)
    assert "device" in str(info.value)


@pytest.mark.parametrize(
    "array",
    [
        None,
        3,
        [1.0],
        "text",
        object(),
        Broken(),
        Raising(),
        np.zeros((1,) * 9),
        np.zeros(2, "M8[s]"),
        np.zeros(3, [("a", "u1"), ("b", "<f4")])["b"],
        np.frombuffer(bytes(9), np.uint8)[1:].view(np.float32),
    ],
    ids=lambda a: type(a).__name__,
)
def test_what_is_no_dense_array_is_refused(array):
    with pytest.raises(PvnetError, match=MESSAGE):
        describe(array)


def test_nothing_is_kept_alive_or_freed_twice():
    for make in (lambda a: a, lambda a: Exporter(a, False), lambda a: Exporter(a, True)):
        a = np.zeros(4, np.float32)
        before = sys.getrefcount(a)
        for _ in range(10):
            describe(make(a))
        gc.collect()
        assert sys.getrefcount(a) == before


def test_torch_tensors_are_borrowed_and_those_without_memory_refused():
    torch = pytest.importorskip("torch")
    from torch._subclasses.fake_tensor import FakeTensorMode

    x = torch.zeros(2, 3, 4)
    expected = ("float32", [2, 3, 4], [12, 4, 1], False)
    assert facts(x) == facts(torch.nn.Parameter(x)) == facts(Exporter(x, False)) == expected
    assert describe(x[1])["address"] == x.data_ptr() + 48
    assert facts(x.transpose(0, 2))[2] == [1, 4, 12]
    assert facts(torch.zeros(1, dtype=torch.bfloat16))[0] == "bfloat16"
    assert facts(torch.zeros(1, 3).expand(2, 3))[2] == [0, 1]
    with FakeTensorMode():
        fake = torch.zeros(2)
    for bad in (fake, torch.zeros(2, device="meta"), torch.eye(2).to_sparse()):
        with pytest.raises(InvalidArgumentError, match=MESSAGE):
            describe(bad)
