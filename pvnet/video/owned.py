"""Frames that wait are owned: a capture buffer that is used again must not change them.

`cv2.read(dst)`, picamera2, GStreamer's maps: many sources fill one buffer again and again. What
only passes through is read in time; what is queued or held has to be copied.
"""

from __future__ import annotations

import copy
import dataclasses
import sys
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.errors import InvalidArgumentError

_CPU = 1  # DLPack's kDLCPU


def owns_frames(source: object) -> bool:
    """Whether every frame of a source has memory of its own; known of pvnet's own sources."""
    return getattr(source, "owned", False) is True


class Copies:
    """Makes copies of frames; memory that nobody holds any more is used again.

    Not thread-safe: one thread copies. Only whole numpy arrays are used again: they are held by
    everything made of them (views, tensors), so that a count of references tells the truth.

    Args:
        most: buffers of one kind that are kept for the next copies.
    """

    def __init__(self, most: int) -> None:
        self._kept: deque[NDArray[Any]] = deque(maxlen=most)

    def frame(self, frame: Any) -> Any:
        """The same frame over copies of its arrays; a bare array or tensor is copied itself.

        Raises:
            InvalidArgumentError: it has an array that cannot be copied.
        """
        if dataclasses.is_dataclass(frame) and not isinstance(frame, type):
            return self._dataclass(frame)
        if hasattr(frame, "image"):
            image = self.array(frame.image)
            if hasattr(frame, "_replace"):  # a named tuple
                return frame._replace(image=image)
            other = copy.copy(frame)
            other.image = image
            return other
        return self.array(frame)

    def _dataclass(self, frame: Any) -> Any:
        made: dict[int, Any] = {}  # an original may be the image itself
        changes = {}
        for field in dataclasses.fields(frame):
            value = getattr(frame, field.name)
            if field.init and (field.name == "image" or _is_array(value)):
                if id(value) not in made:
                    made[id(value)] = self.array(value)
                changes[field.name] = made[id(value)]
        return dataclasses.replace(frame, **changes)

    def array(self, value: Any) -> Any:
        """A copy of an array, a tensor, or a mapping of them; the same type where it can be.

        Raises:
            InvalidArgumentError: it is nothing that can be copied.
        """
        if isinstance(value, np.ndarray):
            return self._array(value)
        if isinstance(value, Mapping):
            return {key: self.array(item) for key, item in value.items()}
        for name in ("clone", "copy"):  # torch; CuPy, JAX and others, on whatever device
            if _is_array(value) and callable(getattr(value, name, None)):
                return getattr(value, name)()
        if hasattr(value, "__dlpack__") and _device(value) == _CPU:
            return self._array(np.from_dlpack(value))
        if hasattr(value, "__array_interface__") or hasattr(value, "__array__"):
            return np.array(value)
        try:
            return np.array(memoryview(value))
        except TypeError:
            raise InvalidArgumentError(
                f"[video.Feed] a frame that has to wait cannot be copied: got "
                f"{type(value).__name__}, expected a numpy array, or a tensor with clone() or "
                'copy(). Copy it in the source, or use policy "block" without realtime.'
            ) from None

    def _array(self, value: NDArray[Any]) -> NDArray[Any]:
        buffer = self._free(value.shape, value.dtype)
        if buffer is None:
            buffer = np.empty(value.shape, value.dtype)
            self._kept.append(buffer)
        np.copyto(buffer, value)
        return buffer

    def _free(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any] | None:
        kept = self._kept
        for i in range(len(kept)):
            if _uses(kept, i) == _UNUSED and kept[i].shape == shape and kept[i].dtype == dtype:
                return kept[i]
        return None


def _uses(kept: deque[Any], i: int) -> int:
    return sys.getrefcount(kept[i])


# What `_uses` says of an object that only the deque holds.
_UNUSED = _uses(deque([object()]), 0)


def _is_array(value: object) -> bool:
    marks = ("__dlpack__", "__cuda_array_interface__", "__array_interface__")
    return any(hasattr(value, mark) for mark in marks)


def _device(value: Any) -> int:
    return int(value.__dlpack_device__()[0])
