"""The table of describe() and the timeline, as text and as a picture."""

from __future__ import annotations

from pathlib import Path

import pytest

import pvnet
from pvnet.errors import GraphError, InvalidArgumentError
from pvnet.graph import draw
from pvnet.graph.timeline import cells, fresh_skips


def skipped() -> pvnet.Graph:
    graph = pvnet.Graph()
    x = graph.input("frame", channels=1, height=4, width=4)
    a = graph.conv3d(x, 2, kernel=3, name="a")
    b = graph.conv3d(a, 2, kernel=(1, 3, 3), stride=(2, 1, 1), name="b")
    c = graph.conv3d(b, 2, kernel=(1, 3, 3), name="c")
    graph.output(graph.conv3d(graph.concat([c, a], name="cat"), 1, kernel=1, name="d"))
    return graph


STAGES = [["a"], ["b"], ["c"], ["cat", "d"]]


def test_timeline_of_a_predictive_network() -> None:
    text = draw.timeline_text(skipped().wire("predictive", stages=STAGES), ticks=6)
    assert text.splitlines()[:5] == [
        "   tick  0  1    2    3    4    5",
        "stage 0  0  1    2    3    4    5",
        "stage 1  .  0  (0)    2  (2)    4",
        "stage 2  .  .    0  (0)    2  (2)",
        "stage 3  .  .    .    0    0    2",
    ]
    assert "fresh skip: stage 0 -> stage 3, delay 1 (aligned would be 3)" in text


def test_timeline_of_the_other_wirings() -> None:
    graph = skipped().wire("pipelined", stages=STAGES)
    assert fresh_skips(graph) == []
    # the aligned skip: every stage is one tick behind the one before
    assert [c.frame for c in cells(graph, ticks=6)[0]] == [0, 1, 2, 3, 4, 5]
    assert [c.frame for c in cells(graph, ticks=6)[3]] == [None, None, None, 0, 0, 2]
    plain = cells(graph.wire("sequential"), ticks=3)
    assert [c.due for c in plain[1]] == [True, False, True]


def test_timelines_are_drawn_to_files_byte_for_byte_the_same(tmp_path: Path) -> None:
    graph = skipped().wire("predictive", stages=STAGES)
    figure = draw.timeline(graph, tmp_path / "a.svg", ticks=8)
    assert len(figure.axes[0].patches) == 4 * 8
    first = (tmp_path / "a.svg").read_bytes()
    draw.timeline(graph, tmp_path / "a.svg", ticks=8)
    assert (tmp_path / "a.svg").read_bytes() == first
    assert b"<svg" in first
    draw.timeline(graph, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InvalidArgumentError, match=r"\.svg"):
        draw.timeline(graph, tmp_path / "a.txt")
    with pytest.raises(InvalidArgumentError, match="1 to 1000"):
        draw.timeline_text(graph, ticks=0)
    with pytest.raises(GraphError, match="no input"):
        draw.timeline_text(pvnet.Graph())


def test_describe_lists_stages_delays_and_latencies() -> None:
    text = skipped().wire("predictive", stages=STAGES).describe()
    lines = text.splitlines()
    assert lines[0] == "6 nodes, 4 stages, predictive wiring, hyper-period 2 ticks"
    assert len(lines) == 1 + 2 + 4 + 1 + 1
    assert "1 from 0, 1 from 2" in lines[6]
    assert "information latency 1 tick, warm-up 3 ticks, receptive field" in lines[7]
    assert lines[8].startswith("bound: total cost / slowest stage = ")
