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
        if n.op == "act":
            return act(xs[0], a)
        if n.op == "upsample":
            mode = dict(mode="nearest") if a["mode"] == "nearest" else dict(mode="bilinear")
            return F.interpolate(xs[0], size=tuple(a["size"]), **mode)
        if n.op == "linear":
            w, b = self.weights[f"{n.name}.weight"], self.weights.get(f"{n.name}.bias")
            return act(F.linear(xs[0].flatten(1), w, b), a)[..., None, None]
        if n.op == "normalize":
            mean, std = (torch.tensor(a[k])[:, None, None].to(xs[0]) for k in ("mean", "std"))
            return (xs[0] - mean) / std
        assert n.op in ("delay", "feedback")
        return xs[0]

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
    }
    return table[attrs["act"]](x)
