// SPDX-License-Identifier: Apache-2.0
// The stand-in for a device (tests/shim/): right kernels run in every order, and what a device
// forbids or leaves undefined is refused by name.
#include <cmath>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/pv.cuh"
#include "shim/grid.hpp"

#include "check.hpp"

namespace {

shim::Launch launch(int blocks, int threads, size_t shared_bytes, std::function<void()> body) {
  return {blocks, threads, shared_bytes, std::move(body), false};
}
// What the shim says of a kernel; "" if nothing.
std::string complaint(shim::Launch l) {
  try {
    shim::run(std::move(l));
  } catch (const shim::Error& e) {
    return e.what();
  }
  return "";
}
bool says(const std::string& text, const char* part) {
  if (text.find(part) != std::string::npos) return true;
  std::fprintf(stderr, "said: %s\n", text.c_str());
  return false;
}
alignas(16) const float kSource[8] = {1, 2, 3, 4, 5, 6, 7, 8};

void reverse(const int* from, int* to) {
  PV_SHARED(int, values, 128);
  const int n = static_cast<int>(blockDim.x), i = static_cast<int>(threadIdx.x);
  values[i] = from[blockIdx.x * n + i];
  pv::sync();
  to[blockIdx.x * n + i] = values[n - 1 - i];
}

}  // namespace

TEST(blocks_exchange_through_shared_memory) {
  std::vector<int> from(5 * 128), to(5 * 128);
  std::iota(from.begin(), from.end(), 0);
  for (int seed = 0; seed < 20; ++seed) {
    shim::seed(seed);
    shim::run(launch(5, 128, 0, [&] { reverse(from.data(), to.data()); }));
    for (int i = 0; i < 5 * 128; ++i) CHECK_EQ(to[i], i / 128 * 128 + 127 - i % 128);
  }
}

TEST(orders_are_random_and_repeat) {
  const auto order = [](int seed) {
    shim::seed(seed);
    std::vector<unsigned> seen;
    shim::run(launch(3, 64, 0, [&] { seen.push_back(blockIdx.x * 64 + threadIdx.x); }));
    return seen;
  };
  CHECK(order(1) == order(1));
  CHECK(order(1) != order(2));
  std::vector<unsigned> all = order(3);
  std::sort(all.begin(), all.end());
  for (unsigned i = 0; i < 192; ++i) CHECK_EQ(all[i], i);
}

TEST(a_butterfly_sums_a_warp) {
  float sums[64];
  shim::run(launch(1, 64, 0, [&] {
    float x = static_cast<float>(threadIdx.x);
    for (int step = 1; step < 32; step *= 2) x += pv::shuffle_xor(x, step);
    sums[threadIdx.x] = x;
  }));
  for (int i = 0; i < 64; ++i) CHECK_EQ(sums[i], i < 32 ? 496.0f : 1520.0f);
}

TEST(a_missed_barrier_is_refused) {
  CHECK(says(complaint(launch(1, 64, 0,
                              [] {
                                if (threadIdx.x < 63) pv::sync();
                              })),
             "threads miss a barrier"));
}

TEST(a_collective_without_all_lanes_is_refused) {
  CHECK(says(complaint(launch(1, 32, 0,
                              [] {
                                if (threadIdx.x != 7) pv::shuffle_xor(1.0f, 1);
                              })),
             "meet in no collective"));
  CHECK(says(complaint(launch(1, 32, 128,
                              [] {
                                PV_SMEM(shared);
                                uint32_t r[4];
                                if (threadIdx.x == 3) pv::load_matrices(r, shared);
                                pv::shuffle_xor(1.0f, 1);
                              })),
             "different collectives"));
}

TEST(a_copy_lands_at_its_wait) {
  float first = 0, filled = 1, before = 0, after = 0;
  shim::run(launch(1, 32, 1024, [&] {
    PV_SMEM(shared);
    float* const old = reinterpret_cast<float*>(shared) + threadIdx.x * 4;
    float* const young = old + 128;
    pv::copy16(old, kSource, 8);
    pv::commit_copies();
    pv::copy8(young, kSource, 8);
    pv::commit_copies();
    pv::wait_copies<1>();
    if (threadIdx.x == 9) first = old[1], filled = old[3], before = young[0];
    pv::wait_copies<0>();
    if (threadIdx.x == 9) after = young[0];
  }));
  CHECK_EQ(first, 2.0f);
  CHECK_EQ(filled, 0.0f);
  CHECK(std::isnan(before));
  CHECK_EQ(after, 1.0f);
}

TEST(wrong_copies_are_refused) {
  const auto copy = [](size_t to, const void* from, int valid, bool commit, bool wait) {
    return complaint(launch(1, 32, 512, [=] {
      PV_SMEM(shared);
      pv::copy16(shared + to, from, valid);
      if (commit) pv::commit_copies();
      if (wait) pv::wait_copies<0>();
    }));
  };
  CHECK_EQ(copy(0, kSource, 16, true, true), "");
  CHECK(says(copy(8, kSource, 16, true, true), "misaligned copy"));
  CHECK(says(copy(0, kSource + 1, 16, true, true), "misaligned copy"));
  CHECK(says(copy(0, kSource, 17, true, true), "misaligned copy"));
  CHECK(says(copy(512, kSource, 16, true, true), "outside of shared memory"));
  CHECK(says(copy(0, kSource, 16, false, true), "without a commit"));
  CHECK(says(copy(0, kSource, 16, true, false), "under way where its thread ends"));
}

TEST(only_ranges_of_the_device_are_read_and_written) {
  std::vector<float> inside(64), outside(4);
  const shim::Range range(inside.data(), inside.size() * sizeof(float));
  const auto touch = [](float* p, bool store) {
    return complaint(launch(1, 32, 0, [=] { store ? pv::store(p, 1.0f) : (void)pv::load(p); }));
  };
  CHECK_EQ(touch(inside.data(), true), "");
  CHECK_EQ(touch(inside.data() + 63, false), "");
  CHECK(says(touch(inside.data() + 64, true), "store outside of the device's memory"));
  CHECK(says(touch(inside.data() - 1, false), "load outside of the device's memory"));
  CHECK(says(touch(outside.data(), true), "store outside"));
}

TEST(launches_that_a_device_refuses) {
  CHECK(says(complaint(launch(0, 32, 0, [] {})), "without blocks"));
  CHECK(says(complaint(launch(1, 33, 0, [] {})), "33 threads"));
  CHECK(says(complaint(launch(1, 32, 48129, [] {})), "48129 bytes of shared memory"));
}

TEST(an_early_start_runs_up_to_the_wait) {
  std::string order;
  const auto body = [&](char early, char late) {
    return [&order, early, late] {
      if (threadIdx.x == 0) order += early;
      pv::wait_previous_launch();
      pv::sync();
      if (threadIdx.x == 0) order += late;
    };
  };
  shim::run_early({{1, 32, 0, body('a', 'A'), true}, {1, 32, 0, body('b', 'B'), true}});
  CHECK_EQ(order, "abAB");
  order.clear();
  shim::run({2, 32, 0, body('a', 'A'), true});
  CHECK_EQ(order, "aAaA");
}

TEST(more_blocks_than_fit_start_later) {
  std::vector<int> sum(1);
  shim::run_early(
      {{200, 64, 0, [&] { pv::wait_previous_launch(), pv::atomic_add(&sum[0], 1); }, true}});
  CHECK_EQ(sum[0], 200 * 64);
}

TEST(a_thread_that_does_not_wait_for_the_launch_before_is_refused) {
  CHECK(says(complaint({1, 32, 0,
                        [] {
                          if (threadIdx.x != 0) pv::wait_previous_launch();
                        },
                        true}),
             "without waiting for the launch before"));
}

TEST(sums_without_a_fence_are_not_seen_by_other_blocks) {
  for (const bool fenced : {true, false}) {
    std::vector<float> sums(2, -1.0f);
    int arrived = 0;
    float seen = 0;
    shim::run(launch(2, 32, 0, [&] {
      if (threadIdx.x != 0) return;
      pv::store_shared_sum(&sums[blockIdx.x], 3.0f);
      if (fenced) pv::fence();
      if (pv::atomic_add(&arrived, 1) == 1) {
        seen = pv::load_shared_sum(&sums[0]) + pv::load_shared_sum(&sums[1]);
      }
    }));
    CHECK_EQ(seen, fenced ? 6.0f : 2.0f);
    CHECK_EQ(sums[0] + sums[1], 6.0f);  // the launch has ended
  }
}

TEST(a_launch_that_failed_leaves_the_next_one_alone) {
  for (int i = 0; i < 3; ++i) {
    CHECK(says(complaint(launch(4, 128, 0,
                                [] {
                                  if (threadIdx.x == 77)
                                    shim::fail("x");
                                  else
                                    pv::sync();
                                })),
               "thread 77: x."));
    int n = 0;
    shim::run(launch(1, 128, 0, [&] { pv::sync(), pv::atomic_add(&n, 1); }));
    CHECK_EQ(n, 128);
  }
}

TEST(numbers_round_as_on_a_device) {
  CHECK_EQ(pv::to_float(pv::to_f16(65504.0f)), 65504.0f);
  CHECK(std::isinf(pv::to_float(pv::to_f16(65520.0f))));
  CHECK_EQ(pv::to_float(pv::to_f16(65519.0f)), 65504.0f);
  CHECK_EQ(pv::to_f16(std::ldexp(1.0f, -25)).bits, 0);  // a tie, to even
  CHECK_EQ(pv::to_f16(std::ldexp(-1.5f, -25)).bits, 0x8001);
  CHECK_EQ(pv::to_f16(std::nanf("")).bits, 0x7fff);
  CHECK_EQ(pv::to_bf16(std::nanf("")).bits, 0x7fff);
  CHECK_EQ(pv::to_float(pv::to_bf16(1.00390625f)), 1.0f);  // a tie, to even
  CHECK_EQ(pv::to_float(pv::to_bf16(1.01171875f)), 1.015625f);
  CHECK_EQ(pv::float_of(pv::round_tf32(pv::bits_of(1.00048828125f))), 1.0009765625f);
  for (int bits = 0; bits < 0x7c00; ++bits) {
    const pv::f16 x = {static_cast<uint16_t>(bits)};
    CHECK_EQ(pv::to_f16(pv::to_float(x)).bits, x.bits);
  }
}
