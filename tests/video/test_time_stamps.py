from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

from pvnet import video
from pvnet.data.files.decode import decode_all, decode_at
from pvnet.video.reader import Picture

sys.path.insert(0, str(Path(__file__).parent))
from video_helpers import grey_frames, restamped, write_pictures

USUAL = [k / 25 for k in range(30)]
UNEVEN = [k / 25 + 0.015 * (k % 3 == 2) for k in range(30)]
TURN_S = 2**33 / 90e3  # after which stamps of MPEG begin at 0 again: 26.5 hours


class Stamped:
    """A reader of pictures with given stamps; picture k is grey of level k."""

    def __init__(self, stamps, fps=25.0, live=False):
        self.info = video.SourceInfo(4, 4, fps, None, None, live)
        self._stamps = stamps

    def pictures(self, stats):
        for k, stamp in enumerate(self._stamps):
            yield Picture(np.full((4, 4, 3), k, np.uint8), stamp)

    def close(self):
        pass


def read(stamps, *, fps=None, rate=25.0, live=False, loop=False, n=None):
    """(times, numbers of the pictures, jumps, stats) of a source with these stamps."""
    source = video.Source(Stamped(stamps, rate, live), "x", resample_fps=fps, loop=loop)
    frames = list(source) if n is None else [next(source) for _ in range(n)]
    times = [f.time_s for f in frames]
    assert np.all(np.diff(times) > 0)
    numbers = [int(f.image[0, 0, 0]) for f in frames]
    return times, numbers, {f.index: f.jump_s for f in frames if f.jump_s}, source.stats


def changed(at, stamps, base=USUAL):
    out = list(base)
    out[at : at + len(stamps)] = stamps
    return out


@pytest.mark.parametrize("off", [95_000.0, TURN_S, -TURN_S, 2_000.0, 5.0, 1.5, -1_000.0])
@pytest.mark.parametrize("live", [False, True])
def test_one_bogus_stamp_does_not_shift_the_later_ones(off, live):
    for at in (1, 10, 28) if live or off == -1_000 else (0, 1, 10, 28):
        stamps = changed(at, [UNEVEN[at] + off], UNEVEN)
        times, _, jumps, stats = read(stamps, live=live)
        assert np.allclose(times[:at] + times[at + 1 :], UNEVEN[:at] + UNEVEN[at + 1 :], atol=1e-9)
        assert abs(times[at] - UNEVEN[at]) < 0.03
        assert stats.time_repairs >= 1
        assert not jumps


@pytest.mark.parametrize("at", [10, 29])
def test_one_bogus_stamp_does_not_make_millions_of_frames(at):
    times, numbers, _, _ = read(changed(at, [USUAL[at] + 95_443.0]), fps=25)
    assert numbers == list(range(30))
    assert np.allclose(times, USUAL)


def test_some_bogus_stamps_do_not_shift_the_later_ones():
    times, _, jumps, stats = read(changed(10, [90_000.4, 90_000.44, 90_000.48]))
    assert np.allclose(times, USUAL)
    assert stats.time_jumps == 2
    assert list(jumps) == [10, 13]


def test_a_clock_that_starts_again_is_a_jump_and_time_goes_on():
    times, _, jumps, stats = read([100 + t for t in USUAL[:15]] + USUAL[:15])
    assert np.allclose(times, [100 + t for t in USUAL])
    assert stats.time_jumps == 1
    assert jumps == {15: pytest.approx(-100.56)}


def test_stamps_that_wrap_around_keep_their_steps():
    begin = TURN_S - 0.5
    times, _, jumps, stats = read([(begin + t) % TURN_S for t in UNEVEN])
    assert np.allclose(np.subtract(times, begin), UNEVEN, atol=1e-6)
    assert (jumps, stats.time_jumps) == ({}, 0)


def test_a_gap_is_kept_and_a_longer_one_reported():
    times, _, jumps, stats = read([t + 8 * (k >= 15) for k, t in enumerate(USUAL)])
    assert times[15] == USUAL[15] + 8
    assert (jumps, stats.time_jumps) == ({}, 0)
    times, _, jumps, stats = read([t + 60 * (k >= 15) for k, t in enumerate(USUAL)])
    assert times[15] == USUAL[15] + 60
    assert (list(jumps), stats.time_jumps) == ([15], 1)


def test_a_frame_before_a_gap_is_repeated_for_ten_seconds_at_most():
    gap = [t + 600 * (k >= 15) for k, t in enumerate(USUAL)]
    times, numbers, jumps, _ = read(gap, fps=25)
    assert numbers.count(14) == 250
    assert numbers[-15:] == list(range(15, 30))
    assert times[-15:] == pytest.approx(gap[15:])
    assert list(jumps) == [264]


@pytest.mark.parametrize("rate", [0.0003, 30 / 5.2])
def test_the_last_frame_after_a_gap_is_held_for_a_frame_and_not_for_the_mean_of_gaps(rate):
    _, numbers, _, _ = read([t + 4 * (k >= 15) for k, t in enumerate(USUAL)], fps=25, rate=rate)
    assert numbers.count(29) == 1
    assert len(numbers) == 130


def test_a_variable_rate_is_kept_to_the_bit_beside_a_bogus_stamp():
    stamps = [-0.5, 0.01, 0.5, 0.52, 3.0, 3.04, 9.0, 9.01, 9.5, 19.4]
    times, _, jumps, stats = read([*stamps[:6], 95_000.0, *stamps[6:]])
    assert times[:6] + times[7:] == stamps
    assert (stats.time_repairs, stats.time_jumps, jumps) == (1, 0, {})
    slow = [60.0 * k for k in range(9)]  # one picture a minute
    assert read([*slow[:6], 95_000.0, *slow[6:]], rate=1 / 60)[0][7:] == slow[6:]


@pytest.mark.parametrize("extra", [[0.16], [0.16] * 3, [0.12], [None], [0.15, None, 0.16]])
def test_pictures_with_double_missing_or_backward_stamps_do_not_shift_the_later_ones(extra):
    stamps = [*USUAL[:5], *extra, *USUAL[5:]]
    times, _, _, stats = read(stamps)
    assert np.allclose(times[:5] + times[5 + len(extra) :], USUAL)
    assert stats.time_repairs == len(extra)
    assert stats.time_jumps == 0


def test_a_live_video_does_not_fall_behind_its_stamps_for_ever():
    # No look ahead: a double stamp is followed by others until they are back on the line.
    times = read([*USUAL[:5], 0.16, 0.16, *USUAL[5:]], live=True)[0]
    assert np.allclose(times[-15:], USUAL[-15:])


def test_a_loop_does_not_repeat_the_time_before_the_first_stamp():
    times, numbers, _, _ = read([5 + t for t in USUAL], loop=True, n=60)
    assert numbers == [*range(30), *range(30)]
    assert np.allclose(np.diff(times), 0.04)


def test_no_stamps_make_time_go_back_or_frames_without_bound():
    rng = np.random.default_rng(5)
    for _ in range(150):
        kinds = rng.integers(0, 6, 30)
        walk = np.cumsum(rng.choice([0.04, 0.0, 0.01, 3.0, -0.04, 60.0], 30))
        bogus = rng.uniform(-2e5, 2e5, 30)
        stamps = [None if n == 0 else bogus[k] if n == 1 else walk[k] for k, n in enumerate(kinds)]
        live = bool(rng.integers(2))
        assert len(read(stamps, live=live)[0]) == 30
        source = video.Source(Stamped(stamps), "x", resample_fps=25)
        times = [f.time_s for f in itertools.islice(source, 8_000)]
        assert len(times) < 30 * 251
        assert np.all(np.diff(times) > 0)


class Clock:
    """Time that passes by waiting only."""

    def __init__(self):
        self.now, self.waits = 0.0, []

    def now_ns(self):
        return round(self.now * 1e9)

    def wait(self, seconds, stop):
        self.waits.append(seconds)
        self.now += seconds


def test_a_real_time_feed_does_not_wait_for_a_bogus_stamp_or_through_a_gap():
    def waits(frames):
        clock = Clock()
        assert len(list(video.Feed(frames, "block", realtime=True, clock=clock))) == 30
        return clock.waits

    source = video.Source(Stamped(changed(10, [95_000.0])), "x")
    assert waits(source) == pytest.approx([0.04] * 29)
    source = video.Source(Stamped([t + 600 * (k >= 15) for k, t in enumerate(USUAL)]), "x")
    assert waits(source) == pytest.approx([0.04] * 14 + [10] + [0.04] * 14)
    image = np.zeros((4, 4, 3), np.uint8)
    anyones = [video.Frame(image, k, 95_000.0 * (k >= 15) + k / 25, "x") for k in range(30)]
    assert waits(anyones) == pytest.approx([0.04] * 14 + [10] + [0.04] * 14)


def test_frames_of_an_avi_with_reordered_pictures_have_their_times(tmp_path):
    for codec, options in (("libx264", {"bf": "3", "b-adapt": "0"}), ("mpeg4", {"bf": "2"})):
        path = tmp_path / f"{codec}.avi"
        write_pictures(path, grey_frames(30), codec, options=options)
        with video.open(path) as source:
            times = [f.time_s for f in source]
        assert np.allclose(np.subtract(times, times[0]), USUAL)
        assert source.stats.time_repairs == 0
        whole = decode_all(path)
        assert np.allclose(whole.times_s, USUAL)
        for begin in (0, 13, 26):  # seconds to begin at, to look for them with and without a seek
            part = decode_at(path, whole.times_s[begin : begin + 4], size=(48, 64))
            assert np.array_equal(part.frames, whole.frames[begin : begin + 4])


def test_an_avi_with_reordered_pictures_and_a_damaged_one_stays_in_time(tmp_path):
    path = tmp_path / "a.avi"
    write_pictures(path, grey_frames(30), options={"bf": "3", "b-adapt": "0"}, gop=30)
    data = bytearray(path.read_bytes())
    at = -1
    for _ in range(9):  # the ninth packet
        at = data.index(b"00dc", at + 1)
    size = int.from_bytes(data[at + 4 : at + 8], "little")
    data[at + 8 : at + 8 + size] = bytes(size)
    path.write_bytes(bytes(data))
    with video.open(path) as source:
        times = [round(25 * f.time_s, 3) for f in source]
    assert len(times) >= 28
    assert source.stats.time_repairs == 0
    assert times[-1] - times[0] in (28, 29)
    assert set(times) <= set(range(31))


@pytest.mark.parametrize("suffix", [".mkv", ".ts", ".mp4"])
def test_one_bogus_stamp_in_a_file(tmp_path, suffix):
    clean, path = tmp_path / f"clean{suffix}", tmp_path / f"a{suffix}"
    write_pictures(clean, grey_frames(30), options={"bf": "0"})
    restamped(clean, path, lambda k, t: t + (95_000.0 if k == 10 else 0.0))
    with video.open(clean) as source:
        usual = [f.time_s for f in source]
    with video.open(path) as source:
        assert np.allclose([f.time_s for f in source], usual, atol=2e-3)
        assert source.stats.time_repairs + source.stats.time_jumps >= 1
        assert 1 < source.info.fps < 60
    with video.open(path, fps=25) as source:
        assert 28 <= sum(1 for _ in source) <= 31
    part = decode_at(path, np.array([0.2, 0.8]), size=(48, 64))
    assert np.allclose(part.times_s, [0.2, 0.8], atol=2e-3)


def test_a_joined_file_whose_stamps_begin_again_goes_on_in_time(tmp_path):
    one = tmp_path / "one.ts"
    write_pictures(one, grey_frames(40), options={"bf": "0"})
    (tmp_path / "two.ts").write_bytes(one.read_bytes() * 2)
    with video.open(tmp_path / "two.ts") as source:
        frames = list(source)
    assert np.allclose(np.diff([f.time_s for f in frames]), 0.04)
    assert len(frames) == 80
    assert source.stats.time_jumps == sum(f.jump_s != 0 for f in frames) == 1
