"""The torch twins of the models: shapes, one set of weights for every wiring, exact pipelines."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from pvnet import models  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = {"width": 0.125, "size": 32}
CASES = [
    ("par_inception", {"stages": 5, "clocks": "single", "classes": 4}),
    ("par_inception", {"stages": 3, "clocks": "i3d", "classes": 4}),
    ("par_inception", {"stages": 5, "clocks": "single", "skips": "all", "classes": 4}),
    ("par_densenet", {"stages": 7, "joints": 3}),
    ("par_densenet", {"stages": 14, "joints": 3, "skips": "head"}),
]


def network(name: str, wiring: str, **config):
    torch.manual_seed(0)
    return getattr(models, name)(wiring=wiring, **{**TINY, **config}).eval()


def run(net, clip):
    with torch.no_grad():
        (value,) = net(clip).values()
    return value


def clip_of(ticks: int):
    return torch.randn(1, 3, ticks, 32, 32, generator=torch.Generator().manual_seed(1))


def test_outputs_have_a_value_per_tick():
    clip = clip_of(4)
    assert run(network("par_inception", "sequential", classes=6), clip).shape == (1, 6, 4)
    assert run(network("par_densenet", "sequential", joints=3), clip).shape == (1, 3, 4, 8, 8)


@pytest.mark.parametrize(("name", "config"), CASES)
def test_weights_match_one_to_one_between_wirings(name, config):
    teacher = network(name, "sequential", **config)
    student = network(name, "predictive", **config)
    shapes = {k: v.shape for k, v in teacher.state_dict().items()}
    assert shapes == {k: v.shape for k, v in student.state_dict().items()}
    student.load_state_dict(teacher.state_dict())


@pytest.mark.parametrize(("name", "config"), CASES)
def test_pipelined_is_sequential_shifted(name, config):
    stages = config["stages"]
    clip = clip_of(stages + 9)
    exact = run(network(name, "sequential", **config), clip)
    late = run(network(name, "pipelined", **config), clip)
    shift = stages - 1
    assert torch.isfinite(exact).all()
    assert exact.abs().max() > 0
    torch.testing.assert_close(late[:, :, shift:], exact[:, :, : exact.shape[2] - shift])


def test_rewire_keeps_weights_and_changes_timing():
    net = network("par_densenet", "predictive", stages=7, joints=3, skips="head")
    clip = clip_of(12)
    predictive = run(net, clip)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    net.rewire("sequential")
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert not torch.allclose(run(net, clip), predictive)


def test_fresh_skips_see_the_newest_but_one_frame():
    clip = clip_of(20)
    other = clip.clone()
    other[:, :, 15] += 1.0
    first = {}
    for skips in ("none", "head"):
        net = network("par_inception", "predictive", stages=5, classes=4, skips=skips)
        changed = (run(net, clip) - run(net, other)).abs().amax(dim=(0, 1)) > 0
        first[skips] = int(changed.nonzero()[0]) - 15
    assert first == {"none": 4, "head": 1}


def test_feedback_reaches_later_ticks():
    net = network("par_densenet", "predictive", stages=2, joints=3, feedback=True)
    clip = clip_of(8)
    other = clip.clone()
    other[:, :, 0] += 1.0
    with torch.no_grad():
        net.get_parameter("block1/layer1/reduce.weight").mul_(4.0)
    changed = (run(net, clip) - run(net, other)).abs().amax(dim=(0, 1, 3, 4)) > 0
    assert bool(changed[4:].any())  # without feedback nothing of frame 0 is left by tick 2
