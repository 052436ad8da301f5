from __future__ import annotations

import json

import numpy as np
import pytest
from data_helpers import numbers, refused, write_video
from pictures import save_png

from pvnet import data
from pvnet.data.sets.keypoints import MEDIAPIPE, from_coco, read_joints, to_13
from pvnet.errors import FileError
from pvnet.label.files import Labels, VideoLabels, save_labels
from pvnet.video.joints import JOINTS

COCO = [
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
]
RNG = np.random.default_rng


def coco_points(x=0.0):
    return np.stack([np.arange(17) + x, 2.0 * np.arange(17), np.full(17, 2.0)], 1)


def test_coco_keypoints_go_to_the_joints_of_their_names():
    got = from_coco(coco_points())
    for k, name in enumerate(JOINTS[1:], 1):
        assert got[k, 0] == COCO.index(name), name
    assert got[0, 0] == COCO.index("nose")


def test_the_head_without_a_nose_is_the_mean_of_eyes_and_ears():
    points = coco_points()
    points[0, 2] = points[1, 2] = 0
    np.testing.assert_allclose(from_coco(points)[0, :2], np.mean(points[2:5, :2], axis=0))
    points[:5, 2] = 0
    assert from_coco(points)[0, 2] == 0


def test_known_points_without_a_visibility():
    points = np.full((2, 13, 2), 5.0)
    points[0, 3] = 0
    points[1, 4] = np.nan
    got = to_13(points, "x")[..., 2]
    assert got[0].tolist() == [float(j != 3) for j in range(13)]
    assert got[1].tolist() == [float(j != 4) for j in range(13)]
    landmarks = np.repeat(np.arange(33.0)[None, :, None], 3, axis=2)
    assert to_13(landmarks, "x")[0, :, 0].tolist() == list(MEDIAPIPE)
    refused(FileError, to_13, np.zeros((4, 14, 2)), "x")


@pytest.fixture
def videos(tmp_path):
    for k in range(2):
        write_video(tmp_path / "v" / "sub" / f"{k}.mp4", 10, fps=10)
    return tmp_path / "v"


def joints_of(k, n=10, shift=0.0):
    rows = np.zeros((n, 13, 3), np.float32)
    rows[..., 0] = np.arange(n)[:, None] + shift
    rows[..., 1] = 10 * k + np.arange(13)
    rows[..., 2] = 1
    return rows


@pytest.mark.parametrize("kind", ["npz", "json", "coco17", "labels"])
def test_joints_files_of_every_kind(videos, tmp_path, kind):
    names = ["sub/0.mp4", "sub/1.mp4"]
    path = tmp_path / ("joints.json" if kind in ("json", "coco17") else "joints.npz")
    if kind == "npz":
        np.savez(path, **{n: joints_of(k) for k, n in enumerate(names)})
    elif kind == "json":
        path.write_text(json.dumps({n: joints_of(k).tolist() for k, n in enumerate(names)}))
    elif kind == "coco17":
        images = [
            {"id": 100 * k + t, "file_name": n, "frame_id": t}
            for k, n in enumerate(names)
            for t in range(10)
        ]
        body = [COCO.index(j.replace("head", "nose")) for j in JOINTS]
        notes = []
        for k in range(2):
            for t in range(10):
                points = np.zeros((17, 3))
                points[body] = joints_of(k)[t]
                big = {"image_id": 100 * k + t, "keypoints": points.ravel().tolist(), "area": 50}
                small = {**big, "keypoints": [1.0] * 51, "area": 5}
                notes += [small, big] if t % 2 else [big, small]
        path.write_text(json.dumps({"images": images, "annotations": notes}))
    else:
        made = {
            n: VideoLabels(n, 1, joints_of(k), np.arange(10) / 10, (64, 48), 10.0)
            for k, n in enumerate(names)
        }
        save_labels(path, Labels(made, {}, "me"))
    d = data.open_dataset(f"folder:{videos}?joints={path}", size=(48, 64), frames=4)
    assert len(d) == 2
    for k in range(2):
        for seed in range(4):
            clip = d.get(k, RNG(seed))
            assert clip.label == 0  # of its folder
            rows = numbers(clip.frames)
            np.testing.assert_allclose(clip.joints[:, 5, 0], rows, atol=1e-4)
            np.testing.assert_allclose(clip.joints[:, 5, 1], 10 * k + 5, atol=1e-4)
            assert clip.visible.all()
    if kind == "labels":  # rows with times: also without a cache, at another rate
        spec = f"folder:{videos}?joints={path}"
        live = data.open_dataset(spec, size=(48, 64), frames=4, fps=5, use_cache=False)
        clip = live.get(1, RNG(1))
        np.testing.assert_allclose(clip.joints[:, 0, 0], numbers(clip.frames), atol=1e-4)
    elif kind == "npz":
        refused(FileError, data.open_dataset, f"folder:{videos}?joints={path}", use_cache=False)


def test_videos_without_joints_are_left_out_of_keypoint_tasks(videos, tmp_path):
    np.savez(tmp_path / "j.npz", **{"sub/1": joints_of(1, n=6)})
    spec = f"folder:{videos}?joints={tmp_path / 'j.npz'}"
    assert len(data.open_dataset(spec, size=(48, 64), frames=4)) == 2
    d = data.open_dataset(spec, size=(48, 64), frames=10, task="joints")
    assert d.left_out.counts == {"no joints": 1}
    clip = d.get(0, RNG(0))
    assert clip.visible[:6].all()
    assert not clip.visible[6:].any()  # frames beyond the joints know nothing


def test_coco_of_folders_of_images(tmp_path):
    images, notes = [], []
    for t in range(5):
        image = np.full((48, 64, 3), 16 + 6 * t, np.uint8)
        save_png(tmp_path / "p" / "one" / f"img_{10 * t + 3}.png", image)
        images.append({"id": t, "file_name": f"one/img_{10 * t + 3}.png"})
        if t != 2:
            points = coco_points(x=t).ravel().tolist()
            notes.append({"image_id": t, "keypoints": points})
    path = tmp_path / "coco.json"
    path.write_text(json.dumps({"images": images, "annotations": notes}))
    d = data.open_dataset(f"folder:{tmp_path / 'p'}?joints={path}", size=(48, 64), frames=5)
    clip = d.get(0, RNG(0))
    assert numbers(clip.frames) == [0, 1, 2, 3, 4]
    assert clip.visible[[0, 1, 3, 4]].all()
    assert not clip.visible[2].any()
    np.testing.assert_allclose(clip.joints[[0, 1, 3, 4], 0, 0], [0, 1, 3, 4], atol=1e-4)


def test_what_holds_no_joints_is_refused(tmp_path):
    for name, text in (("a.json", "[1, 2]"), ("b.json", "{"), ("c.npz", "zip"), ("d.json", "{}x")):
        (tmp_path / name).write_text(text)
        refused(FileError, read_joints, tmp_path / name)
    refused(FileError, read_joints, tmp_path / "none.npz")
