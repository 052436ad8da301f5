"""Memory of compile: weights are taken node by node, from wherever they are."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pvnet
from pvnet import runtime
from pvnet.errors import FileError, InvalidArgumentError
from pvnet.models.random_weights import random_weights


def network(channels: int = 8) -> runtime.Model:
    g = pvnet.Graph()
    x = g.input("frame", channels=3, height=12, width=12)
    for _ in range(4):
        x = g.conv3d(x, channels, kernel=(2, 3, 3), norm=True, act="relu")
    g.output(g.linear(g.global_pool(x), 5), name="y")
    return runtime.Model(g, random_weights(g, seed=1), {"task": "none"})


def test_a_plan_is_the_same_from_a_file_its_bytes_a_model_and_arrays(tmp_path: Path) -> None:
    model = network()
    path = tmp_path / "m.safetensors"
    pvnet.save(model, path)
    doubles = {k: np.asfortranarray(w, dtype=np.float64) for k, w in model.weights.items()}
    sources = (path, str(path), path.read_bytes(), model, (model.graph, doubles))
    plans = [pvnet.compile(source) for source in sources]
    assert len({p.core.fingerprint for p in plans}) == 1
    assert [p.metadata for p in plans[:4]] == [{"task": "none"}] * 4


def test_loaded_arrays_outlive_the_file_and_can_be_written(tmp_path: Path) -> None:
    model = network()
    path = tmp_path / "m.safetensors"
    pvnet.save(model, path)
    loaded = pvnet.load(path)
    path.unlink()
    for name, array in loaded.weights.items():
        assert np.array_equal(array, model.weights[name])
        array += 1.0  # its own
    again = {k: v.copy() for k, v in loaded.weights.items()}
    del loaded
    assert all(np.array_equal(v, model.weights[k] + 1.0) for k, v in again.items())


def test_what_is_wrong_is_refused_by_a_name_from_a_file_as_from_arrays(tmp_path: Path) -> None:
    model = network()
    path = tmp_path / "m.safetensors"
    pvnet.save(model, path)
    damaged = bytearray(path.read_bytes())
    damaged[-4:] = np.float32(np.nan).tobytes()
    with pytest.raises(FileError, match="is not finite: got nan"):
        pvnet.compile(bytes(damaged))
    missing = {k: v for k, v in model.weights.items() if k != "conv3d_2.norm.bias"}
    assert len(missing) == len(model.weights) - 1
    with pytest.raises(InvalidArgumentError, match=r"'conv3d_2\.norm\.bias' is missing"):
        pvnet.compile((model.graph, missing))


_CHILD = """
import json, sys
import pvnet
def told(key):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(l.split()[1]) * 1024 for l in lines if l.startswith(key + ":"))
before = told("VmRSS")
plan = pvnet.compile(sys.argv[1], lanes=1)
print(json.dumps([told("VmHWM") - before, plan.weights_bytes]))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_compile_holds_the_packed_weights_of_a_file_and_little_more(tmp_path: Path) -> None:
    g = pvnet.Graph()
    x = g.input("frame", channels=512, height=5, width=5)
    for _ in range(12):
        x = g.conv3d(x, 512, kernel=(1, 3, 3), norm=True)
    g.output(x, name="y")
    path = tmp_path / "m.safetensors"
    pvnet.save(runtime.Model(g, random_weights(g, seed=0)), path)
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(path)], capture_output=True, text=True, check=True
    )
    taken, packed = json.loads(done.stdout)
    assert packed > 96 * 2**20
    # A copy of the weights beside the packed ones would make it two.
    assert taken < 1.5 * packed
