// SPDX-License-Identifier: Apache-2.0
// Stateless kernels on borrowed arrays, for pvnet.ops: everything is float32 on the CPU, inputs
// have any strides, results are written into dense arrays of the caller, the GIL is released while
// computing. Every argument is checked here as well: a wrong call raises, it never reads or writes
// outside an array.
#include <pybind11/stl.h>

#include <limits>
#include <optional>

#include "backends/registry.hpp"
#include "python/array.hpp"
#include "python/gil.hpp"
#include "python/register.hpp"
#include "python/tensor_ops.hpp"

namespace pvnet::python {
namespace {

namespace py = pybind11;

// Raises where the instruction set that was asked for is not there: call it with the GIL.
const HostKernels& ops_kernels() {
  static const Backend* const backend = unwrap(find_backend("cpu", ""));
  return *backend->kernels;
}

[[noreturn]] void refuse(const std::string& where, const std::string& what, const std::string& got,
                         const std::string& expected, const std::string& cure) {
  raise_if_failed({Code::invalid_argument, "[" + where + "] " + what + ": got " + got +
                                               ", expected " + expected + ". " + cure + "."});
  throw py::error_already_set();  // not reached: the line above throws
}

void require_range(const std::string& where, const char* what, int64_t value, int64_t lo,
                   int64_t hi) {
  if (value >= lo && value <= hi) return;
  refuse(where, std::string(what) + " out of range", std::to_string(value),
         "a value from " + std::to_string(lo) + " to " + std::to_string(hi), "Change the argument");
}

constexpr int kMaxExtent = 1 << 15;  // of kernels, strides and axes: keeps every int product exact

void check_window(const std::string& where, const Window& w) {
  for (const int k : w.kernel) require_range(where, "kernel size", k, 1, kMaxExtent);
  for (const int s : w.stride) require_range(where, "stride", s, 1, kMaxExtent);
  for (const int d : w.dilation) require_range(where, "dilation", d, 1, kMaxExtent);
  for (const int p : w.padding) require_range(where, "padding", p, 0, kMaxExtent);
}

int out_extent(int64_t in, int kernel, int stride, int padding, int dilation) {
  const int64_t room = in + 2 * int64_t{padding} - int64_t{dilation} * (kernel - 1) - 1;
  return room < 0 ? 0 : static_cast<int>(room / stride + 1);
}

BorrowedArray borrow_f32(py::handle obj, const std::string& where) {
  BorrowedArray a = unwrap(borrow(obj, where));
  raise_if_failed(expect_dtype(a, DType::f32, where));
  return a;
}

// A dense copy where needed; `a` must stay alive.
class Dense {
 public:
  explicit Dense(const BorrowedArray& a) : data_(static_cast<const float*>(a.data)) {
    if (a.contiguous()) return;
    copy_.reserve(static_cast<size_t>(a.numel()));
    append(a, 0, data_);
    data_ = copy_.data();
  }
  const float* data() const { return data_; }

 private:
  void append(const BorrowedArray& a, int axis, const float* from) {
    if (axis == a.rank) {
      copy_.push_back(*from);
      return;
    }
    for (int64_t i = 0; i < a.shape[axis]; ++i) append(a, axis + 1, from + i * a.strides[axis]);
  }
  const float* data_;
  std::vector<float> copy_;
};

struct ClipInput {
  BorrowedArray array;
  Input input;
};

// clip: [b, c, t, h, w]
ClipInput borrow_clip(py::handle obj, const std::string& where) {
  ClipInput c{borrow_f32(obj, where + ": clip"), {}};
  const BorrowedArray& a = c.array;
  raise_if_failed(expect_shape(a, {-1, -1, -1, -1, -1}, where + ": clip"));
  for (const int axis : {1, 3, 4})
    require_range(where, "axis of clip", a.shape[axis], 1, kMaxExtent);
  Firings& f = c.input.firings;
  f.data = static_cast<float*>(a.data);
  f.row_stride = a.strides[0], f.firing_stride = a.strides[2];
  f.strides[0] = a.strides[1], f.strides[1] = a.strides[3], f.strides[2] = a.strides[4];
  f.c = static_cast<int>(a.shape[1]), f.h = static_cast<int>(a.shape[3]);
  f.w = static_cast<int>(a.shape[4]);
  c.input.rows = static_cast<int>(a.shape[0]), c.input.depth = a.shape[2];
  return c;
}

// ring: [d, b, c, h, w]
ClipInput borrow_ring(py::handle obj, const std::string& where) {
  ClipInput c{borrow_f32(obj, where + ": ring"), {}};
  const BorrowedArray& a = c.array;
  raise_if_failed(expect_shape(a, {-1, -1, -1, -1, -1}, where + ": ring"));
  for (const int axis : {2, 3, 4})
    require_range(where, "axis of ring", a.shape[axis], 1, kMaxExtent);
  Firings& f = c.input.firings;
  f.data = static_cast<float*>(a.data);
  f.row_stride = a.strides[1], f.firing_stride = a.strides[0];
  std::copy_n(a.strides + 2, 3, f.strides);
  f.c = static_cast<int>(a.shape[2]), f.h = static_cast<int>(a.shape[3]);
  f.w = static_cast<int>(a.shape[4]);
  c.input.rows = static_cast<int>(a.shape[1]), c.input.depth = a.shape[0];
  return c;
}

// Copies [b, c, h, w] of any strides.
void copy_frame(const float* src, const int64_t* src_strides, float* dst,
                const int64_t* dst_strides, const int64_t* shape) {
  for (int64_t b = 0; b < shape[0]; ++b) {
    for (int64_t c = 0; c < shape[1]; ++c) {
      for (int64_t y = 0; y < shape[2]; ++y) {
        const float* from = src + b * src_strides[0] + c * src_strides[1] + y * src_strides[2];
        float* to = dst + b * dst_strides[0] + c * dst_strides[1] + y * dst_strides[2];
        for (int64_t x = 0; x < shape[3]; ++x) to[x * dst_strides[3]] = from[x * src_strides[3]];
      }
    }
  }
}

// frame [b, c, h, w] into slot tick mod depth of ring.
void write_slot(const BorrowedArray& ring, int64_t tick, const BorrowedArray& frame,
                const std::string& where) {
  raise_if_failed(expect_writable(ring, where + ": ring"));
  raise_if_failed(expect_shape(frame, {ring.shape[1], ring.shape[2], ring.shape[3], ring.shape[4]},
                               where + ": frame"));
  require_range(where, "tick", tick, 0, std::numeric_limits<int64_t>::max());
  const GilReleased unlocked;
  copy_frame(static_cast<const float*>(frame.data), frame.strides,
             static_cast<float*>(ring.data) + tick % ring.shape[0] * ring.strides[0],
             ring.strides + 1, frame.shape);
}

// out: dense [b, c, t, h, w] of a clip, or [b, c, h, w] of a step.
Output clip_output(const BorrowedArray& out, const ClipInput& in, const Window& w, int channels,
                   const std::string& where) {
  const int64_t n = (in.input.depth + w.stride[0] - 1) / w.stride[0];
  Output o;
  o.c = channels;
  o.h = out_extent(in.input.firings.h, w.kernel[1], w.stride[1], w.padding[0], w.dilation[1]);
  o.w = out_extent(in.input.firings.w, w.kernel[2], w.stride[2], w.padding[1], w.dilation[2]);
  raise_if_failed(expect_shape(out, {in.input.rows, o.c, n, o.h, o.w}, where + ": out"));
  raise_if_failed(expect_writable(out, where + ": out"));
  if (!out.contiguous())
    refuse(where, "out has gaps", "strides that are not dense", "a dense array",
           "Allocate it with empty()");
  o.data = static_cast<float*>(out.data);
  o.firing_stride = int64_t{o.h} * o.w;
  o.channel_stride = n * o.firing_stride;
  o.row_stride = o.c * o.channel_stride;
  for (int64_t i = 0; i < n; ++i) o.ticks.push_back(i * w.stride[0]);
  return o;
}

Output step_output(BorrowedArray out, const ClipInput& ring, const Window& w, int channels,
                   int64_t tick, const std::string& where) {
  raise_if_failed(expect_rank(out, 4, where + ": out"));
  const int64_t needed = int64_t{w.kernel[0] - 1} * w.dilation[0] + 1;
  if (ring.input.depth < needed) {
    refuse(where, "ring too short", std::to_string(ring.input.depth) + " slots",
           "at least " + std::to_string(needed) + " slots",
           "Allocate (kernel_t - 1) * dilation_t + 1 slots");
  }
  // A step's output is a clip of one frame.
  ClipInput one{{}, ring.input};
  one.input.depth = 1;
  out.rank = 5;
  std::copy_backward(out.shape + 2, out.shape + 4, out.shape + 5);
  std::copy_backward(out.strides + 2, out.strides + 4, out.strides + 5);
  out.shape[2] = 1;
  Output o = clip_output(out, one, w, channels, where);
  o.ticks = {tick};
  return o;
}

struct Conv {
  BorrowedArray weight;
  std::optional<BorrowedArray> bias;
  int groups, out_c;
};

Conv borrow_conv(py::handle weight, py::handle bias, int groups, const ClipInput& in, Window& w,
                 const std::string& where) {
  Conv c{borrow_f32(weight, where + ": weight"), {}, groups, 0};
  require_range(where, "groups", groups, 1, in.input.firings.c);
  raise_if_failed(
      expect_shape(c.weight, {-1, in.input.firings.c / groups, -1, -1, -1}, where + ": weight"));
  for (const int axis : {0, 2, 3, 4}) {
    require_range(where, "axis of weight", c.weight.shape[axis], 1, kMaxExtent);
  }
  c.out_c = static_cast<int>(c.weight.shape[0]);
  if (in.input.firings.c % groups != 0 || c.out_c % groups != 0) {
    refuse(where, "groups do not divide the channels", std::to_string(groups) + " groups",
           "a divisor of " + std::to_string(in.input.firings.c) + " and " + std::to_string(c.out_c),
           "Change groups");
  }
  for (int i = 0; i < 3; ++i) w.kernel[i] = static_cast<int>(c.weight.shape[2 + i]);
  check_window(where, w);
  if (!bias.is_none()) {
    c.bias = borrow_f32(bias, where + ": bias");
    raise_if_failed(expect_shape(*c.bias, {c.out_c}, where + ": bias"));
  }
  return c;
}

void compute_conv(const ClipInput& in, const Window& w, const Conv& c, const Output& out,
                  int threads) {
  const HostKernels& kernels = ops_kernels();
  const GilReleased unlocked;
  const Dense weight(c.weight);
  std::vector<float> bias(c.out_c, 0.0f);
  for (int o = 0; c.bias && o < c.out_c; ++o) {
    bias[o] = static_cast<const float*>(c.bias->data)[o * c.bias->strides[0]];
  }
  run_conv(kernels, in.input, w, {weight.data(), bias.data(), c.groups}, out, threads);
}

using Three = std::array<int, 3>;
using Two = std::array<int, 2>;

void causal_conv3d(py::handle clip, py::handle weight, py::handle bias, py::handle out,
                   Three stride, Two padding, Three dilation, int groups, int threads) {
  const std::string where = "causal_conv3d";
  const ClipInput in = borrow_clip(clip, where);
  Window w{.stride = stride, .dilation = dilation, .padding = padding};
  const Conv conv = borrow_conv(weight, bias, groups, in, w, where);
  const BorrowedArray to = borrow_f32(out, where + ": out");
  compute_conv(in, w, conv, clip_output(to, in, w, conv.out_c, where), threads);
}

bool causal_conv3d_step(py::handle frame, py::handle ring, int64_t tick, py::handle weight,
                        py::handle bias, py::handle out, Three stride, Two padding, Three dilation,
                        int groups, int threads) {
  const std::string where = "causal_conv3d_step";
  const ClipInput in = borrow_ring(ring, where);
  Window w{.stride = stride, .dilation = dilation, .padding = padding};
  const Conv conv = borrow_conv(weight, bias, groups, in, w, where);
  const BorrowedArray to = borrow_f32(out, where + ": out");
  const Output o = step_output(to, in, w, conv.out_c, tick, where);
  write_slot(in.array, tick, borrow_f32(frame, where + ": frame"), where);
  if (tick % stride[0] != 0) return false;
  compute_conv(in, w, conv, o, threads);
  return true;
}

void causal_pool3d(py::handle clip, py::handle out, bool is_max, Three kernel, Three stride,
                   Two padding, bool count_include_pad, int threads) {
  const std::string where = is_max ? "causal_max_pool3d" : "causal_avg_pool3d";
  const ClipInput in = borrow_clip(clip, where);
  const Window w{.kernel = kernel, .stride = stride, .padding = padding};
  check_window(where, w);
  const BorrowedArray to = borrow_f32(out, where + ": out");
  const Output o = clip_output(to, in, w, in.input.firings.c, where);
  const HostKernels& kernels = ops_kernels();
  const GilReleased unlocked;
  run_pool(kernels, in.input, w, {is_max, count_include_pad}, o, threads);
}

bool causal_pool3d_step(py::handle frame, py::handle ring, int64_t tick, py::handle out,
                        bool is_max, Three kernel, Three stride, Two padding,
                        bool count_include_pad, int threads) {
  const std::string where = is_max ? "causal_max_pool3d_step" : "causal_avg_pool3d_step";
  const ClipInput in = borrow_ring(ring, where);
  const Window w{.kernel = kernel, .stride = stride, .padding = padding};
  check_window(where, w);
  const BorrowedArray to = borrow_f32(out, where + ": out");
  const Output o = step_output(to, in, w, in.input.firings.c, tick, where);
  write_slot(in.array, tick, borrow_f32(frame, where + ": frame"), where);
  if (tick % stride[0] != 0) return false;
  const HostKernels& kernels = ops_kernels();
  const GilReleased unlocked;
  run_pool(kernels, in.input, w, {is_max, count_include_pad}, o, threads);
  return true;
}

void ring_write(py::handle ring, int64_t tick, py::handle x) {
  const ClipInput in = borrow_ring(ring, "ring_write");
  write_slot(in.array, tick, borrow_f32(x, "ring_write: x"), "ring_write");
}

void ring_read(py::handle ring, int64_t tick, int64_t delay, py::handle out) {
  const std::string where = "ring_read";
  const ClipInput in = borrow_ring(ring, where);
  const BorrowedArray& r = in.array;
  require_range(where, "tick", tick, 0, std::numeric_limits<int64_t>::max());
  require_range(where, "delay", delay, 0, r.shape[0] - 1);
  const BorrowedArray to = borrow_f32(out, where + ": out");
  raise_if_failed(expect_writable(to, where + ": out"));
  raise_if_failed(
      expect_shape(to, {r.shape[1], r.shape[2], r.shape[3], r.shape[4]}, where + ": out"));
  const GilReleased unlocked;
  static constexpr float kZero = 0.0f;
  static constexpr int64_t kNoStrides[4] = {0, 0, 0, 0};
  const bool there = tick >= delay;
  const float* slot =
      there ? static_cast<const float*>(r.data) + (tick - delay) % r.shape[0] * r.strides[0]
            : &kZero;
  copy_frame(slot, there ? r.strides + 1 : kNoStrides, static_cast<float*>(to.data), to.strides,
             to.shape);
}

// What borrow() sees, for tests and for `pvnet info`.
py::dict describe_array(py::handle obj) {
  const BorrowedArray a = unwrap(borrow(obj, "describe_array"));
  py::dict d;
  d["dtype"] = to_string(a.dtype);
  d["shape"] = std::vector<int64_t>(a.shape, a.shape + a.rank);
  d["strides"] = std::vector<int64_t>(a.strides, a.strides + a.rank);
  d["readonly"] = a.readonly;
  d["address"] = reinterpret_cast<uintptr_t>(a.data);
  return d;
}

}  // namespace

void register_ops(py::module_& m) {
  py::module_ ops = m.def_submodule("ops", "Stateless float32 kernels; see pvnet.ops.");
  ops.def("causal_conv3d", causal_conv3d, py::arg("clip"), py::arg("weight"), py::arg("bias"),
          py::arg("out"), py::arg("stride"), py::arg("padding"), py::arg("dilation"),
          py::arg("groups"), py::arg("threads") = 1);
  ops.def("causal_conv3d_step", causal_conv3d_step, py::arg("frame"), py::arg("ring"),
          py::arg("tick"), py::arg("weight"), py::arg("bias"), py::arg("out"), py::arg("stride"),
          py::arg("padding"), py::arg("dilation"), py::arg("groups"), py::arg("threads") = 1);
  ops.def("causal_pool3d", causal_pool3d, py::arg("clip"), py::arg("out"), py::arg("is_max"),
          py::arg("kernel"), py::arg("stride"), py::arg("padding"), py::arg("count_include_pad"),
          py::arg("threads") = 1);
  ops.def("causal_pool3d_step", causal_pool3d_step, py::arg("frame"), py::arg("ring"),
          py::arg("tick"), py::arg("out"), py::arg("is_max"), py::arg("kernel"), py::arg("stride"),
          py::arg("padding"), py::arg("count_include_pad"), py::arg("threads") = 1);
  ops.def("ring_write", ring_write, py::arg("ring"), py::arg("tick"), py::arg("x"));
  ops.def("ring_read", ring_read, py::arg("ring"), py::arg("tick"), py::arg("delay"),
          py::arg("out"));
  ops.def("describe_array", describe_array, py::arg("array"));
  ops.def("backend", [] { return std::string(ops_kernels().name) + "/" + ops_kernels().isa; });
}

}  // namespace pvnet::python
