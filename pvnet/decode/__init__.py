"""From a network's outputs to what they mean: joints in pixels, actions by name."""

from __future__ import annotations

from pvnet.decode.heatmaps import decode_heatmaps
from pvnet.decode.meaning import Meaning, softmax
from pvnet.decode.registry import Decoder, kind_of, register

__all__ = ["Decoder", "Meaning", "decode_heatmaps", "kind_of", "register", "softmax"]
