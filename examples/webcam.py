"""Joints from a camera, live, always on the newest frame; needs pvnet-video[video].

    python examples/webcam.py [0 | rtsp://... | clip.mp4] [--model PATH|NAME]

Policy `latest` never lets the network fall behind: frames that come while a tick runs are dropped.
"""

from __future__ import annotations

import argparse

import pvnet
from pvnet import models


def main() -> None:
    """Print the tick, its latency and the drops until the video ends or Ctrl-C."""
    parser = argparse.ArgumentParser(description="Joints from a camera.")
    parser.add_argument("source", nargs="?", default="0")
    parser.add_argument("--model", metavar="PATH|NAME", help="default: the shipped joints")
    parser.add_argument("--max-frames", type=int)
    args = parser.parse_args()

    if args.model is None:
        model = models.pretrained("par_densenet", wiring="predictive")
    elif args.model in models.list_pretrained():
        model = models.pretrained(args.model)
    else:
        model = pvnet.load(args.model)
    plan = pvnet.compile(model)
    _, height, width = plan.inputs["frame"]
    source = int(args.source) if args.source.isdigit() else args.source
    stream = plan.stream()
    name = next(iter(plan.outputs))
    video = pvnet.video.open(source, size=(height, width))
    for count, out in enumerate(stream.run(video, policy="latest"), start=1):
        strongest = float(out[name].max())
        print(f"frame {out.frame.index}: {out.latency_ms:.1f} ms, strongest {strongest:.2f}")
        if count == args.max_frames:
            break


if __name__ == "__main__":
    main()
