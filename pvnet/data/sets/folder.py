"""Own videos with joints: files or folders of images, with an NPZ or a JSON of joints."""

from __future__ import annotations

from pathlib import Path

from pvnet.data.clips import LeftOut
from pvnet.data.files.decode import decode_all
from pvnet.data.sets.keypoints import read_joints
from pvnet.data.sets.kinetics import open_actions
from pvnet.data.sets.options import Options, open_cached_store
from pvnet.data.sets.videos import Item, Track, VideoDataset
from pvnet.errors import FileError


def open_folder(
    folder: Path,
    options: Options,
    *,
    csv: Path | None = None,
    joints: Path | None = None,
    labels: Path | None = None,
) -> VideoDataset:
    """A folder of videos.

    Args:
        folder: of the videos.
        options: with joints, videos are decoded once and kept, unless `use_cache` is False (then
            joints need times, as the NPZ of `pvnet label` has them).
        csv: list with labels, see `lists.read_list`.
        joints: file of joints, see `keypoints.read_joints`.
        labels: file of class names.

    Raises:
        FileError: if something is missing or no video is usable.
    """
    if joints is None:
        return open_actions(folder, options, name="folder", csv=csv, labels=labels)
    tracks = read_joints(joints)
    timed = all(t.times_s is not None for t in tracks.values())
    if not options.use_cache and not timed:
        raise FileError(
            f"[data] joints without times and no cache: got {joints.name}, expected rows with "
            "times where videos are read in parts. Allow the cache, or make the file with pvnet "
            "label."
        )
    pictures = {name: track for name, track in tracks.items() if (folder / name).is_dir()}
    if pictures:
        return _folders_of_images(folder, options, pictures)
    return open_actions(folder, options, name="folder", csv=csv, labels=labels, tracks=tracks)


def _folders_of_images(folder: Path, options: Options, tracks: dict[str, Track]) -> VideoDataset:
    """Videos that are folders of images; they have joints and no labels."""
    names, left_out = sorted(tracks), LeftOut()
    first = next((_picture_size(folder / n) for n in names), None) or (240, 320)
    store = open_cached_store([folder / n for n in names], options, source=first)
    items = []
    for k, name in enumerate(names):
        if len(store.cache.times_s(k)):
            items.append(Item(name, -1, k, tracks[name]))
        else:
            left_out.add("corrupt", name, store.cache.problems[k])
    return VideoDataset(
        "folder",
        (),
        items,
        store,
        options.sampling,
        options.size,
        options.crop,
        left_out,
    )


def _picture_size(folder: Path) -> tuple[int, int] | None:
    try:
        return decode_all(folder, max_frames=1).source_size
    except FileError:
        return None
