"""A network as a file for MediaPipe: uint8 frames in, the first output as one flat vector.

MediaPipe brings the format's description along. The peers' Python writes it (`peer.export`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from mediapipe.tasks.metadata import schema_py_generated as schema
from numpy.typing import NDArray

from peer.files import Prepared

_TYPES = {"uint8": schema.TensorType.UINT8, "float32": schema.TensorType.FLOAT32,
          "int32": schema.TensorType.INT32}  # fmt: skip
_OPERATIONS = schema.BuiltinOperator
_RELU = schema.ActivationFunctionType.RELU
_PLAIN = schema.ActivationFunctionType.NONE


class Writer:
    """Tensors and operators of a file, channels last."""

    def __init__(self) -> None:
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model = schema.ModelT()
        self.model.version, self.model.operatorCodes = 3, []
        self.model.subgraphs, self.model.buffers = [self.graph], [schema.BufferT()]

    def tensor(self, shape: Sequence[int], kind: str = "float32") -> int:
        """A map."""
        made = schema.TensorT()
        made.shape, made.type, made.buffer = list(shape), _TYPES[kind], 0
        made.name = f"t{len(self.graph.tensors)}"
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def constant(self, value: NDArray[Any]) -> int:
        """Weights, or arguments of an operator."""
        index = self.tensor(value.shape, value.dtype.name)
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        self.graph.tensors[index].buffer = len(self.model.buffers) - 1
        return index

    def shape(self, index: int) -> list[int]:
        """Of a tensor, [1, h, w, c]."""
        return list(self.graph.tensors[index].shape)

    def add(
        self, kind: str, inputs: list[int], shape: Sequence[int], options: str = "", **given: Any
    ) -> int:
        """An operator; the tensor that it writes."""
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(_OPERATIONS, kind)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
        if kind == "RESIZE_BILINEAR":
            code.version = 3  # the first that knows centres of pixels
        self.model.operatorCodes.append(code)
        made = schema.OperatorT()
        made.opcodeIndex = len(self.model.operatorCodes) - 1
        made.inputs, made.outputs = inputs, [self.tensor(shape)]
        if options:
            made.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            made.builtinOptions = getattr(schema, f"{options}T")()
            for name, value in given.items():
                setattr(made.builtinOptions, name, value)
        self.graph.operators.append(made)
        return int(made.outputs[0])

    def padded(self, x: int, a: dict[str, Any]) -> int:
        """Zeros around a map: before maps of a ReLU are pooled, they serve as well as -inf."""
        (top, left), (bottom, right) = a["padding"], a.get("padding_end", a["padding"])
        if not top + left + bottom + right:
            return x
        sides = np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32)
        shape = [n + int(s) for n, s in zip(self.shape(x), sides.sum(1))]
        return self.add("PAD", [x, self.constant(sides)], shape, "PadOptions")

    def bytes(self) -> bytes:
        """The file."""
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def written(net: Prepared) -> bytes:
    """The file of a network.

    Raises:
        NotImplementedError: it has other operations than Par-DenseNet.
    """
    out, weights = Writer(), net.weights()
    values: dict[str, int] = {}
    for node in net.nodes:
        if node["op"] == "input":
            values[node["name"]] = _frame(out, net, node["attrs"])
            continue
        xs = [values[name] for name in node["inputs"]]
        values[node["name"]] = _operation(out, node, xs, weights)
    last = values[net.outputs[0][1]]
    size = int(np.prod(out.shape(last)))
    flat = [last, out.constant(np.array([1, size], np.int32))]
    out.graph.outputs = [out.add("RESHAPE", flat, [1, size], "ReshapeOptions", newShape=[1, size])]
    return out.bytes()


def _frame(out: Writer, net: Prepared, a: dict[str, Any]) -> int:
    """uint8 pixels, normalised."""
    c, h, w = net.frame
    given = out.tensor([1, h, w, c], "uint8")
    out.graph.inputs = [given]
    options = {"inDataType": _TYPES["uint8"], "outDataType": _TYPES["float32"]}
    x = out.add("CAST", [given], [1, h, w, c], "CastOptions", **options)
    std = np.array(a["std"], np.float32)
    scale, shift = 1 / (255 * std), -np.array(a["mean"], np.float32) / std
    x = out.add("MUL", [x, out.constant(scale)], [1, h, w, c], "MulOptions")
    return out.add("ADD", [x, out.constant(shift)], [1, h, w, c], "AddOptions")


def _operation(
    out: Writer, node: dict[str, Any], xs: list[int], weights: dict[str, NDArray[np.float32]]
) -> int:
    op, a, (c, h, w) = node["op"], node["attrs"], node["shape"]
    shape, valid = [1, h, w, c], schema.Padding.VALID
    if op == "conv3d" and a["groups"] == 1 and a["act"] in ("relu", "none"):
        weight = weights[f"{node['name']}.weight"][:, :, 0].transpose(0, 2, 3, 1)
        layer = [out.constant(weight), out.constant(weights[f"{node['name']}.bias"])]
        return out.add(
            "CONV_2D", [out.padded(xs[0], a), *layer], shape, "Conv2DOptions", padding=valid,
            strideH=a["stride"][1], strideW=a["stride"][2],
            fusedActivationFunction=_RELU if a["act"] == "relu" else _PLAIN,
        )  # fmt: skip
    if op in ("max_pool", "avg_pool"):
        kind = "MAX_POOL_2D" if op == "max_pool" else "AVERAGE_POOL_2D"
        return out.add(
            kind, [out.padded(xs[0], a)], shape, "Pool2DOptions", padding=valid,
            filterHeight=a["kernel"][1], filterWidth=a["kernel"][2], strideH=a["stride"][1],
            strideW=a["stride"][2],
        )  # fmt: skip
    if op == "concat":
        return out.add("CONCATENATION", xs, shape, "ConcatenationOptions", axis=3)
    if op == "upsample" and a["mode"] == "bilinear" and not a.get("align_corners"):
        size = out.constant(np.array([h, w], np.int32))
        return out.add(
            "RESIZE_BILINEAR", [xs[0], size], shape, "ResizeBilinearOptions",
            halfPixelCenters=True,
        )  # fmt: skip
    raise NotImplementedError(f"{op} is not part of what MediaPipe is given")
