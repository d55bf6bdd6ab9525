// bf16 products in tile registers (AMX): C (32,32) += A (32,K) · B (K,32), in eight tile registers of 16 rows of 64 bytes. Rows of A
// and B are words of two bf16 that are neighbours along K (bf16.h), rows of C are floats.
//
// The instructions have a portable version with the same bits, used with QN_PLAIN and by instruction sets without tiles.
// bench/kernels/tiles.c compares the two. Of every 32 elements along K, even and odd ones are summed separately, each from 0
// with 16 fused multiply-adds. The two sums are added, and the result is added to C. Denormal inputs and results are flushed to
// 0; NaN is made quiet.
//
// Uses inline assembly, because gcc 12's intrinsics are unsafe: _tile_loadconfig declares that it reads 8 of the 64 bytes,
// _tile_loadd that it reads none.
#ifndef QN_TILES_H
#define QN_TILES_H
#ifndef QN_TILES
#define QN_TILES 0 // whether the instruction set multiplies in tile registers
#endif
#define QN_SIDE 32       // rows and columns of C
#define QN_TILE_DEEP 16  // words of K per step
#if QN_TILES && !defined(QN_PLAIN) && defined(__AMX_BF16__)
#define QN_TILE_HARDWARE 1
#else
#define QN_TILE_HARDWARE 0
#endif

// A thread configures its tiles before its first product of a run and releases them at the end. Otherwise every context switch
// would save 8 KiB more. Written as bytes, because a pool's threads may run code compiled without tile instructions.
#if defined(__x86_64__) && defined(__linux__)
typedef struct { unsigned char palette, start, zero[14]; unsigned short row_bytes[16]; unsigned char rows[16]; } qn_tile_shapes;
static __attribute__((unused)) void qn_tiles_configure(void) {
  qn_tile_shapes shapes __attribute__((aligned(64))) = {.palette = 1};
  for (int i = 0; i < 8; i++) shapes.row_bytes[i] = 64, shapes.rows[i] = 16;
  __asm__ volatile(".byte 0xc4, 0xe2, 0x78, 0x49, 0x00" ::"a"(&shapes), "m"(shapes)); // ldtilecfg [rax]
}
static __attribute__((unused)) void qn_tiles_release(void) { __asm__ volatile(".byte 0xc4, 0xe2, 0x78, 0x49, 0xc0" ::: "memory"); } // tilerelease
#else
static __attribute__((unused)) void qn_tiles_configure(void) {}
static __attribute__((unused)) void qn_tiles_release(void) {}
#endif
// Another library may expect that the calling thread's tiles stay configured between its calls, as llama.cpp does.
#if defined(__AMX_TILE__) && defined(__linux__) && !defined(QN_PLAIN)
static qn_tile_shapes qn_tiles_before __attribute__((aligned(64)));
static __attribute__((unused)) void qn_tiles_save(void) { __asm__ volatile("sttilecfg %0" : "=m"(qn_tiles_before)); }
static __attribute__((unused)) void qn_tiles_restore(void) {
  if (qn_tiles_before.palette) __asm__ volatile("ldtilecfg %0" ::"m"(qn_tiles_before));
}
#else
static __attribute__((unused)) void qn_tiles_save(void) {}
static __attribute__((unused)) void qn_tiles_restore(void) {}
#endif

#if QN_TILES
// Rows of memory needed soon: each step of a product prefetches one of their cache lines into L2. (Prefetching into L1 would cost
// time.)
typedef struct { const char *at; long left, line, row_lines, skip; } qn_fetch;
QN_INLINE qn_fetch qn_fetch_of(const float *from, long rows, long pitch, long floats) {
  long lines = (floats * 4 + 63) / 64 + 1;
  return (qn_fetch){(const char *)from, rows * lines, 0, lines, 4 * pitch - 64 * (lines - 1)};
}
QN_INLINE void qn_fetch_line(qn_fetch *f) {
  if (f->left <= 0) return;
  __builtin_prefetch(f->at, 0, 2);
  f->left--;
  if (++f->line == f->row_lines) f->line = 0, f->at += f->skip;
  else f->at += 64;
}

// c + a * b with a single rounding to float, except for denormals. The product of two bf16 is exact in double, and a sum rounded to
// odd there can be rounded again without error.
QN_INLINE float qn_tile_flush(float x) { return __builtin_fabsf(x) < 0x1p-126f ? __builtin_copysignf(0.0f, x) : x; }
QN_INLINE float qn_tile_fma(float a, float b, float c) {
  double x = (double)a * b, y = c, sum = x + y, back = sum - x, lost = (x - (sum - back)) + (y - back);
  qn_u64 bits;
  __builtin_memcpy(&bits, &sum, 8);
  if (lost != 0.0 && lost == lost && !(bits & 1)) {
    bits += (lost > 0.0) == (sum > 0.0) ? 1 : -1ull;
    __builtin_memcpy(&sum, &bits, 8);
  }
  if (sum < 0x1p-126 && sum > -0x1p-126) return sum < 0.0 || (sum == 0.0 && __builtin_signbit(sum)) ? -0.0f : 0.0f;
  return (float)sum;
}
// Rows and columns of 32 that are multiplied: always all, because tile registers have a fixed size.
static __attribute__((noinline, unused)) void qn_tiles_multiply_twin(long steps, const float *A, long lda, const float *B, long ldb, float *C, long ldc, int add) {
  for (int i = 0; i < QN_SIDE; i++) for (int j = 0; j < QN_SIDE; j++) {
    float c = add ? qn_tile_flush(C[i * ldc + j]) : 0.0f;
    for (long step = 0; step < steps; step++) {
      float sums[2] = {0, 0};
      for (int half = 0; half < 2; half++) for (int k = 0; k < QN_TILE_DEEP; k++) {
        unsigned a, b;
        __builtin_memcpy(&a, A + i * lda + step * QN_TILE_DEEP + k, 4), __builtin_memcpy(&b, B + (step * QN_TILE_DEEP + k) * ldb + j, 4);
        a = half ? a & 0xffff0000 : a << 16, b = half ? b & 0xffff0000 : b << 16;
        float x, y;
        __builtin_memcpy(&x, &a, 4), __builtin_memcpy(&y, &b, 4);
        sums[half] = qn_tile_fma(qn_tile_flush(x), qn_tile_flush(y), sums[half]);
      }
      c = qn_tile_flush(c + qn_tile_flush(sums[0] + sums[1]));
    }
    C[i * ldc + j] = c;
  }
}
#if QN_TILE_HARDWARE
static __attribute__((noinline, unused)) void qn_tiles_multiply_machine(long steps, const float *A, long lda, const float *B, long ldb, float *C, long ldc, int add, qn_fetch *fetch) {
  const long a = 4 * lda, b = 4 * ldb, c = 4 * ldc;
  const float *A1 = A + 16 * lda, *B1 = B + 16;
  if (add) __asm__ volatile("tileloadd (%0,%2,1), %%tmm0\n\ttileloadd 64(%0,%2,1), %%tmm1\n\ttileloadd (%1,%2,1), %%tmm2\n\ttileloadd 64(%1,%2,1), %%tmm3" ::"r"(C), "r"(C + 16 * ldc), "r"(c) : "memory");
  else __asm__ volatile("tilezero %%tmm0\n\ttilezero %%tmm1\n\ttilezero %%tmm2\n\ttilezero %%tmm3" ::: "memory");
  for (; steps > 0; steps--, A += QN_TILE_DEEP, A1 += QN_TILE_DEEP, B += QN_TILE_DEEP * ldb, B1 += QN_TILE_DEEP * ldb) {
    qn_fetch_line(fetch);
    __asm__ volatile(
        "tileloadd (%2,%5,1), %%tmm6\n\t"
        "tileloadd (%0,%4,1), %%tmm4\n\t"
        "tdpbf16ps %%tmm6, %%tmm4, %%tmm0\n\t"
        "tileloadd (%3,%5,1), %%tmm7\n\t"
        "tdpbf16ps %%tmm7, %%tmm4, %%tmm1\n\t"
        "tileloadd (%1,%4,1), %%tmm5\n\t"
        "tdpbf16ps %%tmm6, %%tmm5, %%tmm2\n\t"
        "tdpbf16ps %%tmm7, %%tmm5, %%tmm3" ::"r"(A), "r"(A1), "r"(B), "r"(B1), "r"(a), "r"(b) : "memory");
  }
  __asm__ volatile("tilestored %%tmm0, (%0,%2,1)\n\ttilestored %%tmm1, 64(%0,%2,1)\n\ttilestored %%tmm2, (%1,%2,1)\n\ttilestored %%tmm3, 64(%1,%2,1)" ::"r"(C), "r"(C + 16 * ldc), "r"(c) : "memory");
}
#define qn_tiles_multiply qn_tiles_multiply_machine
#else
QN_FUNCTION void qn_tiles_multiply(long steps, const float *A, long lda, const float *B, long ldb, float *C, long ldc, int add, qn_fetch *fetch) {
  (void)fetch;
  qn_tiles_multiply_twin(steps, A, lda, B, ldb, C, ldc, add);
}
#endif
#endif
#endif
