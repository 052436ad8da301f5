// SPDX-License-Identifier: Apache-2.0
// Frames and results that are large enough for lanes to share them.
#include "runtime/cpu/row_io.hpp"
#include "runtime/stream.hpp"
#include "runtime/test_hooks.hpp"

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

#include "nets.hpp"

namespace {

using pvnet::Part;
using pvnet::Plan;
using pvnet::StreamCore;

constexpr int kChannels = 9, kHeight = 61, kWidth = 67;
constexpr size_t kResult = size_t{kChannels} * kHeight * kWidth;

std::shared_ptr<const Plan> plan_of(int lanes, int batch) {
  const pvnet::Graph g = nets::make(
      {
          R"({"op":"input","name":"x","attrs":{"channels":3,"height":61,"width":67}})",
          R"({"op":"conv3d","name":"a","inputs":["x"],"attrs":{"out":9,"kernel":[2,3,3],"padding":[1,1]}})",
      },
      "a");
  pvnet::CompileOptions o;
  o.backend = "cpu", o.lanes = lanes, o.batch = batch, o.fixed_lanes = true;
  o.costs = nets::heavy(g);
  return nets::must(Plan::compile(g, nets::random_weights(g), o));
}

std::vector<float> frames_of(int batch, int t) {
  std::mt19937 rng(static_cast<uint32_t>(t));
  std::uniform_real_distribution<float> u(-1.0f, 1.0f);
  std::vector<float> all(static_cast<size_t>(batch) * 3 * kHeight * kWidth);
  for (float& x : all) x = u(rng);
  return all;
}

std::vector<pvnet::FrameView> views_of(const std::vector<float>& frames, int batch) {
  std::vector<pvnet::FrameView> views(static_cast<size_t>(batch));
  for (size_t r = 0; r < views.size(); ++r) {
    pvnet::FrameView& v = views[r];
    v.data = frames.data() + r * frames.size() / views.size();
    v.strides[0] = kHeight * kWidth, v.strides[1] = kWidth, v.strides[2] = 1;
    v.h = kHeight, v.w = kWidth, v.c = 3;
  }
  return views;
}

}  // namespace

TEST(parts_are_all_of_it_once) {
  for (const int count : {1, 2, 3, 7, 16}) {
    for (const int n : {0, 1, 5, 61, 1 << 30}) {
      int next = 0;
      for (int i = 0; i < count; ++i) {
        const Part part{i, count};
        CHECK_EQ(part.of(n), next);
        next = part.end(n);
      }
      CHECK_EQ(next, n);
    }
  }
}

TEST(large_results_of_a_tick_are_those_that_are_read_later) {
  for (const int batch : {1, 2, 3, 8}) {
    const auto whole = nets::must(StreamCore::create(plan_of(1, batch)));
    for (const int lanes : {1, 2, 3}) {
      for (const auto way :
           {pvnet::TickWay::shared, pvnet::TickWay::flexible, pvnet::TickWay::alone}) {
        const auto s = nets::must(StreamCore::create(plan_of(lanes, batch)));
        pvnet::StreamHooks::make_ticks(*s, way);
        CHECK(whole->reset().ok());
        for (int t = 0; t < 3; ++t) {
          const auto frames = frames_of(batch, t);
          const auto views = views_of(frames, batch);
          std::vector<uint8_t> runs(static_cast<size_t>(batch), 1);
          if (t == 2) runs.back() = 0;
          std::vector<float> all(static_cast<size_t>(batch) * kResult, -1.0f), want(kResult),
              got(kResult);
          float* const outputs[] = {all.data()};
          std::vector<int64_t> ticks(static_cast<size_t>(batch));
          const auto valid = std::make_unique<bool[]>(static_cast<size_t>(batch));
          const pvnet::TickResults results{outputs, ticks.data(), valid.get()};
          CHECK(s->tick(views.data(), runs.data(), &results).ok());
          CHECK(whole->tick(views.data(), runs.data()).ok());
          // A single row is stored by the caller, unless lanes share it.
          const bool by_lanes = batch > 1 || (way == pvnet::TickWay::shared && lanes > 1);
          for (int r = 0; r < batch; ++r) {
            if (t < 2) CHECK_EQ(pvnet::StreamHooks::has_stored(*s, r), by_lanes);
            CHECK(whole->read_output(0, r, want.data()).ok());
            CHECK(s->read_output(0, r, got.data()).ok());
            CHECK(got == want);
            CHECK(std::equal(got.begin(), got.end(),
                             all.begin() + static_cast<int64_t>(r * kResult)));
          }
        }
      }
    }
  }
}

// A frame is an output, or waits for a later tick.
TEST(rows_take_frames_in_ticks_without_operations) {
  const pvnet::Graph g = nets::make(
      {
          R"({"op":"input","name":"x","attrs":{"channels":3,"height":61,"width":67}})",
      },
      "x");
  for (const int lanes : {1, 2}) {
    pvnet::CompileOptions o;
    o.backend = "cpu", o.lanes = lanes, o.batch = 3;
    const auto s =
        nets::must(StreamCore::create(nets::must(Plan::compile(g, pvnet::Weights{}, o))));
    const auto frames = frames_of(3, 0);
    CHECK(s->tick(views_of(frames, 3).data()).ok());
    const size_t each = frames.size() / 3;
    std::vector<float> got(each);
    for (size_t r = 0; r < 3; ++r) {
      CHECK(s->read_output(0, static_cast<int>(r), got.data()).ok());
      CHECK(std::equal(got.begin(), got.end(), frames.begin() + static_cast<int64_t>(r * each)));
    }
  }
}

TEST(a_row_that_is_not_finite_leaves_every_row_as_it_was) {
  for (const int lanes : {1, 2}) {
    const auto s = nets::must(StreamCore::create(plan_of(lanes, 4)));
    const auto first = frames_of(4, 0);
    CHECK(s->tick(views_of(first, 4).data()).ok());
    std::vector<char> before(s->snapshot_bytes()), after(s->snapshot_bytes());
    CHECK(s->snapshot(before.data(), before.size()).ok());
    auto bad = frames_of(4, 1);
    bad[bad.size() - 5] = __builtin_nanf("");
    CHECK(!s->tick(views_of(bad, 4).data()).ok());
    CHECK(s->snapshot(after.data(), after.size()).ok());
    CHECK(before == after);
  }
}
