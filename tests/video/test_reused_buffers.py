"""Sources that fill one buffer again and again: what waits must keep the pixels of its index."""

from __future__ import annotations

import threading
from collections import namedtuple
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest

import pvnet
from pvnet import video
from pvnet.errors import InvalidArgumentError

pytestmark = pytest.mark.timeout(60)
N, SIZE = 20, (6, 8)
WAIT = 20.0
ALL = ["block", *sorted(set(video.POLICIES) - {"block"})]


def plan():
    graph = pvnet.Graph()
    x = graph.input("frame", channels=3, height=SIZE[0], width=SIZE[1])
    graph.output(graph.global_pool(x), name="mean")
    return pvnet.compile((graph.wire("sequential", stages=1), {}))


class Camera:
    """One buffer, filled N times with the number of the picture; `make` wraps it.

    The consumer is slower than the camera: picture k + 1 is there before k was looked at, as far
    as the policy lets it come.
    """

    def __init__(self, make, *, dtype=np.uint8, shape=(*SIZE, 3)):
        self.buffer = np.zeros(shape, dtype)
        self.make = make
        self.filled = threading.Event()

    def __iter__(self):
        for k in range(N):
            self.buffer[...] = k
            yield self.make(self.buffer, k)
        self.buffer[...] = 200  # and goes on to be used for something else
        self.filled.set()


def bare(buffer, k):
    return buffer


def framed(buffer, k):
    return video.Frame(buffer, k, k / 100, "camera", original=buffer)


@dataclass(frozen=True)
class Own:
    image: np.ndarray
    number: int
    time_s: float


Named = namedtuple("Named", "image number time_s")


class Loose:
    def __init__(self, buffer, k):
        self.image, self.number, self.time_s = buffer, k, k / 100


def own(buffer, k):
    return Own(buffer, k, k / 100)


def named(buffer, k):
    return Named(buffer, k, k / 100)


def number_of(frame):
    return frame.index if isinstance(frame, video.Frame) else frame.number


def level(out):
    return round(float(out["mean"].ravel()[0]) * 255)


@pytest.mark.parametrize("make", [bare, framed, own, named, Loose], ids=lambda m: m.__name__)
@pytest.mark.parametrize("policy", ALL)
def test_frames_of_a_reused_buffer_keep_the_pixels_of_their_index(policy, make):
    camera = Camera(make)
    seen = []
    # With block and realtime the frames go through a queue, too.
    for out in plan().stream().run(camera, policy=policy, realtime=policy == "block"):
        if not seen and policy != "block":
            assert camera.filled.wait(WAIT)  # a very slow first tick
        k = number_of(out.frame)
        seen.append(k)
        assert (level(out), int(out.frame.image[0, 0, 0])) == (k, k)
    assert seen == sorted(seen)
    assert len(seen) == N if policy == "block" else seen


@pytest.mark.parametrize("policy", ALL)
def test_a_feed_keeps_the_pixels_of_a_reused_buffer(policy):
    camera = Camera(framed)
    with video.Feed(camera, policy, capacity=N if policy != "latest" else None) as feed:
        assert camera.filled.wait(WAIT)
        frames = list(feed)
    assert [int(f.image[0, 0, 0]) for f in frames] == [f.index for f in frames]
    assert [int(f.original[0, 0, 0]) for f in frames] == [f.index for f in frames]
    assert all(f.original is f.image for f in frames)  # copied once


class Dlpack:
    """A tensor of some other library."""

    def __init__(self, array):
        self._array = array

    def __dlpack__(self, **how):
        return self._array.__dlpack__(**how)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()


class Device:
    """As CuPy: memory that the host cannot see, with a copy of its own."""

    def __init__(self, array):
        self.memory = array

    @property
    def __cuda_array_interface__(self):
        return {"shape": self.memory.shape, "typestr": "|u1", "data": (0, False), "version": 3}

    def copy(self):
        return Device(self.memory.copy())


def wait_all(camera, policy="drop_oldest"):
    with video.Feed(iter(camera), policy, capacity=N) as feed:
        assert camera.filled.wait(WAIT)
        return list(feed)


def test_waiting_tensors_are_copied_whatever_library_they_are_of():
    torch = pytest.importorskip("torch")

    def frames(wrap):
        return Camera(lambda b, k: video.Frame(wrap(b), k, float(k), "camera"))

    got = wait_all(frames(torch.from_numpy))
    assert all(isinstance(f.image, torch.Tensor) for f in got)
    assert [int(f.image[0, 0, 0]) for f in got] == list(range(N))
    assert [int(f.image[0, 0, 0]) for f in wait_all(frames(Dlpack))] == list(range(N))
    assert [int(f.image.memory[0, 0, 0]) for f in wait_all(frames(Device))] == list(range(N))
    got = wait_all(frames(lambda b: {"left": b, "right": torch.from_numpy(b)}))
    assert [int(f.image["right"][0, 0, 0]) for f in got] == list(range(N))


@pytest.mark.parametrize("kind", ["torch", "dlpack", "dict"])
def test_tensors_and_dicts_run_with_every_policy(kind):
    wrap = {"dlpack": Dlpack, "dict": lambda x: {"frame": x}}.get(kind)
    if wrap is None:
        wrap = pytest.importorskip("torch").from_numpy
    camera = Camera(lambda b, k: wrap(b))
    outs = list(plan().stream().run(camera, policy="drop_oldest"))
    assert outs
    assert [level(o) for o in outs] == [o.frame.index for o in outs]


def test_a_frame_that_cannot_be_copied_is_refused_not_shared():
    with (
        video.Feed([video.Frame(object(), 0, 0.0, "x")], "latest") as feed,
        pytest.raises(InvalidArgumentError, match="cannot be copied"),
    ):
        next(feed)


def test_nothing_is_copied_that_does_not_wait():
    buffer = np.zeros((*SIZE, 3), np.uint8)
    outs = plan().stream().run((buffer for _ in range(3)), policy="block")
    assert all(out.frame is buffer for out in outs)


def test_frames_of_pvnets_own_readers_are_not_copied(monkeypatch):
    from pvnet.video.owned import Copies

    def never(self, frame):
        raise AssertionError("copied")

    monkeypatch.setattr(Copies, "frame", never)
    with video.open("synthetic:frames=5,size=32x32") as source, video.Feed(source) as feed:
        assert len(list(feed)) == 5


@pytest.mark.parametrize("form", ["rgb24", "bgr24", "gray"])
def test_pictures_of_a_raw_video_are_memory_of_their_own(tmp_path, form):
    """Raw pictures need no conversion: the decoder's own memory might be handed out."""
    av = pytest.importorskip("av")
    path = tmp_path / "raw.nut"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = SIZE[1], SIZE[0], form
        for k in range(N):
            picture = np.full((*SIZE, 3), 10 * k, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=form)
            frame.pts = k
            out.mux(stream.encode(frame))
    with video.open(path) as source:
        assert source.owned
        then, kept = [], []
        for frame in source:
            kept.append(frame)
            then.append(frame.image.copy())
    assert len(kept) == N
    assert all(np.array_equal(f.image, t) for f, t in zip(kept, then))
    assert all(not np.shares_memory(a.image, b.image) for a, b in pairwise(kept))


def test_copies_use_memory_again_that_nobody_holds():
    from pvnet.video.owned import Copies

    copies, picture = Copies(4), np.zeros((50, 60, 3), np.uint8)
    addresses = {copies.array(picture).ctypes.data for _ in range(100)}
    assert len(addresses) == 1
    held = [copies.array(picture)[10:20] for _ in range(3)]  # a view holds, too
    new = copies.array(picture + 1)
    assert not any(np.shares_memory(new, h) for h in held)
    assert all((h == 0).all() for h in held)
    assert np.array_equal(copies.array(picture[::2, ::-1]), picture[::2, ::-1])


def test_a_feed_with_a_slow_consumer_copies_into_few_buffers():
    """1,000 frames, of which nearly all are thrown away, need no more than the feed's own."""
    from pvnet.video.owned import Copies

    done, addresses = threading.Event(), set()
    real = Copies.array

    def noted(self, value):
        out = real(self, value)
        addresses.add(out.ctypes.data)
        return out

    def camera():
        buffer = np.zeros((64, 64, 3), np.uint8)
        for k in range(1000):
            buffer[...] = k % 250
            yield video.Frame(buffer, k, float(k), "camera")
        done.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Copies, "array", noted)
        with video.Feed(camera(), "latest") as feed:
            assert done.wait(WAIT)
            assert [f.index for f in feed] == [999]
    assert len(addresses) <= 4
