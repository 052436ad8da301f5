"""from_torch: an ordinary feed-forward network of torch becomes a Network that runs on video."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export.graph_signature import OutputKind

from pvnet.errors import InvalidArgumentError, UnsupportedError
from pvnet.nn.network import Network
from pvnet.nn.torch_import import Importer, Refused
from pvnet.nn.torch_import_ops import CONVERTERS, cure_of
from pvnet.nn.torch_import_outputs import add_outputs
from pvnet.nn.torch_import_pools import finite_pads
from pvnet.nn.torch_import_refusals import Refusals


def from_torch(
    module: nn.Module,
    example: Tensor,
    *,
    causal: bool = False,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    labels: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
) -> Network:
    """Copies a convolutional network, weights included, into a Network of one stage.

    The result computes for every frame what module.eval() computes for one image. docs/import.md
    lists the operations. Batch norm, activations, factors and padding become part of the operation
    beside them where that is possible. What is written in place is followed through views; where
    that reaches a part of a map only, or state that outlives the frame, the module is refused. That
    the frame itself is changed is not imitated.

    Args:
        module: takes one tensor; it is exported in eval mode and left as it was.
        example: [b, c, h, w], or [b, c, t, h, w] for a network of 3D layers.
        causal: allows temporal kernels above 1, whose padding then lies in the past: such a network
            computes something else than before, and should be fine-tuned. Pooling over all time
            becomes pooling over the last t firings.
        mean: subtracted from uint8 frames after their division by 255, per channel.
        std: uint8 frames are divided by it after that, per channel.
        labels: names of the classes, kept as `labels` in the metadata of the model file.
        outputs: names, one per tensor that the module returns. None: "output", or the keys
            of a dict that it returns, or "output_0", ... of several.

    Returns:
        A Network in sequential wiring, in eval mode.

    Raises:
        UnsupportedError: the module uses anything else; the message has a line for every kind of
            operation, with the modules that use it and a cure.
        InvalidArgumentError: the example is no batch of images or clips; mean, std or outputs do
            not fit.
    """
    if example.dim() not in (4, 5):
        raise InvalidArgumentError(
            f"[from_torch] the example has the wrong shape: got {list(example.shape)}, expected "
            "[b, c, h, w] or [b, c, t, h, w]. Add a batch dimension."
        )
    constants = _normalisation(int(example.shape[1]), mean=mean, std=std)
    exported = _export(module, example)
    importer, refused = Importer(causal=causal), Refusals()
    for target in _own_outputs_only(exported):
        refused.add("state", str(target), Refused("changed by every frame", "Keep no state."))
    _walk(importer, exported, example, constants, refused)
    if not refused:
        add_outputs(importer, exported, outputs, refused)
    refused.check()
    return _network(importer, {} if labels is None else {"labels": json.dumps(list(labels))})


def _normalisation(channels: int, **given: float | Sequence[float] | None) -> dict[str, Any]:
    """Attributes of the input node."""
    from pvnet.graph import arguments

    return {
        name: arguments.numbers("from_torch", name, value, count=channels)
        for name, value in given.items()
        if value is not None
    }


def _walk(
    importer: Importer,
    exported: torch.export.ExportedProgram,
    example: Tensor,
    constants: Mapping[str, Any],
    refused: Refusals,
) -> None:
    """Converts every operation, in order; what depends on no frame is computed at once."""
    tensors = {**dict(exported.named_parameters()), **dict(exported.named_buffers())}
    tensors.update(exported.constants)
    signature = exported.graph_signature
    stored = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    stored.update(signature.inputs_to_lifted_tensor_constants)
    for node in exported.graph.nodes:
        if node.op == "placeholder":
            if node.name in stored:
                importer.tensors[node.name] = tensors[stored[node.name]].detach().cpu()
            else:
                importer.add_input(node, example, dict(constants))
        elif node.op == "call_function":
            _convert(importer, node, refused)


def _export(module: nn.Module, example: Tensor) -> torch.export.ExportedProgram:
    """module.eval() as a graph of aten operations."""
    training = [(m, m.training) for m in module.modules()]
    module.eval()
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of operations that need a copy
            exported = torch.export.export(module, (example,))
            return _without_writes(exported) if _writes(exported) else exported
    except Exception as error:
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else ""
        raise UnsupportedError(
            f"[from_torch] torch.export cannot trace the module: got {type(error).__name__} "
            f"({first_line}), expected a feed-forward module of one tensor. Remove "
            "data-dependent control flow, or build the network with pvnet.Graph."
        ) from error
    finally:
        for m, was in training:
            m.training = was


# Operations whose result is memory of its own.
_FRESH = ("conv2d", "conv3d", "conv_transpose2d", "batch_norm", "linear", "cat", "add", "mul")


def _writes(exported: torch.export.ExportedProgram) -> bool:
    """Whether any operation writes into a tensor that somebody else may read."""
    return any(_is_mutable(n) and not _is_private(n) for n in exported.graph.nodes)


def _is_mutable(node: fx.Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return schema is not None and bool(schema.is_mutable)


def _is_private(node: fx.Node) -> bool:
    """Whether what an operation writes into is a fresh result that it alone reads."""
    _, *others = node.target._schema.arguments  # type: ignore[union-attr]
    source = node.args[0]
    if any(a.alias_info is not None and a.alias_info.is_write for a in others):
        return False
    if not isinstance(source, fx.Node) or len(source.users) != 1:
        return False
    if _is_mutable(source):
        return _is_private(source)
    return str(source.target).removeprefix("aten.").split(".")[0] in _FRESH


def _without_writes(exported: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """The same program without writes in place: every alias reads what was written last."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch's own, of its own trees
        pure: torch.export.ExportedProgram = exported.run_decompositions({})
    return pure


def _own_outputs_only(exported: torch.export.ExportedProgram) -> list[str]:
    """Leaves what the module returns, and what that needs; tells what outlives the frame."""
    specs = exported.graph_signature.output_specs
    output = exported.graph.output_node()
    results = output.args[0]
    assert isinstance(results, list | tuple)
    kept = [r for r, spec in zip(results, specs) if spec.kind == OutputKind.USER_OUTPUT]
    output.args = (tuple(kept),)
    for node in reversed(exported.graph.nodes):
        if "_assert" in str(node.target) and not node.users:
            exported.graph.erase_node(node)
    exported.graph.eliminate_dead_code()
    harmless = (OutputKind.USER_OUTPUT, OutputKind.USER_INPUT_MUTATION)
    return [str(spec.target) for spec in specs if spec.kind not in harmless]


# Operations that only read the shape and type of a map.
_OF_SHAPE = ("new_zeros", "new_ones", "new_full", "zeros_like", "ones_like", "full_like")


def _convert(importer: Importer, node: fx.Node, refused: Refusals) -> None:
    name = str(node.target).removesuffix(".default")
    where = importer.module_path(node) or "the top level"
    if any(a.name in importer.broken for a in node.all_input_nodes):
        importer.broken.add(node.name)  # one line per cause is enough
        if _converter(node) is not None:
            return
    try:
        known = all(a.name in importer.tensors for a in node.all_input_nodes)
        if known or name.removeprefix("aten.").split(".")[0] in _OF_SHAPE:
            importer.tensors[node.name] = _computed(importer, node)
            return
        converter = _converter(node)
        if converter is None:
            raise Refused("not supported", cure_of(name))
        importer.users[node.name] = len(node.users)
        importer.values[node.name] = converter(importer, node)
    except Refused as reason:
        refused.add(name, where, reason)
        importer.broken.add(node.name)


def _converter(node: fx.Node) -> Any:
    name = str(node.target)
    return CONVERTERS.get(name) or CONVERTERS.get(name.removesuffix(".default"))


def _computed(importer: Importer, node: fx.Node) -> Any:
    """The result of an operation on parameters and constants alone."""

    def known(argument: fx.Node) -> Any:
        val = argument.meta["val"]
        found = importer.tensors.get(argument.name)
        if found is None:
            return torch.zeros(val.shape, dtype=val.dtype)
        return found.clone() if isinstance(found, Tensor) else found

    args, kwargs = fx.node.map_arg((node.args, node.kwargs), known)
    try:
        with torch.no_grad():
            return node.target(*args, **kwargs)  # type: ignore[operator]
    except Exception as error:
        raise Refused(f"cannot be computed before the frame comes ({error})") from error


def _network(importer: Importer, metadata: dict[str, str]) -> Network:
    import pvnet

    finite_pads(importer)
    spec = {
        "format": "pvnet-graph",
        "version": 1,
        "wiring": "sequential",
        "nodes": list(importer.specs.values()),
        "outputs": importer.outputs,
    }
    net = Network(pvnet.Graph.from_json(json.dumps(spec)), metadata=metadata)
    first = next(iter(importer.weights.values()), None)
    if first is not None:
        net.to(dtype=first.dtype, device=first.device)
    net.load_weights(importer.weights)
    return net.eval()
