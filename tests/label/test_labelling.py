from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from data_helpers import FAKE_POSE_WORKER, level, refused, tiny_jhmdb, write_video

from pvnet import data
from pvnet.cli.__main__ import main
from pvnet.data.sets.keypoints import MEDIAPIPE
from pvnet.errors import FileError, InvalidArgumentError, UnsupportedError
from pvnet.label import labelling
from pvnet.label.estimator import Estimator, EstimatorError, make_environment
from pvnet.label.files import Labels, VideoLabels, load_labels, merge_labels, save_labels
from pvnet.label.scores import score_labels
from pvnet.video import VideoWriter

PYTHON = sys.executable


def start():
    return Estimator(PYTHON, worker=FAKE_POSE_WORKER)


@pytest.fixture
def folder(tmp_path):
    for k in range(4):
        write_video(tmp_path / "v" / f"c{k % 2}" / f"{k}.mp4", 3 + k)
    (tmp_path / "v" / "broken.mp4").write_bytes(b"no video")
    return tmp_path / "v"


def test_frames_go_out_and_joints_come_back():
    with start() as estimator:
        assert estimator.name == "fake 1"
        estimator.begin()
        got = estimator(np.full((20, 30, 3), 40, np.uint8))
        np.testing.assert_allclose(got[:, 0], 40 + np.array(MEDIAPIPE))
        np.testing.assert_allclose(got[:, 1], MEDIAPIPE)
        assert np.isnan(estimator(np.zeros((20, 30, 3), np.uint8))).all()
        message = refused(EstimatorError, estimator, np.full((20, 30, 3), 255, np.uint8))
        assert "too bright for me" in message


def test_a_worker_that_hangs_is_ended_and_the_others_go_on(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("pvnet.label.estimator.ANSWER_S", 5.0)
    with start() as estimator:
        message = refused(EstimatorError, estimator, np.full((20, 30, 3), 245, np.uint8))
        assert "no answer in 5 s" in message
    with VideoWriter(folder / "a_slow.mp4", 25, size=(48, 64)) as writer:
        writer.write(np.full((48, 64, 3), 245, np.uint8))
    out = tmp_path / "labels.npz"
    labels = labelling.label_videos(labelling.find_jobs([folder]), out, start)
    assert len(labels.videos) == 4
    assert "no answer" in labels.errors["a_slow.mp4"]


def test_a_python_without_the_estimator_says_what_to_do(tmp_path):
    message = refused(EstimatorError, Estimator, PYTHON)
    assert "pvnet label --setup" in message
    refused(EstimatorError, Estimator, tmp_path / "nothing")
    refused(UnsupportedError, make_environment, tmp_path / "env", base=str(tmp_path / "nothing"))


def test_every_video_is_labelled_and_what_cannot_be_is_listed(folder, tmp_path):
    out = tmp_path / "labels.npz"
    odd = write_video(folder / "unknown.mp4", 3)
    odd.write_bytes(odd.read_bytes().replace(b"avc1", b"zzzz"))  # a codec nobody knows
    jobs = labelling.find_jobs([folder])
    done = []
    labels = labelling.label_videos(jobs, out, start, workers=2, done=lambda j: done.append(j.name))
    assert sorted(labels.videos) == ["c0/0.mp4", "c0/2.mp4", "c1/1.mp4", "c1/3.mp4"]
    assert sorted(labels.errors) == ["broken.mp4", "unknown.mp4"]
    assert sorted(done) == [j.name for j in jobs]
    kept = load_labels(out)
    assert kept.estimator == "fake 1"
    video = kept.videos["c1/3.mp4"]
    assert video.joints.shape == (6, 13, 3)
    assert video.wh == (64, 48)
    np.testing.assert_allclose(video.time_s, np.arange(6) / 25, atol=1e-6)
    np.testing.assert_allclose(video.joints[:, 0, 0], [level(k) for k in range(6)], atol=1.5)
    assert not (tmp_path / "labels.npz.parts").exists()
    # What was made is what training reads.
    d = data.open_dataset(f"folder:{folder}?joints={out}", size=(48, 64), frames=3, task="joints")
    assert len(d) == 4


class Counting:
    """An estimator that stops the run after some frames."""

    name = "counting"

    def __init__(self, frames):
        self.left, self.videos = frames, 0

    def begin(self):
        self.videos += 1

    def __call__(self, image):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return np.full((13, 3), float(image.mean()), np.float32)

    def close(self):
        pass


def test_interrupted_and_run_again_it_labels_only_the_rest(folder, tmp_path):
    out = tmp_path / "labels.npz"
    jobs = labelling.find_jobs([folder])
    with pytest.raises(KeyboardInterrupt):
        labelling.label_videos(jobs, out, lambda: Counting(9))
    assert not out.exists()
    second = Counting(1000)
    labels = labelling.label_videos(jobs, out, lambda: second)
    assert len(labels.videos) == 4
    assert second.videos == 3  # c1/1, c1/3 and another try of the broken one
    write_video(folder / "c0" / "0.mp4", 9)  # another video of that name
    third = Counting(1000)
    labels = labelling.label_videos(jobs, out, lambda: third)
    assert third.videos == 2
    assert len(labels.videos["c0/0.mp4"].joints) == 9


def test_a_worker_that_dies_costs_one_video(folder, tmp_path):
    bright = np.full((48, 64, 3), 255, np.uint8)
    from pvnet.video import VideoWriter

    with VideoWriter(folder / "a_bright.mp4", 25, size=(48, 64)) as writer:
        writer.write(bright)
    labels = labelling.label_videos(labelling.find_jobs([folder]), tmp_path / "l.npz", start)
    assert set(labels.errors) == {"a_bright.mp4", "broken.mp4"}
    assert "too bright" in labels.errors["a_bright.mp4"]
    assert len(labels.videos) == 4


def test_shards_together_are_the_whole(folder, tmp_path):
    jobs = labelling.find_jobs([folder])
    parts = []
    for part in (1, 2, 3):
        out = tmp_path / f"{part}.npz"
        labelling.label_videos(labelling.shard(jobs, part, 3), out, start)
        parts.append(load_labels(out))
    whole = labelling.label_videos(jobs, tmp_path / "whole.npz", start)
    merged = merge_labels(parts)
    assert sorted(merged.videos) == sorted(whole.videos)
    for name, video in whole.videos.items():
        np.testing.assert_array_equal(merged.videos[name].joints, video.joints)
    assert set(merged.errors) == set(whole.errors)
    refused(InvalidArgumentError, labelling.shard, jobs, 4, 3)
    refused(InvalidArgumentError, merge_labels, [parts[0], Labels({}, {}, "another")])


def test_bad_files_and_names_are_refused(tmp_path, folder):
    refused(FileError, labelling.find_jobs, [tmp_path / "none"])
    (tmp_path / "empty").mkdir()
    refused(FileError, labelling.find_jobs, [tmp_path / "empty"])
    refused(FileError, labelling.find_jobs, [folder, folder])
    for content in (b"", b"PK", b"x" * 100):
        (tmp_path / "x.npz").write_bytes(content)
        refused(FileError, load_labels, tmp_path / "x.npz")
    np.savez(tmp_path / "y.npz", a=1)
    refused(FileError, load_labels, tmp_path / "y.npz")
    refused(FileError, save_labels, tmp_path / "no" / "z.npz", Labels({}))


def offset_labels(folder, offset):
    from pvnet.data.sets.jhmdb import read_index

    index = read_index(folder)
    videos = {}
    for k, row in enumerate(index.rows):
        joints = np.zeros((8, 13, 3), np.float32)
        joints[..., :2] = np.nan_to_num(index.true_track(k).joints)
        joints[..., 0] += offset
        joints[0] = np.nan
        name = row["path"].removeprefix("videos/")
        videos[name] = VideoLabels(name, 1, joints, np.arange(8) / 30, (320, 240), 30.0)
    return Labels(videos, {}, "test")


def test_scores_against_the_truth(jhmdb):
    # The box of the 12 joints inside the picture is 220 wide.
    for offset, at_02, at_01 in ((0, 1, 1), (30, 1, 0), (60, 0, 0)):
        got = score_labels(offset_labels(jhmdb, offset), jhmdb)
        assert got["clips"] == 2  # 0 and 3; 1 and 4 are ambiguous
        assert got["frames"] == 16
        assert got["found_rate"] == 7 / 8
        assert got["found"]["pck@0.2_box"] == at_02
        assert got["found"]["pck@0.1_box"] == at_01
        assert got["all"]["pck@0.2_box"] == pytest.approx(at_02 * 7 / 8)
        assert got["found"]["mean_error_px"] == pytest.approx(offset, abs=1e-4)
        assert got["found"]["pck@0.2_box_interval"] == [at_02, at_02]
    assert score_labels(offset_labels(jhmdb, 0), jhmdb, split=1)["clips"] == 1
    refused(FileError, score_labels, Labels({}), jhmdb)


def test_label_writes_shards_and_merges_them(folder, tmp_path, capsys, monkeypatch):
    import pvnet.label.pose_worker as module

    monkeypatch.setattr(module, "__file__", str(FAKE_POSE_WORKER))
    out = tmp_path / "labels.npz"
    assert main(["label", str(folder), "--out", str(out), "--python", PYTHON, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["videos"] == 4
    assert told["frames"] == 3 + 4 + 5 + 6
    assert list(told["errors"]) == ["broken.mp4"]
    one = [str(tmp_path / "one.npz"), "--python", PYTHON, "--shard", "1/2"]
    assert main(["label", str(folder), "--out", *one]) == 0
    assert "videos could not be labelled" in capsys.readouterr().out
    assert main(["label", "--merge", str(out), one[0], "--out", str(tmp_path / "m.npz")]) == 0
    for wrong in (
        ["label"],
        ["label", str(folder)],
        ["label", str(folder), "--out", str(out)],  # no environment
        ["label", str(folder), "--out", str(out), "--shard", "3/2"],
        ["eval-labels", str(out), "--data", "figures"],
    ):
        assert main(wrong) == 2, wrong


def test_command_line_of_scores(tmp_path, capsys):
    folder = tiny_jhmdb(tmp_path / "j")
    save_labels(tmp_path / "l.npz", offset_labels(folder, 0))
    words = ["eval-labels", str(tmp_path / "l.npz"), "--data", f"jhmdb:{folder}"]
    assert main(words) == 0
    assert "pck@0.2_box" in capsys.readouterr().out
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["found"]["pck@0.2_box"] == 1.0
    assert main(["eval-labels", str(tmp_path / "none.npz"), "--data", f"jhmdb:{folder}"]) == 1
