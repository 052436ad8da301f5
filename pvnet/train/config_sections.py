"""The sections of a training run's configuration, as frozen dataclasses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class ModelConfig:
    """What is trained.

    Attributes:
        name: of `pvnet.models`.
        wiring: timing in which it is trained.
        stages: number of stages.
        start: model file (or shipped model) whose weights it starts from; empty: new weights.
        from_scratch: nodes that keep new weights nevertheless: ["logits"] for other classes.
        options: further arguments of the model (width, size, skips, ...).
    """

    name: str = "par_densenet"
    wiring: Literal["sequential", "pipelined", "predictive"] = "sequential"
    stages: int = 1
    start: str = ""
    from_scratch: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DataConfig:
    """What it is trained on.

    Attributes:
        train: data specification (`pvnet.data.open_dataset`).
        held_out: specification to evaluate on at the end; empty: no evaluation.
        split: of the data.
        frames: per training clip.
        fps: frames per second of the clips; 0: as the videos are.
        workers: processes that read; 0: none.
        resident: keep the whole data set on the training device and change its clips there; for
            small sets of whole pictures. Rendered figures are then `n` fixed videos.
        video_frames: length of the videos of a resident set from which clips are cut; 0: whole.
        copies: how often a resident set has every video, each time another stretch of
            `video_frames` and, of collages, another one.
        crop: part of the picture that is shown (`pvnet.data.open_dataset`).
        augment: random changes: "default", "none", or settings (`pvnet.data.Augment.parse`).
    """

    train: str = "figures"
    held_out: str = ""
    split: int = 1
    frames: int = 16
    fps: float = 0.0
    workers: int = 0
    resident: bool = False
    video_frames: int = 0
    copies: int = 1
    crop: str = "none"
    augment: str = "default"


@dataclass(frozen=True)
class LossConfig:
    """The loss of the task.

    Attributes:
        warm_up: first tick that counts; -1: the warm-up of the wired graph.
        prediction_latency: P; the output of tick t is scored against frame t - P.
        sigma: of the Gaussians, in cells of the heatmaps.
        positive_weight: extra weight of the middle of a Gaussian.
        smoothing: of the labels of actions.
    """

    warm_up: int = -1
    prediction_latency: int = 0
    sigma: float = 1.2
    positive_weight: float = 12.0
    smoothing: float = 0.0


@dataclass(frozen=True)
class DistillConfig:
    """Activation matching with a frozen sequential teacher.

    Attributes:
        teacher: model file; empty: no distillation.
        weight: lambda.
        stages: indices of the stages whose outputs are matched; empty: all.
        outputs: match the outputs of the network too, which the task's loss looks at anyway.
    """

    teacher: str = ""
    weight: float = 1.0
    stages: tuple[int, ...] = ()
    outputs: bool = True


@dataclass(frozen=True)
class OptimiserConfig:
    """How weights move.

    Attributes:
        name: "adamw" or "sgd".
        rate: highest learning rate.
        weight_decay: of weights; biases and norms have none.
        momentum: of SGD (Nesterov).
        clip_norm: largest norm of the gradient; 0: unlimited.
        accumulate: batches per step.
    """

    name: Literal["adamw", "sgd"] = "adamw"
    rate: float = 2e-3
    weight_decay: float = 0.02
    momentum: float = 0.9
    clip_norm: float = 1.0
    accumulate: int = 1


@dataclass(frozen=True)
class ScheduleConfig:
    """Learning rate over steps, as a factor on `optimiser.rate`.

    Attributes:
        name: "cosine", "step" or "constant".
        warm_up_steps: linear rise from 0.
        milestones: of "step": shares of all steps at which the factor is multiplied by `factor`.
        factor: of "step".
        floor: smallest factor of "cosine".
    """

    name: Literal["cosine", "step", "constant"] = "cosine"
    warm_up_steps: int = 50
    milestones: tuple[float, ...] = (0.6, 0.85)
    factor: float = 0.1
    floor: float = 0.01


@dataclass(frozen=True)
class RunConfig:
    """How it runs.

    Attributes:
        steps: of the optimiser.
        batch: clips per step and accumulated part, over all processes together.
        seed: of weights and data.
        precision: "f32", or "bf16" (autocast).
        device: "auto", "cpu" or "cuda".
        ema: decay of the EMA of the weights; 0: none.
        norm: batch norm from the "local" batch, "sync" over processes (CUDA), or "frozen".
        channels_last: memory layout channels_last_3d.
        carry: ticks per piece of truncated back-propagation with carried state; 0: whole clips.
        log_every: steps between two lines of the log.
        checkpoint_every: steps between two checkpoints.
        threads: of torch; 0: its default.
        deterministic: refuse torch's unordered sums on CUDA where it can do without.
        cuda_graph: capture loss and gradients once and replay them, for networks so small that
            starting kernels takes longer than running them; no effect on CPUs and with several
            processes.
        tensorboard: also write TensorBoard events where it is installed.
        minutes: end after so long, the schedule of the rate with it; 0: no limit. A run that is
            started again has them anew.
        validate_every: steps between two looks at the loss on held-out clips; 0: none. The weights
            of the best look become the model.
        patience: end after so many looks that were no better than the best; 0: never.
    """

    steps: int = 1000
    batch: int = 8
    seed: int = 0
    precision: Literal["f32", "bf16"] = "f32"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    ema: float = 0.0
    norm: Literal["local", "sync", "frozen"] = "local"
    channels_last: bool = True
    carry: int = 0
    log_every: int = 10
    checkpoint_every: int = 200
    threads: int = 0
    deterministic: bool = False
    cuda_graph: bool = False
    tensorboard: bool = False
    minutes: float = 0.0
    validate_every: int = 0
    patience: int = 0
