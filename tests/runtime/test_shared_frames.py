"""Large frames, which all lanes check and convert: what one refuses, none keeps."""

from __future__ import annotations

import numpy as np
import pytest

import pvnet

HEIGHT, WIDTH = 96, 120
LANES = 3


def plan_of(lanes: int, batch: int = 1) -> pvnet.Plan:
    """Two inputs; one is an output, too, a tick late, from the ring that frames go into."""
    g = pvnet.Graph()
    x = g.input("left", channels=3, height=HEIGHT, width=WIDTH)
    other = g.input("right", channels=3, height=HEIGHT, width=WIDTH)
    y = g.conv3d(g.concat([x, other], name="both"), 8, kernel=(2, 3, 3), act="relu", name="a")
    g.output(g.conv3d(y, 8, kernel=3, name="b"), name="y")
    g.output(other, name="seen")
    g = g.wire("pipelined", stages=2)
    rng = np.random.default_rng(0)
    weights = {n: rng.standard_normal(s).astype(np.float32) for n, s in g.expected_weights()}
    costs = {name: 2000.0 for name in ("a", "b")}  # microseconds: worth the lanes
    return pvnet.compile(
        (g, weights), lanes=lanes, fixed_lanes=True, pin=False, batch=batch, costs=costs
    )


def frames_of(batch: int, n: int) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(1)
    shape = (batch, 3, HEIGHT, WIDTH)
    return [
        {name: rng.random(shape, dtype=np.float32) for name in ("left", "right")}
        for _ in range(n)
    ]  # fmt: skip


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("line", [0, HEIGHT // LANES - 1, HEIGHT // LANES, HEIGHT - 1])
@pytest.mark.parametrize("name", ["left", "right"])
def test_a_frame_that_any_lane_refuses_changes_nothing(batch: int, line: int, name: str) -> None:
    alone, shared = plan_of(1, batch).stream(), plan_of(LANES, batch).stream()
    for frames in frames_of(batch, 4):
        bad = {key: frame.copy() for key, frame in frames.items()}
        bad[name][batch - 1, 2, line, WIDTH - 1] = np.inf
        before = {key: value.copy() for key, value in shared.outputs().items()}
        with pytest.raises(pvnet.PvnetError, match=f"not numbers.*'{name}' row {batch - 1}"):
            shared.tick(bad)
        after = shared.outputs()
        for key, value in before.items():
            np.testing.assert_array_equal(after[key], value)
        want, got = alone.tick(frames), shared.tick(frames)
        assert shared.lanes_used == LANES
        for key in ("y", "seen"):
            np.testing.assert_array_equal(got[key], want[key])
