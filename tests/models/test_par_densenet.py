from __future__ import annotations

import pytest

from pvnet.errors import InvalidArgumentError, PvnetError
from pvnet.models import par_densenet_graph
from pvnet.models.par_densenet import BLOCKS, GROWTH, PRESETS

SMALL = {"size": (32, 48), "width": 0.125}


def test_blocks_have_the_layers_of_the_table(facts):
    f = facts(par_densenet_graph())
    layers = [n for n in f.nodes if n.endswith("/grow")]
    assert [sum(n.startswith(f"block{b}/") for n in layers) for b in (1, 2, 3, 4)] == [4, 8, 8, 6]
    assert {f.shape(n)[0] for n in layers} == {GROWTH}
    convs = [n for n in f.nodes.values() if n.op == "conv3d" and not n.name.startswith("trans")]
    assert len(convs) == 1 + 2 * sum(BLOCKS) + 2  # stem, pairs, the head's two
    assert f.channels("transition1/input", "transition2/input", "transition3/input") == [
        320,
        672,
        848,
    ]
    assert f.channels("transition1/conv", "transition2/conv", "transition3/conv") == [160, 336, 424]


def test_resolutions_and_output_stride(facts):
    f = facts(par_densenet_graph(joints=13))
    rows = ("stem/conv", "stem/pool", "block2/layer1/grow", "block3/layer1/grow")
    assert [f.shape(n)[1] for n in rows] == [112, 56, 28, 14]
    assert f.shape("block4/layer6/grow") == (64, 7, 7)
    assert f.shape("head/input") == (4 * GROWTH, 56, 56)
    assert f.shape("heatmaps") == (13, 56, 56)
    assert f.output().name == "heatmaps"


def test_cost_is_the_documented_one(facts):
    assert facts(par_densenet_graph()).gmacs_per_tick() == pytest.approx(3.215, rel=0.01)


def test_temporal_kernels_are_in_the_3x3_convolutions_only(facts):
    f = facts(par_densenet_graph(temporal=3, **SMALL))
    assert tuple(f.nodes["block1/layer1/grow"].attrs["kernel"]) == (3, 3, 3)
    assert tuple(f.nodes["block1/layer1/reduce"].attrs["kernel"]) == (1, 1, 1)
    assert tuple(f.nodes["stem/conv"].attrs["kernel"]) == (1, 7, 7)
    assert facts(par_densenet_graph(**SMALL)).output().receptive_field_frames == 1


@pytest.mark.parametrize("stages", sorted(PRESETS))
@pytest.mark.parametrize("skips", ["none", "head", "all"])
def test_presets_hold_every_node_once(facts, stages, skips):
    f = facts(par_densenet_graph(stages=stages, skips=skips, **SMALL))
    names = [n for stage in f.graph.stages for n in stage.nodes]
    assert sorted(names) == sorted(f.nodes)
    assert f.graph.n_stages == stages


def test_fourteen_is_the_stem_and_groups_of_two_dense_layers(facts):
    f = facts(par_densenet_graph(stages=14, **SMALL))
    grown = [[n for n in s.nodes if n.endswith("/grow")] for s in f.graph.stages]
    assert [len(g) for g in grown] == [0] + [2] * 13
    seven = facts(par_densenet_graph(stages=7, **SMALL))
    grown = [[n for n in s.nodes if n.endswith("/grow")] for s in seven.graph.stages]
    assert [len(g) for g in grown] == [2] + [4] * 6


def test_two_stages_cost_the_same(facts):
    macs = facts(par_densenet_graph(stages=2)).stage_macs()
    assert max(macs) / sum(macs) < 0.52


@pytest.mark.parametrize("stages", sorted(PRESETS))
def test_information_latency_of_every_wiring(stages, facts):
    def latency(wiring, skips):
        graph = par_densenet_graph(stages=stages, wiring=wiring, skips=skips, **SMALL)
        return facts(graph).output().information_latency_ticks

    for skips in ("none", "head", "all"):
        assert latency("sequential", skips) == 0
        assert latency("pipelined", skips) == stages - 1
    # Block 1 is read by the head directly, so dense connections shorten the path by themselves.
    assert latency("predictive", "none") == {1: 0, 2: 1, 7: 2, 14: 2}[stages]
    assert latency("predictive", "head") == min(1, stages - 1)
    assert latency("predictive", "all") == min(1, stages - 1)


def test_every_read_of_the_head_has_its_own_delay(facts):
    f = facts(par_densenet_graph(stages=14, wiring="pipelined", **SMALL))
    crossing = {e.node: e.delay for n in f.nodes.values() if n.stage == 13 for e in n.inputs}
    assert crossing["block1/layer4/grow"] == 13 - 2
    assert crossing["block2/layer8/grow"] == 13 - 6
    assert crossing["block3/layer8/grow"] == 13 - 10
    assert crossing["block4/layer6/grow"] == 0


def test_feedback_returns_the_last_scores(facts):
    config = {"stages": 7, "feedback": True, "joints": 5, **SMALL}
    f = facts(par_densenet_graph(wiring="predictive", **config))
    (edge,) = f.nodes["block1/feedback"].inputs
    assert (edge.node, edge.delay, edge.feedback) == ("scores", 1, True)
    # An input of the block beside the stem, not behind a node that would hand on the stem later.
    assert f.shape("block1/layer1/input") == (8 + 5, 8, 12)
    assert [e.node for e in f.nodes["block1/layer3/input"].inputs][:2] == [
        "stem/pool",
        "block1/feedback",
    ]
    assert f.output().receptive_field_frames is None
    with pytest.raises(PvnetError, match="feedback"):
        par_densenet_graph(wiring="pipelined", **config)
    aged = par_densenet_graph(wiring="pipelined", **{**config, "feedback": 7})
    assert facts(aged).nodes["block1/feedback"].inputs[0].delay == 7 + 0 - 6


@pytest.mark.parametrize(
    "config",
    [
        {"size": 100},
        {"size": (16, 64)},
        {"skips": "some"},
        {"temporal": 2},
        {"width": -1.0},
        {"joints": 0},
        {"feedback": -1},
    ],
)
def test_bad_arguments_are_refused_with_a_cure(config, message):
    with pytest.raises(InvalidArgumentError) as error:
        par_densenet_graph(**config)
    assert message.match(str(error.value)), str(error.value)
