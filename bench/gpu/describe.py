"""Writes peer_nets.json from the models: `python -m gpu.describe`."""

from __future__ import annotations

import json

from gpu.peer_net import FILE
from gpu.peers import nodes_of
from pvnet import models

NETS = ("par_inception", "par_densenet")
# What a plain network has no use for.
LEFT_OUT = ("phase", "norm", "norm_eps", "dilation", "groups", "bias", "count_include_pad")


def text() -> str:
    """The file, a line a node."""
    parts = []
    for name in NETS:
        lines = [json.dumps(_short(node)) for node in nodes_of(models.build(name))]
        parts.append(f'"{name}": [\n' + ",\n".join(lines) + "\n]")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _short(node: dict) -> dict:
    attrs = {} if node["op"] == "input" else node["attrs"]
    return {**node, "attrs": {k: v for k, v in attrs.items() if k not in LEFT_OUT}}


if __name__ == "__main__":
    FILE.write_text(text())
