// SPDX-License-Identifier: Apache-2.0
// Frames of any type, strides and address at pvnet_stream_tick. The memory is exactly what the
// frame describes, so that a sanitizer sees the first byte read beside it; what is accepted gives
// the result of a packed copy of the frame, and what is refused leaves the stream as it was.
#include <pvnet/pvnet.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "bytes.hpp"
#include "cpp/model_fixture.hpp"

namespace {

constexpr int kC = 3, kH = 5, kW = 7;
constexpr size_t kPixels = kC * kH * kW;
constexpr __int128 kMost = 1 << 18;  // bytes of one frame that are worth having

void need(int status) {
  if (status != PVNET_OK) fuzz::die(pvnet_last_error());
}

// Two streams of one network whose output is its input, a pixel exchanged nowhere.
struct Pair {
  pvnet_model* model = nullptr;
  pvnet_plan* plan = nullptr;
  pvnet_stream *given = nullptr, *packed = nullptr;
  explicit Pair(const char* backend) {
    const pvnet::Graph graph = fixture::graph_of(
        {R"({"op":"input","name":"x","attrs":{"channels":3,"height":5,"width":7}})",
         R"({"op":"max_pool","name":"y","inputs":["x"],"attrs":{"kernel":[1,1,1]}})"},
        "y");
    const std::string bytes = fixture::saved_bytes(fixture::model_of(graph));
    need(pvnet_model_load_memory(bytes.data(), bytes.size(), &model));
    pvnet_options options = pvnet_options_default();
    options.backend = backend;
    options.lanes = 1;
    need(pvnet_plan_compile(model, &options, &plan));
    need(pvnet_stream_create(plan, &given));
    need(pvnet_stream_create(plan, &packed));
  }
};

bool is_u8(const pvnet_frame& f) { return f.type == PVNET_U8_HWC; }

struct Axes {
  int64_t extents[3];
  int64_t element;
};

Axes axes_of(const pvnet_frame& f) {
  if (is_u8(f)) return {{f.height, f.width, f.channels}, 1};
  return {{f.channels, f.height, f.width}, 4};
}

int64_t stride(fuzz::Bytes& in) {
  static constexpr int64_t kUsual[] = {1, 3, 5, 7, 15, 21, 22, 24, 35, 105, 0, 2, -1, -7, -21, -35};
  return in.chance(85) ? in.one_of(kUsual) : in.number();
}

pvnet_frame described(fuzz::Bytes& in) {
  pvnet_frame f =
      in.chance(50) ? pvnet_frame_u8(nullptr, kH, kW, kC, 0) : pvnet_frame_f32(nullptr, kC, kH, kW);
  const int changes = static_cast<int>(in.below(4));
  for (int i = 0; i < changes; ++i) {
    // The last two of u8 must be those of packed pixels: rarely anything else.
    const size_t axis = is_u8(f) && in.chance(80) ? 0 : in.below(3);
    f.strides[axis] = stride(in);
  }
  if (in.chance(30) && !is_u8(f)) {  // as numpy transposes: any order of the axes
    static constexpr int64_t kOrders[][3] = {
        {1, 21, 3}, {35, 1, 5}, {7, 21, 1}, {5, 15, 1}, {1, 3, 15}};
    std::memcpy(f.strides, in.one_of(kOrders), sizeof(f.strides));
  }
  if (in.chance(5)) f.type = static_cast<int32_t>(in.number());
  if (in.chance(5)) f.height = static_cast<int32_t>(in.number());
  if (in.chance(5)) f.width = static_cast<int32_t>(in.number());
  if (in.chance(5)) f.channels = static_cast<int32_t>(in.number());
  return f;
}

// The frame's pixels, read one by one by what the strides say; packed.
template <class T>
std::vector<T> copied(const pvnet_frame& f) {
  std::vector<T> out;
  const Axes axes = axes_of(f);
  for (int64_t i = 0; i < axes.extents[0]; ++i) {
    for (int64_t j = 0; j < axes.extents[1]; ++j) {
      for (int64_t k = 0; k < axes.extents[2]; ++k) {
        const int64_t at = i * f.strides[0] + j * f.strides[1] + k * f.strides[2];
        T value;
        std::memcpy(&value, static_cast<const char*>(f.data) + at * axes.element, sizeof(T));
        out.push_back(value);
      }
    }
  }
  return out;
}

void compare(Pair& pair, const pvnet_frame& f) {
  int64_t before = 0, after = 0;
  need(pvnet_stream_ticks(pair.given, 0, &before));
  const int status = pvnet_stream_tick(pair.given, &f, 1, nullptr);
  need(pvnet_stream_ticks(pair.given, 0, &after));
  if (status != PVNET_OK) {
    if (status != PVNET_INVALID_ARGUMENT) fuzz::die("another status than that of a bad argument");
    if (pvnet_last_error()[0] != '[') fuzz::die("a failure without a message");
    if (after != before) fuzz::die("a refused frame was counted");
    return;
  }
  if (after != before + 1) fuzz::die("a frame was not counted");
  const auto bytes = is_u8(f) ? copied<uint8_t>(f) : std::vector<uint8_t>();
  const auto floats = is_u8(f) ? std::vector<float>() : copied<float>(f);
  for (const float x : floats) {
    if (!std::isfinite(x)) fuzz::die("a frame that is not finite was taken");
  }
  const pvnet_frame packed = is_u8(f) ? pvnet_frame_u8(bytes.data(), kH, kW, kC, 0)
                                      : pvnet_frame_f32(floats.data(), kC, kH, kW);
  need(pvnet_stream_tick(pair.packed, &packed, 1, nullptr));
  std::vector<float> got(kPixels), expected(kPixels);
  need(pvnet_stream_read_output(pair.given, 0, 0, got.data(), got.size()));
  need(pvnet_stream_read_output(pair.packed, 0, 0, expected.data(), expected.size()));
  if (std::memcmp(got.data(), expected.data(), kPixels * sizeof(float)) != 0) {
    fuzz::die("other pixels than those of a packed copy");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Pair pairs[] = {Pair("cpu"), Pair("ref")};
  fuzz::Bytes in(data, size);
  pvnet_frame f = described(in);
  const Axes axes = axes_of(f);
  __int128 below = 0, above = axes.element;
  const bool right =
      f.channels == kC && f.height == kH && f.width == kW && (is_u8(f) || f.type == PVNET_F32_CHW);
  for (int i = 0; right && i < 3; ++i) {  // only a frame of the right shape is read at all
    const __int128 reach =
        static_cast<__int128>(f.strides[i]) * (axes.extents[i] - 1) * axes.element;
    (reach < 0 ? below : above) += reach;
  }
  const bool impossible = above - below > std::numeric_limits<int64_t>::max();
  if (!impossible && above - below > kMost) return 0;  // may be right, but who has it
  std::vector<char> memory(impossible ? 8 : static_cast<size_t>(above - below));
  for (size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<char>(i * 37 % 251);
  if (!is_u8(f)) {  // of random bytes some floats are NaN
    for (size_t i = 0; i + sizeof(float) <= memory.size(); i += sizeof(float)) {
      const float x = static_cast<float>(i % 1009) - 500.0f;
      std::memcpy(memory.data() + i, &x, sizeof(x));
    }
    const float odd[] = {NAN, -NAN, INFINITY, -INFINITY, 3e38f, 1e-40f, -0.0f};
    for (size_t n = in.below(3); n > 0 && memory.size() >= sizeof(float); --n) {
      const size_t at = (in.byte() * 256u + in.byte()) % (memory.size() / sizeof(float));
      const float x = in.one_of(odd);
      std::memcpy(memory.data() + at * sizeof(float), &x, sizeof(x));
    }
  }
  f.data = memory.data() + (impossible ? 0 : static_cast<int64_t>(-below));
  if (in.chance(3)) f.data = nullptr;
  for (Pair& pair : pairs) {
    int64_t before = 0, after = 0;
    need(pvnet_stream_ticks(pair.given, 0, &before));
    compare(pair, f);
    need(pvnet_stream_ticks(pair.given, 0, &after));
    if ((impossible || !right) && after != before) fuzz::die("an impossible frame was taken");
  }
  return 0;
}
