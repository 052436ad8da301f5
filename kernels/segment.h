/* SPDX-License-Identifier: Apache-2.0
 * How a kernel on a device finds its input: the plain counterpart of Value, Hop and Segment in
 * csrc/include/pvnet/plan.hpp, without pointers to host memory. C, so that nvcc, NVRTC and a host
 * compiler read the same bytes; no include but fixed-width integers.
 *
 * A tick counter on the device and these tables are all a kernel needs, so its parameters never
 * change from tick to tick and a captured CUDA graph stays valid. */
#ifndef PVNET_KERNELS_SEGMENT_H_
#define PVNET_KERNELS_SEGMENT_H_

#if defined(__CUDACC_RTC__)
typedef int int32_t;
typedef long long int64_t;
#else
#include <stdint.h>
#endif

#if defined(__CUDACC__)
#define PVNET_HOST_DEVICE __host__ __device__
#else
#define PVNET_HOST_DEVICE
#endif

#define PVNET_MAX_HOPS 6

/* Due at ticks origin + j * period, j = 0, 1, ... */
typedef struct pvnet_device_clock {
  int64_t period;
  int64_t origin;
} pvnet_device_clock;

/* The ring of one value; firing J lies in slot J mod depth. Strides in floats, channels last. */
typedef struct pvnet_device_value {
  int64_t offset; /* of slot 0, halo included, from the start of a batch row's memory */
  int64_t slot_stride;
  int64_t row_stride;
  int64_t pixel_stride;
  pvnet_device_clock clock;
  int32_t c, h, w;
  int32_t halo_h, halo_w;
  int32_t depth;
  int32_t persistent; /* 1: in the stream's state, 0: in scratch memory */
  int32_t reserved;
} pvnet_device_value;

/* One edge of a read through concat, delay and feedback nodes, which hold no memory. */
typedef struct pvnet_device_hop {
  pvnet_device_clock clock; /* of the node read at this hop */
  int64_t delay;            /* of the edge that reads it, in ticks */
} pvnet_device_hop;

/* `channels` channels of one value; hop 0 is nearest to the reader, the last belongs to the value. */
typedef struct pvnet_device_segment {
  int32_t value;
  int32_t channels;
  int32_t n_hops;
  int32_t reserved;
  pvnet_device_hop hops[PVNET_MAX_HOPS];
} pvnet_device_segment;

/* Firing of the value that a read at `tick` arrives at, or -1 if there is none yet. taps_back counts
 * firings of the nearest hop. */
PVNET_HOST_DEVICE static inline int64_t pvnet_device_firing(const pvnet_device_segment* segment,
                                                            int64_t tick, int64_t taps_back) {
  int64_t firing = -1;
  int32_t i;
  for (i = 0; i < segment->n_hops; ++i) {
    const pvnet_device_clock clock = segment->hops[i].clock;
    const int64_t since = tick - segment->hops[i].delay - clock.origin;
    if (since < 0) return -1;
    firing = since / clock.period - (i == 0 ? taps_back : 0);
    if (firing < 0) return -1;
    tick = clock.origin + firing * clock.period;
  }
  return firing;
}

/* Offset of pixel (0, 0), channel 0 of a firing. */
PVNET_HOST_DEVICE static inline int64_t pvnet_device_slot(const pvnet_device_value* value,
                                                          int64_t firing) {
  return value->offset + firing % value->depth * value->slot_stride +
         value->halo_h * value->row_stride + value->halo_w * value->pixel_stride;
}

#endif /* PVNET_KERNELS_SEGMENT_H_ */
