"""An engine in a process of its own: `python -m peer.serve FOLDER ENGINE THREADS`.

A line of JSON comes in, a line goes out: {"do": "check"}, {"do": "time", "seconds": 0.5} or
{"do": "end"}. Between two lines it sleeps. `fake:MS` and `fake wrong` are known.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peer import files
from peer.engines import Engine, Frame
from peer.files import Prepared, prepared

# Engine -> module and class. Those of `peer.own` run by pvnet's Python, the others by the peers'.
ENGINES = {
    "pvnet": ("peer.own", "Own"),
    "pvnet parallel": ("peer.own", "OwnParallel"),
    "pvnet pipelined": ("peer.own", "OwnPipelined"),
    "pvnet single-rate": ("peer.own", "OwnSingle"),
    "openvino": ("peer.engines", "OpenVino"),
    "openvino streams": ("peer.engines", "OpenVinoStreams"),
    "onnxruntime": ("peer.engines", "OnnxRuntime"),
    "torch": ("peer.engines", "Torch"),
    "torch compile": ("peer.engines", "TorchCompile"),
    "continual": ("peer.engines", "Continual"),
    "openvino window": ("peer.engines", "OpenVinoWindow"),
}
_WARM_TICKS = 2


class Fake(Engine):
    """Right after a known time, or wrong: the control."""

    def __init__(self, net: Prepared, *, seconds: float, wrong: bool) -> None:
        self.want, self.seconds, self.wrong = net.want(), seconds, wrong
        self.reset()

    def reset(self) -> None:
        self.ticks = 0

    def tick(self, frame: Frame) -> list[NDArray[np.float32]]:  # noqa: ARG002
        time.sleep(self.seconds)
        index = self.ticks % (len(self.want[0]) - 1)
        self.ticks += 1
        return [value[index] * (1.01 if self.wrong else 1.0) for value in self.want]


def make(name: str, net: Prepared, threads: int) -> Engine:
    """The engine of a name."""
    if name.startswith("fake"):
        wrong = name == "fake wrong"
        return Fake(net, seconds=0 if wrong else float(name[5:]) / 1e3, wrong=wrong)
    module, kind = ENGINES[name]
    engine: Engine = getattr(importlib.import_module(module), kind)(net, threads)
    return engine


def distance(engine: Engine, net: Prepared) -> float:
    """How far the outputs are from pvnet's in f32 and sequential wiring; see `peer.files`."""
    net = getattr(engine, "net", net)
    frames, want = net.frames(), net.want()
    engine.reset()
    compared: list[tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]] = []
    ticks = {"ticks": net.check_ticks, "window": net.window, "still": net.still_ticks}
    for t in range(ticks[engine.checks]):
        frame = frames[0 if engine.checks == "still" else t]
        if engine.checks != "ticks" and t < ticks[engine.checks] - 1:
            engine.skip(frame)
            continue
        place = -1 if engine.checks == "still" else t
        found = [np.array(value) for value in engine.tick(frame)]  # it may write there again
        compared.append((found, [all_[place] for all_ in want]))
    return files.distance(net, *zip(*compared))


def answer(engine: Engine, net: Prepared, asked: dict[str, Any]) -> dict[str, Any]:
    """What goes out for what came in."""
    if asked["do"] == "check":
        return {"far": distance(engine, net)}
    frames = net.frames()
    begin = time.perf_counter()
    for frame in frames[:_WARM_TICKS]:
        engine.tick(frame)
        if time.perf_counter() - begin > asked["seconds"]:
            break
    before = time.process_time()
    times, seconds = engine.play(frames, asked["seconds"], net.clock_ticks)
    return {
        "ms": times,
        "seconds": seconds,
        "cpu_s": time.process_time() - before,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    """Answers until told to end."""
    # Whatever libraries print goes to stderr.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    folder, name, threads = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    net = prepared(folder)
    engine = make(name, net, threads)
    print(json.dumps({"ready": True}), file=out, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["do"] == "end":
            break
        print(json.dumps(answer(engine, net, asked)), file=out, flush=True)


if __name__ == "__main__":
    main()
