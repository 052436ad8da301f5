"""Turn an ONNX file into a model file that runs on video; see docs/onnx.md."""

from __future__ import annotations

import argparse
import re
import warnings
from pathlib import Path

from pvnet import onnx_import, runtime
from pvnet.cli._common.parse import new_model
from pvnet.cli._common.report import Report


def frame_size(text: str) -> tuple[int, int]:
    """Height and width of a frame: `480x640`, or `224` for both."""
    found = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", text)
    size = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if min(size) < 1:
        raise argparse.ArgumentTypeError(f"got {text}, expected HEIGHTxWIDTH such as 480x640")
    return size


def numbers(text: str) -> list[float]:
    """Numbers with commas between: `0.485,0.456,0.406`; one stands for all channels."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"got {text}, expected numbers such as 0.5,0.5") from None


def words(text: str) -> list[str]:
    """Names with commas between."""
    return [part for part in text.split(",") if part]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `pvnet import`."""
    parser.add_argument("model", type=Path, metavar="MODEL.onnx", help="file of opset 11 to 22")
    parser.add_argument("--out", type=new_model, required=True, help="model file (.safetensors)")
    parser.add_argument(
        "--size", type=frame_size, metavar="HxW", help="of a frame, where the file leaves it open"
    )
    parser.add_argument("--mean", type=numbers, metavar="M,M,M", help="of uint8 frames / 255")
    parser.add_argument("--std", type=numbers, metavar="S,S,S", help="they are divided by it")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="names of classes, one a line")
    parser.add_argument(
        "--outputs", type=words, metavar="NAME,...", help="tensors of the file to end at"
    )
    parser.add_argument("--name", help="of the network (default: that of the file)")


def run(args: argparse.Namespace) -> Report:
    """Import, save, and say what became of it."""
    labels = None if args.labels is None else args.labels.read_text("utf-8").splitlines()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        model = onnx_import.from_onnx(
            args.model,
            size=args.size,
            mean=_one_or_all(args.mean),
            std=_one_or_all(args.std),
            labels=labels,
            outputs=args.outputs,
            name=args.name,
        )
    runtime.save(model, args.out)
    graph = model.graph
    notes = [str(warning.message) for warning in told]
    parameters = sum(int(array.size) for array in model.weights.values())
    outputs = {o.name: list(graph.node(o.node).shape) for o in graph.outputs}
    frame = next(list(n.shape) for n in graph.nodes if n.op == "input")
    document = {
        "out": str(args.out),
        "model": str(args.model),
        "frame": frame,
        "outputs": outputs,
        "nodes": len(graph.nodes),
        "parameters": parameters,
        "size_bytes": args.out.stat().st_size,
        "notes": notes,
        "metadata": model.metadata,
    }
    lines = [
        f"wrote {args.out}: {len(graph.nodes)} nodes, {parameters / 1e6:.2f} million parameters, "
        f"{document['size_bytes'] / 1e6:.1f} MB",
        f"frame {_shape(frame)}",
        *(f"output {name} {_shape(shape)}" for name, shape in outputs.items()),
        *(f"note: {note}" for note in notes),
    ]
    return Report(document, "\n".join(lines))


def _one_or_all(values: list[float] | None) -> float | list[float] | None:
    return values[0] if values is not None and len(values) == 1 else values


def _shape(shape: list[int]) -> str:
    return " x ".join(str(n) for n in shape)
