"""Quantises step.onnx to int8: `python -m peer.quantise FOLDER`, by the peers' Python.

Each peer's own tool does it, on the frames that pvnet is calibrated on: NNCF for OpenVINO
(step_int8.xml), onnxruntime.quantization for ONNX Runtime (step_int8.onnx).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from peer.engines import OnnxRuntime
from peer.files import Prepared, prepared

Feed = dict[str, np.ndarray[Any, Any]]


def feeds(net: Prepared) -> list[Feed]:
    """All inputs at every frame of the calibration; the past as the network in f32 makes it."""
    engine = OnnxRuntime(net, threads=1, file="step.onnx")
    found = []
    for frame in net.calibration():
        past = [np.array(value.numpy()) for value in engine.past.before()]
        found.append(dict(zip(engine.ins, [frame, *past])))
        engine.tick(frame)
    return found


class Reader(CalibrationDataReader):
    """The same, one after another."""

    def __init__(self, fed: list[Feed]) -> None:
        self._rest = iter(fed)

    def get_next(self) -> Feed | None:
        return next(self._rest, None)


def by_onnxruntime(net: Prepared, fed: list[Feed]) -> None:
    """Unsigned maps, signed weights by channel: what its kernels for VNNI are quickest with."""
    prepared_file = net.folder / "step_shapes.onnx"
    quant_pre_process(str(net.folder / "step.onnx"), str(prepared_file))
    quantize_static(
        str(prepared_file), str(net.folder / "step_int8.onnx"), Reader(fed),
        quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip


def by_nncf(net: Prepared, fed: list[Feed]) -> None:
    """Post-training quantisation with what NNCF takes by itself."""
    import nncf
    import openvino

    model = openvino.Core().read_model(net.folder / "step.onnx")
    found = nncf.quantize(model, nncf.Dataset(fed), subset_size=len(fed))
    openvino.save_model(found, net.folder / "step_int8.xml", compress_to_fp16=False)


def main(folder: Path) -> None:
    """Both files; that of ONNX Runtime last: it says that all is done."""
    net = prepared(folder)
    fed = feeds(net)
    by_nncf(net, fed)
    by_onnxruntime(net, fed)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
