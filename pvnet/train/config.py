"""The configuration of a training run: one TOML file, overrides `key=value`, frozen dataclasses."""

from __future__ import annotations

import dataclasses
import math
import os
import tomllib
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pvnet.errors import FileError, InvalidArgumentError
from pvnet.train.config_sections import (
    DataConfig,
    DistillConfig,
    LossConfig,
    ModelConfig,
    OptimiserConfig,
    RunConfig,
    ScheduleConfig,
)
from pvnet.train.old_keys import rename_old_keys


@dataclass(frozen=True)
class Config:
    """Everything that decides the result of a run."""

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    distill: DistillConfig = field(default_factory=DistillConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    run: RunConfig = field(default_factory=RunConfig)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `from_dict` and JSON take them."""
        return typing.cast("dict[str, Any]", _plain(dataclasses.asdict(self)))

    @staticmethod
    def from_dict(document: Mapping[str, Any]) -> Config:
        """From nested tables; unknown keys and wrong types are refused.

        Raises:
            InvalidArgumentError: which key, what it got, what is possible.
        """
        config: Config = _parse(Config, rename_old_keys(document), "")
        _check(config)
        return config


def load_config(path: str | os.PathLike[str] | None, overrides: Sequence[str] = ()) -> Config:
    """Reads a TOML file and applies overrides.

    Args:
        path: of the file; None: defaults only.
        overrides: `section.key=value`, the value as in TOML; bare words are strings.

    Raises:
        FileError: no such file, or no TOML.
        InvalidArgumentError: unknown keys, wrong types, values out of range.
    """
    document: dict[str, Any] = {}
    if path is not None:
        try:
            document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise FileError(
                f"[config] the configuration cannot be read: got {error} in {os.fspath(path)!r}, "
                "expected a TOML file. Check the path and the syntax."
            ) from None
    for override in overrides:
        set_override(document, override)
    return Config.from_dict(document)


def set_override(document: dict[str, Any], override: str) -> None:
    """Puts `section.key=value` into nested tables.

    Raises:
        InvalidArgumentError: it has another form.
    """
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise InvalidArgumentError(
            f"[config] this is no override: got {override!r}, expected section.key=value. "
            "Write for example run.steps=100."
        )
    _set(document, key.split("."), _value(text), override)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _set(document: dict[str, Any], path: Sequence[str], value: Any, override: str) -> None:
    for part in path[:-1]:
        document = document.setdefault(part, {})
        if not isinstance(document, dict):
            raise InvalidArgumentError(
                f"[config] {part!r} is no section: got {override!r}, expected section.key=value. "
                "Write for example run.steps=100."
            )
    document[path[-1]] = value


def _parse(kind: type[Any], document: Mapping[str, Any], where: str) -> Any:
    types = typing.get_type_hints(kind)
    unknown = sorted(set(document) - set(types))
    if unknown:
        raise InvalidArgumentError(
            f"[config] unknown key: got {where}{unknown[0]}, expected one of "
            f"{', '.join(where + name for name in types)}. Correct or remove it."
        )
    values = {}
    for name, given in document.items():
        wanted = types[name]
        if dataclasses.is_dataclass(wanted):
            if not isinstance(given, Mapping):
                raise _wrong(f"{where}{name}", given, "a table")
            values[name] = _parse(typing.cast("type[Any]", wanted), given, f"{where}{name}.")
        else:
            values[name] = _cast(wanted, given, f"{where}{name}")
    return kind(**values)


def _cast(wanted: Any, given: Any, key: str) -> Any:
    origin = typing.get_origin(wanted)
    if origin is Literal:
        choices = typing.get_args(wanted)
        if given not in choices:
            raise _wrong(key, given, "one of " + ", ".join(map(repr, choices)))
        return given
    if origin is tuple:
        inner = typing.get_args(wanted)[0]
        if not isinstance(given, list | tuple):
            raise _wrong(key, given, f"a list of {inner.__name__}")
        return tuple(_cast(inner, item, key) for item in given)
    if origin is dict:
        if not isinstance(given, Mapping):
            raise _wrong(key, given, "a table")
        return dict(given)
    if wanted is float and isinstance(given, int) and not isinstance(given, bool):
        return float(given)
    if not isinstance(given, wanted) or (wanted is int and isinstance(given, bool)):
        raise _wrong(key, given, f"a value of type {wanted.__name__}")
    return given


def _wrong(key: str, given: Any, expected: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"[config] wrong value of {key}: got {given!r}, expected {expected}. Correct it."
    )


# section.key: (smallest, largest) value; None: no limit.
_RANGES: dict[str, tuple[float, float | None]] = {
    "run.steps": (1, None),
    "run.batch": (1, None),
    "run.seed": (0, None),
    "run.carry": (0, None),
    "run.ema": (0, 0.999999),
    "run.threads": (0, None),
    "run.log_every": (1, None),
    "run.checkpoint_every": (1, None),
    "run.minutes": (0, None),
    "run.validate_every": (0, None),
    "run.patience": (0, None),
    "model.stages": (1, None),
    "data.split": (1, None),
    "data.frames": (1, None),
    "data.fps": (0, None),
    "data.workers": (0, None),
    "data.video_frames": (0, None),
    "data.copies": (1, None),
    "loss.warm_up": (-1, None),
    "loss.prediction_latency": (0, None),
    "loss.sigma": (1e-3, None),
    "loss.positive_weight": (0, None),
    "loss.smoothing": (0, 0.999999),
    "distill.weight": (0, None),
    "optimiser.rate": (0, None),
    "optimiser.weight_decay": (0, None),
    "optimiser.momentum": (0, 0.999999),
    "optimiser.clip_norm": (0, None),
    "optimiser.accumulate": (1, None),
    "schedule.warm_up_steps": (0, None),
    "schedule.factor": (0, 1),
    "schedule.floor": (0, 1),
}


def _check(config: Config) -> None:
    for key, (low, high) in _RANGES.items():
        section, name = key.split(".")
        value = getattr(getattr(config, section), name)
        if not low <= value <= (math.inf if high is None else high):  # NaN is neither
            limits = f"at least {low:g}" if high is None else f"{low:g} to {high:g}"
            raise _wrong(key, value, limits)
    if not all(0 <= m <= 1 for m in config.schedule.milestones):
        raise _wrong("schedule.milestones", config.schedule.milestones, "shares of the run, 0 to 1")
    if config.run.cuda_graph and (config.run.carry or config.optimiser.accumulate > 1):
        raise InvalidArgumentError(
            f"[config] a captured step is one batch of whole clips: got run.carry = "
            f"{config.run.carry} and optimiser.accumulate = {config.optimiser.accumulate}, "
            "expected 0 and 1. Set run.cuda_graph=false."
        )
    if config.data.copies > 1 and not (config.data.resident and config.data.video_frames):
        raise InvalidArgumentError(
            f"[config] only a resident set has copies, of videos of one length: got data.copies = "
            f"{config.data.copies}, data.resident = {config.data.resident} and data.video_frames = "
            f"{config.data.video_frames}, expected data.resident = True and a length. Set them, or "
            "data.copies=1."
        )
    if config.run.patience and not config.run.validate_every:
        raise InvalidArgumentError(
            f"[config] nobody looks at held-out clips: got run.patience = {config.run.patience} "
            "and run.validate_every = 0, expected steps between two looks. Set "
            "run.validate_every, or run.patience=0."
        )
    if config.run.carry and config.run.validate_every:
        raise InvalidArgumentError(
            "[config] held-out clips are whole clips: got run.carry and run.validate_every, "
            "expected one of them. Set run.validate_every=0."
        )
    if config.run.carry and config.distill.teacher:
        raise InvalidArgumentError(
            "[config] distillation looks at whole clips: got run.carry and distill.teacher, "
            "expected one of them. Set run.carry=0."
        )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value
