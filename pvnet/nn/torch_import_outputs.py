"""The outputs of an imported module and their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree

from pvnet.errors import InvalidArgumentError
from pvnet.nn.torch_import import Importer, Refused, Value
from pvnet.nn.torch_import_refusals import Refusals
from pvnet.nn.torch_import_views import as_map


def add_outputs(
    importer: Importer,
    exported: torch.export.ExportedProgram,
    names: Sequence[str] | None,
    refused: Refusals,
) -> None:
    """Declares what the module returns as outputs of the graph."""
    results: Any = exported.graph.output_node().args[0]
    names = _names(exported, len(results)) if names is None else _given(names, len(results))
    for name, result in zip(names, results):
        try:
            value = importer.value(result)
            if value.index is not None and not _in_order(value.index):
                value = as_map(importer, result)
        except Refused as reason:
            told = reason if _is_map(importer, result) else Refused(
                "no map computed from the frame", "Return maps, or one of them."
            )  # fmt: skip
            refused.add("output", name, told)
            continue
        importer.outputs.append({"name": name, "node": value.node})


def _is_map(importer: Importer, result: Any) -> bool:
    return isinstance(importer.values.get(getattr(result, "name", "")), Value)


def _in_order(index: Tensor) -> bool:
    """Whether a view only has another shape; an output of pvnet is [c, h, w] or [c]."""
    flat = index.reshape(-1)
    return torch.equal(flat, torch.arange(flat.numel()))


def _given(names: Sequence[str], count: int) -> list[str]:
    listed = [names] if isinstance(names, str) else list(names)
    if len(listed) != count or len(set(listed)) != count:
        raise InvalidArgumentError(
            f"[from_torch] the names of the outputs do not fit: got {listed}, expected {count} "
            "different names. Give one for every tensor that the module returns."
        )
    return listed


def _names(exported: torch.export.ExportedProgram, count: int) -> list[str]:
    """Keys of a dict that the module returns, else numbers."""
    numbered = ["output"] if count == 1 else [f"output_{i}" for i in range(count)]
    spec = exported.call_spec.out_spec
    if spec is None or spec.num_leaves != count:
        return numbered
    tree = _pytree.tree_unflatten(list(range(count)), spec)
    if not isinstance(tree, dict):
        return numbered
    paths, _ = _pytree.tree_flatten_with_path(tree)
    keys = ["_".join(re.findall(r"[A-Za-z0-9_-]+", _pytree.keystr(path))) for path, _ in paths]
    fit = len(set(keys)) == count and all(re.match(r"[A-Za-z_]", key) for key in keys)
    return keys if fit else numbered
