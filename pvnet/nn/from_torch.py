"""from_torch: an ordinary feed-forward network of torch becomes a Network that runs on video."""

from __future__ import annotations

import json
import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.export.graph_signature import OutputKind

from pvnet.errors import InvalidArgumentError, UnsupportedError
from pvnet.nn.network import Network
from pvnet.nn.torch_import import Importer, Refused, Value
from pvnet.nn.torch_import_ops import CONVERTERS


def from_torch(module: nn.Module, example: Tensor, *, causal: bool = False) -> Network:
    """Copies a convolutional network, weights included, into a Network of one stage.

    The result computes for every frame what module.eval() computes for one image. Supported are
    conv2d, conv3d, batch norm, relu, silu, sigmoid, softmax, max and average pooling, adaptive
    average pooling to 1, mean over space, cat, add, mul, linear, flatten, dropout and interpolation
    (nearest, bilinear). Batch norm and activations that follow a convolution become part of it.
    What is written in place is followed through views; where that reaches a part of a map only, or
    state that outlives the frame, the module is refused. That the frame itself is changed is not
    imitated.

    Args:
        module: takes one tensor; it is exported in eval mode and left as it was.
        example: [b, c, h, w], or [b, c, t, h, w] for a network of 3D layers.
        causal: allows temporal kernels above 1, whose padding then lies in the past: such a network
            computes something else than before, and should be fine-tuned. Pooling over all time
            becomes pooling over the last t firings.

    Returns:
        A Network in sequential wiring, in eval mode, with the output "output" ("output_0", ... if
        the module returns several).

    Raises:
        UnsupportedError: the module uses anything else; the message lists it all with its module.
        InvalidArgumentError: the example is no batch of images or clips.
    """
    if example.dim() not in (4, 5):
        raise InvalidArgumentError(
            f"[from_torch] the example has the wrong shape: got {list(example.shape)}, expected "
            "[b, c, h, w] or [b, c, t, h, w]. Add a batch dimension."
        )
    exported = _export(module, example)
    tensors = {**dict(exported.named_parameters()), **dict(exported.named_buffers())}
    tensors.update(exported.constants)
    importer = Importer(causal=causal)
    signature = exported.graph_signature
    stored = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    stored.update(signature.inputs_to_lifted_tensor_constants)
    refused: list[str] = _own_outputs_only(exported)
    for node in exported.graph_module.graph.nodes:
        if node.op == "placeholder":
            if node.name in stored:
                importer.tensors[node.name] = tensors[stored[node.name]].detach()
            else:
                importer.add_input(node, example)
        elif node.op == "output":
            if not refused:
                _outputs(importer, node.args[0], refused)
        elif node.op == "call_function":
            _convert(importer, node, refused)
    if refused:
        listing = "".join(f"\n  {line}" for line in refused)
        raise UnsupportedError(
            f"[from_torch] the module cannot be imported: got {len(refused)} unsupported "
            f"operations, expected only those that from_torch lists. Replace{listing}\n"
            "or build the network with pvnet.Graph."
        )
    return _network(importer)


def _export(module: nn.Module, example: Tensor) -> torch.export.ExportedProgram:
    """module.eval() as a graph of aten operations."""
    training = [(m, m.training) for m in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
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


def _writes(exported: torch.export.ExportedProgram) -> bool:
    """Whether any operation writes into a tensor that it is given."""
    schemas = (getattr(node.target, "_schema", None) for node in exported.graph.nodes)
    return any(schema is not None and schema.is_mutable for schema in schemas)


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
    exported.graph.eliminate_dead_code()
    harmless = (OutputKind.USER_OUTPUT, OutputKind.USER_INPUT_MUTATION)
    return [
        f"{spec.target}: changed by every frame, expected no state"
        for spec in specs
        if spec.kind not in harmless
    ]


def _convert(importer: Importer, node: torch.fx.Node, refused: list[str]) -> None:
    name = str(node.target).removesuffix(".default")
    converter = CONVERTERS.get(str(node.target)) or CONVERTERS.get(name)
    where = importer.module_path(node) or "the top level"
    if converter is None:
        refused.append(f"{name} in {where}: not supported")
        importer.broken.add(node.name)
        return
    if any(a.name in importer.broken for a in node.all_input_nodes):
        importer.broken.add(node.name)  # one line per cause is enough
        return
    importer.users[node.name] = len(node.users)
    try:
        importer.values[node.name] = converter(importer, node)
    except Refused as reason:
        refused.append(f"{name} in {where}: {reason}")
        importer.broken.add(node.name)


def _outputs(importer: Importer, results: Any, refused: list[str]) -> None:
    results = results if isinstance(results, list | tuple) else [results]
    for i, result in enumerate(results):
        value = importer.values.get(getattr(result, "name", ""))
        if not isinstance(value, Value):
            refused.append(f"output {i}: not a map computed from the input")
            continue
        name = "output" if len(results) == 1 else f"output_{i}"
        importer.outputs.append({"name": name, "node": value.node})


def _network(importer: Importer) -> Network:
    import pvnet

    spec = {
        "format": "pvnet-graph",
        "version": 1,
        "wiring": "sequential",
        "nodes": importer.specs,
        "outputs": importer.outputs,
    }
    net = Network(pvnet.Graph.from_json(json.dumps(spec)))
    first = next(iter(importer.weights.values()), None)
    if first is not None:
        net.to(dtype=first.dtype, device=first.device)
    net.load_weights(importer.weights)
    return net.eval()
