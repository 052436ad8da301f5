"""Rendered figures with exact joints: the program's own motions, or recorded ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet.data.clips import Clip, check_index, find_inside
from pvnet.data.sampling import Sampling
from pvnet.data.sets.backdrops import Backdrops
from pvnet.data.sets.tracks import OWN_FPS, SPEEDS, Tracks, cut_window, facing_depth, fit
from pvnet.errors import InvalidArgumentError
from pvnet.video.synthetic import ACTIONS, REVERSED_PAIRS, Style, SyntheticVideo, render
from pvnet.video.synthetic.background import Camera

WHOLE_FRAMES = 64  # of a clip where no length is asked for


def mirror_labels() -> tuple[int, ...]:
    """Label of the mirror image of each procedural action: left and right are exchanged."""

    def mirror(name: str) -> str:
        for a, b in (("_left", "_right"), ("_right", "_left")):
            if name.endswith(a):
                return name.removesuffix(a) + b
        return name

    return tuple(ACTIONS.index(mirror(name)) for name in ACTIONS)


@dataclass(frozen=True)
class _Rendered:
    """What both kinds of rendered data sets share: numbers of clips, and seeds that never meet."""

    size: tuple[int, int]
    sampling: Sampling
    train: bool
    n: int
    seed: int

    def __post_init__(self) -> None:
        if self.n < 1 or self.seed < 0:
            raise InvalidArgumentError(
                f"[data.figures] n and seed: got {self.n} and {self.seed}, expected n of at least "
                "1 and a seed of at least 0. Change them."
            )

    def __len__(self) -> int:
        """Number of clips (of training clips: of an epoch; every epoch draws new ones)."""
        return self.n

    @property
    def frames(self) -> int:
        """Length of a clip."""
        return WHOLE_FRAMES if self.sampling.frames is None else self.sampling.frames

    @property
    def fps(self) -> float:
        """Rate of a clip."""
        return self.sampling.rate(OWN_FPS)

    def choose_generator(self, index: int, rng: np.random.Generator) -> np.random.Generator:
        """Training: a state out of `rng`. Evaluation: one that belongs to the index."""
        check_index(index, self.n)
        number = int(rng.integers(2**62))
        part = [0, number] if self.train else [1, index]
        return np.random.default_rng([self.seed, *part])


@dataclass(frozen=True)
class ProceduralFigures(_Rendered):
    """Figures that do the program's own 18 actions, five pairs of them each other's reverse.

    Attributes:
        backdrops: what is behind them; None: the scenes of `pvnet.video`.
    """

    backdrops: Backdrops | None = None
    name: str = "figures"

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the actions."""
        return ACTIONS

    @property
    def mirror_labels(self) -> tuple[int, ...]:
        """Walking to the left becomes walking to the right."""
        return mirror_labels()

    def get(self, index: int, rng: np.random.Generator) -> Clip:
        """Clip `index`; its label is the index modulo the number of actions.

        Raises:
            InvalidArgumentError: for an index there is not.
        """
        own = self.choose_generator(index, rng)
        label = index % len(ACTIONS)
        t, (h, w) = self.frames, self.size
        # At another rate of the performer's clock the same clip goes faster or slower.
        speed = float(np.exp(own.uniform(*np.log(SPEEDS)))) if self.train else 1.0
        behind: NDArray[np.float32] | None = None
        if self.backdrops is not None:
            behind = self.backdrops.frames(own, t, self.size, self.fps)
        video = SyntheticVideo(
            int(own.integers(2**62)),
            h,
            w,
            t,
            action=label,
            whole_clip=True,
            fps=self.fps / speed,
            backdrop=behind,
        )
        made = list(video)
        return Clip(
            np.stack([f.image for f in made]),
            np.stack([f.joints for f in made]),
            np.stack([f.visible for f in made]),
            label,
            f"{'train' if self.train else 'test'}-{index}",
            self.fps,
        )

    def describe(self) -> dict[str, Any]:
        """Counts and settings as plain data."""
        backdrops = "procedural" if self.backdrops is None else self.backdrops.describe()
        return {
            **_describe(self, self.name, self.classes),
            "reversed_pairs": [list(p) for p in REVERSED_PAIRS],
            "backgrounds": backdrops,
        }


@dataclass(frozen=True)
class TrackedFigures(_Rendered):
    """Figures that repeat recorded motion.

    Attributes:
        tracks: the motion.
        backdrops: what is behind them.
    """

    tracks: Tracks
    backdrops: Backdrops
    name: str = "figures-tracks"

    def __len__(self) -> int:
        """Number of clips."""
        return self.n

    @property
    def classes(self) -> tuple[str, ...]:
        """Recorded actions, then those that are also played backwards."""
        return self.tracks.classes

    @property
    def mirror_labels(self) -> tuple[int, ...]:
        """Mirroring keeps all labels."""
        return ()

    def get(self, index: int, rng: np.random.Generator) -> Clip:
        """Clip `index`: performance `index` modulo their number, in new clothes at a new place.

        Raises:
            InvalidArgumentError: for an index there is not.
        """
        own = self.choose_generator(index, rng)
        motion = self.tracks.motions[index % len(self.tracks.motions)]
        speed = float(np.exp(own.uniform(*np.log(SPEEDS)))) if self.train else 1.0
        start, mirror = own.random(2)
        if self.sampling.window != "random":
            start = 0.5 if self.sampling.window == "center" else 0.0
        mirrored = self.train and mirror < 0.5
        joints = cut_window(motion, self.frames, speed * OWN_FPS / self.fps, float(start))
        joints, known, height = fit(joints, motion.known, self.size, own, mirrored=mirrored)
        facing = (-motion.facing[0], motion.facing[1]) if mirrored else motion.facing
        style = Style.sample(own, float(np.clip(own.normal(1.0, 0.14), 0.75, 1.4)))
        behind = self.backdrops.frames(own, self.frames, self.size, self.fps)
        camera = Camera(own, *self.size, noise=float(own.uniform(0, 5)), drift=0.0, even=False)
        near = facing_depth(facing)
        images = np.empty((self.frames, *self.size, 3), np.uint8)
        for t in range(self.frames):
            image = render(
                joints[t],
                known,
                style=style,
                background=behind[t],
                depth=near,
                height=height,
                facing=facing,
            )
            images[t] = camera.expose(image.astype(np.float32), t, t / self.fps)
        visible = find_inside(joints, self.size) & known[None, :]
        return Clip(
            images,
            np.where(np.isfinite(joints), joints, np.float32(0)),
            visible,
            motion.label,
            f"{motion.name}-{index}",
            self.fps,
        )

    def describe(self) -> dict[str, Any]:
        """Counts and settings as plain data."""
        return {
            **_describe(self, self.name, self.classes),
            "sequences": len(self.tracks.motions),
            "sequences_left_out": self.tracks.left_out,
            "backgrounds": self.backdrops.describe(),
        }


def _describe(dataset: _Rendered, name: str, classes: tuple[str, ...]) -> dict[str, Any]:
    return {
        "name": name,
        "clips": len(dataset),
        "classes": len(classes),
        "clips_with_joints": len(dataset),
        "size": list(dataset.size),
        "frames": dataset.frames,
        "fps": dataset.fps,
        "sampling": dataset.sampling.window,
        "part": "train" if dataset.train else "test",
        "seed": dataset.seed,
        "left_out": {"total": 0, "counts": {}, "listed": []},
    }
