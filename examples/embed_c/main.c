/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a saved model on moving test pictures, as a robot would on its camera:
 *   embed_c MODEL.safetensors [ticks]
 * Class names are read from the model's metadata "classes" (comma separated) where it has them. */
#include <pvnet/pvnet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failed(const char* what) {
  fprintf(stderr, "%s failed: %s\n", what, pvnet_last_error());
  return 1;
}

/* Stands for the camera: a diagonal pattern that moves with time. */
static void next_image(uint8_t* rgb, int height, int width, int channels, int t) {
  int y, x, c;
  for (y = 0; y < height; ++y) {
    for (x = 0; x < width; ++x) {
      for (c = 0; c < channels; ++c) *rgb++ = (uint8_t)(4 * (x + y + t) + 80 * c);
    }
  }
}

static int best_of(const float* scores, int n) {
  int best = 0, i;
  for (i = 1; i < n; ++i) {
    if (scores[i] > scores[best]) best = i;
  }
  return best;
}

/* The entry `index` of a comma separated list, or "?". */
static void copy_name(const char* list, int index, char* name, size_t capacity) {
  size_t n;
  while (index > 0 && (list = strchr(list, ',')) != NULL) {
    ++list;
    --index;
  }
  if (list == NULL || *list == '\0') list = "?";
  n = strcspn(list, ",");
  if (n >= capacity) n = capacity - 1;
  memcpy(name, list, n);
  name[n] = '\0';
}

static int run(pvnet_stream* stream, const pvnet_value_info* in, int classes, const char* names,
               int ticks) {
  uint8_t* image = malloc((size_t)in->height * (size_t)in->width * (size_t)in->channels);
  float* scores = malloc((size_t)classes * sizeof(float));
  int status = image != NULL && scores != NULL ? PVNET_OK : PVNET_UNSUPPORTED;
  int t;
  for (t = 0; t < ticks && status == PVNET_OK; ++t) {
    pvnet_frame frame;
    char name[64];
    int valid = 0, best;
    next_image(image, in->height, in->width, in->channels, t);
    frame = pvnet_frame_u8(image, in->height, in->width, in->channels, 0);
    status = pvnet_stream_tick(stream, &frame, 1, NULL);
    if (status == PVNET_OK) status = pvnet_stream_valid(stream, 0, 0, &valid);
    if (status == PVNET_OK) {
      status = pvnet_stream_read_output(stream, 0, 0, scores, (size_t)classes);
    }
    if (status != PVNET_OK) break;
    if (!valid) {
      printf("tick %d: warming up\n", t);
      continue;
    }
    best = best_of(scores, classes);
    copy_name(names, best, name, sizeof(name));
    printf("tick %d: class %d (%s), score %.3f\n", t, best, name, (double)scores[best]);
  }
  free(scores);
  free(image);
  return status;
}

int main(int argc, char** argv) {
  pvnet_model* model = NULL;
  pvnet_plan* plan = NULL;
  pvnet_stream* stream = NULL;
  pvnet_options options = pvnet_options_default();
  pvnet_value_info in, out;
  char names[4096] = "";
  int result = 1;
  if (argc < 2) {
    fprintf(stderr, "usage: embed_c MODEL.safetensors [ticks]\n");
    return 2;
  }
  in.struct_size = sizeof(in);
  out.struct_size = sizeof(out);
  if (pvnet_model_load(argv[1], &model) != PVNET_OK) {
    failed("loading the model");
  } else if (pvnet_plan_compile(model, &options, &plan) != PVNET_OK ||
             pvnet_plan_get_input(plan, 0, &in) != PVNET_OK ||
             pvnet_plan_get_output(plan, 0, &out) != PVNET_OK) {
    failed("compiling the model");
  } else if (pvnet_stream_create(plan, &stream) != PVNET_OK) {
    failed("creating the stream");
  } else {
    /* A model without class names is fine. */
    if (pvnet_model_metadata(model, "classes", names, sizeof(names), NULL) != PVNET_OK) {
      names[0] = '\0';
    }
    result = run(stream, &in, out.channels * out.height * out.width, names,
                 argc > 2 ? atoi(argv[2]) : 30);
    if (result != PVNET_OK) result = failed("running");
  }
  pvnet_stream_destroy(stream);
  pvnet_plan_destroy(plan);
  pvnet_model_destroy(model);
  return result;
}
