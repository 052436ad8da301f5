"""What is prepared of a network in a folder of build/peers/, for processes of every Python.

net.json, weights.npz (batch norm folded), frames.npy, want.npz (pvnet's outputs), calibration.npy,
step.onnx, window.onnx, model.safetensors; for int8 also model_int8.safetensors, step_int8.onnx
and step_int8.xml. Needs numpy alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peer.venv import ROOT

Values = NDArray[Any]
HOME = ROOT / "build" / "peers"
# Float32 sums in another order, Winograd's too.
NEAR = 2e-4
PRECISION = "PEERS_PRECISION"  # the variable that says how engines store: of PRECISIONS
PRECISIONS = ("f32", "bf16", "int8")
# How far outputs may be from those in float32, as `far`, `noise` and `moved` measure it. Noise of
# 0.1 is 20 dB below the signal; an answer that says nothing has 1.
_NEAR = {"f32": NEAR, "bf16": 6e-2, "int8": 0.1}
_MOVED = 0.03


def precision() -> str:
    """How engines store maps and weights."""
    return os.environ.get(PRECISION) or "f32"


def near(name: str) -> float:
    """The largest `distance` of a network's outputs that is accepted."""
    return _MOVED if _by_joints(name) else _NEAR[precision()]


def _by_joints(name: str) -> bool:
    """In low precision its logits say little: they span 30, and joints hang on the highest."""
    return name == "movenet" and precision() != "f32"


def distance(
    net: Prepared, got: Sequence[Sequence[Values]], want: Sequence[Sequence[Values]]
) -> float:
    """How far outputs are from the right ones; both have a list per tick, of all outputs.

    By `far`, of the worst tick; in int8, where single values may be far off, by `noise` over all
    ticks; of joints by `moved`.
    """
    if _by_joints(net.name):
        names = [name for name, _ in net.outputs]
        return max(moved(dict(zip(names, a)), dict(zip(names, b))) for a, b in zip(got, want))
    if precision() != "int8":
        return max(far(a, b) for pair in zip(got, want) for a, b in zip(*pair, strict=True))
    # A network over time begins with zeros all around, and its first outputs are small.
    outputs = zip(zip(*got), zip(*want), strict=True)
    return max(noise(np.stack(a), np.stack(b)) for a, b in outputs)


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

    def calibration(self) -> NDArray[np.float32]:
        """Frames like `frames`, and none of them: what engines find their ranges of int8 on."""
        return np.load(self.folder / "calibration.npy")

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


def noise(got: NDArray[Any], want: NDArray[Any]) -> float:
    """The root mean square of the differences, relative to the deviation of what is wanted."""
    if got.size != want.size or not np.isfinite(got).all():
        return float("inf")
    scale = float(want.std()) or 1.0
    return float(np.sqrt(np.square(got.reshape(want.shape) - want).mean())) / scale


def moved(got: dict[str, NDArray[Any]], want: dict[str, NDArray[Any]]) -> float:
    """By how much the joints of a person moved, relative to the frame's side: their median."""
    if any(not np.isfinite(value).all() for value in got.values()):
        return float("inf")
    shapes = {name: value.shape[-3:] for name, value in want.items()}
    found, right = (_joints({n: v[n].reshape(shapes[n]) for n in shapes}) for v in (got, want))
    return float(np.median(np.linalg.norm(found - right, axis=1))) / max(shapes["center"])


def _joints(maps: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """[17, 2] in cells: where the highest centre says that they are."""
    center = maps["center"][0]
    y, x = np.unravel_index(center.argmax(), center.shape)
    return np.array([y, x]) + maps["regression"][:, y, x].reshape(-1, 2)
