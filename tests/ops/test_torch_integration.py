"""opcheck, torch.compile, torch.export and gradients of every torch.ops.pvnet operation."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch.library import opcheck  # noqa: E402

from pvnet import ops  # noqa: E402
from pvnet.errors import InvalidArgumentError  # noqa: E402
from pvnet.ops.library import SCHEMAS  # noqa: E402


def rand(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def leaf(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return rand(*shape, dtype=dtype).requires_grad_()


WINDOW = ([2, 1, 2], [1, 1])
CONV = (*WINDOW, [2, 1, 1], 2)
CLIP, FRAME, RING, WEIGHT = (2, 4, 5, 6, 5), (2, 4, 6, 5), (5, 2, 4, 6, 5), (6, 2, 3, 3, 3)


def samples(name):
    f32 = torch.float32
    if name == "causal_conv3d":
        yield rand(*CLIP), rand(*WEIGHT), rand(6), *CONV
        yield leaf(*CLIP, dtype=f32), leaf(*WEIGHT, dtype=f32), leaf(6, dtype=f32), *CONV
        yield leaf(*CLIP), leaf(*WEIGHT), None, *CONV
    elif name == "causal_conv3d_step":
        yield rand(*FRAME), rand(*RING), 4, rand(*WEIGHT), rand(6), *CONV
        yield rand(*FRAME), rand(*RING), 3, rand(*WEIGHT), None, *CONV
    elif name == "ring_write":
        yield rand(*RING), 7, rand(*FRAME)
    elif name == "ring_read":
        yield rand(*RING), 7, 2
        yield rand(*RING), 1, 2
    elif name.endswith("_step"):
        yield rand(*FRAME), rand(*RING), 4, [3, 3, 2], *WINDOW
    else:
        yield rand(*CLIP), [3, 3, 2], *WINDOW
        yield leaf(*CLIP, dtype=f32), [3, 3, 2], *WINDOW


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SCHEMAS)
def test_ops_pass_the_checks_of_torch(name):
    op = getattr(torch.ops.pvnet, name).default
    for args in samples(name):
        opcheck(op, args)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("groups", [1, 2])
def test_gradients_of_convolutions_are_right(bias, groups):
    clip, weight = leaf(1, 2, 4, 3, 3), leaf(2, 2 // groups, 2, 2, 2)
    inputs = (clip, weight, leaf(2)) if bias else (clip, weight)

    def fn(*args):
        window = {"stride": (2, 1, 1), "padding": 1, "dilation": (2, 1, 1)}
        return ops.causal_conv3d(*args, **window, groups=groups)

    assert torch.autograd.gradcheck(fn, inputs)
    assert torch.autograd.gradgradcheck(fn, inputs, fast_mode=True)


@pytest.mark.parametrize("pool", [ops.causal_max_pool3d, ops.causal_avg_pool3d])
def test_gradients_of_pools_are_right(pool):
    clip = leaf(1, 1, 4, 3, 3)

    def fn(x):
        return pool(x, (2, 2, 2), stride=(2, 1, 1), padding=1)

    assert torch.autograd.gradcheck(fn, (clip,))
    assert torch.autograd.gradgradcheck(fn, (clip,), fast_mode=True)


def test_float32_gradients_are_those_of_torch():
    """The forward runs in the core, the backward in torch."""
    results = []
    for fn in (ops.causal_conv3d, ops.reference.causal_conv3d_ref):
        clip, weight, bias = (leaf(*s, dtype=torch.float32) for s in (CLIP, (6, 4, 3, 3, 3), (6,)))
        y = fn(clip, weight, bias, stride=(1, 2, 1), padding=(1, 1))
        y.backward(rand(*y.shape))
        results.append((clip.grad, weight.grad, bias.grad))
    for got, expected in zip(*results, strict=True):
        torch.testing.assert_close(got, expected)


def test_only_the_gradients_asked_for():
    clip, weight = rand(*CLIP), leaf(6, 4, 3, 3, 3, dtype=torch.float32)
    ops.causal_conv3d(clip, weight).sum().backward()
    assert weight.grad is not None
    assert clip.grad is None


def test_steps_in_torch_carry_the_gradients_of_the_clip():
    shapes = (1, 2, 6, 3, 3), (2, 2, 3, 2, 2)
    window = {"stride": (2, 1, 1), "padding": (1, 1), "dilation": (2, 1, 1)}
    grads = []
    for by_steps in (False, True):
        clip, weight = (leaf(*s) for s in shapes)
        if by_steps:
            ring = torch.zeros(5, 1, 2, 3, 3, dtype=torch.float64)
            pairs = [
                ops.reference.causal_conv3d_step_ref(clip[:, :, t], ring, t, weight, **window)
                for t in range(6)
            ]
            y = torch.stack([y for y, valid in pairs if valid.all()], 2)
        else:
            y = ops.causal_conv3d(clip, weight, **window)
        (y**2).sum().backward()
        grads.append((clip.grad, weight.grad))
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)


def test_steps_refuse_gradients_but_not_parameters_without_grad_mode():
    frame, ring = rand(1, 2, 3, 3), torch.zeros(1, 1, 2, 3, 3)
    weight = torch.nn.Parameter(rand(2, 2, 1, 1, 1))
    with pytest.raises(InvalidArgumentError, match="no gradients through this operation"):
        ops.causal_conv3d_step(frame, ring, 0, weight)
    with torch.no_grad():
        y, _ = ops.causal_conv3d_step(frame, ring, 0, weight)
    assert not y.requires_grad


def layer(clip, frame, ring, tick, weight, bias):
    """Every operation once; what a compiled model does."""
    y = ops.causal_conv3d(clip, weight, bias, stride=(2, 1, 1), padding=1).relu()
    y = ops.causal_max_pool3d(y, (2, 2, 2), stride=(1, 2, 2))
    y = ops.causal_avg_pool3d(y, (2, 1, 1), padding=0) + 1
    z, valid = ops.causal_conv3d_step(frame, ring, tick, weight, bias, padding=1)
    return y, z * 2, valid, ops.ring_read(ring, tick, 1)


def inputs():
    return rand(2, 4, 5, 6, 6), rand(6, 4, 3, 3, 3), rand(6), torch.zeros(3, 2, 4, 6, 6)


def check_compiled(backend):
    clip, weight, bias, ring = inputs()
    eager_ring = ring.clone()
    compiled = torch.compile(layer, fullgraph=True, backend=backend)
    for tick in range(5):
        got = compiled(clip, clip[:, :, tick], ring, tick, weight, bias)
        expected = layer(clip, clip[:, :, tick], eager_ring, tick, weight, bias)
        for a, b in zip(got, expected, strict=True):
            torch.testing.assert_close(a, b)
        assert torch.equal(ring, eager_ring)


@pytest.mark.filterwarnings("ignore")
def test_compiled_ops_are_one_graph_for_every_tick():
    torch._dynamo.reset()
    with torch._dynamo.config.patch(recompile_limit=4):  # a changing tick must not recompile
        check_compiled("aot_eager")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_inductor_computes_what_eager_mode_does():
    torch._dynamo.reset()
    check_compiled("inductor")


@pytest.mark.filterwarnings("ignore")
def test_compiled_gradients_are_those_of_eager_mode():
    torch._dynamo.reset()

    def loss(clip, weight, bias):
        y = ops.causal_conv3d(clip, weight, bias, stride=(2, 1, 1), padding=1)
        return ops.causal_max_pool3d(y, (2, 2, 2)).square().mean()

    grads = []
    for fn in (loss, torch.compile(loss, fullgraph=True, backend="aot_eager")):
        tensors = [x.clone().requires_grad_() for x in inputs()[:3]]
        fn(*tensors).backward()
        grads.append([x.grad for x in tensors])
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.filterwarnings("ignore")
def test_exported_programs_keep_our_ops_and_write_the_ring():
    class Layer(torch.nn.Module):
        def forward(self, clip, frame, ring, weight, bias):
            return layer(clip, frame, ring, 4, weight, bias)

    clip, weight, bias, ring = inputs()
    args = (clip, clip[:, :, 4], ring, weight, bias)
    program = torch.export.export(Layer(), args)
    targets = {str(n.target) for n in program.graph.nodes}
    assert {"pvnet.causal_conv3d.default", "pvnet.causal_conv3d_step.default"} <= targets
    eager_ring, exported_ring = ring.clone(), ring.clone()
    got = program.module()(clip, clip[:, :, 4], exported_ring, weight, bias)
    expected = Layer()(clip, clip[:, :, 4], eager_ring, weight, bias)
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b)
    assert torch.equal(exported_ring, eager_ring)


def test_fake_tensors_give_shapes_and_never_reach_the_core():
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        clip, weight = torch.empty(CLIP), torch.empty(WEIGHT)
        y = ops.causal_conv3d(clip, weight, groups=2, stride=(2, 1, 1))
        assert y.shape == (2, 6, 3, 4, 3)
        z, valid = ops.causal_max_pool3d_step(torch.empty(FRAME), torch.empty(RING), 3, (2, 3, 3))
        assert z.shape == (2, 4, 4, 3)
        assert valid.dtype == torch.bool
        with pytest.raises(InvalidArgumentError, match="groups do not divide"):
            ops.causal_conv3d(clip, weight, groups=3)


@pytest.mark.gpu
def test_cuda_runs_as_plain_torch():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    clip, weight, bias, ring = (x.cuda() for x in inputs())
    expected = layer(*(x.cpu() for x in (clip, clip[:, :, 0], ring)), 3, weight.cpu(), bias.cpu())
    got = layer(clip, clip[:, :, 0], ring, 3, weight, bias)
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a.cpu(), b, rtol=1e-2, atol=1e-2)  # TF32 convolutions
