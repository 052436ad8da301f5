from __future__ import annotations

import numpy as np
import pytest
from data_helpers import DATA, needs_data, refused
from test_figures import write_tracks

from pvnet import data
from pvnet.data.clips import Clip
from pvnet.data.collage.bodies import Skin, bend, silhouette
from pvnet.data.collage.clips import Collage
from pvnet.data.collage.inpaint import inpaint
from pvnet.data.resample import warp
from pvnet.data.sets.tracks import Tracks
from pvnet.errors import InvalidArgumentError

RNG = np.random.default_rng
FLIP = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11]
# A standing person of about 60 pixels, seen from the front: its left is on our right.
STANDING = np.array(
    [
        (40, 12), (48, 22), (32, 22), (51, 34), (29, 34), (52, 45), (28, 45),
        (45, 44), (35, 44), (45, 58), (35, 58), (45, 72), (35, 72),
    ],
    np.float32,
)  # fmt: skip
ALL = np.ones(13, np.bool_)
SIZE = (96, 80)


class People:
    """Clips of one colour with a person drawn in another one; clip k is its own colour."""

    name, classes, mirror_labels = "people", ("a", "b"), ()

    def __init__(self, n=5, joints=STANDING, visible=ALL):
        self.n, self.joints, self.visible = n, joints, visible

    def __len__(self):
        return self.n

    def get(self, index, rng):
        frames = np.empty((3, *SIZE, 3), np.uint8)
        frames[:] = (40 + 20 * index, 30, 30)
        joints = np.stack([self.joints + np.float32([t, 0]) for t in range(3)])
        for t in range(3):
            body = silhouette(joints[t], self.visible, SIZE) > 0.5
            frames[t][body] = (20, 200, 20 + 40 * index)
        seen = np.tile(self.visible, (3, 1))
        return Clip(frames, joints, seen, index % 2, str(index), 25.0)

    def describe(self):
        return {"clips": self.n}


def green(frame):
    return (frame[..., 1].astype(int) > frame[..., 0].astype(int) + 30) & (frame[..., 1] > 60)


def test_silhouette_covers_the_body_and_not_the_picture():
    alpha = silhouette(STANDING, ALL, SIZE)
    assert alpha.shape == SIZE
    assert alpha.min() == 0
    assert alpha.max() == 1
    x, y = STANDING.round().astype(int).T
    assert (alpha[y, x] == 1).all()
    assert 0.1 < alpha.mean() < 0.4
    assert (silhouette(STANDING, ALL, SIZE, room=1.4) >= alpha).all()
    # Nothing to trust, nothing drawn; out of the picture is no error.
    assert not silhouette(STANDING, ~ALL, SIZE).any()
    assert not silhouette(STANDING + 1000, ALL, SIZE).any()


def test_a_hole_is_closed_from_its_edge_and_the_rest_stays():
    y, x = np.mgrid[0:37, 0:50]
    image = np.stack([2.0 * x, 3.0 * y, 50 + 0 * x], -1).astype(np.float32)
    hole = np.zeros((37, 50), np.float32)
    hole[10:25, 18:33] = 1
    broken = image.copy()
    broken[hole > 0] = 255
    out = inpaint(broken[None], hole[None])[0]
    np.testing.assert_allclose(out[hole == 0], image[hole == 0], atol=0.01)
    assert np.abs(out - image).max() < 20  # a ramp goes on as a ramp, nearly
    assert np.abs(out[..., 2] - 50).max() < 0.01
    # Whole pictures gone: no number is made up that is not finite.
    assert np.isfinite(inpaint(broken[None], np.ones_like(hole)[None])).all()


def test_warp_of_a_mask_ends_with_the_picture():
    full = np.full((1, 8, 10, 1), 255, np.uint8)
    moved = warp(full, np.array([[1.0, 0, -3], [0, 1, 0]]), (8, 10), outside=0)
    assert (moved[0, :, :3] == 0).all()
    assert (moved[0, :, 3:] == 255).all()
    assert (warp(full, np.array([[1.0, 0, -3], [0, 1, 0]]), (8, 10)) == 255).all()


def test_a_body_bent_to_its_own_pose_is_itself():
    clip = People().get(0, RNG(0))
    skin = Skin.of(clip.frames[0], clip.joints[0], ALL)
    canvas = np.zeros((*SIZE, 3), np.float32)
    drawn = bend(canvas, skin, STANDING, ALL, skin.height, [0.0] * 10)
    assert drawn.all()
    body = silhouette(STANDING, ALL, SIZE) > 0.99
    np.testing.assert_allclose(canvas[body], clip.frames[0][body], atol=40)
    assert np.median(np.abs(canvas[body] - clip.frames[0][body])) < 1
    assert (canvas[silhouette(STANDING, ALL, SIZE, room=1.1) == 0] == 0).all()


def test_a_limb_that_the_skin_lacks_is_taken_from_the_other_side():
    seen = ALL.copy()
    seen[[3, 5]] = False  # the left arm is hidden
    clip = People(visible=seen).get(0, RNG(0))
    skin = Skin.of(clip.frames[0], clip.joints[0], seen)
    canvas = np.zeros((*SIZE, 3), np.float32)
    assert bend(canvas, skin, STANDING, ALL, skin.height, [0.0] * 10).all()
    x, y = STANDING[5].astype(int)
    assert canvas[y, x, 1] > 150
    seen[[4, 6]] = False
    assert Skin.of(clip.frames[0], clip.joints[0], seen) is None


@pytest.mark.parametrize("kind", ["cutouts", "puppets"])
def test_the_person_is_where_the_joints_are(kind):
    people = People()
    collage = Collage(people, **{"cutouts": 0.0, "puppets": 0.0, kind: 1.0})
    moved = 0
    for index in range(5):
        clip = collage.get(index, RNG(index))
        assert clip.clip_id.endswith("-cut-out" if kind == "cutouts" else "-puppet")
        assert clip.frames.dtype == np.uint8
        assert clip.frames.shape == (3, *SIZE, 3)
        assert np.isfinite(clip.joints).all()
        for t in range(3):
            seen = clip.visible[t]
            assert seen.any()
            x, y = clip.joints[t][seen].round().astype(int).T
            there = green(clip.frames[t])[np.clip(y, 0, 95), np.clip(x, 0, 79)]
            assert there.mean() > 0.9
            # And nowhere else: the person of the other clip is gone.
            body = silhouette(clip.joints[t], seen, SIZE, room=2.0) > 0
            assert seen.sum() < 13 or green(clip.frames[t])[~body].mean() < 0.02
        moved += np.abs(clip.joints[0] - STANDING).max() > 3
    assert moved >= 4


def test_mirrored_people_have_their_sides_exchanged():
    collage = Collage(People(), 1.0, 0.0)
    sides = set()
    for seed in range(12):
        joints = collage.get(0, RNG(seed)).joints[0].astype(np.float64)
        # The body's own left stays on our right where it is not mirrored, and the names follow:
        # seen from the front, the left shoulder is always on our right.
        across, down = joints[1] - joints[2], joints[7] - joints[1]
        sides.add(bool(across[0] * down[1] - across[1] * down[0] > 0))
    assert sides == {True}


def test_same_state_same_collage_and_shares_are_kept():
    collage = Collage(People(), 0.3, 0.2)
    a, b = collage.get(1, RNG(5)), collage.get(1, RNG(5))
    np.testing.assert_array_equal(a.frames, b.frames)
    np.testing.assert_array_equal(a.joints, b.joints)
    rng = RNG(0)
    kinds = [collage.get(0, rng).clip_id for _ in range(300)]
    for end, share in (("cut-out", 0.3), ("puppet", 0.2), ("0", 0.5)):
        assert sum(k.endswith(end) for k in kinds) / 300 == pytest.approx(share, abs=0.08)
    assert collage.describe()["collage"]["cutouts"] == 0.3
    assert (len(collage), collage.name, collage.classes) == (5, "people", ("a", "b"))


def test_people_who_cannot_be_taken_out_stay():
    few = ALL.copy()
    few[3:] = False
    people = People(visible=few)
    clip = Collage(people, 0.5, 0.5).get(2, RNG(0))
    np.testing.assert_array_equal(clip.frames, people.get(2, RNG(0)).frames)


def test_puppets_move_as_recorded_tracks_do(tmp_path):
    tracks = Tracks(write_tracks(tmp_path / "tracks.npz"), train=True)
    collage = Collage(People(), 0.0, 1.0, tracks)
    clips = [collage.get(0, RNG(s)) for s in range(20)]
    assert all(c.clip_id.endswith("-puppet") for c in clips)
    shapes = [np.ptp(c.joints[0], axis=0) for c in clips]
    assert np.std([s[1] / max(s[0], 1) for s in shapes]) > 0.1  # not all of them stand like ours
    assert collage.describe()["collage"]["motion"] == f"{len(tracks.motions)} recorded"


def test_a_specification_asks_for_collages_in_training_only(jhmdb, tmp_path):
    small = {"size": (24, 32), "frames": 4, "task": "joints"}
    tracks = write_tracks(tmp_path / "tracks.npz")
    spec = f"jhmdb:{jhmdb}?cutouts=0.5&puppets=0.25&motion={tracks}"
    d = data.open_dataset(spec, **small)
    assert isinstance(d, Collage)
    assert isinstance(d, data.Dataset)
    assert (d.cutouts, d.puppets, len(d.motion.motions)) == (0.5, 0.25, len(d.motion.motions))
    assert d.get(0, RNG(0)).frames.shape == (4, 24, 32, 3)
    # Evaluation sees the clips as they are.
    assert not isinstance(data.open_dataset(spec, train=False, **small), Collage)
    refused(InvalidArgumentError, data.open_dataset, f"jhmdb:{jhmdb}?cutouts=0.7&puppets=0.7")
    refused(InvalidArgumentError, data.open_dataset, f"jhmdb:{jhmdb}?cutouts=-1", train=False)
    refused(InvalidArgumentError, data.open_dataset, f"jhmdb:{jhmdb}?puppets=many")


@needs_data
@pytest.mark.slow
def test_collages_of_real_people_have_their_joints_in_view():
    spec = f"jhmdb:{DATA}/jhmdb?cutouts=0.5&puppets=0.5&motion={DATA}/penn_action/penn13_tracks.npz"
    d = data.open_dataset(spec, size=(48, 64), frames=2, fps=5.0, task="joints")
    clips = [d.get(int(k), RNG(k)) for k in np.linspace(0, len(d) - 1, 60).astype(int)]
    made = [c for c in clips if "-" in c.clip_id]
    assert len(made) > 40
    assert np.mean([c.visible.mean() for c in made]) > 0.5
