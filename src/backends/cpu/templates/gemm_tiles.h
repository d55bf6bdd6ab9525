// bf16 matrix products in tile registers (tiles.h). Reading and writing memory usually takes longer than multiplying, so each
// operand is read as rarely as possible. All threads together pack the smaller of A and B into bf16; it stays in each core's L2
// cache (QN_RESIDENT). Each task packs some rows (or columns) of the other operand and multiplies them by all of the first, one
// block of C at a time. Meanwhile the next task's part is prefetched. An operand is packed in strips of QN_SIDE rows of A or
// columns of B, each in blocks of QN_DEEP_BLOCK words of K. A block is 16 KiB, so one block of each operand fits L1. C is
// always accumulated in the order of K, so its bits do not depend on the blocks.
#ifndef QN_GEMM_TILES_H
#define QN_GEMM_TILES_H
#if QN_TILES
#define QN_DEEP_BLOCK 128        // words of K per block
#define QN_TILED_ROWS 128        // rows and
#define QN_TILED_COLUMNS 64      // columns of a block of C, multiples of QN_SIDE and QN_GROUP
#define QN_RESIDENT (384L << 10) // words of the operand that stays in L2: 1.5 of its 2 MiB
#define QN_DEEP_SLAB 512         // words of K that are processed before the next ones
#define QN_STREAM (1L << 21)     // floats from which C is written past the caches, which saves reading each line before
#define QN_MOST(a, b) ((a) > (b) ? (a) : (b))
#define QN_OWN_LINES QN_MOST(QN_TILED_ROWS, QN_TILED_COLUMNS)

typedef struct {
  const qn_gemm_context *g;
  int by_rows;                        // whether tasks take rows of A and B stays in cache, or the other way round
  long first, last;                   // range of rows or columns that stay in cache
  long k0, k1, deep;                  // range of elements of K, and their number in words (a multiple of QN_TILE_DEEP)
  long chunk, lines;                  // rows or columns per task, and in total
  long parts;                         // number of tasks that divide the operand that stays
  int stream;                         // blocks of C are computed in scratch, then written past the caches
  float *resident, *own; long own_floats;
} qn_tiled;

QN_INLINE long qn_strip_deep(long K) { return (K + 2 * QN_TILE_DEEP - 1) / (2 * QN_TILE_DEEP) * QN_TILE_DEEP; }
// Words of the block of K that starts at `at` in a strip
QN_INLINE long qn_strip_block(long deep, long at) { return deep - at < QN_DEEP_BLOCK ? deep - at : QN_DEEP_BLOCK; }

// Packs a strip of A: up to QN_SIDE rows m0..m1, padded with 0 along K.
static void qn_strip_of_A(const qn_gemm_context *c, long m0, long m1, long k0, long k1, long deep, float *to) {
  long rows = m1 - m0 < QN_SIDE ? m1 - m0 : QN_SIDE;
  for (long at = 0; at < deep; at += QN_DEEP_BLOCK) {
    long words = qn_strip_block(deep, at), k = k0 + 2 * at, left = k1 - k;
    if (c->a_packed) {
      for (long i = 0; i < rows; i++) for (long w = 0; w < words; w += QN_VL)
        qn_store(to + i * words + w, qn_load_n(c->A + (m0 + i) * c->a_m + k / 2 + w, (left + 1) / 2 - w > 0 ? (left + 1) / 2 - w : 0));
    } else if (c->a_k == 1) {
      for (long i = 0; i < rows; i++) {
        const float *from = c->A + (m0 + i) * c->a_m + k;
        long w = 0;
        for (; 2 * (w + QN_VL) <= left && w < words; w += QN_VL) qn_store(to + i * words + w, qn_pack_bf16_along(qn_load(from + 2 * w), qn_load(from + 2 * w + QN_VL)));
        for (; w < words; w += QN_VL) qn_store(to + i * words + w, qn_pack_along(1, from + 2 * w, left - 2 * w > 0 ? left - 2 * w : 0));
      }
    } else for (long w = 0; w < words; w += QN_VL) for (long i = 0; i < rows; i += QN_VL)
      qn_transpose_across(c->A + (k + 2 * w) * c->a_k + m0 + i, c->a_k, left - 2 * w, rows - i, to + i * words + w, words, rows - i);
    to += QN_SIDE * words;
  }
}
// Packs a strip of B: up to QN_SIDE columns n0..n1, padded with 0 to QN_SIDE and along K.
static void qn_strip_of_B(const qn_gemm_context *c, long n0, long n1, long k0, long k1, long deep, float *to) {
  long columns = n1 - n0 < QN_SIDE ? n1 - n0 : QN_SIDE;
  if (c->b_n == 1) {
    for (long k = k0; k < k0 + 2 * deep; k += 2, to += QN_SIDE) QN_UNROLL for (int j = 0; j < QN_SIDE; j += QN_VL) {
      const float *from = c->B + k * c->b_k + n0 + j;
      vf x[2] = {{0}, {0}};
      for (int i = 0; i < 2; i++) if (k + i < k1 && columns > j) {
        x[i] = columns - j >= QN_VL ? qn_load(from + i * c->b_k) : qn_load_n(from + i * c->b_k, columns - j);
        if (c->b_scale) x[i] *= c->b_scale[k + i];
      }
      qn_store(to + j, qn_pack_bf16_across(x[0], x[1]));
    }
    return;
  }
  for (long w = 0; w < deep; w += QN_VL) for (long j = 0; j < QN_SIDE; j += QN_VL) {
    long k = k0 + 2 * w;
    qn_transpose_along(c->B + (n0 + j) * c->b_n + k, c->b_n, columns - j, k1 - k > 0 ? k1 - k : 0, to + w * QN_SIDE + j, QN_SIDE, deep - w);
  }
}
static void qn_strip(const qn_tiled *t, int of_rows, long line, long end, float *to) {
  if (of_rows) qn_strip_of_A(t->g, line, end, t->k0, t->k1, t->deep, to);
  else qn_strip_of_B(t->g, line, end, t->k0, t->k1, t->deep, to);
}
static void qn_tiled_pack_task(void *context, long task, long worker) {
  const qn_tiled *t = context;
  (void)worker;
  qn_strip(t, !t->by_rows, t->first + task * QN_SIDE, t->last, t->resident + task * QN_SIDE * t->deep);
}

// Computes a block of C: rows m0..m1 from the strips at A, columns n0..n1 from the strips at B
static void qn_tiled_block(const qn_tiled *t, long m0, long m1, const float *A, long n0, long n1, const float *B, float *C, long ldc, qn_fetch *fetch) {
  int add = (t->g->accumulate && !t->g->blockwise) || t->k0 > 0;
  float edge[QN_SIDE * QN_SIDE] __attribute__((aligned(64)));
  for (long at = 0; at < t->deep; at += QN_DEEP_BLOCK, add = 1) {
    long words = qn_strip_block(t->deep, at);
    for (long n = n0; n < n1; n += QN_SIDE) for (long m = m0; m < m1; m += QN_SIDE) {
      const float *a = A + (m - m0) * t->deep + QN_SIDE * at, *b = B + (n - n0) * t->deep + QN_SIDE * at;
      float *c = C + (m - m0) * ldc + n - n0;
      long rows = m1 - m, columns = n1 - n;
      if (rows >= QN_SIDE && columns >= QN_SIDE) {
        qn_tiles_multiply(words / QN_TILE_DEEP, a, words, b, QN_SIDE, c, ldc, add, fetch);
        continue;
      }
      if (rows > QN_SIDE) rows = QN_SIDE;
      if (columns > QN_SIDE) columns = QN_SIDE;
      if (add) for (long i = 0; i < rows; i++) for (long j = 0; j < columns; j += QN_VL) qn_store(edge + i * QN_SIDE + j, qn_load_n(c + i * ldc + j, columns - j));
      qn_tiles_multiply(words / QN_TILE_DEEP, a, words, b, QN_SIDE, edge, QN_SIDE, add, fetch);
      for (long i = 0; i < rows; i++) for (long j = 0; j < columns; j += QN_VL) qn_store_n(c + i * ldc + j, qn_load(edge + i * QN_SIDE + j), columns - j);
    }
  }
}

// Writes whole cache lines past the caches.
#if QN_VL == 16 && defined(__AVX512F__)
QN_INLINE void qn_stream(float *p, vf x) { _mm512_stream_ps(p, (__m512)x); }
QN_INLINE void qn_stream_end(void) { _mm_sfence(); }
#else
QN_INLINE void qn_stream(float *p, vf x) { qn_store(p, x); }
QN_INLINE void qn_stream_end(void) {}
#endif
static void qn_tiled_task(void *context, long task, long worker) {
  const qn_tiled *t = context;
  const qn_gemm_context *g = t->g;
  float *own = t->own + worker * t->own_floats, *block = own + QN_OWN_LINES * t->deep;
  long line = task / t->parts * t->chunk, end = line + t->chunk < t->lines ? line + t->chunk : t->lines;
  for (long i = line; i < end; i += QN_SIDE) qn_strip(t, t->by_rows, i, end, own + (i - line) * t->deep);
  long next = line + t->chunk * qn_threads, size = t->k1 - t->k0;
  qn_fetch fetch = {0};
  if (next + t->chunk <= t->lines && t->parts == 1) {
    if (t->by_rows && g->a_k == 1) fetch = qn_fetch_of(g->A + next * g->a_m + t->k0, t->chunk, g->a_m, g->a_packed ? size / 2 : size);
    else if (t->by_rows) fetch = qn_fetch_of(g->A + t->k0 * g->a_k + next, size, g->a_k, t->chunk);
    else if (g->b_k == 1) fetch = qn_fetch_of(g->B + next * g->b_n + t->k0, t->chunk, g->b_n, size);
    else fetch = qn_fetch_of(g->B + t->k0 * g->b_k + next, size, g->b_k, t->chunk);
  }
  long step = t->by_rows ? QN_TILED_COLUMNS : QN_TILED_ROWS, steps = (t->last - t->first + step - 1) / step, part = task % t->parts;
  for (long s = t->first + steps * part / t->parts * step; s < t->last && s < t->first + steps * (part + 1) / t->parts * step; s += step) {
    const float *stays = t->resident + (s - t->first) * t->deep;
    long s1 = s + step < t->last ? s + step : t->last, m0 = t->by_rows ? line : s, m1 = t->by_rows ? end : s1, n0 = t->by_rows ? s : line, n1 = t->by_rows ? s1 : end;
    float *C = g->blockwise || t->stream ? block : g->C + m0 * g->ldc + n0;
    qn_tiled_block(t, m0, m1, t->by_rows ? own : stays, n0, n1, t->by_rows ? stays : own, C, g->blockwise || t->stream ? QN_TILED_COLUMNS : g->ldc, &fetch);
    if (t->stream) for (long m = m0; m < m1; m++, C += QN_TILED_COLUMNS) for (long n = 0; n < n1 - n0; n += QN_VL) qn_stream(g->C + m * g->ldc + n0 + n, qn_load(C + n));
    if (t->k1 < g->K) continue;
    if (g->blockwise) g->consume(g->context, m0, m1, n0, n1, C, QN_TILED_COLUMNS);
    else if (g->epilogue) g->epilogue(g->context, m0, m1, n0, n1);
  }
  if (t->stream) qn_stream_end();
}

QN_INLINE long qn_tiled_slab(long K, int blockwise) { return blockwise || qn_strip_deep(K) <= QN_DEEP_SLAB * 5 / 4 ? qn_strip_deep(K) : QN_DEEP_SLAB; }
// Number of rows or columns that stay in cache at once
QN_INLINE long qn_tiled_resident(long lines, long deep) {
  long most = QN_RESIDENT / deep / QN_TILED_ROWS * QN_TILED_ROWS, blocks;
  if (most < QN_TILED_ROWS) most = QN_TILED_ROWS;
  blocks = (lines + most - 1) / most;
  return ((lines + blocks - 1) / blocks + QN_TILED_ROWS - 1) / QN_TILED_ROWS * QN_TILED_ROWS;
}
// Scratch in floats
QN_FUNCTION long qn_gemm_tiled_scratch(long M, long N, long K, int blockwise) {
  long deep = qn_tiled_slab(K, blockwise);
  return (qn_tiled_resident(M < N ? M : N, deep) + QN_SIDE) * deep + qn_threads * (QN_OWN_LINES * deep + QN_TILED_ROWS * QN_TILED_COLUMNS) + 16;
}
static void qn_gemm_tiled(const qn_gemm_context *g, float *scratch) {
  qn_tiled t = {.g = g, .by_rows = g->M > g->N};
  long slab = qn_tiled_slab(g->K, g->blockwise), stay = t.by_rows ? g->N : g->M, most = qn_tiled_resident(stay, slab);
  t.lines = t.by_rows ? g->M : g->N;
  t.chunk = t.by_rows ? QN_TILED_ROWS : QN_TILED_COLUMNS;
  t.own_floats = QN_OWN_LINES * slab + QN_TILED_ROWS * QN_TILED_COLUMNS;
  t.resident = scratch, t.own = scratch + (most + QN_SIDE) * slab;
  long chunks = (t.lines + t.chunk - 1) / t.chunk;
  t.parts = 1;
  t.stream = !g->accumulate && !g->blockwise && !g->epilogue && 2 * slab >= g->K && g->M * g->N >= QN_STREAM && g->N % 16 == 0 && g->ldc % 16 == 0 && ((unsigned long)g->C & 63) == 0;
  for (t.k0 = 0; t.k0 < g->K; t.k0 = t.k1) {
    t.k1 = t.k0 + 2 * slab < g->K ? t.k0 + 2 * slab : g->K, t.deep = qn_strip_deep(t.k1 - t.k0);
    for (t.first = 0; t.first < stay; t.first = t.last) {
      t.last = t.first + most < stay ? t.first + most : stay;
      long steps = (t.last - t.first) / (t.by_rows ? QN_TILED_COLUMNS : QN_TILED_ROWS) + 1;
      t.parts = chunks >= 2 * qn_threads || qn_threads == 1 ? 1 : (2 * qn_threads + chunks - 1) / chunks;
      if (t.parts > steps) t.parts = steps;
      qn_parallel((t.last - t.first + QN_SIDE - 1) / QN_SIDE, qn_tiled_pack_task, &t);
      qn_parallel(chunks * t.parts, qn_tiled_task, &t);
    }
  }
}
#endif
#endif
