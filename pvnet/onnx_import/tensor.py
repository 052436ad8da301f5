"""Tensors of an ONNX file as numpy arrays, also those that lie in files beside it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.distribution import load
from pvnet.errors import FileError
from pvnet.files import reason

MOST_ELEMENTS = 2**31


def array_of(proto: Any, folder: Path) -> NDArray[Any]:
    """The array of a TensorProto.

    Args:
        proto: the tensor.
        folder: of the model; external data lies in it, or in a folder inside it.

    Raises:
        FileError: the data is missing, has another length, or lies outside the folder.
    """
    onnx = load("onnx", "from_onnx")
    dims = list(proto.dims)
    if any(n < 0 for n in dims) or math.prod(dims) > MOST_ELEMENTS:
        raise _damaged(proto, f"the shape {dims}", f"at most {MOST_ELEMENTS} elements")
    if proto.data_location == onnx.TensorProto.EXTERNAL:
        raw = _external(proto, folder)
        proto = _copy(onnx, proto)
        proto.raw_data = raw
    try:
        array = np.asarray(onnx.numpy_helper.to_array(proto))
    except Exception as error:
        raise _damaged(proto, f"{type(error).__name__} ({error})", f"data of {dims}") from error
    if array.dtype.kind == "V" or array.dtype.name not in np.sctypeDict:
        array = array.astype(np.float32 if "float" in array.dtype.name else np.int32)
    return array


def _copy(onnx: Any, proto: Any) -> Any:
    copy = onnx.TensorProto()
    copy.name, copy.data_type = proto.name, proto.data_type
    copy.dims.extend(proto.dims)
    return copy


def _external(proto: Any, folder: Path) -> bytes:
    """The bytes of a tensor that lies in another file."""
    told = {entry.key: entry.value for entry in proto.external_data}
    location = told.get("location", "")
    try:
        path = (folder / location).resolve()
        inside = bool(location) and path.is_relative_to(folder.resolve())
        offset, length = int(told.get("offset", 0)), int(told.get("length", -1))
    except (ValueError, OSError) as error:
        raise _damaged(proto, f"{error}", "an entry that says where its data lies") from error
    if not inside or Path(location).is_absolute():
        raise FileError(
            f"[from_onnx] a tensor lies outside the folder of the model: got {location!r} for "
            f"{proto.name!r}, expected a file inside {folder}. Put it beside the model."
        )
    try:
        with path.open("rb") as file:
            there = path.stat().st_size
            length = there - offset if length < 0 else length
            if offset < 0 or length < 0 or offset + length > there:
                raise _damaged(
                    proto, f"bytes {offset} to {offset + length} of {there}", "bytes of that file"
                )
            file.seek(offset)
            return bytes(file.read(length))
    except FileError:
        raise
    except OSError as error:
        raise FileError(
            f"[from_onnx] the data of a tensor cannot be read: got {reason(error)} for "
            f"{location!r}, expected a file beside the model. Copy it there."
        ) from error


def _damaged(proto: Any, got: str, expected: str) -> FileError:
    return FileError(
        f"[from_onnx] a tensor is damaged: got {got} for {proto.name!r}, expected {expected}. "
        "Export the model again."
    )
