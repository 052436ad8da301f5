"""fit: any graph, any loss, a teacher instead of labels, any source of clips."""

from __future__ import annotations

import json
from itertools import islice

import numpy as np
import pytest
import torch

import pvnet
from pvnet import video
from pvnet.errors import InvalidArgumentError, StateError
from pvnet.nn import Network
from pvnet.train import Distillation, fit
from pvnet.train.distillation import matured, relative, variations
from pvnet.train.log import read_log
from pvnet.train.prediction_picture import prediction_picture
from pvnet.train.source import Source

MESSAGE = r"^\[.+\] .+: got .+, expected .+\. .+"


def small_net(stages: int = 3, wiring: str = "predictive") -> Network:
    graph = pvnet.Graph()
    x = graph.input("frame", channels=3, height=16, width=16)
    for k in range(3):
        x = graph.conv3d(x, 4, kernel=(1, 3, 3), act="relu", name=f"conv{k}")
    graph.output(graph.linear(graph.global_pool(x, name="pool"), 5, name="logits"), name="logits")
    torch.manual_seed(3)
    return Network(graph.wire(wiring, stages=stages)).eval()


def moving(rows: int, ticks: int, seed: int = 0) -> torch.Tensor:
    """Float clips of a bright square that wanders, [b, 3, t, 16, 16]."""
    rng = np.random.default_rng(seed)
    clips = rng.normal(0, 0.1, (rows, 3, ticks, 16, 16)).astype(np.float32)
    for row in range(rows):
        at = rng.integers(0, 12)
        for t in range(ticks):
            at = int(np.clip(at + rng.integers(-1, 2), 0, 12))
            clips[row, :, t, at : at + 4, at : at + 4] += 2.0
    return torch.from_numpy(clips)


QUICK = {
    "run.steps": 12,
    "run.batch": 4,
    "run.validate_every": 4,
    "run.device": "cpu",
    "run.log_every": 1,
    "data.frames": 8,
    "optimiser.rate": 3e-3,
    "schedule.warm_up_steps": 2,
}


def test_a_student_learns_from_a_teacher_without_labels(tmp_path):
    net, teacher = small_net(), small_net(wiring="sequential")
    with torch.no_grad():
        net.get_parameter("logits.weight").mul_(-1.0)
    of_other_weights = {"ranges": '{"conv0": [0, 1]}', "corrections": '{"logits": [1, 1, 1, 1, 1]}'}
    net.metadata = {"note": "kept", **of_other_weights}
    before = {k: v.clone() for k, v in net.state_dict().items()}
    told = Distillation(nodes="stages", weight=0.1, maturing=0.8)
    made = fit(
        net,
        videos=moving(12, 24),
        out=tmp_path,
        teacher=teacher,
        distillation=told,
        settings={**QUICK, "run.steps": 20, "optimiser.rate": 1e-2},
    )
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    metadata = pvnet.load(tmp_path / "model.safetensors").metadata
    assert metadata["note"] == "kept"
    assert not of_other_weights.keys() & metadata.keys()
    looks = made.result["validation"]
    assert looks["best"] < 0.9 * looks["first"]
    lines = read_log(tmp_path / "log.jsonl")
    assert {"outputs", "matching", "loss"} <= set(lines[0])
    assert [line["step"] for line in lines if "held_out_loss" in line] == [3, 7, 11, 15, 19]
    best = min(line["held_out_loss"] for line in lines if "held_out_loss" in line)
    assert looks["best"] == pytest.approx(min(best, looks["first"]))
    clip = moving(1, 10, seed=9)
    plan = pvnet.compile(str(made.path), lanes=1)
    stream, want = plan.stream(), made.network(clip)["logits"].detach().numpy()
    for t in range(10):
        out = stream.tick(clip[0, :, t].numpy())["logits"].ravel()
        np.testing.assert_allclose(out, want[0, :, t], atol=1e-4)


def test_any_loss_and_batches_with_labels(tmp_path):
    def batches(start, rank, world):
        for k in islice(range(10**9), start, None):
            yield {"frames": moving(4, 6, seed=k), "label": torch.arange(4)}

    seen = []

    def loss(outputs, batch):
        seen.append((tuple(outputs["logits"].shape), batch["scored"].tolist()))
        every = batch["label"][:, None].expand(4, 6)
        logits = outputs["logits"][:, :, batch["scored"]]
        return torch.nn.functional.cross_entropy(logits, every[:, batch["scored"]])

    settings = {**QUICK, "run.steps": 2, "run.validate_every": 0}
    source = Source(batches, None)
    graph = small_net().graph
    made = fit(graph, videos=source, out=tmp_path, loss=loss, settings=settings)
    assert made.result["steps"] == 2
    assert "task" in made.result["last"]
    assert seen[0] == ((4, 5, 6), [False, False, True, True, True, True])


def test_a_finished_run_is_extended_with_the_same_teacher(tmp_path):
    settings = {**QUICK, "run.steps": 4}
    first = fit(small_net(), videos=moving(8, 12), out=tmp_path, teacher="self", settings=settings)
    teacher = (tmp_path / "teacher.safetensors").read_bytes()
    more = {**settings, "run.steps": 8}
    second = fit(
        first.network, videos=moving(8, 12), out=tmp_path, teacher="self", settings=more
    )
    assert second.result["steps"] == 8
    assert [line["step"] for line in read_log(tmp_path / "log.jsonl")] == list(range(8))
    assert (tmp_path / "teacher.safetensors").read_bytes() == teacher
    with pytest.raises(StateError, match=MESSAGE) as error:
        fit(small_net(), videos=moving(8, 12), out=tmp_path, teacher="self", settings=settings)
    assert "run.steps" in str(error.value)


def test_patience_and_minutes_end_a_run(tmp_path):
    hopeless = {**QUICK, "optimiser.rate": 0.0, "run.steps": 100, "run.patience": 2, "run.ema": 0.0}
    net, clips = small_net(), moving(8, 12)
    made = fit(net, videos=clips, out=tmp_path / "a", teacher="self", settings=hopeless)
    assert made.result["steps"] == 8
    assert made.result["validation"]["stale"] == 2
    short = {**QUICK, "run.steps": 10**6, "run.minutes": 1e-5}
    made = fit(net, videos=clips, out=tmp_path / "b", teacher="self", settings=short)
    assert 1 <= made.result["steps"] < 100
    assert "held_out_loss" in made.result["last"]


def test_a_folder_of_videos_and_a_live_source_give_clips(tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    for k in range(2):
        with (
            video.open(f"synthetic:seed={k},size=32x32,frames=24") as source,
            video.VideoWriter(folder / f"{k}.mp4", size=(32, 32), fps=25) as out,
        ):
            for frame in source:
                out.write(frame.image)
    (folder / "notes.mp4").write_bytes(b"no video")
    settings = {**QUICK, "run.steps": 2, "run.validate_every": 2}
    fit(small_net(), videos=folder, out=tmp_path / "a", teacher="self", settings=settings)
    about = json.loads((tmp_path / "a" / "data.json").read_text())
    assert about["pieces"] == 2
    with video.open("synthetic:frames=400", size=(16, 16)) as live:
        made = fit(small_net(), videos=live, out=tmp_path / "b", teacher="self", settings=settings)
    assert made.result["validation"]["first"] > 0


def test_pictures_of_predictions_go_to_tensorboard(tmp_path):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    pytest.importorskip("torch.utils.tensorboard")
    settings = {**QUICK, "run.steps": 2, "run.validate_every": 1, "run.tensorboard": True}
    fit(small_net(), videos=moving(8, 12), out=tmp_path, teacher="self", settings=settings)
    read = events.EventAccumulator(str(tmp_path), size_guidance={"images": 0}).Reload()
    shown = read.Images("held out")
    assert [event.step for event in shown] == [0, 1]
    assert (shown[0].height, shown[0].width) == (128, 3 * 128)


def test_a_picture_shows_the_teachers_map_before_ours():
    frames = torch.zeros(1, 3, 2, 128, 128)
    ours, theirs = torch.zeros(1, 4, 2, 8, 8), torch.zeros(1, 4, 2, 8, 8)
    ours[0, 2, 1, 0, 0] = 1.0
    theirs[0, 1, 1, 7, 7] = 1.0
    shown = prediction_picture(frames, {"maps": ours}, {"maps": theirs})
    assert shown.shape == (3, 128, 384)
    rows, columns = torch.nonzero(shown[0] == 255, as_tuple=True)
    found = set(zip((rows // 16).tolist(), (columns // 16).tolist()))
    assert found == {(7, 15), (0, 16)}


def test_the_target_of_a_temporal_difference_loss():
    target = torch.zeros(1, 1, 4)
    later = torch.tensor([[[1.0, 2.0, 3.0, 4.0]]])
    # t = 0, two ticks ahead: 0.5 * 2 + 0.25 * 3; the last tick has nothing later.
    assert matured(target, later, 0.5, 2).flatten().tolist() == [1.75, 2.5, 2.0, 0.0]
    assert torch.equal(matured(later, target, 1.0, 2), later)


def test_a_constant_answer_is_as_far_off_as_the_values_vary():
    teacher, clips = small_net(wiring="sequential"), moving(6, 9)
    with torch.no_grad():
        outputs, values = teacher(clips, return_nodes=["conv1"])
    varies = variations(teacher, [clips[:2], clips[2:]], ["conv1"], torch.device("cpu"))
    for name, y in (("logits()", outputs["logits"]), ("conv1", values["conv1"])):
        mean = y.mean((0, 2), keepdim=True).expand_as(y)
        assert float(relative(mean, y, 0)) / varies[name] == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"teacher": None}, "no teacher and no loss"),
        ({"videos": torch.zeros(2, 16, 3, 16, 16)}, "[b, 3, t, 16, 16]"),
        ({"videos": torch.zeros(2, 3, 4, 16, 16)}, "data.frames"),
        ({"videos": 3}, "videos"),
        ({"settings": {"steps": 3}}, "section.key"),
        ({"settings": {"run.carry": 3}}, "section.key"),
        ({"settings": {"run.patience": 3, "run.validate_every": 0}}, "validate_every"),
        ({"distillation": Distillation(outputs={"other": "relative"})}, "'other'"),
        ({"distillation": Distillation(outputs="mean")}, "relative"),
        ({"distillation": Distillation(nodes=("nobody",))}, "'nobody'"),
        ({"distillation": Distillation(maturing=2.0)}, "maturing"),
        ({"network": "net"}, "network"),
    ],
)
def test_bad_input_is_refused(tmp_path, change, word):
    given = {"network": small_net(), "videos": moving(8, 12), "teacher": "self", "settings": QUICK}
    given |= change
    if "settings" in change:
        given["settings"] = {**QUICK, **change["settings"]}
    with pytest.raises(InvalidArgumentError, match=MESSAGE) as error:
        fit(given.pop("network"), out=tmp_path, **given)
    assert word in str(error.value)
