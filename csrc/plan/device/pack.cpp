// SPDX-License-Identifier: Apache-2.0
#include "plan/device/pack.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "backends/layout.hpp"
#include "graph/errors.hpp"
#include "model/weight_source.hpp"
#include "plan/device/conv_tile.hpp"
#include "plan/device/number.hpp"
#include "plan/device/tables.hpp"
#include "plan/fold.hpp"
#include "plan/op_params.hpp"

namespace pvnet::device {
namespace {

// Of one operation of the device: writes elements at byte offsets.
class Packing {
 public:
  Packing(const Program& program, const pv_op& op, const float* weight, std::byte* to)
      : op_(op),
        dtype_(program.dtype),
        element_(program.dtype == PV_F16 || program.dtype == PV_BF16 ? 2 : 4),
        window_(static_cast<size_t>(op.kh) * static_cast<size_t>(op.kw)),
        weight_(weight + static_cast<size_t>(op.out_c0) * per_channel()),
        to_(to) {}

  bool finite() const { return finite_; }

  void plain() {
    const size_t n = static_cast<size_t>(op_.out_c) * per_channel();
    for (size_t i = 0; i < n; ++i) put(i * element_, weight_[i], false);
  }

  // [kt][kh][kw][channels rounded up to 8], f32
  void depthwise() {
    const size_t channels = (static_cast<size_t>(op_.out_c) + 7) / 8 * 8, places = per_channel();
    for (size_t c = 0; c < static_cast<size_t>(op_.out_c); ++c) {
      for (size_t i = 0; i < places; ++i) {
        std::memcpy(to_ + (i * channels + c) * sizeof(float), weight_ + c * places + i,
                    sizeof(float));
      }
    }
  }

  // Patch by patch, in the order of Tables::patches().
  void tensor_cores(const PlanOp& of, int lo) {
    const bool folded = op_.pixel_bytes != PV_K_BYTES;
    const int most = folded ? kNarrowChannels : PV_K_BYTES / static_cast<int>(element_);
    int patch = 0, first_channel = 0;
    for_segments(of.operands[0], lo, lo + op_.in_c, [&](const Segment&, int, int channels) {
      for (int tap = 0; tap < of.taps; ++tap) {
        for (int c = 0; c < channels; c += most, ++patch) {
          pack_patch(patch, first_channel + c, std::min(most, channels - c), tap);
        }
      }
      first_channel += channels;
    });
  }

 private:
  const pv_op& op_;
  const pv_dtype dtype_;
  const size_t element_;
  const size_t window_;
  const float* const weight_;  // of the operation's first channel
  std::byte* const to_;
  bool finite_ = true;

  // Weights of an output channel.
  size_t per_channel() const {
    const int in_c = op_.kind == PV_DEPTHWISE ? 1 : op_.in_c / op_.groups;
    return static_cast<size_t>(in_c) * static_cast<size_t>(op_.kt) * window_;
  }

  void put(size_t at, float x, bool cores) {
    const uint32_t bits = stored(x, dtype_, cores);
    finite_ = finite_ && is_finite(bits, dtype_);
    if (element_ == 4) {
      std::memcpy(to_ + at, &bits, 4);
    } else {
      const auto half = static_cast<uint16_t>(bits);
      std::memcpy(to_ + at, &half, 2);
    }
  }

  // Channels [c, c + channels) of the operation at a tap.
  void pack_patch(int patch, int c, int channels, int tap) {
    const size_t taps = static_cast<size_t>(op_.kt);
    for (int o = 0; o < op_.out_c; ++o) {
      const int block = o / PV_TILE_N, row = o % PV_TILE_N;
      const size_t first_step =
          (static_cast<size_t>(block) * op_.n_patches + patch) * op_.steps_per_patch;
      for (int i = 0; i < channels; ++i) {
        const float* from =
            weight_ + static_cast<size_t>(o) * per_channel() +
            (static_cast<size_t>(c + i) * taps + static_cast<size_t>(tap)) * window_;
        for (int ky = 0; ky < op_.kh; ++ky) {
          for (int kx = 0; kx < op_.kw; ++kx, ++from) {
            const Place at = place(kx, i);
            const size_t step = first_step + static_cast<size_t>(ky * op_.steps_per_row + at.step);
            put(step * PV_TILE_N * PV_K_BYTES + swizzled(row, at.byte), *from, true);
          }
        }
      }
    }
  }

  // Where channel i of place kx of the window's row lies: k-step of the row, byte of the step.
  struct Place {
    int step;
    size_t byte;
  };
  Place place(int kx, int i) const {
    if (op_.pixel_bytes == PV_K_BYTES) return {kx, static_cast<size_t>(i) * element_};
    const size_t byte = static_cast<size_t>(kx) * static_cast<size_t>(op_.pixel_bytes) +
                        static_cast<size_t>(i) * element_;
    return {static_cast<int>(byte / PV_K_BYTES), byte % PV_K_BYTES};
  }
  static size_t swizzled(int row, size_t byte) {
    const size_t piece = byte / 16 ^ static_cast<size_t>((row >> 1) & 3);
    return static_cast<size_t>(row) * PV_K_BYTES + piece * 16 + byte % 16;
  }
};

}  // namespace

Status pack(Plan& plan, const WeightSource& source, Program& program) {
  Folded folded;
  NodeWeights node_weights(source);
  int of_before = -1;
  for (size_t i = 0; i < program.ops.size(); ++i) {
    const pv_op& op = program.ops[i];
    const int plan_op = program.plan_op[i];
    PlanOp& of = plan.ops[static_cast<size_t>(plan_op)];
    const Node& node = plan.graph.nodes()[static_cast<size_t>(of.node)];
    if (channel_floats(of.params->op, op.out_c) > 0) {
      const Result<const Weights*> weights = node_weights.of(node);
      if (!weights.ok()) return weights.status();
      PVNET_TRY(fold_channels(node, *weights.value(), program.floats.data() + op.floats));
    }
    if (op.kind != PV_CONV && op.kind != PV_DEPTHWISE) continue;
    if (plan_op != of_before) {  // the operations of its groups come in a row
      const Result<const Weights*> weights = node_weights.of(node);
      if (!weights.ok()) return weights.status();
      PVNET_TRY(folded.fold(node, *weights.value()));
      of.packed_offset = op.weights * 16;
      of_before = plan_op;
    }
    Packing packing(program, op, folded.weight(), plan.packed.data() + op.weights * 16);
    if (op.kind == PV_DEPTHWISE) {
      packing.depthwise();
    } else if (op.plain != 0) {
      packing.plain();
    } else {
      packing.tensor_cores(of, op.out_c0 / op.out_c * op.in_c);
    }
    if (!packing.finite()) {
      return failed(Code::invalid_argument, "compile",
                    "a weight of node " + quoted(node.name) + " does not fit " + plan.options.dtype,
                    "one that becomes infinite", "smaller weights",
                    "Compile with dtype=\"f32\", \"tf32\" or \"bf16\", or repair the weights.");
    }
    std::copy_n(folded.bias().begin() + op.out_c0, op.out_c,
                program.floats.begin() + static_cast<std::ptrdiff_t>(op.floats));
  }
  return {};
}

}  // namespace pvnet::device
