"""Tensors that are filled again with the next frame: what a state remembers must not change."""

from __future__ import annotations

import pytest
import torch
from random_graphs import random_graph

import pvnet.nn
from pvnet.train.tbptt import Carried


@pytest.mark.parametrize("seed", [3, 5, 6, 7])
def test_a_network_stepped_with_a_reused_tensor_remembers_the_frames_it_saw(seed):
    net = pvnet.nn.Network(random_graph(seed).wire("predictive", stages=2)).eval()
    shapes = {n.name: n.shape for n in net.graph.nodes if n.op == "input"}
    random = torch.Generator().manual_seed(seed)
    clips = {k: torch.randn(8, 1, *s, generator=random) for k, s in shapes.items()}

    def steps(reuse):
        buffers = {k: torch.empty(1, *s) for k, s in shapes.items()}
        state, seen = net.init_state(1), []
        for t in range(8):
            frames = {k: v[t].clone() for k, v in clips.items()}
            if reuse:
                for k, buffer in buffers.items():
                    buffer.copy_(frames[k])
                frames = buffers
            with torch.no_grad():
                outputs, state = net.step(frames, state)
            seen.append({k: v.clone() for k, v in outputs.items()})
        return seen

    for a, b in zip(steps(reuse=False), steps(reuse=True)):
        assert all(torch.equal(a[k], b[k]) for k in a)


def test_training_on_a_stream_with_one_buffer_remembers_the_frames_it_saw():
    net = pvnet.nn.Network(random_graph(5).wire("predictive", stages=2)).eval()
    shape = next(n.shape for n in net.graph.nodes if n.op == "input")
    pieces = torch.randn(4, 1, shape[0], 4, *shape[1:], generator=torch.Generator().manual_seed(0))
    ages = torch.arange(16).reshape(4, 1, 4)

    def run(reuse):
        carried, buffer, seen = Carried(net), torch.empty_like(pieces[0]), []
        for piece, age in zip(pieces, ages):
            frames = buffer.copy_(piece) if reuse else piece.clone()
            with torch.no_grad():
                seen.append({k: v.clone() for k, v in carried(frames, age).items()})
        return seen

    for a, b in zip(run(reuse=False), run(reuse=True)):
        assert all(torch.equal(a[k], b[k]) for k in a)
