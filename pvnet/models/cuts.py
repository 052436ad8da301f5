"""How the graph of a model file is cut into other stages than it has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pvnet import runtime
from pvnet.errors import InvalidArgumentError
from pvnet.graph import Graph
from pvnet.models.common import Wiring, check_choice, check_positive, cut_at
from pvnet.models.movenet import PRESETS as _MOVENET
from pvnet.models.par_densenet import PRESETS as _DENSENET
from pvnet.models.par_inception import PRESETS as _INCEPTION

CutRule = Literal["preset", "even"]
CUT_RULES = ("preset", "even")
_PRESETS: dict[str, Mapping[int, tuple[str, ...]]] = {
    "movenet": _MOVENET,
    "par_densenet": _DENSENET,
    "par_inception": _INCEPTION,
}


@dataclass(frozen=True)
class Rewired:
    """A graph with other timing, and where its stages come from.

    Attributes:
        graph: as wired.
        how: "as in the file", "one stage", "preset of NAME" or "even in cost".
        trained: the weights of the file were trained for this timing, or need no training for it.
    """

    graph: Graph
    how: str
    trained: bool


def predictive_stages(metadata: Mapping[str, str]) -> tuple[int, ...]:
    """Numbers of stages, cut as its presets, in which weights are good as predictive ones.

    They were trained for these cuts, or scored in them. Empty where the file says nothing: then a
    predictive file's own cut is the only one.
    """
    try:
        told = json.loads(metadata.get("good_for", "[]"))
        return tuple(sorted(int(n) for n in told))
    except (ValueError, TypeError):
        return ()


def model_name(metadata: Mapping[str, str]) -> str | None:
    """Which built-in model a file says it is, if any."""
    if "model" in metadata:
        return metadata["model"]
    try:
        config = json.loads(metadata.get("config", "{}"))
        return str(config["model"]["name"])
    except (ValueError, KeyError, TypeError):
        return None


def preset_stages(name: str | None, graph: Graph, stages: int) -> list[list[str]] | None:
    """The node names of every stage of a model's preset; None where there is none.

    Args:
        name: of the model, as `model_name` gives it.
        graph: of the model, in any wiring.
        stages: K.
    """
    starts = _PRESETS.get(name or "", {}).get(stages)
    if starts is None:
        return None
    try:
        return cut_at([node.name for node in graph.nodes], starts)
    except InvalidArgumentError:  # it only has the name of that model
        return None


def rewired(
    model: runtime.Model,
    wiring: Wiring | str | None,
    stages: int | None,
    *,
    cut: CutRule | str = "preset",
) -> Rewired:
    """Other timing for the same nodes.

    Args:
        model: of a file; its metadata says which model it is.
        wiring: None: as in the file; pipelined or sequential where `stages` is given alone.
        stages: K. None, or as many as the file has: cut as in the file.
        cut: "preset": where the model has a preset of K stages, cut like it; "even": cut where the
            cost is even, as is done where there is no preset.

    Raises:
        InvalidArgumentError: unknown wiring or rule, or no such number of stages.
        GraphError: a wiring that cannot be.
    """
    where = "models.rewired"
    check_choice(where, "cut", cut, CUT_RULES)
    own = model.graph
    if wiring is None and stages is None:
        return Rewired(own, "as in the file", trained=True)
    if stages is not None:
        check_positive(where, "stages", stages)
    k = stages or own.n_stages
    wiring = wiring or ("pipelined" if k > 1 else "sequential")
    name = model_name(model.metadata)
    lists = own.stage_lists if k == own.n_stages else None
    how = "as in the file"
    if lists is None and k == 1:
        how = "one stage"
    elif lists is None:
        lists = preset_stages(name, own, k) if cut == "preset" else None
        how = "even in cost" if lists is None else f"preset of {name}"
    graph = own.wire(wiring, stages=k if lists is None else lists)
    preset = how.startswith("preset") and k in predictive_stages(model.metadata)
    good = preset and graph.wiring == "predictive"
    return Rewired(graph, how, trained=good or is_trained_for(own, graph))


def is_trained_for(own: Graph, graph: Graph) -> bool:
    """Whether weights trained in the timing of `own` are right in that of `graph`.

    Sequential weights are, in any cut, as long as nothing is predictive.
    """
    same = (own.wiring, own.stage_lists) == (graph.wiring, graph.stage_lists)
    return same or "predictive" not in (own.wiring, graph.wiring)
