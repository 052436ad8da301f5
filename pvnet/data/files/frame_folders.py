"""Videos that are folders of images, as mmaction2's lists `PATH FRAMES LABEL` name them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pvnet.data.files.decode import Decoded, VideoFacts, unusable
from pvnet.video.av_import import load_av
from pvnet.video.folder import images_in, read_image
from pvnet.video.frame import SourceStats
from pvnet.video.reader import Fitter
from pvnet.video.source import FOLDER_FPS

_SLACK = 0.25  # of a frame, as for files


def probe_folder(folder: Path) -> VideoFacts:
    """Size, rate (25 per second: images do not say) and length.

    Raises:
        ClipError: if there is no image, or the first one is damaged.
    """
    paths = _images(folder)
    first = None if not paths else read_image(load_av(), paths[0])
    if first is None:
        raise unusable(folder, f"{len(paths)} images, the first of them unreadable")
    return VideoFacts(first.shape.shown, FOLDER_FPS, len(paths) / FOLDER_FPS)


def decode_folder_at(
    folder: Path, times_s: NDArray[np.float64], *, size: tuple[int, int]
) -> Decoded:
    """For each wanted time the newest image that is not after it; for a damaged one, that before.

    Args:
        folder: of images in natural order, 25 per second.
        times_s: float64 [n] from the first one, in any order.
        size: (h, w) the images are resized to.

    Raises:
        ClipError: if the folder ends before the wanted times, or an image and all before it are
            damaged.
    """
    paths = _images(folder)
    rows = np.floor(np.asarray(times_s, np.float64) * FOLDER_FPS + _SLACK).astype(np.int64)
    if not paths or rows.max() >= len(paths):
        raise unusable(folder, f"{len(paths)} images for a clip up to number {int(rows.max()) + 1}")
    reader = _Images(paths, size)
    frames = {int(row): reader(int(row)) for row in np.unique(rows)}
    stacked = np.stack([frames[int(row)] for row in rows])
    return Decoded(stacked, rows / FOLDER_FPS, reader.shown, FOLDER_FPS, reader.damaged)


class _Images:
    """Images by number, at one size."""

    def __init__(self, paths: list[Path], size: tuple[int, int]) -> None:
        self._av, self._paths = load_av(), paths
        self._fitter = Fitter(self._av, size, fit="stretch", keep_original=False)
        self.shown, self.damaged = (0, 0), 0

    def __call__(self, row: int) -> NDArray[np.uint8]:
        for number in range(row, -1, -1):
            image = read_image(self._av, self._paths[number])
            if image is not None:
                picture = self._fitter(image, SourceStats())
                if picture.mapping is not None:
                    self.shown = picture.mapping.source_size
                return picture.image
            self.damaged += 1
        raise unusable(self._paths[0].parent, f"{row + 1} unreadable images running")


def _images(folder: Path) -> list[Path]:
    try:
        return images_in(folder)
    except OSError as error:
        raise unusable(folder, str(error)) from error
