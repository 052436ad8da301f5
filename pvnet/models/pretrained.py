"""The small trained models that are part of the package; weights/README.md is their card."""

from __future__ import annotations

from pathlib import Path

from pvnet.models.common import check_choice

WEIGHTS = Path(__file__).parent / "weights"


def list_pretrained() -> list[str]:
    """Names that `pretrained` knows, sorted."""
    return sorted(path.stem for path in WEIGHTS.glob("*.safetensors"))


def pretrained(name: str) -> Path:
    """Path of a trained model file: graph, weights and metadata in one.

    `pvnet.compile`, `pvnet.load` and the command line take the path. The metadata says what the
    outputs mean: "task" ("joints" or "actions"), "labels" (JSON list of names), "mean" and "std"
    (JSON lists, how frames were normalised), "trained_on" and the measured accuracy.

    Raises:
        InvalidArgumentError: no model of that name is shipped.
    """
    check_choice("models.pretrained", "pretrained model", name, list_pretrained())
    return WEIGHTS / f"{name}.safetensors"
