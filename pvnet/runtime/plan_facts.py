"""What a compiled network says about itself."""

from __future__ import annotations

import functools
from typing import Any

from pvnet import _core
from pvnet.decode import Meaning
from pvnet.graph import Graph


class PlanFacts:
    """Shapes, latencies, memory and schedule of a compiled network.

    Attributes:
        graph: the wired graph it was made from.
        metadata: free text of the model file.

    """

    def __init__(self, core: _core.Plan, graph: Graph, metadata: dict[str, str]) -> None:
        self.core = core
        self.graph = graph
        self.metadata = metadata
        self._outputs = core.outputs()

    @property
    def inputs(self) -> dict[str, tuple[int, int, int]]:
        """Shape (c, h, w) of one frame, by input."""
        return dict(self.core.inputs())

    @property
    def outputs(self) -> dict[str, tuple[int, int, int]]:
        """Shape (c, h, w) of one tick's output, by name."""
        return {o["name"]: o["shape"] for o in self._outputs}

    @functools.cached_property
    def meaning(self) -> Meaning:
        """Reads the outputs: joints in pixels, or actions by name."""
        return Meaning(self.metadata, self.inputs, self.outputs)

    @property
    def information_latency_ticks(self) -> dict[str, int]:
        """Smallest sum of delays from an input, by output, in ticks."""
        return {o["name"]: o["information_latency_ticks"] for o in self._outputs}

    @property
    def warm_up_ticks(self) -> dict[str, int]:
        """Ticks until an output depends on real frames along every path, by output."""
        return {o["name"]: o["warm_up_ticks"] for o in self._outputs}

    @property
    def backend(self) -> str:
        """Name of the backend: "cpu" or "ref"."""
        return self.core.backend

    @property
    def isa(self) -> str:
        """Instruction set of the kernels."""
        return self.core.isa

    @property
    def dtype(self) -> str:
        """Type of weights and state."""
        return self.core.dtype

    @property
    def lanes(self) -> int:
        """CPU workers of one tick."""
        return self.core.lanes

    @property
    def batch(self) -> int:
        """Rows: videos that run side by side."""
        return self.core.batch

    @property
    def hyper_period(self) -> int:
        """The schedule repeats after this many ticks."""
        return self.core.hyper_period

    @property
    def ops(self) -> list[dict[str, Any]]:
        """What runs, in topological order: node, op, stage, tiles, cost, macs, period.

        A conv3d also has its algorithm: "direct", "winograd 2x2" or "winograd 4x4". Where a
        convolution ends in the sum of an `add`, one op does both: `sum` names the add.
        """
        return self.core.ops()

    @property
    def state_bytes(self) -> int:
        """Rings of one batch row."""
        return self.core.state_bytes

    @property
    def scratch_bytes(self) -> int:
        """Values that live within one tick, of one batch row."""
        return self.core.scratch_bytes

    @property
    def stream_bytes(self) -> int:
        """What a Stream takes: state, scratch and results of all rows, and what lanes need."""
        return self.core.stream_bytes

    @property
    def weights_bytes(self) -> int:
        """Packed weights."""
        return self.core.weights_bytes

    def lane_load(self) -> list[list[float]]:
        """Estimated cost per lane, for every tick of the hyper-period."""
        return self.core.lane_load()

    def to_json(self) -> str:
        """Memory layout, ops and schedule, for tools."""
        return self.core.to_json()

    def __repr__(self) -> str:
        g = self.graph
        return (
            f"Plan({g.wiring}, stages={g.n_stages}, backend={self.backend}/{self.isa}, "
            f"lanes={self.lanes}, batch={self.batch}, inputs={self.inputs}, outputs={self.outputs})"
        )
