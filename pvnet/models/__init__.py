"""Par-Inception and Par-DenseNet: built with the graph calls that every user has.

The `*_graph` functions, `build` and `pretrained` work without torch.
"""

from pvnet.models.common import MEAN, STD
from pvnet.models.par_densenet import par_densenet, par_densenet_graph
from pvnet.models.par_inception import par_inception, par_inception_graph
from pvnet.models.pretrained import (
    Pretrained,
    list_pretrained,
    pretrained,
    pretrained_path,
    shipped,
)
from pvnet.models.registry import TASKS, build, list_models
from pvnet.models.registry import list_models as list
from pvnet.models.skips import add_skips

__all__ = [
    "MEAN",
    "STD",
    "TASKS",
    "Pretrained",
    "add_skips",
    "build",
    "list",
    "list_models",
    "list_pretrained",
    "par_densenet",
    "par_densenet_graph",
    "par_inception",
    "par_inception_graph",
    "pretrained",
    "pretrained_path",
    "shipped",
]
