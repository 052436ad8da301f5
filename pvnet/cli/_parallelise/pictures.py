"""The pictures of the report; none where matplotlib is not installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.evaluate.emission import Protocol
from pvnet.evaluate.rivals import asked
from pvnet.files import save_figure

_SHOWN_TICKS = 120
_SHOWN_VALUES = 3


def available() -> bool:
    """Whether there will be pictures."""
    return importlib.util.find_spec("matplotlib") is not None


def draw_errors(clocks: Sequence[Mapping[str, Any]], out: Path) -> None:
    """The error of everybody, one panel a clock."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(clocks), 3.4), layout="constrained")
    for axes, clock in zip(figure.subplots(1, len(clocks), squeeze=False)[0], clocks):
        rows = list(reversed(clock["rows"]))
        colours = ["#d1495b" if r["says"] == "predictive" else "#8d99ae" for r in rows]
        bars = axes.barh([r["name"] for r in rows], [r["error"] for r in rows], color=colours)
        axes.bar_label(bars, [f"{r['error']:.3f}" for r in rows], padding=3, fontsize=8)
        how = "simulated" if clock["simulated"] else "measured"
        title = f"{clock['clock']}\na frame every {clock['frame_ms']:.1f} ms, {how}"
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("error at the moment asked (1: the mean answer)", fontsize=8)
        axes.set_xlim(0, 1.25 * max(0.01, *(r["error"] for r in rows)))
        axes.tick_params(labelsize=8)
    save_figure(figure, out, dpi=110)


def draw_answers(
    output: str,
    exact: NDArray[np.float32],
    others: Mapping[str, tuple[NDArray[np.float32], Protocol]],
    first: int,
    out: Path,
) -> None:
    """The values of an output that change most, over the ticks of a held-out video.

    Args:
        output: its name.
        exact: for every frame, [t, ...].
        others: by name, answers and how they are emitted.
        first: tick from which everybody's answer counts.
        out: the picture.
    """
    from matplotlib.figure import Figure

    first = min(first, len(exact) - 1)
    end = min(first + _SHOWN_TICKS, len(exact))
    along = np.arange(first, end)
    flat = exact[first:end].reshape(end - first, -1)
    chosen = np.argsort(-flat.var(axis=0))[:1]
    while len(chosen) < min(_SHOWN_VALUES, flat.shape[1]):
        # The next one that tells something else than those chosen.
        centred = flat - flat.mean(axis=0)
        shown = centred[:, chosen]
        basis, _ = np.linalg.qr(shown)
        left = centred - basis @ (basis.T @ centred)
        chosen = np.append(chosen, left.var(axis=0).argmax())
    figure = Figure(figsize=(8, 1.9 * len(chosen) + 0.6), layout="constrained")
    for axes, place in zip(figure.subplots(len(chosen), 1, squeeze=False)[:, 0], chosen):
        axes.plot(along, flat[:, place], color="black", linewidth=1.6, label="exact, in time")
        for name, (values, protocol) in others.items():
            shown = asked(values, len(exact), protocol)[first:end].reshape(end - first, -1)
            axes.plot(along, shown[:, place], linewidth=1.0, label=name)
        index = np.unravel_index(place, exact.shape[1:])
        axes.set_ylabel(f"{output}[{', '.join(map(str, index))}]", fontsize=8)
        axes.grid(visible=True, alpha=0.3)
        axes.tick_params(labelsize=8)
    axes.set_xlabel("tick of a held-out video", fontsize=8)
    figure.axes[0].legend(fontsize=8, ncols=4, loc="upper right")
    save_figure(figure, out, dpi=110)
