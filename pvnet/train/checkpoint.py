"""Checkpoints: everything a run needs to go on, in one safetensors file, without pickle.

`state.safetensors` holds weights, their EMA, optimiser, random generators, carried rings and
(JSON, in its metadata) the step, the configuration and the position in the data. It is written
beside and renamed, so whatever moment a run is killed at, one whole checkpoint is there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from pvnet.data.files.locks import lock_if_free
from pvnet.errors import FileError, StateError
from pvnet.files import write_whole
from pvnet.train.config import Config
from pvnet.train.old_keys import rename_old_keys

FORMAT = "pvnet-training-state"
VERSION = 1


@contextmanager
def only_run(folder: Path) -> Iterator[None]:
    """No second run in this folder for as long as the first lives, where the system can tell.

    Raises:
        StateError: there is one.
    """
    with lock_if_free(folder) as free:
        if not free:
            raise StateError(
                f"[train] the folder is in use: got {str(folder)!r}, in which another process "
                "trains, expected one run at a time. Wait for it, or pass another folder."
            )
        yield


def save_state(path: Path, tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> None:
    """Writes tensors by name and a JSON document, atomically."""
    plain = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    text = json.dumps({"format": FORMAT, "version": VERSION, **document})
    write_whole(path, to_bytes(plain, metadata={"state": text}), where="train")


def document_of(path: Path) -> dict[str, Any]:
    """The JSON document of what `save_state` wrote, without its tensors.

    Raises:
        FileError: damaged, or no checkpoint of this version.
    """
    with _open(path) as file:
        return _document(file, path)


def load_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads what `save_state` wrote.

    Raises:
        FileError: missing, damaged, or no checkpoint of this version.
    """
    with _open(path) as file:
        document = _document(file, path)
        return {key: file.get_tensor(key) for key in file.keys()}, document  # noqa: SIM118


def _document(file: Any, path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((file.metadata() or {}).get("state", "{}"))
    if document.get("format") != FORMAT or document.get("version") != VERSION:
        raise FileError(
            f"[train.checkpoint] {path} is no training state: got format "
            f"{document.get('format')!r} version {document.get('version')!r}, expected "
            f"{FORMAT!r} version {VERSION}. Start the run in an empty folder."
        )
    return document


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    try:
        with safe_open(str(path), framework="pt") as file:
            yield file
    except (OSError, SafetensorError, json.JSONDecodeError) as error:
        if isinstance(error, FileError):
            raise
        raise FileError(
            f"[train.checkpoint] {path} cannot be read: got {error}, expected a training state. "
            "Remove it to start over."
        ) from None


def add_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every name with `prefix.` in front."""
    return {f"{prefix}.{k}": v for k, v in tensors.items()}


def take_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What `add_prefix` put there, names as before."""
    return {k[len(prefix) + 1 :]: v for k, v in tensors.items() if k.startswith(prefix + ".")}


def optimiser_state(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's tensors, `<parameter index>.<name>`; its rates follow from the step."""
    state = optimiser.state_dict()["state"]
    return {
        f"{index}.{name}": value
        for index, entry in state.items()
        for name, value in entry.items()
        if isinstance(value, Tensor)
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Puts tensors back with the memory layout of their parameters, as a run would have them."""
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        parameter = parameters[int(index)]
        if value.shape == parameter.shape and value.is_floating_point():
            value = torch.empty_like(parameter).copy_(value)
        state.setdefault(int(index), {})[name] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def read_generators() -> dict[str, Tensor]:
    """The states of torch's random generators."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def restore_generators(states: Mapping[str, Tensor]) -> None:
    """Puts them back."""
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])


# What may change between two parts of one run without changing its losses.
FREE = {
    ("run", "log_every"),
    ("run", "checkpoint_every"),
    ("run", "tensorboard"),
    ("run", "minutes"),
    ("run", "patience"),
    ("data", "workers"),
    ("data", "held_out"),
}


def check_same_run(then: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> None:
    """Refuses to continue a run with another configuration; more steps extend it.

    Raises:
        StateError: which key differs.
    """
    defaults = Config().to_dict()
    then = rename_old_keys(then, tell=False)
    for section, values in now.items():
        for key, value in values.items():
            # What an older version did not write had the value that it has by default now.
            before = then.get(section, {}).get(key, defaults[section][key])
            more = (section, key) == ("run", "steps") and value > before
            if before != value and (section, key) not in FREE and not more:
                raise StateError(
                    f"[train] {folder} holds another run: got {section}.{key} = {value!r}, "
                    f"expected {before!r} as in its checkpoint. Choose an empty folder, or the "
                    "same values."
                )
