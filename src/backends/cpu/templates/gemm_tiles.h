// bf16 matrix products in tile registers (tiles.h). Reading and writing memory usually takes longer than multiplying, so each
// operand is read as rarely as possible. All threads together pack the smaller of A and B into bf16; it stays in each core's L2
// cache (QN_RESIDENT). Each task packs some rows (or columns) of the other operand and multiplies them by all of the first, one
// block of C at a time. Meanwhile the next task's part is prefetched. An operand is packed in strips of QN_SIDE rows of A or
// columns of B, each in blocks of QN_DEEP_BLOCK words of K. A block is 16 KiB, so one block of each operand fits L1. C is
// always accumulated in the order of K, so its bits do not depend on the blocks. An operand that is in strips already
// (a_strips, b_strips) is multiplied where it is.
#ifndef QN_GEMM_TILES_H
#define QN_GEMM_TILES_H
#if QN_TILES
#define QN_DEEP_BLOCK 128        // words of K per block
#define QN_TILED_ROWS 128        // rows and
#define QN_TILED_COLUMNS 64      // columns of a block of C, multiples of QN_SIDE and QN_GROUP
#define QN_RESIDENT (384L << 10) // words of the operand that stays in L2: 1.5 of its 2 MiB
#define QN_DEEP_SLAB 512         // words of K that are processed before the next ones
#define QN_STREAM (1L << 21)     // floats from which C is written past the caches, which saves reading each line before
#define QN_MOST_POINTERS 64      // of an epilogue whose C is in scratch
#define QN_MOST(a, b) ((a) > (b) ? (a) : (b))
#define QN_OWN_LINES QN_MOST(QN_TILED_ROWS, QN_TILED_COLUMNS)

typedef struct {
  const qn_gemm_context *g;
  long deep_A, deep_B;                // words per strip of A and B: `deep`, or all of K if they are in strips already
  int by_rows;                        // whether tasks take rows of A and B stays in cache, or the other way round
  long first, last;                   // range of rows or columns that stay in cache
  long k0, k1, deep;                  // range of elements of K, and their number in words (a multiple of QN_TILE_DEEP)
  long chunk, lines;                  // rows or columns per task, and in total
  long parts;                         // number of tasks that divide the operand that stays
  int stream;                         // blocks of C are computed in scratch, then written past the caches
  int in_scratch;                     // blocks of C are computed in scratch
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
    } else if (c->a_bf16) {
      for (long w = 0; w < words; w += QN_VL) for (long i = 0; i < rows; i += QN_VL)
        qn_transpose_stored((const unsigned short *)c->A + (k + 2 * w) * c->a_k + m0 + i, c->a_k, left - 2 * w, rows - i, to + i * words + w, words, rows - i);
    } else for (long w = 0; w < words; w += QN_VL) for (long i = 0; i < rows; i += QN_VL)
      qn_transpose_across(c->A + (k + 2 * w) * c->a_k + m0 + i, c->a_k, left - 2 * w, rows - i, to + i * words + w, words, rows - i);
    to += QN_SIDE * words;
  }
}
// Packs a strip of B: up to QN_SIDE columns n0..n1, padded with 0 to QN_SIDE and along K.
static void qn_strip_of_B(const qn_gemm_context *c, long n0, long n1, long k0, long k1, long deep, float *to) {
  long columns = n1 - n0 < QN_SIDE ? n1 - n0 : QN_SIDE;
  if (c->b_bf16 && c->b_n == 1) {
    for (long k = k0; k < k0 + 2 * deep; k += 2, to += QN_SIDE) QN_UNROLL for (int j = 0; j < QN_SIDE; j += QN_VL) {
      const unsigned short *from = (const unsigned short *)c->B + k * c->b_k + n0 + j;
      if (k + 1 < k1 && columns - j >= QN_VL) qn_store(to + j, qn_pair_bf16(from, from + c->b_k, QN_VL));
      else qn_store(to + j, qn_pair_bf16(k < k1 ? from : 0, k + 1 < k1 ? from + c->b_k : 0, columns - j));
    }
    return;
  }
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
    if (c->b_bf16) qn_transpose_f32(c->B + ((n0 + j) * c->b_n + k) / 2, c->b_n / 2, columns - j, k1 - k > 0 ? (k1 - k) / 2 : 0, to + w * QN_SIDE + j, QN_SIDE, deep - w);
    else qn_transpose_along(c->B + (n0 + j) * c->b_n + k, c->b_n, columns - j, k1 - k > 0 ? k1 - k : 0, to + w * QN_SIDE + j, QN_SIDE, deep - w);
  }
}
// The word (line, word) of an operand packed in strips of `deep` words, and the distance to the next line of its block
QN_INLINE float *qn_strip_word(float *strips, long deep, long line, long word, long *pitch) {
  long at = word / QN_DEEP_BLOCK * QN_DEEP_BLOCK;
  *pitch = qn_strip_block(deep, at);
  return strips + line / QN_SIDE * QN_SIDE * deep + QN_SIDE * at + line % QN_SIDE * *pitch + word - at;
}
static void qn_pack_strip(const qn_tiled *t, int of_rows, long line, long end, float *to) {
  if (of_rows) qn_strip_of_A(t->g, line, end, t->k0, t->k1, t->deep, to);
  else qn_strip_of_B(t->g, line, end, t->k0, t->k1, t->deep, to);
}
static void qn_tiled_pack_task(void *context, long task, long worker) {
  const qn_tiled *t = context;
  (void)worker;
  qn_pack_strip(t, !t->by_rows, t->first + task * QN_SIDE, t->last, t->resident + task * QN_SIDE * t->deep);
}

// The strips of A's rows (or B's columns) from `line` on, or 0 if the operand is not in strips
QN_INLINE const float *qn_given_strips(const qn_tiled *t, int of_rows, long line) {
  if (!(of_rows ? t->g->a_strips : t->g->b_strips)) return 0;
  return (of_rows ? t->g->A : t->g->B) + line * (of_rows ? t->deep_A : t->deep_B) + QN_SIDE * t->k0 / 2;
}
// Computes a block of C: rows m0..m1 from the strips at A, columns n0..n1 from the strips at B
static void qn_tiled_block(const qn_tiled *t, long m0, long m1, const float *A, long n0, long n1, const float *B, float *C, long ldc, qn_fetch *fetch) {
  int add = (t->g->accumulate && !t->g->blockwise) || t->k0 > 0;
  float edge[QN_SIDE * QN_SIDE] __attribute__((aligned(64)));
  for (long at = 0; at < t->deep; at += QN_DEEP_BLOCK, add = 1) {
    long words = qn_strip_block(t->deep, at);
    for (long n = n0; n < n1; n += QN_SIDE) for (long m = m0; m < m1; m += QN_SIDE) {
      const float *a = A + (m - m0) * t->deep_A + QN_SIDE * at, *b = B + (n - n0) * t->deep_B + QN_SIDE * at;
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
// What a task will read of an operand: `rows` of `n` elements, `pitch` apart, from element `at` on
QN_INLINE qn_fetch qn_tiled_fetch(const float *from, int bf16, long at, long rows, long pitch, long n) {
  return bf16 ? qn_fetch_of(from + at / 2, rows, pitch / 2, n / 2) : qn_fetch_of(from + at, rows, pitch, n);
}
// Runs the epilogue on a block of C in scratch: it finds C's element (m,n) at m * QN_TILED_COLUMNS + n of its own pointer.
static void qn_tiled_epilogue(const qn_gemm_context *g, long m0, long m1, long n0, long n1, float *C) {
  float *const *p = g->context, *pointers[QN_MOST_POINTERS];
  for (long i = 0; i < g->pointers; i++) pointers[i] = p[i];
  pointers[g->block] = (float *)((char *)C - (m0 * QN_TILED_COLUMNS + n0) * (long)sizeof *C);
  g->epilogue(pointers, m0, m1, n0, n1);
}
static void qn_tiled_task(void *context, long task, long worker) {
  const qn_tiled *t = context;
  const qn_gemm_context *g = t->g;
  float *own = t->own + worker * t->own_floats, *block = own + QN_OWN_LINES * t->deep;
  long line = task / t->parts * t->chunk, end = line + t->chunk < t->lines ? line + t->chunk : t->lines;
  long next = line + t->chunk * qn_threads, size = t->k1 - t->k0;
  qn_fetch fetch = {0};
  const float *given = qn_given_strips(t, t->by_rows, line), *resident = qn_given_strips(t, !t->by_rows, t->first), *streamed = given ? given : own;
  if (!given) for (long i = line; i < end; i += QN_SIDE) qn_pack_strip(t, t->by_rows, i, end, own + (i - line) * t->deep);
  if (!resident) resident = t->resident;
  if (next + t->chunk <= t->lines && t->parts == 1) {
    if (given) fetch = qn_fetch_of(qn_given_strips(t, t->by_rows, next), t->chunk / QN_SIDE, QN_SIDE * (t->by_rows ? t->deep_A : t->deep_B), QN_SIDE * t->deep);
    else if (t->by_rows && g->a_packed) fetch = qn_fetch_of(g->A + next * g->a_m + t->k0 / 2, t->chunk, g->a_m, size / 2);
    else if (t->by_rows && g->a_k == 1) fetch = qn_fetch_of(g->A + next * g->a_m + t->k0, t->chunk, g->a_m, size);
    else if (t->by_rows) fetch = qn_tiled_fetch(g->A, g->a_bf16, t->k0 * g->a_k + next, size, g->a_k, t->chunk);
    else if (g->b_k == 1) fetch = qn_tiled_fetch(g->B, g->b_bf16, next * g->b_n + t->k0, t->chunk, g->b_n, size);
    else fetch = qn_tiled_fetch(g->B, g->b_bf16, t->k0 * g->b_k + next, size, g->b_k, t->chunk);
  }
  long step = t->by_rows ? QN_TILED_COLUMNS : QN_TILED_ROWS, steps = (t->last - t->first + step - 1) / step, part = task % t->parts;
  for (long s = t->first + steps * part / t->parts * step; s < t->last && s < t->first + steps * (part + 1) / t->parts * step; s += step) {
    const float *stays = resident + (s - t->first) * (t->by_rows ? t->deep_B : t->deep_A);
    long s1 = s + step < t->last ? s + step : t->last, m0 = t->by_rows ? line : s, m1 = t->by_rows ? end : s1, n0 = t->by_rows ? s : line, n1 = t->by_rows ? s1 : end;
    float *C = t->in_scratch ? block : g->C + m0 * g->ldc + n0;
    qn_tiled_block(t, m0, m1, t->by_rows ? streamed : stays, n0, n1, t->by_rows ? stays : streamed, C, t->in_scratch ? QN_TILED_COLUMNS : g->ldc, &fetch);
    if (t->stream) for (long m = m0; m < m1; m++, C += QN_TILED_COLUMNS) for (long n = 0; n < n1 - n0; n += QN_VL) qn_stream(g->C + m * g->ldc + n0 + n, qn_load(C + n));
    if (t->k1 < g->K) continue;
    if (g->blockwise) g->consume(g->context, m0, m1, n0, n1, C, QN_TILED_COLUMNS);
    else if (g->pointers) qn_tiled_epilogue(g, m0, m1, n0, n1, C);
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
  t.in_scratch = t.stream || g->blockwise || g->pointers;
  for (t.k0 = 0; t.k0 < g->K; t.k0 = t.k1) {
    t.k1 = t.k0 + 2 * slab < g->K ? t.k0 + 2 * slab : g->K, t.deep = qn_strip_deep(t.k1 - t.k0);
    t.deep_A = g->a_strips ? qn_strip_deep(g->K) : t.deep, t.deep_B = g->b_strips ? qn_strip_deep(g->K) : t.deep;
    for (t.first = 0; t.first < stay; t.first = t.last) {
      t.last = t.first + most < stay ? t.first + most : stay;
      long steps = (t.last - t.first) / (t.by_rows ? QN_TILED_COLUMNS : QN_TILED_ROWS) + 1;
      t.parts = chunks >= 2 * qn_threads || qn_threads == 1 ? 1 : (2 * qn_threads + chunks - 1) / chunks;
      if (t.parts > steps) t.parts = steps;
      if (!(t.by_rows ? g->b_strips : g->a_strips)) qn_parallel((t.last - t.first + QN_SIDE - 1) / QN_SIDE, qn_tiled_pack_task, &t);
      qn_parallel(chunks * t.parts, qn_tiled_task, &t);
    }
  }
}

// Packs B (K,N) in strips of all of K: (N rounded up to QN_SIDE, qn_strip_deep(K)) words
static void qn_gemm_strips_of_B_task(void *context, long task, long worker) {
  const qn_gemm_context *g = context;
  (void)worker;
  long deep = qn_strip_deep(g->K);
  qn_strip_of_B(g, task * QN_SIDE, g->N, 0, g->K, deep, g->C + task * QN_SIDE * deep);
}
QN_FUNCTION void qn_gemm_strips_of_B(long N, long K, const float *B, long b_k, long b_n, float *to) {
  qn_gemm_context g = {.N = N, .K = K, .B = B, .b_k = b_k, .b_n = b_n, .C = to};
  qn_parallel((N + QN_SIDE - 1) / QN_SIDE, qn_gemm_strips_of_B_task, &g);
}

// qn_gemm in bf16 for operands that may be stored in bf16 (`stored`: 1 for A, 2 for B, 3 for both), with even numbers of columns.
// If `pointers` is not 0, C is never stored: the epilogue gets a copy of its `pointers` pointers at `context`, in which pointer
// `block` addresses C's block in scratch, with rows of QN_TILED_COLUMNS. K is then at most 5/2 QN_DEEP_SLAB (compiler/narrow.ts).
QN_TEMPLATE void qn_gemm_stored(int stored, long M, long N, long K, const float *A, long a_m, long a_k, const float *B, long b_k, long b_n,
                                float *C, long ldc, int accumulate, float *scratch, qn_epilogue epilogue, void *context, long block, long pointers) {
  qn_gemm_context g = {.bf16 = 1, .M = M, .N = N, .K = K, .A = A, .a_m = a_m, .a_k = a_k, .B = B, .b_k = b_k, .b_n = b_n, .C = C, .ldc = ldc, .accumulate = accumulate,
                       .epilogue = epilogue, .context = context, .a_bf16 = stored & 1, .b_bf16 = stored >> 1, .block = block, .pointers = pointers};
  if (g.a_bf16 && a_k == 1) g.a_packed = 1, g.a_m = a_m / 2;
  qn_gemm_run(g, scratch);
}
#endif
#endif
