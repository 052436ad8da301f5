"""What the outputs of a network mean: joints in pixels, or actions and their probabilities."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pvnet.decode.registry import kind_of
from pvnet.errors import InvalidArgumentError, UnsupportedError
from pvnet.video.joints import JOINTS

Shape = tuple[int, int, int]
Named = tuple[str, float]


class Outputs(Protocol):
    """Arrays by name: a Tick, or a dict."""

    def __getitem__(self, name: str, /) -> Any:
        """The array of that name."""
        ...

    def __iter__(self) -> Iterator[str]:
        """The names."""
        ...


class Meaning:
    """Reads the outputs of one network.

    The metadata says what they are: `task` (joints or actions), `labels` (a JSON list) and `decode`
    (a registered kind). Without it a vector is taken for actions and a map for heatmaps of joints.

    Args:
        metadata: of the model file.
        inputs: (c, h, w) by name; the first is the picture.
        outputs: (c, h, w) by name; the first is the answer.

    Attributes:
        output: name of the first output.
        task: "joints" or "actions".
        labels: names of the channels of the first output.
        frame_size: (h, w) of the network's picture in pixels.

    Raises:
        InvalidArgumentError: the metadata names a kind of output that is not registered.
    """

    def __init__(
        self, metadata: Mapping[str, str], inputs: Mapping[str, Shape], outputs: Mapping[str, Shape]
    ) -> None:
        self.output, self._shape = next(iter(outputs.items()))
        self.frame_size: tuple[int, int] = next(iter(inputs.values()))[1:]
        self._kind = kind_of(metadata, outputs)
        told = "decode" in metadata or self._kind.all_outputs
        guess = "joints" if told or self._shape[1] * self._shape[2] > 1 else "actions"
        self.task = metadata.get("task", guess)
        if self.task != guess:  # metadata that cannot be meant
            self.task = guess
        self.labels = _labels(metadata.get("labels"), self._shape[0], self.task)
        # Heatmaps of something else than our joints are maps to look at.
        self.has_joints = self.task == "joints" and (
            (told and self._kind.applies(self._shape)) or self._shape[0] == len(JOINTS)
        )

    def kept(self, outputs: Outputs, row: int = 0) -> Any:
        """What `joints` and `actions` need of one row of a tick's outputs, as copies.

        Args:
            outputs: [b, c, h, w] or [b, c] by name: a Tick, or a dict.
            row: of the batch.

        Returns:
            float32 [c, h, w] (or [c]) of the first output; a dict of all where the kind needs them.
        """
        return _copied(self.seen(outputs, row))

    def seen(self, outputs: Outputs, row: int = 0) -> Any:
        """As `kept`, but not copied where the outputs are float32: to be read at once."""
        if self._kind.all_outputs:
            return {name: np.asarray(_host(outputs[name])[row], np.float32) for name in outputs}
        return np.asarray(_host(outputs[self.output])[row], np.float32)

    def first(self, kept: Any) -> NDArray[np.float32]:
        """The first output of what `kept` gave."""
        return np.asarray(kept[self.output] if isinstance(kept, Mapping) else kept)

    def joints(self, kept: Any, mapping: Any = None) -> NDArray[np.float32]:
        """Joints of one person.

        Args:
            kept: what `kept` gave.
            mapping: `Frame.mapping`; None: none.

        Returns:
            float32 [13, 3]: x, y in pixels of the original picture (of the network's one without a
            mapping), confidence in 0..1. A border or a stretch of the picture is undone.

        Raises:
            UnsupportedError: the network gives no joints.
        """
        if not self.has_joints:
            raise UnsupportedError(
                f"[decode] this network gives no joints: got an output {self.output} of shape "
                f"{self._shape} for {self.task}, expected {len(JOINTS)} heatmaps, or metadata with "
                "the key decode. Use its outputs, or its actions."
            )
        found = np.asarray(self._kind.decode(kept, self.frame_size), np.float32)
        if found.shape != (len(JOINTS), 3):
            raise InvalidArgumentError(
                f"[decode] the decoder's result has the wrong shape: got {found.shape}, expected "
                f"({len(JOINTS)}, 3). Return pixel x, y and confidence of every joint."
            )
        if mapping is not None:
            found = np.concatenate([mapping.to_source(found[:, :2]), found[:, 2:]], axis=1)
        return found

    def probabilities(self, kept: Any) -> NDArray[np.float32]:
        """Float32 [n], of the classes.

        Raises:
            UnsupportedError: the network gives no actions.
        """
        if self.task != "actions":
            raise UnsupportedError(
                f"[decode] this network gives no actions: got an output {self.output} of shape "
                f"{self._shape}, expected a vector of classes. Use its joints."
            )
        return softmax(self.first(kept).ravel())

    def actions(self, kept: Any, top: int = 3) -> list[Named]:
        """The most probable classes and their probabilities, the best first."""
        p = self.probabilities(kept)
        return [(self.labels[i], float(p[i])) for i in np.argsort(-p, kind="stable")[:top]]


def softmax(logits: ArrayLike) -> NDArray[np.float32]:
    """Probabilities of logits [n]."""
    x = np.asarray(logits, np.float32)
    e = np.exp(x - x.max())
    return np.asarray(e / e.sum(), np.float32)


def _copied(seen: Any) -> Any:
    if isinstance(seen, Mapping):
        return {name: np.array(value) for name, value in seen.items()}
    return np.array(seen)


def _host(output: Any) -> Any:
    """An output as numpy, wherever it lies."""
    numpy = getattr(output, "numpy", None)
    return numpy() if numpy is not None else np.asarray(output)


def _labels(text: str | None, channels: int, task: str) -> list[str]:
    try:
        labels = json.loads(text) if text else None
    except json.JSONDecodeError:
        labels = None
    if isinstance(labels, list) and len(labels) == channels:
        return [str(label) for label in labels]
    return [f"{'class' if task == 'actions' else 'map'} {i}" for i in range(channels)]
