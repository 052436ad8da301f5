"""Shipped weights score what their files (and the model card) say, through the command line."""

from __future__ import annotations

import io
import json
import os
from contextlib import redirect_stdout

import pytest

from pvnet import models, runtime
from pvnet.cli.__main__ import main

DATA = os.environ.get("PVNET_TEST_DATA")
NAMED = {name: runtime.load(models.pretrained_path(name)) for name in models.list_pretrained()}
TOLD = {
    name: json.loads(model.metadata["scores"])
    for name, model in NAMED.items()
    if "scores" in model.metadata
}


def data_of(told):
    return f"jhmdb:{DATA}/jhmdb" if told["data"] == "jhmdb" else told["data"]


needs_data = pytest.mark.skipif(DATA is None, reason="PVNET_TEST_DATA names no folder")
CASES = [
    pytest.param(name, marks=needs_data if told["data"] == "jhmdb" else ())
    for name, told in TOLD.items()
]


@pytest.mark.parametrize("name", NAMED)
def test_a_shipped_file_has_its_scores_under_one_key(name):
    keys = {"held_out", "scores", "figures"} & NAMED[name].metadata.keys()
    assert keys in ({"held_out"}, {"scores"})


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_score_is_the_one_that_is_told(name):
    told = TOLD[name]
    words = ["eval", "--model", name, "--data", data_of(told), "--split", "1", "--json", "--quiet"]
    words += [] if told["data"] == "jhmdb" else ["--frames", "32"]
    first = 13 if NAMED[name].metadata["task"] == "joints" else 9
    out = io.StringIO()
    with redirect_stdout(out):
        assert main([*words, "--first-tick", str(first)]) == 0
    found = json.loads(out.getvalue())
    for key in ("clips", "scored_ticks", "wiring", "stages"):
        assert found[key] == told[key], key
    metrics = [k for k, v in told.items() if isinstance(v, float)]
    assert metrics
    for key in metrics:
        assert found[key] == pytest.approx(told[key], abs=1e-3), key
