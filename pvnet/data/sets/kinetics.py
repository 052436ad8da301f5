"""Videos with one action each: Kinetics and Mini-Kinetics as they lie on disk, and own folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pvnet.data.clips import LeftOut
from pvnet.data.files.lists import Entry, normalise, read_classes, read_list
from pvnet.data.files.probing import probe_all
from pvnet.data.files.store import Store
from pvnet.data.files.tree import Tree
from pvnet.data.sets.options import (
    Options,
    open_cached_store,
    open_file_store,
    too_short,
)
from pvnet.data.sets.videos import Item, Track, VideoDataset
from pvnet.errors import FileError

SHORTEST = 0.5  # a video with less than this share of a clip is left out


@dataclass(frozen=True)
class Found:
    """A listed video that is there.

    Attributes:
        path: its file.
        label: name of its class, None if unknown.
    """

    path: Path
    label: str | None


def open_actions(
    folder: Path,
    options: Options,
    *,
    name: str,
    csv: Path | None = None,
    labels: Path | None = None,
    tracks: dict[str, Track] | None = None,
) -> VideoDataset:
    """Videos in a folder with labels out of a list or out of the names of folders.

    Args:
        folder: flat, or one folder per label.
        options: `split` as text keeps the entries of that split; without, entries of the split
            "train" are for training and all others for evaluation, if the list has several.
        name: of the data set.
        csv: list file, see `lists.read_list`; None: every video of the tree.
        labels: file of class names, one per line; None: the names that occur, sorted. They are
            those of the whole list, whatever split is asked for and whichever videos are there.
            So a class has one number in all of them. Lists with numbers need it, or keep the
            numbers as names.
        tracks: joints by the path of the video relative to the folder, or by its stem.

    Raises:
        FileError: if the folder or the list is missing, or no video is usable.
    """
    tree, left_out = Tree(folder), LeftOut()
    found, names = _read_listed(tree, csv, options, left_out) if csv else _all_of(tree)
    if options.task == "actions":
        for one in [f for f in found if f.label is None]:
            left_out.add("no label", one.path.name)
        found = [f for f in found if f.label is not None]
    classes, numbers = _classes(names, labels)
    usable, known = [], []
    for one in found:
        label = -1 if one.label is None else numbers.get(normalise(one.label), -1)
        if one.label is not None and label < 0:
            left_out.add("unknown label", one.path.name, one.label)
        else:
            usable.append(one)
            known.append(label)
    store, kept = _store(usable, options, left_out)
    items = []
    for number, k in enumerate(kept):
        path = usable[k].path
        track = None if tracks is None else _track(tracks, path, folder)
        if track is None and options.task == "joints":
            left_out.add("no joints", path.name)
            continue
        items.append(Item(_relative(path, folder), known[k], number, track))
    settings = {"csv": None if csv is None else csv.name, "split": options.split}
    return VideoDataset(
        name,
        classes,
        items,
        store,
        options.sampling,
        options.size,
        options.crop,
        left_out,
        settings=settings,
    )


def _relative(path: Path, folder: Path) -> str:
    try:
        return path.relative_to(folder).as_posix()
    except ValueError:
        return path.as_posix()


def _track(tracks: dict[str, Track], path: Path, folder: Path) -> Track | None:
    relative = Path(_relative(path, folder))
    for key in (
        relative.as_posix(),
        relative.with_suffix("").as_posix(),
        path.name,
        path.stem,
        str(path),
    ):
        if key in tracks:
            return tracks[key]
    return None


def _all_of(tree: Tree) -> tuple[list[Found], set[str]]:
    found = [Found(path, tree.label_of(path)) for path in tree.files]
    return found, {f.label for f in found if f.label is not None}


def _in_split(entries: Sequence[Entry], options: Options) -> list[Entry]:
    if isinstance(options.split, str):
        return [e for e in entries if e.split == options.split]
    if len({e.split for e in entries}) < 2:
        return list(entries)
    return [e for e in entries if (e.split == "train") == options.train]


def _read_listed(
    tree: Tree, csv: Path, options: Options, left_out: LeftOut
) -> tuple[list[Found], set[str]]:
    """The videos of the split that are there, and the names of all classes of the list."""
    everything = read_list(csv)
    entries = _in_split(everything, options)
    if not entries:
        splits = sorted({e.split for e in everything})
        raise FileError(
            f"[data] split of {csv.name}: got {options.split!r}, expected one of "
            f"{', '.join(map(repr, splits))}. Choose a split that the list has."
        )
    times_listed = Counter(e.name for e in entries if e.by_id)
    found, taken = [], set()
    for entry in entries:
        path = tree.find(entry, times_listed)
        if path is None:
            left_out.add("missing", entry.name)
        elif path in taken:
            left_out.add("listed twice", entry.name)
        else:
            taken.add(path)
            found.append(Found(path, entry.label or tree.label_of(path)))
    names = {e.label for e in everything if e.label is not None}
    for entry in (e for e in everything if e.label is None):  # the tree says it
        path = tree.find(entry, times_listed)
        label = None if path is None else tree.label_of(path)
        names |= set() if label is None else {label}
    return found, names


def _classes(names: set[str], labels: Path | None) -> tuple[tuple[str, ...], dict[str, int]]:
    """Class names, and the number of each normalised name (and of each number as text)."""
    if labels is not None:
        classes = read_classes(labels)
        numbers = {str(k): k for k in range(len(classes))}
    else:
        digits = all(n.isdigit() for n in names)
        classes = (
            tuple(str(k) for k in range(max((int(n) for n in names), default=-1) + 1))
            if digits
            else tuple(sorted(names))
        )
        numbers = {}
    for k, name in enumerate(classes):
        numbers[normalise(name)] = k
    return classes, numbers


def _store(found: Sequence[Found], options: Options, left_out: LeftOut) -> tuple[Store, list[int]]:
    """The frames of the usable videos, and which of `found` they are."""
    paths = [f.path for f in found]
    facts = probe_all(paths, options.cache)
    kept, good = [], []
    for k, (path, fact) in enumerate(zip(paths, facts)):
        if isinstance(fact, str):
            left_out.add("corrupt", path.name, fact)
        elif not too_short(fact, options.sampling, path.name, left_out, shortest=SHORTEST):
            kept.append(k)
            good.append(fact)
    chosen = [paths[k] for k in kept]
    if not options.use_cache:
        return open_file_store(chosen, good, options), kept
    smallest = min((f.size for f in good), default=(256, 340))
    store = open_cached_store(chosen, options, source=smallest)
    return store, kept
