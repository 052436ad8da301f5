"""What a run tells of its data, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import figures, losses, small, source_of

from pvnet.errors import InvalidArgumentError, StateError, UnsupportedError
from pvnet.train import checkpoint
from pvnet.train.distributed import Group
from pvnet.train.log import read_log
from pvnet.train.loop import _one_step, train
from pvnet.train.run_state import Run

MESSAGE = r"(?s)^\[.+\] .+: got .+, expected .+\. .+\.$"


def run(folder: Path, config: Any) -> dict[str, Any]:
    return train(config, folder, source=source_of(figures(4, 6), config.run.batch))


def test_what_the_data_left_out_and_could_not_read_is_told(tmp_path):
    plain = source_of(figures(4, 6), 2)

    def batches(start, rank, world):
        for k, batch in enumerate(plain.batches(start, rank, world)):
            yield {**batch, "problems": ["b.mp4: damaged"] if k % 2 else []}

    about = {"name": "x", "left_out": {"total": 2, "counts": {"short": 2}, "listed": ["a", "b"]}}
    told = []
    config = small(run_steps=6, run_log_every=3)
    source = replace(plain, batches=batches, about=about)
    result = train(config, tmp_path, source=source, on_start=lambda *said: told.append(said))
    assert json.loads((tmp_path / "data.json").read_text()) == about
    assert told == [(0, about)]
    lines = read_log(tmp_path / "log.jsonl")
    assert [len(line.get("problems", ())) for line in lines] == [0, 2, 1]
    assert result["unreadable"] == 3
    train(config, tmp_path, source=source, on_start=lambda *said: told.append(said))
    assert told[1] == (6, about)


def test_a_gradient_that_is_no_number_ends_the_run_before_it_moves_the_weights(tmp_path):
    group = Group(0, 1, torch.device("cpu"))
    made = Run(small(), tmp_path, source_of(figures(4, 6), 2), group)
    weight = next(made.net.parameters())
    # As an overflow in the backward pass: the loss itself is finite.
    weight.register_hook(lambda grad: grad * float("inf"))
    before = {k: v.detach().clone() for k, v in made.net.named_parameters()}
    with pytest.raises(StateError, match=MESSAGE) as error:
        _one_step(made, made.batches(), 1e-3)
    assert "the loss or its gradient" in str(error.value)
    assert all(torch.equal(p, before[name]) for name, p in made.net.named_parameters())


def test_too_few_outputs_for_the_classes_are_refused(tmp_path):
    options = {"size": 32, "width": 0.125, "classes": 5}
    with pytest.raises(InvalidArgumentError, match=MESSAGE) as error:
        run(tmp_path, small(model_name="par_inception", model_options=options))
    assert "model.options.classes = 5" in str(error.value)


def test_a_key_that_an_older_version_did_not_write_has_its_default(tmp_path):
    now = small().to_dict()
    then = {s: {k: v for k, v in keys.items() if k != "video_frames"} for s, keys in now.items()}
    checkpoint.check_same_run(then, now, tmp_path)
    now["data"]["video_frames"] = 3
    with pytest.raises(StateError, match=r"got data.video_frames = 3, expected 0 as"):
        checkpoint.check_same_run(then, now, tmp_path)


@pytest.mark.filterwarnings("error")
def test_a_checkpoint_may_have_old_names_of_settings(tmp_path):
    now = small(model_from_scratch=["logits"]).to_dict()
    names = {"from_scratch": "fresh"}
    then = {s: {names.get(k, k): v for k, v in keys.items()} for s, keys in now.items()}
    assert "fresh" in then["model"]
    checkpoint.check_same_run(then, now, tmp_path)
    now["model"]["from_scratch"] = []
    with pytest.raises(StateError, match=r"got model.from_scratch = \[\], expected \['logits'\]"):
        checkpoint.check_same_run(then, now, tmp_path)


def test_events_for_tensorboard(tmp_path, monkeypatch):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run(tmp_path / "a", small(run_tensorboard=True, run_steps=3))
    events = EventAccumulator(str(tmp_path / "a"))
    events.Reload()
    found = [e.value for e in events.Scalars("loss")]
    assert found == pytest.approx(losses(tmp_path / "a"), rel=1e-6)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UnsupportedError, match=r"pvnet-video\[train\]"):
        run(tmp_path / "b", small(run_tensorboard=True, run_steps=3))
