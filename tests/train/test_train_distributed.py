"""Two processes with the same global batch do what one does (gloo)."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_runs import figures, losses, small, source_of

import pvnet
from pvnet.errors import InvalidArgumentError
from pvnet.train.distributed import share
from pvnet.train.loop import train

# Batch norm of a half batch is another function: its statistics are frozen for the comparison.
SHARED = {"run_norm": "frozen", "run_batch": 4, "run_steps": 3, "optimiser_accumulate": 2}
PROGRAM = """
import json, sys
from pathlib import Path
from small_runs import figures, small, source_of
from pvnet.train.loop import train
config = small(**json.loads(sys.argv[2]))
train(config, Path(sys.argv[1]), source=source_of(figures(6, 5), config.run.batch))
"""


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def two_processes(folder: Path, options: dict[str, object]) -> None:
    here = Path(__file__).parent
    installed = Path(pvnet.__file__).parents[1]
    path = [str(here), str(installed), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "OMP_NUM_THREADS": "1"}
    env |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}
    words = [sys.executable, "-c", PROGRAM, str(folder), json.dumps(options)]
    started = [
        subprocess.Popen(words, env={**env, "RANK": str(r), "LOCAL_RANK": str(r)}) for r in (0, 1)
    ]
    try:
        assert [p.wait(timeout=240) for p in started] == [0, 0]
    finally:
        for p in started:
            p.kill()


@pytest.mark.parametrize(
    "options",
    [
        {**SHARED, "run_ema": 0.9},
        {**SHARED, "run_carry": 3, "optimiser_accumulate": 1},
    ],
    ids=["clips", "carried state"],
)
def test_two_processes_are_one_process_with_the_same_batch(options, tmp_path):
    config = small(**options)
    train(config, tmp_path / "one", source=source_of(figures(6, 5), config.run.batch))
    two_processes(tmp_path / "two", options)
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-5)
    one, two = (pvnet.load(tmp_path / d / "model.safetensors") for d in ("one", "two"))
    for key, value in one.weights.items():
        assert np.abs(two.weights[key] - value).max() < 1e-3, key
    assert json.loads((tmp_path / "two" / "result.json").read_text())["processes"] == 2


def test_a_batch_that_cannot_be_shared_is_refused():
    assert share(6, 2) == 3
    with pytest.raises(InvalidArgumentError, match=r"(?s)^\[.+\] .+: got .+, expected .+\. .+\.$"):
        share(5, 2)
