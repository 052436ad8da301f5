"""What a stage has heard of: as probing finds it, and as text, picture and JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

import pvnet
from pvnet import Graph, models
from pvnet.errors import InvalidArgumentError
from pvnet.graph.draw_heard import draw_heard, heard_text
from pvnet.graph.heard import Heard, heard, ranges, ways
from pvnet.models.random_weights import random_weights

SIZE = 4


def plain() -> Graph:
    g = Graph()
    x = g.input("frame", channels=3, height=SIZE, width=SIZE)
    a = g.conv3d(x, 3, kernel=(2, 1, 1), name="a")
    b = g.conv3d(a, 3, kernel=(2, 1, 1), dilation=(2, 1, 1), name="b")
    c = g.conv3d(g.concat([a, b]), 3, kernel=(1, 1, 1), name="c")
    g.output(c, name="out")
    return g


def clocked() -> Graph:
    g = Graph()
    x = g.input("frame", channels=3, height=SIZE, width=SIZE)
    a = g.conv3d(x, 3, kernel=(3, 1, 1), stride=(2, 1, 1), name="a")
    b = g.conv3d(a, 3, kernel=(2, 1, 1), name="b")
    c = g.add([g.conv3d(x, 3, kernel=(1, 1, 1), name="d"), b], name="c")
    g.output(c, name="out")
    return g


def fed_back() -> Graph:
    g = Graph()
    x = g.input("frame", channels=3, height=SIZE, width=SIZE)
    back = g.feedback("c", like=(3, SIZE, SIZE), ticks=2)
    a = g.conv3d(g.concat([x, back]), 3, kernel=(1, 1, 1), name="a")
    g.output(g.conv3d(a, 3, kernel=(1, 1, 1), name="c"), name="out")
    return g


def probed(graph: Graph, tick: int) -> tuple[int, ...]:
    """The frames whose change changes the output of a tick."""
    plan = pvnet.compile((graph, random_weights(graph, seed=3)), backend="ref")
    frames = np.random.default_rng(1).standard_normal((tick + 1, 3, SIZE, SIZE)).astype("float32")

    def last(frames: np.ndarray) -> np.ndarray:
        stream = plan.stream()
        return [stream.tick(frame) for frame in frames][-1]["out"].copy()

    before = last(frames)
    found = []
    for number in range(tick + 1):
        other = frames.copy()
        other[number] += 1
        if not np.array_equal(last(other), before):
            found.append(number)
    return tuple(found)


@pytest.mark.parametrize("make", [plain, clocked, fed_back])
@pytest.mark.parametrize("wiring", ["sequential", "pipelined", "predictive"])
def test_the_last_stage_has_heard_of_what_probing_finds(make, wiring):
    graph = make().wire(wiring, stages=2)
    for tick in (0, 1, 4, 7):
        assert heard(graph, tick)[-1].frames == probed(graph, tick)


def test_newest_and_oldest_are_what_the_graph_declares():
    graph = models.build("par_densenet", width=0.125, size=32, stages=7, wiring="predictive")
    out = graph.outputs[0]
    last = heard(graph, 40)[-1]
    assert last.ages_ticks[-1] == out.information_latency_ticks
    assert last.ages_ticks[0] - last.ages_ticks[-1] + 1 == out.receptive_field_frames


def test_ways_into_a_stage_are_its_edges():
    graph = plain().wire("predictive", stages=[["a"], ["b"], ["c", "concat*"]])
    assert heard(graph, 9)[0] == Heard(9, (8, 9))
    found = ways(graph, 9, 2)
    assert [(w.source, w.delay_ticks, w.heard.frames) for w in found] == [
        (0, 1, (7, 8)),
        (1, 1, (4, 5, 6, 7)),
    ]
    (entry,) = ways(graph, 9, 0)
    assert (entry.source, entry.heard.frames) == (None, (8, 9))


def test_words_are_short():
    assert ranges((1, 3, 4, 5, 9)) == "1, 3-5, 9"
    assert Heard(9, (8, 9)).words() == "frames 8-9: 0 to 1 ticks old"
    assert Heard(9, (8,)).words() == "frame 8: 1 tick old"
    assert Heard(9, ()).words() == "no frame yet"
    text = heard_text(plain().wire("pipelined", stages=3), 9, stage=2)
    assert "pipelined, after tick 9" in text
    assert "stage 2 reads:" in text


def test_out_of_range_is_refused():
    graph = plain()
    for call in (lambda: heard(graph, -1), lambda: heard(graph, 1001), lambda: ways(graph, 3, 7)):
        with pytest.raises(InvalidArgumentError, match="expected 0 to"):
            call()


@pytest.mark.parametrize("end", ["png", "svg"])
def test_the_picture_is_the_same_every_time(tmp_path, end):
    pytest.importorskip("matplotlib")
    graph = plain().wire("predictive", stages=3)
    paths = [tmp_path / f"{i}.{end}" for i in range(2)]
    for path in paths:
        draw_heard(graph, path, 9, stage=1)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    if end == "svg":
        assert "stage 1: frames" in paths[0].read_text()
    with pytest.raises(InvalidArgumentError, match="file format"):
        draw_heard(graph, tmp_path / "a.bmp", 9)


def test_a_long_memory_is_drawn_to_its_newest_frames(tmp_path):
    pytest.importorskip("matplotlib")
    figure = draw_heard(fed_back().wire("predictive", stages=2), None, 120)
    assert len(figure.axes[0].get_xticks()) == 40


def test_describe_tells_it(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    from pvnet.cli.__main__ import main

    words = ["describe", "par_densenet", "--width", "0.125", "--size", "32", "--stages", "4"]
    words += ["--wiring", "predictive", "--heard", "12"]
    picture = tmp_path / "h.svg"
    assert main([*words, "--of-stage", "3", "--draw", str(picture), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["heard"]
    assert [s["stage"] for s in told["stages"]] == [0, 1, 2, 3]
    assert told["stages"][0]["ages_ticks"] == [0]
    assert {read["source_stage"] for read in told["reads"]} <= {None, 0, 1, 2}
    assert "age in ticks" in picture.read_text()
    assert main(words) == 0
    assert "stage 0   frame 12: 0 ticks old" in capsys.readouterr().out
    assert main(["describe", "par_densenet", "--of-stage", "1"]) == 2
