"""The C++ core. Use the pvnet package, not this module."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__version__: str

# Graphs and model files (register_graph.cpp)

class Graph:
    def __init__(self) -> None: ...
    def add(self, node_json: str) -> str: ...
    def set_output(self, name: str, node: str) -> None: ...
    def check(self) -> None: ...
    def wire(self, wiring: str, stages: list[list[str]]) -> Graph: ...
    def wire_k(self, wiring: str, k: int, costs: dict[str, float]) -> Graph: ...
    def to_json(self) -> str: ...
    @staticmethod
    def from_json(text: str) -> Graph: ...
    def resolved_json(self) -> str: ...
    def resolved_node(self, name: str) -> str: ...
    def node_names(self) -> list[str]: ...
    @property
    def wiring(self) -> str: ...
    @property
    def n_stages(self) -> int: ...
    @property
    def hyper_period(self) -> int: ...
    def copy(self) -> Graph: ...

def load_model(
    source: str | bytes,
) -> tuple[Graph, dict[str, NDArray[np.float32]], dict[str, str]]: ...
def save_model(
    path: str, graph: Graph, weights: dict[str, NDArray[np.float32]], metadata: dict[str, str]
) -> None: ...
def expected_weights(graph: Graph) -> list[tuple[str, tuple[int, ...]]]: ...

# Stateless float32 kernels on CPU arrays (register_ops.cpp); see pvnet.ops

class ops:
    @staticmethod
    def causal_conv3d(
        clip: object,
        weight: object,
        bias: object | None,
        out: object,
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
        groups: int,
        threads: int = 1,
    ) -> None: ...
    @staticmethod
    def causal_conv3d_step(
        frame: object,
        ring: object,
        tick: int,
        weight: object,
        bias: object | None,
        out: object,
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
        groups: int,
        threads: int = 1,
    ) -> bool: ...
    @staticmethod
    def causal_pool3d(
        clip: object,
        out: object,
        is_max: bool,
        kernel: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[int],
        count_include_pad: bool,
        threads: int = 1,
    ) -> None: ...
    @staticmethod
    def causal_pool3d_step(
        frame: object,
        ring: object,
        tick: int,
        out: object,
        is_max: bool,
        kernel: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[int],
        count_include_pad: bool,
        threads: int = 1,
    ) -> bool: ...
    @staticmethod
    def ring_write(ring: object, tick: int, x: object) -> None: ...
    @staticmethod
    def ring_read(ring: object, tick: int, delay: int, out: object) -> None: ...
    @staticmethod
    def describe_array(array: object) -> dict[str, object]: ...
    @staticmethod
    def backend() -> str: ...
