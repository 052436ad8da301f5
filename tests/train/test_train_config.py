"""The configuration: TOML, overrides, messages."""

from __future__ import annotations

import pytest

from pvnet.errors import FileError, InvalidArgumentError
from pvnet.train.config import Config, load_config

MESSAGE = r"(?s)^\[.+\] .+: got .+, expected .+\. .+\.$"


def test_file_and_overrides(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text('[model]\nname = "par_inception"\noptions = {width = 0.25}\n[run]\nsteps = 5\n')
    config = load_config(
        file,
        ["run.steps=7", "model.options.size=[64, 48]", "optimiser.rate=1", "data.train=jhmdb:x"],
    )
    assert config.model.name == "par_inception"
    assert config.model.options == {"width": 0.25, "size": [64, 48]}
    assert (config.run.steps, config.optimiser.rate) == (7, 1.0)
    assert config.data.train == "jhmdb:x"
    assert Config.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("run.stepz=1", "run.stepz"),
        ("optimizer.rate=1", "optimizer"),
        ("run.steps=many", "run.steps"),
        ("run.steps=0", "run.steps"),
        ("run.steps=true", "run.steps"),
        ("model.wiring=parallel", "'predictive'"),
        ("distill.stages=[0.5]", "distill.stages"),
        ("run=3", "run"),
        ("steps", "section.key=value"),
    ],
)
def test_mistakes_are_named(override, words):
    with pytest.raises(InvalidArgumentError, match=MESSAGE) as error:
        load_config(None, [override])
    assert words in str(error.value)


def test_a_file_that_is_not_there_or_no_toml(tmp_path):
    with pytest.raises(FileError, match=MESSAGE):
        load_config(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("[run\n")
    with pytest.raises(FileError, match=MESSAGE):
        load_config(tmp_path / "bad.toml")
