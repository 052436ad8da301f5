from __future__ import annotations

import numpy as np
import pytest
from data_helpers import numbers, refused, write_video

from pvnet.data import open_dataset
from pvnet.data.clips import ClipError
from pvnet.data.files import decode
from pvnet.data.files.decode import decode_all, decode_at, probe
from pvnet.data.sampling import Sampling


def test_header_tells_size_rate_and_length(tmp_path):
    facts = probe(write_video(tmp_path / "a.mp4", 30, size=(48, 64), fps=15))
    assert facts.size == (48, 64)
    assert facts.fps == pytest.approx(15)
    assert facts.duration_s == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("begin", [0, 1, 11, 12, 25, 30])
def test_a_window_after_a_seek_is_the_same_as_out_of_the_whole(tmp_path, begin):
    path = write_video(tmp_path / "a.mp4", 38, fps=10, gop=9)
    whole = decode_all(path, size=(24, 32))
    wanted = (begin + np.arange(8)) / 10
    part = decode_at(path, wanted, size=(24, 32))
    np.testing.assert_array_equal(part.frames, whole.frames[begin : begin + 8])
    np.testing.assert_allclose(part.times_s, whole.times_s[begin : begin + 8], atol=1e-9)
    assert part.source_size == (48, 64)


def test_a_seek_that_lands_too_late_starts_again_from_the_beginning(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", 38, fps=10, gop=12)
    frames = decode._Window._pictures
    seeks = []

    def late(self, container, begin):
        found = list(frames(self, container, begin))
        seeks.append(found[0][1])
        return iter(found if found[0][1] == 0 else found[8:])

    monkeypatch.setattr(decode._Window, "_pictures", late)
    got = decode_at(path, 2.5 + np.arange(4) / 10, size=(24, 32))
    assert numbers(got.frames) == [25, 26, 27, 28]
    assert len(seeks) == 2
    assert seeks[0] > 0
    assert seeks[1] == 0


def test_times_may_be_repeated_and_in_any_order(tmp_path):
    path = write_video(tmp_path / "a.mp4", 20, fps=10)
    got = decode_at(path, np.array([1.5, 0.0, 0.0, 0.75]), size=(48, 64))
    assert numbers(got.frames) == [15, 0, 0, 7]


def test_the_frame_on_show_in_a_video_of_variable_rate(tmp_path):
    times = [0, 40, 400, 440, 480, 1200, 1240]
    path = write_video(tmp_path / "v.mkv", 7, times=times)
    got = decode_at(path, np.arange(6) * 0.2, size=(48, 64))
    assert numbers(got.frames) == [0, 1, 2, 4, 4, 4]


def test_own_rate_of_a_container_with_rounded_stamps_misses_no_frame(tmp_path):
    path = write_video(tmp_path / "w.mkv", 30, fps=30)
    got = decode_at(path, np.arange(30) / 30, size=(48, 64))
    assert numbers(got.frames) == list(range(30))


def test_what_is_no_video_is_refused(tmp_path):
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(bytes(range(256)) * 40)
    cut = write_video(tmp_path / "cut.mp4", 30)
    cut.write_bytes(cut.read_bytes()[:700])
    for path in (bad, cut):
        refused(ClipError, probe, path)
        refused(ClipError, decode_all, path)
        refused(ClipError, decode_at, path, np.zeros(2), size=(48, 64))
    whole = write_video(tmp_path / "whole.mp4", 10, fps=10)
    refused(ClipError, decode_at, whole, np.arange(30) / 10, size=(48, 64))


def without_a_decoder(path):
    """The video with the name of a codec that nobody knows."""
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    return path


def test_odd_files_do_not_stop_the_others(tmp_path):
    """FFmpeg's errors are of many kinds (LookupError, EOFError, AttributeError, ...)."""
    good = write_video(tmp_path / "good" / "good.mp4", 10)
    write_video(tmp_path / "good" / "unknown.mp4", 10)
    without_a_decoder(tmp_path / "good" / "unknown.mp4")
    ended = write_video(tmp_path / "good" / "ended.ts", 10)
    ended.write_bytes(ended.read_bytes()[:400])
    for path in (tmp_path / "good" / "unknown.mp4", ended):
        refused(ClipError, probe, path)
        refused(ClipError, decode_all, path)
        refused(ClipError, decode_at, path, np.zeros(2), size=(48, 64))
    dataset = open_dataset(f"folder:{tmp_path}", frames=4, size=(48, 64))
    assert len(dataset) == 1
    assert dataset.describe()["left_out"]["counts"] == {"corrupt": 2}
    assert good.exists()


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".ts", ".avi"])
def test_fuzzed_files_are_read_or_refused(tmp_path, ending):
    rng = np.random.default_rng(7)
    raw = write_video(tmp_path / f"whole{ending}", 8, size=(32, 32)).read_bytes()
    path = tmp_path / f"fuzzed{ending}"
    refusals = 0
    for k in range(24):
        data = bytearray(raw)
        if k % 4 == 0:
            data = data[: int(rng.integers(len(data)))]
        else:
            for place in rng.integers(len(data), size=int(rng.choice([1, 3, 10, 60]))):
                data[int(place)] = int(rng.integers(256))
        path.write_bytes(data)
        for read in (probe, decode_all, lambda p: decode_at(p, np.arange(3) / 10, size=(16, 16))):
            try:
                read(path)
            except ClipError:
                refusals += 1
    assert refusals > 5


def test_odd_sizes_are_read(tmp_path):
    path = write_video(tmp_path / "odd.mp4", 5, size=(47, 63))
    assert probe(path).size == (47, 63)
    assert decode_all(path).frames.shape == (5, 47, 63, 3)
    assert numbers(decode_at(path, np.array([0.08]), size=(16, 16)).frames) == [2]


class TestSampling:
    own = np.arange(20) / 10  # 20 frames, 10 per second

    def times(self, frames, fps, place, seed=0):
        return Sampling(frames, fps, place).times(self.own, 10.0, np.random.default_rng(seed))

    def test_own_rate_takes_frames_one_after_the_other(self):
        for seed in range(20):
            got = self.times(6, None, "random", seed) * 10
            assert np.allclose(np.diff(got), 1)
            assert np.allclose(got, np.round(got))
            assert got[0] >= 0
            assert got[-1] <= 19
        starts = {round(self.times(6, None, "random", s)[0] * 10) for s in range(200)}
        assert starts == set(range(15))

    def test_center_and_start(self):
        assert self.times(6, None, "center")[0] == pytest.approx(0.7)
        assert self.times(6, None, "start")[0] == 0
        assert self.times(6, 5.0, "center")[0] == pytest.approx(0.4)

    def test_another_rate_resamples_the_times(self):
        got = self.times(4, 5.0, "start")
        np.testing.assert_allclose(got, [0, 0.2, 0.4, 0.6])

    def test_a_short_video_is_played_again(self):
        got = self.times(25, None, "start") * 10
        np.testing.assert_allclose(got, np.arange(25) % 20, atol=1e-9)

    def test_no_length_takes_the_whole_video(self):
        np.testing.assert_array_equal(self.times(None, None, "start"), self.own)
        assert len(self.times(None, 5.0, "start")) == 10

    def test_one_draw_whatever_the_place_is(self):
        after = []
        for place in ("random", "center", "start"):
            rng = np.random.default_rng(5)
            Sampling(4, None, place).times(self.own, 10.0, rng)
            after.append(rng.random())
        assert len(set(after)) == 1
