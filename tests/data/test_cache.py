from __future__ import annotations

import pickle

import numpy as np
import pytest
from data_helpers import numbers, write_video

from pvnet.data.files import cache as cache_module
from pvnet.data.files.cache import Request, open_cache
from pvnet.data.files.decode import decode_all
from pvnet.data.files.store import CachedStore


@pytest.fixture
def request_(tmp_path):
    good = [write_video(tmp_path / f"{k}.mp4", 5 + k, size=(48, 64 + 16 * k)) for k in range(3)]
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    return Request((good[0], bad, good[1], tmp_path / "missing.mp4", good[2]), (24, 32))


def test_frames_are_those_of_decoding(request_):
    held = open_cache(request_)
    assert len(held) == 5
    assert held.n_frames == 5 + 6 + 7
    for k in (0, 2, 4):
        want = decode_all(request_.paths[k], size=(24, 32))
        np.testing.assert_array_equal(held.frames(k), want.frames)
        np.testing.assert_array_equal(held.times_s(k), want.times_s)
        assert held.source_size(k) == want.source_size
    assert "missing" in held.problems[3]
    assert held.problems[1]
    assert not held.problems[0]


def test_it_is_built_once_and_again_when_a_file_changes(request_, monkeypatch):
    built = []
    real = cache_module._build
    monkeypatch.setattr(cache_module, "_build", lambda r, p: (built.append(p), real(r, p)))
    open_cache(request_)
    open_cache(request_)
    assert len(built) == 1
    write_video(request_.paths[0], 9, size=(48, 64))
    assert open_cache(request_).n_frames == 9 + 6 + 7
    assert len(built) == 2
    other = Request(request_.paths, (16, 16))
    assert open_cache(other).frames(0).shape == (9, 16, 16, 3)


def test_a_build_that_fails_leaves_nothing_behind(request_, monkeypatch, tmp_path):
    def broken(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cache_module, "_finish", broken)
    with pytest.raises(KeyboardInterrupt):
        open_cache(request_)
    left = [p.name for p in (tmp_path / "cache").iterdir() if not p.name.endswith(".lock")]
    assert left == []
    monkeypatch.undo()
    assert open_cache(request_, tmp_path / "cache").n_frames == 18


def test_own_sizes_made_smaller(request_):
    held = open_cache(Request(request_.paths, None, 0.5))
    assert held.frames(0).shape[1:3] == (24, 32)
    assert held.frames(4).shape[1:3] == (24, 48)


def test_a_copy_in_another_process_maps_the_file_itself(request_):
    held = open_cache(request_)
    held.frames(0)
    data = pickle.dumps(held)
    assert len(data) < 20_000
    np.testing.assert_array_equal(pickle.loads(data).frames(2), held.frames(2))


def test_store_reads_the_frame_on_show(request_):
    store = CachedStore(open_cache(request_))
    shot = store.read(0, np.array([0.0, 0.04, 0.05, 0.16, 0.0]))
    assert numbers(shot.frames) == [0, 1, 1, 4, 0]
    assert shot.rows.tolist() == [0, 1, 1, 4, 0]
    assert store.read(0, np.array([0.04, 0.08])).frames.flags.owndata


def test_rounded_time_stamps_hide_no_frame(tmp_path):
    path = write_video(tmp_path / "w.mkv", 30, fps=30)  # stamps of 0.033, 0.067, 0.1 s
    store = CachedStore(open_cache(Request((path,), (24, 32))))
    assert numbers(store.read(0, np.arange(30) / 30).frames) == list(range(30))


def test_a_cache_of_pictures_that_were_decoded_otherwise_is_not_used(request_, monkeypatch):
    with monkeypatch.context() as before:
        before.setattr(cache_module, "FORMAT", 1)  # before pixels were square and upright
        old = open_cache(request_)
    assert old._folder != open_cache(request_)._folder
