/* SPDX-License-Identifier: Apache-2.0 */
/* The C interface from C99: load, plan, stream, 100 ticks without an allocation, reset, snapshot,
 * batch rows, trace, and every kind of wrong call. argv[1]: a model of make_test_model. */
#include <math.h>
#include <pvnet/pvnet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc_count.h"

enum { kSize = 16, kPitch = 64, kClasses = 5, kTicks = 100 };

static int failures = 0;

#define CHECK(cond)                                                                       \
  do {                                                                                    \
    if (!(cond)) {                                                                        \
      ++failures;                                                                         \
      fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #cond, pvnet_last_error()); \
    }                                                                                     \
  } while (0)
#define OK(call) CHECK((call) == PVNET_OK)
/* The call fails with this status and says so in pvnet's form. */
#define FAILS(status, call) CHECK((call) == (status) && message_is_complete())

static int message_is_complete(void) {
  const char* m = pvnet_last_error();
  return m[0] == '[' && strstr(m, "] ") && strstr(m, ": got ") && strstr(m, ", expected ") &&
         m[strlen(m) - 1] == '.';
}

/* Frame t of video v: reproducible bytes, garbage between the rows of the image. */
static void fill(uint8_t* image, int video, int t) {
  unsigned x = 12345u + 977u * (unsigned)video + 31u * (unsigned)t;
  int i;
  for (i = 0; i < kSize * kPitch; ++i) {
    x = x * 1664525u + 1013904223u;
    image[i] = (uint8_t)(x >> 24);
  }
}

static pvnet_frame frame_of(uint8_t* image, int video, int t) {
  fill(image, video, t);
  return pvnet_frame_u8(image, kSize, kSize, 3, kPitch);
}

static void library_facts(void) {
  CHECK(pvnet_api_version() == PVNET_API_VERSION);
  CHECK(strlen(pvnet_version()) >= 5);
  CHECK(strcmp(pvnet_status_name(PVNET_STATE), "state") == 0);
  CHECK(strcmp(pvnet_status_name(99), "unknown") == 0 && pvnet_status_name(-1) != NULL);
  CHECK(strcmp(pvnet_last_error(), "") == 0);
}

static void model_facts(const char* path, const pvnet_model* model) {
  pvnet_model* other = NULL;
  char text[64];
  size_t needed = 0;
  FAILS(PVNET_FILE, pvnet_model_load("/nowhere/at/all", &other));
  FAILS(PVNET_INVALID_ARGUMENT, pvnet_model_load(NULL, &other));
  FAILS(PVNET_INVALID_ARGUMENT, pvnet_model_load(path, NULL));
  FAILS(PVNET_FILE, pvnet_model_load_memory("nonsense nonsense", 17, &other));
  FAILS(PVNET_FILE, pvnet_model_load_memory("", 0, &other));
  CHECK(other == NULL);
  OK(pvnet_model_metadata(model, "classes", text, sizeof(text), &needed));
  CHECK(strcmp(text, "one,two,three,four,five") == 0 && needed == strlen(text) + 1);
  FAILS(PVNET_INVALID_ARGUMENT, pvnet_model_metadata(model, "none", text, sizeof(text), NULL));
  FAILS(PVNET_INVALID_ARGUMENT, pvnet_model_metadata(model, "classes", text, 3, &needed));
  CHECK(needed == 24);
  FAILS(PVNET_INVALID_ARGUMENT, pvnet_model_metadata(model, "classes", NULL, 3, &needed));
  OK(pvnet_model_describe(model, NULL, 0, &needed));
  CHECK(needed > 100);
}

static void plan_facts(const pvnet_model* model, const pvnet_plan* plan) {
  pvnet_plan_info info;
  pvnet_value_info value;
  pvnet_plan* other = NULL;
  pvnet_options options = pvnet_options_default();
  size_t needed = 0;
  char* json;
  int index = -1;
  info.struct_size = sizeof(info);
  OK(pvnet_plan_get_info(plan, &info));
  CHECK(info.inputs == 1 && info.outputs == 1 && info.batch == 1 && info.stages == 2);
  CHECK(info.lanes >= 1 && info.hyper_period_ticks == 1 && info.state_bytes > 0);
  CHECK(strcmp(info.dtype, "f32") == 0 && strlen(info.backend) > 0);
  /* An older program knows fewer members: the others stay untouched. */
  info.struct_size = offsetof(pvnet_plan_info, outputs);
  info.inputs = -7;
  info.outputs = -7;
  OK(pvnet_plan_get_info(plan, &info));
  CHECK(info.inputs == 1 && info.outputs == -7);
  info.struct_size = 0;
  FAILS(PVNET_INVALID_ARGUMENT, pvnet_plan_get_info(plan, &info));

  value.struct_size = sizeof(value);
  OK(pvnet_plan_get_input(plan, 0, &value));
  CHECK(strcmp(value.name, "frame") == 0 && value.channels == 3 && value.height == kSize);
  OK(pvnet_plan_get_output(plan, 0, &value));
  CHECK(strcmp(value.name, "logits") == 0 && value.channels == kClasses && value.width == 1);
  CHECK(value.warm_up_ticks >= 1 && value.information_latency_ticks == 1);
  FAILS(PVNET_INVALID_ARGUMENT, pvnet_plan_get_input(plan, 1, &value));
  FAILS(PVNET_INVALID_ARGUMENT, pvnet_plan_get_output(plan, -1, &value));
  OK(pvnet_plan_find_output(plan, "logits", &index));
  CHECK(index == 0);
  FAILS(PVNET_INVALID_ARGUMENT, pvnet_plan_find_output(plan, "nothing", &index));

  OK(pvnet_plan_describe(plan, NULL, 0, &needed));
  OK(pvnet_plan_json(plan, NULL, 0, &needed));
  json = malloc(needed);
  OK(pvnet_plan_json(plan, json, needed, NULL));
  CHECK(json[0] == '{' && json[needed - 2] == '}');
  free(json);

  options.backend = "quantum";
  CHECK(pvnet_plan_compile(model, &options, &other) != PVNET_OK && message_is_complete());
  options = pvnet_options_default();
  options.batch = -1;
  CHECK(pvnet_plan_compile(model, &options, &other) != PVNET_OK && message_is_complete());
  options = pvnet_options_default();
  options.lanes = 2;
  options.fixed_lanes = 1;
  OK(pvnet_plan_compile(model, &options, &other));
  pvnet_plan_destroy(other);
  other = NULL;
  options = pvnet_options_default();
  options.struct_size = 0;
  FAILS(PVNET_INVALID_ARGUMENT, pvnet_plan_compile(model, &options, &other));
  options = pvnet_options_default();
  options.dtype = "fp16";
  CHECK(pvnet_plan_compile(model, &options, &other) != PVNET_OK && message_is_complete());
  options.dtype = "bf16";
  OK(pvnet_plan_compile(model, &options, &other));
  pvnet_plan_destroy(other);
  other = NULL;
  FAILS(PVNET_INVALID_ARGUMENT, pvnet_plan_compile(NULL, NULL, &other));
  FAILS(PVNET_INVALID_ARGUMENT, pvnet_plan_compile(model, NULL, NULL));
  CHECK(other == NULL);
}

/* Programs compiled with an older or a newer pvnet.h. */
static void other_versions(const pvnet_model* model) {
  struct {
    pvnet_options options;
    int64_t later_member;
  } newer;
  pvnet_options older;
  pvnet_plan* plan = NULL;
  newer.options = pvnet_options_default();
  newer.options.struct_size = sizeof(newer);
  newer.later_member = 0;
  OK(pvnet_plan_compile(model, &newer.options, &plan));
  pvnet_plan_destroy(plan);
  newer.later_member = 1;
  FAILS(PVNET_INVALID_ARGUMENT, pvnet_plan_compile(model, &newer.options, &plan));
  memset(&older, 0xee, sizeof(older));
  memset(&older, 0, offsetof(pvnet_options, lanes));
  older.struct_size = offsetof(pvnet_options, lanes);
  OK(pvnet_plan_compile(model, &older, &plan));
  pvnet_plan_destroy(plan);
}

/* 100 ticks; out[t] of every tick. The stream must be new. */
static void run(pvnet_stream* stream, float out[kTicks][kClasses]) {
  static uint8_t image[kSize * kPitch];
  int64_t ticks = -1;
  int64_t age = -9;
  int valid = -1;
  long before = 0;
  int t;
  for (t = 0; t < kTicks; ++t) {
    const pvnet_frame frame = frame_of(image, 0, t);
    if (t == 1) before = alloc_count();
    OK(pvnet_stream_tick(stream, &frame, 1, NULL));
    OK(pvnet_stream_read_output(stream, 0, 0, out[t], kClasses));
    OK(pvnet_stream_valid(stream, 0, 0, &valid));
    OK(pvnet_stream_age(stream, 0, 0, 1, &age));
    if (t == 0) CHECK(valid == 0);
  }
  CHECK(alloc_count() == before);
  OK(pvnet_stream_ticks(stream, 0, &ticks));
  CHECK(ticks == kTicks && valid == 1 && age == 1);
}

static void floats_agree_with_bytes(const pvnet_plan* plan, float expected[kTicks][kClasses]) {
  static uint8_t image[kSize * kPitch];
  static float pixels[kSize][kSize][4]; /* read with strides: the fourth value is not a channel */
  pvnet_stream* stream = NULL;
  float out[kClasses];
  int t, y, x, c, i;
  OK(pvnet_stream_create(plan, &stream));
  for (t = 0; t < 6; ++t) {
    pvnet_frame frame = pvnet_frame_f32(&pixels[0][0][0], 3, kSize, kSize);
    fill(image, 0, t);
    for (y = 0; y < kSize; ++y) {
      for (x = 0; x < kSize; ++x) {
        for (c = 0; c < 3; ++c) pixels[y][x][c] = (float)image[y * kPitch + 3 * x + c] / 255.0f;
        pixels[y][x][3] = 1e30f;
      }
    }
    frame.strides[0] = 1;
    frame.strides[1] = 4 * kSize;
    frame.strides[2] = 4;
    OK(pvnet_stream_tick(stream, &frame, 1, NULL));
    OK(pvnet_stream_read_output(stream, 0, 0, out, kClasses));
    for (i = 0; i < kClasses; ++i) CHECK(fabsf(out[i] - expected[t][i]) < 1e-4f);
  }
  pvnet_stream_destroy(stream);
}

static void reset_and_snapshot(pvnet_stream* stream, float expected[kTicks][kClasses]) {
  static uint8_t image[kSize * kPitch];
  static float out[kTicks][kClasses];
  size_t size = 0;
  unsigned char* state;
  float after[kClasses];
  int t;
  OK(pvnet_stream_reset(stream, NULL));
  run(stream, out);
  CHECK(memcmp(out, expected, sizeof(out)) == 0);

  OK(pvnet_stream_reset(stream, NULL));
  OK(pvnet_stream_snapshot_bytes(stream, &size));
  state = malloc(size);
  for (t = 0; t < 20; ++t) {
    const pvnet_frame frame = frame_of(image, 0, t);
    if (t == 10) OK(pvnet_stream_snapshot(stream, state, size));
    OK(pvnet_stream_tick(stream, &frame, 1, NULL));
  }
  OK(pvnet_stream_restore(stream, state, size));
  for (t = 10; t < 30; ++t) {
    const pvnet_frame frame = frame_of(image, 0, t);
    OK(pvnet_stream_tick(stream, &frame, 1, NULL));
    OK(pvnet_stream_read_output(stream, 0, 0, after, kClasses));
    CHECK(memcmp(after, expected[t], sizeof(after)) == 0);
  }
  CHECK(pvnet_stream_snapshot(stream, state, size - 1) != PVNET_OK && message_is_complete());
  CHECK(pvnet_stream_restore(stream, state, size - 1) != PVNET_OK && message_is_complete());
  state[0] ^= 0xff;
  CHECK(pvnet_stream_restore(stream, state, size) != PVNET_OK && message_is_complete());
  OK(pvnet_stream_read_output(stream, 0, 0, out[0], kClasses));
  CHECK(memcmp(after, out[0], sizeof(after)) == 0);
  free(state);
}

static void wrong_calls(pvnet_stream* stream) {
  static uint8_t image[kSize * kPitch];
  static float pixels[3 * kSize * kSize];
  const pvnet_frame good = frame_of(image, 0, 0);
  pvnet_frame frame = good;
  float out[kClasses];
  int valid = -5;
  int64_t number = -5;
  int64_t ticks = 0;
  OK(pvnet_stream_ticks(stream, 0, &ticks));
  FAILS(PVNET_INVALID_ARGUMENT, pvnet_stream_tick(NULL, &frame, 1, NULL));
  FAILS(PVNET_INVALID_ARGUMENT, pvnet_stream_tick(stream, NULL, 1, NULL));
  FAILS(PVNET_INVALID_ARGUMENT, pvnet_stream_tick(stream, &frame, 2, NULL));
  frame.data = NULL;
  FAILS(PVNET_INVALID_ARGUMENT, pvnet_stream_tick(stream, &frame, 1, NULL));
  frame = good;
  frame.type = 7;
  FAILS(PVNET_INVALID_ARGUMENT, pvnet_stream_tick(stream, &frame, 1, NULL));
  frame = good;
  frame.height = kSize + 1;
  FAILS(PVNET_INVALID_ARGUMENT, pvnet_stream_tick(stream, &frame, 1, NULL));
  frame = pvnet_frame_f32(pixels, 3, kSize, kSize);
  pixels[100] = NAN;
  FAILS(PVNET_INVALID_ARGUMENT, pvnet_stream_tick(stream, &frame, 1, NULL));
  FAILS(PVNET_INVALID_ARGUMENT, pvnet_stream_read_output(stream, 0, 0, out, kClasses - 1));
  FAILS(PVNET_INVALID_ARGUMENT, pvnet_stream_read_output(stream, 1, 0, out, kClasses));
  FAILS(PVNET_INVALID_ARGUMENT, pvnet_stream_read_output(stream, 0, 1, out, kClasses));
  FAILS(PVNET_INVALID_ARGUMENT, pvnet_stream_read_output(stream, 0, 0, NULL, kClasses));
  FAILS(PVNET_INVALID_ARGUMENT, pvnet_stream_valid(stream, 0, -1, &valid));
  FAILS(PVNET_INVALID_ARGUMENT, pvnet_stream_ticks(stream, 3, &number));
  FAILS(PVNET_INVALID_ARGUMENT, pvnet_stream_age(stream, 0, 0, 2, &number));
  FAILS(PVNET_INVALID_ARGUMENT, pvnet_stream_restore(stream, NULL, 0));
  FAILS(PVNET_INVALID_ARGUMENT, pvnet_stream_create(NULL, &stream));
  CHECK(valid == -5 && number == -5);
  OK(pvnet_stream_ticks(stream, 0, &number));
  CHECK(number == ticks);
}

/* Two videos side by side: each as alone, a frozen row keeps everything, a reset one begins again.
 */
static void batch_rows(const pvnet_model* model, float expected[kTicks][kClasses]) {
  static uint8_t image[kSize * kPitch];
  static const uint8_t only_first[2] = {1, 0}, only_second[2] = {0, 1};
  pvnet_options options = pvnet_options_default();
  pvnet_plan* plan = NULL;
  pvnet_stream* stream = NULL;
  pvnet_frame frames[2];
  float out[kClasses], held[kClasses];
  int64_t ticks = 0;
  int t;
  options.batch = 2;
  OK(pvnet_plan_compile(model, &options, &plan));
  OK(pvnet_stream_create(plan, &stream));
  pvnet_plan_destroy(plan); /* the stream keeps it */
  memset(frames, 0, sizeof(frames));
  for (t = 0; t < 12; ++t) {
    frames[0] = frame_of(image, 0, t);
    OK(pvnet_stream_tick(stream, frames, 2, only_first));
    OK(pvnet_stream_read_output(stream, 0, 0, out, kClasses));
    CHECK(memcmp(out, expected[t], sizeof(out)) == 0);
  }
  OK(pvnet_stream_ticks(stream, 1, &ticks));
  CHECK(ticks == 0);
  OK(pvnet_stream_read_output(stream, 0, 0, held, kClasses));
  OK(pvnet_stream_reset(stream, only_second));
  for (t = 0; t < 12; ++t) {
    frames[1] = frame_of(image, 0, t);
    OK(pvnet_stream_tick(stream, frames, 2, only_second));
    OK(pvnet_stream_read_output(stream, 0, 1, out, kClasses));
    CHECK(memcmp(out, expected[t], sizeof(out)) == 0);
  }
  OK(pvnet_stream_read_output(stream, 0, 0, out, kClasses));
  CHECK(memcmp(out, held, sizeof(out)) == 0);
  pvnet_stream_destroy(stream);
}

static void trace(pvnet_stream* stream) {
  static uint8_t image[kSize * kPitch];
  const char* json = NULL;
  const pvnet_frame frame = frame_of(image, 0, 0);
  OK(pvnet_stream_trace_start(stream, 1000));
  OK(pvnet_stream_tick(stream, &frame, 1, NULL));
  OK(pvnet_stream_trace_stop(stream, &json));
  CHECK(json != NULL && strstr(json, "\"traceEvents\":[{") && strstr(json, "\"name\":\"body\""));
}

int main(int argc, char** argv) {
  static float out[kTicks][kClasses];
  pvnet_model* model = NULL;
  pvnet_plan* plan = NULL;
  pvnet_stream* stream = NULL;
  long before;
  alloc_count_install();
  if (argc < 2) return 2;
  library_facts();
  before = alloc_count();
  OK(pvnet_model_load(argv[1], &model));
  CHECK(alloc_count() > before); /* the counter sees into the library */
  OK(pvnet_plan_compile(model, NULL, &plan));
  OK(pvnet_stream_create(plan, &stream));
  if (failures != 0) return 1;
  model_facts(argv[1], model);
  plan_facts(model, plan);
  other_versions(model);
  run(stream, out);
  floats_agree_with_bytes(plan, out);
  reset_and_snapshot(stream, out);
  wrong_calls(stream);
  batch_rows(model, out);
  trace(stream);
  pvnet_stream_destroy(stream);
  pvnet_plan_destroy(plan);
  pvnet_model_destroy(model);
  pvnet_stream_destroy(NULL);
  pvnet_plan_destroy(NULL);
  pvnet_model_destroy(NULL);
  printf("%s\n", failures == 0 ? "ok" : "FAILED");
  return failures != 0;
}
