"""Score the labels of videos against the true joints of a data set."""

from __future__ import annotations

import argparse
from pathlib import Path

from pvnet.cli._common.report import Report, UsageError
from pvnet.report import table

_SHOWN = ("pck@0.2_box", "pck@0.1_box", "pck@0.2_torso", "pck@0.1_torso", "mean_error_px")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `pvnet eval-labels`."""
    parser.add_argument("labels", type=Path, metavar="LABELS", help="file of pvnet label")
    parser.add_argument("--data", required=True, metavar="SPEC", help="jhmdb:FOLDER")
    parser.add_argument(
        "--split", type=int, choices=(1, 2, 3), help="only its test clips (default: all clips)"
    )


def run(args: argparse.Namespace) -> Report:
    """Join, score, print."""
    from pvnet.data.specs import parse_spec
    from pvnet.label.files import load_labels
    from pvnet.label.scores import score_labels

    spec = parse_spec(args.data)
    if spec.kind != "jhmdb":
        raise UsageError("--data: only jhmdb:FOLDER has true joints to compare with")
    labels = load_labels(args.labels)
    scores = score_labels(labels, Path(spec.location).expanduser(), split=args.split)
    document = {
        "labels": str(args.labels),
        "estimator": labels.estimator,
        "data": args.data,
        "split": args.split,
        **scores,
    }
    found, everything = scores["found"], scores["all"]
    rows = []
    for name in _SHOWN:
        if found.get(name) is None:
            continue
        low, high = found[f"{name}_interval"]
        rows.append([name, found[name], f"{low:.3g} - {high:.3g}", everything.get(name)])
    header = ["metric", "frames with a person found", "95 % interval", "all frames"]
    text = (
        f"{scores['clips']} clips, {scores['frames']} frames, a person found in "
        f"{100 * scores['found_rate']:.1f} % of them\n\n" + table(header, rows)
    )
    return Report(document, text)
