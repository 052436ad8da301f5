"""bench/accuracy/clusters.py: intervals over source videos and classes; draws of whole clusters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pvnet.errors import InvalidArgumentError
from pvnet.evaluate.metrics import difference, draw_clips, summary

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clusters(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "bench" / "accuracy"))
    import clusters

    return clusters


def row(clip: int, label: str, splits: str) -> dict[str, str]:
    parts = {f"split{i}": {"r": "train", "e": "test"}[s] for i, s in enumerate(splits, start=1)}
    return {"clip_id": str(clip), "label": label, "has_gt": "1", "ambiguous": "0", **parts}


def test_clips_of_a_cluster_are_drawn_together():
    draws = draw_clips(6, samples=200, seed=3, clusters=["a", "b", "a", "c", "b", "a"])
    assert draws.shape == (200, 6)
    assert (draws[:, 0] == draws[:, 2]).all()
    assert (draws[:, 0] == draws[:, 5]).all()
    assert (draws[:, 1] == draws[:, 4]).all()
    assert (draws[:, [0, 1, 3]].sum(axis=1) == 3).all()
    assert len(np.unique(draws[:, 0])) > 1


def test_every_clip_its_own_cluster_is_the_bootstrap_over_clips():
    expected = np.random.default_rng(5).multinomial(4, np.full(4, 0.25), 50)
    assert (draw_clips(4, samples=50, seed=5) == expected).all()
    assert (draw_clips(4, samples=50, seed=5, clusters=[9, 7, 8, 1]) == expected).all()


def test_an_interval_widens_by_the_root_of_the_cluster_size_where_clips_are_copies():
    rng = np.random.default_rng(0)
    values = rng.random(400)
    copies = [{"a": (float(v), 1.0)} for v in np.repeat(values, 9)]
    once = summary([{"a": (float(v), 1.0)} for v in values])["a_interval"]
    naive = summary(copies)["a_interval"]
    whole = summary(copies, clusters=np.repeat(np.arange(400), 9).tolist())["a_interval"]
    assert whole == pytest.approx(once)
    assert (whole[1] - whole[0]) / (naive[1] - naive[0]) == pytest.approx(3, rel=0.15)


def test_a_difference_takes_clusters_too():
    rng = np.random.default_rng(1)
    each = rng.normal(0.1, 0.3, 200)
    ours = [(float(v), 1.0) for v in np.repeat(each, 4)]
    theirs = [(0.0, 1.0)] * 800
    value, naive = difference([ours], [theirs])
    same, whole = difference([ours], [theirs], clusters=np.repeat(np.arange(200), 4).tolist())
    assert same == value == pytest.approx(each.mean())
    assert (whole[1] - whole[0]) / (naive[1] - naive[0]) == pytest.approx(2, rel=0.2)


def test_clusters_of_other_clips_are_refused():
    with pytest.raises(InvalidArgumentError, match="got 2 clusters for 3 clips, expected one"):
        summary([{"a": (1.0, 1.0)}] * 3, clusters=[0, 1])


def test_a_source_is_a_run_of_neighbours_of_one_class_and_the_same_parts(clusters):
    rows = [
        row(3, "clap", "err"),
        row(0, "run", "rrr"),
        row(1, "run", "rrr"),
        row(10, "run", "rrr"),  # after 4, not after 1
        row(2, "run", "err"),  # other parts of the splits
        row(4, "clap", "err"),
    ]
    assert clusters.number_sources(rows) == [2, 0, 0, 3, 1, 2]
    listed = clusters.list_clips([*rows, row(11, "run", "err") | {"has_gt": "0"}])
    assert listed["joints-split1"]["clip"] == ["3", "2", "4"]
    assert listed["joints-split1"]["class"] == ["clap", "run", "clap"]
    assert listed["joints-split1"]["source"] == [2, 1, 2]
    assert listed["actions-split1"]["clip"] == ["3", "2", "4", "11"]
    assert listed["joints-split2"] == {"clip": [], "source": [], "class": []}


@pytest.mark.parametrize(
    ("setting", "clips", "sources", "classes"),
    [
        ("joints-jhmdb-split1", 171, 90, 14),
        ("joints-jhmdb-gpu-split1-seed2", 171, 90, 14),
        ("movenet-jhmdb-split1", 171, 90, 14),
        ("actions-jhmdb-split1-seed0", 268, None, 21),
        ("actions-jhmdb-split2-seed0", 270, None, 21),
        ("actions-jhmdb-split3-seed0", 265, None, 21),
    ],
)
def test_the_kept_clips_are_those_of_the_records(clusters, setting, clips, sources, classes):
    found = clusters.find_clusters(setting, clips)
    assert len(found) == clips
    assert sources is None or len(set(found)) == sources
    assert len(set(clusters.find_clusters(setting, clips, "class"))) == classes
    assert clusters.find_clusters(setting, clips, "clip") is None
    assert clusters.find_clusters(setting, clips - 1) is None
    assert clusters.find_clusters(setting.replace("jhmdb", "figures"), clips) is None


def test_tables_draw_sources_classes_or_clips(clusters):
    import record_files
    import shipped

    path = ROOT / "bench" / "accuracy" / "records" / "shipped" / "movenet-jhmdb-split1.jsonl"
    records = record_files.read_records(path)[:1]
    lines = {by: shipped.table(records, path.stem, by) for by in clusters.BY}
    assert len(set(lines.values())) == 3
    by_clip, by_source, by_class = clusters.intervals(records[0], path.stem, "pck@0.2_box")
    assert by_clip < by_source < by_class
