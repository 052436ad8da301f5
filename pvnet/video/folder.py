"""A folder of images as a video."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pvnet.errors import FileError
from pvnet.video.av_import import broken, load_av
from pvnet.video.decoding import Decoded, Decoding
from pvnet.video.frame import SourceInfo, SourceStats
from pvnet.video.mapping import Fit
from pvnet.video.reader import Fitter, Kept, Picture

IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
)


def natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Sorting key under which frame10 comes after frame9."""
    parts = re.split(r"(\d+)", path.name)
    return [(0, int(p), "") if p.isdigit() else (1, 0, p.lower()) for p in parts if p]


def read_image(av: Any, path: Path, stats: SourceStats | None = None) -> Decoded | None:
    """The decoded image, or None if it is damaged; oddities are noted in `stats`."""
    found = SourceStats()
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                return None
            decoded = next(Decoding(av, container).pictures(found), None)
            if decoded is None or decoded.damaged:
                return None
            if stats is not None:
                for problem in found.problems:
                    stats.note(f"{path.name}: {problem}")
            return decoded
    except broken(av):
        return None


def images_in(folder: Path) -> list[Path]:
    """The images of a folder in natural order."""
    found = (p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
    return sorted(found, key=natural_key)


class FolderReader:
    """Reads the images of a folder in natural order.

    Args:
        folder: where the images lie; other files are ignored.
        size: (h, w) of the pictures, None for the first one's.
        fps: frames per second that the images stand for.
        fit: "stretch" or "letterbox".
        keep_original: keep the picture before resizing.

    Raises:
        FileError: if there is no image, or the first ones cannot be read.
    """

    owned = True  # every picture is new memory

    def __init__(
        self,
        folder: Path,
        *,
        size: tuple[int, int] | None,
        fps: float,
        fit: Fit,
        keep_original: Kept,
    ) -> None:
        self._av = load_av()
        self._fps = fps
        self._fit: tuple[tuple[int, int] | None, Fit, Kept] = (size, fit, keep_original)
        self._paths = images_in(folder)
        if not self._paths:
            n = sum(1 for _ in folder.iterdir())
            raise FileError(
                f"[video.open] no images in the folder {str(folder)!r}: got {n} other entries, "
                f"expected files ending in {', '.join(sorted(IMAGE_SUFFIXES))}. "
                "Pass the folder that holds the frames."
            )
        found = (read_image(self._av, path) for path in self._paths)
        first = next((f for f in found if f is not None), None)
        if first is None:
            raise FileError(
                f"[video.open] no readable image in the folder {str(folder)!r}: got "
                f"{len(self._paths)} damaged files, expected images. Write the frames again."
            )
        self.info = SourceInfo(
            width=first.shape.shown[1],
            height=first.shape.shown[0],
            fps=fps,
            n_frames=len(self._paths),
            duration_s=len(self._paths) / fps,
            coded_size=first.shape.coded,
            sample_aspect_ratio=float(first.shape.sample_aspect_ratio),
            orientation=first.shape.orientation,
        )

    def pictures(self, stats: SourceStats) -> Iterator[Picture]:
        """One pass over the images."""
        size, how, keep = self._fit
        fitter = Fitter(self._av, size, fit=how, keep_original=keep)
        for i, path in enumerate(self._paths):
            image = read_image(self._av, path, stats)
            if image is None:
                stats.corrupt += 1
                stats.note(f"damaged image {path.name}")
                continue
            image = replace(image, time_s=i / self._fps, duration_s=1.0 / self._fps)
            yield fitter(image, stats)

    def close(self) -> None:
        """Nothing stays open between images."""
