/* SPDX-License-Identifier: Apache-2.0
 * How much shared memory a block of a PV_CONV needs, for whoever launches it and for the kernel. */
#ifndef PVNET_KERNELS_CONV_SHARED_BYTES_H_
#define PVNET_KERNELS_CONV_SHARED_BYTES_H_

#include "../program.h"

/* Where a patch lies in the row's memory. */
typedef struct pv_patch_place {
  int64_t offset; /* bytes from the row's memory to pixel (0, 0); -1: the firing does not exist */
  int32_t row_bytes, pixel_bytes; /* strides */
  int32_t valid;                  /* bytes of a pixel that the patch has; the others are zero */
  int32_t reserved;
} pv_patch_place;

/* Patches of a split: split s has [s * share, (s + 1) * share), the last one what is left. */
PVNET_HOST_DEVICE static inline int32_t pv_conv_share(const pv_op* op) {
  return (op->n_patches + op->splits - 1) / op->splits;
}

/* Weights under way, later the tile's sums; then patches under way; then places of the patches. At
 * most 47 KiB: with what kernels declare themselves, a device gives 48 unasked. */
PVNET_HOST_DEVICE static inline int32_t pv_conv_shared_bytes(const pv_op* op) {
  return PV_WEIGHT_STAGES * PV_TILE_N * PV_K_BYTES + op->patch_buffers * op->patch_bytes +
         pv_conv_share(op) * (int32_t)sizeof(pv_patch_place);
}

#endif /* PVNET_KERNELS_CONV_SHARED_BYTES_H_ */
