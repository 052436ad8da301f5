// SPDX-License-Identifier: Apache-2.0
// Plans with maps in two forms that are damaged: each kind of damage is refused, by its name.
#include <functional>
#include <string>

#include "plan_mutants.hpp"
#include "plan_repairs.hpp"
#include "plan_runner.hpp"
#include "twin_plans.hpp"

namespace {

using namespace twins;
using pvnet::Value;

// Twins that `which` takes are damaged; every damage is refused with one of these words.
void refuse(const std::string& words, const std::function<bool(const Value&)>& which,
            const std::function<void(Plan&, int twin, size_t op)>& change) {
  int tried = 0;
  for (const auto& p : plans()) {
    for (size_t i = 0; i < p->ops.size(); ++i) {
      const int twin = p->ops[i].out_value;
      if (!p->ops[i].converts || !which(p->values[twin])) continue;
      Plan c;
      fields::copy(*p, c);
      CHECK(pvnet::validate(c).ok());
      change(c, twin, i);
      mutants::repair_fingerprint(c);
      const std::string told = pvnet::validate(c).message();
      const size_t bar = words.find('|');
      const bool so =
          told.find(words.substr(0, bar)) != std::string::npos ||
          (bar != std::string::npos && told.find(words.substr(bar + 1)) != std::string::npos);
      if (!so) std::fprintf(stderr, "told: %s\n", told.c_str());
      CHECK(so);
      ++tried;
    }
  }
  CHECK(tried > 0);
}
bool any(const Value&) { return true; }

// The first value of the node of a twin.
int first_of(const Plan& p, int twin) {
  for (size_t v = 0; v < p.values.size(); ++v) {
    if (p.values[v].node == p.values[twin].node && p.values[v].form() == kFirst) {
      return static_cast<int>(v);
    }
  }
  return -1;
}

size_t another_conversion(const Plan& p, size_t than) {
  size_t i = 0;
  while (!p.ops[i].converts || i == than) ++i;
  return i;
}

// f(segment) for all that ops but conversions read of a value.
template <class F>
void each_read(Plan& p, int value, const F& f) {
  for (pvnet::PlanOp& op : p.ops) {
    for (auto& operand : op.operands) {
      for (pvnet::Segment& s : operand) {
        if (!op.converts && s.value == value) f(s);
      }
    }
  }
}

template <class F>
void each_list(Plan& p, const F& f) {
  for (auto& tick : p.schedule) {
    for (auto& superstep : tick.supersteps) {
      for (auto& lane : superstep.lanes) f(lane);
    }
  }
}

}  // namespace

TEST(a_twin_that_nothing_writes_is_refused) {
  refuse("number of ops", any, [](Plan& c, int, size_t op) {
    c.ops.erase(c.ops.begin() + static_cast<int64_t>(op));
    each_list(c, [&](auto& lane) {
      std::erase_if(lane, [&](const auto& r) { return r.op == static_cast<int>(op); });
      for (auto& r : lane) r.op -= r.op > static_cast<int>(op);
    });
  });
  // As many ops as before, but one of them only leaves the twin alone.
  refuse("value written by", any,
         [](Plan& c, int twin, size_t op) { c.ops[op].out_value = first_of(c, twin); });
}

TEST(a_twin_that_is_not_written_when_it_is_due_is_refused) {
  refuse("ops at tick|a part", any, [](Plan& c, int, size_t op) {
    each_list(c, [&](auto& lane) {
      std::erase_if(lane, [&](const auto& r) { return r.op == static_cast<int>(op); });
    });
  });
}

TEST(a_twin_that_is_written_twice_is_refused) {
  refuse("writers of value", any, [](Plan& c, int twin, size_t op) {
    const size_t i = another_conversion(c, op);
    const int tiles = c.ops[i].tiles;
    c.ops[i] = c.ops[op];
    c.ops[i].tiles = tiles;
  });
  refuse("computed twice", any, [](Plan& c, int, size_t op) {
    each_list(c, [&](auto& lane) {
      for (size_t i = 0; i < lane.size(); ++i) {
        if (lane[i].op != static_cast<int>(op)) continue;
        lane.insert(lane.begin() + static_cast<int64_t>(i), pvnet::TileRange(lane[i]));
        return;
      }
    });
  });
}

TEST(a_second_twin_of_a_node_is_refused) {
  refuse("in one form", any, [](Plan& c, int twin, size_t op) {
    c.values.push_back(c.values[twin]);
    c.ops.push_back(c.ops[op]);
    c.ops.back().out_value = static_cast<int>(c.values.size()) - 1;
    mutants::lay_out_anew(c);
  });
}

TEST(a_read_in_the_wrong_domain_is_refused) {
  refuse("segment", any, [](Plan& c, int twin, size_t) {
    each_read(c, twin, [&](pvnet::Segment& s) { s.value = first_of(c, twin); });
  });
  refuse("segment", any, [](Plan& c, int twin, size_t) {  // by one that wants pixels
    c.outputs[0].source[0].value = twin;
  });
  refuse("segment", any, [](Plan& c, int twin, size_t op) {  // by the one that makes it
    c.ops[op].operands[0][0].value = twin;
  });
}

TEST(a_twin_of_another_node_is_refused) {
  refuse("segment", any, [](Plan& c, int twin, size_t op) {
    const int other = c.ops[another_conversion(c, op)].out_value;
    each_read(c, twin, [&](pvnet::Segment& s) { s.value = other; });
  });
}

TEST(a_twin_in_another_form_is_refused) {
  refuse("none that it computes", any, [](Plan& c, int twin, size_t) {
    c.values[first_of(c, twin)].domain = static_cast<Domain>(7);
  });
  refuse("in one form", any,
         [](Plan& c, int twin, size_t) { c.values[twin].domain = Domain::spatial; });
  refuse("segment", any,
         [](Plan& c, int twin, size_t) { c.values[twin].dtype = static_cast<pvnet::Dtype>(5); });
}

TEST(a_ring_of_a_twin_that_is_too_short_is_refused) {
  const auto deep = [](const Value& v) { return v.depth > 1; };
  refuse("ring depth", deep, [](Plan& c, int twin, size_t) {
    --c.values[twin].depth;
    mutants::lay_out_anew(c);
  });
  const auto kept = [](const Value& v) { return v.persistent; };
  refuse("memory of|ring depth", kept, [](Plan& c, int twin, size_t) {
    c.values[twin].persistent = false;
    c.values[twin].depth = 1;
    mutants::lay_out_anew(c);
  });
}

TEST(a_twin_that_is_made_beside_its_source_or_its_reader_is_refused) {
  refuse("group and level", any, [](Plan& c, int, size_t op) { c.ops[op].level -= 1; });
  refuse("group and level", any, [](Plan& c, int, size_t op) { c.ops[op].group += 1; });
}

TEST(a_twin_that_nobody_reads_is_refused) {
  const auto p = plans()[0];
  ask([](const Node& reader, const Node& source) {
    return source.name == "d" ? kFirst : of_convs_to_convs(reader, source);
  });
  Plan c;
  fields::copy(*p, c);
  c.backend = nets::must(pvnet::find_backend("test", ""));
  for (size_t i = 0; i < c.ops.size(); ++i) {
    if (!c.ops[i].converts || c.graph.nodes()[c.ops[i].node].name != "d") continue;
    const int twin = c.ops[i].out_value;
    each_read(c, twin, [&](pvnet::Segment& s) { s.value = first_of(c, twin); });
  }
  const std::string told = pvnet::validate(c).message();
  CHECK(told.find("nobody reads") != std::string::npos);
}

TEST(damage_to_any_field_is_refused_or_changes_nothing) {
  const auto& p = plans()[1];
  const int ticks = runner::ticks_of(*p);
  const auto want = runner::Runner(*p, runner::Order::forward).run(ticks).outputs;
  Plan c;
  fields::copy(*p, c);
  int64_t refused = 0, harmless = 0;
  const auto judge = [&](const Plan& plan, const char* field, const char* what) {
    if (!pvnet::validate(plan).ok()) {
      ++refused;
      return;
    }
    const bool same = runner::survives([&] {
      return runner::same_bits(runner::Runner(plan, runner::Order::turns).run(ticks).outputs, want);
    });
    if (!same) std::fprintf(stderr, "escaped: %s: %s\n", field, what);
    CHECK(same);
    ++harmless;
  };
  mutants::Damage(c, 3, 4, [&](const std::string& field, const char* what) {
    judge(c, field.c_str(), what);
  }).everywhere();
  mutants::Consistent(*p, 3, judge).everywhere();
  CHECK(refused > 500);
  CHECK(harmless > 0);
}
