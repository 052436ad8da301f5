/* SPDX-License-Identifier: Apache-2.0 */
/* Nanoseconds of a tick from C, over and over; the fastest round counts: tick MODEL ROUNDS TICKS
 * The model is the one of bench/tick.py, which builds and calls this. */
#define _POSIX_C_SOURCE 199309L
#include <pvnet/pvnet.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const float kFrame[4] = {-1, 2, 3, -4};
static const float kExpected[4] = {0, 2, 3, 0};

static double nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return 1e9 * (double)now.tv_sec + (double)now.tv_nsec;
}

/* The answer, once, and then `rounds` rounds of `ticks` ticks; each tick reads its output. */
static int run(pvnet_stream* stream, int rounds, int ticks, double* best) {
  const pvnet_frame frame = pvnet_frame_f32(kFrame, 1, 2, 2);
  float y[4];
  int status = pvnet_stream_tick(stream, &frame, 1, NULL), i, t;
  if (status == PVNET_OK) status = pvnet_stream_read_output(stream, 0, 0, y, 4);
  for (i = 0; status == PVNET_OK && i < 4; ++i) {
    if (y[i] == kExpected[i]) continue;
    fprintf(stderr, "not what the network computes\n");
    exit(1);
  }
  *best = 1e18;
  for (i = 0; status == PVNET_OK && i < rounds; ++i) {
    const double begin = nanoseconds();
    double each;
    for (t = 0; t < ticks && status == PVNET_OK; ++t) {
      status = pvnet_stream_tick(stream, &frame, 1, NULL);
      if (status == PVNET_OK) status = pvnet_stream_read_output(stream, 0, 0, y, 4);
    }
    each = (nanoseconds() - begin) / ticks;
    if (each < *best) *best = each;
  }
  return status;
}

int main(int argc, char** argv) {
  pvnet_model* model = NULL;
  pvnet_plan* plan = NULL;
  pvnet_stream* stream = NULL;
  pvnet_options options = pvnet_options_default();
  double best = 0;
  int status;
  options.lanes = 1;
  if (argc != 4 || atoi(argv[2]) < 1 || atoi(argv[3]) < 1) {
    fprintf(stderr, "usage: tick MODEL ROUNDS TICKS\n");
    return 2;
  }
  status = pvnet_model_load(argv[1], &model);
  if (status == PVNET_OK) status = pvnet_plan_compile(model, &options, &plan);
  if (status == PVNET_OK) status = pvnet_stream_create(plan, &stream);
  if (status == PVNET_OK) status = run(stream, atoi(argv[2]), atoi(argv[3]), &best);
  if (status == PVNET_OK) printf("%.0f\n", best);
  if (status != PVNET_OK) fprintf(stderr, "failed: %s\n", pvnet_last_error());
  pvnet_stream_destroy(stream);
  pvnet_plan_destroy(plan);
  pvnet_model_destroy(model);
  return status == PVNET_OK ? 0 : 1;
}
