"""What is prepared of a network in a folder of build/peers/, for processes of every Python.

net.json, weights.npz (batch norm folded), frames.npy, want.npz (pvnet's outputs), step.onnx,
window.onnx, model.safetensors. Needs numpy alone.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peer.venv import ROOT

HOME = ROOT / "build" / "peers"
# Relative to the largest value: float32 sums in another order, Winograd's too.
NEAR = 2e-4
PRECISION = "PEERS_PRECISION"  # the variable that says how engines store: "f32", or "bf16"
_NEAR = {"f32": NEAR, "bf16": 6e-2}  # of outputs in float32


def precision() -> str:
    """How engines store maps and weights."""
    return os.environ.get(PRECISION) or "f32"


def near() -> float:
    """How far an output may be at most, in parts of the largest value."""
    return _NEAR[precision()]


@dataclass
class Prepared:
    """A network as every engine takes it.

    Attributes:
        key: of what the folder was made from.
        nodes: name, op, inputs, attrs, shape.
        outputs: name and node of each.
        frame: [c, h, w].
        gmac: of a tick, the mean of all ticks.
        clock_ticks: the hyper-period; above 1 only pvnet runs it frame by frame.
        stateful: whether an output depends on more than one frame.
        check_ticks: from a fresh start, that engines are compared on.
        still_ticks: after so many equal frames no output changes any more, in no wiring.
        window: frames of the window that is recomputed for every frame; 0 = none.
        vision: its name in torchvision; "" = not one of theirs.
        beside: the folder of the network that a plan with clocks is timed beside; "" = none.
        parallel: the graph in fully parallel wiring, as text.
    """

    key: str
    name: str
    nodes: list[dict[str, Any]]
    outputs: list[tuple[str, str]]
    frame: list[int]
    gmac: float
    clock_ticks: int
    stateful: bool
    check_ticks: int
    still_ticks: int
    window: int
    vision: str
    beside: str
    parallel: str
    folder: Path = field(default_factory=Path)

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """`<node>.weight` and `<node>.bias`, batch norm folded."""
        with np.load(self.folder / "weights.npz") as stored:
            return dict(stored)

    def frames(self) -> NDArray[np.float32]:
        """Normalised, [n, 1, c, h, w]."""
        return np.load(self.folder / "frames.npy")

    def want(self) -> list[NDArray[np.float32]]:
        """pvnet's outputs: [n, ...] of each, one per frame; at the end that of a still video."""
        with np.load(self.folder / "want.npz") as stored:
            return [stored[name] for name, _ in self.outputs]

    def write(self) -> None:
        """net.json, which says that pvnet's files are there; a failed export takes it away."""
        told = asdict(self)
        del told["folder"]
        (self.folder / "net.json").write_text(json.dumps(told) + "\n")


def prepared(folder: Path) -> Prepared:
    """What lies in a folder.

    Raises:
        OSError: nothing.
    """
    told = json.loads((folder / "net.json").read_text())
    return Prepared(**told, folder=folder)


def far(got: NDArray[Any], want: NDArray[Any]) -> float:
    """The largest difference, relative to the largest value; infinite where it cannot be told."""
    if got.size != want.size or not np.isfinite(got).all():
        return float("inf")
    scale = float(np.abs(want).max()) or 1.0
    return float(np.abs(got.reshape(want.shape) - want).max()) / scale
