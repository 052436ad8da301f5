"""The parameters of one node: `weight`, `bias`, `norm`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

# Operations with parameters.
WEIGHTED = ("conv3d", "linear", "scale", "prelu")


_RECTIFIERS = (
    *("relu", "silu", "clamp", "leaky_relu", "elu", "hard_swish"),
    *("gelu", "gelu_tanh", "mish"),
)


class Norm(nn.BatchNorm3d):
    """Batch norm of clips [b, c, t, h, w], or of their frames folded into the batch."""

    def _check_input_dim(self, x: Tensor) -> None:
        if x.dim() != 4:
            super()._check_input_dim(x)


class NodeLayer(nn.Module):
    """Holds the parameters of a node; what they compute is in `operations`.

    Attributes:
        weight: [out, in / groups, kt, kh, kw] (conv3d), [out, c * h * w] (linear) or [c] (scale,
            prelu).
        bias: [out], [c] or None.
        norm: batch norm over [b, c, t, h, w] or [b * t, c, h, w], or None.
    """

    weight: Tensor
    bias: Tensor | None
    norm: nn.Module | None

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        bias: bool,
        norm_eps: float | None = None,
        rectified: bool = False,
        start: float | None = None,
    ) -> None:
        super().__init__()
        self.rectified = rectified
        self.start = start
        self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.empty(shape[0])) if bias else None
        self.norm = None if norm_eps is None else Norm(shape[0], eps=norm_eps)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """He initialisation (gain of a rectifier where one follows), bias 0, norm 1 and 0.

        Weights of channels begin with 1 (scale) and 0.25 (prelu).
        """
        if self.start is not None:
            nn.init.constant_(self.weight, self.start)
        else:
            follows: Literal["relu", "linear"] = "relu" if self.rectified else "linear"
            nn.init.kaiming_normal_(self.weight, nonlinearity=follows)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
        if isinstance(self.norm, nn.BatchNorm3d):
            self.norm.reset_parameters()

    def extra_repr(self) -> str:
        """Shapes, never data."""
        return f"weight={list(self.weight.shape)}, bias={self.bias is not None}"


def node_layer(op: str, attrs: Mapping[str, Any], in_shape: tuple[int, int, int]) -> NodeLayer:
    """The layer of a node of `WEIGHTED` that reads maps of shape in_shape = (c, h, w)."""
    c, h, w = in_shape
    if op == "prelu":
        return NodeLayer((c,), bias=False, start=0.25)
    if op == "scale":
        return NodeLayer((c,), bias=bool(attrs["bias"]), start=1.0)
    rectified = attrs["act"] in _RECTIFIERS
    if op == "linear":
        shape: tuple[int, ...] = (int(attrs["out"]), c * h * w)
        return NodeLayer(shape, bias=bool(attrs["bias"]), rectified=rectified)
    shape = (int(attrs["out"]), c // int(attrs["groups"]), *(int(k) for k in attrs["kernel"]))
    return NodeLayer(
        shape,
        bias=bool(attrs["bias"]),
        norm_eps=float(attrs["norm_eps"]) if attrs["norm"] else None,
        rectified=rectified,
    )
