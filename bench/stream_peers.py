"""Peers that are asked where the ball is: ONNX Runtime, OpenVINO, MediaPipe, torch.

They come from the environment of `bench/peers.py --make`, and run in this Python beside pvnet.
Their heatmaps are compared with pvnet's before anybody is asked.
"""

from __future__ import annotations

import atexit
import importlib.util
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from peer import files, networks, serve, venv
from peer.files import Prepared

import pvnet
from pvnet import catch

Heatmaps = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
# Engine -> the package that it needs. The first ones get files that are written beforehand.
FROM_FILES = ("onnxruntime", "openvino", "mediapipe")
PACKAGES = {name: name for name in (*FROM_FILES, "torch")}
_NETWORK = "catch"


def missing(name: str) -> str:
    """Why an engine cannot be asked here; "" if it can."""
    package = PACKAGES.get(name)
    there = venv.lend()
    if package is None or importlib.util.find_spec(package) is not None:
        return ""
    if not there:
        return "no environment of the peers; python bench/peers.py --make"
    return f"the environment of the peers lacks {package}"


def prepare(names: Iterable[str]) -> None:
    """Writes the network's files where one of these engines reads them."""
    if any(name in FROM_FILES for name in names):
        networks.prepare(_NETWORK)


def heatmaps(name: str, threads: int) -> Heatmaps:
    """uint8 frame [h, w, 3] -> heatmaps [1, h, w], by an engine that is right.

    Raises:
        RuntimeError: its heatmaps differ from pvnet's.
    """
    venv.lend()
    net = files.prepared(networks.folder_of(_NETWORK, dry=False))
    found = _mediapipe(net) if name == "mediapipe" else _by_tensors(net, name, threads)
    check(name, found)
    return found


def check(name: str, found: Heatmaps) -> None:
    """Compares heatmaps with pvnet's.

    Raises:
        RuntimeError: they differ.
    """
    stream = pvnet.compile(catch.network("sequential"), lanes=1).stream()
    rng = np.random.default_rng(0)
    for frame in rng.integers(0, 256, (3, catch.HEIGHT, catch.WIDTH, 3), dtype=np.uint8):
        off = files.far(found(frame), np.asarray(stream.tick(frame[None])["heatmaps"][0]))
        if not off <= files.NEAR:
            raise RuntimeError(f"{name} is refused: heatmaps differ by {off:.2e} of the largest")


def _by_tensors(net: Prepared, name: str, threads: int) -> Heatmaps:
    """Engines that take normalised floats; making those is a part of their time."""
    engine = serve.make(name, net, threads)
    a = net.nodes[0]["attrs"]
    mean, std = (np.array(a[key], np.float32).reshape(3, 1, 1) for key in ("mean", "std"))
    scale, shift = 1 / (255 * std), mean / std

    def run(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        given = frame.transpose(2, 0, 1) * scale
        given -= shift
        return engine.tick(np.ascontiguousarray(given)[None])[0][0]

    return run


def _mediapipe(net: Prepared) -> Heatmaps:
    """An image embedder, whose vector is the heatmap; it chooses its threads by itself."""
    import mediapipe
    from mediapipe.tasks.python import BaseOptions, vision

    base = BaseOptions(model_asset_path=str(net.folder / "embed.tflite"))
    embedder: Any = vision.ImageEmbedder.create_from_options(
        vision.ImageEmbedderOptions(base_options=base)
    )
    atexit.register(embedder.close)  # it cannot end by itself later
    shape = net.want()[0].shape[-3:]

    def run(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=frame)
        found = embedder.embed(image).embeddings[0].embedding
        return np.asarray(found, np.float32).reshape(shape)

    return run
