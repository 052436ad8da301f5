"""Arguments of the builders in the one form that the core takes."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, SupportsIndex

from pvnet.errors import InvalidArgumentError

Triple = int | Sequence[int]
Pair = int | Sequence[int]


def refuse(where: str, what: str, got: object, expected: str, cure: str) -> InvalidArgumentError:
    """The error of a wrong argument."""
    shown = repr(got)
    shown = shown if len(shown) <= 120 else shown[:117] + "..."
    return InvalidArgumentError(f"[{where}] {what}: got {shown}, expected {expected}. {cure}")


def integer(where: str, name: str, value: SupportsIndex) -> int:
    """`value` as an int; numpy integers are integers, bools and floats are not."""
    if not isinstance(value, bool):
        try:
            return operator.index(value)
        except TypeError:
            pass
    raise refuse(where, f"{name} is no integer", value, "an integer", f"Give {name} as an int.")


def integers(where: str, name: str, value: Any, *, count: int) -> list[int]:
    """`value` as `count` ints; one int stands for all of them."""
    form = "(time, height, width)" if count == 3 else "(height, width)"
    many = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(many, Sequence) and not isinstance(many, str):
        if len(many) == count:
            return [integer(where, name, v) for v in many]
    elif not isinstance(many, (bool, float, str)) and hasattr(many, "__index__"):
        return [operator.index(many)] * count
    raise refuse(
        where,
        f"{name} has a wrong form",
        value,
        f"one integer or {count} of them, {form}",
        f"Give {name}={form}.",
    )


def shape(where: str, value: Any) -> list[int]:
    """`value` as a shape [c, h, w]."""
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 3:
        return [integer(where, "like", v) for v in value]
    cure = "Give the shape of the target."
    raise refuse(where, "like is no shape", value, "(c, h, w) or a node", cure)


def paddings(
    where: str, value: Any, *, kernel: Sequence[int], dilation: Sequence[int]
) -> list[int]:
    """(height, width) padding per side; "same" keeps the size of odd kernels at stride 1."""
    if isinstance(value, str):
        if value != "same":
            raise refuse(
                where, "padding is unknown", value, '"same" or numbers', 'Give padding="same".'
            )
        return [((kernel[i] - 1) * dilation[i]) // 2 for i in (1, 2)]
    return integers(where, "padding", value, count=2)


def numbers(where: str, name: str, value: Any, *, count: int) -> list[float]:
    """`value` as `count` finite floats; one number stands for all of them."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    many = list(value) if isinstance(value, (list, tuple)) else [value] * max(count, 0)
    good = all(
        isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v) for v in many
    )
    if not good or len(many) != count:
        raise refuse(
            where,
            f"{name} has a wrong form",
            value,
            f"one finite number or {count} of them, one per channel",
            f"Give {name} per channel.",
        )
    return [float(v) for v in many]


def truth(where: str, name: str, value: object) -> bool:
    """`value`, which must be a bool."""
    if isinstance(value, bool):
        return value
    raise refuse(where, f"{name} is no bool", value, "True or False", f"Give {name} as a bool.")


def word(where: str, name: str, value: object) -> str:
    """`value`, which must be text (or None for an activation: "none")."""
    if value is None and name == "act":
        return "none"
    if isinstance(value, str):
        return value
    raise refuse(where, f"{name} is no word", value, "a string", f"Give {name} as a str.")
