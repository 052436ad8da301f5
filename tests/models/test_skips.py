from __future__ import annotations

import pytest

from pvnet.errors import InvalidArgumentError
from pvnet.graph import Graph
from pvnet.models import add_skips, par_densenet_graph, par_inception_graph


def chain() -> Graph:
    """Four stages: 16 x 16, 8 x 8 and 4 x 4 at half the rate, and a head at 8 x 8."""
    g = Graph()
    x = g.input("frame", channels=3, height=16, width=16)
    x = g.conv3d(x, 4, kernel=(1, 3, 3), name="a")
    x = g.conv3d(x, 4, kernel=(1, 3, 3), stride=(1, 2, 2), name="b")
    x = g.conv3d(x, 4, kernel=(1, 3, 3), stride=(2, 2, 2), name="c")
    x = g.upsample(x, size=(8, 8), name="d")
    x = g.conv3d(x, 2, kernel=(1, 1, 1), name="e")
    g.output(x, name="y")
    return g.wire("predictive", stages=[["frame", "a"], ["b"], ["c"], ["d", "e"]])


def test_none_is_the_graph_itself():
    graph = chain()
    assert add_skips(graph, "none", head="e", channels=4) is graph


def test_head_pools_projects_and_upsamples(facts):
    f = facts(add_skips(chain(), "head", head="e", channels=5))
    assert [e.node for e in f.nodes["e/skips"].inputs] == [
        "d",
        "skip0/e/project",
        "skip1/e/project",
        "skip2/e/up",
    ]
    assert f.shape("skip0/e/pool") == (4, 8, 8)  # 16 -> 8
    assert "skip1/e/pool" not in f.nodes  # 8 is 8
    assert f.shape("skip2/e/project") == (5, 4, 4)  # enlarged where it arrives
    assert f.shape("e/skips") == (4 + 3 * 5, 8, 8)
    assert [f.nodes[n].stage for n in ("skip0/e/pool", "skip2/e/project", "skip2/e/up")] == [
        0,
        2,
        3,
    ]
    assert f.nodes["e/skips"].clock.period == 1  # as often as the fastest skip


def test_a_skip_is_one_tick_old_however_far_it_jumps(facts):
    graph = add_skips(chain(), "head", head="e", channels=4)
    assert facts(chain()).output().information_latency_ticks == 3
    assert facts(graph).output().information_latency_ticks == 1
    assert facts(graph.wire("pipelined", stages=stage_lists(graph))).output()
    for wiring, latency in (("sequential", 0), ("pipelined", 3), ("predictive", 1)):
        again = graph.wire(wiring, stages=stage_lists(graph))
        assert facts(again).output().information_latency_ticks == latency


def test_all_enters_every_stage_but_the_next(facts):
    f = facts(add_skips(chain(), "all", head="e", channels=4))
    assert [e.node for e in f.nodes["c/skips"].inputs] == ["b", "skip0/c/project"]
    assert [e.node for e in f.nodes["d/skips"].inputs] == [
        "c",
        "skip0/d/project",
        "skip1/d/project",
    ]
    assert f.nodes["d"].clock.period == 2  # a slow stage stays slow


def test_projections_are_shared_by_targets_of_one_resolution(facts):
    f = facts(par_inception_graph(stages=10, skips="all", size=64, width=0.125))
    projections = [n for n in f.nodes if n.startswith("skip2/") and n.endswith("/project")]
    assert (
        len(projections) == 2
    )  # stages 4 to 8 read one of 4 x 4; stage 9 and the head one of 2 x 2


@pytest.mark.parametrize("skips", ["none", "head", "all"])
def test_teacher_and_student_have_the_same_nodes(skips):
    config = {"stages": 7, "skips": skips, "size": 32, "width": 0.125}
    teacher = par_densenet_graph(wiring="sequential", **config)
    student = par_densenet_graph(wiring="predictive", **config)
    assert [(n.name, n.op, n.attrs, n.shape) for n in teacher.nodes] == [
        (n.name, n.op, n.attrs, n.shape) for n in student.nodes
    ]


def test_names_do_not_depend_on_the_size():
    names = [
        [n.name for n in par_densenet_graph(stages=7, skips="all", size=s, width=0.125).nodes]
        for s in (32, 96, 224)
    ]
    assert names[0] == names[1] == names[2]


@pytest.mark.parametrize("kwargs", [{"head": "nobody"}, {"head": "e", "channels": 0}])
def test_bad_arguments_are_refused_with_a_cure(kwargs, message):
    with pytest.raises(InvalidArgumentError) as error:
        add_skips(chain(), "head", **{"channels": 4, **kwargs})
    assert message.match(str(error.value)), str(error.value)


def stage_lists(graph: Graph) -> list[list[str]]:
    return [list(stage.nodes) for stage in graph.stages]
