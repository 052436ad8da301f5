"""Tick: what one tick of a Stream gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pvnet.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, ItemsView, Iterator, KeysView, ValuesView

    from numpy.typing import NDArray

    from pvnet.runtime.plan_facts import PlanFacts
    from pvnet.video.frame import Gap


@dataclass(slots=True, weakref_slot=True)
class Tick:
    """The outputs of one tick and what is known about them.

    It reads like a mapping of its outputs: `tick["joints"]`, `list(tick)`, `dict(tick)`.

    Attributes:
        outputs: float32 arrays [b, c, h, w], or [b, c] where h = w = 1, by name; own memory, never
            written again. `DeviceArray`s of the same shapes where the frames lay on a device: they
            are there until the second next tick.
        tick: int64 [b], index of the row's last tick; -1 before its first.
        valid: bool [b], whether the row's outputs depend on real frames along every path.
        latency_ms: computational latency of this tick: from handing the frame over to having the
            outputs; on a device, to having enqueued the tick.
        frame: the source's frame, when the tick came from `Stream.run`; a copy of it where it had
            to wait, else the very object that the source gave.

    """

    outputs: dict[str, Any]
    tick: NDArray[np.int64]
    valid: NDArray[np.bool_]
    latency_ms: float
    _age: Callable[[NDArray[np.int64], int], dict[int, NDArray[np.int64]]]
    frame: Any = None
    _finite: Callable[[], bool] | None = field(default=None, repr=False, compare=False)
    # Whether the frames lay on the host.
    _of_host: bool = field(default=True, repr=False, compare=False)
    _plan: PlanFacts | None = field(default=None, repr=False, compare=False)
    _joints: NDArray[np.float32] | None = field(default=None, init=False, repr=False, compare=False)
    _ages: dict[int, dict[int, NDArray[np.int64]]] | None = field(
        default=None, init=False, repr=False, compare=False
    )
    _finite_seen: bool = field(default=True, init=False, repr=False, compare=False)

    @property
    def gap(self) -> Gap | None:
        """What a live source lost just before this tick's frame; None: nothing.

        It has `.seconds`, `.frames`, `.reconnects` and `.reason`.
        """
        gap: Gap | None = getattr(self.frame, "gap", None)
        return gap

    @property
    def finite(self) -> bool:
        """Whether all float frames of this tick were finite.

        Frames on the host that are not are refused, so it is True. Frames on a device are looked at
        by the tick itself: this waits for it. Where it is False, NaN or infinity has entered the
        state of a row: reset it.

        Raises:
            StateError: the second next tick has been made.

        """
        if callable(self._finite):
            self._finite_seen = self._finite()
            self._finite = None
        return self._finite_seen

    @property
    def age(self) -> dict[int, NDArray[np.int64]]:
        """Age in ticks, int64 [b], of the frame that each stage contributed to the first output.

        -1 means that the stage has contributed nothing yet, or never does. Every access gives the
        same dict.
        """
        return self._age_once(0)

    def age_of(self, output: str) -> dict[int, NDArray[np.int64]]:
        """As `age`, for the output of that name."""
        self[output]
        return self._age_once(list(self.outputs).index(output))

    @property
    def joints(self) -> NDArray[np.float32]:
        """Joints of the person in every row, float32 [b, 13, 3], of a network that gives joints.

        x, y in pixels, and confidence in 0..1. Pixels are those of the original picture where
        `frame` came from `pvnet.video`: a border or a stretch is undone. Else they are those of the
        network's picture. x, y are NaN and the confidence is 0 in rows that are not `valid`.
        `pvnet.video.JOINTS` has the names. Every access gives the same array.

        Raises:
            UnsupportedError: the network gives no joints.

        """
        if self._joints is None:
            read, mapping = self._meaning(), getattr(self.frame, "mapping", None)
            joints = np.stack(
                [read.joints(read.seen(self, row), mapping) for row in range(len(self.tick))]
            )
            unknown = ~np.asarray(self.valid, bool)
            joints[unknown, :, :2], joints[unknown, :, 2] = np.nan, 0.0
            self._joints = joints
        return self._joints

    def actions(self, top: int = 3) -> list[list[tuple[str, float]]]:
        """The most probable classes of every row, (name, probability), the best first.

        A row that is not `valid` has an empty list.

        Args:
            top: how many.

        Raises:
            UnsupportedError: the network gives no actions.

        """
        read = self._meaning()
        return [
            read.actions(read.seen(self, row), top) if bool(self.valid[row]) else []
            for row in range(len(self.tick))
        ]

    def _meaning(self) -> Any:
        assert self._plan is not None, "a Tick that no Stream made"
        return self._plan.meaning

    def _age_once(self, output: int) -> dict[int, NDArray[np.int64]]:
        if self._ages is None:  # few ask, and a dict a tick takes its time
            self._ages = {}
        if output not in self._ages:
            self._ages[output] = self._age(self.tick, output)
        return self._ages[output]

    def __getitem__(self, name: str) -> Any:
        """The output of that name.

        Raises:
            InvalidArgumentError: there is none; the message lists the names.

        """
        try:
            return self.outputs[name]
        except KeyError:
            raise InvalidArgumentError(
                f"[Tick] there is no such output: got {name!r}, expected one of "
                f"{sorted(self.outputs)}. Ask for one of these."
            ) from None

    def __iter__(self) -> Iterator[str]:
        """The names of the outputs, in the order of their declaration."""
        return iter(self.outputs)

    def __len__(self) -> int:
        """How many outputs there are."""
        return len(self.outputs)

    def __contains__(self, name: object) -> bool:
        """Whether there is an output of that name."""
        return name in self.outputs

    def keys(self) -> KeysView[str]:
        """The names of the outputs."""
        return self.outputs.keys()

    def values(self) -> ValuesView[Any]:
        """The arrays of the outputs."""
        return self.outputs.values()

    def items(self) -> ItemsView[str, Any]:
        """Name and array of every output."""
        return self.outputs.items()
