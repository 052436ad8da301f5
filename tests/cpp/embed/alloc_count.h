/* SPDX-License-Identifier: Apache-2.0 */
/* Counts every allocation of the process, in all threads and libraries. */
#ifndef ALLOC_COUNT_H_
#define ALLOC_COUNT_H_

/* Call once, first. */
void alloc_count_install(void);
/* Allocations since the start; grows with malloc, calloc, realloc, the aligned ones and new. */
long alloc_count(void);

#endif
