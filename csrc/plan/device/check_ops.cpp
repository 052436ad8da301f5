// SPDX-License-Identifier: Apache-2.0
// Operations: which node's work each does, with what parameters, and where its weights, floats and
// sums of splits lie.
#include <algorithm>
#include <bit>

#include "backends/backend.hpp"
#include "backends/device_layout.hpp"
#include "plan/device/checks.hpp"
#include "plan/op_params.hpp"

namespace pvnet::device {
namespace {

// What an operation is told of the node's work.
struct Work {
  int kind = PV_CONV, variant = 0;
  int in_h = 0, in_w = 0;
  int kh = 1, kw = 1, sh = 1, sw = 1, ph = 0, pw = 0, dh = 1, dw = 1;
};

Work work_of(const Plan& plan, const PlanOp& of) {
  const OpParams& p = *of.params;
  const Attrs& a = p.attrs;
  const Shape& in = plan.values[static_cast<size_t>(of.operands[0][0].value)].shape;
  const Shape& out = plan.values[static_cast<size_t>(of.out_value)].shape;
  Work w;
  w.in_h = in.h, w.in_w = in.w;
  const bool pool = p.op == Op::max_pool || p.op == Op::avg_pool;
  if (pool) {
    w.kind = PV_POOL;
    w.variant = p.op == Op::max_pool ? PV_MAX : a.count_include_pad ? PV_MEAN : PV_MEAN_INSIDE;
  } else if (p.op == Op::global_pool) {
    w.kind = PV_GLOBAL_POOL;
  } else if (p.op == Op::upsample) {
    w.kind = PV_UPSAMPLE;
    w.variant = a.mode == Interp::bilinear ? PV_BILINEAR : PV_NEAREST;
  } else if (p.op == Op::normalize) {
    w.kind = PV_NORMALIZE;
  } else if (p.op == Op::act && a.act == Act::softmax) {
    w.kind = PV_SOFTMAX;
  } else if (p.op == Op::add || p.op == Op::mul || p.op == Op::act) {
    w.kind = PV_ELTWISE;
    w.variant = p.op == Op::add ? PV_ADD : p.op == Op::mul ? PV_MUL : PV_COPY;
    w.in_h = out.h, w.in_w = out.w;
  } else {
    const ConvShape& c = p.conv;
    const bool each = c.groups != 1 && c.groups == c.in_c && c.in_c == c.out_c;
    w.kind = each ? PV_DEPTHWISE : PV_CONV;
    w.kh = c.kh, w.kw = c.kw, w.dh = c.dh, w.dw = c.dw;
    w.sh = c.sh, w.sw = c.sw, w.ph = c.ph, w.pw = c.pw;
    return w;
  }
  if (pool) {
    w.kh = a.kernel[1], w.kw = a.kernel[2], w.sh = a.stride[1], w.sw = a.stride[2];
    w.ph = a.padding[0], w.pw = a.padding[1];
  }
  return w;
}

class Ops {
 public:
  Ops(const Plan& plan, const Program& program, ReadsCheck& reads)
      : plan_(plan),
        program_(program),
        reads_(reads),
        plain_(is_plain_isa(plan.backend->isa)),
        claimed_(program.floats.size(), false) {}

  Status run() {
    if (program_.plan_op.size() != program_.ops.size()) {
      return wrong("operations", static_cast<int64_t>(program_.plan_op.size()),
                   static_cast<int64_t>(program_.ops.size()));
    }
    PVNET_TRY(inputs());
    size_t next = 0;
    for (size_t i = 0; i < plan_.ops.size(); ++i) PVNET_TRY(node(static_cast<int>(i), next));
    if (next != program_.ops.size()) {
      return wrong("operations", static_cast<int64_t>(program_.ops.size()),
                   static_cast<int64_t>(next));
    }
    return totals();
  }

 private:
  const Plan& plan_;
  const Program& program_;
  ReadsCheck& reads_;
  const bool plain_;
  std::vector<bool> claimed_;  // floats
  int64_t weights_ = 0, cells_ = 0, counters_ = 0;

  // The operations of an op of the plan.
  Status node(int plan_op, size_t& next) {
    const PlanOp& of = plan_.ops[static_cast<size_t>(plan_op)];
    const Work w = work_of(plan_, of);
    const bool conv = w.kind == PV_CONV || w.kind == PV_DEPTHWISE;
    const bool cores = w.kind == PV_CONV && !plain_ && fits_tensor_cores(plan_, of);
    const int parts = cores ? of.params->conv.groups : 1;
    if (conv && of.packed_offset != weights_) {
      return wrong("packed weights of an op", of.packed_offset, weights_);
    }
    for (int part = 0; part < parts; ++part, ++next) {
      if (next >= program_.ops.size() || program_.plan_op[next] != plan_op) {
        return wrong("operation " + std::to_string(next), "of another op", std::to_string(plan_op));
      }
      const pv_op& op = program_.ops[next];
      PVNET_TRY(shape(op, of, w, part, parts));
      PVNET_TRY(reads_.write(op.write, of.out_value));
      PVNET_TRY(operands(op, of, w, part * op.in_c));
      PVNET_TRY(cores ? check_cut(plan_, op, of, part * op.in_c, reads_) : simple_tile(op));
      PVNET_TRY(memory(op, of));
    }
    return {};
  }

  Status shape(const pv_op& op, const PlanOp& of, const Work& w, int part, int parts) const {
    const Shape& out = plan_.values[static_cast<size_t>(of.out_value)].shape;
    const bool conv = w.kind == PV_CONV || w.kind == PV_DEPTHWISE;
    const ConvShape& c = of.params->conv;
    const bool cores = w.kind == PV_CONV && !plain_ && fits_tensor_cores(plan_, of);
    const bool simple = plain_ || (w.kind == PV_CONV && !cores);
    const bool plain_conv = w.kind == PV_CONV && !cores;
    const int in_c = conv ? c.in_c / parts : out.c;
    if (op.kind != w.kind || op.variant != w.variant || op.plain != (simple ? 1 : 0) ||
        op.act != act(of.params->attrs.act) || op.groups != (plain_conv ? c.groups : 1)) {
      return wrong("kind of an operation", op.kind, w.kind);
    }
    const Attrs& a = of.params->attrs;
    const bool clamp = a.act == Act::clamp;
    if (!same(op.act_a, clamp ? a.act_low : 0) || !same(op.act_b, clamp ? a.act_high : 0)) {
      return wrong("numbers of an activation", "others", "the node's");
    }
    if (op.in_c != in_c || op.in_h != w.in_h || op.in_w != w.in_w || op.out_c != out.c / parts ||
        op.out_h != out.h || op.out_w != out.w || op.out_c0 != part * (out.c / parts) ||
        op.out_value != of.out_value) {
      return wrong("shape of an operation", "another", "the node's");
    }
    if (op.kt != of.taps || op.kh != w.kh || op.kw != w.kw || op.sh != w.sh || op.sw != w.sw ||
        op.ph != w.ph || op.pw != w.pw || op.dh != w.dh || op.dw != w.dw) {
      return wrong("window of an operation", "another", "the node's");
    }
    return {};
  }
  static bool same(float a, double b) {
    return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(static_cast<float>(b));
  }
  static int act(Act a) {
    constexpr int kActs[] = {PV_NONE, PV_RELU, PV_SILU, PV_SIGMOID, PV_NONE, PV_CLAMP};
    return kActs[static_cast<int>(a)];
  }

  Status operands(const pv_op& op, const PlanOp& of, const Work& w, int lo) {
    if (w.kind == PV_ELTWISE) return reads_.eltwise(op, of);
    return reads_.pieces(op.piece0, op.n_pieces, of.operands[0], of.taps, of.dilation, lo,
                         lo + op.in_c);
  }

  // Bits do not depend on it.
  static Status simple_tile(const pv_op& op) {
    constexpr int64_t kMost = int64_t{1} << 24;  // outputs that a block counts
    const bool inside = op.tile_h >= 1 && op.tile_h <= op.out_h && op.tile_w >= 1 &&
                        op.tile_w <= op.out_w && op.tile_c >= 1 && op.tile_c <= op.out_c;
    if (!inside || int64_t{op.tile_h} * op.tile_w > kMost / op.tile_c) {
      return wrong("tile of an operation", "none of its map", "one");
    }
    const bool unused = op.patch0 == 0 && op.n_patches == 0 && op.patch_h == 0 && op.patch_w == 0 &&
                        op.patch_w_magic == 0 && op.pixel_bytes == 0 && op.patch_bytes == 0 &&
                        op.patch_buffers == 0 && op.steps_per_row == 0 && op.steps_per_patch == 0 &&
                        op.splits == 1;
    if (!unused) return wrong("patches of a simple operation", "some", "none");
    return {};
  }

  Status memory(const pv_op& op, const PlanOp& of) {
    const Dtype dtype = plan_.values[static_cast<size_t>(op.out_value)].dtype;
    const bool conv = op.kind == PV_CONV || op.kind == PV_DEPTHWISE;
    if (op.weights != (conv ? weights_ / 16 : 0)) {
      return wrong("weights of an operation", op.weights, conv ? weights_ / 16 : 0);
    }
    if (conv) {
      const int64_t window = int64_t{op.kt} * op.kh * op.kw;
      int64_t bytes = window * op.out_c * (op.in_c / op.groups) * element_bytes(dtype);
      if (op.kind == PV_DEPTHWISE) bytes = window * ((op.out_c + 7) / 8 * 8) * 4;
      if (op.kind == PV_CONV && op.plain == 0) {
        bytes = int64_t{(op.out_c + PV_TILE_N - 1) / PV_TILE_N} * op.n_patches *
                op.steps_per_patch * PV_TILE_N * PV_K_BYTES;
      }
      weights_ += (bytes + 127) / 128 * 128;
      PVNET_TRY(claim(op.floats, (op.out_c + 1) / 2 * 2));
    } else if (op.kind == PV_NORMALIZE) {
      PVNET_TRY(scales(op.floats, of.params->scale, of.params->shift));
    } else if (op.floats != 0) {
      return wrong("floats of an operation", op.floats, 0);
    }
    return sums(op);
  }

  // Sums of splits: cells and counters of its own.
  Status sums(const pv_op& op) {
    const bool split = op.splits > 1;
    if (op.partial0 != (split ? cells_ : 0) || op.counter0 != (split ? counters_ : 0)) {
      return wrong("sums of splits", op.partial0, split ? cells_ : 0);
    }
    if (!split) return {};
    const int64_t tiles = int64_t{(op.out_h + op.tile_h - 1) / op.tile_h} *
                          ((op.out_w + op.tile_w - 1) / op.tile_w) *
                          ((op.out_c + op.tile_c - 1) / op.tile_c) * plan_.options.batch;
    cells_ += tiles * op.splits;
    counters_ += tiles;
    return {};
  }

  // Floats that nobody else has; pairs of them, so that no gap is left.
  Status claim(int64_t at, int64_t count) {
    const auto all = static_cast<int64_t>(claimed_.size());
    if (at % 2 != 0 || at < 0 || at > all - count) {
      return wrong("floats of an operation", at, all - count);
    }
    for (int64_t i = at; i < at + count; ++i) {
      if (claimed_[static_cast<size_t>(i)]) return wrong("owners of a float", 2, 1);
      claimed_[static_cast<size_t>(i)] = true;
    }
    return {};
  }

  Status scales(int64_t at, const std::vector<float>& scale, const std::vector<float>& shift) {
    PVNET_TRY(claim(at, static_cast<int64_t>(scale.size() + shift.size())));
    const float* const found = program_.floats.data() + at;
    const auto same = [](float a, float b) {
      return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
    };
    if (std::equal(scale.begin(), scale.end(), found, same) &&
        std::equal(shift.begin(), shift.end(), found + scale.size(), same)) {
      return {};
    }
    return wrong("scales of a normalisation", "others", "the plan's");
  }

  Status inputs() {
    for (size_t i = 0; i < program_.inputs.size(); ++i) {
      PVNET_TRY(scales(program_.inputs[i].floats, plan_.input_scale[i], plan_.input_shift[i]));
    }
    return {};
  }

  Status totals() const {
    if (std::find(claimed_.begin(), claimed_.end(), false) != claimed_.end()) {
      return wrong("floats", "some of no use", "none");
    }
    if (program_.weight_bytes != weights_) {
      return wrong("bytes of weights", program_.weight_bytes, weights_);
    }
    if (static_cast<int64_t>(plan_.packed.size()) != weights_) {
      return wrong("packed weights", static_cast<int64_t>(plan_.packed.size()), weights_);
    }
    const int64_t floats = cells_ * PV_TILE_M * PV_TILE_N;
    if (program_.partial_floats != floats) {
      return wrong("floats of sums of splits", program_.partial_floats, floats);
    }
    if (program_.counters != counters_) return wrong("counters", program_.counters, counters_);
    return {};
  }
};

}  // namespace

Status check_ops(const Plan& plan, const Program& program, ReadsCheck& reads) {
  return Ops(plan, program, reads).run();
}

}  // namespace pvnet::device
