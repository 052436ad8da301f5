"""MediaPipe in a process of its own: frames in by stdin, landmarks out by stdout.

Run by the Python of another environment (`pvnet label`), so it imports nothing of pvnet.
The protocol is little endian. First one JSON line {"name", "version", "landmarks"} or {"error"}
comes out. Then goes in, again and again, (uint8 kind, uint32 h, uint32 w). Kind 0 ends, 1 begins a
new video, 2 is followed by h*w*3 bytes of an RGB frame. The answer to a frame is float32
[landmarks, 3]: pixel x, y, visibility, NaN where nobody was found.
"""

from __future__ import annotations

import importlib
import json
import os
import struct
import sys
from typing import Any, BinaryIO

LANDMARKS = 33
HEAD = struct.Struct("<BII")


def main() -> int:
    """Serve frames until told to end."""
    # Libraries print to stdout; the answers get a channel that only this file knows.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        numpy = importlib.import_module("numpy")
        mediapipe = importlib.import_module("mediapipe")
        pose = _pose(mediapipe)
    except Exception as error:
        _line(out, {"error": f"{type(error).__name__}: {error}"})
        return 1
    version = str(getattr(mediapipe, "__version__", "unknown"))
    _line(out, {"name": "mediapipe-pose", "version": version, "landmarks": LANDMARKS})
    while True:
        kind, h, w = HEAD.unpack(_exactly(sys.stdin.buffer, HEAD.size))
        if kind == 0:
            return 0
        if kind == 1:
            pose.close()
            pose = _pose(mediapipe)
            continue
        pixels = numpy.frombuffer(_exactly(sys.stdin.buffer, h * w * 3), numpy.uint8)
        answer = numpy.full((LANDMARKS, 3), numpy.nan, "<f4")
        found = pose.process(pixels.reshape(h, w, 3)).pose_landmarks
        if found is not None:
            for k, p in enumerate(found.landmark):
                # Landmarks are shares of the picture; its left edge is x = -0.5.
                answer[k] = (p.x * w - 0.5, p.y * h - 0.5, p.visibility)
        out.write(answer.tobytes())
        out.flush()


def _pose(mediapipe: Any) -> Any:
    return mediapipe.solutions.pose.Pose(static_image_mode=False, model_complexity=1)


def _line(out: BinaryIO, document: dict[str, Any]) -> None:
    out.write(json.dumps(document).encode() + b"\n")
    out.flush()


def _exactly(stream: BinaryIO, n: int) -> bytes:
    data = stream.read(n)
    if len(data) != n:  # the other side is gone
        raise SystemExit(0)
    return data


if __name__ == "__main__":
    sys.exit(main())
