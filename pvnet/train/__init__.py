"""Training: losses, one loop, checkpoints, evaluation through the runtime; docs/training.md.

Evaluation and its metrics need no torch; everything else does, and is imported when it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pvnet.distribution import load

if TYPE_CHECKING:
    from pvnet.train.config import Config, load_config
    from pvnet.train.evaluation import evaluate
    from pvnet.train.loop import train
    from pvnet.train.losses import action_loss, activation_matching, joint_loss

_ATTRIBUTES = {
    "Config": "config",
    "action_loss": "losses",
    "activation_matching": "losses",
    "evaluate": "evaluation",
    "joint_loss": "losses",
    "load_config": "config",
    "train": "loop",
}

__all__ = [
    "Config",
    "action_loss",
    "activation_matching",
    "evaluate",
    "joint_loss",
    "load_config",
    "train",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _ATTRIBUTES:
            raise AttributeError(f"module 'pvnet.train' has no attribute {name!r}")
        value = getattr(load(f"pvnet.train.{_ATTRIBUTES[name]}", f"train.{name}"), name)
        globals()[name] = value
        return value
