"""Arguments of the builders in the one form that the core takes."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, SupportsIndex

from pvnet.errors import InvalidArgumentError

Triple = int | Sequence[int]
Pair = int | Sequence[int]
# A name, or a name and its numbers: ("clamp", low, high), None for no bound.
Activation = str | tuple[str | float | None, ...] | None

# Numbers that may follow the name of an activation.
_ACT_NUMBERS = {"clamp": ("act_low", "act_high")}
_RELU6 = ("clamp", 0.0, 6.0)


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


def activation(where: str, value: Any) -> dict[str, Any]:
    """The attributes of an activation: `act`, and its numbers where they are given."""
    if value is None:
        return {"act": "none"}
    if value == "relu6":
        value = _RELU6
    if isinstance(value, str):
        return {"act": value}
    if not isinstance(value, (tuple, list)) or not value or not isinstance(value[0], str):
        raise refuse(
            where, "act is no activation", value, 'a name, or as ("clamp", 0, 6)',
            "Give act as a str or a tuple.",
        )  # fmt: skip
    name, *given = value
    names = _ACT_NUMBERS.get(name, ())
    good = len(given) <= len(names) and all(
        x is None or (isinstance(x, (int, float)) and not isinstance(x, bool) and math.isfinite(x))
        for x in given
    )
    if not good:
        expected = f"at most {len(names)} numbers, each finite or None" if names else "no number"
        raise refuse(
            where, f"act {name} has wrong numbers", tuple(given), expected, "Change its numbers."
        )
    return {"act": name, **dict(zip(names, given))}


def padding_pairs(
    where: str, value: Any, *, kernel: Sequence[int], dilation: Sequence[int]
) -> dict[str, list[int]]:
    """`padding`, and `padding_end` where the two sides of a map are padded differently.

    ((top, bottom), (left, right)) says both sides; what else there is, `paddings` has.
    """
    if isinstance(value, (tuple, list)) and any(isinstance(v, (tuple, list)) for v in value):
        good = len(value) == 2 and all(isinstance(v, (tuple, list)) and len(v) == 2 for v in value)
        if not good:
            raise refuse(
                where, "padding has a wrong form", value, "((top, bottom), (left, right))",
                "Give a pair of pairs.",
            )  # fmt: skip
        start, end = ([integer(where, "padding", v[side]) for v in value] for side in (0, 1))
        return {"padding": start, "padding_end": end}
    return {"padding": paddings(where, value, kernel=kernel, dilation=dilation)}


def word(where: str, name: str, value: object) -> str:
    """`value`, which must be text."""
    if isinstance(value, str):
        return value
    raise refuse(where, f"{name} is no word", value, "a string", f"Give {name} as a str.")
