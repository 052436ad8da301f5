"""NaN and infinity inside a network: the table of docs/architecture.md, on every backend, on the
torch twin and in pvnet.ops. Frames and weights are finite, so products that overflow make them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

import pvnet
from pvnet.nn.frames import ACTIVATIONS
from pvnet.nn.operations import OPERATIONS

F = torch.nn.functional
DOCS = Path(__file__).parents[2] / "docs" / "architecture.md"
C, H, W, TICKS = 19, 7, 6, 6
ISAS = [b["isa"] for b in pvnet.info()["backends"] if b["name"] == "cpu" and b["available"]]
ENGINES = [("ref", None), *(("cpu", isa) for isa in ISAS)]
ACTS = (
    *("relu", "silu", "sigmoid", "relu6", "leaky_relu", "elu", "hard_sigmoid", "hard_swish"),
    *("gelu", "gelu_tanh", "tanh", "softplus", "mish"),
)
SPECIALS = {"nan": (np.nan,), "inf": (np.inf, -np.inf), "mixed": (np.nan, np.inf, -np.inf)}

CASES = {
    "max_pool": lambda g, x: g.max_pool(x, kernel=(1, 3, 3), stride=(1, 2, 2)),
    "max_pool of 2 x 2": lambda g, x: g.max_pool(x, kernel=(1, 2, 2), padding=(0, 0)),
    "max_pool over time": lambda g, x: g.max_pool(x, kernel=(3, 3, 3)),
    "max_pool of 4 x 5": lambda g, x: g.max_pool(x, kernel=(1, 4, 5), padding=(2, 2)),
    "avg_pool": lambda g, x: g.avg_pool(x, kernel=(2, 3, 3)),
    "avg_pool inside": lambda g, x: g.avg_pool(x, kernel=(1, 3, 3), count_include_pad=False),
    "global_pool": lambda g, x: g.global_pool(x, window=2),
    "upsample nearest": lambda g, x: g.upsample(x, scale=2),
    "upsample bilinear": lambda g, x: g.upsample(x, scale=2, mode="bilinear"),
    "upsample one side": lambda g, x: g.upsample(x, size=(H, 2 * W), mode="bilinear"),
    "upsample to the same size": lambda g, x: g.upsample(x, size=(H, W), mode="bilinear"),
    "upsample by corners": lambda g, x: g.upsample(
        x, size=(2 * H, W), mode="bilinear", align_corners=True
    ),
    "pad": lambda g, x: g.pad(x, (1, 2), padding_end=(0, -1)),
    "pad reflect": lambda g, x: g.pad(x, (1, 2), mode="reflect"),
    "channel_select": lambda g, x: g.channel_select(x, [1, 0, 0]),
    "space_to_depth": lambda g, x: g.space_to_depth(g.pad(x, 0, padding_end=(H % 2, W % 2)), 2),
    "depth_to_space": lambda g, x: g.depth_to_space(g.concat([x, x, x, x]), 2),
    "group_norm": lambda g, x: g.group_norm(x, C),
    "group_norm of all": lambda g, x: g.group_norm(x, 1, act="relu"),
    "layer_norm": lambda g, x: g.layer_norm(x),
    "normalize": lambda g, x: g.normalize(x, mean=(0.1,) * C, std=(2.0,) * C),
    "add": lambda g, x: g.add([x, g.delay(x, 1), x], act="relu"),
    "sub": lambda g, x: g.sub(x, g.delay(x, 1)),
    "div": lambda g, x: g.div(x, g.add([g.act(x, "sigmoid"), g.act(g.delay(x, 1), "sigmoid")])),
    "scale": lambda g, x: g.scale(x, act="relu"),
    "prelu": lambda g, x: g.prelu(x),
    "mul": lambda g, x: g.mul([x, g.act(g.global_pool(x), "sigmoid"), g.delay(x, 2)]),
    "concat": lambda g, x: g.concat([x, g.delay(x, 1)]),
    "delay": lambda g, x: g.delay(x, 2),
    "feedback": lambda g, x: g.add([x, g.feedback("y", like=(C, H, W))], act="relu", name="y"),
    "conv3d": lambda g, x: g.conv3d(x, 5, kernel=(2, 3, 3)),
    "conv3d of groups": lambda g, x: g.conv3d(x, 2 * C, kernel=(1, 3, 3), groups=C),
    "conv3d depthwise": lambda g, x: g.conv3d(x, C, kernel=(2, 3, 3), groups=C, act="relu"),
    "conv3d with a norm": lambda g, x: g.conv3d(x, 5, kernel=1, norm=True, act="relu"),
    "linear": lambda g, x: g.linear(x, 5, act="relu"),
    **{f"act {a}": lambda g, x, a=a: g.act(x, a) for a in (*ACTS, "softmax")},
    **{
        f"conv3d with {a}": lambda g, x, a=a: g.conv3d(x, 5, kernel=(1, 3, 3), act=a)
        for a in ACTS
    },
}


def kinds(x: np.ndarray) -> np.ndarray:
    """0 a finite number, 1 and -1 infinite, 2 a NaN."""
    return np.where(np.isnan(x), 2, np.where(np.isinf(x), np.sign(x), 0)).astype(int)


def assert_same_kinds(got: np.ndarray, want: np.ndarray, what: str) -> None:
    wrong = kinds(got) != kinds(want)
    assert not wrong.any(), f"{what}: {wrong.sum()} of {wrong.size} differ"
    finite = np.isfinite(want)
    np.testing.assert_allclose(got[finite], want[finite], rtol=2e-4, atol=2e-4, err_msg=what)


def special_clip(special: str, seed: int = 0) -> np.ndarray:
    """[1, c, t, h, w], some values of which are not finite."""
    rng = np.random.default_rng(seed)
    clip = rng.standard_normal((1, C, TICKS, H, W)).astype(np.float32)
    where = rng.random(clip.shape) < 0.01
    clip[where] = rng.choice(SPECIALS[special], where.sum())
    return clip


def as_finite(clip: np.ndarray) -> dict[str, np.ndarray]:
    """Finite factors whose product is the clip."""
    sign = np.where(np.isneginf(clip), -3e38, 3e38)
    ten = np.where(np.isfinite(clip), 1, 10)
    factors = np.where(np.isfinite(clip), clip, sign), ten, np.where(np.isnan(clip), 0, 1)
    return {name: f.astype(np.float32) for name, f in zip("abc", factors)}


def network(case: str) -> pvnet.nn.Network:
    g = pvnet.Graph()
    x = g.mul([g.input(name, channels=C, height=H, width=W) for name in "abc"])
    g.output(CASES[case](g, x), name="out")
    torch.manual_seed(0)
    return pvnet.nn.Network(g).eval()


@pytest.fixture
def exact_gelu(monkeypatch: pytest.MonkeyPatch) -> None:
    """With AVX-512, torch's float32 gelu makes NaN of infinity, and only that one."""
    if torch.isnan(F.gelu(torch.full((64,), torch.inf))).any():
        double = lambda x, _: F.gelu(x.double()).float()  # noqa: E731
        monkeypatch.setitem(ACTIVATIONS, "gelu", double)


def test_every_operation_is_tried() -> None:
    tried = {n.op for case in CASES for n in network(case).graph.nodes} - {"input", "output"}
    assert tried == set(OPERATIONS)


@pytest.mark.usefixtures("exact_gelu")
@pytest.mark.parametrize("special", SPECIALS)
@pytest.mark.parametrize("case", CASES)
def test_a_nan_inside_a_network_is_handed_on_as_torch_does(case: str, special: str) -> None:
    net = network(case)
    frames = as_finite(special_clip(special))
    clip = {k: torch.from_numpy(v) for k, v in frames.items()}
    with torch.no_grad():
        want = net(clip)["out"].numpy()
    assert special == "inf" or (kinds(want) == 2).any()  # or the case would show nothing
    assert_same_kinds(net(clip)["out"].detach().numpy(), want, "twin with gradients")
    for backend, isa in ENGINES:
        stream = pvnet.compile(net, backend=backend, isa=isa, lanes=2, pin=False).stream()
        ticks = [stream.tick({k: v[:, :, t] for k, v in frames.items()}) for t in range(TICKS)]
        got = np.stack([tick["out"] for tick in ticks], axis=2)
        assert_same_kinds(got, want, f"{backend}/{isa}")


OPS = {
    "max": (pvnet.ops.causal_max_pool3d, pvnet.ops.causal_max_pool3d_step, F.max_pool3d),
    "avg": (pvnet.ops.causal_avg_pool3d, pvnet.ops.causal_avg_pool3d_step, F.avg_pool3d),
}


@pytest.mark.parametrize("special", SPECIALS)
@pytest.mark.parametrize("kernel", [(1, 2, 2), (1, 3, 3), (2, 4, 5), (3, 1, 1)])
@pytest.mark.parametrize("op", OPS)
def test_a_nan_in_a_pool_op_is_handed_on_as_torch_does(op, kernel, special) -> None:
    pool, step, oracle = OPS[op]
    clip = torch.from_numpy(special_clip(special))
    padding = (kernel[1] // 2, kernel[2] // 2)
    past = F.pad(clip, (0, 0, 0, 0, kernel[0] - 1, 0))
    want = oracle(past, kernel, 1, (0, *padding)).numpy()
    assert_same_kinds(pool(clip, kernel, padding=padding).numpy(), want, "clip")
    ring = torch.zeros(kernel[0], *clip[:, :, 0].shape)
    frames = [step(clip[:, :, t], ring, t, kernel, padding=padding)[0] for t in range(TICKS)]
    assert_same_kinds(torch.stack(frames, 2).numpy(), want, "steps")


@pytest.mark.parametrize("special", SPECIALS)
def test_a_nan_in_a_convolution_op_is_handed_on_as_torch_does(special: str) -> None:
    torch.manual_seed(0)
    clip, weight = torch.from_numpy(special_clip(special)), torch.randn(4, C, 2, 3, 3)
    want = F.conv3d(F.pad(clip, (0, 0, 0, 0, 1, 0)), weight, padding=(0, 1, 1)).numpy()
    got = pvnet.ops.causal_conv3d(clip, weight, padding=(1, 1))
    assert_same_kinds(got.numpy(), want, "clip")
    ring = torch.zeros(2, *clip[:, :, 0].shape)
    step = pvnet.ops.causal_conv3d_step
    frames = [step(clip[:, :, t], ring, t, weight, padding=(1, 1))[0] for t in range(TICKS)]
    assert_same_kinds(torch.stack(frames, 2).numpy(), want, "steps")


def test_the_table_of_the_docs_has_every_operation_and_activation() -> None:
    text = DOCS.read_text(encoding="utf-8")
    table = text[text.index("## NaN and infinity") :].split("\n## ")[0]
    named = set(re.findall(r"`(\w+)`", table))
    assert set(OPERATIONS) | set(ACTIVATIONS) - {"none"} <= named
