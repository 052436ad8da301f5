"""bench/accuracy/imagenet_start.py: windows, delays, a head that learns, whole videos held."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import pytest

ACCURACY = Path(__file__).resolve().parents[2] / "bench" / "accuracy"


@pytest.fixture(autouse=True)
def accuracy_on_path(monkeypatch):
    monkeypatch.syspath_prepend(str(ACCURACY))


def clips(n: int, ticks: int = 12):
    """Clips of two actions, whose features say which."""
    import imagenet_start as start

    rng = np.random.default_rng(0)
    labels = [i % 2 for i in range(n)]
    features = [
        (rng.normal(0, 0.3, (ticks, 8)) + (2 * label - 1) * (np.arange(8) < 6)).astype(np.float32)
        for label in labels
    ]
    return start.Clips([str(i) for i in range(n)], features, labels)


def test_features_are_averaged_over_the_last_ticks():
    import imagenet_start as start

    x = np.arange(6, dtype=np.float32)[:, None]
    assert start.average(x, 3)[:, 0].tolist() == [0, 0.5, 1, 2, 3, 4]
    assert np.array_equal(start.average(x, 1), x)
    assert np.allclose(start.average(x, 99)[:, 0], [0, 0.5, 1, 1.5, 2, 2.5])


def test_a_head_learns():
    import imagenet_start as start

    head = start.Head(window=2, hidden=0, decay=0.1, epochs=1000)
    found = start.answers(start.train_head(clips(24), head, 0), clips(6), head.window)
    assert all(c["tick_top1"] == (3.0, 3.0) for c in start.counts_of(found, clips(6), 0))


def test_late_answers_are_those_of_earlier_ticks():
    import imagenet_start as start

    given = clips(6)
    right = [np.tile(np.eye(21, dtype=np.float32)[label], (12, 1)) for label in given.labels]
    turned = [np.concatenate([-logits[:8], logits[8:]]) for logits in right]  # right from 8 on
    late = start.counts_of(turned, given, 2)
    assert [c["tick_top1"] for c in late] == [(2.0, 3.0)] * 6  # ticks 7, 8 and 9 at 9, 10 and 11


def test_the_fold_holds_whole_source_videos(tmp_path):
    import imagenet_start as start

    rows = [
        {"clip_id": i, "label": f"action{i // 20}", "split1": "train", "split2": "train",
         "split3": "train" if i // 4 % 2 else "test"}
        for i in range(60)
    ]  # fmt: skip
    with (tmp_path / "jhmdb.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    args = argparse.Namespace(data=f"jhmdb:{tmp_path}")
    held = start.validation(args, clips(60))
    assert held.reshape(-1, 4).all(axis=1).sum() == held.sum() / 4 == 3  # of 15 sources


def test_the_table_compares_with_the_rival():
    import imagenet_start as start

    args = argparse.Namespace(records=ACCURACY / "records" / "imagenet")
    lines = start.format_table(args).splitlines()
    assert lines[2].startswith("| Par-Inception, sequential | 64 x 80 | 0 | 0.358")
    assert len(lines) == 3 + len(start.SIZES) * len(start.LATE)
