"""The converter of every operation, and what ends a network."""

from __future__ import annotations

from collections.abc import Callable

from pvnet.onnx_import.file import Node
from pvnet.onnx_import.importer import Importer, Value
from pvnet.onnx_import.ops import activation, conv, elementwise, layout, norm, parts, pool
from pvnet.onnx_import.ops.resize import resize

Converter = Callable[[Importer, Node], list[Value]]

CONVERTERS: dict[str, Converter] = {
    "Conv": conv.conv, "ConvTranspose": conv.conv_transpose,
    "MatMul": conv.matmul, "Gemm": conv.gemm,
    "MaxPool": pool.max_pool, "AveragePool": pool.average_pool,
    "GlobalAveragePool": pool.global_average, "GlobalMaxPool": pool.global_max,
    "ReduceMean": pool.reduce, "ReduceSum": pool.reduce, "ReduceMax": pool.reduce,
    **dict.fromkeys(elementwise.OPS, elementwise.arithmetic),
    "Pow": elementwise.power, "Neg": elementwise.negative, "Abs": elementwise.absolute,
    "Clip": elementwise.bounded, "Max": elementwise.bounded, "Min": elementwise.bounded,
    **dict.fromkeys(activation.SIMPLE, activation.simple),
    "Erf": activation.pseudo, "Sqrt": activation.pseudo,
    "LeakyRelu": activation.leaky_relu, "PRelu": activation.prelu,
    "Elu": activation.elu, "Selu": activation.elu, "Celu": activation.elu,
    "HardSigmoid": activation.hard_sigmoid, "Gelu": activation.gelu,
    "com.microsoft.Gelu": activation.gelu, "Softmax": activation.softmax,
    "BatchNormalization": norm.batch_norm, "InstanceNormalization": norm.instance_norm,
    "GroupNormalization": norm.group_norm, "LayerNormalization": norm.layer_norm,
    "MeanVarianceNormalization": norm.mean_variance,
    "Identity": layout.same, "Dropout": layout.same, "CastLike": layout.same,
    "Cast": layout.cast, "Shape": layout.shape, "Size": layout.count,
    "Reshape": layout.to_shape, "Flatten": layout.flatten, "Squeeze": layout.squeeze,
    "Unsqueeze": layout.unsqueeze, "Transpose": layout.permute,
    "Expand": layout.expand, "Tile": layout.expand,
    "DepthToSpace": layout.depth_to_space, "SpaceToDepth": layout.space_to_depth,
    "QuantizeLinear": layout.quantise, "DequantizeLinear": layout.dequantise,
    "com.microsoft.QuantizeLinear": layout.quantise,
    "com.microsoft.DequantizeLinear": layout.dequantise,
    "Slice": parts.cut_out, "Split": parts.split, "Gather": parts.gather,
    "Concat": parts.concat, "Pad": parts.pad, "Resize": resize,
}  # fmt: skip

# What chooses, sorts or suppresses results: a network ends before it.
TAILS = frozenset((
    "NonMaxSuppression", "ArgMax", "ArgMin", "TopK", "NonZero", "GatherND", "GatherElements",
    "ScatterND", "ScatterElements", "RoiAlign", "MaxRoiPool", "Unique", "OneHot", "Compress",
))  # fmt: skip


def is_tail(op: str) -> bool:
    """Whether an operation ends the network; those of other domains by their names."""
    return op in TAILS or "NMS" in op
