/* SPDX-License-Identifier: Apache-2.0 */
/* pvnet's C interface: runs a saved model on live video, depth-parallel, without Python.
 *
 *   pvnet_model* model = NULL;
 *   pvnet_plan* plan = NULL;
 *   pvnet_stream* stream = NULL;
 *   pvnet_options options = pvnet_options_default();
 *   float logits[200];
 *   int valid = 0;
 *
 *   if (pvnet_model_load("model.safetensors", &model) != PVNET_OK ||
 *       pvnet_plan_compile(model, &options, &plan) != PVNET_OK ||
 *       pvnet_stream_create(plan, &stream) != PVNET_OK) {
 *     fprintf(stderr, "%s\n", pvnet_last_error());
 *     return 1;
 *   }
 *   while (camera_next(&image)) {          // image.rgb: [224][224][3] bytes
 *     pvnet_frame frame = pvnet_frame_u8(image.rgb, 224, 224, 3, image.pitch_bytes);
 *     if (pvnet_stream_tick(stream, &frame, 1, NULL) != PVNET_OK) break;
 *     pvnet_stream_read_output(stream, 0, 0, logits, 200);
 *     pvnet_stream_valid(stream, 0, 0, &valid);   // 0 while the network warms up
 *     if (valid) act_on(logits);
 *   }
 *   pvnet_stream_destroy(stream);
 *   pvnet_plan_destroy(plan);
 *   pvnet_model_destroy(model);
 *
 * Words. Model: graph and weights. Plan: a compiled model, immutable, shared by any number of
 * streams and threads. Stream: the state of `batch` videos (batch rows). Tick: one call that takes
 * the newest frame of every row and lets every due stage run once. Units are part of names.
 *
 * Rules.
 * - Every function that can fail returns a pvnet_status; the message of the last failure in this
 *   thread is pvnet_last_error(). Results are written through pointers, only on success. NULL
 *   handles and pointers are refused, never followed (a destroy function takes NULL).
 * - No C++ exception leaves the library; it prints nothing, and changes no global state of the
 *   process.
 * - A plan keeps what it needs of its model, a stream keeps its plan: destroy in any order.
 * - Models and plans may be read by several threads at once. A stream is for one thread at a time:
 *   a second call while one is running fails with PVNET_STATE and changes nothing.
 * - After the first one, a tick that succeeds allocates nothing.
 */
#ifndef PVNET_PVNET_H_
#define PVNET_PVNET_H_

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#ifdef PVNET_BUILDING
#define PVNET_API __declspec(dllexport)
#else
#define PVNET_API __declspec(dllimport)
#endif
#else
#define PVNET_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Grows when functions or trailing struct members are added; what is there stays as it is. */
#define PVNET_API_VERSION 2

typedef enum pvnet_status {
  PVNET_OK = 0,
  PVNET_INVALID_ARGUMENT = 1, /* a value outside its range, a wrong type, a wrong shape */
  PVNET_GRAPH = 2,            /* the network itself is not runnable */
  PVNET_FILE = 3,             /* not readable, damaged, or written by a newer version */
  PVNET_STATE = 4,        /* called at the wrong moment: stream busy, snapshot of another plan */
  PVNET_UNSUPPORTED = 5,  /* a capability this build or machine lacks */
  PVNET_INTERNAL = 6,     /* a bug in pvnet */
  PVNET_OUT_OF_MEMORY = 7 /* the machine has not the memory that was asked for; nothing is lost */
} pvnet_status;

typedef struct pvnet_model pvnet_model;
typedef struct pvnet_plan pvnet_plan;
typedef struct pvnet_stream pvnet_stream;

/* ---- Library --------------------------------------------------------------------------------- */

PVNET_API int pvnet_api_version(void);     /* PVNET_API_VERSION of the library that is loaded */
PVNET_API const char* pvnet_version(void); /* "0.2.0" */
PVNET_API const char* pvnet_status_name(int status); /* "ok", "invalid_argument", ... */

/* "[where] what is wrong: got X, expected Y. Do Z." Never NULL; "" when nothing failed yet in this
 * thread. Valid until the next call of this library that fails in this thread. */
PVNET_API const char* pvnet_last_error(void);

/* ---- Model ----------------------------------------------------------------------------------- */

/* Reads and checks the file, and keeps it open until the model is destroyed: plans read their
 * weights from it, node by node. Replace model files by rename; what was written into since is
 * refused with PVNET_FILE. */
PVNET_API int pvnet_model_load(const char* path, pvnet_model** model);
/* The bytes of a model file; not needed any more after the call. */
PVNET_API int pvnet_model_load_memory(const void* bytes, size_t size_bytes, pvnet_model** model);
PVNET_API void pvnet_model_destroy(pvnet_model* model);

/* Text functions copy a text with its final NUL to text[capacity_bytes] and set *needed_bytes (may
 * be NULL) to the size with the NUL. text == NULL with capacity_bytes == 0 only asks for the size;
 * a buffer that is too small is PVNET_INVALID_ARGUMENT and stays untouched. */

/* Everything inferred about the network, as JSON: shapes, clocks, delays, stages, latencies. */
PVNET_API int pvnet_model_describe(const pvnet_model* model, char* text, size_t capacity_bytes,
                                   size_t* needed_bytes);
/* A value of the user's metadata, e.g. class names. */
PVNET_API int pvnet_model_metadata(const pvnet_model* model, const char* key, char* text,
                                   size_t capacity_bytes, size_t* needed_bytes);

/* ---- Plan ------------------------------------------------------------------------------------ */

/* Make one with pvnet_options_default(), then set members. */
typedef struct pvnet_options {
  size_t struct_size;    /* sizeof(pvnet_options): tells the library which members you know */
  const char* backend;   /* "auto", "ref", "cpu", "cuda"; NULL = "auto" */
  const char* isa;       /* cpu only, e.g. "avx2"; NULL = the best of this machine */
  const char* dtype;     /* NULL = "f32"; "bf16", "int8": maps, rings and weights are stored so;
                            int8 needs a file that keeps ranges (pvnet calibrate) */
  int32_t lanes;         /* 0 = as many as are useful on the CPUs of this process */
  int32_t batch;         /* batch rows: independent videos; 0 = 1 */
  int32_t pin;           /* 1 = pin worker lanes to CPUs */
  int32_t fixed_lanes;   /* 0 = the caller makes ticks alone while other programs keep the CPUs so
                            busy that sharing them takes longer; 1 = always share */
  const char* executor;  /* cuda only: how a tick reaches the device, "serial", "streams", "graph",
                            "group", "wave" or "packed"; NULL = "auto", the quickest of them */
  const char* algorithm; /* cpu only, of 3x3 convolutions: "direct" or "winograd"; NULL = "auto",
                            the quicker one by a cost model, the same in every run */
  const char* memory;    /* "small" = no algorithm with larger weights; NULL = "fast" */
} pvnet_options;

static inline pvnet_options pvnet_options_default(void) {
  pvnet_options options;
  options.struct_size = sizeof(pvnet_options);
  options.backend = NULL;
  options.isa = NULL;
  options.dtype = NULL;
  options.lanes = 0;
  options.batch = 1;
  options.pin = 1;
  options.fixed_lanes = 0;
  options.executor = NULL;
  options.algorithm = NULL;
  options.memory = NULL;
  return options;
}

/* options may be NULL: the defaults. */
PVNET_API int pvnet_plan_compile(const pvnet_model* model, const pvnet_options* options,
                                 pvnet_plan** plan);
PVNET_API void pvnet_plan_destroy(pvnet_plan* plan);

/* Set struct_size before the call; members beyond it are not written. Texts belong to the plan. */
typedef struct pvnet_plan_info {
  size_t struct_size;
  const char* backend;
  const char* isa;
  const char* dtype;
  int32_t inputs, outputs, stages, batch, lanes;
  int32_t reserved;
  int64_t hyper_period_ticks;
  int64_t weights_bytes; /* packed for the backend */
  int64_t state_bytes;   /* per batch row */
  int64_t scratch_bytes; /* per batch row */
} pvnet_plan_info;
PVNET_API int pvnet_plan_get_info(const pvnet_plan* plan, pvnet_plan_info* info);

/* Set struct_size before the call. The three counts at the end are 0 for inputs. */
typedef struct pvnet_value_info {
  size_t struct_size;
  const char* name; /* belongs to the plan */
  int32_t channels, height, width;
  int32_t reserved;
  int64_t information_latency_ticks; /* smallest sum of delays from an input to this output */
  int64_t warm_up_ticks;             /* ticks until the output is valid */
  int64_t receptive_field_frames;    /* 0 = unbounded (feedback) */
} pvnet_value_info;
PVNET_API int pvnet_plan_get_input(const pvnet_plan* plan, int index, pvnet_value_info* info);
PVNET_API int pvnet_plan_get_output(const pvnet_plan* plan, int index, pvnet_value_info* info);
PVNET_API int pvnet_plan_find_output(const pvnet_plan* plan, const char* name, int* index);

/* Text functions, see above: the network as wired, and the compiled plan (arena, rings, schedule).
 */
PVNET_API int pvnet_plan_describe(const pvnet_plan* plan, char* text, size_t capacity_bytes,
                                  size_t* needed_bytes);
PVNET_API int pvnet_plan_json(const pvnet_plan* plan, char* text, size_t capacity_bytes,
                              size_t* needed_bytes);

/* ---- Stream ---------------------------------------------------------------------------------- */

typedef enum pvnet_frame_type {
  PVNET_U8_HWC = 0, /* [h][w][c] bytes; (x / 255 - mean) / std of the model's input is applied */
  PVNET_F32_CHW = 1 /* [c][h][w] floats, taken as they are; non-finite values are refused */
} pvnet_frame_type;

/* A frame of one input and one batch row; borrowed for the length of the tick. */
typedef struct pvnet_frame {
  const void* data;
  int32_t type; /* pvnet_frame_type */
  int32_t height, width, channels;
  int64_t strides[3]; /* PVNET_U8_HWC: (pitch, c, 1) in bytes; PVNET_F32_CHW: (c, h, w) in floats */
} pvnet_frame;

/* pitch_bytes: from the start of one image row to the next; 0 = rows touch. */
static inline pvnet_frame pvnet_frame_u8(const uint8_t* data, int height, int width, int channels,
                                         int64_t pitch_bytes) {
  pvnet_frame f;
  f.data = data;
  f.type = PVNET_U8_HWC;
  f.height = height;
  f.width = width;
  f.channels = channels;
  f.strides[0] = pitch_bytes != 0 ? pitch_bytes : (int64_t)width * channels;
  f.strides[1] = channels;
  f.strides[2] = 1;
  return f;
}

/* Contiguous [channels][height][width]; set strides afterwards for anything else. */
static inline pvnet_frame pvnet_frame_f32(const float* data, int channels, int height, int width) {
  pvnet_frame f;
  f.data = data;
  f.type = PVNET_F32_CHW;
  f.height = height;
  f.width = width;
  f.channels = channels;
  f.strides[0] = (int64_t)height * width;
  f.strides[1] = width;
  f.strides[2] = 1;
  return f;
}

PVNET_API int pvnet_stream_create(const pvnet_plan* plan, pvnet_stream** stream);
PVNET_API void pvnet_stream_destroy(pvnet_stream* stream);

/* One tick of every batch row with rows[row] != 0; rows == NULL: all of them. frames holds
 * inputs * batch frames, the rows of an input side by side; n_frames says so once more. Frames of
 * frozen rows are not read (data may be NULL). A tick that fails changes nothing. */
PVNET_API int pvnet_stream_tick(pvnet_stream* stream, const pvnet_frame* frames, size_t n_frames,
                                const uint8_t* rows);

/* As pvnet_stream_tick, for backend "cuda" with frames in the memory of the plan's device. It does
 * not wait, and copies no frame. The tick comes behind what cuda_stream (a cudaStream_t; NULL: the
 * legacy default one) has been given, and in front of what it is given next. The frames stay as
 * they are until it has run. A cuda_stream that is being captured gets the tick into its graph:
 * replays make ticks from then on, which pvnet_stream_ticks does not count, and other ticks are
 * PVNET_STATE.
 */
PVNET_API int pvnet_stream_tick_device(pvnet_stream* stream, const pvnet_frame* frames,
                                       size_t n_frames, const uint8_t* rows, void* cuda_stream);
/* Where the last pvnet_stream_tick_device leaves an output: contiguous [channels][height][width] in
 * the memory of the device, in the order of its cuda_stream. The second next tick writes over it.
 */
PVNET_API int pvnet_stream_device_output(const pvnet_stream* stream, int output, int row,
                                         const float** data);
/* 1 unless a float frame of that tick held a NaN or an infinity, which are in the state then: reset
 * the row. Waits for the tick. */
PVNET_API int pvnet_stream_device_finite(const pvnet_stream* stream, int* finite);

/* The output as it stands: contiguous [channels][height][width], dst_floats of them exactly. */
PVNET_API int pvnet_stream_read_output(const pvnet_stream* stream, int output, int row, float* dst,
                                       size_t dst_floats);
/* 1 once the output depends on real frames along every path it needs. */
PVNET_API int pvnet_stream_valid(const pvnet_stream* stream, int output, int row, int* valid);
/* Ticks that this row has made since it was created or reset. */
PVNET_API int pvnet_stream_ticks(const pvnet_stream* stream, int row, int64_t* ticks);
/* How many ticks old the frame is that this stage contributed to the output; -1: none yet. */
PVNET_API int pvnet_stream_age(const pvnet_stream* stream, int output, int row, int stage,
                               int64_t* age_ticks);

/* Rows with rows[row] != 0 (NULL: all) begin a new video; the others stay as they are. */
PVNET_API int pvnet_stream_reset(pvnet_stream* stream, const uint8_t* rows);

/* The whole state. restore refuses the snapshot of another plan and then changes nothing. */
PVNET_API int pvnet_stream_snapshot_bytes(const pvnet_stream* stream, size_t* size_bytes);
PVNET_API int pvnet_stream_snapshot(const pvnet_stream* stream, void* dst, size_t size_bytes);
PVNET_API int pvnet_stream_restore(pvnet_stream* stream, const void* src, size_t size_bytes);

/* Records what every lane does, up to capacity_events (then the rest is dropped). stop gives the
 * recording as JSON in the trace event format of Chrome and Perfetto; the text belongs to the
 * stream and is valid until the next start, stop or destroy. */
PVNET_API int pvnet_stream_trace_start(pvnet_stream* stream, size_t capacity_events);
PVNET_API int pvnet_stream_trace_stop(pvnet_stream* stream, const char** json);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* PVNET_PVNET_H_ */
