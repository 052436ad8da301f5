"""The peers, in their own environment: OpenVINO, ONNX Runtime, torch, continual-inference.

An engine gives outputs for a frame [1, c, h, w], float32 and normalised.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peer.files import Prepared, precision
from peer.past import Past

Frame = NDArray[np.float32]


class Engine:
    """What every engine has.

    Attributes:
        checks: what its outputs are compared with: "ticks" from a fresh start, "still" video, or
            the last tick of a "window".
    """

    checks = "ticks"

    def reset(self) -> None:
        """Forgets all frames."""

    def tick(self, frame: Frame) -> list[NDArray[np.float32]]:
        """The outputs, in the order of the network's."""
        raise NotImplementedError

    def skip(self, frame: Frame) -> None:
        """Takes a frame whose outputs nobody needs."""
        self.tick(frame)

    def play(self, frames: Frame, seconds: float, multiple: int) -> tuple[list[float], float]:
        """Ticks for some time, whole hyper-periods.

        Returns:
            Milliseconds from a frame to its outputs, of every tick; seconds of all together.
        """
        times: list[float] = []
        begin = before = time.perf_counter()
        while before - begin < seconds or len(times) % multiple:
            self.tick(frames[len(times) % len(frames)])
            now = time.perf_counter()
            times.append(1e3 * (now - before))
            before = now
        return times, before - begin


class OpenVino(Engine):
    """One frame at a time, on all threads (LATENCY)."""

    def __init__(self, net: Prepared, threads: int) -> None:
        self.net = net
        self.compiled = _openvino(
            net, _step("xml"), threads, PERFORMANCE_HINT="LATENCY", NUM_STREAMS="1"
        )
        self.request = self.compiled.create_infer_request()
        self.reset()

    def reset(self) -> None:
        import openvino

        def zeros(shape: Sequence[int]) -> Any:
            return openvino.Tensor(np.zeros((1, *shape), np.float32), shared_memory=True)

        self.past = Past(_kept(self.compiled.inputs), "frame", zeros)
        for index, buffer in enumerate(self.past.now(), start=len(self.net.outputs)):
            self.request.set_output_tensor(index, buffer)

    def tick(self, frame: Frame) -> list[NDArray[np.float32]]:
        import openvino

        given = openvino.Tensor(frame, shared_memory=True)
        self.request.set_input_tensor(0, given)
        for index, buffer in enumerate(self.past.before(), start=1):
            self.request.set_input_tensor(index, buffer)
        for index, buffer in enumerate(self.past.now(), start=len(self.net.outputs)):
            self.request.set_output_tensor(index, buffer)
        self.request.infer()
        self.past.turn(given)
        return [
            np.array(self.request.get_output_tensor(i).data) for i in range(len(self.net.outputs))
        ]


class OpenVinoStreams(OpenVino):
    """A frame per thread at a time (THROUGHPUT): more frames per second, each answered later."""

    def __init__(self, net: Prepared, threads: int) -> None:
        super().__init__(net, threads)
        self.many = _openvino(
            net, _step("xml"), threads, PERFORMANCE_HINT="THROUGHPUT", NUM_STREAMS=str(threads)
        )
        self.threads = threads

    def tick(self, frame: Frame) -> list[NDArray[np.float32]]:
        found = self.many(frame, share_inputs=True)
        return [np.array(found[i]) for i in range(len(self.net.outputs))]

    def play(
        self, frames: Frame, seconds: float, multiple: int  # noqa: ARG002
    ) -> tuple[list[float], float]:
        import openvino

        times: list[float] = []
        queue = openvino.AsyncInferQueue(self.many, self.threads)

        def done(request: Any, started: float) -> None:
            for index in range(len(self.net.outputs)):
                np.array(request.get_output_tensor(index).data)
            times.append(1e3 * (time.perf_counter() - started))

        queue.set_callback(done)
        begin, sent = time.perf_counter(), 0
        while time.perf_counter() - begin < seconds or sent < 3 * self.threads:
            queue.start_async(frames[sent % len(frames)], time.perf_counter(), share_inputs=True)
            sent += 1
        queue.wait_all()
        return times, time.perf_counter() - begin


class OpenVinoWindow(Engine):
    """The newest frames all over again, for every frame."""

    checks = "window"

    def __init__(self, net: Prepared, threads: int) -> None:
        self.net = net
        self.compiled = _openvino(
            net, "window.onnx", threads, PERFORMANCE_HINT="LATENCY", NUM_STREAMS="1"
        )
        self.request = self.compiled.create_infer_request()
        self.reset()

    def reset(self) -> None:
        c, h, w = self.net.frame
        self.clip = np.zeros((1, c, self.net.window, h, w), np.float32)

    def skip(self, frame: Frame) -> None:
        self.clip[:, :, :-1] = self.clip[:, :, 1:]
        self.clip[:, :, -1] = frame

    def tick(self, frame: Frame) -> list[NDArray[np.float32]]:
        self.skip(frame)
        self.request.infer([self.clip], share_inputs=True)
        return [
            np.array(self.request.get_output_tensor(i).data) for i in range(len(self.net.outputs))
        ]


class OnnxRuntime(Engine):
    """One frame at a time; operations one after the other, each on all threads."""

    def __init__(self, net: Prepared, threads: int, file: str = "") -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        self.net, self.values = net, onnxruntime.OrtValue
        path = net.folder / (file or _step("onnx"))
        self.session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self.ins = [one.name for one in self.session.get_inputs()]
        self.outs = [one.name for one in self.session.get_outputs()]
        self.binding = self.session.io_binding()
        for name in self.outs[: len(net.outputs)]:
            self.binding.bind_output(name)
        self.reset()

    def reset(self) -> None:
        def zeros(shape: Sequence[int]) -> Any:
            return self.values.ortvalue_from_numpy(np.zeros((1, *shape), np.float32))

        shapes = [(one.name, one.shape) for one in self.session.get_inputs()]
        self.past = Past(_kept_of(shapes), "frame", zeros)

    def tick(self, frame: Frame) -> list[NDArray[np.float32]]:
        given = self.values.ortvalue_from_numpy(frame)
        count = len(self.net.outputs)
        for name, value in zip(self.ins, [given, *self.past.before()]):
            self.binding.bind_ortvalue_input(name, value)
        for name, value in zip(self.outs[count:], self.past.now()):
            self.binding.bind_ortvalue_output(name, value)
        self.session.run_with_iobinding(self.binding)
        self.past.turn(given)
        return [value.numpy() for value in self.binding.get_outputs()[:count]]


class Torch(Engine):
    """Eager, channels_last, batch norm folded."""

    def __init__(self, net: Prepared, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self.net, self.torch = net, torch
        self.module = self.network()
        for kept in (*self.module.parameters(), *self.module.buffers()):
            if kept.dim() == 4:  # weights of temporal layers are what their own kernels like
                kept.data = kept.data.contiguous(memory_format=torch.channels_last)
        self.call = self.module
        self.reset()

    def network(self) -> Any:
        """The module in eval mode."""
        if not self.net.vision:
            from peer.export import step

            return step(self.net)
        from torch.fx.experimental.optimization import fuse

        from peer import vision

        return fuse(vision.make(self.net.vision))

    def zeros(self, shape: Sequence[int]) -> Any:
        """A map of the past before the first frame."""
        zeros = self.torch.zeros(1, *shape)
        return zeros.contiguous(memory_format=self.torch.channels_last)

    def reset(self) -> None:
        kept = getattr(self.module, "kept", [])
        self.past = Past(kept, self.net.nodes[0]["name"] if self.net.nodes else "", self.zeros)

    def tick(self, frame: Frame) -> list[NDArray[np.float32]]:
        with self.torch.inference_mode():
            x = self.torch.from_numpy(frame)
            x = x.contiguous(memory_format=self.torch.channels_last)
            found = self.call(x, *self.past.before())
            found = found if isinstance(found, tuple) else (found,)
            count = len(self.net.outputs)
            self.past.turn(x, found[count:])
            return [value.contiguous().numpy() for value in found[:count]]


class TorchCompile(Torch):
    """By torch.compile, weights frozen."""

    def __init__(self, net: Prepared, threads: int) -> None:
        import torch
        import torch._inductor.config as inductor

        inductor.freezing = True
        super().__init__(net, threads)
        self.call = torch.compile(self.module, fullgraph=True, dynamic=False)


class Continual(Torch):
    """Temporal convolutions by continual-inference, the rest as eager torch."""

    def network(self) -> Any:
        from peer.continual_net import ContinualNet

        net = self.net
        return ContinualNet(net.nodes, [node for _, node in net.outputs], net.weights()).eval()

    def reset(self) -> None:
        self.module.forget()
        super().reset()


def _step(ending: str) -> str:
    """The file of a frame a call; in int8 the one that the peer's own tool made."""
    return f"step_int8.{ending}" if precision() == "int8" else "step.onnx"


def _openvino(net: Prepared, file: str, threads: int, **options: str) -> Any:
    """Compiled for the CPU; with the precision named, since its default may be another."""
    import openvino

    rest = "f32" if precision() == "int8" else precision()  # of what the file has not quantised
    fixed = {"INFERENCE_PRECISION_HINT": rest, "INFERENCE_NUM_THREADS": str(threads)}
    core = openvino.Core()
    return core.compile_model(core.read_model(net.folder / file), "CPU", {**fixed, **options})


def _kept(inputs: Any) -> list[tuple[str, list[int], int]]:
    """Of the inputs of a compiled network; see `_kept_of`."""
    return _kept_of([(one.any_name, list(one.shape)) for one in inputs])


def _kept_of(inputs: Sequence[tuple[str, Sequence[int]]]) -> list[tuple[str, list[int], int]]:
    """Name, shape and frames back of each map that inputs `past<k>_<i>` are of.

    The file names the frame's own past `past_frame_<i>`.
    """
    kept: dict[str, tuple[list[int], int]] = {}
    for name, shape in inputs[1:]:
        key = name.rpartition("_")[0]
        kept[key] = (list(shape[1:]), kept.get(key, ([], 0))[1] + 1)
    return [
        ("frame" if key == "past_frame" else key, shape, back)
        for key, (shape, back) in kept.items()
    ]
