"""The contract on a device, with every executor."""

from __future__ import annotations

import contract
import numpy as np
import pytest
from contract import EXECUTORS, Options, cuts_of, verify_stream_contract
from devices import real, shim
from random_graphs import random_graph

import pvnet

SEEDS = range(4)
on_shim = pytest.param(
    "shim",
    marks=[pytest.mark.slow, *shim.marks],
)


@pytest.mark.parametrize("isa", [pytest.param("sm80", marks=pytest.mark.gpu), on_shim])
@pytest.mark.parametrize("executor", ["auto", *EXECUTORS])
@pytest.mark.parametrize("seed", SEEDS)
def test_random_graphs_keep_the_contract(isa: str, executor: str, seed: int) -> None:
    graph = random_graph(seed)
    options = Options(
        backends=("cuda",), device_isas=(isa,), executor=executor, lanes=(1, 2), seed=seed
    )
    verify_stream_contract(graph, cuts_of(graph, [1, 3]), options)


@pytest.mark.parametrize("options", [real, shim])
@pytest.mark.parametrize("dtype", ["bf16", "f16", "tf32"])
def test_executors_and_cuts_give_the_same_bits(options: dict, dtype: str) -> None:
    for seed in range(10, 16):
        graph = random_graph(seed)
        net = contract.random_network(graph, seed)
        clip = contract.random_clip(graph, 1, 10, seed)
        for k in cuts_of(graph, [1, 4]):
            net.rewire("predictive", stages=k)
            outs = [
                contract.run(pvnet.compile(net, dtype=dtype, executor=e, **options), clip)
                for e in EXECUTORS
            ]
            for e, out in zip(EXECUTORS[1:], outs[1:]):
                contract.assert_same(out, outs[0], f"{dtype} K={k} {e}")
            assert all(np.isfinite(y).all() for y in outs[0].values())
