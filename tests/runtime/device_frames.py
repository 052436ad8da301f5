"""Device arrays for tests: what a library with CUDA hands over, in the memory of the machine that
stands in for a device. What is written to them arrives late, in the order of their cuda_stream."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest

from pvnet import _core

needs_shim = pytest.mark.skipif(
    not hasattr(_core, "shim"), reason="a build without the machine for tests (-DPVNET_SHIM=ON)"
)

CUDA = 2
_CODES = {"u": 1, "f": 2, "i": 0}


class _Device(ctypes.Structure):
    _fields_ = (("type", ctypes.c_int32), ("id", ctypes.c_int32))


class _DataType(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16))


class Tensor(ctypes.Structure):
    """DLTensor."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", _Device),
        ("ndim", ctypes.c_int32),
        ("dtype", _DataType),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class Managed(ctypes.Structure):
    """DLManagedTensor."""

    _fields_ = (("tensor", Tensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p))


class Versioned(ctypes.Structure):
    """DLManagedTensorVersioned."""

    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", Tensor),
    )


# A capsule keeps no copy of its name.
_EXCHANGE, _VERSIONED, _MANAGED = b"dlpack_exchange_api", b"dltensor_versioned", b"dltensor"
_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype = ctypes.py_object
_new_capsule.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
_pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
_pointer_of.restype = ctypes.c_void_p
_pointer_of.argtypes = (ctypes.py_object, ctypes.c_char_p)


def tensor_of(capsule: Any) -> Tensor:
    """What a capsule of either kind holds."""
    if "dltensor_versioned" in repr(capsule):
        return Versioned.from_address(_pointer_of(capsule, _VERSIONED)).tensor
    return Managed.from_address(_pointer_of(capsule, _MANAGED)).tensor


class DeviceFrame:
    """The values, shape and strides of a numpy array (or view), on the device."""

    def __init__(self, array: np.ndarray, *, stream: int | None = None, device: int = 0) -> None:
        base = array if array.base is None else array.base
        assert isinstance(base, np.ndarray)
        assert base.flags.c_contiguous
        self.array, self.device = array, device
        self.stream = _core.shim.make_stream() if stream is None else stream
        self.memory = _core.shim.allocate(base.nbytes)
        self.offset = array.ctypes.data - base.ctypes.data
        _core.shim.write(self.memory, base.tobytes(), self.stream)

    def show(self, array: np.ndarray) -> None:
        """Other values of the same shape, behind what the cuda_stream has been given."""
        assert self.array.flags.c_contiguous
        _core.shim.write(self.memory, array.tobytes(), self.stream)

    def tensor(self) -> Tensor:
        """The DLTensor; it lives as long as this."""
        a = self.array
        self._axes = (
            (ctypes.c_int64 * a.ndim)(*a.shape),
            (ctypes.c_int64 * a.ndim)(*(s // a.itemsize for s in a.strides)),
        )
        dtype = _DataType(_CODES[a.dtype.kind], a.itemsize * 8, 1)
        device = _Device(CUDA, self.device)
        return Tensor(self.memory, device, a.ndim, dtype, *self._axes, self.offset)


class DlpackFrame(DeviceFrame):
    """An exporter of DLPack 1.x: it makes the cuda_stream that asks wait for its own."""

    def __dlpack_device__(self) -> tuple[int, int]:
        return CUDA, self.device

    def __dlpack__(self, *, stream: int, max_version: tuple[int, int] | None = None) -> Any:
        _core.shim.order(self.stream, stream)
        self._managed = Versioned(1, 0, None, None, 0, self.tensor())
        assert max_version == (1, 0)
        return _new_capsule(ctypes.addressof(self._managed), _VERSIONED, None)


class OldDlpackFrame(DlpackFrame):
    """An exporter of before DLPack 1.0."""

    def __dlpack__(self, *, stream: int) -> Any:
        _core.shim.order(self.stream, stream)
        self._managed = Managed(self.tensor(), None, None)
        return _new_capsule(ctypes.addressof(self._managed), _MANAGED, None)


class InterfaceFrame(DeviceFrame):
    """What numba shows."""

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        a = self.array
        return {
            "shape": a.shape,
            "strides": None if a.flags.c_contiguous else a.strides,
            "typestr": a.dtype.str,
            "data": (self.memory + self.offset, False),
            "stream": self.stream,
            "version": 3,
        }


class _ExchangeApi(ctypes.Structure):
    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("prev_api", ctypes.c_void_p),
        ("allocate", ctypes.c_void_p),
        ("managed_from_object", ctypes.c_void_p),
        ("object_from_managed", ctypes.c_void_p),
        ("borrow", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.POINTER(Tensor))),
        (
            "current_work_stream",
            ctypes.CFUNCTYPE(
                ctypes.c_int, ctypes.c_int32, ctypes.c_int32, ctypes.POINTER(ctypes.c_void_p)
            ),
        ),
    )


class ExchangeFrame(DeviceFrame):
    """As torch's tensors: an exchange table of the type, which knows the current cuda_stream."""

    current_stream = 0

    @staticmethod
    def _borrow(frame: ExchangeFrame, out: Any) -> int:
        out[0] = frame.tensor()
        return 0

    @staticmethod
    def _current(_device_type: int, _device: int, out: Any) -> int:
        out[0] = ExchangeFrame.current_stream
        return 0


_table = _ExchangeApi(
    1,
    0,
    borrow=dict(_ExchangeApi._fields_)["borrow"](ExchangeFrame._borrow),
    current_work_stream=dict(_ExchangeApi._fields_)["current_work_stream"](ExchangeFrame._current),
)
ExchangeFrame.__dlpack_c_exchange_api__ = _new_capsule(  # type: ignore[attr-defined]
    ctypes.addressof(_table), _EXCHANGE, None
)
