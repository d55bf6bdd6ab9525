// Matrix products. All threads together pack B slab by slab into panels of QN_NR columns. Each task then copies some rows of A
// to its worker's scratch, at the constant pitch QN_KC, and multiplies panel by panel. The register tile (QN_MR, QN_NR) runs
// over QN_KC of K with its piece of B in L1 and its piece of A in L2. A thread that finds no rows left to multiply packs the
// next slab, so threads seldom wait for one another. Sums along K are split at the same places for any number of threads, so
// the bits do not depend on it. Packed operands are words (bf16.h): floats or, in bf16 on machines with a pair product, two
// neighbours along K. K is then half as long below, and everything else is the same.
#ifndef QN_GEMM_H
#define QN_GEMM_H
#define QN_NR (QN_NV * QN_VL)
#define QN_TALL_ROWS (QN_NV > 2 ? 2 * QN_MR : QN_MR) // rows of a tile at most QN_NV / 2 vectors wide (AVX-512: 6 x 4 or 12 x 2)
#define QN_KC (6144 / QN_NR < 256 ? 6144 / QN_NR : 256) // a panel of B is at most 24 KiB, so that it fits L1 with A's rows
#define QN_MC (128 / QN_MR * QN_MR)                     // rows per task, so that A's block (QN_MC, QN_KC) is at most 128 KiB
#define QN_NC 1024                                      // columns and
#define QN_KB 1024                                      // rows (rounded up to whole panels) of a slab of B: some 4 MiB
#define QN_A_BLOCK 32768                                // floats reserved for A's block
#define QN_SMALL 8                                      // rows (or columns) up to which nothing is packed

#define QN_GROUP 64 // epilogue blocks begin at multiples of it; a multiple of QN_NR
// The epilogue of qn_gemm_blockwise: receives a finished block at C, whose rows are ldc floats apart.
typedef void (*qn_block_consumer)(void *context, long m0, long m1, long n0, long n1, float *C, long ldc);
#define QN_BLOCK_ROWS 64 // rows of such a block; a multiple of the bf16 elements in a cache line

// Size of one packed slab in floats, rounded up to cache lines, for B (K,N) with at most `rows` rows per slab. (QN_NR is at most 64.)
QN_INLINE long qn_slab_floats(long N, long K, long rows) { return ((N + 64 < QN_NC ? N + 64 : QN_NC) * ((K < rows ? K : rows) + 16) + 15) / 16 * 16; }
#define QN_KB_ROUNDED (QN_KB + (QN_KB / QN_KC + 1) * QN_VL)
#if QN_TILES // gemm_tiles.h
QN_FUNCTION long qn_gemm_tiled_scratch(long M, long N, long K, int blockwise);
#else
#define qn_gemm_tiled_scratch(M, N, K, blockwise) ((void)(M), 0)
#endif
// Scratch of qn_gemm in floats: one slab of B (two if B needs several) and A's blocks.
QN_TEMPLATE long qn_gemm_scratch(long M, long N, long K) {
  long tiled = qn_gemm_tiled_scratch(M, N, K, 0), slabs = (1 + (N > QN_NC || K > QN_KB)) * qn_slab_floats(N, K, QN_KB_ROUNDED) + qn_threads * (long)QN_A_BLOCK + 16;
  return slabs > tiled ? slabs : tiled;
}

typedef struct { long n0, n1, k0, k1; float *packed; } qn_slab; // columns and rows of B; packed: (blocks of K, panels, QN_KC, QN_NR)
typedef struct {
  long M, N, K; const float *A; long a_m, a_k; const float *B; long b_k, b_n; float *C; long ldc; int accumulate; // A (M,K), B (K,N), C (M,N)
  qn_epilogue epilogue; qn_block_consumer consume; void *context;
  int bf16; long pack;        // elements of K per packed word
  int a_packed;               // A is already packed along K; its rows are a_m words apart
  int a_bf16, b_bf16;         // only with tiles: A or B is stored in bf16; strides are in elements
  int a_strips, b_strips;     // only with tiles: A or B is packed in strips of all of K
  long block, pointers;       // only with tiles: C's place among the epilogue's pointers; see qn_gemm_stored
  const float *b_scale;       // (K): factor for each row of B (needs b_n = 1), or 0
  int blockwise;              // blocks of C go to worker scratch; see qn_gemm_blockwise
  float *packed_A;            // (threads, QN_A_BLOCK)
  qn_slab current, next;      // the slab being multiplied, and the one being packed meanwhile
  long kc;                    // elements of K per panel
  long m_blocks, n_blocks;    // number of blocks of A's rows and of the columns of `current`
  long tasks;                 // their product; the tasks after these pack panels of `next`
} qn_gemm_context;

// C tile (mr, nv vectors) = or += A (mr,K) · B (K, nv vectors): element (i,k) of A is at A[i*a_i + k*a_k], rows of B are
// ldb apart. Since mr, nv and the strides are constants, the accumulators are registers and A's addresses are displacements of
// one pointer. K is unrolled by `unroll`, with the remainder one by one. With `pairs`, A and B are words of two bf16.
QN_INLINE vf qn_splat_packed(const int pairs, const float *p) { return pairs ? (vf)qn_splat_int(*(const qn_bits *)p) : qn_splat(*p); }
QN_INLINE vf qn_multiply(const int pairs, vf c, vf a, vf b) { return pairs ? qn_bf16_dot(c, a, b) : c + a * b; }
// If `next` is set, each unrolled step prefetches one cache line of it and one of C. A burst of requests would delay the
// tile's own loads.
QN_INLINE void qn_tile(const int pairs, const int mr, const int nv, const int unroll, long K, const float *restrict A, const long a_i, const long a_k, const float *restrict B, const long ldb, float *restrict C, const long ldc, int add, const float *next) {
  const int wide = (nv * QN_VL + 15) / 16, lines = mr * wide; // of C
  int line = 0;
  vf c[QN_TALL_ROWS][QN_NV];
  QN_UNROLL for (int i = 0; i < mr; i++) QN_UNROLL for (int j = 0; j < nv; j++) c[i][j] = (vf){0};
  for (; K >= unroll; K -= unroll, A += unroll * a_k, B += unroll * ldb) {
    if (next) {
      __builtin_prefetch(next, 0, 2), next += 16;
      __builtin_prefetch(C + line / wide * ldc + line % wide * 16, 1), line += line < lines - 1; // C is written last
    }
    QN_UNROLL for (int u = 0; u < unroll; u++) {
      vf b[QN_NV];
      QN_UNROLL for (int j = 0; j < nv; j++) b[j] = qn_load(B + u * ldb + j * QN_VL);
      QN_UNROLL for (int i = 0; i < mr; i++) {
        vf a = qn_splat_packed(pairs, A + i * a_i + u * a_k);
        QN_UNROLL for (int j = 0; j < nv; j++) c[i][j] = qn_multiply(pairs, c[i][j], a, b[j]);
      }
    }
  }
  for (; K > 0; K--, A += a_k, B += ldb) {
    vf b[QN_NV];
    QN_UNROLL for (int j = 0; j < nv; j++) b[j] = qn_load(B + j * QN_VL);
    QN_UNROLL for (int i = 0; i < mr; i++) QN_UNROLL for (int j = 0; j < nv; j++) c[i][j] = qn_multiply(pairs, c[i][j], qn_splat_packed(pairs, A + i * a_i), b[j]);
  }
  if (add) QN_UNROLL for (int i = 0; i < mr; i++) QN_UNROLL for (int j = 0; j < nv; j++) c[i][j] += qn_load(C + i * ldc + j * QN_VL);
  QN_UNROLL for (int i = 0; i < mr; i++) QN_UNROLL for (int j = 0; j < nv; j++) qn_store(C + i * ldc + j * QN_VL, c[i][j]);
}
#define QN_TILE_PACKED(NAME, PAIRS) \
  static __attribute__((noinline)) void NAME(long K, const float *A, const float *B, float *C, long ldc, int add, const float *next) { \
    qn_tile(PAIRS, QN_MR, QN_NV, 4, K & ~3L, A, QN_KC, 1, B, QN_NR, C, ldc, add, next); /* tells the compiler that K is a multiple of 4 */ \
  }
QN_TILE_PACKED(qn_tile_floats, 0)
#if QN_BF16 && QN_PAIRS
QN_TILE_PACKED(qn_tile_pairs, 1)
#else
#define qn_tile_pairs qn_tile_floats
#endif
QN_INLINE void qn_tile_packed(long pack, long K, const float *A, const float *B, float *C, long ldc, int add, const float *next) {
  if (pack == 2) qn_tile_pairs(K, A, B, C, ldc, add, next);
  else qn_tile_floats(K, A, B, C, ldc, add, next);
}

// Serial products for use inside a task, nv vectors of columns wide, of any height M: NAME(M, K, A, lda, B, ldb, C, ldc, add).
// Rows are taken in strips of HEIGHT, then 4, 2 and 1. With PAIRS, A and B are words of two bf16.
#define QN_STRIPS_OF(PAIRS, NAME, HEIGHT, NV, A_I, A_K, LDB, LDC) \
  static __attribute__((noinline, unused)) void NAME(long M, long K, const float *A, long lda, const float *B, long ldb, float *C, long ldc, int add) { \
    (void)lda, (void)ldb, (void)ldc; \
    for (long m; M > 0; M -= m, A += m * (A_I), C += m * (LDC)) { \
      if (M >= HEIGHT) qn_tile(PAIRS, m = HEIGHT, NV, 2, K, A, A_I, A_K, B, LDB, C, LDC, add, 0); \
      else if (HEIGHT > 4 && M >= 4) qn_tile(PAIRS, m = 4, NV, 2, K, A, A_I, A_K, B, LDB, C, LDC, add, 0); \
      else if (HEIGHT > 2 && M >= 2) qn_tile(PAIRS, m = 2, NV, 2, K, A, A_I, A_K, B, LDB, C, LDC, add, 0); \
      else qn_tile(PAIRS, m = 1, NV, 2, K, A, A_I, A_K, B, LDB, C, LDC, add, 0); \
    } \
  }

// Defines NAME and, if the instruction set multiplies pairs, NAME_pairs; QN_BY chooses between them.
#if QN_BF16 && QN_PAIRS
#define QN_STRIPS(NAME, ...) QN_STRIPS_OF(0, NAME, __VA_ARGS__) QN_STRIPS_OF(1, NAME##_pairs, __VA_ARGS__)
#define QN_BY(pairs, name) ((pairs) ? name##_pairs : name)
#else
#define QN_STRIPS(NAME, ...) QN_STRIPS_OF(0, NAME, __VA_ARGS__)
#define QN_BY(pairs, name) name
#endif

// An m x n tile at the edge of C: computes a full tile in a buffer, then copies the part inside C.
static __attribute__((noinline)) void qn_tile_edge(long pack, long m, long n, long K, const float *A, const float *B, float *C, long ldc, int add, const float *next) {
  float t[QN_MR * QN_NR] __attribute__((aligned(64)));
  qn_tile_packed(pack, K, A, B, t, QN_NR, 0, next);
  for (long i = 0; i < m; i++) for (long j = 0; j < n; j += QN_VL) {
    vf x = qn_load(t + i * QN_NR + j);
    if (add) x += qn_load_n(C + i * ldc + j, n - j);
    qn_store_n(C + i * ldc + j, x, n - j);
  }
}

// to (rows, QN_VL) = from (n, m) transposed and packed, padded with 0: one square of QN_VL x QN_VL words. Rows of `from` are
// `pitch` floats apart, those of `to` to_pitch. K runs along the rows of `from` (`along`) or down its columns. With pairs, `from`
// then has up to 2 * QN_VL columns, or twice as many rows. bf16 and along are compile-time constants.
QN_INLINE void qn_transpose_square(const int bf16, const int along, const float *from, long pitch, long n, long m, float *to, long to_pitch, long rows) {
  vf x[QN_VL];
  const int pairs = bf16 && QN_PAIRS, down = pairs && !along;
  if (n >= (down ? 2 : 1) * QN_VL && m >= (pairs && along ? 2 : 1) * QN_VL && rows >= QN_VL) { // registers only
    QN_UNROLL for (int i = 0; i < QN_VL; i++) {
      const float *p = from + (down ? 2 * i : i) * pitch;
      vf a = qn_load(p);
      if (pairs && along) a = qn_pack_bf16_along(a, qn_load(p + QN_VL));
      else if (pairs) a = qn_pack_bf16_across(a, qn_load(p + pitch));
      else if (bf16) a = qn_bf16_round(a);
      x[i] = a;
    }
    qn_transpose(x);
    QN_UNROLL for (int i = 0; i < QN_VL; i++) qn_store(to + i * to_pitch, x[i]);
    return;
  }
  for (int i = 0; i < QN_VL; i++) {
    vf part[2] = {{0}, {0}};
    for (int half = 0; half < 1 + down; half++) {
      long row = down ? 2 * i + half : i;
      if (row < n) part[half] = qn_load_n(from + row * pitch, m);
    }
    if (pairs && along && i < n && m > QN_VL) part[1] = qn_load_n(from + i * pitch + QN_VL, m - QN_VL);
    x[i] = !bf16 ? part[0] : !pairs ? qn_bf16_round(part[0]) : along ? qn_pack_bf16_along(part[0], part[1]) : qn_pack_bf16_across(part[0], part[1]);
  }
  qn_transpose(x);
  for (int i = 0; i < rows && i < QN_VL; i++) qn_store(to + i * to_pitch, x[i]);
}
static __attribute__((noinline)) void qn_transpose_f32(const float *from, long pitch, long n, long m, float *to, long to_pitch, long rows) {
  qn_transpose_square(0, 0, from, pitch, n, m, to, to_pitch, rows);
}
#if QN_BF16
static __attribute__((noinline)) void qn_transpose_along(const float *from, long pitch, long n, long m, float *to, long to_pitch, long rows) {
  qn_transpose_square(1, 1, from, pitch, n, m, to, to_pitch, rows);
}
static __attribute__((noinline)) void qn_transpose_across(const float *from, long pitch, long n, long m, float *to, long to_pitch, long rows) {
  qn_transpose_square(1, 0, from, pitch, n, m, to, to_pitch, rows);
}
#else
#define qn_transpose_along qn_transpose_f32
#define qn_transpose_across qn_transpose_f32
#endif
#if QN_TILES
// The same for numbers stored in bf16. Along K they are words already; down the columns, two rows become one row of words.
// Lane i is the pair (low[i], high[i]); a missing row (0) is zeros, and so are the lanes from n on.
QN_INLINE vf qn_pair_bf16(const unsigned short *low, const unsigned short *high, long n) {
  vf a = low ? qn_load_n_bf16(low, n) : (vf){0}, b = high ? qn_load_n_bf16(high, n) : (vf){0};
  return (vf)((vi)((vu)a >> 16) | (vi)b);
}
static __attribute__((noinline)) void qn_transpose_stored(const unsigned short *from, long pitch, long n, long m, float *to, long to_pitch, long rows) {
  vf x[QN_VL];
  if (n >= 2 * QN_VL && m >= QN_VL && rows >= QN_VL) { // registers only
    QN_UNROLL for (int i = 0; i < QN_VL; i++) x[i] = qn_pair_bf16(from + 2 * i * pitch, from + (2 * i + 1) * pitch, QN_VL);
    qn_transpose(x);
    QN_UNROLL for (int i = 0; i < QN_VL; i++) qn_store(to + i * to_pitch, x[i]);
    return;
  }
  for (int i = 0; i < QN_VL; i++) x[i] = qn_pair_bf16(2 * i < n ? from + 2 * i * pitch : 0, 2 * i + 1 < n ? from + (2 * i + 1) * pitch : 0, m);
  qn_transpose(x);
  for (int i = 0; i < rows && i < QN_VL; i++) qn_store(to + i * to_pitch, x[i]);
}
#endif

// to (m1 - m0, QN_KC) = rows m0..m1, columns k0..k1 of A, packed; each row is padded with 0 to a multiple of 4 words.
QN_INLINE void qn_pack_A_as(const int bf16, const qn_gemm_context *c, long m0, long m1, long k0, long k1, float *to) {
  const long pack = bf16 ? QN_PACK : 1, step = pack * QN_VL;
  long K = k1 - k0;
  if (c->a_packed) {
    long length = (K + pack - 1) / pack;
    for (long m = m0; m < m1; m++, to += QN_KC) {
      const float *from = c->A + m * c->a_m + k0 / pack;
      for (long k = 0; k < length; k += QN_VL) {
        if (m + 8 < m1) __builtin_prefetch(from + 8 * c->a_m + k);
        qn_store(to + k, qn_load_n(from + k, length - k));
      }
    }
    return;
  }
  if (c->a_k == 1) {
    for (long m = m0; m < m1; m++, to += QN_KC) {
      const float *from = c->A + m * c->a_m + k0;
      long k = 0;
      for (; k + step <= K; k += step) {
        if (m + 8 < m1) QN_UNROLL for (int i = 0; i < pack; i++) __builtin_prefetch(from + 8 * c->a_m + k + i * QN_VL);
        qn_store(to + k / pack, qn_pack_along(bf16, from + k, step));
      }
      if (k < K) qn_store(to + k / pack, qn_pack_along(bf16, from + k, K - k)); // stays inside the row: QN_KC is a multiple of QN_VL
    }
    return;
  }
  for (long k = 0; k < K; k += step) for (long m = m0; m < m1; m += QN_VL) { // rows of k are far apart, so the next ones are prefetched
    const float *from = c->A + (k0 + k) * c->a_k + m;
    for (long i = k + step; i < k + 2 * step && i < K; i++) __builtin_prefetch(c->A + (k0 + i) * c->a_k + m);
    if (bf16) qn_transpose_across(from, c->a_k, K - k, m1 - m, to + (m - m0) * QN_KC + k / pack, QN_KC, m1 - m);
    else qn_transpose_f32(from, c->a_k, K - k, m1 - m, to + (m - m0) * QN_KC + k, QN_KC, m1 - m);
  }
}
static void qn_pack_A(const qn_gemm_context *c, long m0, long m1, long k0, long k1, float *to) {
  if (QN_BF16 && c->bf16) qn_pack_A_as(QN_BF16, c, m0, m1, k0, k1, to);
  else qn_pack_A_as(0, c, m0, m1, k0, k1, to);
}

// Packed length in words of K elements, rounded up to a multiple of 4.
QN_INLINE long qn_packed_length(const qn_gemm_context *c, long K) { return ((K + c->pack - 1) / c->pack + 3) / 4 * 4; }

// to (packed K, QN_NR) = one panel of one block of K: rows k0..k1 of B, padded with 0 to a multiple of 4 words; columns
// n0..n0+QN_NR, 0 from n1 on.
QN_INLINE void qn_pack_B_as(const int bf16, const qn_gemm_context *c, long k0, long k1, long n0, long n1, float *to) {
  const long pack = bf16 ? QN_PACK : 1;
  long K = k1 - k0, kc = qn_packed_length(c, K), N = n1 - n0 < QN_NR ? n1 - n0 : QN_NR;
  if (c->b_n == 1) {
    for (long k = 0; k < kc * pack; k += pack, to += QN_NR) {
      const float *from = c->B + (k0 + k) * c->b_k + n0;
      QN_UNROLL for (int j = 0; j < QN_NR; j += QN_VL) {
        vf x[2] = {{0}, {0}};
        QN_UNROLL for (int i = 0; i < pack; i++) __builtin_prefetch(from + (8 * pack + i) * c->b_k + j);
        QN_UNROLL for (int i = 0; i < pack; i++)
          if (k + i < K) {
            x[i] = N - j >= QN_VL ? qn_load(from + i * c->b_k + j) : N > j ? qn_load_n(from + i * c->b_k + j, N - j) : x[i];
            if (c->b_scale) x[i] *= c->b_scale[k0 + k + i];
          }
        qn_store(to + j, pack == 2 ? qn_pack_bf16_across(x[0], x[1]) : bf16 ? qn_bf16_round(x[0]) : x[0]);
      }
    }
    return;
  }
  for (long j = 0; j < QN_NR; j += QN_VL) for (long k = 0; k < kc; k += QN_VL) {
    const float *from = c->B + (n0 + j) * c->b_n + k0 + k * pack;
    long left = K - k * pack > 0 ? K - k * pack : 0;
    if (bf16) qn_transpose_along(from, c->b_n, N - j, left, to + k * QN_NR + j, QN_NR, kc - k);
    else qn_transpose_f32(from, c->b_n, N - j, left, to + k * QN_NR + j, QN_NR, kc - k);
  }
}
static void qn_pack_B(const qn_gemm_context *c, long k0, long k1, long n0, long n1, float *to) {
  if (QN_BF16 && c->bf16) qn_pack_B_as(QN_BF16, c, k0, k1, n0, n1, to);
  else qn_pack_B_as(0, c, k0, k1, n0, n1, to);
}

static void qn_gemm_pack_task(const qn_gemm_context *c, const qn_slab *b, long task) {
  long panels = (b->n1 - b->n0 + QN_NR - 1) / QN_NR, k0 = b->k0 + task / panels * c->kc, n0 = b->n0 + task % panels * QN_NR;
  long k1 = k0 + c->kc < b->k1 ? k0 + c->kc : b->k1, kc = qn_packed_length(c, k1 - k0);
  qn_pack_B(c, k0, k1, n0, b->n1, b->packed + (k0 - b->k0) / c->pack * panels * QN_NR + task % panels * kc * QN_NR);
}
QN_INLINE long qn_pack_tasks(const qn_gemm_context *c, const qn_slab *b) { return (b->k1 - b->k0 + c->kc - 1) / c->kc * ((b->n1 - b->n0 + QN_NR - 1) / QN_NR); }

static void qn_gemm_task(void *context, long task, long worker) {
  const qn_gemm_context *c = context;
  const qn_slab *b = &c->current;
  if (task >= c->tasks) {
    qn_gemm_pack_task(c, &c->next, task - c->tasks);
    return;
  }
  float *packed_A = c->packed_A + worker * QN_A_BLOCK;
  long tiles = (c->M + QN_MR - 1) / QN_MR, panels = (b->n1 - b->n0 + QN_NR - 1) / QN_NR;
  long i = task / c->n_blocks, j = task % c->n_blocks, groups = (b->n1 - b->n0 + QN_GROUP - 1) / QN_GROUP;
  long p0 = groups * j / c->n_blocks * (QN_GROUP / QN_NR), p1 = groups * (j + 1) / c->n_blocks * (QN_GROUP / QN_NR);
  if (p1 > panels) p1 = panels;
  long m0 = tiles * i / c->m_blocks * QN_MR, m1 = tiles * (i + 1) / c->m_blocks * QN_MR;
  if (c->blockwise) m0 = i * QN_BLOCK_ROWS, m1 = m0 + QN_BLOCK_ROWS;
  if (m1 > c->M) m1 = c->M;
  long first = c->blockwise ? b->n0 + p0 * QN_NR : 0; // first column of C's block
  float *block = c->blockwise ? c->C + worker * (QN_BLOCK_ROWS * QN_NC) - m0 * c->ldc : c->C;
  for (long k0 = b->k0; k0 < b->k1; k0 += c->kc) {
    long k1 = k0 + c->kc < b->k1 ? k0 + c->kc : b->k1, kc = qn_packed_length(c, k1 - k0);
    int add = c->accumulate || k0 > 0;
    qn_pack_A(c, m0, m1, k0, k1, packed_A);
    long tiles_here = (m1 - m0 + QN_MR - 1) / QN_MR, fetch = (kc * QN_NR / 16 + tiles_here - 1) / tiles_here;
    for (long p = p0; p < p1; p++) {
      const float *B = b->packed + (k0 - b->k0) / c->pack * panels * QN_NR + p * kc * QN_NR, *A = packed_A;
      long n0 = b->n0 + p * QN_NR, n = b->n1 - n0;
      for (long m = m0; m < m1; m += QN_MR, A += QN_MR * QN_KC) {
        float *C = block + m * c->ldc + n0 - first;
        const float *next = B + kc * QN_NR + (m - m0) / QN_MR * fetch * 16; // each tile prefetches its share of the next panel
        if (m + QN_MR <= m1 && n >= QN_NR) qn_tile_packed(c->pack, kc, A, B, C, c->ldc, add, next);
        else qn_tile_edge(c->pack, m1 - m < QN_MR ? m1 - m : QN_MR, n < QN_NR ? n : QN_NR, kc, A, B, C, c->ldc, add, next);
      }
    }
  }
  if ((c->epilogue || c->blockwise) && b->k1 == c->K) {
    long n1 = b->n0 + p1 * QN_NR;
    if (n1 > b->n1) n1 = b->n1;
    if (c->blockwise) c->consume(c->context, m0, m1, first, n1, block + m0 * c->ldc, c->ldc);
    else c->epilogue(c->context, m0, m1, b->n0 + p0 * QN_NR, n1);
  }
}

// Few rows or few columns, with K contiguous in A and B (matrix-vector products in decoding): dot products, four by four at a
// time. Nothing is packed, so memory is read once at full bandwidth.
QN_INLINE void qn_dots(const int m, const int n, long K, const float *A, long lda, const float *B, long ldb, float *C, long ldc, int add) {
  vf c[4][4];
  QN_UNROLL for (int i = 0; i < m; i++) QN_UNROLL for (int j = 0; j < n; j++) c[i][j] = (vf){0};
  long k = 0;
  for (; k + QN_VL <= K; k += QN_VL) {
    vf b[4];
    QN_UNROLL for (int j = 0; j < n; j++) b[j] = qn_load(B + j * ldb + k);
    QN_UNROLL for (int i = 0; i < m; i++) {
      vf a = qn_load(A + i * lda + k);
      QN_UNROLL for (int j = 0; j < n; j++) c[i][j] += a * b[j];
    }
  }
  if (k < K) QN_UNROLL for (int i = 0; i < m; i++) QN_UNROLL for (int j = 0; j < n; j++) c[i][j] += qn_load_n(A + i * lda + k, K - k) * qn_load_n(B + j * ldb + k, K - k);
  QN_UNROLL for (int i = 0; i < m; i++) QN_UNROLL for (int j = 0; j < n; j++) C[i * ldc + j] = (add ? C[i * ldc + j] : 0.0f) + qn_sum(c[i][j]);
}
static void qn_dots_task(void *context, long task, long worker) {
  const qn_gemm_context *c = context;
  (void)worker;
  long along_m = c->M > c->N, step = along_m ? c->m_blocks : c->n_blocks, m0 = along_m ? task * step : 0, n0 = along_m ? 0 : task * step;
  long m1 = along_m && m0 + step < c->M ? m0 + step : c->M, n1 = !along_m && n0 + step < c->N ? n0 + step : c->N;
  for (long n = n0; n < n1; n += n1 - n >= 4 ? 4 : 1) for (long m = m0; m < m1; m += m1 - m >= 4 ? 4 : 1) {
    const float *A = c->A + m * c->a_m, *B = c->B + n * c->b_n;
    float *C = c->C + m * c->ldc + n;
    if (m1 - m >= 4) {
      if (n1 - n >= 4) qn_dots(4, 4, c->K, A, c->a_m, B, c->b_n, C, c->ldc, c->accumulate);
      else qn_dots(4, 1, c->K, A, c->a_m, B, c->b_n, C, c->ldc, c->accumulate);
    } else if (n1 - n >= 4) qn_dots(1, 4, c->K, A, c->a_m, B, c->b_n, C, c->ldc, c->accumulate);
    else qn_dots(1, 1, c->K, A, c->a_m, B, c->b_n, C, c->ldc, c->accumulate);
  }
  if (c->epilogue) c->epilogue(c->context, m0, m1, n0, n1);
}

// Few rows, with N contiguous in B: each task takes 4 vectors of columns and runs over all of K.
QN_INLINE void qn_axpys(const int m, long K, const float *A, long a_m, long a_k, const float *B, long b_k, long n, float *C, long ldc, int add) {
  vf c[4][4];
  QN_UNROLL for (int i = 0; i < m; i++) QN_UNROLL for (int j = 0; j < 4; j++) c[i][j] = (vf){0};
  for (long k = 0; k < K; k++) {
    vf b[4];
    if (n >= 4 * QN_VL) QN_UNROLL for (int j = 0; j < 4; j++) b[j] = qn_load(B + k * b_k + j * QN_VL);
    else QN_UNROLL for (int j = 0; j < 4; j++) b[j] = n > j * QN_VL ? qn_load_n(B + k * b_k + j * QN_VL, n - j * QN_VL) : (vf){0};
    QN_UNROLL for (int i = 0; i < m; i++) {
      vf a = qn_splat(A[i * a_m + k * a_k]);
      QN_UNROLL for (int j = 0; j < 4; j++) c[i][j] += a * b[j];
    }
  }
  QN_UNROLL for (int i = 0; i < m; i++) QN_UNROLL for (int j = 0; j < 4; j++) if (n > j * QN_VL) {
    float *p = C + i * ldc + j * QN_VL;
    qn_store_n(p, add ? qn_load_n(p, n - j * QN_VL) + c[i][j] : c[i][j], n - j * QN_VL);
  }
}
static void qn_axpys_task(void *context, long task, long worker) {
  const qn_gemm_context *c = context;
  (void)worker;
  long n0 = task * c->n_blocks, n1 = n0 + c->n_blocks < c->N ? n0 + c->n_blocks : c->N;
  for (long n = n0; n < n1; n += 4 * QN_VL) for (long m = 0; m < c->M; m += c->M - m >= 4 ? 4 : 1) {
    const float *A = c->A + m * c->a_m, *B = c->B + n;
    float *C = c->C + m * c->ldc + n;
    if (c->M - m >= 4) qn_axpys(4, c->K, A, c->a_m, c->a_k, B, c->b_k, n1 - n, C, c->ldc, c->accumulate);
    else qn_axpys(1, c->K, A, c->a_m, c->a_k, B, c->b_k, n1 - n, C, c->ldc, c->accumulate);
  }
  if (c->epilogue) c->epilogue(c->context, 0, c->M, n0, n1);
}

#if QN_TILES
static void qn_gemm_tiled(const qn_gemm_context *c, float *scratch);
#else
#define qn_gemm_tiled(c, scratch) ((void)0)
#endif
// Runs the product that a context describes, and fills in the context's block sizes.
QN_FUNCTION void qn_gemm_run(qn_gemm_context c, float *scratch) {
  float *aligned = scratch + (64 - ((unsigned long)scratch & 63)) / 4 % 16;
  long M = c.M, N = c.N, K = c.K;
  c.bf16 = QN_BF16 && c.bf16;
  c.pack = c.bf16 ? QN_PACK : 1;
  if (M < 1 || N < 1 || K < 1) return;
  if (QN_TILES && c.bf16) {
    qn_gemm_tiled(&c, aligned);
    return;
  }
  int plain = !c.bf16 && !c.a_packed && !c.b_scale && !c.blockwise;
  if (plain && c.a_k == 1 && c.b_k == 1 && (M <= QN_SMALL || N <= QN_SMALL)) {
    c.m_blocks = c.n_blocks = QN_GROUP;
    qn_parallel(((M > N ? M : N) + QN_GROUP - 1) / QN_GROUP, qn_dots_task, &c);
    return;
  }
  if (plain && c.b_n == 1 && M <= QN_SMALL) {
    c.n_blocks = QN_GROUP;
    qn_parallel((N + QN_GROUP - 1) / QN_GROUP, qn_axpys_task, &c);
    return;
  }
  long n_chunks = (N + QN_NC - 1) / QN_NC, nc = ((N + n_chunks - 1) / n_chunks + QN_GROUP - 1) / QN_GROUP * QN_GROUP;
  long k_chunks = c.blockwise ? 1 : (K + QN_KB * c.pack - 1) / (QN_KB * c.pack), chunk = (K + k_chunks - 1) / k_chunks;
  long longest = QN_KC * c.pack, step = QN_VL * c.pack, k_blocks = (chunk + longest - 1) / longest, tiles = (M + QN_MR - 1) / QN_MR;
  c.kc = ((chunk + k_blocks - 1) / k_blocks + step - 1) / step * step;
  long kb = c.kc * k_blocks, k_slabs = (K + kb - 1) / kb, slabs = (N + nc - 1) / nc * k_slabs;
  // Rows per task: at most QN_MC, with the number of tasks a multiple of the threads. Columns are split too if rows are few.
  c.m_blocks = (M + QN_MC - 1) / QN_MC;
  if (c.m_blocks < 4 * qn_threads) c.m_blocks = 4 * qn_threads;
  c.m_blocks = (c.m_blocks + qn_threads - 1) / qn_threads * qn_threads;
  if (c.m_blocks > (tiles + 3) / 4) c.m_blocks = (tiles + 3) / 4;
  if (c.blockwise) c.m_blocks = (M + QN_BLOCK_ROWS - 1) / QN_BLOCK_ROWS;
  c.packed_A = aligned;
  float *packed = aligned + qn_threads * (long)QN_A_BLOCK;
  for (long slab = 0; slab <= slabs; slab++) { // finish all of K for one range of columns before the next; the first round only packs
    c.current = c.next;
    long n0 = slab / k_slabs * nc, k0 = slab % k_slabs * kb;
    c.next = (qn_slab){n0, n0 + nc < N ? n0 + nc : N, k0, k0 + kb < K ? k0 + kb : K, packed + slab % 2 * qn_slab_floats(N, K, c.blockwise ? K : QN_KB_ROUNDED)};
    long groups = (c.current.n1 - c.current.n0 + QN_GROUP - 1) / QN_GROUP;
    c.n_blocks = qn_threads == 1 ? 1 : (2 * qn_threads + c.m_blocks - 1) / c.m_blocks;
    if (c.n_blocks > groups) c.n_blocks = groups;
    c.tasks = slab > 0 ? c.m_blocks * c.n_blocks : 0;
    qn_parallel(c.tasks + (slab < slabs ? qn_pack_tasks(&c, &c.next) : 0), qn_gemm_task, &c);
  }
}

// C (M,N) = [C +] A (M,K) · B (K,N); element (i,k) of A is at A[i*a_m + k*a_k], of B at B[k*b_k + n*b_n], of C at
// C[i*ldc+n]. One of a_m, a_k is 1, one of b_k, b_n is 1. With bf16, A and B are rounded to bf16 first.
QN_TEMPLATE void qn_gemm(int bf16, long M, long N, long K, const float *A, long a_m, long a_k, const float *B, long b_k, long b_n,
                         float *C, long ldc, int accumulate, float *scratch, qn_epilogue epilogue, void *context) {
  qn_gemm_run((qn_gemm_context){.bf16 = bf16, .M = M, .N = N, .K = K, .A = A, .a_m = a_m, .a_k = a_k, .B = B, .b_k = b_k, .b_n = b_n,
                                .C = C, .ldc = ldc, .accumulate = accumulate, .epilogue = epilogue, .context = context}, scratch);
}

// A product that is never stored whole: `consume` receives each finished block of QN_BLOCK_ROWS rows and at most QN_NC columns,
// in its worker's scratch. A (M,K) and B (N,K): K is contiguous in both (a_k = b_k = 1).
QN_FUNCTION long qn_gemm_blockwise_scratch(long N, long K) {
  long tiled = qn_gemm_tiled_scratch(QN_NC, N, K, 1) + qn_threads * QN_BLOCK_ROWS * QN_NC;
  long slabs = (1 + (N > QN_NC)) * qn_slab_floats(N, K, K) + qn_threads * (QN_A_BLOCK + QN_BLOCK_ROWS * QN_NC) + 16;
  return slabs > tiled ? slabs : tiled;
}
QN_FUNCTION void qn_gemm_blockwise(int bf16, long M, long N, long K, const float *A, long a_m, const float *B, long b_n, int b_strips, float *scratch, qn_block_consumer consume, void *context) {
  float *blocks = scratch + (64 - ((unsigned long)scratch & 63)) / 4 % 16;
  qn_gemm_run((qn_gemm_context){.bf16 = bf16, .M = M, .N = N, .K = K, .A = A, .a_m = a_m, .a_k = 1, .B = B, .b_k = 1, .b_n = b_n, .b_strips = b_strips,
                                .C = blocks, .ldc = QN_NC, .blockwise = 1, .consume = consume, .context = context}, blocks + qn_threads * (QN_BLOCK_ROWS * QN_NC));
}
#endif
