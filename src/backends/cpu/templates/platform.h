// What differs between operating systems: threads and the memory of the arena. First in every compiled file, since all
// system headers must have been read before `long` is made as wide as a pointer.
#ifndef QN_PLATFORM_H
#define QN_PLATFORM_H
#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif
#if defined(__ARM_NEON)
#include <arm_neon.h>
#endif
#if QN_THREADS
#include <stdatomic.h>
#ifndef __wasm__
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#endif
#endif
#if defined(_WIN32)
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#define NOMINMAX
#include <windows.h>
#elif !defined(__wasm__)
#include <sys/mman.h>
#endif

#ifndef __wasm__
// Memory of an arena, zeroed, which takes room only where it is touched; 0 if the system gives none.
static inline __attribute__((unused)) void *qn_map(unsigned __INTPTR_TYPE__ bytes) {
#if defined(_WIN32)
  return VirtualAlloc(0, bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
#else
  void *arena = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
  if (arena == MAP_FAILED) return 0;
#ifdef MADV_HUGEPAGE
  madvise(arena, bytes, MADV_HUGEPAGE); // huge pages where the system gives them
#endif
  return arena;
#endif
}
static inline __attribute__((unused)) void qn_unmap(void *arena, unsigned __INTPTR_TYPE__ bytes) {
#if defined(_WIN32)
  (void)bytes;
  VirtualFree(arena, 0, MEM_RELEASE);
#else
  munmap(arena, bytes);
#endif
}
#endif

typedef unsigned __INT64_TYPE__ qn_u64; // `long long` cannot be said below

// Sizes and offsets are `long` throughout, as wide as a pointer everywhere but on 64-bit Windows, where it has 32 bits.
#if defined(_WIN64)
#define long __INTPTR_TYPE__
#endif
#endif
