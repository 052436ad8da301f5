"""DeviceArray: an output of a tick that stays on the device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pvnet.errors import InvalidArgumentError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pvnet import _core

_CUDA = 2  # DLPack's number of the device type


class DeviceArray:
    """Output of one tick in the memory of the plan's device: float32 [b, c, h, w] or [b, c].

    `torch.from_dlpack(out)`, `cupy.from_dlpack(out)` and anything else that takes DLPack or
    `__cuda_array_interface__` share its memory. They make their current cuda_stream wait for the
    tick, and no host thread.

    The memory is there until the second next tick of the Stream, which writes its own results over
    it in the order of its cuda_stream. From then on every access raises StateError. Outputs of a
    tick that was captured into a CUDA graph stay: each replay writes them.
    """

    def __init__(self, core: _core.DeviceArray) -> None:
        self._core = core

    @property
    def shape(self) -> tuple[int, ...]:
        """(b, c, h, w), or (b, c) where h = w = 1."""
        return self._core.shape

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """Always float32."""
        return np.dtype(np.float32)

    @property
    def device(self) -> int:
        """The index of the CUDA device."""
        return self._core.device

    def numpy(self) -> NDArray[np.float32]:
        """A copy on the host: waits for the tick.

        Raises:
            StateError: the results are overwritten.

        """
        return self._core.numpy()

    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """A DLPack capsule of this memory; `stream` waits for the tick (-1: nobody does)."""
        if stream == 0:
            raise InvalidArgumentError(
                "[DeviceArray.__dlpack__] stream 0 is ambiguous: got 0, expected 1 (legacy "
                "default), 2 (default of the thread) or a handle. Pass one of these."
            )
        if copy or (dl_device is not None and tuple(dl_device) != self.__dlpack_device__()):
            raise BufferError(
                f"[DeviceArray.__dlpack__] this gives its memory only: got copy={copy}, "
                f"dl_device={dl_device}, expected neither. Copy the tensor that you make of it."
            )
        return self._core.dlpack(stream, max_version is not None and max_version[0] >= 1)

    def __dlpack_device__(self) -> tuple[int, int]:
        """(2, index): a CUDA device."""
        return _CUDA, self._core.device

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """Version 3; its `stream` is where the results are in order."""
        return self._core.cuda_array_interface()

    def __repr__(self) -> str:
        return f"DeviceArray(shape={self.shape}, dtype=float32, device=cuda:{self.device})"
