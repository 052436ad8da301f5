"""The table of the 42 networks: converted or refused, and how far from torch.

    python tests/nn/network_table.py FOLDER [NAME ...]

FOLDER takes torchvision and timm, installed without dependencies at the first call.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from networks_42 import NETWORKS, Listed, build, frames
from torch import Tensor, nn

import pvnet
from pvnet.errors import PvnetError
from pvnet.nn import from_torch

BAR = 1e-4  # largest error, relative to the range of the output
FRAMES = 2


@dataclass(frozen=True)
class Row:
    """What became of one network.

    Attributes:
        name: of the network.
        error: largest one of all outputs relative to their range; None where it was refused.
        moved: how much two frames differ, relative to the range: what an error is measured against.
        nodes: of the graph.
        reason: of the refusal, "" where it was converted.
        seconds: that export, conversion, compilation and two frames took.
    """

    name: str
    error: float | None
    moved: float
    nodes: int
    reason: str
    seconds: float

    @property
    def fits(self) -> bool:
        """Converted and equal to torch."""
        return self.error is not None and self.error <= BAR


def environment(folder: Path) -> None:
    """Makes torchvision and timm importable from a folder, whatever torch is here."""
    if not (folder / "timm").exists():
        minor = int(torch.__version__.split(".")[1])  # torchvision 0.(n + 15) belongs to torch 2.n
        packages = [f"torchvision==0.{minor + 15}.*", "timm", "huggingface_hub"]
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade"]
        subprocess.run([*pip, "--target", str(folder), *packages], check=True)
    sys.path.append(str(folder))
    _stand_in_operators()


def _stand_in_operators() -> None:
    """torchvision's own operators may not load beside this torch; its definitions name a few."""
    while True:
        try:
            import torchvision  # noqa: F401
        except RuntimeError as error:
            missing = re.search(r"operator torchvision::(\w+) does not exist", str(error))
            if missing is None:
                raise
            _LIBRARIES.append(torch.library.Library("torchvision", "FRAGMENT"))
            _LIBRARIES[-1].define(f"{missing[1]}(Tensor x) -> Tensor")
            for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
                del sys.modules[name]
        else:
            return


_LIBRARIES: list[torch.library.Library] = []  # an operator is gone with its library


def measure(listed: Listed) -> Row:
    """Converts one network and compares two frames, one after the other, by the CPU backend."""
    begin = time.perf_counter()
    module = build(listed)
    clip = frames(listed.size, FRAMES)
    try:
        net = from_torch(module, clip[:1])
    except PvnetError as refusal:
        return Row(listed.name, None, 0, 0, str(refusal), time.perf_counter() - begin)
    nodes = len(net.graph.nodes)
    stream = pvnet.compile(net).stream()
    expected = [_tensors(module, frame[None]) for frame in clip]
    error = moved = 0.0
    for frame, wanted in zip(clip, expected, strict=True):
        found = list(stream.tick(frame.numpy()).outputs.values())
        for y, e in zip(found, wanted, strict=True):
            scale = max(np.ptp(e), 1e-30)
            error = max(error, float(np.abs(y.reshape(e.shape) - e).max() / scale))
    for first, second in zip(expected[0], expected[1], strict=True):
        moved = max(moved, float(np.abs(first - second).max() / max(np.ptp(second), 1e-30)))
    if not np.isfinite(error):
        error = float("inf")
    return Row(listed.name, error, moved, nodes, "", time.perf_counter() - begin)


def _tensors(module: nn.Module, frame: Tensor) -> list[np.ndarray]:
    with torch.no_grad():
        found = torch.utils._pytree.tree_leaves(module(frame))
    return [y.numpy() for y in found if isinstance(y, Tensor)]


def table(rows: list[Row]) -> str:
    """The rows as Markdown, with the counts under them."""
    lines = ["| network | | error / range | frames differ | nodes |", "|---|---|---|---|---|"]
    for row in rows:
        what = "refused" if row.error is None else "converted" if row.fits else "WRONG"
        told = "" if row.error is None else f"{row.error:.1e}"
        lines.append(f"| {row.name} | {what} | {told} | {row.moved:.2f} | {row.nodes} |")
    fit = sum(row.fits for row in rows)
    lines += ["", f"{fit} of {len(rows)} convert and equal torch within {BAR:.0e} of the range."]
    return "\n".join(lines)


def main() -> None:
    """Prints a row as soon as it is known, then the table and why the rest was refused."""
    environment(Path(sys.argv[1]))
    asked = set(sys.argv[2:])
    torch.set_num_threads(1)
    rows = []
    for listed in NETWORKS:
        if asked and listed.name not in asked:
            continue
        rows.append(measure(listed))
        print(rows[-1].name, rows[-1].error, f"{rows[-1].seconds:.0f} s", file=sys.stderr)
    print(", ".join(f"{name} {version(name)}" for name in ("torch", "torchvision", "timm")))
    print(table(rows))
    for row in rows:
        if row.reason:
            print(f"\n{row.name}: {row.reason}")


if __name__ == "__main__":
    main()
