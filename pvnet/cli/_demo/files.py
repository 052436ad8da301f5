"""The files of the demo: the video of two networks side by side, and the timeline picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pvnet import viz
from pvnet.cli._common.overlay import enlarged
from pvnet.cli._common.progress import Progress, note
from pvnet.cli._demo.demo_run import DemoRun
from pvnet.distribution import install
from pvnet.errors import UnsupportedError
from pvnet.files import write_whole
from pvnet.graph import Graph, draw
from pvnet.video import VideoWriter
from pvnet.video.synthetic import SyntheticFrame

_FPS = 25.0
_STILLS = 8


def write_video(
    directory: Path,
    frames: Sequence[SyntheticFrame],
    runs: tuple[DemoRun, DemoRun],
    *,
    quiet: bool,
) -> Path:
    """Write demo.mp4. Without PyAV: a few stills of it below each other (.ppm)."""
    captions = [_caption(run) for run in runs]

    def picture(t: int) -> NDArray[np.uint8]:
        panels = [_panel(frames[t], run, t) for run in runs]
        return viz.hstack_labelled(panels, captions)

    return write_pictures(directory / "demo.mp4", _FPS, picture, len(frames), quiet=quiet)


def write_pictures(
    path: Path, fps: float, picture: Callable[[int], NDArray[np.uint8]], n: int, *, quiet: bool
) -> Path:
    """Write `n` pictures as a video. Without PyAV: a few stills of it below each other (.ppm)."""
    try:
        with (
            VideoWriter(path, fps, size=picture(0).shape[:2]) as writer,
            Progress("video", total=n, quiet=quiet) as bar,
        ):
            for t in range(n):
                writer.write(picture(t))
                bar.step()
    except UnsupportedError:
        note(f"no video: PyAV is not installed. Run {install('video')}. Writing stills.")
        path = path.with_name(f"{path.stem}_stills.ppm")
        shown = np.linspace(0, n - 1, min(_STILLS, n)).astype(int)
        write_ppm(path, np.concatenate([picture(int(t)) for t in shown], axis=0))
    return path


def _caption(run: DemoRun) -> str:
    latency_ticks = run.plan.graph.outputs[0].information_latency_ticks
    return f"{run.title}, information latency {latency_ticks}"


def _panel(frame: SyntheticFrame, run: DemoRun, t: int) -> NDArray[np.uint8]:
    picture, factor = enlarged(frame.image)
    if t >= run.warm_up_ticks:
        joints = (run.joints[t] + 0.5) * factor - 0.5
        viz.draw_pose(picture, joints, run.scores[t])
        viz.draw_status(picture, f"tick {t}  {run.stats.latencies_ms[t]:.1f} ms")
    else:
        viz.draw_status(picture, f"tick {t}  warming up")
    return picture


def write_timeline(directory: Path, graph: Graph) -> Path:
    """Write timeline.png; without matplotlib the same as text."""
    path = directory / "timeline.png"
    try:
        draw.timeline(graph, path)
    except UnsupportedError:
        note(f"no picture: matplotlib is not installed. Run {install('viz')}. Writing text.")
        path = directory / "timeline.txt"
        write_whole(path, draw.timeline_text(graph) + "\n", where="demo")
    return path


def write_ppm(path: Path, image: NDArray[np.uint8]) -> None:
    """Write uint8 [h, w, 3] as a binary PPM: the one picture format that needs no library."""
    height, width = image.shape[:2]
    head = f"P6 {width} {height} 255\n".encode()
    write_whole(path, head + np.ascontiguousarray(image).tobytes(), where="demo")
