"""Mutated documents through the whole Python path: an error of the house form or a sound graph."""

from __future__ import annotations

import random

from graph_specs import random_graph
from test_graph_build import FORM

import pvnet
from pvnet.errors import PvnetError


def mutate(rng: random.Random, data: bytearray) -> bytes:
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data))
        match rng.randrange(4):
            case 0:
                data[at] = rng.randrange(256)
            case 1:
                data[at : at + rng.randrange(5)] = b""
            case 2:
                data[at:at] = str(rng.randrange(10**7)).encode()
            case _:
                begin = rng.randrange(len(data))
                data[at:at] = data[begin : begin + rng.randrange(20)]
    return bytes(data)


def test_mutated_documents_never_crash() -> None:
    rng = random.Random(4)
    seeds = [random_graph(i).wire("predictive", stages=1).to_json() for i in range(20)]
    accepted = 0
    for i in range(4000):
        text = mutate(rng, bytearray(seeds[i % len(seeds)], "utf-8"))
        try:
            graph = pvnet.Graph.from_json(text.decode("utf-8", "replace"))
            graph.describe()
        except PvnetError as error:
            assert FORM.match(str(error)), str(error)  # noqa: PT017
        else:
            accepted += 1
            assert pvnet.Graph.from_json(graph.to_json()) == graph
    assert accepted > 20
