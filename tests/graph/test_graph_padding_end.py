"""Padding of two sides: shapes as torch has them, limits, refusals."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import pvnet
from pvnet.errors import GraphError, InvalidArgumentError

F = torch.nn.functional
SIDES = st.tuples(*[st.tuples(st.integers(0, 4), st.integers(0, 4))] * 2)


def start() -> pvnet.Graph:
    graph = pvnet.Graph()
    graph.input("frame", channels=4, height=9, width=8)
    return graph


@settings(max_examples=60, deadline=None)
@given(padding=SIDES, kernel=st.integers(1, 4), stride=st.integers(1, 3))
def test_shapes_are_those_of_a_padded_map(padding, kernel, stride) -> None:
    (top, bottom), (left, right) = padding
    x = F.pad(torch.empty(1, 4, 9, 8), (left, right, top, bottom))
    node = start().conv3d("frame", 3, kernel=(1, kernel, kernel), stride=(1, stride, stride),
                          padding=padding)  # fmt: skip
    want = F.conv2d(x, torch.empty(3, 4, kernel, kernel), stride=stride)
    assert node.shape == tuple(want.shape[1:])
    attrs = node.info.attrs
    assert (attrs["padding"], attrs["padding_end"]) == ([top, left], [bottom, right])


def test_equal_sides_are_what_they_were() -> None:
    graph = start()
    one = graph.conv3d("frame", 3, kernel=(1, 3, 5), padding=(1, 2), name="a").info.attrs
    two = graph.conv3d("frame", 3, kernel=(1, 3, 5), padding=((1, 1), (2, 2)), name="b").info.attrs
    assert one == two
    assert "padding_end" not in graph.to_json()


def test_windows_without_a_pixel_are_refused() -> None:
    graph = start()
    graph.max_pool("frame", kernel=(1, 2, 2), stride=2, padding=((0, 1), (0, 1)))
    for pool in (graph.max_pool, graph.avg_pool):
        with pytest.raises(GraphError, match="padding_end that leaves windows without any pixel"):
            pool("frame", kernel=(1, 2, 2), padding=((0, 2), (0, 0)))
        with pytest.raises(GraphError, match="padding that leaves windows without any pixel"):
            pool("frame", kernel=(1, 2, 2), padding=((2, 0), (0, 0)))


def test_more_padding_than_map_and_kernel_is_refused() -> None:
    with pytest.raises(GraphError, match="more padding than map and kernel in height: got 10"):
        start().conv3d("frame", 3, kernel=3, padding=((0, 10), (0, 0)))


@pytest.mark.parametrize(
    "padding", [((0, 1),), ((0, 1), 2), ((0, 1, 2), (0, 1)), ((0, 1), (0, "1"))]
)
def test_a_padding_of_another_form_is_refused(padding) -> None:
    with pytest.raises(InvalidArgumentError, match="padding"):
        start().conv3d("frame", 3, kernel=3, padding=padding)
