from __future__ import annotations

import pytest

from pvnet.errors import InvalidArgumentError
from pvnet.models import par_inception_graph
from pvnet.models.par_inception import PRESETS

TABLE = {  # DESIGN's table: concatenated channels and map size at 224 x 224
    "conv1a": (64, 112),
    "pool2a": (64, 56),
    "conv2b": (64, 56),
    "conv2c": (192, 56),
    "pool3a": (192, 28),
    "mixed_3b/concat": (256, 28),
    "mixed_3c/concat": (480, 28),
    "pool4a": (480, 14),
    "mixed_4b/concat": (512, 14),
    "mixed_4c/concat": (512, 14),
    "mixed_4d/concat": (512, 14),
    "mixed_4e/concat": (528, 14),
    "mixed_4f/concat": (832, 14),
    "pool5a": (832, 7),
    "mixed_5b/concat": (832, 7),
    "mixed_5c/concat": (1024, 7),
    "head/pool": (1024, 1),
    "logits": (200, 1),
}


def test_channels_and_sizes_are_those_of_the_table(facts):
    f = facts(par_inception_graph())
    assert {n: (f.shape(n)[0], f.shape(n)[1]) for n in TABLE} == TABLE
    assert f.channels(
        "mixed_4e/branch0",
        "mixed_4e/branch1_reduce",
        "mixed_4e/branch1",
        "mixed_4e/branch2_reduce",
        "mixed_4e/branch2",
        "mixed_4e/branch3",
    ) == [112, 144, 288, 32, 64, 64]


def test_temporal_sets_the_size_of_all_kernels_in_time(facts):
    three = facts(par_inception_graph(temporal=3)).nodes
    assert tuple(three["conv1a"].attrs["kernel"]) == (7, 7, 7)
    assert tuple(three["mixed_3b/branch1"].attrs["kernel"]) == (3, 3, 3)
    assert tuple(three["pool2a"].attrs["kernel"]) == (1, 3, 3)
    assert tuple(three["pool4a"].attrs["kernel"]) == (3, 3, 3)
    assert tuple(three["pool5a"].attrs["kernel"]) == (2, 2, 2)
    one = facts(par_inception_graph(temporal=1))
    assert all(n.attrs["kernel"][0] == 1 for n in one.nodes.values() if "kernel" in n.attrs)
    assert one.output().receptive_field_frames == 2  # only the head's window is left


@pytest.mark.parametrize(
    ("config", "gmacs"),
    [
        ({"clocks": "single"}, 4.23),
        ({"clocks": "i3d"}, 1.74),
        ({"clocks": "halving"}, 1.75),
        ({"temporal": 1}, 1.50),
    ],
)
def test_multiply_adds_per_frame(facts, config, gmacs):
    assert facts(par_inception_graph(**config)).gmacs_per_tick() == pytest.approx(gmacs, rel=0.02)


@pytest.mark.parametrize(
    ("clocks", "periods"),
    [
        ("single", [1, 1, 1, 1, 1]),
        ("i3d", [2, 2, 2, 4, 8]),
        ("halving", [1, 2, 4, 8, 16]),
    ],
)
def test_clocks_set_the_periods_of_the_layers(facts, clocks, periods):
    f = facts(par_inception_graph(clocks=clocks, size=64, width=0.125))
    names = ("conv1a", "conv2c", "mixed_3b/concat", "mixed_4b/concat", "mixed_5b/concat")
    assert [f.nodes[n].clock.period for n in names] == periods
    assert f.graph.hyper_period == periods[-1]


@pytest.mark.parametrize("stages", sorted(PRESETS))
@pytest.mark.parametrize("skips", ["none", "head", "all"])
def test_presets_hold_every_node_once(facts, stages, skips):
    f = facts(par_inception_graph(stages=stages, skips=skips, size=64, width=0.125))
    names = [n for stage in f.graph.stages for n in stage.nodes]
    assert sorted(names) == sorted(f.nodes)
    assert len(f.graph.stages) == f.graph.n_stages == stages


@pytest.mark.parametrize(("stages", "bound"), [(2, 1.9), (3, 2.2), (5, 3.9), (10, 3.9)])
def test_presets_are_as_even_as_whole_layers_allow(facts, stages, bound):
    macs = facts(par_inception_graph(stages=stages)).stage_macs()
    assert sum(macs) / max(macs) > bound


def test_any_other_number_of_stages_is_cut_by_cost(facts):
    f = facts(par_inception_graph(stages=7, wiring="predictive", skips="all"))
    assert f.graph.n_stages == 7
    assert f.output().information_latency_ticks == 1
    macs = f.stage_macs()
    assert sum(macs) / max(macs) > 3.5


@pytest.mark.parametrize("stages", sorted(PRESETS))
def test_information_latency_of_every_wiring(stages, facts):
    def latency(wiring, skips):
        graph = par_inception_graph(stages=stages, wiring=wiring, skips=skips, size=64, width=0.125)
        return facts(graph).output().information_latency_ticks

    for skips in ("none", "head", "all"):
        assert latency("sequential", skips) == 0
        assert latency("pipelined", skips) == stages - 1
    assert latency("predictive", "none") == stages - 1
    assert latency("predictive", "head") == min(1, stages - 1)
    assert latency("predictive", "all") == min(1, stages - 1)


def test_head_fires_as_often_as_the_fastest_skip(facts):
    f = facts(par_inception_graph(stages=5, clocks="halving", skips="all", wiring="predictive"))
    assert f.nodes["logits"].clock.period == f.nodes["pool2a"].clock.period == 2
    assert f.nodes["mixed_5b/branch0"].clock.period == 16  # skips take on a slow stage's rate
    plain = facts(par_inception_graph(clocks="halving"))
    assert plain.nodes["logits"].clock.period == 16
    assert f.gmacs_per_tick() < 1.05 * plain.gmacs_per_tick()


def test_width_and_size(facts):
    f = facts(par_inception_graph(width=0.25, size=(96, 128), classes=5))
    assert f.shape("frame") == (3, 96, 128)
    assert f.shape("conv1a") == (16, 48, 64)
    assert f.channels("mixed_3b/branch2_reduce") == [8]
    assert f.shape("mixed_5c/concat")[1:] == (3, 4)
    assert f.shape("logits") == (5, 1, 1)
    for size in (32, 64, 112, (112, 48)):
        par_inception_graph(width=0.125, size=size, stages=5, skips="all")


@pytest.mark.parametrize(
    "config",
    [
        {"size": 100},
        {"size": (224, 16)},
        {"size": (224, 224, 3)},
        {"clocks": "fast"},
        {"temporal": 2},
        {"skips": "some"},
        {"width": 0.0},
        {"classes": 0},
        {"window": 0},
    ],
)
def test_bad_arguments_are_refused_with_a_cure(config, message):
    with pytest.raises(InvalidArgumentError) as error:
        par_inception_graph(**config)
    assert message.match(str(error.value)), str(error.value)
