"""What the workshop says where CuPy, a driver or a device is missing."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from pvnet import workshop as shop
from pvnet.distribution import install as pip
from pvnet.errors import MissingPackageError, UnsupportedError
from workshop.fake_cupy import CUDARuntimeError, Fake, install

CALLS = {
    "load": lambda folder: shop.load(folder / "a.cu", "a"),
    "sweep": lambda folder: shop.sweep(
        folder / "a.cu",
        "a",
        shop.Problem([], np.zeros(1)),
        [],
        lambda d: shop.Launch(*[(1,) * 3] * 2),
    ),
    "time_kernel": lambda folder: shop.time_kernel(lambda: None),
}


@pytest.fixture(params=CALLS)
def call(request, tmp_path):
    """A call that needs a device, and its name in messages."""
    (tmp_path / "a.cu").write_text("")
    return lambda: CALLS[request.param](tmp_path), rf"^\[workshop\.{request.param}\] "


def test_without_cupy_the_extras_are_named(call, monkeypatch):
    run, where = call
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(MissingPackageError, match=where + "a package is missing") as caught:
        run()
    assert pip("cupy12") in str(caught.value)
    assert pip("cupy13") in str(caught.value)
    assert caught.value.name == "cupy"


@pytest.mark.parametrize(
    ("devices", "words"),
    [
        (
            CUDARuntimeError(35, "cudaErrorInsufficientDriver: CUDA driver version is too old"),
            "there is no driver for this CUDA: got cudaErrorInsufficientDriver: .*Install",
        ),
        (CUDARuntimeError(100, "cudaErrorNoDevice"), "there is no CUDA device: got 0 devices"),
        (0, "there is no CUDA device: got 0 devices.*CUDA_VISIBLE_DEVICES"),
        (
            CUDARuntimeError(999, "cudaErrorUnknown: unknown error\nmore"),
            "the CUDA device does not answer: got cudaErrorUnknown: unknown error, expected",
        ),
    ],
)
def test_without_a_driver_or_a_device_the_cure_is_named(call, monkeypatch, devices, words):
    run, where = call
    install(monkeypatch, Fake(devices))
    with pytest.raises(UnsupportedError, match=where + words):
        run()


def test_a_cupy_of_another_cuda_is_named(call, monkeypatch, tmp_path):
    run, where = call
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "cupy.py").write_text("raise ImportError('libcudart.so.12: cannot open')")
    monkeypatch.syspath_prepend(str(broken))
    with pytest.raises(UnsupportedError, match=where + "CuPy cannot be loaded: got libcudart"):
        run()


def test_the_workshop_is_imported_without_cupy(monkeypatch):
    import subprocess

    code = "import sys; sys.modules['cupy'] = None; import pvnet; print(pvnet.workshop.load)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
