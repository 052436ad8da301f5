"""The state of a Network that is run tick by tick."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree

from pvnet.errors import InvalidArgumentError


@dataclass(frozen=True)
class NetworkState:
    """What a network remembers between two ticks; never changed in place.

    Attributes:
        batch: number of batch rows.
        tick: index of the next tick.
        rings: by node name, its last firings [b, c, 1, h, w], newest last; as many as its readers
            may still need, fewer at the start.
    """

    batch: int
    tick: int
    rings: dict[str, tuple[Tensor, ...]]

    def detach(self) -> NetworkState:
        """The same values cut off from the autograd graph (truncated back-propagation)."""
        rings = {k: tuple(x.detach() for x in v) for k, v in self.rings.items()}
        return NetworkState(batch=self.batch, tick=self.tick, rings=rings)

    def reset_rows(self, rows: Tensor) -> NetworkState:
        """New videos in some rows, at a multiple of the hyper-period; see `Network.step`, ages.

        Args:
            rows: bool [b], which rows forget everything.

        Raises:
            InvalidArgumentError: for anything but b bools, such as indices.
        """
        if rows.dtype != torch.bool or tuple(rows.shape) != (self.batch,):
            raise InvalidArgumentError(
                f"[NetworkState.reset_rows] rows is no mask: got {rows.dtype} {list(rows.shape)}, "
                f"expected bool [{self.batch}]. Pass True for the rows to reset."
            )
        here = {k: v[0].device for k, v in self.rings.items() if v}
        rings = {
            k: tuple(x.masked_fill(rows.reshape(-1, 1, 1, 1, 1).to(here[k]), 0.0) for x in v)
            for k, v in self.rings.items()
        }
        return NetworkState(batch=self.batch, tick=self.tick, rings=rings)


def _flatten(state: NetworkState) -> tuple[list[Any], tuple[int, int]]:
    return [state.rings], (state.batch, state.tick)


def _unflatten(children: Iterable[Any], context: tuple[int, int]) -> NetworkState:
    rings = next(iter(children))
    return NetworkState(batch=context[0], tick=context[1], rings=rings)


_pytree.register_pytree_node(
    NetworkState, _flatten, _unflatten, serialized_type_name="pvnet.nn.NetworkState"
)
