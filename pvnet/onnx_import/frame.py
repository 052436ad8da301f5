"""The inputs of a file as frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pvnet.errors import InvalidArgumentError
from pvnet.graph import arguments as arg
from pvnet.onnx_import.file import File
from pvnet.onnx_import.importer import Importer
from pvnet.onnx_import.view import View, nchw, transpose

Numbers = float | Sequence[float] | None
UINT8 = 2
FLOATS = (1, 10, 11, 16)  # f32, f16, f64, bf16
FEWEST_ROWS = 16  # of a picture whose channels may lie last without a transpose
BEFORE_TRANSPOSE = (
    "Cast", "Identity", "Add", "Sub", "Mul", "Div", "QuantizeLinear", "DequantizeLinear",
)  # fmt: skip


def add_frame(
    im: Importer,
    file: File,
    value: tuple[str, list[int | None] | None, int],
    size: tuple[int, int] | None,
    mean: Numbers,
    std: Numbers,
) -> None:
    """Adds one input of the file; what is no image stays unknown, and is refused where it is read.

    Raises:
        InvalidArgumentError: the size of frames is open, or another one than the file's.
    """
    name, shape, kind = value
    if shape is None or len(shape) != 4 or kind not in (*FLOATS, UINT8):
        return
    last = _channels_last(file, name, shape)
    order = (3, 1, 2) if last else (1, 2, 3)
    c, h, w = (shape[i] for i in order)
    if size is not None:
        given = tuple(arg.integers("from_onnx", "size", size, count=2))
        if (h or given[0], w or given[1]) != given:
            raise InvalidArgumentError(
                f"[from_onnx] the file is made for frames of another size: got size={given}, "
                f"expected {h or 'any'} x {w or 'any'}. Leave out the size, or export it again."
            )
        h, w = given
    if c is None or h is None or w is None:
        raise InvalidArgumentError(
            f"[from_onnx] the file leaves the shape of {name!r} open: got {shape}, expected "
            "numbers of channels, rows and columns. Give size=(height, width) (--size HxW)."
        )
    attrs: dict[str, Any] = {"channels": c, "height": h, "width": w}
    if kind == UINT8:  # the file counts from 0 to 255, and a uint8 frame is divided by 255
        mean, std = 0.0 if mean is None else mean, 1 / 255 if std is None else std
    for key, numbers in (("mean", mean), ("std", std)):
        if numbers is not None:
            attrs[key] = arg.numbers("from_onnx", key, numbers, count=c)
    node = im.draft.add("input", [], (c, h, w), attrs, name="frame")
    x = nchw(node, (c, h, w))
    im.values[name] = transpose(x, (0, 2, 3, 1)) if last else View(node, x.dims)


def _channels_last(file: File, name: str, shape: list[int | None]) -> bool:
    """Whether an input is [1, h, w, c]: a transpose at its beginning says so, or its numbers do."""
    readers = {n: node for node in reversed(file.body.nodes) for n in node.inputs}
    for _ in range(8):
        reader = readers.get(name)
        if reader is None or reader.op not in BEFORE_TRANSPOSE:
            break
        name = reader.outputs[0]
    if reader is not None and reader.op == "Transpose":
        return bool(reader.attrs.get("perm") == [0, 3, 1, 2])
    if reader is not None and reader.op == "Conv":
        return False
    rows = shape[1]
    return shape[3] in (1, 3) and (rows is None or rows >= FEWEST_ROWS)
