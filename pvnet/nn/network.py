"""Network: the torch twin of a graph, for training and as the reference of the runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast, overload

import numpy as np
import torch
from torch import Tensor, nn

from pvnet.errors import InvalidArgumentError
from pvnet.nn.clip_runner import fire, run_clip, zero_frame
from pvnet.nn.network_inputs import check_clips, check_frames
from pvnet.nn.network_state import NetworkState
from pvnet.nn.node_layers import WEIGHTED, NodeLayer, node_layer
from pvnet.nn.program import Program, build_program
from pvnet.nn.window import Read, held, is_due, window

if TYPE_CHECKING:
    from pvnet.graph import Graph

_EXPORTED = ("weight", "bias", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var")


class Network(nn.Module):
    """A graph with weights: `net(clip)[name][:, :, t]` is the output of the stream at tick t.

    Parameters are `<node>.weight`, `<node>.bias` and `<node>.norm.*`, the same in every wiring: a
    state dict of the sequential network loads into the pipelined and the predictive one.

    In train mode batch norm uses the statistics over (b, firings, h, w). Nodes on a feedback cycle
    only exist one firing at a time: there it uses those over (b, h, w) of each firing.

    Args:
        graph: a checked graph, in any wiring.
        metadata: text that `pvnet.save` writes beside the weights, such as which model this is.

    Attributes:
        metadata: as given, to add to.

    Raises:
        GraphError: the graph cannot run.
    """

    _graph: Graph
    _program: Program
    metadata: dict[str, str]

    def __init__(self, graph: Graph, *, metadata: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.metadata = dict(metadata or {})
        self._set_graph(graph)
        shapes = {n.name: n.shape for n in graph.nodes}
        for n in graph.nodes:
            if n.op in WEIGHTED:
                c, h, w = shapes[n.inputs[0].node]
                # add_module refuses names such as "train" that a node may well have.
                self._modules[n.name] = node_layer(n.op, n.attrs, (c, h, w))

    def __setattr__(self, name: str, value: Any) -> None:
        # Plain attributes never collide with child modules, whatever the nodes are called.
        if isinstance(value, nn.Module):
            super().__setattr__(name, value)
        else:
            object.__setattr__(self, name, value)

    def _set_graph(self, graph: Graph) -> None:
        graph.check()
        self._graph = graph
        self._program = build_program(graph)

    @property
    def graph(self) -> Graph:
        """The graph in its present wiring."""
        return self._graph

    def rewire(
        self, wiring: str, *, stages: int | Sequence[Sequence[str]] | None = None
    ) -> Network:
        """Changes the timing in place; the parameters stay the very same objects.

        Args:
            wiring: "sequential", "pipelined" or "predictive".
            stages: a number, or lists of node names; None keeps the present stages.

        Returns:
            self.

        Raises:
            GraphError: the graph cannot be wired so.
        """
        self._set_graph(self.graph.wire(wiring, stages))
        return self

    def stage_outputs(self) -> list[tuple[str, ...]]:
        """Per stage the nodes that a later part of the network reads: other stages, or outputs.

        The same names in every wiring of the same stages: what activation matching compares.
        """
        graph = self.graph
        stage = {n.name: n.stage for n in graph.nodes}
        leaving = {o.node for o in graph.outputs}
        for n in graph.nodes:
            leaving.update(e.node for e in n.inputs if stage[e.node] != n.stage)
        kept = [n for n in graph.nodes if n.name in leaving and n.op not in ("input", "feedback")]
        return [tuple(n.name for n in kept if n.stage == s.index) for s in graph.stages]

    @overload
    def forward(
        self, clip: Tensor | Mapping[str, Tensor], *, return_nodes: None = None
    ) -> dict[str, Tensor]: ...
    @overload
    def forward(
        self, clip: Tensor | Mapping[str, Tensor], *, return_nodes: Sequence[str]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]: ...
    def forward(
        self, clip: Tensor | Mapping[str, Tensor], *, return_nodes: Sequence[str] | None = None
    ) -> dict[str, Tensor] | tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The outputs of a whole clip, differentiable.

        Args:
            clip: [b, c, t, h, w], float as it is or uint8 (normalised as the input node says); with
                several inputs a dict of them by node name.
            return_nodes: names of nodes whose values are wanted too.

        Returns:
            By output name [b, c, t, h, w], or [b, c, t] where h = w = 1: the value at every tick,
            held between firings, 0 before the first one. With return_nodes a pair: this, and by
            node name always [b, c, t, h, w].

        Raises:
            InvalidArgumentError: a clip of another shape than the graph's input, an unknown node.
        """
        program = self._program
        inputs = check_clips(program, clip, self._dtype())
        ticks = int(next(iter(inputs.values())).shape[2])
        kept = {*(return_nodes or ()), *(read.source for _, read in program.outputs)}
        values = run_clip(program, self._layers(), inputs, kept)

        def at_every_tick(name: str) -> Tensor:
            step = program.step(name)
            if step is None:
                raise InvalidArgumentError(
                    f"[Network.forward] unknown node in return_nodes: got {name!r}, expected one "
                    f"of the nodes {[s.name for s in program.steps]}. Correct the name."
                )
            return held(values[name], period=step.period, origin=step.origin, ticks=ticks)

        outputs = {
            name: _squeeze(window(values[read.source], read, period=1, origin=0, firings=ticks)[0])
            for name, read in program.outputs
        }
        if return_nodes is None:
            return outputs
        return outputs, {name: at_every_tick(name) for name in return_nodes}

    def features(
        self, clip: Tensor | Mapping[str, Tensor], names: Sequence[str]
    ) -> dict[str, Tensor]:
        """The values of the named nodes at every tick, [b, c, t, h, w] each; see forward."""
        return self(clip, return_nodes=list(names))[1]  # type: ignore[no-any-return]

    def init_state(self, batch: int) -> NetworkState:
        """The state before the first tick of `batch` videos."""
        if batch < 1:
            raise InvalidArgumentError(
                f"[Network.init_state] no video: got batch {batch}, expected at least 1. "
                "Give the number of videos."
            )
        rings: dict[str, tuple[Tensor, ...]] = {s.name: () for s in self._program.steps}
        return NetworkState(batch=batch, tick=0, rings=rings)

    def step(
        self,
        frames: Tensor | Mapping[str, Tensor],
        state: NetworkState,
        *,
        ages: Tensor | None = None,
    ) -> tuple[dict[str, Tensor], NetworkState]:
        """One tick, differentiable; the given state is left as it was.

        Straight from the definition, one firing at a time: slow, independent of forward, and the
        way to carry state from one piece of a long clip to the next.

        Args:
            frames: [b, c, h, w], or a dict of them by input name; copied where the state keeps
                them, so the same tensors may hold the next frames.
            state: of init_state or of the step before, in the same wiring.
            ages: int64 [b], ticks since the first frame of each row's video, where rows began at
                different ticks (`NetworkState.reset_rows`, at multiples of the hyper-period). In a
                row younger than its origin a node has not fired and is 0. None: all began at 0.

        Returns:
            The outputs [b, c, h, w] ([b, c] where h = w = 1), and the new state.

        Raises:
            InvalidArgumentError: frames of another batch size or shape.
        """
        program, layers, tick = self._program, self._layers(), state.tick
        inputs = check_frames(program, frames, self._dtype(), state.batch)
        like = next(iter(inputs.values()))
        rings = dict(state.rings)
        newest = {s.name: s.firings(tick) - 1 for s in program.steps}
        zeros = {s.name: zero_frame(s, like) for s in program.steps}

        def read_firing(read: Read, firing: int) -> Tensor:
            ring = rings[read.source]
            return zeros[read.source] if firing < 0 else ring[firing - newest[read.source] - 1]

        for step in program.steps:
            if not is_due(step.period, step.origin, tick):
                continue
            if step.op == "input":
                # The state keeps it; who gave it may fill the same tensor with the next frame.
                value = inputs[step.name].clone()
            else:
                value = fire(step, layers.get(step.name), read_firing, tick)
            if ages is not None and step.origin > 0:
                young = (ages < step.origin).reshape(-1, 1, 1, 1, 1).to(value.device)
                value = value.masked_fill(young, 0.0)
            rings[step.name] = (*rings[step.name], value)[-step.ring_depth :]
            newest[step.name] += 1
        outputs = {}
        for name, read in program.outputs:
            outputs[name] = _squeeze(read_firing(read, read.firing_at(tick))).squeeze(2)
        return outputs, NetworkState(batch=state.batch, tick=tick + 1, rings=rings)

    def ticks(self, clip: Tensor | Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What forward returns, computed by calling step once per tick."""
        clips = check_clips(self._program, clip, self._dtype())
        first = next(iter(clips.values()))
        state = self.init_state(int(first.shape[0]))
        collected: dict[str, list[Tensor]] = {name: [] for name, _ in self._program.outputs}
        for t in range(int(first.shape[2])):
            outputs, state = self.step({k: v[:, :, t] for k, v in clips.items()}, state)
            for name, y in outputs.items():
                collected[name].append(y)
        return {name: torch.stack(ys, dim=2) for name, ys in collected.items()}

    def export_weights(self) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
        """The weights a model file holds: by key, contiguous f32 copies on the host."""
        out = {}
        for name, layer in self._layers().items():
            state = layer.state_dict()
            for key in _EXPORTED:
                if key in state:
                    value = state[key].detach().to("cpu", torch.float32)
                    out[f"{name}.{key}"] = np.array(value.numpy(), order="C")
        return out

    def load_weights(self, weights: Mapping[str, Any]) -> None:
        """Copies weights (numpy arrays or tensors, keys as export_weights gives them) into it.

        Raises:
            InvalidArgumentError: a key is missing, unknown, or has another shape; nothing is
                copied.
        """
        own = {
            f"{name}.{key}": value
            for name, layer in self._layers().items()
            for key, value in layer.state_dict(keep_vars=True).items()
            if key in _EXPORTED
        }
        for what, keys in (("missing", own.keys() - weights), ("unknown", weights.keys() - own)):
            if keys:
                raise InvalidArgumentError(
                    f"[Network.load_weights] {what} weights: got {sorted(keys)}, expected exactly "
                    "the keys of export_weights(). Load the weights of the same architecture."
                )
        given = {k: torch.as_tensor(v) for k, v in weights.items()}
        for key, value in own.items():
            if given[key].shape != value.shape:
                raise InvalidArgumentError(
                    f"[Network.load_weights] wrong shape of {key!r}: got {list(given[key].shape)}, "
                    f"expected {list(value.shape)}. Load the weights of the same architecture."
                )
        with torch.no_grad():
            for key, value in own.items():
                value.copy_(given[key])

    def _layers(self) -> dict[str, NodeLayer]:
        return cast("dict[str, NodeLayer]", self._modules)

    def _dtype(self) -> torch.dtype:
        first = next(self.parameters(), None)
        return torch.get_default_dtype() if first is None else first.dtype


def _squeeze(x: Tensor) -> Tensor:
    """[b, c, t] of [b, c, t, 1, 1]; anything else as it is."""
    return x[..., 0, 0] if x.shape[3] == 1 and x.shape[4] == 1 else x
