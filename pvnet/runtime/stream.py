"""Stream: one video's (or one batch of videos') mutable state."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pvnet import _core
from pvnet.errors import InvalidArgumentError
from pvnet.runtime.cuda_stream import current_of, number_of
from pvnet.runtime.device_array import DeviceArray
from pvnet.runtime.tick import Tick

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pvnet.runtime.plan_facts import PlanFacts
    from pvnet.video.feed import Policy

OnGap = Literal["keep", "reset"]

TRACE_DTYPE = np.dtype(
    [(n, np.int64) for n in ("tick", "lane", "op", "lo", "hi", "begin_ns", "end_ns", "place")]
)
# What `lane` counts in an event, by its `place`.
TRACE_PLACES = ("lane", "cuda_stream", "sm")

_TICK_MADE = (
    "[Stream.tick] the tick was made before this exception came: Stream.ticks counts it, and "
    "Stream.outputs() has its results. Do not hand the same frame over again."
)


class Stream:
    """The state of `plan.batch` videos running through one Plan.

    One thread at a time: a call from a second one raises StateError and changes nothing.

    What pvnet raises leaves the state as it was. An exception of somebody else's, from a signal
    handler (KeyboardInterrupt, an alarm), may come when the tick has just been made. Then `ticks`
    counts it, `outputs()` has its results, and the exception that leaves `tick` says so in a note.

    In a forked process (`os.fork`, the workers of a torch DataLoader) a stream goes on from where
    it was, with worker lanes of its own.
    """

    def __init__(self, plan: PlanFacts) -> None:
        self.plan = plan
        self._core = _core.Stream(plan.core)
        self._inputs = list(plan.inputs)
        self._outputs = list(plan.outputs)
        self._on_device = plan.core.backend == "cuda"
        # Frames of the ticks that may still run: a tick begins when the fourth before it has ended.
        self._held: deque[list[Any]] = deque(maxlen=4)
        self._age_tables: dict[int, list[list[int]]] = {}  # by output, of the plan: [tick][stage]

    def tick(
        self, frame: Any, rows: Sequence[bool] | None = None, *, cuda_stream: Any = None
    ) -> Tick:
        """One tick: takes the newest frame, lets every due stage run once.

        With backend "cuda", frames may lie on the plan's device: torch, CuPy, or anything with
        DLPack or `__cuda_array_interface__`. Nothing is copied and nobody waits. The tick runs in
        the order of a cuda_stream, and its outputs are `DeviceArray`s (docs/cuda.md).

        Args:
            frame: uint8 [h, w, c] or [b, h, w, c], or float32 [c, h, w] or [b, c, h, w] (rank 3
                when batch is 1); numpy, torch (CPU) or anything with DLPack, any strides. uint8 is
                turned into (x / 255 - mean) / std of the input node, float32 is taken as it is.
                A dict by input name when the graph has several inputs. On a device the pixels of
                uint8 are packed, and all frames lie there.
            rows: bool [b], which batch rows advance; the others are frozen. None = all. A mask, not
                indices: numbers are refused.
            cuda_stream: of frames on a device, behind what the tick comes, and in front of what:
                an int, a torch.cuda.Stream or a cupy Stream. None: the current one of the frame's
                library, or where that does not tell, one of the Stream's own.

        Returns:
            The outputs (held values included), tick indices, validity and ages.

        Raises:
            InvalidArgumentError: wrong shape, dtype, device, or values that are not finite.
            StateError: another thread is inside this stream, or was when this process was forked.
            UnsupportedError: the system refuses the threads that a forked process needs.

        """
        return self._make(frame, rows, cuda_stream, wait=True)

    def _make(self, frame: Any, rows: Any, cuda_stream: Any, wait: bool) -> Tick:
        begin = time.perf_counter()
        before = self._core.ticks_sum
        try:
            frames = self._frames(frame)
            number = self._stream_of(frames, cuda_stream)
            result = self._core.tick(frames, rows, number, wait)
            return self._tick(result, (time.perf_counter() - begin) * 1e3)
        except BaseException as error:
            if self._core.ticks_sum != before:
                error.add_note(_TICK_MADE)
            raise

    def _frames(self, frame: Any) -> list[Any]:
        # A Mapping is asked for by a walk over its subclasses: not for every array.
        if type(frame) is not np.ndarray and isinstance(frame, Mapping):
            if set(frame) != set(self._inputs):
                raise InvalidArgumentError(
                    f"[Stream.tick] the frames do not match the inputs: got {sorted(frame)}, "
                    f"expected {sorted(self._inputs)}. Pass one frame per input."
                )
            return [frame[name] for name in self._inputs]
        return [frame]

    def _stream_of(self, frames: list[Any], cuda_stream: Any) -> int | None:
        if cuda_stream is not None:
            return number_of(cuda_stream)
        return current_of(frames[0]) if self._on_device and frames else None

    def _tick(self, result: tuple[list[Any], Any, Any, Any], latency_ms: float) -> Tick:
        outputs, tick, valid, device = result
        if device is not None:
            self._held.append(device.take_held())
            outputs = [DeviceArray(output) for output in outputs]
        return Tick(
            outputs=dict(zip(self._outputs, outputs, strict=True)),
            tick=tick,
            valid=valid,
            latency_ms=latency_ms,
            _age=self._ages,
            _plan=self.plan,
            _finite=None if device is None or device.of_host else device.finite,
            _of_host=device is None or device.of_host,
        )

    def _ages(self, tick: NDArray[np.int64], output: int) -> dict[int, NDArray[np.int64]]:
        """Of an output whose rows have made these ticks, by stage."""
        plan = self.plan.core
        if output not in self._age_tables:
            self._age_tables[output] = plan.outputs()[output]["age_ticks"]
        table = self._age_tables[output]
        settle, hyper = plan.settle_ticks, plan.hyper_period

        def entry(t: int) -> list[int]:
            if t < 0:
                return [-1] * self.plan.graph.n_stages
            row: list[int] = table[t if t < settle else settle + (t - settle) % hyper]
            return row

        per_row = np.array([entry(int(t)) for t in tick], np.int64)
        return {s: per_row[:, s] for s in range(per_row.shape[1])}

    def run(
        self,
        source: Iterable[Any],
        *,
        policy: Policy | None = None,
        realtime: bool = False,
        on_gap: OnGap = "keep",
    ) -> Iterator[Tick]:
        """Runs a source of frames through the stream.

        Args:
            source: a `pvnet.video` source, or any iterable of frames: what `tick` takes, or objects
                with such an `image`.
            policy: what happens to frames that come faster than ticks: "block" (none is lost),
                "drop_oldest", "drop_newest" or "latest". None: "latest" for live sources (cameras,
                live URLs, pipes), "block" for all others. Anything but "block" reads the source
                in a thread of its own.
            realtime: pace a file by its time stamps, as a camera would.
            on_gap: what becomes of the state where a live source was lost and came back
                (`Tick.gap`): "keep" goes on with it, "reset" begins anew with the frame after it.

        Yields:
            One Tick per frame taken, with `.frame` set. A frame that has to wait is copied, unless
            its source never changes what it gave away (`pvnet.video` sources). With "block" and
            without realtime none waits: `.frame` is then the object that the source gave, and
            changes with it. On a device the next frame is read and uploaded beside a tick then,
            where the source never changes what it gave away: `ticks` is one ahead of the Tick.

        Raises:
            InvalidArgumentError: an unknown policy or on_gap, or a frame that cannot be copied.
            SourceLostError: a live source was lost and did not come back.

        """
        from pvnet.video.feed import Feed, default_policy
        from pvnet.video.owned import owns_frames
        from pvnet.video.source import Source

        if on_gap not in ("keep", "reset"):
            raise InvalidArgumentError(
                f"[Stream.run] on_gap: got {on_gap!r}, expected 'keep' or 'reset'. "
                "Supported values are these two."
            )
        policy = default_policy(source) if policy is None else policy
        if policy == "block" and not realtime:
            if self._on_device and owns_frames(source):
                yield from self._run_ahead(source, on_gap)
                return
            for frame in source:
                yield self._run_one(frame, on_gap)
            return
        live = source if isinstance(source, Source) else _Frames(source)
        with Feed(live, policy=policy, realtime=realtime) as feed:
            for frame in feed:
                yield self._run_one(frame, on_gap)

    def _run_one(self, frame: Any, on_gap: OnGap, *, wait: bool = True) -> Tick:
        if on_gap == "reset" and getattr(frame, "gap", None) is not None:
            self.reset()
        image = getattr(frame, "image", frame)
        out = self.tick(image) if wait else self._make(image, None, None, wait)
        out.frame = frame
        return out

    def _run_ahead(self, source: Iterable[Any], on_gap: OnGap) -> Iterator[Tick]:
        """Two ticks under way: one begins before the results of the one before are awaited."""
        last: Tick | None = None
        try:
            for frame in source:
                if last is not None and getattr(frame, "gap", None) is not None:
                    done, last = last, None
                    yield _arrived(done)
                before, last = last, self._run_one(frame, on_gap, wait=False)
                if before is not None:
                    yield _arrived(before)
        except Exception:  # of the source, or of a frame: what was begun before comes first
            if last is not None:
                yield _arrived(last)
            raise
        if last is not None:
            yield _arrived(last)

    def outputs(self) -> Tick:
        """The held outputs, without a tick; zeros before the first one."""
        return self._tick(self._core.outputs(), 0.0)

    @property
    def ticks(self) -> NDArray[np.int64]:
        """int64 [b], ticks that each row has made."""
        return self._core.ticks

    @property
    def lanes_used(self) -> int:
        """Lanes that shared the last tick; 0 before the first.

        Those of the plan, or 1 where the calling thread made it alone. Then the tick was too short
        to share, or other programs keep the CPUs so busy that sharing takes longer (unless the plan
        has `fixed_lanes`). The results are the same.
        """
        return self._core.lanes_used

    def reset(self, rows: Sequence[bool] | None = None) -> None:
        """Puts rows (None = all) back before their first tick; the others are untouched.

        Args:
            rows: bool [b], the rows to reset.

        """
        self._core.reset(rows)

    def snapshot(self) -> bytes:
        """The whole state; `restore` on any stream of an equal plan goes on from there."""
        return self._core.snapshot()

    def restore(self, snapshot: bytes) -> None:
        """Puts back a snapshot.

        Raises:
            FileError: the bytes are damaged. StateError: they belong to another plan.

        """
        if not isinstance(snapshot, bytes):
            raise InvalidArgumentError(
                f"[Stream.restore] this is no snapshot: got {type(snapshot).__name__}, expected "
                "bytes. Pass what snapshot() gave."
            )
        self._core.restore(snapshot)

    def trace_start(self, capacity: int = 100_000) -> None:
        """Begins to record what every lane does, up to `capacity` events per lane."""
        self._core.trace_start(capacity)

    def trace_stop(self) -> NDArray[Any]:
        """Ends the recording: a structured array of `TRACE_DTYPE`, sorted by time.

        `op` is an index into `plan.ops`; tiles [lo, hi) of it ran. `place` says what `lane` counts:
        0 lanes of the host, 1 cuda_streams, 2 multiprocessors (SMs).
        """
        events = np.ascontiguousarray(self._core.trace_stop())
        return events.view(TRACE_DTYPE).reshape(-1)

    def __repr__(self) -> str:
        return f"Stream(ticks={self.ticks.tolist()}, of={self.plan!r})"


def _arrived(tick: Tick) -> Tick:
    """With the outputs of a host frame on the host, and the time until they came."""
    begin = time.perf_counter()
    if tick._of_host:
        tick.outputs = {name: output.numpy() for name, output in tick.outputs.items()}
        tick.latency_ms += (time.perf_counter() - begin) * 1e3
    return tick


class _Frames:
    """What has an image as it is; bare arrays and tensors with the time at which they came."""

    def __init__(self, source: Iterable[Any]) -> None:
        self._source = source
        for name in ("owned", "interrupt"):
            if hasattr(source, name):
                setattr(self, name, getattr(source, name))

    def __iter__(self) -> Iterator[Any]:
        from pvnet.video.frame import Frame

        begin = time.perf_counter()
        for index, item in enumerate(self._source):
            if hasattr(item, "image"):
                yield item
            else:
                yield Frame(_image(item), index, time.perf_counter() - begin, "frames")


def _image(item: Any) -> Any:
    """As it is if `Stream.tick` takes it; other things (lists, pictures) as arrays."""
    if isinstance(item, Mapping) or hasattr(item, "__dlpack__"):
        return item
    return item if hasattr(item, "__cuda_array_interface__") else np.asarray(item)
