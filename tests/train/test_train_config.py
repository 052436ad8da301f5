"""The configuration: TOML, overrides, messages."""

from __future__ import annotations

from dataclasses import fields
from typing import get_type_hints

import pytest

from pvnet.errors import FileError, InvalidArgumentError
from pvnet.models import build
from pvnet.train.build import frame_size
from pvnet.train.config import _RANGES, Config, load_config

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


def test_nodes_from_scratch_were_called_fresh():
    expected = load_config(None, ['model.from_scratch=["logits"]'])
    assert expected.model.from_scratch == ("logits",)
    with pytest.warns(FutureWarning, match=r"model\.fresh is called model\.from_scratch now"):
        assert load_config(None, ['model.fresh=["logits"]']) == expected
    with pytest.raises(InvalidArgumentError, match=MESSAGE) as error:
        load_config(None, ["model.fresh=[]", 'model.from_scratch=["logits"]'])
    assert "model.fresh" in str(error.value)


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
        ("optimiser.rate=-1", "optimiser.rate"),
        ("optimiser.rate=nan", "optimiser.rate"),
        ("optimiser.momentum=-1", "optimiser.momentum"),
        ("run.threads=-2", "run.threads"),
        ("run.ema=1.5", "0 to 0.999999"),
        ("loss.sigma=0", "loss.sigma"),
        ("schedule.milestones=[0.5, 2]", "schedule.milestones"),
        ("steps", "section.key=value"),
    ],
)
def test_mistakes_are_named(override, words):
    with pytest.raises(InvalidArgumentError, match=MESSAGE) as error:
        load_config(None, [override])
    assert words in str(error.value)


def test_every_number_has_a_range():
    """A new key that is a number says what it may be, or why it may be anything here."""
    free = {"distill.stages", "schedule.milestones"}
    for section in fields(Config):
        kind = get_type_hints(Config)[section.name]
        for name, wanted in get_type_hints(kind).items():
            key = f"{section.name}.{name}"
            assert wanted not in (int, float) or key in _RANGES or key in free, key


@pytest.mark.parametrize("size", ["[32]", "96x128", "[32, 32, 32]", "[32.5, 32]", "true"])
def test_a_size_that_is_none_is_said_so(size):
    config = load_config(None, [f"model.options.size={size}"])
    with pytest.raises(InvalidArgumentError, match=MESSAGE) as error:
        frame_size(config.model.options)
    assert "model.options.size" in str(error.value)
    with pytest.raises(InvalidArgumentError, match=MESSAGE):
        build(config.model.name, **config.model.options)
    with pytest.raises(InvalidArgumentError, match=MESSAGE):
        build(config.model.name, size=32, width="small")


def test_a_file_that_is_not_there_or_no_toml(tmp_path):
    with pytest.raises(FileError, match=MESSAGE):
        load_config(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("[run\n")
    with pytest.raises(FileError, match=MESSAGE):
        load_config(tmp_path / "bad.toml")
