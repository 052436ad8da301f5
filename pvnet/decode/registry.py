"""How a network's output becomes joints: a decoder by the kind that the model's metadata names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.decode.heatmaps import decode_heatmaps
from pvnet.errors import InvalidArgumentError

DEFAULT_KIND = "heatmaps"

# (maps, (h, w) of the network's picture) -> float32 [joints, 3]: pixel x, y, confidence in 0..1.
Decoder = Callable[[Any, tuple[int, int]], NDArray[np.float32]]


@dataclass(frozen=True)
class Kind:
    """A kind of output.

    Attributes:
        decode: from maps to joints.
        all_outputs: whether `decode` takes every output, a dict of float32 [c, h, w] by name; else
            the first one alone.
        applies: whether the first output can be of this kind, by its shape (c, h, w).
    """

    decode: Decoder
    all_outputs: bool = False
    applies: Callable[[tuple[int, int, int]], bool] = lambda shape: shape[1] * shape[2] > 1


_KINDS: dict[str, Kind] = {}


def register(
    name: str,
    decode: Decoder,
    *,
    all_outputs: bool = False,
    applies: Callable[[tuple[int, int, int]], bool] | None = None,
) -> None:
    """Add a kind of output. A model names it by the key `decode` of its metadata.

    Args:
        name: of the kind; one that is there is replaced.
        decode: takes maps, float32 [c, h, w], and the network's picture size (h, w); returns
            float32 [joints, 3]: pixel x, y of that picture, confidence in 0..1.
        all_outputs: `decode` takes a dict of all outputs by name instead of the first one.
        applies: whether a first output of shape (c, h, w) can be of this kind; None: every map.
    """
    _KINDS[name] = Kind(decode, all_outputs, *(() if applies is None else (applies,)))


def kind_of(metadata: Mapping[str, str]) -> Kind:
    """The kind that a model's metadata names; without a word of it heatmaps.

    Raises:
        InvalidArgumentError: nothing is registered under this name.
    """
    name = metadata.get("decode", DEFAULT_KIND)
    if name not in _KINDS:
        raise InvalidArgumentError(
            f"[decode.kind_of] the model's outputs are of an unknown kind: got {name!r}, expected "
            f"{', '.join(sorted(_KINDS))}. Update pvnet, or call pvnet.decode.register."
        )
    return _KINDS[name]


def _heatmaps(maps: NDArray[np.float32], frame_size: tuple[int, int]) -> NDArray[np.float32]:
    joints, scores = decode_heatmaps(maps, frame_size)
    return np.concatenate([joints, scores[:, None]], axis=1)


register(DEFAULT_KIND, _heatmaps)
