"""Which number a class has in a model, whatever number it has in a data set."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from pvnet.data.files.lists import normalise
from pvnet.errors import InvalidArgumentError

_SHOWN = 5


def labels_of(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """The names of a model's outputs, () where its file does not say."""
    try:
        labels = json.loads(metadata.get("labels", "[]"))
    except json.JSONDecodeError:
        return ()
    return tuple(map(str, labels)) if isinstance(labels, list) else ()


def class_numbers(labels: Sequence[str], classes: Sequence[str], name: str) -> list[int] | None:
    """The model's number of every class of a data set, by name.

    Args:
        labels: of the model.
        classes: of the data set.
        name: of the data set.

    Returns:
        None where the numbers are the same, or either side has no names.

    Raises:
        InvalidArgumentError: the model does not know a class.
    """
    known, asked = [normalise(x) for x in labels], [normalise(x) for x in classes]
    if not known or not asked or known[: len(asked)] == asked:
        return None
    strange = [c for c, x in zip(classes, asked) if x not in known]
    if strange:
        raise InvalidArgumentError(
            f"[evaluate] the model was trained for other classes than {name} has: got "
            f"{_some(strange)}, expected some of {_some(labels)}. Use data of the same classes, or "
            "give both the same list of names (labels=FILE)."
        )
    return [known.index(x) for x in asked]


def check_teacher(labels: Sequence[str], classes: Sequence[str]) -> None:
    """Refuse a teacher whose outputs mean something else than those of its student.

    Raises:
        InvalidArgumentError: which names differ.
    """
    if labels and classes and [normalise(x) for x in labels] != [normalise(x) for x in classes]:
        raise InvalidArgumentError(
            f"[train] the outputs of the teacher mean something else: got {_some(labels)}, "
            f"expected {_some(classes)} as in the data. Use a teacher of the same classes, or "
            "distill.outputs=false."
        )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
