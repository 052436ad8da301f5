// SPDX-License-Identifier: Apache-2.0
// The C interface given what only C can give: sizes, pitches, strides and addresses that are wrong.
#include <pvnet/pvnet.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "check.hpp"
#include "model_fixture.hpp"

namespace {

struct Handles {
  Handles() {
    const std::string bytes = fixture::saved_bytes(fixture::model_of(fixture::small_graph()));
    CHECK_EQ(pvnet_model_load_memory(bytes.data(), bytes.size(), &model), PVNET_OK);
    CHECK_EQ(pvnet_plan_compile(model, nullptr, &plan), PVNET_OK);
    CHECK_EQ(pvnet_stream_create(plan, &stream), PVNET_OK);
  }
  ~Handles() {
    pvnet_stream_destroy(stream);
    pvnet_plan_destroy(plan);
    pvnet_model_destroy(model);
  }
  pvnet_model* model = nullptr;
  pvnet_plan* plan = nullptr;
  pvnet_stream* stream = nullptr;
};

bool last_error_has(const char* text) { return std::strstr(pvnet_last_error(), text) != nullptr; }

TEST(options_of_half_a_member_are_refused) {
  Handles h;
  const size_t ends[] = {8, 16, 24, 32, 36, 40, 44, 48, 56, 64, 72};
  static_assert(sizeof(pvnet_options) == 72);
  // Garbage where half a pointer would be taken from.
  std::vector<unsigned char> memory(sizeof(pvnet_options) + 64, 0x41);
  for (size_t size = 0; size <= sizeof(pvnet_options); ++size) {
    pvnet_options options = pvnet_options_default();
    options.struct_size = size;
    std::memcpy(memory.data(), &options, std::max(size, sizeof(size_t)));
    bool whole = false;
    for (const size_t end : ends) whole = whole || end == size;
    pvnet_plan* plan = nullptr;
    const auto* given = reinterpret_cast<const pvnet_options*>(memory.data());
    const int status = pvnet_plan_compile(h.model, given, &plan);
    CHECK_EQ(status, whole ? PVNET_OK : PVNET_INVALID_ARGUMENT);
    if (!whole) CHECK(last_error_has("options.struct_size"));
    pvnet_plan_destroy(plan);
  }
}

TEST(facts_of_half_a_member_are_refused_and_nothing_is_written_beyond) {
  Handles h;
  int accepted = 0;
  for (size_t size = 0; size <= sizeof(pvnet_plan_info); ++size) {
    std::vector<unsigned char> memory(sizeof(pvnet_plan_info) + 8, 0x5a);
    std::memcpy(memory.data(), &size, sizeof(size));
    auto* info = reinterpret_cast<pvnet_plan_info*>(memory.data());
    const bool ok = pvnet_plan_get_info(h.plan, info) == PVNET_OK;
    accepted += ok;
    for (size_t i = ok ? size : sizeof(size); i < memory.size(); ++i) CHECK_EQ(memory[i], 0x5a);
  }
  CHECK_EQ(accepted, 14);  // members
  accepted = 0;
  for (size_t size = 0; size <= sizeof(pvnet_value_info); ++size) {
    pvnet_value_info info;
    std::memset(static_cast<void*>(&info), 0x5a, sizeof(info));
    info.struct_size = size;
    accepted += pvnet_plan_get_output(h.plan, 0, &info) == PVNET_OK;
  }
  CHECK_EQ(accepted, 9);
}

// Compiles the small graph in int8, of a file with this metadata "ranges"; "" = without.
int compile_int8(const std::string& ranges, pvnet_plan** plan) {
  pvnet::Model small = fixture::model_of(fixture::small_graph());
  if (!ranges.empty()) small.metadata["ranges"] = ranges;
  const std::string bytes = fixture::saved_bytes(small);
  pvnet_model* model = nullptr;
  CHECK_EQ(pvnet_model_load_memory(bytes.data(), bytes.size(), &model), PVNET_OK);
  pvnet_options options = pvnet_options_default();
  options.dtype = "int8";
  const int status = pvnet_plan_compile(model, &options, plan);
  pvnet_model_destroy(model);
  return status;
}

TEST(int8_takes_the_ranges_that_the_file_keeps) {
  pvnet_plan* plan = nullptr;
  CHECK_EQ(compile_int8(R"({"frame": [-2, 2], "stem": [0, 3.5]})", &plan), PVNET_OK);
  pvnet_plan_info info;
  info.struct_size = sizeof(info);
  CHECK_EQ(pvnet_plan_get_info(plan, &info), PVNET_OK);
  CHECK_EQ(std::string(info.dtype), std::string("int8"));
  pvnet_plan_destroy(plan);
  plan = nullptr;
  CHECK_EQ(compile_int8("", &plan), PVNET_INVALID_ARGUMENT);
  CHECK(last_error_has("got no ranges"));
  CHECK_EQ(compile_int8(R"({"nobody": [-2, 2]})", &plan), PVNET_INVALID_ARGUMENT);
  CHECK(last_error_has("'nobody'"));
  for (const char* bad : {"[1]", R"({"stem": [0]})", R"({"stem": [1, 2]})",
                          R"({"stem": [0, 1e99]})", R"({"stem": [0, "1"]})"}) {
    CHECK_EQ(compile_int8(bad, &plan), PVNET_FILE);
    CHECK(last_error_has("metadata 'ranges' has no range"));
  }
  CHECK(plan == nullptr);
}

// What the small graph answers to a grey frame, of a file with ranges and these "corrections".
std::vector<float> answer(const char* dtype, const std::string& corrections) {
  pvnet::Model small = fixture::model_of(fixture::small_graph());
  small.metadata["ranges"] = R"({"frame": [0, 255], "stem": [0, 200]})";
  if (!corrections.empty()) small.metadata["corrections"] = corrections;
  const std::string bytes = fixture::saved_bytes(small);
  pvnet_options options = pvnet_options_default();
  options.dtype = dtype;
  pvnet_model* model = nullptr;
  pvnet_plan* plan = nullptr;
  pvnet_stream* stream = nullptr;
  CHECK_EQ(pvnet_model_load_memory(bytes.data(), bytes.size(), &model), PVNET_OK);
  std::vector<float> out;
  if (pvnet_plan_compile(model, &options, &plan) == PVNET_OK) {
    CHECK_EQ(pvnet_stream_create(plan, &stream), PVNET_OK);
    const std::vector<uint8_t> pixels(16 * 16 * 3, 128);
    const pvnet_frame frame = pvnet_frame_u8(pixels.data(), 16, 16, 3, 0);
    CHECK_EQ(pvnet_stream_tick(stream, &frame, 1, nullptr), PVNET_OK);
    out.resize(5);
    CHECK_EQ(pvnet_stream_read_output(stream, 0, 0, out.data(), out.size()), PVNET_OK);
  }
  pvnet_stream_destroy(stream);
  pvnet_plan_destroy(plan);
  pvnet_model_destroy(model);
  return out;
}

TEST(int8_alone_adds_the_corrections_that_the_file_keeps_to_biases) {
  const std::vector<float> plain = answer("int8", ""), more = {1, -2, 0, 0.5, 4};
  const std::vector<float> corrected = answer("int8", R"({"head": [1, -2, 0, 0.5, 4]})");
  for (size_t i = 0; i < more.size(); ++i) {
    CHECK(std::fabs(corrected[i] - plain[i] - more[i]) < 1e-3F);
  }
  const char* of_a_norm = R"({"stem": [9, 9, 9, 9, 9, 9]})";
  CHECK(answer("int8", of_a_norm) != plain);
  CHECK(answer("f32", of_a_norm) == answer("f32", ""));
  CHECK(answer("bf16", of_a_norm) == answer("bf16", ""));
  for (const char* bad : {"[1]", R"({"stem": 1})", R"({"stem": ["1"]})", R"({"stem": [1e99]})"}) {
    CHECK(answer("int8", bad).empty());
    CHECK(last_error_has("metadata 'corrections' has no corrections"));
    CHECK(answer("f32", bad) == answer("f32", ""));
  }
  for (const char* bad : {R"({"nobody": [1]})", R"({"pool": [1]})", R"({"frame": [1, 1, 1]})"}) {
    CHECK(answer("int8", bad).empty());
    CHECK(last_error_has("corrections belong to no bias"));
  }
  CHECK(answer("int8", R"({"head": [1]})").empty());
  CHECK(last_error_has("got 1, expected 5 finite numbers"));
}

TEST(rows_of_bytes_that_overlap_are_refused) {
  Handles h;
  const std::vector<uint8_t> pixels(16 * 16 * 3 * 2, 7);
  for (const int64_t pitch : {int64_t{1}, int64_t{47}, int64_t{-1}, int64_t{-47}}) {
    const pvnet_frame f = pvnet_frame_u8(pixels.data(), 16, 16, 3, pitch);
    CHECK_EQ(pvnet_stream_tick(h.stream, &f, 1, nullptr), PVNET_INVALID_ARGUMENT);
    CHECK(last_error_has("pitch"));
  }
  for (const int64_t wild : {INT64_MAX, INT64_MIN, INT64_MIN / 8}) {
    const pvnet_frame f = pvnet_frame_u8(pixels.data(), 16, 16, 3, wild);
    CHECK_EQ(pvnet_stream_tick(h.stream, &f, 1, nullptr), PVNET_INVALID_ARGUMENT);
    CHECK(last_error_has("beyond any memory"));
  }
  pvnet_frame zero = pvnet_frame_u8(pixels.data(), 16, 16, 3, 0);
  zero.strides[0] = 0;
  CHECK_EQ(pvnet_stream_tick(h.stream, &zero, 1, nullptr), PVNET_INVALID_ARGUMENT);
  int64_t ticks = -1;
  CHECK_EQ(pvnet_stream_ticks(h.stream, 0, &ticks), PVNET_OK);
  CHECK_EQ(ticks, 0);
  for (const int64_t pitch : {int64_t{48}, int64_t{96}}) {
    const pvnet_frame f = pvnet_frame_u8(pixels.data(), 16, 16, 3, pitch);
    CHECK_EQ(pvnet_stream_tick(h.stream, &f, 1, nullptr), PVNET_OK);
  }
  // Bottom up, as some bitmaps are: the data begin at the last row.
  const pvnet_frame up = pvnet_frame_u8(pixels.data() + 15 * 48, 16, 16, 3, -48);
  CHECK_EQ(pvnet_stream_tick(h.stream, &up, 1, nullptr), PVNET_OK);
}

TEST(strides_that_were_never_set_are_refused) {
  Handles h;
  const std::vector<float> pixels(16 * 16 * 3 + 1, 0.5f);
  pvnet_frame f = pvnet_frame_f32(pixels.data(), 3, 16, 16);
  f.strides[0] = f.strides[1] = f.strides[2] = 0;
  CHECK_EQ(pvnet_stream_tick(h.stream, &f, 1, nullptr), PVNET_INVALID_ARGUMENT);
  CHECK(last_error_has("not set"));
  f = pvnet_frame_f32(pixels.data(), 3, 16, 16);
  f.strides[0] = 0;  // one gray plane as three channels is a meaning
  CHECK_EQ(pvnet_stream_tick(h.stream, &f, 1, nullptr), PVNET_OK);
  for (const int64_t wild : {INT64_MAX, INT64_MIN, INT64_MAX / 8}) {
    f = pvnet_frame_f32(pixels.data(), 3, 16, 16);
    f.strides[1] = wild;
    CHECK_EQ(pvnet_stream_tick(h.stream, &f, 1, nullptr), PVNET_INVALID_ARGUMENT);
    CHECK(last_error_has("beyond any memory"));
  }
  f = pvnet_frame_f32(pixels.data(), 3, 16, 16);
  f.data = reinterpret_cast<const char*>(pixels.data()) + 1;
  CHECK_EQ(pvnet_stream_tick(h.stream, &f, 1, nullptr), PVNET_INVALID_ARGUMENT);
  CHECK(last_error_has("misaligned"));
}

TEST(every_status_has_a_name) {
  CHECK_EQ(std::string(pvnet_status_name(PVNET_OUT_OF_MEMORY)), "out_of_memory");
  CHECK_EQ(std::string(pvnet_status_name(PVNET_OUT_OF_MEMORY + 1)), "unknown");
}

}  // namespace
