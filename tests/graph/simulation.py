"""Temporal facts by brute force, straight from the definitions, from nodes and their delays alone.

Clocks are derived again here; nothing of the core but node attributes, delays and stages is used.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import pvnet
from pvnet.graph import NodeInfo


@dataclass
class Firing:
    """What is known about one firing of a node."""

    frames: frozenset[int]  # on newest-tap paths
    by_stage: dict[int, frozenset[int]]  # the same, on paths through a node of that stage
    all_frames: frozenset[int]  # on any path, all taps
    valid: bool


class Simulation:
    def __init__(self, graph: pvnet.Graph) -> None:
        self.nodes = {n.name: n for n in graph.nodes}
        self.wiring = graph.wiring
        self.clocks: dict[str, tuple[int, int]] = {}
        self.looped: set[str] = set()
        for n in graph.nodes:
            self.clocks[n.name] = self._clock(n)
        self.hyper = math.lcm(*(p for p, _ in self.clocks.values()))
        self.fire = cache(self._fire)

    def _clock(self, n: NodeInfo) -> tuple[int, int]:
        if n.op == "input":
            return (1, 0)
        if n.op == "feedback":
            self.looped.add(n.name)
            return (1, n.stage if self.wiring == "pipelined" else 0)
        if all(e.node in self.looped for e in n.inputs):
            self.looped.add(n.name)
        counted = [e for e in n.inputs if n.name in self.looped or e.node not in self.looped]
        fastest = min(counted, key=lambda e: self.clocks[e.node][0])
        period, origin = self.clocks[fastest.node]
        stride = n.attrs["stride"][0] if "stride" in n.attrs else 1
        return (period * stride, origin + fastest.delay + n.attrs.get("phase", 0))

    def due(self, name: str, tick: int) -> bool:
        period, origin = self.clocks[name]
        return tick >= origin and (tick - origin) % period == 0

    def firing_before(self, name: str, tick: int) -> int:
        """The latest firing at or before a tick, by counting; negative: how far in the future."""
        period, origin = self.clocks[name]
        index = -1
        if tick < origin:
            while origin + index * period > tick:
                index -= 1
            return index
        while origin + (index + 1) * period <= tick:
            index += 1
        return index

    def _fire(self, name: str, index: int) -> Firing:
        n = self.nodes[name]
        period, origin = self.clocks[name]
        tick = origin + index * period
        if n.op == "input":
            frame = frozenset([tick])
            return Firing(frame, {n.stage: frame}, frame, True)
        taps, dilation = 1, 1
        if n.op == "global_pool":
            taps = n.attrs["window"]
        elif "kernel" in n.attrs:
            taps = n.attrs["kernel"][0]
            dilation = n.attrs.get("dilation", (1, 1, 1))[0]
        frames: set[int] = set()
        everything: set[int] = set()
        stages: dict[int, set[int]] = {}
        valid = True
        for e in n.inputs:
            if e.feedback:
                continue
            newest = self.firing_before(e.node, tick - e.delay)
            for i in range(taps):
                if newest - i * dilation >= 0:
                    everything |= self.fire(e.node, newest - i * dilation).all_frames
            if newest < 0:
                valid = False
                continue
            source = self.fire(e.node, newest)
            valid = valid and source.valid
            frames |= source.frames
            for s, f in source.by_stage.items():
                stages.setdefault(s, set()).update(f)
        if frames:
            stages.setdefault(n.stage, set()).update(frames)
        by_stage = {s: frozenset(f) for s, f in stages.items()}
        return Firing(frozenset(frames), by_stage, frozenset(everything), valid)

    def value(self, name: str, tick: int) -> Firing | None:
        """The value held at a tick; None before the first firing."""
        index = self.firing_before(name, tick)
        return self.fire(name, index) if index >= 0 else None

    def output_delay(self, name: str) -> int:
        """Pipelined outputs of earlier stages wait, so that all outputs belong to one frame."""
        last = max(n.stage for n in self.nodes.values())
        return last - self.nodes[name].stage if self.wiring == "pipelined" else 0

    def valid(self, name: str, tick: int) -> bool:
        held = self.value(name, tick - self.output_delay(name))
        return held is not None and held.valid

    def warm_up(self, name: str, horizon: int) -> int:
        """The first tick from which the output is valid up to the horizon."""
        first = horizon
        while first > 0 and self.valid(name, first - 1):
            first -= 1
        return first

    def ages(self, name: str, tick: int, n_stages: int) -> list[int]:
        held = self.value(name, tick - self.output_delay(name))
        by_stage = {} if held is None else held.by_stage
        return [tick - max(by_stage[s]) if by_stage.get(s) else -1 for s in range(n_stages)]

    def receptive_field(self, name: str, begin: int) -> int:
        """Over the firings of one hyper-period from `begin` on."""
        widths = []
        for tick in range(begin, begin + self.hyper):
            if self.due(name, tick):
                seen = self.fire(name, self.firing_before(name, tick)).all_frames
                widths.append(max(seen) - min(seen) + 1)
        return max(widths)

    def latency(self, name: str) -> float:
        n = self.nodes[name]
        if n.op == "input":
            return 0
        paths = [e.delay + self.latency(e.node) for e in n.inputs if not e.feedback]
        return min(paths, default=math.inf)

    def behind_feedback(self, name: str) -> bool:
        n = self.nodes[name]
        return n.op == "feedback" or any(
            self.behind_feedback(e.node) for e in n.inputs if not e.feedback
        )
