"""Evaluation on a cluster: the result of one process, whatever happens to the workers."""

from __future__ import annotations

import functools
import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
from small_runs import SIZE, Figures, figures
from two_machines import needs_ray, two_machines

import pvnet
from pvnet import data
from pvnet.cli.__main__ import main
from pvnet.cluster.work import Cluster
from pvnet.errors import InvalidArgumentError
from pvnet.evaluate.evaluation import Protocol, evaluate
from pvnet.models import par_densenet

pytestmark = needs_ray


@pytest.fixture(scope="module")
def address():
    with two_machines() as at:
        yield at


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    net = par_densenet(size=SIZE, width=0.125, stages=3, wiring="predictive").eval()
    pvnet.save(net, path, metadata={"task": "joints"})
    return path


@dataclass
class Deadly(Figures):
    """Clips of which one ends the process that reads it, once (if there is a mark) or always."""

    clip: int = 0
    mark: Path | None = None
    home: int = 0

    def get(self, index, rng):
        if index == self.clip and os.getpid() != self.home and self._not_yet():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().get(index, rng)

    def _not_yet(self):
        if self.mark is None:
            return True
        try:
            self.mark.touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def apart(result):
    """What the cluster tells, and the rest."""
    return result.pop("cluster"), result


@pytest.mark.parametrize("wiring", [None, "sequential"])
def test_the_result_is_that_of_one_process(model, address, wiring):
    dataset = figures(21, 9, ragged=True)
    how = {"task": "joints", "wiring": wiring, "protocol": Protocol(first_tick=9)}
    one = evaluate(model, dataset, **how)
    assert one["clips_left_out"] == 7
    steps = []
    told, two = apart(
        evaluate(
            model,
            dataset,
            **how,
            cluster=Cluster(address),
            reopen=functools.partial(figures, 21, 9, ragged=True),
            on_clip=lambda: steps.append(1),
        )
    )
    assert two == one
    assert len(steps) == 21
    assert told == {"workers": 2, "lost_workers": 0, "retried": [], "failed": {}}


def test_the_result_is_the_same_after_a_worker_was_lost(model, address, tmp_path):
    dataset = Deadly(figures(12).clips, clip=5, mark=tmp_path / "mark", home=os.getpid())
    one = evaluate(model, dataset, task="joints")
    assert not dataset.mark.exists()
    told, two = apart(evaluate(model, dataset, task="joints", cluster=Cluster(address)))
    assert two == one
    assert told["lost_workers"] == 1
    assert told["failed"] == {}
    assert 5 in told["retried"]


def test_a_clip_that_ends_every_worker_is_named_and_not_scored(model, address):
    dataset = Deadly(figures(12).clips, clip=5, home=os.getpid())
    source = pvnet.load(model)
    cluster = Cluster(address, attempts=2)
    told, two = apart(evaluate(source, dataset, task="joints", cluster=cluster))
    assert list(told["failed"]) == ["5"]
    assert two["clips"] == 11
    rest = Figures([clip for k, clip in enumerate(dataset.clips) if k != 5])
    one = evaluate(source, rest, task="joints")
    assert two == one


def test_a_worker_that_sees_other_data_is_an_error(model, address):
    with pytest.raises(InvalidArgumentError, match=r"^\[.+\] .+ other data: got 3 .+ expected 4\."):
        evaluate(
            model,
            figures(4),
            task="joints",
            cluster=Cluster(address),
            reopen=functools.partial(figures, 3),
        )


def test_the_command_line_scores_on_a_cluster(model, address, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # paths of the command line are relative to where it stands
    (tmp_path / "m.safetensors").write_bytes(model.read_bytes())
    words = ["eval", "--model", "m.safetensors", "--data", "figures?n=6", "--json"]
    words += ["--wiring", "pipelined", "--stages", "2"]
    assert main(words) == 0
    one = json.loads(capfd.readouterr().out)
    assert main([*words, "--cluster", address, "--workers", "2"]) == 0
    captured = capfd.readouterr()
    told, two = apart(json.loads(captured.out))
    assert two == one
    assert captured.err.splitlines() == [
        "eval: 2 stages, the preset of par_densenet; the weights were trained for predictive, "
        "3 stages, not for pipelined, 2 stages."
    ]
    assert told["workers"] == 2
    assert main([*words[:-5], "--cluster", address, "--max-clips", "2"]) == 0
    assert "2 workers" in capfd.readouterr().out
    assert main([*words, "--workers", "2"]) == 2
    assert main([*words, "--cluster", "ray://host:1"]) == 2


def test_opened_data_may_travel(model, address):
    dataset = data.open_dataset("figures?n=5", size=SIZE, train=False, frames=8)
    told, two = apart(evaluate(model, dataset, task="joints", cluster=Cluster(address, workers=1)))
    assert two == evaluate(model, dataset, task="joints")
    assert told["workers"] == 1
