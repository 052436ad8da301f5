"""`pvnet eval` with the weights that are shipped."""

from __future__ import annotations

import pytest

WORDS = ("eval", "--data", "figures?n=2", "--frames", "16", "--json")


@pytest.mark.parametrize(
    ("task", "wiring", "stages", "name", "trained"),
    [
        ("joints", None, None, "par_densenet_sequential", "sequential"),
        ("joints", "pipelined", 3, "par_densenet_sequential", "sequential"),
        ("joints", "predictive", 14, "par_densenet_predictive14", "predictive"),
        ("joints", "predictive", 3, "par_densenet_sequential", "sequential"),
        ("actions", "predictive", 10, "par_inception_predictive10", "predictive"),
    ],
)
def test_weights_of_the_task_and_wiring_are_taken(pvnet_cli, task, wiring, stages, name, trained):
    more = [] if wiring is None else ["--wiring", wiring, "--stages", str(stages)]
    done = pvnet_cli(*WORDS, "--task", task, *more)
    assert done.code == 0, done.err
    d = done.document
    assert (d["model"], d["wiring"], d["stages"]) == (name, wiring or "sequential", stages or 1)
    assert d["trained_wiring"] == trained
    assert d["clips"] == 2
    metric = "pck@0.2_box" if task == "joints" else "top1"
    low, high = d[f"{metric}_interval"]
    assert 0 <= low <= d[metric] <= high <= 1


def test_what_is_to_be_scored_must_be_said(pvnet_cli):
    done = pvnet_cli(*WORDS)
    assert done.code == 2
    assert "--task or --model" in done.document["error"]["message"]


@pytest.mark.parametrize(
    ("task", "data", "family"),
    [
        ("actions", "jhmdb:/videos", "par_inception_jhmdb"),
        ("actions", "jhmdb", "par_inception_jhmdb"),
        ("actions", "figures?n=2", "par_inception"),
        ("actions", "folder:/jhmdb", "par_inception"),
        ("joints", "jhmdb:/videos?joints=truth", "par_densenet"),
    ],
)
def test_actions_have_weights_of_their_data(task, data, family):
    from pvnet.cli.eval import _family

    assert _family(task, data) == family


def test_exact_answers_may_come_late(pvnet_cli, model_file):
    """Two ticks late, as three pipelined stages are."""
    told = ["eval", "--model", model_file, "--data", "figures?n=2", "--frames", "8"]
    told += ["--first-tick", "4", "--json", "--quiet"]
    late = pvnet_cli(*told, "--wiring", "sequential", "--late", "2")
    pipelined = pvnet_cli(*told, "--wiring", "pipelined", "--stages", "3")
    assert late.code == pipelined.code == 0, late.err + pipelined.err
    metric = "mean_error_px"
    assert late.document[metric] == pipelined.document[metric]
    assert late.document[metric] != pvnet_cli(*told).document[metric]
