"""Training: losses, one loop, checkpoints, evaluation through the runtime; docs/training.md.

Evaluation and its metrics need no torch; everything else does, and is imported when it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pvnet.distribution import load

if TYPE_CHECKING:
    from pvnet.evaluate import evaluate
    from pvnet.train.config import Config, load_config
    from pvnet.train.distillation import Distillation
    from pvnet.train.fitting import Fitted, fit
    from pvnet.train.loop import train
    from pvnet.train.losses import action_loss, activation_matching, joint_loss

_ATTRIBUTES = {
    "Config": "pvnet.train.config",
    "Distillation": "pvnet.train.distillation",
    "Fitted": "pvnet.train.fitting",
    "action_loss": "pvnet.train.losses",
    "activation_matching": "pvnet.train.losses",
    "evaluate": "pvnet.evaluate",
    "fit": "pvnet.train.fitting",
    "joint_loss": "pvnet.train.losses",
    "load_config": "pvnet.train.config",
    "train": "pvnet.train.loop",
}

__all__ = [
    "Config",
    "Distillation",
    "Fitted",
    "action_loss",
    "activation_matching",
    "evaluate",
    "fit",
    "joint_loss",
    "load_config",
    "train",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _ATTRIBUTES:
            raise AttributeError(f"module 'pvnet.train' has no attribute {name!r}")
        value = getattr(load(_ATTRIBUTES[name], f"train.{name}"), name)
        globals()[name] = value
        return value
