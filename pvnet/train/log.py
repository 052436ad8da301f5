"""What a run leaves to read: a line of JSON per logged step, TensorBoard events, a picture."""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pvnet.distribution import install
from pvnet.errors import MissingPackageError
from pvnet.files import save_figure, write_whole

# The terms that a loss may be the sum of.
_PARTS = ("task", "outputs", "matching")


class Log:
    """Appends to `log.jsonl`; a resumed run first drops the lines after its checkpoint.

    Args:
        folder: of the run.
        step: first step that will be logged.
        tensorboard: also write events.

    Raises:
        MissingPackageError: for those where TensorBoard is not installed.
    """

    def __init__(self, folder: Path, *, step: int, tensorboard: bool = False) -> None:
        self._events: Any = None
        if tensorboard:
            if importlib.util.find_spec("tensorboard") is None:
                raise MissingPackageError(
                    "[train] run.tensorboard needs TensorBoard: got no package tensorboard, "
                    f"expected it. Run {install('train')}, or leave it out.",
                    name="tensorboard",
                )
            writer = importlib.import_module("torch.utils.tensorboard")
            self._events = writer.SummaryWriter(str(folder), purge_step=step)
        self.path = folder / "log.jsonl"
        kept = [line for line in read_log(self.path) if line["step"] < step]
        text = "".join(json.dumps(line) + "\n" for line in kept)
        write_whole(self.path, text, where="train")
        self._file = self.path.open("a", encoding="utf-8")

    def add(self, step: int, values: Mapping[str, float], problems: Sequence[str] = ()) -> None:
        """One line; `problems` of clips that were read since the last one, if there are any."""
        more = {"problems": list(problems)} if problems else {}
        self._file.write(json.dumps({"step": step, **values, **more}) + "\n")
        self._file.flush()
        if self._events is not None:
            for name, value in values.items():
                self._events.add_scalar(name, value, step)

    def add_picture(self, step: int, picture: Any) -> None:
        """What the network says, uint8 [3, h, w]; None, and without TensorBoard, nothing."""
        if self._events is not None and picture is not None:
            self._events.add_image("held out", picture, step)

    def close(self) -> None:
        """Ends both."""
        self._file.close()
        if self._events is not None:
            self._events.close()


def read_log(path: Path) -> list[dict[str, Any]]:
    """The lines of a log; a last one cut off by a kill is left out."""
    lines = []
    if path.exists():
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(text))
            except json.JSONDecodeError:
                break
    return lines


def draw_curve(path: Path, out: Path) -> bool:
    """Draws the losses of a log; False where matplotlib is not installed or there is nothing."""
    lines = read_log(path)
    if not lines or importlib.util.find_spec("matplotlib") is None:
        return False
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    steps = [line["step"] for line in lines]
    parts = [n for n in _PARTS if n in lines[0]]
    for name in ("loss", *(parts if len(parts) > 1 else ())):
        if name in lines[0]:
            axes.plot(steps, [line[name] for line in lines], label=name, linewidth=1.2)
    looks = [(line["step"], line["held_out_loss"]) for line in lines if "held_out_loss" in line]
    if "before_held_out_loss" in lines[0]:
        looks.insert(0, (lines[0]["step"], lines[0]["before_held_out_loss"]))
    if looks:
        axes.plot(*zip(*looks, strict=True), "o-", label="held out", markersize=3, linewidth=1.2)
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.set_yscale("log")
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    save_figure(figure, out, dpi=110)
    return True
