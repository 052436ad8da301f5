/* SPDX-License-Identifier: Apache-2.0 */
/* Without a sanitizer the program's own malloc family stands before that of glibc, for libraries
 * too (operator new of libstdc++ ends in malloc). A sanitizer has replaced it already and offers
 * a hook. */
#include "alloc_count.h"

#include <errno.h>
#include <stddef.h>

static long count;

static void one_more(void) { (void)__atomic_fetch_add(&count, 1, __ATOMIC_RELAXED); }

long alloc_count(void) { return __atomic_load_n(&count, __ATOMIC_RELAXED); }

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void*, size_t),
                                              void (*on_free)(const volatile void*));

static void on_malloc(const volatile void* p, size_t size) {
  (void)p;
  (void)size;
  one_more();
}
static void on_free(const volatile void* p) { (void)p; }

void alloc_count_install(void) {
  (void)__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
}

#else

void* __libc_malloc(size_t size);
void* __libc_calloc(size_t n, size_t size);
void* __libc_realloc(void* p, size_t size);
void* __libc_memalign(size_t alignment, size_t size);

void alloc_count_install(void) {}

void* malloc(size_t size) {
  one_more();
  return __libc_malloc(size);
}

void* calloc(size_t n, size_t size) {
  one_more();
  return __libc_calloc(n, size);
}

void* realloc(void* p, size_t size) {
  one_more();
  return __libc_realloc(p, size);
}

void* memalign(size_t alignment, size_t size) {
  one_more();
  return __libc_memalign(alignment, size);
}

void* aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void** p, size_t alignment, size_t size) {
  void* q = memalign(alignment, size);
  if (q == NULL) return ENOMEM;
  *p = q;
  return 0;
}

#endif
