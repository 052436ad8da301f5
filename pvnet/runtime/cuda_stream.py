"""cuda_streams of other libraries as numbers."""

from __future__ import annotations

import sys
from typing import Any

from pvnet.errors import InvalidArgumentError


def number_of(cuda_stream: Any) -> int:
    """The handle of a cuda_stream: an int, a torch.cuda.Stream, a cupy Stream or `__cuda_stream__`.

    Raises:
        InvalidArgumentError: it is none of these.

    """
    if isinstance(cuda_stream, int) and not isinstance(cuda_stream, bool) and cuda_stream >= 0:
        return cuda_stream
    for name in ("cuda_stream", "ptr"):  # torch, cupy
        number = getattr(cuda_stream, name, None)
        if isinstance(number, int):
            return number
    protocol = getattr(cuda_stream, "__cuda_stream__", None)
    if protocol is not None:
        _version, number = protocol() if callable(protocol) else protocol
        return int(number)
    raise InvalidArgumentError(
        f"[Stream.tick] this is no cuda_stream: got {cuda_stream!r}, expected an int, a "
        "torch.cuda.Stream or a cupy Stream. Pass its handle, e.g. stream.cuda_stream."
    )


def current_of(frame: Any) -> int | None:
    """The current cuda_stream of the library that made `frame`, where only the library tells.

    Tensors with an exchange table of DLPack tell themselves. None: that, or another library.
    """
    if hasattr(type(frame), "__dlpack_c_exchange_api__"):
        return None
    library = type(frame).__module__.partition(".")[0]
    module = sys.modules.get(library)
    if library == "torch" and module is not None and frame.is_cuda:
        return int(module.cuda.current_stream(frame.device).cuda_stream)
    if library == "cupy" and module is not None:
        return int(module.cuda.get_current_stream().ptr)
    return None
