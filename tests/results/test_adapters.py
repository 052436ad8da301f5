"""Ticks for other tools, against stand-ins of their modules, and the real ones where they are."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import pvnet
from pvnet import models, results, video
from pvnet.models.random_weights import random_weights
from pvnet.runtime import Tick


@pytest.fixture(scope="module")
def ticks() -> list[Tick]:
    graph = models.build("par_densenet", width=0.125, size=32, stages=2, wiring="pipelined")
    plan = pvnet.compile((graph, random_weights(graph)))
    size = plan.meaning.frame_size
    with video.open("synthetic:seed=2,frames=4", size=size, keep_original=True) as source:
        return list(plan.stream().run(source))


class NewKeyPoints:
    def __init__(self, xy, class_id=None, keypoint_confidence=None):
        self.xy, self.class_id, self.confidence = xy, class_id, keypoint_confidence


class OldKeyPoints:
    def __init__(self, xy, class_id=None, confidence=None):
        self.xy, self.class_id, self.confidence = xy, class_id, confidence


@pytest.mark.parametrize("kind", [NewKeyPoints, OldKeyPoints])
def test_supervision_gets_the_joints_of_valid_rows(ticks, monkeypatch, kind):
    monkeypatch.setitem(sys.modules, "supervision", SimpleNamespace(KeyPoints=kind))
    points = results.key_points(ticks[-1])
    assert points.xy.shape == (1, 13, 2)
    assert np.array_equal(points.xy[0], ticks[-1].joints[0, :, :2])
    assert np.array_equal(points.confidence[0], ticks[-1].joints[0, :, 2])
    assert results.key_points(ticks[0]).xy.shape == (0, 13, 2)
    assert {joint for edge in results.EDGES for joint in edge} == set(range(1, 14))


def test_supervision_itself_takes_them(ticks):
    supervision = pytest.importorskip("supervision")
    assert isinstance(results.key_points(ticks[-1]), supervision.KeyPoints)


class FakeRerun:
    """Notes what is logged."""

    def __init__(self) -> None:
        self.logged: dict[str, Any] = {}
        self.times: dict[str, float] = {}

    def set_time(self, name, *, recording, **value):
        assert recording == "mine"
        self.times[name] = next(iter(value.values()))

    def log(self, path, what, *, recording):
        assert recording == "mine"
        self.logged[path] = what

    def __getattr__(self, name):  # Image, Points2D, ...
        return lambda *values, **options: (name, values, options)


def test_rerun_gets_picture_joints_and_ages(ticks, monkeypatch):
    fake = FakeRerun()
    monkeypatch.setitem(sys.modules, "rerun", fake)
    log = results.RerunLog("cam", recording="mine")
    tick = ticks[-1]
    log.log(tick)
    assert fake.times == {"frame": 3, "time": tick.frame.time_s}
    assert np.array_equal(fake.logged["cam"][1][0], tick.frame.image)
    assert fake.logged["cam/age_ticks"][1] == ([1, 1],)
    seen = tick.joints[0, :, 2] >= 0.2
    positions = fake.logged["cam/joints"][1][0]
    assert np.array_equal(positions, tick.joints[0, seen, :2])
    assert len(fake.logged["cam/joints"][2]["labels"]) == seen.sum()
    fake.logged.clear()
    log.log(ticks[0])
    assert "cam/joints" not in fake.logged


@pytest.mark.parametrize("module", ["supervision", "rerun"])
def test_what_is_not_installed_is_named_with_its_extra(ticks, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"pvnet-video\[{module}\]"):
        results.key_points(ticks[0]) if module == "supervision" else results.RerunLog()
