"""The semantics of a graph written down once more, as naively as possible, in float64 and without
any code of pvnet.nn: value(node, tick) by recursion, temporal taps summed one by one."""

from __future__ import annotations

import torch
import torch.nn.functional as F


class Oracle:
    """Values of every node at every tick for one clip, from a graph and a state dict."""

    def __init__(self, graph, weights, clip):
        self.nodes = {n.name: n for n in graph.nodes}
        self.outputs = [(o.name, (o.node, o.delay)) for o in graph.outputs]
        self.weights, self.clip = weights, clip
        self.memo = {}

    def output(self, name):
        """[b, c, t, h, w], or [b, c, t] where h = w = 1."""
        node, delay = dict(self.outputs)[name]
        y = torch.stack([self.value(node, t - delay) for t in range(self.clip.shape[2])], dim=2)
        return y[..., 0, 0] if y.shape[3:] == (1, 1) else y

    def value(self, name, tick):
        n = self.nodes[name]
        if tick < n.clock.origin:
            return self.clip.new_zeros(self.clip.shape[0], *n.shape)
        last = tick - (tick - n.clock.origin) % n.clock.period
        if (name, last) not in self.memo:
            self.memo[name, last] = self.compute(n, last)
        return self.memo[name, last]

    def tap(self, n, edge, tick, back):
        m = self.nodes[edge.node]
        firing = (tick - edge.delay - m.clock.origin) // m.clock.period - back
        if firing < 0:
            return self.clip.new_zeros(self.clip.shape[0], *m.shape)
        return self.value(edge.node, m.clock.origin + firing * m.clock.period)

    def compute(self, n, tick):
        if n.op == "input":
            return self.clip[:, :, tick]
        a, edge = n.attrs, n.inputs[0]
        xs = [self.tap(n, e, tick, 0) for e in n.inputs]
        if n.op == "conv3d":
            return self.conv3d(n, tick)
        if n.op in ("max_pool", "avg_pool"):
            taps = [self.tap(n, edge, tick, i) for i in range(a["kernel"][0])]
            args = dict(kernel_size=a["kernel"][1:], stride=a["stride"][1:])
            if n.op == "max_pool":
                taps = [pad(x, a, -torch.inf) for x in taps]
                return torch.stack([F.max_pool2d(x, **args) for x in taps]).amax(0)
            sums = [F.avg_pool2d(pad(x, a, 0.0), **args, divisor_override=1) for x in taps]
            ones = pad(torch.ones_like(taps[0]), a, float(a["count_include_pad"]))
            return sum(sums) / len(taps) / F.avg_pool2d(ones, **args, divisor_override=1)
        if n.op == "global_pool":
            taps = [self.tap(n, edge, tick, i) for i in range(a["window"])]
            return (sum(taps) / a["window"]).mean((2, 3), keepdim=True)
        if n.op == "concat":
            return torch.cat(xs, 1)
        if n.op == "add":
            return act(sum(xs[1:], xs[0]), a)
        if n.op == "mul":
            y = xs[0]
            for x in xs[1:]:
                y = y * x
            return act(y, a)
        if n.op in ("sub", "div"):
            return act(xs[0] - xs[1] if n.op == "sub" else xs[0] / xs[1], a)
        if n.op in ("scale", "prelu"):
            w = self.weights[f"{n.name}.weight"][:, None, None]
            if n.op == "prelu":
                return xs[0].clamp(min=0) + w * xs[0].clamp(max=0)
            bias = self.weights[f"{n.name}.bias"] if a["bias"] else torch.zeros_like(w)
            return act(xs[0] * w + bias.reshape(-1, 1, 1), a)
        if n.op == "act":
            return act(xs[0], a)
        if n.op == "upsample":
            mode = dict(mode=a["mode"])
            if a["mode"] == "bilinear":
                mode["align_corners"] = a["align_corners"]
            return F.interpolate(xs[0], size=tuple(a["size"]), **mode)
        if n.op == "linear":
            w, b = self.weights[f"{n.name}.weight"], self.weights.get(f"{n.name}.bias")
            return act(F.linear(xs[0].flatten(1), w, b), a)[..., None, None]
        if n.op == "normalize":
            mean, std = (torch.tensor(a[k])[:, None, None].to(xs[0]) for k in ("mean", "std"))
            return (xs[0] - mean) / std
        if n.op in MOVES:
            return MOVES[n.op](a, xs[0])
        if n.op in ("group_norm", "layer_norm"):
            return act(self.norm(n, xs[0]), a)
        assert n.op in ("delay", "feedback")
        return xs[0]

    def norm(self, n, x):
        """By its definition: x as [b, what is normalised apart, what is normalised together]."""
        w, b = (self.weights[f"{n.name}.{k}"][:, None, None] for k in ("weight", "bias"))
        if n.op == "layer_norm":
            apart = x.permute(0, 2, 3, 1).flatten(1, 2)
        else:
            apart = x.reshape(x.shape[0], n.attrs["groups"], -1)
        mean = apart.mean(2, keepdim=True)
        variance = ((apart - mean) ** 2).mean(2, keepdim=True)
        y = (apart - mean) / torch.sqrt(variance + n.attrs["norm_eps"])
        if n.op == "layer_norm":
            y = y.reshape(x.shape[0], *x.shape[2:], x.shape[1]).permute(0, 3, 1, 2)
        return y.reshape(x.shape) * w + b

    def conv3d(self, n, tick):
        a, w = n.attrs, self.weights[f"{n.name}.weight"]
        kt = a["kernel"][0]
        y = 0
        for i in range(kt):
            y = y + F.conv2d(
                pad(self.tap(n, n.inputs[0], tick, i * a["dilation"][0]), a, 0.0),
                w[:, :, kt - 1 - i],
                None,
                a["stride"][1:],
                0,
                a["dilation"][1:],
                a["groups"],
            )
        bias = self.weights.get(f"{n.name}.bias")
        if bias is not None:
            y = y + bias[:, None, None]
        if a["norm"]:
            key = f"{n.name}.norm."
            mean, var, g, b = (
                self.weights[key + k][:, None, None]
                for k in ("running_mean", "running_var", "weight", "bias")
            )
            y = (y - mean) / torch.sqrt(var + a["norm_eps"]) * g + b
        return act(y, a)


def moved_pad(a, x):
    """Pixel by pixel."""
    (top, left), (bottom, right) = a["padding"], a["padding_end"]
    rows = [source(a, i - top, x.shape[2]) for i in range(x.shape[2] + top + bottom)]
    columns = [source(a, i - left, x.shape[3]) for i in range(x.shape[3] + left + right)]
    y = x.new_full((*x.shape[:2], len(rows), len(columns)), a["value"])
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            if row is not None and column is not None:
                y[:, :, i, j] = x[:, :, row, column]
    return y


def source(a, at, n):
    """Where a padded coordinate lies along a side of n, or None."""
    if 0 <= at < n:
        return at
    nearest = min(max(at, 0), n - 1)
    return {"zeros": None, "replicate": nearest, "reflect": 2 * nearest - at}[a["pad_mode"]]


def depth_to_space(a, x):
    b = a["block"]
    y = x.reshape(x.shape[0], x.shape[1] // (b * b), b, b, *x.shape[2:])
    y = y.permute(0, 1, 4, 2, 5, 3)
    return y.reshape(x.shape[0], y.shape[1], x.shape[2] * b, x.shape[3] * b)


def space_to_depth(a, x):
    b = a["block"]
    y = [x[:, c : c + 1, i::b, j::b] for c in range(x.shape[1]) for i in range(b) for j in range(b)]
    return torch.cat(y, 1)


MOVES = {
    "pad": moved_pad,
    "channel_select": lambda a, x: torch.stack([x[:, i] for i in a["index"]], 1),
    "depth_to_space": depth_to_space,
    "space_to_depth": space_to_depth,
}


def pad(x, a, value):
    (top, left), (bottom, right) = a["padding"], a["padding_end"]
    return F.pad(x, (left, right, top, bottom), value=value)


def act(x, attrs):
    inf = float("inf")
    low, high = (attrs.get(k, inf) for k in ("act_low", "act_high"))
    table = {
        "relu": torch.relu,
        "silu": lambda v: v * torch.sigmoid(v),
        "sigmoid": torch.sigmoid,
        "softmax": lambda v: torch.softmax(v, 1),
        "clamp": lambda v: v.clamp(-inf if low is None else low, inf if high is None else high),
        "none": lambda v: v,
        "leaky_relu": lambda v: torch.where(v > 0, v, attrs["act_slope"] * v),
        "elu": lambda v: torch.where(v > 0, v, attrs["act_slope"] * torch.expm1(v)),
        "hard_sigmoid": lambda v: (v + 3).clamp(0, 6) / 6,
        "hard_swish": lambda v: v * (v + 3).clamp(0, 6) / 6,
        "gelu": lambda v: v / 2 * torch.special.erfc(-v / 2**0.5),
        "gelu_tanh": lambda v: v * torch.sigmoid((8 / torch.pi) ** 0.5 * (v + 0.044715 * v**3)),
        "tanh": torch.tanh,
        "softplus": lambda v: torch.log1p(torch.exp(v)),
        "mish": lambda v: v * torch.tanh(torch.log1p(torch.exp(v))),
    }
    return table[attrs["act"]](x)
