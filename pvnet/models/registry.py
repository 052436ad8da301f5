"""The models by name, for the command line and for configuration files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pvnet.errors import InvalidArgumentError
from pvnet.graph import Graph
from pvnet.models.common import check_choice
from pvnet.models.movenet import movenet_graph
from pvnet.models.par_densenet import par_densenet_graph
from pvnet.models.par_inception import par_inception_graph

MODELS: dict[str, Callable[..., Graph]] = {
    "movenet": movenet_graph,
    "par_densenet": par_densenet_graph,
    "par_inception": par_inception_graph,
}
TASKS: dict[str, str] = {
    "movenet": "joints",
    "par_densenet": "joints",
    "par_inception": "actions",
}


def list_models() -> list[str]:
    """Names that `build` knows, sorted."""
    return sorted(MODELS)


def build(name: str, **config: Any) -> Graph:
    """The graph of a built-in model; `pvnet.nn.Network(graph)` gives it weights.

    Args:
        name: one of `list_models()`.
        config: the keyword arguments of the model's graph function.

    Raises:
        InvalidArgumentError: unknown name, unknown argument, or an argument out of range.
    """
    check_choice("models.build", "model", name, list_models())
    function = MODELS[name]
    known = [k for k in function.__annotations__ if k != "return"]
    unknown = sorted(set(config) - set(known))
    if unknown:
        raise InvalidArgumentError(
            f"[models.build] {name} has no such argument: got {', '.join(unknown)}, expected some "
            f"of {', '.join(known)}. Remove or rename it."
        )
    return function(**config)
