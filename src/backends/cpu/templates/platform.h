// Differences between operating systems: threads and arena memory. Comes first in every compiled file, because all system
// headers must be included before `long` is redefined to be as wide as a pointer.
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
// Maps zeroed memory for an arena; only pages that are touched use physical memory. Returns 0 on failure.
static inline __attribute__((unused)) void *qn_map(unsigned __INTPTR_TYPE__ bytes) {
#if defined(_WIN32)
  return VirtualAlloc(0, bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
#else
  void *arena = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
  if (arena == MAP_FAILED) return 0;
#ifdef MADV_HUGEPAGE
  madvise(arena, bytes, MADV_HUGEPAGE); // a hint; the system may ignore it
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

typedef unsigned __INT64_TYPE__ qn_u64; // `long long` is unusable once `long` is a macro

// Sizes and offsets are `long` throughout. It is as wide as a pointer except on 64-bit Windows, where it has 32 bits.
#if defined(_WIN64)
#define long __INTPTR_TYPE__
#endif
#endif
