"""256 colours chosen for each picture of a GIF."""

from __future__ import annotations

from fractions import Fraction
from typing import Any


class Palette:
    """FFmpeg's palettegen and paletteuse.

    Args:
        av: the module.
        size: (h, w) of the pictures.
        tick_s: unit of their time stamps.
    """

    def __init__(self, av: Any, size: tuple[int, int], tick_s: Fraction) -> None:
        h, w = size
        graph = av.filter.Graph()
        source = graph.add_buffer(width=w, height=h, format="rgb24", time_base=tick_s)
        split = graph.add("split")
        colours = graph.add("palettegen", "stats_mode=single")
        use = graph.add("paletteuse", "new=1:dither=bayer:bayer_scale=4")
        sink = graph.add("buffersink")
        source.link_to(split)
        split.link_to(colours, 0, 0)
        split.link_to(use, 1, 0)
        colours.link_to(use, 0, 1)
        use.link_to(sink)
        graph.configure()
        self._graph, self._source, self._sink = graph, source, sink
        self._tick_s = tick_s

    def __call__(self, frame: Any) -> Any:
        """The picture in 256 colours, at the same time."""
        pts = frame.pts
        self._source.push(frame)
        out = self._sink.pull()
        out.pts, out.time_base = pts, self._tick_s
        return out
