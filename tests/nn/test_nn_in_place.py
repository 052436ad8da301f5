"""from_torch and writes in place: what another name of a map reads is what eager torch reads."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from random_in_place import CHANNELS, SIZE, RandomInPlace
from torch import nn

from pvnet.errors import UnsupportedError
from pvnet.nn import from_torch


class Written(nn.Module):
    """Writes into a map while a view of it is held."""

    def __init__(self, name):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.register_buffer("seen", torch.zeros(1, 4, 6, 6))
        self.name = name

    def forward(self, x):
        return PROGRAMS[self.name](self, x)


def view_then_relu(m, x):
    a = m.conv(x)
    v = a.view(a.shape[0], -1)
    F.relu_(a)
    return v


def relu_of_the_view(m, x):
    a = m.conv(x)
    F.relu_(a.view(a.shape[0], -1))
    return a


def relu_of_the_frame(m, x):
    y = x.detach()
    m.relu(x)
    return m.conv(y)


def sum_into_a_flat_view(m, x):
    a, b = m.conv(x), m.conv(torch.sigmoid(x))
    v = a.flatten(1)
    a += b
    b.mul_(a)
    return v, b, a


def norm_after_an_alias(m, x):
    a = m.conv(x)
    v = a.detach()
    m.relu(m.norm(a))
    y = m.norm(v)
    m.relu(y)
    return v, y


def out_of_an_alias(m, x):
    a, b = m.conv(x), m.conv(torch.sigmoid(x))
    v = b[:]
    torch.add(a, b, out=b)
    return v


def copied_over(m, x):
    a, b = m.conv(x), m.conv(torch.sigmoid(x))
    v = a.reshape(a.shape[0], -1)
    a.copy_(b)
    b.sigmoid_()
    return v


def part_of_a_map(m, x):
    a = m.conv(x)
    F.relu_(a[:, :2])
    return a


def chunk_of_a_map(m, x):
    a = m.conv(x)
    a.chunk(2, 1)[1].sigmoid_()
    return a


def state_of_the_module(m, x):
    m.seen.add_(m.conv(x))
    return m.conv(x)


def statistics_of_the_batch(m, x):
    return F.batch_norm(m.conv(x), m.norm.running_mean, m.norm.running_var, training=True)


PROGRAMS = {
    f.__name__: f
    for f in (
        *(view_then_relu, relu_of_the_view, relu_of_the_frame, sum_into_a_flat_view),
        *(norm_after_an_alias, out_of_an_alias, copied_over, part_of_a_map, chunk_of_a_map),
        *(state_of_the_module, statistics_of_the_batch),
    )
}
REFUSED = ("part_of_a_map", "chunk_of_a_map", "state_of_the_module", "statistics_of_the_batch")


def same_as_eager(module, channels: int, size: int) -> bool:
    """False where from_torch refuses; fails where it computes something else."""
    clip = torch.randn(1, channels, 3, size, size)
    with torch.no_grad():
        frames = [module(clip[:, :, t].clone()) for t in range(3)]
    try:
        net = from_torch(module, clip[:, :, 0].clone())
    except UnsupportedError:
        return False
    found = list(net(clip).values())
    for t, frame in enumerate(frames):
        expected = frame if isinstance(frame, tuple) else (frame,)
        for y, e in zip(found, expected, strict=True):
            torch.testing.assert_close(y[:, :, t].reshape(e.shape), e, rtol=1e-4, atol=1e-4)
    return True


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_is_written_through_another_name_is_followed_or_refused(name):
    torch.manual_seed(0)
    module = Written(name).eval()
    assert same_as_eager(module, 3, 6) == (name not in REFUSED)


def converted(seeds: range) -> int:
    """Of random programs, how many from_torch takes; fails where one computes something else."""
    count = 0
    for seed in seeds:
        module = RandomInPlace(seed).eval()
        count += same_as_eager(module, CHANNELS, SIZE)
    return count


def test_random_writes_in_place_are_followed_or_refused():
    assert converted(range(20)) >= 10


@pytest.mark.slow
def test_many_random_writes_in_place_are_followed_or_refused():
    assert converted(range(20, 800)) >= 400
