"""The networks that are compared, and their folders; by pvnet's own Python.

Weights are seeded random ones, except MoveNet's. Networks of torchvision are exported by the
peers' Python, and pvnet reads that very file.
"""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import math
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import pvnet
from peer import files, venv
from peer.files import Prepared
from pvnet import catch, models
from pvnet.models.random_weights import random_weights

FRAMES = 16
_BENCH = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Source:
    """Where a network comes from.

    Attributes:
        label: for people.
        model: of `pvnet.models`, "torchvision", or "catch".
        options: of its builder.
        stages: of the fully parallel wiring.
        window: frames of the window that peers recompute.
        beside: the network without clocks.
    """

    label: str
    model: str
    options: dict[str, Any] = field(default_factory=dict)
    stages: int | str = "layers"
    window: int = 0
    beside: str = ""


_INCEPTION = {"model": "par_inception", "stages": 10}
NETWORKS = {
    "inception_frame": Source(
        "Par-Inception temporal=1", options={"temporal": 1, "window": 1}, **_INCEPTION
    ),
    "inception_single": Source("Par-Inception single-rate", window=FRAMES, **_INCEPTION),
    "inception_i3d": Source(
        "Par-Inception, i3d clocks",
        options={"clocks": "i3d"},
        window=FRAMES,
        beside="inception_single",
        **_INCEPTION,
    ),
    "inception_halving": Source(
        "Par-Inception, halving clocks",
        options={"clocks": "halving"},
        beside="inception_single",
        **_INCEPTION,
    ),
    "densenet": Source("Par-DenseNet", "par_densenet", stages=14),
    "resnet18": Source("ResNet-18", "torchvision"),
    "resnet50": Source("ResNet-50", "torchvision"),
    "mobilenet_v2": Source("MobileNetV2", "torchvision"),
    "movenet": Source("MoveNet Lightning", "movenet", stages=7),
}
# Not part of the comparison: that of bench/streaming.py.
_CATCH = Source("Par-DenseNet of the game", "catch", stages=14)


def folder_of(name: str, *, dry: bool) -> Path:
    """Where the files of a network lie."""
    return files.HOME / (f"{name}-dry" if dry else name)


def prepare(name: str, *, dry: bool = False, again: bool = False) -> Prepared:
    """Makes the folder of a network, unless it is there from the same sources.

    Args:
        name: of NETWORKS, or "catch".
        dry: a small size, for tests.
        again: in any case.

    Raises:
        ImportError: the peers that are needed to read or write it are not there.
    """
    net = _prepared(name, dry=dry, again=again)
    if files.precision() == "int8":
        _quantise(net)
    return net


def _quantise(net: Prepared) -> None:
    """pvnet's ranges, and the peers' files, unless they are there."""
    calibrated = net.folder / "model_int8.safetensors"
    if not calibrated.exists():
        model = pvnet.load(net.folder / "model.safetensors")
        pvnet.save(model, calibrated, ranges=pvnet.calibrate(model, net.calibration()[:, 0]))
    quantised = net.folder / "step_int8.onnx"
    if net.clock_ticks == 1 and venv.python() is not None and not quantised.exists():
        _by_peers("peer.quantise", net.folder)


def _prepared(name: str, *, dry: bool, again: bool) -> Prepared:
    source = _CATCH if name == "catch" else NETWORKS[name]
    if source.beside:
        prepare(source.beside, dry=dry)
    folder = folder_of(name, dry=dry)
    key = _key(name, dry)
    try:
        there = files.prepared(folder)
        if there.key == key and not again:
            return there
    except (OSError, ValueError, TypeError):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model, parallel = _models(source, folder, dry)
    pvnet.save(model, folder / "model.safetensors")
    net = _described(key, name, source, folder, model, parallel, dry=dry)
    np.savez(folder / "weights.npz", **folded(model))
    _play(net, model, figures=source.model == "movenet")
    net.write()
    if not net.vision and venv.python() is not None:
        _export(folder)
    return net


def _key(name: str, dry: bool) -> str:
    """Of the sources that a folder is made by, and whether peers are there."""
    sources = [*_BENCH.glob("peer/*.py"), *_BENCH.parent.glob("pvnet/models/*.py")]
    content = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(sources)))
    return f"{name} {dry} {content.hexdigest()[:16]} {venv.python() is not None}"


def _models(
    source: Source, folder: Path, dry: bool
) -> tuple[pvnet.runtime.Model, pvnet.Graph]:
    """The network in sequential and in fully parallel wiring."""
    if source.model == "torchvision":
        model = _vision(folder)
        return model, model.graph.wire("predictive", stages=source.stages)
    if source.model == "catch":
        return catch.network("sequential"), catch.network("predictive").graph
    options = dict(source.options)
    if dry:
        options |= {"size": 64} if source.model == "movenet" else {"size": 64, "width": 0.25}
    graph = models.build(source.model, **options)
    parallel = models.build(source.model, stages=source.stages, wiring="predictive", **options)
    shipped = source.model == "movenet"
    weights = models.pretrained("movenet").weights if shipped else random_weights(graph, seed=0)
    return pvnet.runtime.Model(graph, weights), parallel


def _vision(folder: Path) -> pvnet.runtime.Model:
    """torchvision's, read from the file that the peers read."""
    if venv.python() is None:
        raise ImportError("torchvision: there is no environment of the peers")
    if importlib.util.find_spec("onnx") is None:
        venv.lend()
    _export(folder)
    return pvnet.from_onnx(folder / "step.onnx")


def _export(folder: Path) -> None:
    """ONNX files; a failed export leaves no net.json."""
    try:
        _by_peers("peer.export", folder)
    except ImportError:
        (folder / "net.json").unlink(missing_ok=True)
        raise


def _by_peers(module: str, folder: Path) -> None:
    """Runs a module on a folder, by the peers' Python."""
    command = [str(venv.python()), "-m", module, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(_BENCH)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise ImportError(f"{folder.name}: {module} failed: {last}")


def _described(
    key: str, name: str, source: Source, folder: Path, model: pvnet.runtime.Model,
    parallel: pvnet.Graph, *, dry: bool,
) -> Prepared:  # fmt: skip
    graph = model.graph
    ticks = math.lcm(*(node.clock.period for node in graph.nodes))
    reach = max(
        max(o.warm_up_ticks, o.information_latency_ticks + o.receptive_field_frames)
        for o in parallel.outputs
    )
    stateful = max(o.receptive_field_frames for o in graph.outputs) > 1
    vision = source.model == "torchvision"
    return Prepared(
        key=key,
        name=name,
        nodes=[] if vision else _nodes(graph),
        outputs=[(o.name, o.node) for o in graph.outputs],
        frame=list(graph.nodes[0].shape),
        gmac=sum(n.macs / n.clock.period for n in graph.nodes) / 1e9,
        clock_ticks=ticks,
        stateful=stateful,
        check_ticks=max(ticks, 8) if stateful else 4,
        still_ticks=reach + 2 * ticks,
        window=source.window,
        vision=name if vision else "",
        beside=folder_of(source.beside, dry=dry).name if source.beside else "",
        parallel=parallel.to_json(),
        folder=folder,
    )


def _nodes(graph: pvnet.Graph) -> list[dict[str, Any]]:
    return [
        {"name": n.name, "op": n.op, "inputs": [e.node for e in n.inputs], "attrs": dict(n.attrs),
         "shape": list(n.shape)}
        for n in graph.nodes
    ]  # fmt: skip


def folded(model: pvnet.runtime.Model) -> dict[str, NDArray[np.float32]]:
    """Weights and biases with batch norm in them; a missing bias is 0."""
    found: dict[str, NDArray[np.float32]] = {}
    for node in model.graph.nodes:
        if f"{node.name}.weight" not in model.weights:
            continue
        weight = np.array(model.weights[f"{node.name}.weight"], np.float64)
        bias = np.array(model.weights.get(f"{node.name}.bias", np.zeros(len(weight))), np.float64)
        if node.attrs.get("norm"):
            gamma, beta, mean, variance = (
                np.array(model.weights[f"{node.name}.norm.{key}"], np.float64)
                for key in ("weight", "bias", "running_mean", "running_var")
            )
            scale = gamma / np.sqrt(variance + node.attrs["norm_eps"])
            weight = weight * scale.reshape(-1, *(1,) * (weight.ndim - 1))
            bias = beta + (bias - mean) * scale
        found[f"{node.name}.weight"] = weight.astype(np.float32)
        found[f"{node.name}.bias"] = bias.astype(np.float32)
    return found


def _play(net: Prepared, model: pvnet.runtime.Model, *, figures: bool) -> None:
    """Frames, and pvnet's outputs for them; the last ones are those of a still video."""
    make = _figures if figures else _noise
    frames, calibration = (make(model.graph, seed) for seed in (0, 1))
    np.save(net.folder / "frames.npy", frames)
    np.save(net.folder / "calibration.npy", calibration)
    plan = pvnet.compile(model)
    stream, still = plan.stream(), plan.stream()
    ticks = [stream.tick(frame) for frame in frames]
    for _ in range(net.still_ticks):
        last = still.tick(frames[0])
    want = {name: np.stack([np.array(t[name]) for t in [*ticks, last]]) for name, _ in net.outputs}
    np.savez(net.folder / "want.npz", **want)


def _noise(graph: pvnet.Graph, seed: int) -> NDArray[np.float32]:
    """[n, 1, c, h, w]: what random weights take as well as pictures."""
    shape = (FRAMES, 1, *graph.nodes[0].shape)
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _figures(graph: pvnet.Graph, seed: int) -> NDArray[np.float32]:
    """The same of a rendered person: on noise a network of joints sees nobody, nowhere."""
    _, height, width = graph.nodes[0].shape
    with pvnet.video.open(f"synthetic:seed={seed},size={width}x{height}") as source:
        shown = np.stack([frame.image for frame in itertools.islice(source, FRAMES)])
    attrs = graph.nodes[0].attrs
    normal = (shown / 255 - np.array(attrs["mean"])) / np.array(attrs["std"])
    return normal.transpose(0, 3, 1, 2)[:, None].astype(np.float32)
