// SPDX-License-Identifier: Apache-2.0
// Sequences of calls of the C interface: any order, indices, sizes and options, handles that are
// NULL; never one that was destroyed, which no C library can know. Frames as callers make them.
#include <pvnet/pvnet.h>

#include <cstring>
#include <vector>

#include "bytes.hpp"
#include "cpp/model_fixture.hpp"

namespace {

struct World {
  std::vector<pvnet_model*> models;
  std::vector<pvnet_plan*> plans;
  std::vector<pvnet_stream*> streams;
  std::vector<std::vector<char>> snapshots;
  ~World() {
    for (auto* s : streams) pvnet_stream_destroy(s);
    for (auto* p : plans) pvnet_plan_destroy(p);
    for (auto* m : models) pvnet_model_destroy(m);
  }
};

template <class T>
T* pick(fuzz::Bytes& in, const std::vector<T*>& from) {
  return from.empty() || in.chance(4) ? nullptr : from[in.below(from.size())];
}

void expect_message(int status) {
  if (status == PVNET_OK) return;
  if (status < 0 || status > PVNET_OUT_OF_MEMORY) fuzz::die("an unknown status");
  if (status == PVNET_INTERNAL) fuzz::die(pvnet_last_error());
  if (pvnet_last_error()[0] != '[') fuzz::die("a failure without a message");
}

// Memory for frames of [3, 16, 16] and somewhat more, of bytes that are also tame floats.
std::vector<float>& pixels() {
  static std::vector<float> memory(1 << 14, 0.5f);
  return memory;
}

// Whether all that the frame promises lies inside `pixels`.
bool inside(const pvnet_frame& f, int64_t element_bytes) {
  const auto room = static_cast<__int128>(pixels().size() * sizeof(float));
  const bool bytes = f.type == PVNET_U8_HWC;
  const int32_t extents[3] = {bytes ? f.height : f.channels, bytes ? f.width : f.height,
                              bytes ? f.channels : f.width};
  __int128 lo = 0, hi = 0;
  for (int i = 0; i < 3; ++i) {
    const __int128 reach = static_cast<__int128>(f.strides[i]) * (extents[i] - 1) * element_bytes;
    (reach < 0 ? lo : hi) += reach;
  }
  const auto at = static_cast<__int128>(static_cast<const char*>(f.data) -
                                        reinterpret_cast<const char*>(pixels().data()));
  return at + lo >= 0 && at + hi + element_bytes <= room;
}

pvnet_frame frame_of(fuzz::Bytes& in) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(pixels().data());
  pvnet_frame f = in.chance(50) ? pvnet_frame_u8(bytes, 16, 16, 3, in.chance(70) ? 0 : in.number())
                                : pvnet_frame_f32(pixels().data(), 3, 16, 16);
  if (in.chance(10)) f.data = nullptr;
  if (in.chance(10)) f.data = bytes + in.below(200);
  if (in.chance(10)) f.type = static_cast<int32_t>(in.number());
  if (in.chance(10)) f.height = static_cast<int32_t>(in.number());
  if (in.chance(10)) f.width = static_cast<int32_t>(in.number());
  if (in.chance(10)) f.channels = static_cast<int32_t>(in.number());
  for (int64_t& stride : f.strides) {
    if (in.chance(10)) stride = in.number();
  }
  // Memory that the caller does not have is the caller's to know.
  const bool right_size = f.height == 16 && f.width == 16 && f.channels == 3;
  if (f.data != nullptr && right_size && !inside(f, f.type == PVNET_U8_HWC ? 1 : 4)) {
    f.data = nullptr;
  }
  return f;
}

void make_plan(fuzz::Bytes& in, World& w) {
  pvnet_options options = pvnet_options_default();
  if (in.chance(20)) options.struct_size = static_cast<size_t>(in.number());
  static const char* const kNames[] = {"cpu", "ref", "auto", "cuda", "", nullptr, "zzz"};
  options.backend = in.one_of(kNames);
  options.isa = in.chance(60) ? "scalar" : nullptr;
  if (in.chance(10)) options.isa = in.one_of(kNames);
  if (in.chance(10)) options.dtype = in.one_of(kNames);
  options.lanes =
      in.chance(80) ? static_cast<int32_t>(in.below(3)) : static_cast<int32_t>(in.number());
  options.batch =
      in.chance(80) ? static_cast<int32_t>(in.below(3)) : static_cast<int32_t>(in.number());
  if (options.lanes > 8 && options.lanes <= 256) options.lanes = 8;
  if (options.batch > 64 && options.batch <= 4096) options.batch = 64;
  // A struct_size beyond ours promises memory, as a newer struct would have it.
  alignas(pvnet_options) static unsigned char memory[4096];
  std::memset(memory, 0, sizeof(memory));
  std::memcpy(memory, &options, sizeof(options));
  const auto* given = reinterpret_cast<const pvnet_options*>(memory);
  pvnet_plan* plan = nullptr;
  const int status = pvnet_plan_compile(pick(in, w.models), in.chance(10) ? nullptr : given, &plan);
  expect_message(status);
  if (status == PVNET_OK) w.plans.push_back(plan);
}

void read_facts(fuzz::Bytes& in, const World& w) {
  const pvnet_plan* plan = pick(in, w.plans);
  pvnet_plan_info info{};
  info.struct_size = in.chance(80) ? sizeof(info) : in.below(2 * sizeof(info));
  expect_message(pvnet_plan_get_info(plan, &info));
  pvnet_value_info value{};
  value.struct_size = in.chance(80) ? sizeof(value) : in.below(2 * sizeof(value));
  const auto index = static_cast<int>(in.number());
  expect_message(in.chance(50) ? pvnet_plan_get_input(plan, index, &value)
                               : pvnet_plan_get_output(plan, index, &value));
  std::vector<char> text(in.below(200));
  size_t needed = 0;
  expect_message(pvnet_plan_describe(plan, text.data(), text.size(), &needed));
  int found = 0;
  expect_message(pvnet_plan_find_output(plan, in.chance(50) ? "logits" : "", &found));
}

void use_stream(fuzz::Bytes& in, World& w) {
  pvnet_stream* stream = pick(in, w.streams);
  size_t size = 0;
  int64_t number = 0;
  switch (in.below(8)) {
    case 0:
    case 1:
    case 2: {
      std::vector<pvnet_frame> frames(1 + in.below(3));
      for (pvnet_frame& f : frames) f = frame_of(in);
      std::vector<uint8_t> rows(64);
      for (uint8_t& r : rows) r = in.chance(70);
      expect_message(pvnet_stream_tick(stream, in.chance(4) ? nullptr : frames.data(),
                                       frames.size(), in.chance(50) ? nullptr : rows.data()));
      break;
    }
    case 3: {
      std::vector<float> out(in.chance(80) ? 5 : in.below(20));
      expect_message(pvnet_stream_read_output(stream, static_cast<int>(in.number()),
                                              static_cast<int>(in.number()), out.data(),
                                              out.size()));
      break;
    }
    case 4:
      expect_message(pvnet_stream_age(stream, static_cast<int>(in.number()),
                                      static_cast<int>(in.number()), static_cast<int>(in.number()),
                                      &number));
      expect_message(pvnet_stream_ticks(stream, static_cast<int>(in.number()), &number));
      break;
    case 5: {
      const std::vector<uint8_t> rows(64, static_cast<uint8_t>(in.below(2)));
      expect_message(pvnet_stream_reset(stream, in.chance(50) ? nullptr : rows.data()));
      break;
    }
    case 6: {
      const int status = pvnet_stream_snapshot_bytes(stream, &size);
      expect_message(status);
      if (status != PVNET_OK) break;
      std::vector<char> bytes(in.chance(90) ? size : in.below(100));
      if (pvnet_stream_snapshot(stream, bytes.data(), bytes.size()) == PVNET_OK) {
        if (w.snapshots.size() > 4) w.snapshots.clear();
        w.snapshots.push_back(bytes);
      }
      break;
    }
    default: {
      const char* json = nullptr;
      if (!w.snapshots.empty() && in.chance(70)) {
        std::vector<char>& s = w.snapshots[in.below(w.snapshots.size())];
        if (in.chance(30)) s[in.byte() % s.size()] ^= 1;
        expect_message(pvnet_stream_restore(stream, s.data(), s.size()));
      } else if (in.chance(50)) {
        expect_message(pvnet_stream_trace_start(stream, in.below(64)));
      } else {
        expect_message(pvnet_stream_trace_stop(stream, &json));
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::string good = fixture::saved_bytes(fixture::model_of(fixture::small_graph()));
  fuzz::Bytes in(data, size);
  World w;
  pvnet_model* model = nullptr;
  if (pvnet_model_load_memory(good.data(), good.size(), &model) != PVNET_OK) fuzz::die("no model");
  w.models.push_back(model);
  make_plan(in, w);
  for (int calls = 0; in.more() && calls < 60; ++calls) {
    switch (in.below(6)) {
      case 0:
        if (w.plans.size() < 4) make_plan(in, w);
        break;
      case 1: {
        pvnet_stream* stream = nullptr;
        if (w.streams.size() >= 4) break;
        const int status = pvnet_stream_create(pick(in, w.plans), &stream);
        expect_message(status);
        if (status == PVNET_OK) w.streams.push_back(stream);
        break;
      }
      case 2:
        read_facts(in, w);
        break;
      default:
        use_stream(in, w);
    }
  }
  return 0;
}
