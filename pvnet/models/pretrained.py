"""The small trained models that are part of the package; weights/README.md is their card.

A file `<model>[_<data>]_<wiring>[<stages>].safetensors` in weights/ is shipped by lying there:
nothing lists the files. `<model>[_<data>]` is their family, the wirings that belong together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pvnet import runtime
from pvnet.errors import InvalidArgumentError
from pvnet.models.common import Wiring, check_choice, check_positive
from pvnet.models.cuts import model_name, predictive_stages, rewired

WEIGHTS = Path(__file__).parent / "weights"
_ENDING = re.compile(r"_(sequential|predictive)\d*$")
_WIRINGS = ("sequential", "pipelined", "predictive")


@dataclass(frozen=True)
class Pretrained:
    """What a shipped file holds.

    Attributes:
        name: of the file, without its ending.
        family: the name without wiring and stages; files of a family belong together.
        wiring: for which the weights were trained.
        stages: of the cut in the file.
        good_for: numbers of stages, cut as the presets, in which the weights are good as
            predictive ones: trained for them, or scored in them.
        task: "joints" or "actions".
        trained_on: the training data.
        accuracy: measured scores by name, as far as the metadata has them.
        size_bytes: of the file.
    """

    name: str
    family: str
    wiring: str
    stages: int
    good_for: tuple[int, ...]
    task: str
    trained_on: str
    accuracy: dict[str, float]
    size_bytes: int

    @property
    def summary(self) -> str:
        """Name, wiring and stages in a few words, for lists of what there is."""
        cuts = " or ".join(map(str, self.good_for))
        if self.wiring == "predictive":
            return f"{self.name} (predictive, {cuts} stages)"
        more = f"; predictive, {cuts} stages" if cuts else ""
        return f"{self.name} ({self.wiring}, {self.stages} stages{more})"


def list_pretrained() -> list[str]:
    """Names of the shipped files, sorted; `pretrained` takes them, and their families."""
    return sorted(path.stem for path in WEIGHTS.glob("*.safetensors"))


def pretrained_path(name: str) -> Path:
    """Path of a shipped file.

    Raises:
        InvalidArgumentError: no file of that name is shipped.
    """
    check_choice("models.pretrained_path", "pretrained model", name, list_pretrained())
    return WEIGHTS / f"{name}.safetensors"


def shipped() -> list[Pretrained]:
    """What is shipped, by name: wiring, stages, task and accuracy of every file."""
    return [_describe(name) for name in list_pretrained()]


def pretrained(
    name: str, wiring: Wiring | None = None, stages: int | None = None
) -> runtime.Model:
    """A trained model: graph, weights and metadata, wired as asked for.

    `pvnet.compile`, `pvnet.load` and `pvnet.save` take it. The metadata says what the outputs mean:
    "task" ("joints" or "actions") and "labels" (JSON list of names). "mean" and "std" (JSON lists)
    say how frames were normalised. There are "trained_on", the measured accuracy, and as
    "pretrained" the name of the file.

    Args:
        name: a family ("par_densenet") or one file of it ("par_densenet_predictive14"). A name that
            only begins a family means that one if there is no other.
        wiring: "sequential" (None with a family): the sequential weights; "pipelined": the same
            weights, exact for any number of stages; "predictive": weights that were trained for
            this number of stages. None with a file: as it is.
        stages: K. None: as in the file; for "predictive" that of the file of largest K, or the
            fewest that a sequential file is good for. Where the
            sequential weights are cut anew, they are cut as the model's preset of K stages, and
            even in cost where there is none (`pvnet.models.rewired`).

    Raises:
        InvalidArgumentError: unknown name or wiring, or no weights for these settings; the message
            lists what there is.
    """
    model, wiring = chosen(name, wiring, stages)
    own = model.graph
    if (wiring, stages or own.n_stages) == (own.wiring, own.n_stages):
        return model
    graph = rewired(model, wiring, stages).graph
    return runtime.Model(graph, model.weights, dict(model.metadata))


def chosen(
    name: str, wiring: Wiring | None = None, stages: int | None = None
) -> tuple[runtime.Model, Wiring]:
    """What `pretrained` takes for these arguments: the model as in its file, and the wiring.

    Raises:
        InvalidArgumentError: as `pretrained`.
    """
    if wiring is not None:
        check_choice("models.pretrained", "wiring", wiring, _WIRINGS)
    if stages is not None:
        check_positive("models.pretrained", "stages", stages)
    if name in list_pretrained():
        found = [_describe(name)]
        wiring = wiring or ("predictive" if found[0].wiring == "predictive" else "sequential")
    else:
        found = _family(name)
        wiring = wiring or "sequential"
    if wiring == "predictive":
        return _load_predictive(_trained_for(name, stages, found), stages), wiring
    sequential = [one for one in found if one.wiring == "sequential"]
    if not sequential:
        raise _missing(name, wiring, stages, found)
    model = _load(sequential[0])
    if wiring == "pipelined" and stages is None and model.graph.n_stages == 1:
        raise InvalidArgumentError(
            f"[models.pretrained] a pipeline needs its number of stages: got stages=None for "
            f"{name!r}, expected at least 2. Pass stages=."
        )
    return model, wiring


def trained_relatives(model: runtime.Model, stages: int) -> list[Pretrained]:
    """Shipped predictive weights for what a model does: those for `stages` stages, else any.

    Args:
        model: a shipped one, whose family is meant, or another, of which model and the meaning of
            the outputs must be the same.
        stages: K.
    """
    family = _ENDING.sub("", model.metadata.get("pretrained", ""))
    trained = [one for one in shipped() if one.good_for]
    found = [one for one in trained if _is_like(one, family, model)]
    return [one for one in found if stages in one.good_for] or found


def _is_like(one: Pretrained, family: str, model: runtime.Model) -> bool:
    if family:
        return one.family == family
    metadata = runtime.load(pretrained_path(one.name)).metadata
    mine, name = model.metadata, model_name(model.metadata)
    return (
        name is not None
        and model_name(metadata) == name
        and all(metadata.get(key) == mine.get(key) for key in ("task", "labels"))
    )


def _describe(name: str) -> Pretrained:
    path = pretrained_path(name)
    model = runtime.load(path)
    return Pretrained(
        name=name,
        family=_ENDING.sub("", name),
        wiring=model.graph.wiring,
        stages=model.graph.n_stages,
        good_for=_good_for(model),
        task=model.metadata.get("task", ""),
        trained_on=model.metadata.get("trained_on", "unknown data"),
        accuracy=accuracy(model.metadata),
        size_bytes=path.stat().st_size,
    )


def _good_for(model: runtime.Model) -> tuple[int, ...]:
    own = {model.graph.n_stages} if model.graph.wiring == "predictive" else set()
    return tuple(sorted(own | set(predictive_stages(model.metadata))))


def accuracy(metadata: dict[str, str]) -> dict[str, float]:
    """Scores in the metadata of a model file, by name: the numbers of "held_out" and "scores"."""
    scores: dict[str, float] = {}
    for key in ("held_out", "scores", "figures"):  # the last: files that were made before 0.2
        try:
            scores |= _numbers(json.loads(metadata.get(key, "{}")), "")
        except json.JSONDecodeError:  # words, for people
            continue
    return scores


def _numbers(value: Any, name: str) -> dict[str, float]:
    if isinstance(value, dict):
        parts = [_numbers(item, f"{name} {key}".strip()) for key, item in value.items()]
        return {key: number for part in parts for key, number in part.items()}
    good = isinstance(value, int | float) and not isinstance(value, bool)
    return {name: float(value)} if good else {}


def _family(name: str) -> list[Pretrained]:
    """The files of the family `name`, or of the only one that it begins."""
    everything = shipped()
    families = sorted({one.family for one in everything})
    begun = [name] if name in families else [f for f in families if f.startswith(f"{name}_")]
    if len(begun) != 1:
        raise InvalidArgumentError(
            f"[models.pretrained] unknown pretrained model: got {name!r}, expected one of "
            f"{', '.join(map(repr, begun or families))} or a file of these: "
            f"{_listed(everything)}. Pass one of these names."
        )
    return [one for one in everything if one.family == begun[0]]


def _trained_for(name: str, stages: int | None, found: Sequence[Pretrained]) -> Pretrained:
    fitting = [o for o in found if o.good_for and (stages is None or stages in o.good_for)]
    if not fitting:
        raise _missing(name, "predictive", stages, found)
    return max(fitting, key=lambda one: one.stages)


def _load_predictive(one: Pretrained, stages: int | None) -> runtime.Model:
    model = _load(one)
    if one.wiring == "predictive" and stages in (None, one.stages):
        return model
    graph = rewired(model, "predictive", stages or min(one.good_for)).graph
    return runtime.Model(graph, model.weights, model.metadata)


def _load(one: Pretrained) -> runtime.Model:
    model = runtime.load(pretrained_path(one.name))
    return runtime.Model(model.graph, model.weights, {**model.metadata, "pretrained": one.name})


def _missing(
    name: str, wiring: str, stages: int | None, found: Sequence[Pretrained]
) -> InvalidArgumentError:
    wanted = f"wiring={wiring!r}" + ("" if stages is None else f", stages={stages}")
    return InvalidArgumentError(
        f"[models.pretrained] there are no trained weights for this: got {name!r} with {wanted}, "
        f"expected one of {_listed(found)}. Ask for one of these, for wiring='pipelined' (the "
        "sequential weights in any number of stages), or train one with `pvnet distill`."
    )


def _listed(found: Sequence[Pretrained]) -> str:
    return ", ".join(one.summary for one in found) or "none in this build"
