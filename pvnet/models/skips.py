"""Temporal skips: nodes that carry every stage's output to the head, or to every later stage.

A skip starts at the last node of its stage. It is pooled to the resolution of its target and
projected by a 1x1 convolution in the stage it comes from, so that what crosses is small. If the
target is larger, it is upsampled where it arrives. It crosses stages exactly once: with the
predictive wiring a skip is one tick old, however many stages it jumps over. With the other
wirings the nodes and the weights are the same and only the delays differ.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

from pvnet.errors import InvalidArgumentError
from pvnet.graph import Graph
from pvnet.models.common import check_choice, check_positive

Skips = Literal["none", "head", "all"]
SKIPS: tuple[Skips, ...] = ("none", "head", "all")


def add_skips(graph: Graph, skips: Skips, *, head: str, channels: int) -> Graph:
    """A graph with temporal skips added to the stages of a wired graph.

    Args:
        graph: a wired graph, its nodes in an order in which they can run.
        skips: "none" (the graph itself), "head" (every stage but the head's feeds the head) or
            "all" (the head, and the entry of every stage that is not the next one anyway).
        head: name of the node whose input the skips are concatenated to; a concat takes them in.
        channels: output channels of every projection.

    Returns:
        A graph with the same wiring and stages; its new nodes are called `skip<stage>/...`
        and `<target>/skips`.

    Raises:
        InvalidArgumentError: unknown skips, no node called `head`, or channels < 1.
    """
    where = "models.add_skips"
    check_choice(where, "skips", skips, SKIPS)
    check_positive(where, "channels", channels)
    if skips == "none":
        return graph
    editor = _Editor(graph, channels=channels)
    if head not in editor.specs:
        raise InvalidArgumentError(
            f"[{where}] the head is not in the graph: got {head!r}, expected one of "
            f"{list(editor.specs)}. Name the node that reads the features."
        )
    if skips == "all":
        for target in editor.entries():
            if target != head:
                editor.join(target, range(editor.stage(target) - 1), at_full_rate=False)
    editor.join(head, range(editor.stage(head)), at_full_rate=True)
    return editor.build()


class _Editor:
    """Node specifications of a wired graph, with room to insert nodes before and after each."""

    def __init__(self, graph: Graph, *, channels: int) -> None:
        self.channels = channels
        self.document: dict[str, Any] = json.loads(graph.to_json())
        self.specs: dict[str, dict[str, Any]] = {n["name"]: n for n in self.document["nodes"]}
        self.shapes = {n.name: tuple(n.shape) for n in graph.nodes}
        self.periods = {n.name: n.clock.period for n in graph.nodes}
        self.before: dict[str, list[dict[str, Any]]] = {}
        self.after: dict[str, list[dict[str, Any]]] = {}
        self.made: dict[tuple[int, int, int, int], str] = {}
        self.last: dict[int, str] = {}
        for spec in self.document["nodes"]:
            if spec["op"] not in ("input", "feedback"):
                self.last[spec.get("stage", 0)] = spec["name"]

    def stage(self, name: str) -> int:
        """The stage a node runs in."""
        return int(self.specs[name].get("stage", 0))

    def entries(self) -> Iterator[str]:
        """The first node of every stage from the third on: where a skip can enter."""
        seen = set()
        for spec in self.document["nodes"]:
            stage = self.stage(spec["name"])
            if stage >= 2 and stage not in seen and spec["op"] not in ("input", "feedback"):
                seen.add(stage)
                yield spec["name"]

    def join(self, target: str, stages: range, *, at_full_rate: bool) -> None:
        """Concatenate the outputs of `stages` to the first input of node `target`.

        Everything else in the target's stage that reads the same input reads the sum too. At
        full rate the join fires as often as the fastest skip; otherwise the skips take on the
        rate of the target.
        """
        spec = self.specs[target]
        source = spec["inputs"][0]
        _, height, width = self.shapes[source]
        period = 1 if at_full_rate else self.periods[source]
        arrivals = []
        for stage in (s for s in stages if s in self.last):
            name = self.project(stage, target, height, width, period)
            if self.shapes[name][1:] != (height, width):
                name = self.upsample(name, target, height, width, stage=stage)
            arrivals.append(name)
        if not arrivals:
            return
        if spec["op"] == "concat":
            spec["inputs"] = [*spec["inputs"], *arrivals]
            return
        joined = f"{target}/skips"
        here = spec.get("stage", 0)
        for other in self.document["nodes"]:
            if other.get("stage", 0) == here:
                other["inputs"] = [joined if i == source else i for i in other.get("inputs", [])]
        self.add(self.before, target, "concat", joined, [source, *arrivals], stage=here, attrs={})

    def project(self, stage: int, target: str, height: int, width: int, period: int) -> str:
        """The output of a stage, no larger than (height, width), projected; shared by targets."""
        source = self.last[stage]
        _, source_height, source_width = self.shapes[source]
        out = (min(height, source_height), min(width, source_width))
        every = max(1, period // self.periods[source])
        key = (stage, *out, every)
        if key in self.made:
            return self.made[key]
        base = f"skip{stage}/{target}"
        attrs: dict[str, Any] = {"stride": [every, 1, 1]}
        anchor = source
        if out != (source_height, source_width):
            # Windows of one size that touch and together cover (nearly) the whole map.
            stride = (source_height // out[0], source_width // out[1])
            kernel = [
                1,
                source_height - stride[0] * (out[0] - 1),
                source_width - stride[1] * (out[1] - 1),
            ]
            pool = {"kernel": kernel, "stride": [every, *stride], "padding": [0, 0]}
            self.add(
                self.after, anchor, "avg_pool", f"{base}/pool", [source], stage=stage, attrs=pool
            )
            source = f"{base}/pool"
            attrs = {}
        attrs |= {"out": self.channels, "kernel": [1, 1, 1], "bias": False}
        attrs |= {"norm": True, "act": "relu"}
        name = f"{base}/project"
        self.add(self.after, anchor, "conv3d", name, [source], stage=stage, attrs=attrs)
        self.shapes[name] = (self.channels, *out)
        self.made[key] = name
        return name

    def upsample(self, name: str, target: str, height: int, width: int, *, stage: int) -> str:
        """A projected skip, enlarged in the stage it arrives in."""
        up = f"skip{stage}/{target}/up"
        attrs = {"size": [height, width], "mode": "bilinear"}
        self.add(self.before, target, "upsample", up, [name], stage=self.stage(target), attrs=attrs)
        return up

    @staticmethod
    def add(
        where: dict[str, list[dict[str, Any]]],
        anchor: str,
        op: str,
        name: str,
        inputs: list[str],
        *,
        stage: int,
        attrs: dict[str, Any],
    ) -> None:
        """Remember a new node next to an existing one."""
        spec = {"name": name, "op": op, "inputs": inputs, "stage": stage, "attrs": attrs}
        where.setdefault(anchor, []).append(spec)

    def build(self) -> Graph:
        """The edited graph; every check of a new graph is run on it."""
        nodes = []
        for spec in self.document["nodes"]:
            name = spec["name"]
            nodes += [*self.before.get(name, []), spec, *self.after.get(name, [])]
        self.document["nodes"] = nodes
        return Graph.from_json(json.dumps(self.document))
