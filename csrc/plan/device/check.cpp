// SPDX-License-Identifier: Apache-2.0
// Values, inputs, outputs, and the parts together.
#include <bit>

#include "backends/backend.hpp"
#include "plan/device/checks.hpp"

namespace pvnet::device {

Status wrong(const std::string& what, const std::string& got, const std::string& expected) {
  return failed(Code::internal, "validate", "device: " + what, got, expected,
                "Report this plan as a bug of pvnet.");
}
Status wrong(const std::string& what, int64_t got, int64_t expected) {
  return wrong(what, std::to_string(got), std::to_string(expected));
}

Status Used::all(const char* table) const {
  for (size_t i = 0; i < rows_.size(); ++i) {
    if (!rows_[i])
      return wrong(std::string(table), "row " + std::to_string(i) + " of no use", "none");
  }
  return {};
}

Status check_values(const Plan& plan, const Program& p) {
  if (p.values.size() != plan.values.size()) {
    return wrong("values", static_cast<int64_t>(p.values.size()),
                 static_cast<int64_t>(plan.values.size()));
  }
  for (size_t i = 0; i < p.values.size(); ++i) {
    const Value& v = plan.values[i];
    const pvnet_device_value& d = p.values[i];
    const int64_t element = element_bytes(v.dtype);
    const int64_t arena = v.persistent ? 0 : plan.state_bytes;
    const bool right =
        to_string(v.dtype) == plan.options.dtype && d.offset * element == arena + v.offset &&
        d.slot_stride * element == v.slot_bytes && d.row_stride == v.row_stride &&
        d.pixel_stride == v.pixel_stride && d.clock.period == v.clock.period &&
        d.clock.origin == v.clock.origin && d.c == v.shape.c && d.h == v.shape.h &&
        d.w == v.shape.w && d.halo_h == 0 && d.halo_w == 0 && v.halo_h == 0 && v.halo_w == 0 &&
        d.depth == v.depth && d.persistent == (v.persistent ? 1 : 0) && d.reserved == 0;
    if (!right) return wrong("value " + std::to_string(i), "another", "that of the plan");
    // Copies of 16 bytes from a map, except from narrow ones.
    const int64_t most = std::numeric_limits<int32_t>::max();
    if (arena % 16 != 0 || v.offset % 16 != 0 || v.slot_bytes % 16 != 0) {
      return wrong("memory of value " + std::to_string(i), "any bytes", "multiples of 16");
    }
    if (v.row_stride > most / element) return wrong("bytes of a map's row", v.row_stride, most);
  }
  return {};
}

namespace {

Status check_frame(const Plan& plan, const Program& p) {
  const Dtype dtypes[] = {Dtype::f32, Dtype::tf32, Dtype::f16, Dtype::bf16};
  if (p.dtype < PV_F32 || p.dtype > PV_BF16 || to_string(dtypes[p.dtype]) != plan.options.dtype) {
    return wrong("dtype", p.dtype, 0);
  }
  const int64_t element = element_bytes(dtypes[p.dtype]);
  if (p.state_elements * element != plan.state_bytes) {
    return wrong("elements of state", p.state_elements, plan.state_bytes / element);
  }
  const int64_t row = plan.state_bytes + plan.scratch_bytes;
  if (p.row_elements * element != row)
    return wrong("elements of a row", p.row_elements, row / element);
  return {};
}

Status check_inputs(const Plan& plan, const Program& p, ReadsCheck& reads) {
  if (p.inputs.size() != plan.input_values.size()) {
    return wrong("inputs", static_cast<int64_t>(p.inputs.size()),
                 static_cast<int64_t>(plan.input_values.size()));
  }
  for (size_t i = 0; i < p.inputs.size(); ++i) {
    if (p.inputs[i].value != plan.input_values[i]) {
      return wrong("value of an input", p.inputs[i].value, plan.input_values[i]);
    }
    PVNET_TRY(reads.own(p.inputs[i].segment, p.inputs[i].value));
  }
  return {};
}

Status check_outputs(const Plan& plan, const Program& p, ReadsCheck& reads) {
  if (p.outputs.size() != plan.outputs.size()) {
    return wrong("outputs", static_cast<int64_t>(p.outputs.size()),
                 static_cast<int64_t>(plan.outputs.size()));
  }
  int64_t floats = 0;
  for (size_t i = 0; i < p.outputs.size(); ++i) {
    const Shape& s = plan.outputs[i].shape;
    const pv_output& o = p.outputs[i];
    if (o.c != s.c || o.h != s.h || o.w != s.w || o.reserved != 0 || o.offset != floats) {
      return wrong("output " + std::to_string(i), "another", "that of the plan");
    }
    PVNET_TRY(reads.pieces(o.piece0, o.n_pieces, plan.outputs[i].source, 1, 1, 0, s.c));
    floats += int64_t{s.c} * s.h * s.w;
  }
  if (p.row_floats != floats) return wrong("floats of a row's results", p.row_floats, floats);
  return {};
}

}  // namespace

Status check(const Plan& plan, const Program& program) {
  PVNET_TRY(check_frame(plan, program));
  PVNET_TRY(check_values(plan, program));
  ReadsCheck reads(plan, program);
  PVNET_TRY(check_inputs(plan, program, reads));
  PVNET_TRY(check_ops(plan, program, reads));
  PVNET_TRY(check_outputs(plan, program, reads));
  return reads.all_used();
}

}  // namespace pvnet::device
