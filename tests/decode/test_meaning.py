"""What outputs mean: joints in source pixels by a registered decoder, actions by name."""

from __future__ import annotations

import json

import numpy as np
import pytest

import pvnet
from pvnet import decode, models
from pvnet.decode import registry
from pvnet.decode.meaning import Meaning
from pvnet.errors import InvalidArgumentError, UnsupportedError
from pvnet.models.random_weights import random_weights
from pvnet.video import Frame, Mapping
from pvnet.video.synthetic import SyntheticVideo

INPUTS = {"frame": (3, 32, 48)}


def bumps(at: list[tuple[int, int]], height: int = 8, width: int = 12) -> np.ndarray:
    """Logits [13, h, w] with a Gaussian at (x, y)."""
    y, x = np.mgrid[:height, :width]
    return np.stack([4 - ((x - a) ** 2 + (y - b) ** 2) / 2.9 for a, b in at]).astype(np.float32)


@pytest.fixture
def own_kind(monkeypatch):
    """A kind of output of the test's own."""
    monkeypatch.setattr(registry, "_KINDS", dict(registry._KINDS))

    def of(joints: np.ndarray, **options: object) -> None:
        registry.register("own", lambda maps, size: joints(maps, size), **options)

    return of


def test_heatmaps_become_joints_in_pixels_of_the_network():
    maps = bumps([(3 + j % 5, 2 + j % 4) for j in range(13)])
    read = Meaning({}, INPUTS, {"heatmaps": (13, 8, 12)})
    assert (read.task, read.has_joints, read.frame_size) == ("joints", True, (32, 48))
    joints = read.joints(read.kept({"heatmaps": maps[None]}))
    assert joints.shape == (13, 3)
    xy, scores = decode.decode_heatmaps(maps, (32, 48))
    assert np.array_equal(joints, np.concatenate([xy, scores[:, None]], 1))


def test_a_letterbox_is_undone():
    read = Meaning({}, INPUTS, {"heatmaps": (13, 8, 12)})
    kept = bumps([(5, 4)] * 13)
    mapping = Mapping.fit((480, 480), (32, 48), "letterbox")
    plain, source = read.joints(kept), read.joints(kept, mapping)
    assert np.allclose(mapping.to_target(source[:, :2]), plain[:, :2], atol=1e-3)
    assert np.array_equal(source[:, 2], plain[:, 2])
    assert abs(float(source[0, 0]) - (float(plain[0, 0]) + 0.5 - 8) * 15) < 1


def test_other_maps_are_no_joints():
    read = Meaning({}, INPUTS, {"depth": (1, 8, 12)})
    assert (read.task, read.has_joints) == ("joints", False)
    with pytest.raises(UnsupportedError, match="no joints"):
        read.joints(np.zeros((1, 8, 12)))
    with pytest.raises(UnsupportedError, match="no actions"):
        read.actions(np.zeros((1, 8, 12)))


def test_actions_have_names_and_probabilities():
    labels = {"task": "actions", "labels": json.dumps(["sit", "wave", "run"])}
    read = Meaning(labels, INPUTS, {"logits": (3, 1, 1)})
    kept = read.kept({"logits": np.log(np.array([[0.2, 0.7, 0.1]], np.float32))})
    assert [name for name, _ in read.actions(kept, 2)] == ["wave", "sit"]
    assert read.actions(kept)[0][1] == pytest.approx(0.7)


def test_a_registered_kind_decodes_all_outputs(own_kind):
    seen = {}

    def joints(maps, size):
        seen.update(maps=maps, size=size)
        return np.full((13, 3), 0.5, np.float32)

    own_kind(joints, all_outputs=True)
    read = Meaning({"decode": "own"}, INPUTS, {"centre": (1, 8, 12), "offset": (34, 8, 12)})
    assert read.has_joints
    outputs = {"centre": np.zeros((2, 1, 8, 12)), "offset": np.ones((2, 34, 8, 12))}
    assert read.joints(read.kept(outputs, row=1)).shape == (13, 3)
    assert set(seen["maps"]) == {"centre", "offset"}
    assert seen["maps"]["offset"].shape == (34, 8, 12)
    assert seen["size"] == (32, 48)


def test_a_decoder_of_another_shape_is_refused(own_kind):
    own_kind(lambda maps, size: np.zeros((17, 3)))
    read = Meaning({"decode": "own"}, INPUTS, {"maps": (17, 8, 12)})
    with pytest.raises(InvalidArgumentError, match=r"got \(17, 3\)"):
        read.joints(np.zeros((17, 8, 12)))


def test_an_unknown_kind_names_those_there_are():
    with pytest.raises(InvalidArgumentError, match="heatmaps"):
        Meaning({"decode": "of_the_future"}, INPUTS, {"maps": (13, 8, 12)})


def test_ticks_give_joints_of_every_row():
    graph = models.build("par_densenet", width=0.125, size=32, stages=2, wiring="pipelined")
    plan = pvnet.compile((graph, random_weights(graph)), batch=2)
    stream = plan.stream()
    images = [frame.image for frame in SyntheticVideo(1, *plan.meaning.frame_size, 8)]
    first = stream.tick(np.stack([images[0], images[1]]))
    assert np.isnan(first.joints[:, :, :2]).all()
    assert not first.joints[:, :, 2].any()
    for image in images:
        tick = stream.tick(np.stack([image, images[0]]))
    assert tick.joints.shape == (2, 13, 3)
    assert tick.joints is tick.joints
    xy, scores = decode.decode_heatmaps(tick["heatmaps"][1], plan.meaning.frame_size)
    assert np.array_equal(tick.joints[1], np.concatenate([xy, scores[:, None]], 1))
    with pytest.raises(UnsupportedError):
        tick.actions()


def test_joints_of_a_fitted_frame_are_in_source_pixels():
    graph = models.build("par_densenet", width=0.125, size=32)
    plan = pvnet.compile((graph, random_weights(graph)))
    size = plan.meaning.frame_size
    image = next(iter(SyntheticVideo(1, *size, 1))).image
    tick = plan.stream().tick(image)
    tick.frame = Frame(image, 0, 0.0, "test", Mapping.fit((200, 100), size, "letterbox"))
    plain = plan.meaning.joints(plan.meaning.kept(tick))
    assert np.allclose(tick.joints[0, :, :2], tick.frame.mapping.to_source(plain[:, :2]))


def test_ticks_of_actions():
    graph = models.build("par_inception", width=0.125, size=32, classes=4, stages=2)
    plan = pvnet.compile((graph, random_weights(graph)))
    stream = plan.stream()
    image = np.zeros((32, 32, 3), np.uint8)
    ticks = [stream.tick(image) for _ in range(20)]
    assert ticks[0].actions() == ([[]] if not ticks[0].valid[0] else ticks[0].actions())
    best = ticks[-1].actions(top=2)[0]
    assert [name.startswith("class") for name, _ in best] == [True, True]
    assert best[0][1] >= best[1][1]
