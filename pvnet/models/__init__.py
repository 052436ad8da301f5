"""Par-Inception, Par-DenseNet and MoveNet: built with the graph calls that every user has.

The `*_graph` functions, `build` and `pretrained` work without torch.
"""

from pvnet.models.common import MEAN, STD, model_metadata
from pvnet.models.cuts import CUT_RULES, Rewired, rewired
from pvnet.models.movenet import movenet, movenet_graph
from pvnet.models.par_densenet import par_densenet, par_densenet_graph
from pvnet.models.par_inception import par_inception, par_inception_graph
from pvnet.models.pretrained import (
    Pretrained,
    chosen,
    list_pretrained,
    pretrained,
    pretrained_path,
    shipped,
    trained_relatives,
)
from pvnet.models.registry import TASKS, build, list_models
from pvnet.models.registry import list_models as list
from pvnet.models.skips import add_skips

__all__ = [
    "CUT_RULES",
    "MEAN",
    "STD",
    "TASKS",
    "Pretrained",
    "Rewired",
    "add_skips",
    "build",
    "chosen",
    "list",
    "list_models",
    "list_pretrained",
    "model_metadata",
    "movenet",
    "movenet_graph",
    "par_densenet",
    "par_densenet_graph",
    "par_inception",
    "par_inception_graph",
    "pretrained",
    "pretrained_path",
    "rewired",
    "shipped",
    "trained_relatives",
]
