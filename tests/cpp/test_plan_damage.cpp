// SPDX-License-Identifier: Apache-2.0
// Plans whose memory and order are right, but that compute something else than their graph: each
// kind of damage by name, at every place where it can be.
#include <algorithm>
#include <functional>
#include <string>

#include "plan/plan.hpp"

#include "plan_fields.hpp"
#include "plan_repairs.hpp"
#include "plan_samples.hpp"

namespace {

using pvnet::Op;
using pvnet::Plan;
using pvnet::Value;
using samples::plans;
using samples::refused;
using samples::tried_damage;

void each_op(const std::function<bool(Plan&, size_t)>& change) {
  tried_damage = 0;
  for (const auto& p : plans()) {
    for (size_t i = 0; i < p->ops.size(); ++i) {
      const bool r = refused(*p, [&](Plan& c) { return change(c, i); });
      if (!r) std::fprintf(stderr, "%s\n", p->graph.nodes()[p->ops[i].node].name.c_str());
      CHECK(r);
    }
  }
  CHECK(tried_damage > 0);
}

void each_value(const std::function<bool(Plan&, Value&)>& change) {
  tried_damage = 0;
  for (const auto& p : plans()) {
    for (size_t v = 0; v < p->values.size(); ++v) {
      const bool r = refused(*p, [&](Plan& c) { return change(c, c.values[v]); });
      if (!r) std::fprintf(stderr, "%s\n", p->graph.nodes()[p->values[v].node].name.c_str());
      CHECK(r);
    }
  }
  CHECK(tried_damage > 0);
}

void each_output(const std::function<bool(Plan&, pvnet::OutputFacts&)>& change) {
  for (const auto& p : plans()) {
    for (size_t i = 0; i < p->outputs.size(); ++i) {
      CHECK(refused(*p, [&](Plan& c) { return change(c, c.outputs[i]); }));
    }
  }
}

// Tells the kernel of op i what it reads now.
void tell(Plan& c, size_t i) {
  pvnet::OpParams& p = fields::params_of(c.ops[i]);
  p.seg_c.clear();
  for (const auto& s : c.ops[i].operands[0]) p.seg_c.push_back(s.c);
  p.conv.seg_c = p.seg_c.data();
  p.conv.n_segs = static_cast<int>(p.seg_c.size());
}

// Another value of the same shape.
int twin_of(const Plan& c, int value) {
  for (size_t v = 0; v < c.values.size(); ++v) {
    const bool same = c.values[v].shape == c.values[value].shape;
    if (static_cast<int>(v) != value && same) return static_cast<int>(v);
  }
  return -1;
}

}  // namespace

TEST(an_op_that_reads_another_node_is_refused) {
  each_op([](Plan& c, size_t i) {
    auto& s = c.ops[i].operands.back()[0];
    const int other = twin_of(c, s.value);
    if (other < 0) return false;
    s.value = other;
    return true;
  });
}

TEST(an_op_that_reads_another_firing_is_refused) {
  for (const int64_t d : {int64_t{1}, int64_t{-1}, int64_t{1} << 40, -(int64_t{1} << 62)}) {
    each_op([&](Plan& c, size_t i) {
      c.ops[i].operands[0][0].hops[0].delay += d;
      return true;
    });
  }
  each_op([](Plan& c, size_t i) {
    c.ops[i].operands[0][0].hops.clear();
    return true;
  });
}

TEST(other_taps_or_another_dilation_are_refused) {
  each_op([](Plan& c, size_t i) { return ++c.ops[i].taps > 0; });
  each_op([](Plan& c, size_t i) { return --c.ops[i].taps >= 0; });
  each_op([](Plan& c, size_t i) { return ++c.ops[i].dilation > 0; });
}

TEST(an_op_on_another_clock_is_refused) {
  each_op([](Plan& c, size_t i) { return ++c.ops[i].clock.origin > 0; });
  each_value([](Plan&, Value& v) { return ++v.clock.origin > 0; });
  each_value([](Plan&, Value& v) { return (v.clock.period = 0) == 0; });
}

TEST(operands_that_are_exchanged_are_refused) {
  each_op([](Plan& c, size_t i) {
    auto& operands = c.ops[i].operands;
    if (operands.size() < 2) return false;
    std::swap(operands[0], operands[1]);
    tell(c, i);
    return true;
  });
}

TEST(segments_in_another_order_are_refused) {
  each_op([](Plan& c, size_t i) {
    auto& operand = c.ops[i].operands[0];
    if (operand.size() < 2 || operand[0].value == operand[1].value) return false;
    std::swap(operand[0], operand[1]);
    tell(c, i);
    return true;
  });
  each_op([](Plan& c, size_t i) {
    if (c.ops[i].operands[0].size() < 2) return false;
    c.ops[i].operands[0].pop_back();
    tell(c, i);
    return true;
  });
}

TEST(parameters_of_another_node_are_refused) {
  each_op([](Plan& c, size_t i) {
    const size_t j = (i + 1) % c.ops.size();
    if (c.ops[i].params->op == c.ops[j].params->op) return false;  // twins
    fields::params_of(c.ops[i]).attrs = c.ops[j].params->attrs;
    return true;
  });
  each_op([](Plan& c, size_t i) {
    pvnet::OpParams& p = fields::params_of(c.ops[i]);
    if (p.scale.empty()) return false;
    std::swap(p.scale[0], p.scale[1]);
    return true;
  });
  for (const auto& p : plans()) {
    CHECK(refused(*p, [](Plan& c) { return (c.input_scale[0][0] *= 2) != 0; }));
    CHECK(refused(*p, [](Plan& c) { return (c.input_shift[0][1] += 1) != 0; }));
  }
}

TEST(a_kernel_that_is_told_another_shape_is_refused) {
  const auto fields = [](pvnet::ConvShape& s) {
    return std::vector<int*>{&s.in_h, &s.in_w, &s.in_c, &s.out_h,  &s.out_w, &s.out_c,
                             &s.kt,   &s.kh,   &s.kw,   &s.sh,     &s.sw,    &s.ph,
                             &s.pw,   &s.dh,   &s.dw,   &s.groups, &s.n_segs};
  };
  for (size_t k = 0; k < 17; ++k) {
    each_op([&](Plan& c, size_t i) {
      pvnet::OpParams& p = fields::params_of(c.ops[i]);
      if (p.op != Op::conv3d && p.op != Op::linear) return false;
      *fields(p.conv)[k] += 1;
      return true;
    });
  }
}

TEST(an_op_that_writes_over_its_own_input_is_refused) {
  int tried = 0;
  for (const auto& p : plans()) {
    for (size_t i = 0; i < p->ops.size(); ++i) {
      const int out = p->ops[i].out_value;
      const int in = p->ops[i].operands[0][0].value;
      if (p->values[out].persistent || p->values[in].persistent) continue;
      ++tried;
      CHECK(refused(*p, [&](Plan& c) {
        c.values[out].offset = c.values[in].offset;
        c.scratch_bytes = 0;
        for (const Value& v : c.values) {
          if (!v.persistent) c.scratch_bytes = std::max(c.scratch_bytes, v.offset + v.slot_bytes);
        }
        return true;
      }));
    }
  }
  CHECK(tried > 0);
}

TEST(values_of_another_shape_are_refused) {
  each_value([](Plan&, Value& v) { return --v.shape.c >= 0; });
  each_value([](Plan&, Value& v) { return --v.shape.h >= 0; });
  each_value([](Plan&, Value& v) { return --v.shape.w >= 0; });
}

TEST(a_halo_narrower_than_a_reader_needs_is_refused) {
  for (const bool width : {false, true}) {
    each_value([&](Plan& c, Value& v) {
      int& halo = width ? v.halo_w : v.halo_h;
      if (halo == 0) return false;
      halo -= 1;
      mutants::stride_anew(v);
      mutants::lay_out_anew(c);
      return true;
    });
  }
}

TEST(pixels_narrower_than_kernels_may_store_are_refused) {
  each_value([](Plan& c, Value& v) {
    v.pixel_stride -= 1;
    mutants::stride_anew(v);
    mutants::lay_out_anew(c);
    return true;
  });
}

TEST(another_number_of_tiles_is_refused) {
  for (const int d : {-1, 1}) {
    each_op([&](Plan& c, size_t i) {
      c.ops[i].tiles += d;
      for (auto& tick : c.schedule) {  // and all of them are scheduled
        for (auto& superstep : tick.supersteps) {
          for (auto& lane : superstep.lanes) {
            std::erase_if(lane, [&](auto& r) {
              if (r.op == static_cast<int>(i) && r.hi == c.ops[i].tiles - d) r.hi += d;
              return r.lo >= r.hi;
            });
          }
        }
      }
      return true;
    });
  }
}

TEST(another_room_for_segments_is_refused) {
  for (const auto& p : plans()) {
    for (const int d : {-1, 1, 1 << 30, -(1 << 30)}) {
      CHECK(refused(*p, [&](Plan& c) { return (c.max_segments += d) != p->max_segments; }));
    }
  }
}

TEST(another_source_or_other_facts_of_an_output_are_refused) {
  each_output([](Plan& c, auto& o) {
    const int other = twin_of(c, o.source[0].value);
    if (other >= 0) o.source[0].value = other;
    return other >= 0;
  });
  each_output([](Plan&, auto& o) { return ++o.source[0].hops[0].delay > 0; });
  each_output([](Plan&, auto& o) { return ++o.shape.c > 0; });
  each_output([](Plan&, auto& o) { return !(o.name += "x").empty(); });
  each_output([](Plan&, auto& o) { return ++o.information_latency_ticks > 0; });
  each_output([](Plan&, auto& o) { return ++o.warm_up_ticks > 0; });
  each_output([](Plan&, auto& o) { return ++o.receptive_field_frames > 0; });
  each_output([](Plan&, auto& o) { return ++o.age_ticks.back().back() > -9; });
  each_output([](Plan&, auto& o) {
    o.age_ticks.pop_back();
    return true;
  });
  each_output([](Plan& c, auto&) { return ++c.settle_ticks > 0; });
}

TEST(scratch_for_what_is_read_in_later_ticks_is_refused) {
  each_value([](Plan& c, Value& v) {
    if (!v.persistent) return false;
    v.persistent = false;
    v.depth = 1;
    mutants::lay_out_anew(c);
    return true;
  });
}

TEST(sizes_that_overflow_are_refused) {
  each_value([](Plan&, Value& v) { return (v.depth = 1 << 30) > 0 && (v.slot_bytes <<= 33) != 0; });
  each_value([](Plan&, Value& v) { return (v.slot_bytes = int64_t{1} << 62) > 0; });
  each_value([](Plan&, Value& v) { return (v.offset = INT64_MAX - 8) > 0; });
  each_value([](Plan&, Value& v) { return (v.row_stride = INT64_MAX / 2) > 0; });
  each_value([](Plan&, Value& v) { return (v.halo_h = INT32_MAX) > 0; });
  each_value([](Plan&, Value& v) { return (v.halo_w = -v.shape.w) < 0; });
}
