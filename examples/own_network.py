"""Build a network of your own, cut it into stages, compile it and run it; needs numpy only."""

from __future__ import annotations

import numpy as np

import pvnet

STAGES = [["frame", "stem", "motion", "shallow"], ["deep"], ["pooled", "both", "logits"]]


def build() -> pvnet.Graph:
    """A small action recogniser that looks at three frames in its second layer."""
    graph = pvnet.Graph()
    x = graph.input("frame", channels=3, height=64, width=64)
    x = graph.conv3d(x, 16, kernel=(1, 5, 5), stride=(1, 2, 2), act="relu", name="stem")
    x = graph.conv3d(x, 32, kernel=(3, 3, 3), stride=(1, 2, 2), act="relu", name="motion")
    shallow = graph.global_pool(x, name="shallow")
    x = graph.conv3d(x, 64, kernel=(1, 3, 3), stride=(1, 2, 2), act="relu", name="deep")
    x = graph.global_pool(x, name="pooled")
    x = graph.concat([x, shallow], name="both")  # a skip: aligned or fresh, by the wiring
    x = graph.linear(x, 4, name="logits")
    graph.output(x, name="logits")
    return graph


def random_weights(graph: pvnet.Graph, seed: int = 0) -> dict[str, np.ndarray]:
    """Random weights; pvnet.nn.Network(graph) trains real ones."""
    rng = np.random.default_rng(seed)
    weights = {}
    for name, shape in graph.expected_weights():
        scale = np.sqrt(2 / np.prod(shape[1:])) if name.endswith(".weight") else 0.0
        weights[name] = (scale * rng.standard_normal(shape)).astype(np.float32)
    return weights


def main() -> None:
    """Run the three wirings of the same weights on the same frames."""
    graph = build()
    weights = random_weights(graph)
    rng = np.random.default_rng(1)
    frames = rng.integers(0, 256, (12, 64, 64, 3), dtype=np.uint8)

    outputs = {}
    for wiring in ("sequential", "pipelined", "predictive"):
        wired = graph.wire(wiring, stages=STAGES)
        stream = pvnet.compile((wired, weights), lanes=2).stream()
        outputs[wiring] = np.stack([np.asarray(stream.tick(f)["logits"][0]) for f in frames])
        latency_ticks = wired.outputs[0].information_latency_ticks
        print(f"{wiring}: {len(wired.stages)} stages, information latency {latency_ticks} ticks")

    # Depth-parallel and exact: the pipelined output is the sequential one, K - 1 = 2 ticks later.
    difference = np.abs(outputs["pipelined"][2:] - outputs["sequential"][:-2]).max()
    print(f"pipelined = sequential shifted by 2 ticks, largest difference {difference:.1e}")


if __name__ == "__main__":
    main()
