"""The loop learns, and a run that was interrupted goes on with the same losses, bit for bit."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_runs import figures, losses, small, source_of

import pvnet
from pvnet.errors import FileError, InvalidArgumentError, StateError
from pvnet.train.loop import train
from pvnet.train.losses import joint_loss, joint_targets

MESSAGE = r"(?s)^\[.+\] .+: got .+, expected .+\. .+\.$"


class Stop(Exception):
    pass


def stop_after(steps: int):
    def on_step(step: int, values: dict[str, float]) -> None:
        if step == steps:
            raise Stop

    return on_step


def run(folder: Path, config, *, on_step=None, clips: int = 4, frames: int = 6):
    source = source_of(figures(clips, frames), config.run.batch)
    return train(config, folder, source=source, on_step=on_step)


def test_a_tiny_network_learns_the_figures(tmp_path):
    config = small(run_steps=40, run_ema=0.9, optimiser_rate=1e-2)
    result = run(tmp_path, config, clips=2)
    values = losses(tmp_path)
    assert len(values) == 40
    # Targets between 0 and 1 have an entropy that no network can go below.
    batch = next(source_of(figures(2, 6), 2).batches(0, 0, 1))
    visible = batch["visible"]
    maps = joint_targets(batch["joints"], visible, size=(8, 8), stride=4, sigma=1.2)
    best = torch.logit(maps.clamp(1e-6, 1 - 1e-6))
    floor = float(joint_loss(best, batch["joints"], visible, torch.ones(6).bool(), stride=4))
    assert np.mean(values[-3:]) - floor < 0.5 * (np.mean(values[:3]) - floor)
    model = pvnet.load(result["model"])
    assert model.metadata["task"] == "joints"
    assert (tmp_path / "result.json").exists()
    assert result["curve"] is None or Path(result["curve"]).stat().st_size > 1000


CASES = {
    "adamw, averaged, accumulated": small(run_ema=0.99, optimiser_accumulate=2),
    "sgd, bf16": small(optimiser_name="sgd", run_precision="bf16", schedule_name="step"),
    "carried state": small(run_carry=4, model_wiring="predictive", model_stages=2),
}


@pytest.mark.parametrize("name", CASES)
def test_a_resumed_run_has_the_same_losses_bit_for_bit(name, tmp_path):
    config = CASES[name]
    run(tmp_path / "whole", config)
    with pytest.raises(Stop):  # after the checkpoint of step 2
        run(tmp_path / "parts", config, on_step=stop_after(3))
    run(tmp_path / "parts", config)
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    ours, theirs = (pvnet.load(tmp_path / d / "model.safetensors") for d in ("parts", "whole"))
    assert all(np.array_equal(ours.weights[k], v) for k, v in theirs.weights.items())


PROGRAM = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from small_runs import figures, small, source_of
from pvnet.train.loop import train
from pvnet.train.losses import joint_loss, joint_targets
config = small(run_steps=8)
train(config, Path(sys.argv[1]), source=source_of(figures(4, 6), 2),
      on_step=lambda step, _: print(step, flush=True))
"""


def test_killed_at_any_moment_and_resumed(tmp_path):
    config = small(run_steps=8)
    run(tmp_path / "whole", config)
    here = Path(__file__).resolve().parents[1]
    installed = Path(pvnet.__file__).parents[1]
    path = [str(here), str(installed), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    words = [sys.executable, "-c", PROGRAM, str(tmp_path / "killed")]
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) == 5:
                process.kill()  # SIGKILL, somewhere in the sixth step
                break
        process.wait()
    assert process.returncode != 0
    before = losses(tmp_path / "killed")
    assert len(before) >= 4
    run(tmp_path / "killed", config)
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")


def test_one_run_at_a_time_in_a_folder(tmp_path):
    config = small(run_steps=2)

    def second(step: int, values: dict[str, float]) -> None:
        with pytest.raises(StateError, match="in use") as caught:
            run(tmp_path / "a", config)
        assert re.match(MESSAGE, str(caught.value))
        if step == 1:
            raise Stop

    with pytest.raises(Stop):
        run(tmp_path / "a", config, on_step=second)
    run(tmp_path / "a", config)  # what has ended, in whatever way, holds nothing
    run(tmp_path / "whole", config)
    assert losses(tmp_path / "a") == losses(tmp_path / "whole")


def test_a_file_system_without_locks_is_trained_on_all_the_same(tmp_path, monkeypatch):
    def refuse(handle: int, how: int) -> None:
        raise OSError(errno.EBADF, "as NFS says of a folder")

    monkeypatch.setattr("fcntl.flock", refuse)
    run(tmp_path / "a", small(run_steps=1))
    assert len(losses(tmp_path / "a")) == 1


def test_distillation_pulls_the_student_towards_the_teacher(tmp_path):
    run(tmp_path / "teacher", small(model_stages=2, run_steps=2))
    teacher = str(tmp_path / "teacher" / "model.safetensors")
    config = small(
        model_stages=2,
        model_wiring="predictive",
        distill_teacher=teacher,
        distill_weight=100.0,
        run_norm="frozen",
        optimiser_rate=1e-3,
        run_steps=15,
        run_seed=1,
    )
    result = run(tmp_path / "student", config, clips=1)
    last = result["last"]
    assert last["loss"] == pytest.approx(last["task"] + 100.0 * last["matching"], rel=1e-5)
    from pvnet.train.log import read_log

    lines = read_log(tmp_path / "student" / "log.jsonl")
    assert lines[-1]["matching"] < 0.8 * lines[0]["matching"]


def test_a_student_in_the_wiring_of_its_teacher_matches_it_exactly(tmp_path):
    config = small(run_steps=1, model_stages=3)
    run(tmp_path / "teacher", config)
    teacher = str(tmp_path / "teacher" / "model.safetensors")
    from pvnet.train.build import build_network, build_teacher
    from pvnet.train.objective import Objective

    again = small(model_stages=3, model_start=teacher, distill_teacher=teacher)
    net = build_network(again).eval()
    frozen = build_teacher(net, teacher)
    objective = Objective(again, net, net, frozen, torch.device("cpu"))
    batch = next(source_of(figures(2, 4), 2).batches(0, 0, 1))
    assert float(objective(batch)["matching"].detach()) == 0.0


def test_another_configuration_does_not_continue_a_run(tmp_path):
    run(tmp_path, small(run_steps=2))
    with pytest.raises(StateError, match=MESSAGE) as error:
        run(tmp_path, small(run_steps=2, optimiser_rate=0.5))
    assert "optimiser.rate" in str(error.value)


def test_a_damaged_checkpoint_is_said_so(tmp_path):
    run(tmp_path, small(run_steps=2))
    state = tmp_path / "state.safetensors"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(FileError, match=MESSAGE):
        run(tmp_path, small(run_steps=2))


def test_a_loss_that_is_no_number_ends_the_run(tmp_path):
    with pytest.raises(StateError, match=MESSAGE):
        run(tmp_path, small(optimiser_rate=1e30, optimiser_clip_norm=0.0, run_steps=20))


def test_weights_of_another_architecture_are_refused(tmp_path):
    run(tmp_path / "a", small(run_steps=1))
    other = {"size": [32, 32], "width": 0.25}
    path = str(tmp_path / "a" / "model.safetensors")
    with pytest.raises(InvalidArgumentError, match=MESSAGE):
        run(tmp_path / "b", small(model_start=path, model_options=other))
