"""Backend "cuda" without a GPU: the contract on the machine for tests, by every executor; what it
says where it cannot run.
"""

from __future__ import annotations

import numpy as np
import pytest
from contract import EXECUTORS, Options, random_clip, random_network, run, verify_stream_contract
from random_graphs import random_graph, random_stages

import pvnet
from pvnet import _core


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("isa", ["shim", "shim-plain"])
def test_the_contract_holds_for_every_executor(executor: str, isa: str) -> None:
    graph = random_graph(EXECUTORS.index(executor))
    o = Options(("ref", "cpu", "cuda"), executor=executor, device_isas=(isa,), ticks=10)
    _core.seed_shim(EXECUTORS.index(executor))
    verify_stream_contract(graph, [2], o)
    assert _core.shim_refusals() == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60))
def test_the_contract_holds_on_random_graphs(seed: int) -> None:
    executor = EXECUTORS[seed % len(EXECUTORS)]
    o = Options(("ref", "cuda"), executor=executor, device_isas=("shim", "shim-plain"), seed=seed)
    graph = random_graph(seed)
    _core.seed_shim(seed)
    verify_stream_contract(graph, [1 + seed % 3], o)
    assert _core.shim_refusals() == []


def test_executors_give_the_same_bits() -> None:
    graph = random_graph(11)
    net = random_network(graph, 1)
    net.rewire("predictive", stages=random_stages(graph, 3, seed=11))
    clip = random_clip(graph, 2, 6, 2)
    results = [
        run(pvnet.compile(net, backend="cuda", isa="shim", batch=2, executor=e), clip)
        for e in EXECUTORS
    ]
    for other in results[1:]:
        for name, y in results[0].items():
            assert np.array_equal(other[name], y)


def test_a_snapshot_of_another_backend_is_refused() -> None:
    graph = random_graph(3)
    net = random_network(graph, 1)
    cpu = pvnet.compile(net, backend="cpu").stream()
    cuda = pvnet.compile(net, backend="cuda", isa="shim").stream()
    with pytest.raises(pvnet.errors.StateError, match="the snapshot belongs to another plan"):
        cuda.restore(cpu.snapshot())


def test_unknown_executors_are_named() -> None:
    net = random_network(random_graph(3), 1)
    with pytest.raises(pvnet.errors.InvalidArgumentError, match='"packed"'):
        pvnet.compile(net, backend="cuda", isa="shim", executor="fastest")
    with pytest.raises(pvnet.errors.InvalidArgumentError, match="has no executors"):
        pvnet.compile(net, backend="cpu", executor="wave")


def test_without_a_device_the_message_says_what_is_missing() -> None:
    [entry] = [b for b in pvnet.info()["backends"] if (b["name"], b["isa"]) == ("cuda", "sm80")]
    if entry["available"]:
        pytest.skip("a device is here")
    assert entry["why"].startswith("[find_backend] ")
    assert 'or use backend="cpu"' in entry["why"]
    with pytest.raises(pvnet.errors.UnsupportedError) as caught:
        pvnet.compile(random_network(random_graph(3), 1), backend="cuda")
    assert entry["why"] in str(caught.value)
