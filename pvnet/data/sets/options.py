"""What every kind of data set is opened with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pvnet.data.clips import LeftOut
from pvnet.data.files.cache import Request, open_cache
from pvnet.data.files.decode import VideoFacts
from pvnet.data.files.store import CachedStore, FileStore, Store
from pvnet.data.sampling import Sampling, Window
from pvnet.data.sets.videos import Crop

Task = Literal["joints", "actions", "both"]
_CROP_MARGIN = 1.6  # frames that will be cropped are kept this much larger than the crop


@dataclass(frozen=True)
class Options:
    """Arguments of `open_dataset`, checked.

    Attributes:
        size: (h, w) of the clips.
        sampling: which window of a video.
        crop: which part of its pictures.
        train: the training part.
        split: number or name of the split, None for the usual one.
        task: what it must have truth for.
        cache: folder of decoded frames, None for the default one.
        use_cache: decode once and keep; None: as suits the kind of data set.
    """

    size: tuple[int, int]
    sampling: Sampling
    crop: Crop
    train: bool
    split: int | str | None
    task: Task
    cache: Path | None
    use_cache: bool | None

    def scale(self, source: tuple[int, int]) -> float:
        """How much smaller pictures of (h, w) `source` are kept when they will be cropped."""
        wanted = max(self.size[0] / source[0], self.size[1] / source[1])
        return min(1.0, _CROP_MARGIN * wanted)


def choose_window(sampling: str | None, train: bool) -> Window:
    """The way of sampling: as given, else random for training, centred for evaluation."""
    if sampling is None:
        return "random" if train else "center"
    return sampling  # type: ignore[return-value]  # Sampling checks it


def open_cached_store(
    paths: Sequence[Path], options: Options, *, source: tuple[int, int]
) -> CachedStore:
    """The decoded frames of videos whose pictures are about (h, w) `source`."""
    whole = options.crop == "none"
    request = Request(
        tuple(paths),
        options.size if whole else None,
        1.0 if whole else round(options.scale(source), 4),
    )
    return CachedStore(open_cache(request, options.cache))


def open_file_store(paths: Sequence[Path], facts: Sequence[VideoFacts], options: Options) -> Store:
    """Videos decoded where they lie."""
    whole = options.crop == "none"
    smallest = min((f.size for f in facts), default=(256, 340))
    return FileStore(
        paths,
        facts,
        size=options.size if whole else None,
        scale=1.0 if whole else options.scale(smallest),
    )


def too_short(
    facts: VideoFacts, sampling: Sampling, name: str, left_out: LeftOut, *, shortest: float
) -> bool:
    """Whether a video is too short for `shortest` of a clip; counted where it is."""
    if sampling.frames is None:
        return False
    need = shortest * sampling.frames / sampling.rate(facts.fps)
    if facts.duration_s + 0.5 / facts.fps >= need:
        return False
    left_out.add("short", name, f"{facts.duration_s:.2f} s, a clip needs {need:.2f} s")
    return True
