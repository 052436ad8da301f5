from __future__ import annotations

import subprocess
import sys

import pytest

from pvnet import models
from pvnet.errors import InvalidArgumentError


def test_build_gives_the_same_graph_as_the_function():
    config = {"stages": 3, "width": 0.125, "size": 32, "wiring": "predictive"}
    built = models.build("par_inception", **config)
    assert built.to_json() == models.par_inception_graph(**config).to_json()


def test_every_model_has_a_task():
    assert models.list() == sorted(models.TASKS) == ["movenet", "par_densenet", "par_inception"]


@pytest.mark.parametrize(
    "call",
    [
        lambda: models.build("resnet"),
        lambda: models.build("par_densenet", classes=3),
        lambda: models.pretrained("nothing"),
    ],
)
def test_unknown_names_are_refused_with_a_cure(call, message):
    with pytest.raises(InvalidArgumentError) as error:
        call()
    assert message.match(str(error.value)), str(error.value)


def test_graphs_need_no_torch():
    code = (
        "import sys, pvnet.models as m; m.build('par_densenet', size=32, width=0.125);"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
