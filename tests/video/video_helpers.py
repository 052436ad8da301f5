from __future__ import annotations

import re
from fractions import Fraction

import av
import numpy as np
import pytest

MESSAGE = re.compile(r"^\[.+\] .+: got .+, expected .+\. .+\.$", re.DOTALL)


def refused(kind, function, *args, **kwargs):
    """The message of the error that the call must raise, checked for its form."""
    with pytest.raises(kind) as caught:
        function(*args, **kwargs)
    assert MESSAGE.match(str(caught.value)), str(caught.value)
    return str(caught.value)


def grey_frames(n: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """Frame k is grey of level 20 + 10 k, with a white block in the upper left quarter."""
    out = []
    for k in range(n):
        image = np.full((height, width, 3), min(20 + 10 * k, 250), np.uint8)
        image[: height // 2, : width // 2] = 255
        out.append(image)
    return out


def write_pictures(path, images, codec="libx264", **settings) -> None:
    """A video of images uint8 [h, w, 3] at 25 per second.

    Args:
        path: the ending says which container.
        images: of one size.
        codec: FFmpeg's name of an encoder.
        settings: `stamps` in 1/25 s, `sample_aspect_ratio`, `gop`, `options` of the encoder.
    """
    stamps = settings.get("stamps", range(len(images)))
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=25)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.gop_size = settings.get("gop", 12)
        stream.options = dict(settings.get("options", {}))
        if "sample_aspect_ratio" in settings:
            stream.codec_context.sample_aspect_ratio = settings["sample_aspect_ratio"]
        for stamp, image in zip(stamps, images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = stamp, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())


def restamped(path, target, stamp_s) -> None:
    """A copy of a video whose packet k is shown at `stamp_s(k, time)` seconds."""
    with av.open(str(path)) as source, av.open(str(target), "w") as out:
        stream = source.streams.video[0]
        copy = out.add_stream_from_template(stream)
        for k, packet in enumerate(p for p in source.demux(stream) if p.size):
            base = packet.time_base
            time_s = stamp_s(k, float(packet.pts * base))
            packet.pts = round(time_s / base)
            packet.dts = min(packet.dts, packet.pts) if packet.dts is not None else None
            packet.stream = copy
            out.mux(packet)
