from __future__ import annotations

import functools
import gc
import json
import signal
import socket
import sys
import threading
import time

import numpy as np
import pytest
from cluster_work import MARKS, Doubling, Levels, Sleeping, Stuck, bad_start, die
from data_helpers import FAKE_POSE_WORKER, refused, write_video
from two_machines import children, needs_ray, two_machines

from pvnet.cli.__main__ import main
from pvnet.cluster import work as cluster
from pvnet.cluster.connection import ClusterError
from pvnet.cluster.work import Cluster, spread
from pvnet.errors import InvalidArgumentError, UnsupportedError
from pvnet.label import labelling
from pvnet.label.estimator import Estimator, EstimatorError
from pvnet.label.files import load_labels
from pvnet.video import VideoWriter

pytestmark = needs_ray


@pytest.fixture(scope="module")
def address():
    with two_machines() as at:
        yield at


@pytest.fixture(autouse=True)
def marks(tmp_path, monkeypatch):
    """Where work notes that it has been tried; workers get the variables PVNET_*."""
    (tmp_path / "marks").mkdir()
    monkeypatch.setenv(MARKS, str(tmp_path / "marks"))


@pytest.fixture
def folder(tmp_path):
    for k in range(4):
        write_video(tmp_path / "v" / f"{k}.mp4", 3 + k)
    (tmp_path / "v" / "broken.mp4").write_bytes(b"no video")
    return tmp_path / "v"


def bright(folder):
    with VideoWriter(folder / "bright.mp4", 25, size=(48, 64)) as writer:
        writer.write(np.full((48, 64, 3), 255, np.uint8))


def doubled(items, cluster, share=1, done=None, **work):
    return spread(functools.partial(Doubling, **work), items, cluster, share=share, done=done)


def same(a, b):
    assert a.errors == b.errors
    assert a.estimator == b.estimator
    assert sorted(a.videos) == sorted(b.videos)
    for name, video in a.videos.items():
        np.testing.assert_array_equal(video.joints, b.videos[name].joints)
        np.testing.assert_array_equal(video.time_s, b.videos[name].time_s)


def test_every_item_is_done_once_and_nothing_of_ray_is_left(capfd):
    out, handler, done = sys.stdout, signal.getsignal(signal.SIGTERM), []
    before = children()
    outcome = doubled(range(40), Cluster("local", workers=2), share=4, done=done.append)
    assert outcome.results == {i: 2 * i for i in range(40)}
    assert sorted(done) == list(range(40))
    assert outcome.document() == {"workers": 2, "lost_workers": 0, "retried": [], "failed": {}}
    import ray

    assert not ray.is_initialized()
    assert children() <= before
    assert sys.stdout is out
    assert signal.getsignal(signal.SIGTERM) is handler
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("share", [1, 4])
def test_a_lost_worker_is_replaced_and_its_items_are_done(address, share, capfd):
    outcome = doubled(range(16), Cluster(address), share=share, first=(5, 6))
    assert outcome.results == {i: 2 * i for i in range(16)}
    assert outcome.failed == {}
    assert outcome.workers == 2
    assert outcome.lost_workers >= 2 if share == 1 else outcome.lost_workers >= 1
    assert {5, 6} & set(outcome.retried)
    assert outcome.retried == sorted(outcome.retried)
    assert capfd.readouterr() == ("", "")  # Ray tells of dead workers on stdout


def test_an_item_that_ends_every_worker_stops_nothing(address):
    outcome = doubled(range(12), Cluster(address, attempts=2), share=2, always=(7,))
    assert outcome.results == {i: 2 * i for i in range(12) if i != 7}
    assert list(outcome.failed) == [7]
    assert "got 2 deaths" in outcome.failed[7]
    assert 7 in outcome.retried


def test_what_the_work_raises_is_raised_here(address):
    message = refused(InvalidArgumentError, doubled, range(4), Cluster(address), refused=(2,))
    assert "got 2" in message
    refused(InvalidArgumentError, spread, bad_start, range(4), Cluster(address))


def test_what_cannot_travel_is_said_so_and_is_no_death(address):
    for result in (False, True):
        message = refused(
            ClusterError, spread, functools.partial(Stuck, result), range(4), Cluster(address)
        )
        assert "cannot travel" in message


def test_workers_that_die_while_they_start_are_an_error(address):
    message = refused(ClusterError, spread, die, range(4), Cluster(address, attempts=2))
    assert "got 2 deaths running" in message


def test_what_no_machine_has_is_refused(address):
    make = functools.partial(Doubling)
    assert "1 CPUs" in refused(ClusterError, spread, make, range(4), Cluster(address), cpus=2)
    assert "1 GPUs" in refused(ClusterError, spread, make, range(4), Cluster(address), gpus=1)


def test_a_cluster_that_loses_all_its_room_is_an_error(tmp_path, monkeypatch):
    from ray.cluster_utils import Cluster as Machines

    monkeypatch.setattr(cluster, "_PATIENCE_S", 0.5)
    memory = 100 * 2**20
    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": memory}
    machines = Machines(initialize_head=True, head_node_args=head)
    try:
        only = machines.add_node(num_cpus=1, object_store_memory=memory)

        def leave():
            while not (tmp_path / "started").exists():
                time.sleep(0.05)
            machines.remove_node(only, allow_graceful=False)

        leaving = threading.Thread(target=leave)
        leaving.start()
        make = functools.partial(Sleeping, tmp_path / "started", 120.0)
        at = Cluster(machines.address)
        assert "no machine has room" in refused(ClusterError, spread, make, [1, 2], at)
        leaving.join()
    finally:
        machines.shutdown()
        gc.collect()


def test_bad_clusters_are_refused(monkeypatch, tmp_path):
    for wrong in ("", "here", "ray://host:1", "host:", "host:0", "host:99999", "a b:1"):
        refused(InvalidArgumentError, Cluster, wrong)
    refused(InvalidArgumentError, Cluster, "local", workers=0)
    refused(InvalidArgumentError, Cluster, "local", attempts=0)
    with socket.socket() as bound:  # nobody listens
        bound.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{bound.getsockname()[1]}"
        refused(ClusterError, doubled, [1], Cluster(nobody))
        monkeypatch.setenv("RAY_ADDRESS", nobody)
        refused(ClusterError, doubled, [1], Cluster("auto"))
        monkeypatch.delenv("RAY_ADDRESS")
        monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
        (tmp_path / "ray").mkdir()
        (tmp_path / "ray" / "ray_current_cluster").write_text(nobody)  # of one that has crashed
        refused(ClusterError, doubled, [1], Cluster("auto"))
    monkeypatch.setitem(sys.modules, "ray", None)
    assert 'pip install "pvnet-video[ray]"' in refused(UnsupportedError, doubled, [1], Cluster())


def test_labels_of_a_cluster_are_those_of_one_process(folder, tmp_path, address):
    jobs = labelling.find_jobs([folder])
    make = functools.partial(Estimator, sys.executable, worker=FAKE_POSE_WORKER)
    one = labelling.label_videos(jobs, tmp_path / "one.npz", make)
    done = []
    two = labelling.label_videos(
        jobs, tmp_path / "two.npz", make, cluster=Cluster(address), done=done.append
    )
    assert list(two.errors) == ["broken.mp4"]
    assert two.retried == ()
    assert sorted(j.name for j in done) == [j.name for j in jobs]
    same(one, two)
    same(load_labels(tmp_path / "one.npz"), load_labels(tmp_path / "two.npz"))
    assert not (tmp_path / "two.npz.parts").exists()
    nowhere = functools.partial(Estimator, tmp_path / "nothing")
    out = tmp_path / "none.npz"
    refused(EstimatorError, labelling.label_videos, jobs, out, nowhere, cluster=Cluster(address))


def test_labels_are_complete_after_a_worker_was_lost(folder, tmp_path, address):
    bright(folder)
    jobs = labelling.find_jobs([folder])
    two = labelling.label_videos(jobs, tmp_path / "two.npz", Levels, cluster=Cluster(address))
    assert two.retried == ("bright.mp4",)
    one = labelling.label_videos(jobs, tmp_path / "one.npz", Levels)  # its mark is there
    assert "bright.mp4" in one.videos
    same(one, two)


def test_a_video_that_ends_every_worker_is_listed_and_tried_again_later(folder, tmp_path, address):
    bright(folder)
    jobs, out = labelling.find_jobs([folder]), tmp_path / "l.npz"
    make = functools.partial(Levels, always=True)
    labels = labelling.label_videos(jobs, out, make, cluster=Cluster(address, attempts=2))
    assert sorted(labels.videos) == [f"{k}.mp4" for k in range(4)]
    assert set(labels.errors) == {"bright.mp4", "broken.mp4"}
    assert "every worker that took it died" in labels.errors["bright.mp4"]
    done = []
    (tmp_path / "marks" / "bright").touch()
    labels = labelling.label_videos(jobs, out, Levels, done=done.append)
    assert sorted(labels.videos) == [*(f"{k}.mp4" for k in range(4)), "bright.mp4"]


def test_an_interrupted_run_keeps_what_its_workers_have_done(folder, tmp_path, address):
    jobs, out = labelling.find_jobs([folder]), tmp_path / "l.npz"
    make = functools.partial(Estimator, sys.executable, worker=FAKE_POSE_WORKER)

    def stop(_job):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        labelling.label_videos(jobs[:1], out, make, cluster=Cluster(address), done=stop)
    assert not out.exists()
    broken = functools.partial(Estimator, tmp_path / "nothing")
    labels = labelling.label_videos(jobs[:1], out, broken)  # nothing is left to do
    assert list(labels.videos) == ["0.mp4"]


def test_the_command_line_labels_on_a_cluster(folder, tmp_path, capfd, address):
    stand_in = tmp_path / "python"  # a Python that has the estimator, as far as pvnet can see
    stand_in.write_text(f'#!/bin/sh\nexec "{sys.executable}" -u "{FAKE_POSE_WORKER}"\n')
    stand_in.chmod(0o755)
    out = tmp_path / "labels.npz"
    words = ["label", str(folder), "--out", str(out), "--python", str(stand_in), "--json"]
    assert main([*words, "--cluster", address]) == 0
    told = json.loads(capfd.readouterr().out)
    assert (told["videos"], told["frames"], told["retried"]) == (4, 3 + 4 + 5 + 6, [])
    assert main([*words, "--cluster", "somewhere"]) == 2
