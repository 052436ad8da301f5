"""The core's compile, with options that have been looked at."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from pvnet import _core
from pvnet.runtime.model import Opened
from pvnet.runtime.plan import Plan


@dataclass(frozen=True)
class Options:
    """Of `pvnet.compile`, as the core takes them.

    Attributes:
        isa: "" = the best here.
        lanes: 0 = as many as are of use.
        costs: microseconds per firing by node; empty = the cost model.
        algorithms: of single convolutions by node, before `algorithm`.
        ranges: of dtype "int8", low and high of maps by node.
        corrections: the same, what is added to biases by node.
    """

    backend: str = "auto"
    isa: str = ""
    dtype: str = "f32"
    lanes: int = 0
    batch: int = 1
    pin: bool = True
    fixed_lanes: bool = False
    costs: dict[str, float] = field(default_factory=dict)
    executor: str = "auto"
    algorithm: str = "auto"
    algorithms: dict[str, str] = field(default_factory=dict)
    memory: str = "fast"
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    corrections: dict[str, list[float]] = field(default_factory=dict)


def make_plan(model: Opened, options: Options) -> Plan:
    """A Plan; all checks are the core's."""
    core = _core.Plan.compile(model.graph.core, model.weights, **asdict(options))
    return Plan(core, model.graph, model.metadata)
