// SPDX-License-Identifier: Apache-2.0
// Every allocation of load, compile, create and the first tick fails once: the status says so, all
// that was taken is given back, and the next try works.
#include <dlfcn.h>
#include <pvnet/pvnet.h>

#include <cstdint>
#include <cstdlib>
#include <new>
#include <set>
#include <vector>

#include "check.hpp"
#include "model_fixture.hpp"

namespace {

int64_t countdown = -1;  // allocations until one fails; negative: none does
int64_t alive = 0;       // operator new less operator delete

bool fails() { return countdown >= 0 && countdown-- == 0; }

}  // namespace

void* operator new(size_t n) {
  if (fails()) throw std::bad_alloc();
  void* p = std::malloc(n == 0 ? 1 : n);
  if (p == nullptr) throw std::bad_alloc();
  ++alive;
  return p;
}
void* operator new(size_t n, const std::nothrow_t&) noexcept {
  if (fails()) return nullptr;
  void* p = std::malloc(n == 0 ? 1 : n);
  alive += p != nullptr;
  return p;
}
void* operator new(size_t n, std::align_val_t a) {
  if (fails()) throw std::bad_alloc();
  const auto align = static_cast<size_t>(a);
  void* p = std::aligned_alloc(align, (n + align - 1) / align * align);
  if (p == nullptr) throw std::bad_alloc();
  ++alive;
  return p;
}
void operator delete(void* p) noexcept {
  alive -= p != nullptr;
  std::free(p);
}
void operator delete(void* p, size_t) noexcept { ::operator delete(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { ::operator delete(p); }
void operator delete(void* p, std::align_val_t) noexcept { ::operator delete(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { ::operator delete(p); }

// State, scratch and packed weights come from here.
extern "C" void* aligned_alloc(size_t alignment, size_t size) {
  static const auto real =
      reinterpret_cast<void* (*)(size_t, size_t)>(dlsym(RTLD_NEXT, "aligned_alloc"));
  return fails() ? nullptr : real(alignment, size);
}

namespace {

// step(): a status. Its n-th allocation fails, for n = 0, 1, ... until it makes do without.
template <class Step>
int fail_each(const char* what, const Step& step) {
  int failed = 0;
  for (int64_t n = 0; n < 100'000; ++n) {
    const int64_t before = alive;
    countdown = n;
    const int status = step();
    const bool reached = countdown < 0;
    countdown = -1;
    if (status == PVNET_OK) {
      if (!reached) return failed;
      continue;  // it made do without what failed
    }
    ++failed;
    if (status != PVNET_OUT_OF_MEMORY) {
      check::fail(__FILE__, __LINE__,
                  std::string(what) + " " + std::to_string(n) + ": status " +
                      std::to_string(status) + " " + pvnet_last_error());
    }
    if (alive != before) {
      check::fail(__FILE__, __LINE__,
                  std::string(what) + " " + std::to_string(n) + ": " +
                      std::to_string(alive - before) + " blocks leaked");
    }
    CHECK(pvnet_last_error()[0] == '[');
  }
  return failed;
}

TEST(an_allocation_that_fails_is_said_and_the_next_try_works) {
  const std::string bytes = fixture::saved_bytes(fixture::model_of(fixture::small_graph()));
  pvnet_model* model = nullptr;
  const int loads = fail_each(
      "load", [&] { return pvnet_model_load_memory(bytes.data(), bytes.size(), &model); });
  CHECK(loads > 100);
  CHECK(model != nullptr);

  pvnet_options options = pvnet_options_default();
  options.lanes = 2;
  pvnet_plan* plan = nullptr;
  const int compiles =
      fail_each("compile", [&] { return pvnet_plan_compile(model, &options, &plan); });
  CHECK(compiles > 100);
  CHECK(plan != nullptr);

  pvnet_stream* stream = nullptr;
  const int creates = fail_each("create", [&] { return pvnet_stream_create(plan, &stream); });
  CHECK(creates > 5);
  CHECK(stream != nullptr);

  const std::vector<uint8_t> pixels(16 * 16 * 3, 100);
  const pvnet_frame frame = pvnet_frame_u8(pixels.data(), 16, 16, 3, 0);
  fail_each("tick", [&] { return pvnet_stream_tick(stream, &frame, 1, nullptr); });
  int64_t ticks = 0;
  CHECK_EQ(pvnet_stream_ticks(stream, 0, &ticks), PVNET_OK);
  CHECK_EQ(ticks, 1);

  size_t size = 0;
  CHECK_EQ(pvnet_stream_snapshot_bytes(stream, &size), PVNET_OK);
  std::vector<char> saved(size), again(size);
  fail_each("snapshot", [&] { return pvnet_stream_snapshot(stream, saved.data(), size); });
  CHECK(fail_each("restore", [&] { return pvnet_stream_restore(stream, saved.data(), size); }) > 0);
  CHECK_EQ(pvnet_stream_snapshot(stream, again.data(), size), PVNET_OK);
  CHECK(saved == again);
  const char* json = nullptr;
  fail_each("trace_start", [&] { return pvnet_stream_trace_start(stream, 16); });
  CHECK_EQ(pvnet_stream_tick(stream, &frame, 1, nullptr), PVNET_OK);
  CHECK(fail_each("trace_stop", [&] { return pvnet_stream_trace_stop(stream, &json); }) > 1);
  CHECK(std::string(json).find("stem") != std::string::npos);  // no failure has lost an event
  fail_each("describe", [&] {
    size_t needed = 0;
    return pvnet_plan_describe(plan, nullptr, 0, &needed);
  });
  pvnet_stream_destroy(stream);
  pvnet_plan_destroy(plan);
  pvnet_model_destroy(model);
}

}  // namespace
