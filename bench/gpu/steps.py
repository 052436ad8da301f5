"""The steps, the important ones first, and how long each may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """A program `gpu.NAME`.

    Attributes:
        name: of the module and of the record.
        seconds: at most, on a GPU.
        dry_seconds: at most, in the dry run.
        timed: it measures times: nothing else runs meanwhile.
        asks: the question that it answers.
    """

    name: str
    seconds: float
    dry_seconds: float
    timed: bool
    asks: str


# Before anything is built: they need torch and nvcc alone.
FIRST = (
    Step("card", 40, 60, True, "which card, and its bf16 matrix rate"),
    Step("launch", 45, 60, True, "what do launches cost, in a graph"),
)
# Beside the build and the tests.
WARM = Step("warm", 240, 240, False, "torch.compile with max-autotune for the peers")
BUILD = Step("build", 200, 120, False, "pip install of this source")
STEPS = (
    Step("tests", 120, 240, False, "pytest -m gpu: is it right"),
    Step("own", 100, 240, True, "own networks, stages, executors, dtypes"),
    Step("peers", 90, 240, True, "cuDNN eager, its CUDA graph, torch.compile"),
    Step("depth", 50, 120, True, "10 to 1,000 equal layers"),
    Step("latency", 20, 60, True, "host frame to host result"),
    Step("rows", 40, 120, True, "1, 8, 64 rows, two Streams"),
    Step("clocks", 20, 60, True, "slower clocks of the deep layers"),
    Step("lanes", 60, 120, True, "the CPU of this machine: lanes, wirings, torch"),
    Step("pictures", 30, 120, True, "speed-up over stages, busy SMs"),
    Step("sanitizer", 75, 120, False, "compute-sanitizer on six small cases"),
    Step("wave", 40, 60, True, "Nsight Compute on one wave"),
)
EVERY = (*FIRST, BUILD, *STEPS)
