/* SPDX-License-Identifier: Apache-2.0
 * The ticks of a Plan as a device sees them: plain tables, made once on the host
 * (csrc/plan/device/) and constant from then on. Only what `begin` and `end` write changes from
 * tick to tick, so that a captured CUDA graph stays valid. C, as segment.h.
 *
 * Offsets into a row's memory and strides count elements of the storage type; maps have channels
 * last and no halo: whoever reads beyond the border reads zeros of its own. */
#ifndef PVNET_KERNELS_PROGRAM_H_
#define PVNET_KERNELS_PROGRAM_H_

#include "segment.h"

enum { PV_THREADS = 128 }; /* of every block */

/* What the elements are and how products are made. Sums are f32 everywhere. */
typedef enum pv_dtype {
  PV_F32 = 0,  /* f32; products of tensor cores as three tf32 ones: the error of f32 */
  PV_TF32 = 1, /* f32, rounded to tf32 where tensor cores multiply */
  PV_F16 = 2,
  PV_BF16 = 3
} pv_dtype;

typedef enum pv_kind {
  PV_CONV = 0,        /* on tensor cores, see "Tensor cores" below */
  PV_DEPTHWISE = 1,   /* groups == in_c == out_c */
  PV_POOL = 2,        /* variant: pv_pool */
  PV_ELTWISE = 3,     /* variant: pv_eltwise */
  PV_UPSAMPLE = 4,    /* variant: pv_interpolation */
  PV_GLOBAL_POOL = 5, /* mean over pixels and taps */
  PV_NORMALIZE = 6,   /* variant: pv_channels; with floats of each channel */
  PV_SOFTMAX = 7,     /* over the channels of a pixel */
  PV_KINDS = 13,
  PV_PAD = 8,            /* variant: pv_pad; ph, pw: start, negative: crops */
  PV_DEPTH_TO_SPACE = 9, /* sh = sw: the block */
  PV_SPACE_TO_DEPTH = 10,
  PV_GROUP_NORM = 11, /* groups; over the map and the channels of a group */
  PV_LAYER_NORM = 12  /* over the channels of a pixel */
} pv_kind;

typedef enum pv_pool {
  PV_MAX = 0,
  PV_MEAN = 1,
  PV_MEAN_INSIDE = 2
} pv_pool; /* INSIDE: by the pixels inside the map */
typedef enum pv_eltwise { PV_COPY = 0, PV_ADD = 1, PV_MUL = 2, PV_SUB = 3, PV_DIV = 4 } pv_eltwise;
/* x * scale + shift; x, below 0 times scale */
typedef enum pv_channels { PV_SCALE = 0, PV_PRELU = 1 } pv_channels;
typedef enum pv_interpolation {
  PV_NEAREST = 0,
  PV_BILINEAR = 1,
  PV_CORNERS = 2 /* bilinear, corner pixels on corner pixels */
} pv_interpolation;
typedef enum pv_pad { PV_PAD_ZEROS = 0, PV_PAD_REFLECT = 1, PV_PAD_REPLICATE = 2 } pv_pad;
typedef enum pv_act {
  PV_NONE = 0,
  PV_RELU = 1,
  PV_SILU = 2,
  PV_SIGMOID = 3,
  PV_CLAMP = 4,
  PV_LEAKY_RELU = 5,
  PV_ELU = 6,
  PV_HARD_SIGMOID = 7,
  PV_HARD_SWISH = 8,
  PV_GELU = 9,
  PV_GELU_TANH = 10,
  PV_TANH = 11,
  PV_SOFTPLUS = 12,
  PV_MISH = 13
} pv_act;

/* A firing that `begin` finds once a tick and row: slots[row][read] is the offset of its pixel
 * (0, 0), or -1: it does not exist (yet), and reads as zeros. */
typedef struct pv_read {
  int32_t segment;
  int32_t taps_back; /* firings of the nearest hop; PV_WRITE: the slot that the value's next firing
                        goes to, -1 where it is not due or the row is frozen */
} pv_read;
enum { PV_WRITE = -1 };

/* Channels [c0, c0 + channels) of what one read finds. */
typedef struct pv_source {
  int32_t read;
  int32_t value;
  int32_t c0;
  int32_t c_step; /* 1; 0: its one channel stands for all (a value of 1 x 1 pixels stands for all
                     pixels in PV_ELTWISE) */
} pv_source;

/* Channels [c0, c0 + channels) of an operation's operand, and where they come from.
 *   conv, depthwise, pool, global pool: one source a tap, oldest first
 *   eltwise: one source an operand         the others: one source
 * The pieces of an operation lie side by side and cover its operand's channels in order. */
typedef struct pv_piece {
  int32_t c0, channels;
  int32_t source0, n_sources;
} pv_piece;

/* 64 bytes (PV_K_BYTES) of the channels of one read: what a convolution on tensor cores copies to
 * shared memory once and uses at kh * kw places. c0 is a multiple of 16 bytes. */
typedef struct pv_patch {
  int32_t read;
  int32_t value;
  int32_t c0;
  int32_t channels;
} pv_patch;

typedef struct pv_op {
  int32_t kind;       /* pv_kind */
  int32_t plain;      /* 1: by the simple kernel, one thread an output */
  int32_t variant;    /* of the kind */
  int32_t act;        /* pv_act of what is written */
  float act_a, act_b; /* clamp: low, high; leaky_relu, elu: slope, 0; else 0 */
  int32_t in_c, in_h, in_w;
  int32_t out_c, out_h, out_w; /* that this op writes: channels [out_c0, out_c0 + out_c) */
  int32_t out_c0;
  int32_t kt, kh, kw, sh, sw, ph, pw, dh, dw;
  int32_t groups; /* plain convolutions, group norm; else 1 (a PV_CONV a group) */
  int32_t write;  /* read of the slot that it writes */
  int32_t out_value;
  int32_t piece0, n_pieces;
  /* In units of 16 bytes. Conv: below; plain conv: [out_c][in_c / groups][kt][kh][kw] of the
   * storage type; depthwise: [kt][kh][kw][c rounded up to 8] f32. */
  int64_t weights;
  /* Conv, depthwise: bias [out_c], rounded up to 2 and 8-byte aligned; normalize: scale [c], then
   * shift [c]. Pad: what lies outside, 0. Norms: weight [c], bias [c], eps, 0. */
  int64_t floats;
  int32_t tile_h, tile_w, tile_c; /* outputs of a tile: a rectangle of pixels, a run of channels */

  /* Tensor cores: sums over patches (segment, tap, 64 bytes of channels), inside a patch over the
   * window. Order and splits are part of what the operation is: the bits depend on them. */
  int32_t patch0, n_patches;
  int32_t patch_h, patch_w; /* pixels in shared memory */
  int32_t patch_w_magic;    /* (i * magic) >> 16 == i / patch_w for every pixel i of a patch */
  int32_t pixel_bytes; /* in shared memory: 64, or 8 or 16: the window's row is folded into k */
  int32_t patch_bytes, patch_buffers;
  int32_t steps_per_row, steps_per_patch; /* k-steps of PV_K_BYTES */
  int32_t splits;   /* of k, at borders of patches; no split is empty (conv/shared_bytes.h) */
  int32_t partial0; /* first cell of partial sums: [row][tile][split] of TILE_M * TILE_N floats */
  int32_t counter0; /* first counter: [row][tile], a tile is [y][x][c_block]; 0 between launches */
} pv_op;

/* Whether it is made by rare_tiles: what most networks lack, or have once behind all else. Beside
 * the others its code would not fit the instruction caches. */
PVNET_HOST_DEVICE static inline int32_t pv_is_rare(const pv_op* op) {
  switch (op->kind) {
    case PV_CONV:
      return op->plain;
    case PV_GLOBAL_POOL:
    case PV_SOFTMAX:
    case PV_PAD:
    case PV_DEPTH_TO_SPACE:
    case PV_SPACE_TO_DEPTH:
    case PV_GROUP_NORM:
    case PV_LAYER_NORM:
      return 1;
    default:
      return 0;
  }
}

enum {
  PV_K_BYTES = 64,      /* of a pixel's channels, or of a window's row, in a k-step */
  PV_TILE_M = 64,       /* output pixels */
  PV_TILE_N = 64,       /* output channels */
  PV_WEIGHT_STAGES = 4, /* k-steps of weights under way */
  PV_MAX_PATCHES = 256  /* beyond: the plain kernel */
};
/* Weights of PV_CONV: [n block][split-free k-step][PV_TILE_N rows of PV_K_BYTES], rows swizzled as
 * shared memory has them: 16-byte piece c of row r lies at piece c ^ ((r >> 1) & 3). Rows beyond
 * out_c and channels beyond the patch's are zero. tf32: rounded when packed. */

typedef struct pv_tile {
  int32_t op, row;
  int32_t y, x;    /* in tiles */
  int32_t c_block; /* in tiles of channels */
  int32_t split;
} pv_tile;

/* A graph's input, and a graph's output as the host gets it: [c][h][w] f32. */
typedef struct pv_input {
  int32_t value;
  int32_t segment; /* its own clock and value, as a write reads it */
  int64_t floats;  /* scale [c], then shift [c]: of u8 frames only */
} pv_input;
typedef struct pv_output {
  int32_t piece0, n_pieces; /* one source a piece */
  int32_t c, h, w, reserved;
  int64_t offset; /* floats from the start of a row's outputs */
} pv_output;

/* A frame as it lies in the device's memory. */
typedef struct pv_frame {
  const void* data;
  int64_t strides[3]; /* u8 [h][w][c]: bytes of h; f32: elements of c, h, w */
  int32_t is_u8;
  int32_t check; /* 1: NaN or Inf in it sets pv_result.not_finite */
} pv_frame;

/* What the host hands over for a tick, uploaded in front of it. */
typedef struct pv_request {
  const pv_frame* frames; /* [input][row] */
  const uint8_t* frozen;  /* [row]; 1: the row stays as it is */
} pv_request;

/* In front of the outputs of a tick. */
typedef struct pv_result {
  int32_t not_finite; /* 1 + input * rows + row of a frame with NaN or Inf, the least; 0: none */
  int32_t found;      /* by begin, in any order; end makes not_finite of it, and 0 again */
  int32_t reserved[14];
} pv_result;

/* Which tick it is, whatever the row. begin reads `ticks` alone and writes the rest, end the other
 * way round: neither depends on the order of its blocks. All zero at first, as results are. */
typedef struct pv_turn {
  int64_t ticks;  /* made */
  int64_t now;    /* the tick under way; its request and result are number now & 1 */
  int32_t result; /* that the tick under way, or the last one, writes */
  int32_t before; /* that the tick before it wrote: where outputs of frozen rows come from */
} pv_turn;

/* Where a tile ran, for traces. */
typedef struct pv_record {
  int64_t begin_ns, end_ns; /* of the device's clock */
  int32_t op, row, sm, tile;
} pv_record;

typedef struct pv_program {
  const pvnet_device_value* values;
  const pvnet_device_segment* segments;
  const pv_read* reads;
  const pv_source* sources;
  const pv_piece* pieces;
  const pv_patch* patches;
  const pv_op* ops;
  const pv_input* inputs;
  const pv_output* outputs;
  const pv_tile* tiles; /* of the launch list in use */
  const void* weights;
  const float* floats;
  int32_t n_reads, n_inputs, n_outputs, n_rows;
  int64_t row_elements;
  int64_t result_bytes; /* pv_result, then [row][row_floats] */
  int64_t row_floats;

  /* Of one Stream */
  void* memory;   /* [row][row_elements] */
  int64_t* slots; /* [row][read] */
  int64_t* ticks; /* [row]: ticks made */
  pv_turn* turn;
  pv_request requests[3]; /* 0 and 1 by turn; 2: of a caller's captured graph */
  void* results[3];
  float* partials;
  int32_t* counters;
  pv_record* records; /* null: no trace */
  int32_t* n_records;
  int32_t max_records, reserved;
} pv_program;

/* The rest of a launch's parameters. */
typedef struct pv_call {
  int32_t first_tile; /* of `tiles`: block b runs tile first_tile + b */
  int32_t request;    /* -1: by turn; else which */
  /* begin and end: 1: of the tick before, without counting it, for the outputs of a restored row:
   * they go where that tick's went. No request is read. */
  int32_t back;
  int32_t only_row; /* with back; -1: all rows */
} pv_call;

#endif /* PVNET_KERNELS_PROGRAM_H_ */
