// SPDX-License-Identifier: Apache-2.0
// Shape inference: one function per kind of op.
#include <algorithm>

#include "graph/errors.hpp"
#include "graph/infer.hpp"
#include "graph/limits.hpp"
#include "graph/size.hpp"

namespace pvnet {

namespace {

using Nodes = std::vector<Node>;

Status bad(const Node& n, std::string_view what, std::string_view got, std::string_view expected,
           std::string_view cure) {
  return failed(Code::graph, std::string("Graph.") + to_string(n.op),
                "node " + quoted(n.name) + " " + std::string(what), got, expected, cure);
}

std::string named_shape(const Node& n) { return quoted(n.name) + " " + text_of(n.shape); }

Status need(const Node& n, bool ok, const char* attribute) {
  if (ok) return {};
  return bad(n, std::string("lacks ") + attribute, "none", "a positive number",
             std::string("Give ") + attribute + ".");
}

Status count_inputs(const Node& n, size_t lo, size_t hi) {
  const size_t got = n.inputs.size();
  if (got >= lo && got <= hi) return {};
  return bad(n, "has a wrong number of inputs", std::to_string(got),
             lo == hi ? std::to_string(lo) : std::to_string(lo) + " to " + std::to_string(hi),
             hi == 1 ? "Join several values with concat or add first." : "Change its inputs.");
}

Status act_allowed(const Node& n) {
  if (n.op == Op::act) {
    if (n.attrs.act != Act::none) return {};
    return bad(n, "has no activation", "act 'none'", "relu, silu, softmax or another",
               "Give the kind of activation.");
  }
  if (n.attrs.act != Act::softmax) return {};
  return bad(n, "cannot apply this activation", "softmax", "any other",
             "Add an act node with softmax behind it.");
}

Status per_channel(const Node& n, const std::vector<float>& xs, const char* name, int c,
                   bool optional) {
  if ((optional && xs.empty()) || xs.size() == static_cast<size_t>(c)) return {};
  return bad(n, std::string("has a wrong number of ") + name + " values", std::to_string(xs.size()),
             std::to_string(c) + " (one per channel)", "Give one number per channel.");
}

Status mean_std(const Node& n, int c, bool optional) {
  PVNET_TRY(per_channel(n, n.attrs.mean, "mean", c, optional));
  PVNET_TRY(per_channel(n, n.attrs.std, "std", c, optional));
  for (const float s : n.attrs.std) {
    if (!(s > 0)) {
      return bad(n, "has a wrong std", std::to_string(s), "numbers above 0",
                 "Give the standard deviation of every channel.");
    }
  }
  return {};
}

// out = floor((in + pad + pad_end - dilation (kernel - 1) - 1) / stride) + 1, as torch.
Status window(const Node& n, const Node& in, Shape& out) {
  const Attrs& a = n.attrs;
  const int size[2] = {in.shape.h, in.shape.w};
  int result[2] = {0, 0};
  for (size_t i = 0; i < 2; ++i) {
    const char* side = i == 0 ? "height" : "width";
    const int64_t extent = int64_t{a.dilation[i + 1]} * (a.kernel[i + 1] - 1) + 1;
    const int64_t padded = int64_t{size[i]} + a.padding[i] + a.padding_end[i];
    if (padded < extent) {
      return bad(n, std::string("has a kernel larger than its padded input in ") + side,
                 "kernel extent " + std::to_string(extent) + " on input " + named_shape(in) +
                     " padded to " + std::to_string(padded),
                 "at most " + std::to_string(padded),
                 "Use a smaller kernel, more padding or a larger frame.");
    }
    const int64_t cells = (padded - extent) / a.stride[i + 1] + 1;
    if (cells > kMaxSide) {
      return bad(n, std::string("makes its output too large in ") + side, std::to_string(cells),
                 "at most " + std::to_string(kMaxSide), "Use less padding.");
    }
    result[i] = static_cast<int>(cells);
  }
  out.h = result[0];
  out.w = result[1];
  return {};
}

Status pool_padding(const Node& n) {
  for (size_t i = 0; i < 2; ++i) {
    if (n.attrs.padding[i] * 2 > n.attrs.kernel[i + 1]) {
      return bad(n, "has a padding that leaves windows without any pixel",
                 std::to_string(n.attrs.padding[i]),
                 "at most half of the kernel, " + std::to_string(n.attrs.kernel[i + 1] / 2),
                 "Use padding=\"same\" or a smaller number.");
    }
    if (n.attrs.padding_end[i] != n.attrs.padding[i] &&
        n.attrs.padding_end[i] >= n.attrs.kernel[i + 1]) {
      return bad(n, "has a padding_end that leaves windows without any pixel",
                 std::to_string(n.attrs.padding_end[i]),
                 "less than the kernel, " + std::to_string(n.attrs.kernel[i + 1]),
                 "Use a smaller number.");
    }
  }
  return {};
}

// Padding lies around the input in memory. Beyond the reach of the kernel it only adds rows and
// columns that are computed from zeros alone: as torch does, but no more of them than there are of
// the map.
Status conv_padding(const Node& n, const Node& in) {
  const Attrs& a = n.attrs;
  const int size[2] = {in.shape.h, in.shape.w};
  for (size_t i = 0; i < 2; ++i) {
    const int64_t extent = int64_t{a.dilation[i + 1]} * (a.kernel[i + 1] - 1) + 1;
    const int64_t most = std::max<int64_t>(extent, size[i]);
    const int padding = std::max(a.padding[i], a.padding_end[i]);
    if (padding <= most) continue;
    return bad(
        n, std::string("has more padding than map and kernel in ") + (i == 0 ? "height" : "width"),
        std::to_string(padding) + " around " + named_shape(in),
        "at most " + std::to_string(most) + ", the larger of the map and the kernel's extent",
        "Use padding=\"same\" or a smaller number.");
  }
  const int h = std::max(a.padding[0], a.padding_end[0]);
  const int w = std::max(a.padding[1], a.padding_end[1]);
  const Size padded =
      Size(in.shape.c) * (in.shape.h + 2 * int64_t{h}) * (in.shape.w + 2 * int64_t{w});
  if (padded.at_most(kMaxElements)) return {};
  return bad(n, "reads a map that is too large with its padding",
             named_shape(in) + " padded by " + std::to_string(h) + " and " + std::to_string(w) +
                 ", " + padded.text() + " values",
             "at most " + std::to_string(kMaxElements), "Use less padding or a smaller map.");
}

Status check_work(const Node& n, Size weights, Size macs) {
  if (!weights.at_most(kMaxWeights)) {
    return bad(n, "has too many weights", weights.text(), "at most " + std::to_string(kMaxWeights),
               "Use fewer channels or a smaller kernel.");
  }
  if (!macs.at_most(kMaxMacs)) {
    return bad(n, "has too many multiply-adds", macs.text(), "at most " + std::to_string(kMaxMacs),
               "Use fewer channels or a smaller map.");
  }
  return {};
}

Status conv(const Nodes& nodes, Node& n) {
  const Attrs& a = n.attrs;
  const Node& in = nodes[static_cast<size_t>(n.inputs[0].src)];
  PVNET_TRY(need(n, a.out > 0, "out"));
  if (in.shape.c % a.groups != 0 || a.out % a.groups != 0) {
    return bad(
        n, "has groups that do not divide its channels",
        "groups=" + std::to_string(a.groups) + " with input " + named_shape(in) +
            " and out=" + std::to_string(a.out),
        "a common divisor of " + std::to_string(in.shape.c) + " and " + std::to_string(a.out),
        "Change groups or the number of channels.");
  }
  n.shape.c = a.out;
  PVNET_TRY(conv_padding(n, in));
  PVNET_TRY(window(n, in, n.shape));
  Size weights = Size(in.shape.c / a.groups) * a.out;
  for (const int k : a.kernel) weights = weights * k;
  const Size macs = weights * n.shape.h * n.shape.w;
  PVNET_TRY(check_work(n, weights, macs));
  n.macs = macs.value();
  return {};
}

Status linear(const Nodes& nodes, Node& n) {
  const Shape& in = nodes[static_cast<size_t>(n.inputs[0].src)].shape;
  PVNET_TRY(need(n, n.attrs.out > 0, "out"));
  n.shape = {n.attrs.out, 1, 1};
  const Size weights = Size(in.c) * in.h * in.w * n.attrs.out;
  PVNET_TRY(check_work(n, weights, weights));
  n.macs = weights.value();
  return {};
}

Status concat(const Nodes& nodes, Node& n) {
  const Node& first = nodes[static_cast<size_t>(n.inputs[0].src)];
  int64_t channels = 0;
  for (const Edge& e : n.inputs) {
    const Node& in = nodes[static_cast<size_t>(e.src)];
    if (in.shape.h != first.shape.h || in.shape.w != first.shape.w) {
      return bad(n, "joins values of different height or width",
                 named_shape(first) + " and " + named_shape(in), "the same height and width",
                 "Pool or upsample one of them first.");
    }
    channels += in.shape.c;
  }
  if (channels > kMaxChannels) {
    return bad(n, "has too many channels", std::to_string(channels),
               "at most " + std::to_string(kMaxChannels), "Join fewer values.");
  }
  n.shape = {static_cast<int>(channels), first.shape.h, first.shape.w};
  return {};
}

Status add(const Nodes& nodes, Node& n) {
  const Node& first = nodes[static_cast<size_t>(n.inputs[0].src)];
  for (const Edge& e : n.inputs) {
    const Node& in = nodes[static_cast<size_t>(e.src)];
    if (!(in.shape == first.shape)) {
      return bad(n, "adds values of different shapes",
                 named_shape(first) + " and " + named_shape(in),
                 "one shape [channels, height, width]",
                 "Project with a 1x1 conv3d, pool or upsample one of them first.");
    }
  }
  n.shape = first.shape;
  return {};
}

Status mul(const Nodes& nodes, Node& n) {
  n.shape = {1, 1, 1};
  for (const Edge& e : n.inputs) {
    const Shape& in = nodes[static_cast<size_t>(e.src)].shape;
    n.shape = {std::max(n.shape.c, in.c), std::max(n.shape.h, in.h), std::max(n.shape.w, in.w)};
  }
  for (const Edge& e : n.inputs) {
    const Node& in = nodes[static_cast<size_t>(e.src)];
    const Shape& s = in.shape;
    const bool map = (s.h == n.shape.h && s.w == n.shape.w) || (s.h == 1 && s.w == 1);
    const bool channels = s.c == n.shape.c || s.c == 1;
    if (!map || !channels) {
      const std::string c = std::to_string(n.shape.c);
      const std::string hw = std::to_string(n.shape.h) + ", " + std::to_string(n.shape.w) + "]";
      return bad(n, "multiplies values that cannot be broadcast", named_shape(in),
                 "[" + c + ", " + hw + ", [" + c + ", 1, 1] or [1, " + hw,
                 "Project, pool or upsample it first.");
    }
  }
  return {};
}

Status dispatch(const Nodes& nodes, Node& n) {
  const Attrs& a = n.attrs;
  const size_t most = n.op == Op::concat                   ? static_cast<size_t>(kMaxInputs)
                      : n.op == Op::add || n.op == Op::mul ? static_cast<size_t>(kMaxEltInputs)
                                                           : 1;
  const size_t least = n.op == Op::input ? 0 : most == size_t{kMaxEltInputs} ? 2 : 1;
  PVNET_TRY(count_inputs(n, least, n.op == Op::input ? 0 : most));
  const Node* in = n.op == Op::input || n.op == Op::feedback
                       ? nullptr
                       : &nodes[static_cast<size_t>(n.inputs[0].src)];
  n.macs = 0;
  switch (n.op) {
    case Op::input:
    case Op::feedback:
      PVNET_TRY(need(n, a.channels > 0, "channels"));
      PVNET_TRY(need(n, a.height > 0, "height"));
      PVNET_TRY(need(n, a.width > 0, "width"));
      n.shape = {a.channels, a.height, a.width};
      if (n.op == Op::input) return mean_std(n, a.channels, true);
      if (a.ticks < 1) {
        return bad(n, "closes a cycle without delay", "ticks=0", "ticks of at least 1",
                   "Give ticks=1 or more.");
      }
      return {};
    case Op::conv3d:
      PVNET_TRY(act_allowed(n));
      return conv(nodes, n);
    case Op::max_pool:
    case Op::avg_pool:
      n.shape.c = in->shape.c;
      PVNET_TRY(pool_padding(n));
      return window(n, *in, n.shape);
    case Op::global_pool:
      n.shape = {in->shape.c, 1, 1};
      return {};
    case Op::concat:
      return concat(nodes, n);
    case Op::add:
      PVNET_TRY(act_allowed(n));
      return add(nodes, n);
    case Op::mul:
      PVNET_TRY(act_allowed(n));
      return mul(nodes, n);
    case Op::act:
      n.shape = in->shape;
      return act_allowed(n);
    case Op::upsample:
      PVNET_TRY(need(n, a.size[0] > 0 && a.size[1] > 0, "size"));
      n.shape = {in->shape.c, a.size[0], a.size[1]};
      return {};
    case Op::linear:
      PVNET_TRY(act_allowed(n));
      return linear(nodes, n);
    case Op::normalize:
      n.shape = in->shape;
      n.macs = int64_t{n.shape.c} * n.shape.h * n.shape.w;
      return mean_std(n, n.shape.c, false);
    case Op::delay:
      n.shape = in->shape;
      return {};
  }
  return {};
}

}  // namespace

Status infer_shape(std::vector<Node>& nodes, int index) {
  Node& n = nodes[static_cast<size_t>(index)];
  PVNET_TRY(dispatch(nodes, n));
  const Size elements = Size(n.shape.c) * n.shape.h * n.shape.w;
  if (!elements.at_most(kMaxElements)) {
    return bad(n, "has too many values", text_of(n.shape),
               "at most " + std::to_string(kMaxElements) + " values",
               "Use fewer channels or a smaller map.");
  }
  return {};
}

}  // namespace pvnet
