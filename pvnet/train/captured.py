"""Loss and gradients of one batch as a CUDA graph: captured once, replayed every step.

Small networks start more kernels than the host can launch in the time the device needs for them; a
replay is one launch. Every shape must stay the same; the optimiser works outside of the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Terms = dict[str, Tensor]
# Steps run as they are before the capture: libraries choose their kernels in them.
EAGER_STEPS = 3


class CapturedGradients:
    """`gradients(batch)` leaves gradients in the parameters and returns the terms of the loss.

    Args:
        objective: batch -> terms, "loss" among them; nothing in it may wait for the device.
        parameters: whose gradients are wanted.
    """

    def __init__(
        self, objective: Callable[[Mapping[str, Tensor]], Terms], parameters: list[Tensor]
    ) -> None:
        self._objective = objective
        self._parameters = parameters
        self._eager_left = EAGER_STEPS
        self._graph: torch.cuda.CUDAGraph | None = None
        self._batch: dict[str, Tensor] = {}
        self._terms: Terms = {}
        self._side = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def __call__(self, batch: Mapping[str, Tensor]) -> Terms:
        """One batch; what is returned is overwritten by the next call."""
        tensors = {k: v for k, v in batch.items() if isinstance(v, Tensor)}
        if self._eager_left:
            self._eager_left -= 1
            return self._run_eagerly(tensors)
        if self._graph is None:
            self._capture(tensors)
        else:
            for name, value in tensors.items():
                self._batch[name].copy_(value)
        assert self._graph is not None
        self._graph.replay()
        return self._terms

    def _run_eagerly(self, batch: Mapping[str, Tensor]) -> Terms:
        # On a cuda_stream of its own, as autograd wants it before a capture.
        self._side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._side):
            terms = self._gradients(batch)
        torch.cuda.current_stream().wait_stream(self._side)
        return terms

    def _gradients(self, batch: Mapping[str, Tensor]) -> Terms:
        for p in self._parameters:
            p.grad = None
        terms = self._objective(batch)
        terms["loss"].backward()  # type: ignore[no-untyped-call]
        return {name: value.detach() for name, value in terms.items()}

    def _capture(self, batch: Mapping[str, Tensor]) -> None:
        self._batch = {name: value.clone() for name, value in batch.items()}
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._terms = self._gradients(self._batch)
        self._graph = graph
