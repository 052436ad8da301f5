"""Two processes with the same global batch do what one does (gloo)."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from small_runs import figures, losses, small, source_of

import pvnet
from pvnet.errors import InvalidArgumentError
from pvnet.train import checkpoint
from pvnet.train.distributed import share
from pvnet.train.loop import train

# Batch norm of a half batch is another function: its statistics are frozen for the comparison.
SHARED = {"run_norm": "frozen", "run_batch": 4, "run_steps": 3, "optimiser_accumulate": 2}
PROGRAM = """
import faulthandler, json, os, signal, sys
from pathlib import Path
faulthandler.dump_traceback_later(100, exit=True)  # a process that waits for ever says where
from small_runs import figures, small, source_of
from pvnet.train.loop import train
from pvnet.train.run_state import Run
folder, options, dies_at = Path(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3])
save = Run.save
def killed(run, batches):
    if run.group.rank == 1 and run.step == dies_at:
        os.kill(os.getpid(), signal.SIGKILL)
    save(run, batches)
Run.save = killed
config = small(**options)
train(config, folder, source=source_of(figures(6, 5), config.run.batch))
"""

HUNG = "Timeout (0:01:40)!"  # the first words of the dump


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def surroundings() -> dict[str, str]:
    """Programs find this folder's helpers and the pvnet of this process."""
    here = Path(__file__).resolve().parents[1]
    installed = Path(pvnet.__file__).parents[1]
    path = [str(here), str(installed), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), "OMP_NUM_THREADS": "1"}


def two_processes(
    folders: tuple[Path, Path], options: dict[str, object], *, dies_at: int = -1
) -> tuple[list[int], str]:
    """Exit codes of both, and what they said; the second may die when it should save.

    A second try is for a port that something else has taken since it was found free.
    """
    before = [sorted(p.glob("state*")) for p in folders]
    codes, said = _two_processes(folders, options, dies_at)
    if HUNG in said and before == [sorted(p.glob("state*")) for p in folders]:
        print(f"two processes that did not meet:\n{said}")
        codes, said = _two_processes(folders, options, dies_at)
    return codes, said


def _two_processes(
    folders: tuple[Path, Path], options: dict[str, object], dies_at: int
) -> tuple[list[int], str]:
    env = surroundings()
    env |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}
    words = [json.dumps(options), str(dies_at)]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(folders[r]), *words],
            env={**env, "RANK": str(r), "LOCAL_RANK": str(r)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for r in (0, 1)
    ]
    with ExitStack() as stack:
        for p in started:
            stack.enter_context(p)
            stack.callback(p.kill)
        said = [p.communicate(timeout=240)[1] for p in started]
        return [p.returncode for p in started], "".join(said)


@pytest.mark.parametrize(
    "options",
    [
        {**SHARED, "run_ema": 0.9},
        {**SHARED, "run_carry": 3, "optimiser_accumulate": 1},
        {**SHARED, "model_stages": 3, "model_wiring": "predictive", "distill_teacher": "a"},
    ],
    ids=["clips", "carried state", "with a teacher"],
)
def test_two_processes_are_one_process_with_the_same_batch(options, tmp_path):
    if "distill_teacher" in options:
        teacher = train(small(run_steps=1), tmp_path / "a", source=source_of(figures(6, 5), 2))
        options = {**options, "distill_teacher": teacher["model"]}
    config = small(**options)
    train(config, tmp_path / "one", source=source_of(figures(6, 5), config.run.batch))
    codes, said = two_processes((tmp_path / "two", tmp_path / "two"), options)
    assert codes == [0, 0], said
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-5)
    one, two = (pvnet.load(tmp_path / d / "model.safetensors") for d in ("one", "two"))
    # AdamW divides by the size of a gradient: where there is next to none, its rounding decides
    # which way a weight goes, by the rate of 3e-3 a step at most.
    apart = np.concatenate([np.abs(two.weights[k] - v).ravel() for k, v in one.weights.items()])
    assert apart.max() < 6e-3
    assert np.mean(apart > 1e-4) < 0.005
    assert json.loads((tmp_path / "two" / "result.json").read_text())["processes"] == 2


def test_a_kill_between_the_checkpoints_of_two_processes_loses_nothing(tmp_path):
    """One has written its rows after step 4, the other has not: both go on from step 2."""
    options = {**SHARED, "run_carry": 3, "optimiser_accumulate": 1, "run_steps": 6}
    two = (tmp_path / "two", tmp_path / "two")
    codes, said = two_processes(two, options, dies_at=4)
    assert codes[1] == -signal.SIGKILL, said
    steps = {p.name: checkpoint.document_of(p)["step"] for p in two[0].glob("state*")}
    assert steps == {
        "state.safetensors": 4,
        "state.previous.safetensors": 2,
        "state.1.safetensors": 2,
    }
    codes, said = two_processes(two, options)
    assert codes == [0, 0], said
    config = small(**options)
    train(config, tmp_path / "one", source=source_of(figures(6, 5), config.run.batch))
    assert losses(two[0]) == pytest.approx(losses(tmp_path / "one"), rel=1e-5)


def test_processes_that_do_not_see_one_folder_end_with_a_message(tmp_path):
    """They used to wait for each other for ever."""
    config = small(**SHARED, run_checkpoint_every=1)
    source = source_of(figures(6, 5), config.run.batch)

    def stop(step: int, values: dict[str, float]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "a", source=source, on_step=stop)
    options = {**SHARED, "run_checkpoint_every": 1}
    codes, said = two_processes((tmp_path / "a", tmp_path / "b"), options)
    assert codes == [1, 1], said
    assert said.count("no checkpoint in common: got steps [1] here, 0 to 1 over all") == 1
    assert said.count("no checkpoint in common: got steps [0] here, 0 to 1 over all") == 1


def test_the_documented_command_trains_on_two_processes(tmp_path):
    (tmp_path / "a.toml").write_text(
        '[model]\noptions = {size = [32, 32], width = 0.125}\n'
        '[data]\ntrain = "figures?n=4"\nframes = 4\nheld_out = "figures?n=2"\n'
        '[run]\nsteps = 2\nbatch = 2\nthreads = 1\ndevice = "cpu"\n'
    )
    words = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    words += ["--master-port", str(free_port()), "-m", "pvnet.cli"]
    words += ["train", str(tmp_path / "a.toml"), "--out", str(tmp_path / "run"), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, env=surroundings())
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (told["steps"], told["processes"]) == (2, 2)
    assert told["held_out"]["clips"] == 2
    assert json.loads(done.stdout)["steps"] == 2  # one document, of the first process


def test_a_batch_that_cannot_be_shared_is_refused():
    assert share(6, 2) == 3
    with pytest.raises(InvalidArgumentError, match=r"(?s)^\[.+\] .+: got .+, expected .+\. .+\.$"):
        share(5, 2)
