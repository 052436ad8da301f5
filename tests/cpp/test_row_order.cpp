// SPDX-License-Identifier: Apache-2.0
// How the rows of a batch go through a tick. The bits must be those of each row alone.
#include "runtime/cpu/row_order.hpp"
#include "runtime/stream.hpp"
#include "runtime/test_hooks.hpp"

#include <algorithm>
#include <optional>

#include "nets.hpp"

namespace {

using pvnet::Graph;
using pvnet::Plan;
using pvnet::RowOrder;
using pvnet::RowSpan;
using pvnet::StreamCore;

constexpr int kSide = 8, kOut = 512;  // with_small_maps: 4 x 4 pixels of 32 channels

// A convolution, a linear layer of 1 MiB, a convolution on its result, and a skip over both.
Graph with_linear() {
  return nets::make(
      {
          R"({"op":"input","name":"x","attrs":{"channels":4,"height":8,"width":8}})",
          R"({"op":"conv3d","name":"a","inputs":["x"],"attrs":{"out":512,"kernel":[2,1,1],"act":"relu"}})",
          R"({"op":"global_pool","name":"pool","inputs":["a"]})",
          R"({"op":"linear","name":"fc","inputs":["pool"],"attrs":{"out":512,"act":"relu"}})",
          R"({"op":"add","name":"skip","inputs":["fc","pool"]})",
          R"({"op":"conv3d","name":"head","inputs":["skip"],"attrs":{"out":512}})",
      },
      "head");
}

std::shared_ptr<const Plan> plan_of(const Graph& g, int lanes, int batch, bool long_ticks) {
  pvnet::CompileOptions o;
  o.backend = "cpu", o.lanes = lanes, o.batch = batch, o.fixed_lanes = true;
  o.algorithm = "direct";
  if (long_ticks) o.costs = nets::heavy(g);
  return nets::must(Plan::compile(g, nets::random_weights(g), o));
}

std::vector<float> frame(int seed, int64_t t) {
  std::mt19937 rng(static_cast<uint32_t>(seed * 1000003 + t));
  std::uniform_real_distribution<float> u(-1.0f, 1.0f);
  std::vector<float> f(4 * kSide * kSide);
  for (float& x : f) x = u(rng);
  return f;
}

using Out = std::vector<float>;

// Of every row and every tick that it makes; row r rests in tick r. Results of the tick itself, of
// rows that rest, too, are those that are read later.
std::vector<std::vector<Out>> run(const std::shared_ptr<const Plan>& plan, int first_seed,
                                  int first_rest,
                                  std::optional<pvnet::TickWay> way = std::nullopt) {
  const auto batch = static_cast<size_t>(plan->options.batch);
  const auto s = nets::must(StreamCore::create(plan));
  if (way) pvnet::StreamHooks::make_ticks(*s, way);
  std::vector<std::vector<Out>> out(batch);
  for (int64_t t = 0; t < 7; ++t) {
    std::vector<std::vector<float>> frames;
    std::vector<pvnet::FrameView> views;
    std::vector<uint8_t> runs;
    for (int r = 0; r < plan->options.batch; ++r) {
      frames.push_back(frame(first_seed + r, t));
      pvnet::FrameView v;
      v.strides[0] = kSide * kSide, v.strides[1] = kSide, v.strides[2] = 1;
      v.h = kSide, v.w = kSide, v.c = 4;
      views.push_back(v);
      runs.push_back(t == first_rest + r ? 0 : 1);
    }
    for (size_t r = 0; r < batch; ++r) views[r].data = frames[r].data();
    Out all(batch * kOut, -1.0f);
    float* const outputs[] = {all.data()};
    std::vector<int64_t> ticks(batch);
    const auto valid = std::make_unique<bool[]>(batch);
    const pvnet::TickResults results{outputs, ticks.data(), valid.get()};
    CHECK(s->tick(views.data(), runs.data(), t == 3 ? nullptr : &results).ok());
    for (size_t r = 0; r < batch; ++r) {
      Out y(kOut);
      CHECK(s->read_output(0, static_cast<int>(r), y.data()).ok());
      if (t != 3)
        CHECK(std::equal(y.begin(), y.end(), all.begin() + static_cast<int64_t>(r) * kOut));
      if (runs[r] != 0) out[r].push_back(std::move(y));
    }
  }
  return out;
}

// Maps that are small beside the weights over them, between maps that are not.
Graph with_small_maps() {
  return nets::make(
      {
          R"({"op":"input","name":"x","attrs":{"channels":4,"height":8,"width":8}})",
          R"({"op":"conv3d","name":"large","inputs":["x"],"attrs":{"out":96,"kernel":[1,3,3],"padding":[1,1],"act":"relu"}})",
          R"({"op":"max_pool","name":"pool","inputs":["large"],"attrs":{"kernel":[1,2,2],"stride":[1,2,2]}})",
          R"({"op":"conv3d","name":"wide","inputs":["pool"],"attrs":{"out":256,"kernel":[1,1,1]}})",
          R"({"op":"act","name":"bent","inputs":["wide"],"attrs":{"act":"tanh"}})",
          R"({"op":"conv3d","name":"narrow","inputs":["bent"],"attrs":{"out":96,"kernel":[2,3,3],"padding":[1,1]}})",
          R"({"op":"add","name":"sum","inputs":["narrow","pool"]})",
          R"({"op":"conv3d","name":"out","inputs":["sum"],"attrs":{"out":32}})",
      },
      "out");
}

}  // namespace

// Scratch that two pieces of a tick touch lies with the row, all other with the lane that runs it.
TEST(rows_keep_what_pieces_of_a_tick_share) {
  for (const int lanes : {1, 2}) {
    const auto plan = plan_of(with_linear(), lanes, 4, true);
    const RowOrder order(*plan);
    int scratch = 0;
    for (const pvnet::PlanOp& op : plan->ops) {
      const auto value = static_cast<size_t>(op.out_value);
      if (plan->values[value].persistent) continue;
      const std::string& name = plan->graph.nodes()[plan->values[value].node].name;
      CHECK_EQ(order.kept()[value] != 0, name != "a");  // the others meet a layer of weights
      ++scratch;
    }
    CHECK(scratch >= 4);
  }
}

TEST(rows_have_the_bits_of_each_alone_for_any_number_of_rows_and_lanes) {
  for (const Graph& g : {with_linear(), with_small_maps()}) {
    for (const int batch : {2, 3, 5, 8}) {
      std::vector<std::vector<Out>> want;
      for (int r = 0; r < batch; ++r) {
        want.push_back(run(plan_of(g, 1, 1, true), 20 + r, r).front());
      }
      for (const int lanes : {1, 2, 3}) {
        for (const bool long_ticks : {true, false}) {
          const auto plan = plan_of(g, lanes, batch, long_ticks);
          CHECK(run(plan, 20, 0) == want);
          CHECK(run(plan, 20, 0, pvnet::TickWay::alone) == want);
          CHECK(run(plan, 20, 0, pvnet::TickWay::flexible) == want);
        }
      }
    }
  }
}

namespace {

// Whether the node's operation is run by rows of a group in turn, and in how many pieces; by spans
// that all rows run together: -1.
int pieces_in_turn(const Plan& plan, const RowOrder& order, const std::string& node) {
  for (const RowSpan& span : order.spans(0)) {
    for (const pvnet::RowPiece& piece : span.pieces) {
      const auto is_of_node = [&](const pvnet::TileRange& range) {
        return plan.graph.nodes()[plan.ops[static_cast<size_t>(range.op)].node].name == node;
      };
      const auto n = std::count_if(piece.ranges.begin(), piece.ranges.end(), is_of_node);
      if (n == 0) continue;
      if (!span.by_rows) return -1;
      return piece.in_turn ? static_cast<int>(n) : 0;
    }
  }
  return 0;
}

}  // namespace

TEST(only_a_layer_with_few_pixels_and_many_weights_is_run_by_all_rows) {
  const auto plan = plan_of(with_linear(), 1, 4, true);
  const RowOrder order(*plan);
  for (const pvnet::PlanOp& op : plan->ops) {
    const std::string& name = plan->graph.nodes()[op.node].name;
    // `head` has as many weights as `fc`, and one pixel.
    CHECK_EQ(pieces_in_turn(*plan, order, name) == -1, name == "fc" || name == "head");
  }
}

TEST(rows_run_layers_with_more_weights_than_maps_in_turn) {
  for (const int lanes : {1, 2}) {
    const auto plan = plan_of(with_small_maps(), lanes, 8, true);
    const RowOrder order(*plan);
    CHECK_EQ(pieces_in_turn(*plan, order, "large"), 0);
    CHECK_EQ(pieces_in_turn(*plan, order, "pool"), 0);
    CHECK_EQ(pieces_in_turn(*plan, order, "out"), 0);
    CHECK(pieces_in_turn(*plan, order, "wide") >= 1);
    CHECK(pieces_in_turn(*plan, order, "narrow") > 1);  // 1.7 MiB of weights
  }
}

TEST(pieces_are_every_tile_of_a_tick_once) {
  for (const Graph& g : {with_linear(), with_small_maps(), nets::mixed()}) {
    for (const int lanes : {1, 2, 3}) {
      const auto plan = plan_of(g, lanes, 8, true);
      const RowOrder order(*plan);
      for (size_t tick = 0; tick < plan->schedule.size(); ++tick) {
        std::vector<std::vector<int>> times(plan->ops.size()), want(plan->ops.size());
        for (size_t i = 0; i < plan->ops.size(); ++i) {
          times[i].resize(static_cast<size_t>(plan->ops[i].tiles));
          want[i] = times[i];
        }
        const auto count = [](const pvnet::TileRange& range, auto& of) {
          CHECK(range.lo < range.hi);
          for (int t = range.lo; t < range.hi; ++t) {
            ++of[static_cast<size_t>(range.op)][static_cast<size_t>(t)];
          }
        };
        for (const auto& superstep : plan->schedule[tick].supersteps) {
          for (const auto& list : superstep.lanes) {
            for (const pvnet::TileRange& range : list) count(range, want);
          }
        }
        for (const RowSpan& span : order.spans(static_cast<int64_t>(tick))) {
          for (const pvnet::RowPiece& piece : span.pieces) {
            for (const pvnet::TileRange& range : piece.ranges) count(range, times);
          }
        }
        CHECK(times == want);
      }
    }
  }
}

TEST(groups_of_rows_leave_every_lane_as_many) {
  CHECK_EQ(RowOrder::group_of(8, 1), 4);
  CHECK_EQ(RowOrder::group_of(3, 1), 3);
  CHECK_EQ(RowOrder::group_of(5, 1), 4);
  CHECK_EQ(RowOrder::group_of(8, 2), 4);
  CHECK_EQ(RowOrder::group_of(12, 2), 3);
  CHECK_EQ(RowOrder::group_of(10, 2), 1);
  CHECK_EQ(RowOrder::group_of(16, 2), 4);
  CHECK_EQ(RowOrder::group_of(2, 2), 1);
}

TEST(every_superstep_is_in_one_span) {
  for (const Graph& g : {with_linear(), nets::mixed()}) {
    const auto plan = plan_of(g, 2, 4, true);
    const RowOrder order(*plan);
    bool together = false;
    for (size_t tick = 0; tick < plan->schedule.size(); ++tick) {
      size_t next = 0;
      for (const RowSpan& span : order.spans(static_cast<int64_t>(tick))) {
        CHECK_EQ(span.begin, next);
        CHECK(span.end > span.begin);
        next = span.end;
        together = together || !span.by_rows;
      }
      CHECK_EQ(next, plan->schedule[tick].supersteps.size());
    }
    CHECK_EQ(together, g.nodes().front().shape.c == 4);
  }
}

TEST(lanes_take_as_many_rows_as_they_share_evenly) {
  const RowOrder two(*plan_of(with_linear(), 2, 8, true));
  const int wanted[] = {0, 0, 2, 2, 4, 4, 6, 6, 8};
  for (int rows = 0; rows <= 8; ++rows) CHECK_EQ(two.whole_rows(rows), wanted[rows]);
  CHECK_EQ(RowOrder(*plan_of(with_linear(), 3, 8, true)).whole_rows(2), 0);
}

TEST(rows_make_a_short_tick_worth_the_lanes) {
  const Graph g = nets::make(
      {
          R"({"op":"input","name":"x","attrs":{"channels":4,"height":2,"width":2}})",
          R"({"op":"conv3d","name":"a","inputs":["x"],"attrs":{"out":4,"kernel":[1,1,1]}})",
      },
      "a");
  const auto plan = plan_of(g, 2, 4096, false);
  CHECK(plan->schedule.front().solo);
  const RowOrder order(*plan);
  CHECK(!order.is_worth_lanes(0, 0));
  CHECK(!order.is_worth_lanes(0, 2));
  CHECK(order.is_worth_lanes(0, 4096));
}
