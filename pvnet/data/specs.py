"""Opening a data set by a line of text, as configurations and command lines have it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast, get_args

from pvnet.data.clips import Dataset, check_size
from pvnet.data.collage.clips import Collage
from pvnet.data.sampling import Sampling
from pvnet.data.sets.backdrops import Backdrops, ProceduralBackdrops, VideoBackdrops
from pvnet.data.sets.figures import ProceduralFigures, TrackedFigures
from pvnet.data.sets.folder import open_folder
from pvnet.data.sets.jhmdb import open_jhmdb
from pvnet.data.sets.kinetics import open_actions
from pvnet.data.sets.options import Options, Task, choose_window
from pvnet.data.sets.tracks import Tracks
from pvnet.data.sets.videos import CROPS, Crop
from pvnet.errors import InvalidArgumentError

TRAIN_CLIPS, TEST_CLIPS = 4096, 512  # of procedural figures, if n is not given


@dataclass(frozen=True)
class Spec:
    """`kind:location?key=value&key=value`.

    Attributes:
        kind: jhmdb, kinetics, folder or figures.
        location: folder or file, "" without.
        options: the rest.
    """

    kind: str
    location: str
    options: Mapping[str, str]

    def path(self, key: str) -> Path | None:
        """A path among the options, relative to the working folder."""
        return Path(self.options[key]).expanduser() if key in self.options else None

    def share(self, key: str) -> float:
        """A number among the options, 0 without."""
        try:
            return float(self.options.get(key, 0.0))
        except ValueError as error:
            raise InvalidArgumentError(
                f"[data] option {key} of {self.kind}: got {self.options[key]!r}, expected a number "
                f"from 0 to 1. Write for example {key}=0.3."
            ) from error

    def number(self, key: str, usual: int) -> int:
        """A whole number among the options."""
        try:
            return int(self.options.get(key, usual))
        except ValueError as error:
            raise InvalidArgumentError(
                f"[data] option {key} of {self.kind}: got {self.options[key]!r}, expected a whole "
                f"number. Write for example {key}={usual}."
            ) from error


_COLLAGE = ("cutouts", "puppets", "motion")
_KEYS = {
    "jhmdb": ("joints", "cache", *_COLLAGE),
    "kinetics": ("csv", "labels", "cache"),
    "folder": ("csv", "joints", "labels", "cache", *_COLLAGE),
    "figures": ("n", "seed", "backgrounds", "reversed", "cache"),
}
# Options by kind and old name; for one release after 0.2 they work with a warning on stderr.
_OLD_KEYS = {("jhmdb", "labels"): "joints"}


def parse_spec(text: str) -> Spec:
    """Take a specification apart.

    Raises:
        InvalidArgumentError: for an unknown kind or option, or a missing folder.
    """
    head, _, query = text.partition("?")
    kind, _, where = head.partition(":")
    if kind not in _KEYS or (not where and kind != "figures"):
        raise InvalidArgumentError(
            f"[data] specification: got {text!r}, expected jhmdb:FOLDER, kinetics:FOLDER, "
            "folder:FOLDER, figures or figures:TRACKS.npz, with ?option=value&... behind. See "
            "docs/data.md."
        )
    options = {}
    for item in filter(None, query.split("&")):
        key, _, value = item.partition("=")
        if (kind, key) in _OLD_KEYS:
            new = _OLD_KEYS[kind, key]
            # Not a DeprecationWarning: Python hides those, and people type this one.
            warning = f"[data] option of {kind}: {key}= is called {new}= now"
            warnings.warn(warning, FutureWarning, stacklevel=2)
            key = new
        if key not in _KEYS[kind] or not value:
            raise InvalidArgumentError(
                f"[data] option of {kind}: got {item!r}, expected {', '.join(_KEYS[kind])} with a "
                "value. Supported options are these."
            )
        options[key] = value
    return Spec(kind, where, options)


def open_dataset(
    spec: str,
    *,
    split: int | str | None = None,
    train: bool = True,
    size: tuple[int, int] = (96, 128),
    frames: int | None = 16,
    fps: float | None = None,
    task: Task = "both",
    crop: str = "none",
    sampling: str | None = None,
    cache: str | Path | None = None,
    use_cache: bool | None = None,
) -> Dataset:
    """Open a data set.

    Args:
        spec: "jhmdb:FOLDER", "kinetics:FOLDER?csv=LIST", "folder:FOLDER?csv=LIST",
            "folder:FOLDER?joints=FILE", "figures", "figures:TRACKS.npz"; docs/data.md lists the
            options of each.
        split: J-HMDB's 1, 2 or 3; the name of a split of a list; None: the usual one.
        train: the training part, with random windows; else the test part, with windows in the
            middle.
        size: (h, w) of the frames handed out.
        frames: length t of the clips, None for whole videos.
        fps: rate of the clips, None for the rate of each video.
        task: "joints" leaves out clips without joints, "actions" clips without a label.
        crop: "none", "letterbox", "center" or "person", see `videos.VideoDataset`.
        sampling: "random", "center" or "start", instead of what `train` implies.
        cache: folder for decoded frames; None: $PVNET_CACHE or the user's cache folder.
        use_cache: decode everything once and keep it; None: for J-HMDB and for joints in a folder.

    Returns:
        A `Dataset`; it can be sent to worker processes.

    Raises:
        FileError: if a file is missing or damaged, or no clip is usable.
        InvalidArgumentError: for a specification or an argument out of range.
    """
    parsed = parse_spec(spec)
    if crop not in CROPS or task not in get_args(Task):
        raise InvalidArgumentError(
            f"[data] crop and task: got {crop!r} and {task!r}, expected {', '.join(CROPS)} and "
            f"{', '.join(get_args(Task))}. Supported values are these."
        )
    folder = parsed.path("cache") or (None if cache is None else Path(cache))
    usual = parsed.kind == "jhmdb" or "joints" in parsed.options
    options = Options(
        check_size(size),
        Sampling(frames, fps, choose_window(sampling, train)),
        cast("Crop", crop),
        train,
        split,
        task,
        folder,
        usual if use_cache is None else use_cache,
    )
    return _with_collages(parsed, _OPENERS[parsed.kind](parsed, options), options)


def _with_collages(spec: Spec, dataset: Dataset, options: Options) -> Dataset:
    """Training clips partly as collages, where the specification asks for them."""
    cutouts, puppets, motion = spec.share("cutouts"), spec.share("puppets"), spec.path("motion")
    if not any(key in spec.options for key in _COLLAGE):
        return dataset
    tracks = None if motion is None else Tracks(motion, train=True)
    collage = Collage(dataset, cutouts, puppets, tracks)
    return collage if options.train else dataset


def _jhmdb(spec: Spec, options: Options) -> Dataset:
    joints: Any = spec.options.get("joints", "both")
    return open_jhmdb(Path(spec.location).expanduser(), options, joints=joints)


def _kinetics(spec: Spec, options: Options) -> Dataset:
    folder, csv = Path(spec.location).expanduser(), spec.path("csv")
    if isinstance(options.split, int):  # a number means nothing to a list
        options = _without_split(options)
    return open_actions(folder, options, name="kinetics", csv=csv, labels=spec.path("labels"))


def _folder(spec: Spec, options: Options) -> Dataset:
    if isinstance(options.split, int):
        options = _without_split(options)
    return open_folder(
        Path(spec.location).expanduser(),
        options,
        csv=spec.path("csv"),
        joints=spec.path("joints"),
        labels=spec.path("labels"),
    )


def _without_split(options: Options) -> Options:
    return replace(options, split=None)


def _figures(spec: Spec, options: Options) -> Dataset:
    backgrounds = spec.path("backgrounds")
    real: Backdrops | None = None
    if backgrounds is not None:
        real = VideoBackdrops(backgrounds, options.size, cache=options.cache)
    seed = spec.number("seed", 0)
    common = (options.size, options.sampling, options.train)
    if not spec.location:
        n = spec.number("n", TRAIN_CLIPS if options.train else TEST_CLIPS)
        return ProceduralFigures(*common, n, seed, real)
    wanted = spec.number("reversed", 1) != 0
    path = Path(spec.location).expanduser()
    tracks = Tracks(path, train=options.train, reversed_classes=wanted)
    n = spec.number("n", len(tracks.motions))
    return TrackedFigures(*common, n, seed, tracks, real or ProceduralBackdrops())


_OPENERS: dict[str, Callable[[Spec, Options], Dataset]] = {
    "jhmdb": _jhmdb,
    "kinetics": _kinetics,
    "folder": _folder,
    "figures": _figures,
}
