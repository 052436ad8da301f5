"""How far a student is from its teacher, stage by stage: what distillation minimises.

    python bench/accuracy/distances.py STUDENT.safetensors TEACHER.safetensors --data jhmdb:FOLDER

Mean square difference at the same tick, as a share of the variance of the teacher's activations,
over test clips, after warm-up.
"""

from __future__ import annotations

import argparse
import itertools

import torch

from pvnet import data
from pvnet.models import MEAN, STD
from pvnet.nn import Network
from pvnet.train.build import build_teacher, match_stages, model_file


def main() -> None:
    """Print a line per stage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("student", help="model file or shipped model, wired as it was trained")
    parser.add_argument("teacher", help="the same of the sequential network")
    parser.add_argument("--data", required=True, metavar="SPEC")
    parser.add_argument("--split", type=int, default=1)
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--frames", type=int, default=32, help="of a clip")
    args = parser.parse_args()
    model = model_file(args.student)
    net = Network(model.graph)
    net.load_weights(model.weights)
    net.eval()
    teacher = build_teacher(net, args.teacher)
    stages = match_stages(net, teacher)
    names = [name for stage in stages for name in stage]
    task = model.metadata["task"]
    size = model.graph.nodes[0].shape[1:]
    clips = data.open_dataset(
        args.data, split=args.split, train=False, size=size, frames=args.frames, task=task
    )
    batches = data.loader(clips, batch=1, mean=MEAN, std=STD)
    warm_up = model.graph.outputs[0].warm_up_ticks
    apart = dict.fromkeys(names, 0.0)
    spread = dict.fromkeys(names, 0.0)
    with torch.no_grad():
        for batch in itertools.islice(batches, args.clips):
            ours = net.features(batch["frames"], names)
            theirs = teacher.net.features(batch["frames"], names)
            for name in names:
                a, b = (v[name][:, :, warm_up:] for v in (ours, theirs))
                apart[name] += float((a - b).square().mean())
                spread[name] += float(b.var(dim=(0, 2, 3, 4)).mean())
    for index, stage in enumerate(stages):
        shares = (f"{name} {apart[name] / spread[name]:.3f}" for name in stage)
        print(f"stage {index}: {', '.join(shares)}")


if __name__ == "__main__":
    main()
