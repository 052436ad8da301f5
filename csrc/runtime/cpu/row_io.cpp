// SPDX-License-Identifier: Apache-2.0
#include "runtime/cpu/row_io.hpp"

#include <algorithm>

#include "backends/backend.hpp"
#include "graph/firing.hpp"
#include "runtime/cpu/execute.hpp"

namespace pvnet {
namespace {

int64_t elements_of(const Shape& s) { return int64_t{s.c} * s.h * s.w; }

bool is_worth_lanes(const Plan& plan, int64_t elements) {
  constexpr int64_t kWorthLanes = 1 << 15;
  return elements * plan.options.batch >= kWorthLanes;
}

int64_t frame_elements(const Plan& plan) {
  int64_t all = 0;
  for (const int input : plan.input_values) {
    all += elements_of(plan.values[static_cast<size_t>(input)].shape);
  }
  return all;
}

int64_t result_elements(const Plan& plan) {
  int64_t all = 0;
  for (const OutputFacts& output : plan.outputs) all += elements_of(output.shape);
  return all;
}

}  // namespace

RowIo::RowIo(const Plan& plan)
    : plan_(plan),
      large_frames_(is_worth_lanes(plan, frame_elements(plan))),
      large_results_(is_worth_lanes(plan, result_elements(plan))),
      stored_(static_cast<size_t>(plan.options.batch)) {}

void RowIo::want(float* const* outputs) {
  outputs_ = outputs;
  std::fill(stored_.begin(), stored_.end(), uint8_t{0});
}

bool RowIo::are_finite(const Rows& rows, Part part) const {
  for (size_t input = 0; input < plan_.input_values.size(); ++input) {
    for (int r = 0; r < plan_.options.batch; ++r) {
      if (!rows.runs(r)) continue;
      const FrameView& f = frame(input, r);
      if (!is_finite(f, part.of(f.h), part.end(f.h))) return false;
    }
  }
  return true;
}

void RowIo::load(RowMemory& memory, int row, int64_t tick, Part part) const {
  for (size_t input = 0; input < plan_.input_values.size(); ++input) {
    const Value& v = plan_.values[static_cast<size_t>(plan_.input_values[input])];
    const int lo = part.of(v.shape.h), hi = part.end(v.shape.h);
    const FrameView& f = frame(input, row);
    MapView out{geometry_of(v), memory.at(v, tick, lo)};
    out.g.h = hi - lo;
    if (f.type == FrameType::u8_hwc) {
      plan_.backend->kernels->load_u8(static_cast<const uint8_t*>(f.data) + lo * f.strides[0],
                                      f.strides[0], plan_.input_scale[input].data(),
                                      plan_.input_shift[input].data(), out);
    } else {
      plan_.backend->kernels->load_f32(static_cast<const float*>(f.data) + lo * f.strides[1],
                                       f.strides, out);
    }
  }
}

void RowIo::store(const RowMemory& memory, int row, int64_t ticks, Part part) {
  if (outputs_ == nullptr) return;
  for (size_t i = 0; i < plan_.outputs.size(); ++i) {
    read(memory, static_cast<int>(i), ticks, part,
         outputs_[i] + row * elements_of(plan_.outputs[i].shape));
  }
  if (part.index == 0) stored_[static_cast<size_t>(row)] = 1;
}

void RowIo::read(const RowMemory& memory, int index, int64_t ticks, Part part, float* dst) const {
  const int64_t tick = ticks - 1;
  for (const Segment& seg : plan_.outputs[static_cast<size_t>(index)].source) {
    const Value& v = plan_.values[static_cast<size_t>(seg.value)];
    const int64_t firing = tick < 0 ? -1 : resolve_firing(seg, tick, 0);
    plan_.backend->kernels->store_f32(geometry_of(v), firing < 0 ? nullptr : memory.at(v, firing),
                                      dst, part.of(v.shape.h), part.end(v.shape.h));
    dst += elements_of(v.shape);
  }
}

}  // namespace pvnet
