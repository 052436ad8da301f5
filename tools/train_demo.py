"""Train the small joint models that come with the package, on synthetic videos only.

    python tools/train_demo.py [--out pvnet/models/weights] [--steps N] [--student-steps N]
    python tools/train_demo.py --student-only   # from the sequential model that lies in --out
    python tools/train_demo.py --score-only     # the files that lie in --out

Two models of the same weights' shapes: a sequential Par-DenseNet, trained frame by frame, then a
predictive one of seven stages with skips to the head, started from it and trained on clips to give
the joints of the frame that arrives while they are computed. Everything is seeded; held-out videos
have other seeds. One thread on purpose: about half an hour on one core.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import ship_weights
import torch
from torch.nn import functional as F

import pvnet
from pvnet.decode import decode_heatmaps
from pvnet.models import MEAN, STD, par_densenet
from pvnet.video import synthetic
from pvnet.video.joints import FLIP, JOINTS

HEIGHT, WIDTH = 128, 96
MODEL = {"joints": len(JOINTS), "size": (HEIGHT, WIDTH), "width": 0.25, "stages": 7}
MODEL |= {"skips": "head"}
CLIP_FRAMES = 24
WARM_UP_TICKS = 8
POSITIVE_WEIGHT = 12.0
HELD_OUT_SEED = 1_000_000


def render(seed: int, frames: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images uint8 [t, h, w, 3], joints [t, 13, 2], visible [t, 13]; even seeds: one action."""
    if seed % 2 == 0:
        return synthetic.clip(seed, frames, HEIGHT, WIDTH)[:3]
    made = list(synthetic.SyntheticVideo(seed, HEIGHT, WIDTH, frames))
    return (
        np.stack([f.image for f in made]),
        np.stack([f.joints for f in made]),
        np.stack([f.visible for f in made]),
    )


class Pool:
    """Rendered clips to draw batches from; parts of it are replaced as training goes on."""

    def __init__(self, clips: int, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.next_seed = 0
        self.images = np.zeros((clips, CLIP_FRAMES, HEIGHT, WIDTH, 3), np.uint8)
        self.joints = np.zeros((clips, CLIP_FRAMES, 13, 2), np.float32)
        self.visible = np.zeros((clips, CLIP_FRAMES, 13), bool)
        for slot in range(clips):
            self.replace(slot)

    def replace(self, slot: int) -> None:
        """A new clip, of a seed never used before."""
        made = render(self.next_seed, CLIP_FRAMES)
        self.images[slot], self.joints[slot], self.visible[slot] = made
        self.next_seed += 1

    def batch(self, clips: int, *, single_frames: bool) -> tuple[torch.Tensor, ...]:
        """Frames [b, 3, t, h, w], targets and weights [b, 13, t, h/4, w/4]."""
        slots = self.rng.integers(len(self.images), size=clips)
        for slot in self.rng.integers(len(self.images), size=1):
            self.replace(int(slot))
        at = slice(None)
        if single_frames:
            at = self.rng.integers(CLIP_FRAMES, size=(clips, 1))
            images = self.images[slots[:, None], at]
            joints, visible = self.joints[slots[:, None], at], self.visible[slots[:, None], at]
        else:
            images, joints, visible = self.images[slots], self.joints[slots], self.visible[slots]
        flip = self.rng.random(clips) < 0.5
        images = np.where(flip[:, None, None, None, None], images[:, :, :, ::-1], images)
        mirrored = joints[:, :, list(FLIP)] * (-1, 1) + (WIDTH - 1, 0)
        joints = np.where(flip[:, None, None, None], mirrored, joints)
        visible = np.where(flip[:, None, None], visible[:, :, list(FLIP)], visible)
        return (normalised(images, self.rng), *targets(joints, visible))


def normalised(images: np.ndarray, rng: np.random.Generator | None = None) -> torch.Tensor:
    """uint8 [b, t, h, w, 3] -> float [b, 3, t, h, w]; with `rng`, other exposures too."""
    x = torch.from_numpy(np.ascontiguousarray(images)).float().permute(0, 4, 1, 2, 3) / 255.0
    if rng is not None:
        gain = rng.uniform(0.7, 1.3, size=(len(images), 3, 1, 1, 1))
        x = (x * torch.from_numpy(gain).float()).clamp(0.0, 1.0)
    shape = (1, 3, 1, 1, 1)
    return (x - torch.tensor(MEAN).view(shape)) / torch.tensor(STD).view(shape)


def gaussians(joints: np.ndarray, *, stride: int = 4, sigma: float = 1.2) -> np.ndarray:
    """Heatmaps [..., 13, h/4, w/4] with a bump (sigma in cells) around joints [..., 13, 2]."""
    cells = (joints.astype(np.float32) + 0.5) / stride - 0.5
    columns = np.arange(WIDTH // stride, dtype=np.float32) - cells[..., 0, None]
    rows = np.arange(HEIGHT // stride, dtype=np.float32) - cells[..., 1, None]
    bumps = [np.exp(-0.5 * (d / sigma) ** 2) for d in (rows, columns)]
    return bumps[0][..., :, None] * bumps[1][..., None, :]


def targets(joints: np.ndarray, visible: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Heatmaps, and weights: 0 for joints that are in the picture but hidden."""
    inside = (joints >= -0.5).all(-1) & (joints < (WIDTH - 0.5, HEIGHT - 0.5)).all(-1)
    maps = gaussians(joints) * visible[..., None, None]
    weights = (1.0 + POSITIVE_WEIGHT * maps) * (visible | ~inside)[..., None, None]
    return tuple(torch.from_numpy(v.astype(np.float32)).transpose(1, 2) for v in (maps, weights))


def train(net: pvnet.nn.Network, pool: Pool, *, steps: int, clips: int, rate: float, clip: bool):
    """AdamW with a cosine schedule; returns nothing, changes `net`."""
    decayed = [p for p in net.parameters() if p.ndim > 1]
    plain = [p for p in net.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.02}, {"params": plain, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=rate)
    first = WARM_UP_TICKS if clip else 0
    net.to(memory_format=torch.channels_last_3d)
    began, mean_loss = time.monotonic(), 0.0
    net.train()
    for step in range(steps):
        factor = min(1.0, (step + 1) / 50) * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        for group in optimiser.param_groups:
            group["lr"] = rate * max(0.01, factor)
        frames, maps, weights = pool.batch(clips, single_frames=not clip)
        frames = frames.contiguous(memory_format=torch.channels_last_3d)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = net(frames)["heatmaps"]
        logits = out.float()[:, :, first:]
        loss = F.binary_cross_entropy_with_logits(logits, maps[:, :, first:], weights[:, :, first:])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        mean_loss += (loss.item() - mean_loss) * max(0.02, 1 / (step + 1))
        if (step + 1) % 50 == 0:
            seconds = time.monotonic() - began
            print(f"step {step + 1:5d}  loss {mean_loss:.4f}  {seconds:6.0f} s", flush=True)


@torch.no_grad()
def evaluate(net: pvnet.nn.Network, *, clips: int, frames: int = 40) -> dict[str, float]:
    """Scores at emission time on held-out videos: the output of tick t against frame t."""
    net.eval()
    hits: dict[float, list[np.ndarray]] = {0.2: [], 0.1: []}
    errors = []
    for seed in range(HELD_OUT_SEED, HELD_OUT_SEED + clips):
        images, joints, visible = render(seed, frames)
        out = net(normalised(images[None]))["heatmaps"][0].transpose(0, 1).numpy()
        found = np.stack([decode_heatmaps(o, (HEIGHT, WIDTH))[0] for o in out[WARM_UP_TICKS:]])
        joints, visible = joints[WARM_UP_TICKS:], visible[WARM_UP_TICKS:]
        box = np.ptp(joints, axis=1).max(axis=1)[:, None]
        distance = np.linalg.norm(found - joints, axis=-1)
        for share, hit in hits.items():
            hit.append((distance < share * box)[visible])
        errors.append(distance[visible])
    scores = {f"pck@{share}": float(np.concatenate(hit).mean()) for share, hit in hits.items()}
    return scores | {"median_error_px": float(np.median(np.concatenate(errors)))}


def save(net: pvnet.nn.Network, path: Path, scores: dict[str, float], command: str) -> None:
    """The model file with 16-bit kernels, what its outputs mean and how good they are."""
    metadata = {
        "model": "par_densenet",
        "task": "joints",
        "labels": json.dumps(JOINTS),
        "mean": json.dumps(MEAN),
        "std": json.dumps(STD),
        "trained_on": "pvnet.video.synthetic",
        "held_out": json.dumps({k: round(v, 4) for k, v in scores.items()}),
        "command": command,
    }
    pvnet.save(net, path, metadata=metadata)
    ship_weights.write(path, path, {})


def main() -> None:
    """Train, compare on held-out videos, write both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("pvnet/models/weights"))
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--student-steps", type=int, default=1000)
    parser.add_argument("--student-only", action="store_true", help="keep the sequential model")
    parser.add_argument("--score-only", action="store_true", help="train nothing, write nothing")
    parser.add_argument("--clips", type=int, default=400, help="rendered clips kept in memory")
    parser.add_argument("--held-out", type=int, default=40, help="held-out videos")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    teacher_path = args.out / "par_densenet_demo_sequential.safetensors"
    student_path = args.out / "par_densenet_demo_predictive.safetensors"

    def report(name: str) -> dict[str, float]:
        scores = evaluate(net, clips=args.held_out)
        print(f"{name:45s}", "  ".join(f"{k} {v:.3f}" for k, v in scores.items()), flush=True)
        return scores

    net = par_densenet(wiring="sequential", **MODEL)
    if args.student_only or args.score_only:
        net.load_weights(pvnet.load(teacher_path).weights)
    else:
        torch.nn.init.constant_(net.get_parameter("heatmaps.bias"), -4.0)  # few cells hold a joint
        pool = Pool(args.clips, args.seed)
        train(net, pool, steps=args.steps, clips=40, rate=4e-3, clip=False)
    scores = report("sequential")
    if not (args.student_only or args.score_only):
        save(net, teacher_path, scores, f"python tools/train_demo.py --steps {args.steps}")
    net.rewire("pipelined")
    report("the same weights, pipelined")
    net.rewire("predictive")
    report("the same weights, predictive, not trained so")
    if args.score_only:
        net.load_weights(pvnet.load(student_path).weights)
        report("predictive, trained")
        return
    pool = Pool(args.clips, args.seed + 1)
    train(net, pool, steps=args.student_steps, clips=4, rate=3e-3, clip=True)
    scores = report("predictive, trained")
    options = f"--student-only --student-steps {args.student_steps}"
    save(net, student_path, scores, f"python tools/train_demo.py {options}")


if __name__ == "__main__":
    main()
