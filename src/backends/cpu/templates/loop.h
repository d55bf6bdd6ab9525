// Generated loops: runs their blocks in parallel and adds up sums across blocks. Also cache writes, copies and positions.
#ifndef QN_LOOP_H
#define QN_LOOP_H

typedef struct {
  long R, C, rows, columns; // the whole loop is (R,C), a block (rows,columns)
  qn_epilogue block;
  void *context;
} qn_loop_context;

static void qn_loop_task(void *context, long task, long worker) {
  const qn_loop_context *l = context;
  (void)worker;
  long across = (l->C + l->columns - 1) / l->columns;
  long r0 = task / across * l->rows, c0 = task % across * l->columns;
  long r1 = r0 + l->rows < l->R ? r0 + l->rows : l->R, c1 = c0 + l->columns < l->C ? c0 + l->columns : l->C;
  l->block(l->context, r0, r1, c0, c1);
}

// Calls `block` for each (rows,columns) block of (R,C). Blocks depend only on the shape, not on the threads, so that sums over
// blocks have the same bits for any number of threads.
QN_TEMPLATE void qn_loop(long R, long C, long rows, long columns, qn_epilogue block, void *context) {
  qn_loop_context l = {R, C, rows, columns, block, context};
  qn_parallel(((R + rows - 1) / rows) * ((C + columns - 1) / columns), qn_loop_task, &l);
}

// out (C) = [out +] sum over p of partial (P,C), in the order of p
QN_TEMPLATE void qn_combine(long P, long C, const float *partial, float *out, int accumulate) {
  for (long c = 0; c < C; c++) {
    float s = accumulate ? out[c] : 0.0f;
    for (long p = 0; p < P; p++) s += partial[p * C + c];
    out[c] = s;
  }
}

// Type of the keys and values in a cache. Loads and stores widen and round them; `type` is a compile-time constant.
// In q8_0, blocks of 32 neighbours have an f16 scale and int8 quants; i is then a multiple of 32, or of QN_VL in a load.
enum qn_cached { QN_CACHED_F32, QN_CACHED_BF16, QN_CACHED_F16, QN_CACHED_Q8_0 };
QN_INLINE const void *qn_cached_at(const int type, const void *base, long i) { return (const char *)base + (type == QN_CACHED_Q8_0 ? i / 32 * 34 : i * (type == QN_CACHED_F32 ? 4 : 2)); }
QN_INLINE vf qn_cached_load(const int type, const void *base, long i, long n) {
  const void *at = qn_cached_at(type, base, i);
  if (type == QN_CACHED_Q8_0) return __builtin_convertvector(qn_load_s8((const char *)at + 2 + i % 32), vf) * qn_splat_f16(*(const unsigned short *)at);
  return type == QN_CACHED_F32 ? qn_load_n(at, n) : type == QN_CACHED_BF16 ? qn_load_n_bf16(at, n) : qn_load_n_f16(at, n);
}
QN_INLINE void qn_cached_store(const int type, void *base, long i, vf x, long n) {
  void *at = (void *)qn_cached_at(type, base, i);
  if (type == QN_CACHED_F32) qn_store_n(at, x, n);
  else if (type == QN_CACHED_BF16) qn_store_n_bf16(at, x, n);
  else qn_store_n_f16(at, x, n);
}

// Rounds C values, a multiple of 32, to blocks of q8_0.
static void qn_cached_store_blocks(const float *x, long C, char *to) {
  for (long b = 0; b < C; b += 32, to += 34) {
    vf most = {0};
    for (int k = 0; k < 32; k += QN_VL) most = qn_maximum(qn_abs(qn_load(x + b + k)), most);
    float largest = qn_maximum_lanes(most), inverse = largest > QN_TINY_BLOCK ? 127.0f / largest : 0.0f;
    qn_store_n_f16((unsigned short *)to, qn_splat(largest / 127.0f), 1);
    for (int k = 0; k < 32; k += QN_VL) *(qn_v_s8 *)(to + 2 + k) = __builtin_convertvector(qn_round_int8(qn_load(x + b + k), inverse), qn_v_s8);
  }
}
// Copies x[b] of x (B,T,C), rows x_row floats apart, to cache (slots,S,C): to slot rows[b] (slot b without `rows`), positions
// position[b] … position[b]+T-1. Positions and slots outside the cache are dropped.
QN_TEMPLATE void qn_cache_write(long B, long slots, long S, long T, long C, const float *x, long x_row, qn_row_index position, const int *rows, int type, void *cache) {
  for (long b = 0; b < B; b++) {
    long slot = rows ? rows[b] : b, first = qn_of_row(position, b);
    if (slot < 0 || slot >= slots) continue;
    for (long t = first < 0 ? -first : 0; t < T && t + first < S; t++) {
      const float *from = x + (b * T + t) * x_row;
      long to = (slot * S + t + first) * C;
      if (type == QN_CACHED_F32) __builtin_memcpy((float *)cache + to, from, C * sizeof *x);
      else if (type == QN_CACHED_Q8_0) qn_cached_store_blocks(from, C, (char *)qn_cached_at(type, cache, to));
      else for (long c = 0; c < C; c += QN_VL) {
        vf part = qn_load_n(from + c, C - c);
        if (type == QN_CACHED_BF16) qn_cached_store(QN_CACHED_BF16, cache, to + c, part, C - c);
        else qn_cached_store(QN_CACHED_F16, cache, to + c, part, C - c);
      }
    }
  }
}
// Copies the first lengths[r] positions of slot from[r] of cache (slots,S) to slot to[r], in the order of r; a position has `bytes`
// bytes. Skips invalid slots. from, to, lengths (R)
QN_TEMPLATE void qn_cache_copy(long R, long slots, long S, long bytes, const int *from, const int *to, const int *lengths, void *memory) {
  char *cache = memory;
  for (long r = 0; r < R; r++) {
    long a = from[r], b = to[r], n = lengths[r] < S ? lengths[r] : S;
    if (a < 0 || a >= slots || b < 0 || b >= slots || a == b) continue;
    for (long s = 0; s < n; s++) __builtin_memcpy(cache + (b * S + s) * bytes, cache + (a * S + s) * bytes, bytes);
  }
}

typedef struct { long rows, C; const float *from; float *to; long stride; } qn_copy_context; // from (rows,C), to: rows `stride` floats apart
#define QN_COPY_ROWS 64 // rows per task
static void qn_copy_rows_task(void *context, long task, long worker) {
  const qn_copy_context *c = context;
  (void)worker;
  long r1 = (task + 1) * QN_COPY_ROWS < c->rows ? (task + 1) * QN_COPY_ROWS : c->rows;
  for (long r = task * QN_COPY_ROWS; r < r1; r++) {
    const float *from = c->from + r * c->C;
    float *to = c->to + r * c->stride;
    for (long i = 0; i < c->C; i += QN_VL) qn_store_n(to + i, qn_load_n(from + i, c->C - i), c->C - i);
  }
}

// Copies from (rows,C) to rows `stride` floats apart.
QN_TEMPLATE void qn_copy_rows(long rows, long C, const float *from, float *to, long stride) {
  qn_copy_context c = {rows, C, from, to, stride};
  qn_parallel((rows + QN_COPY_ROWS - 1) / QN_COPY_ROWS, qn_copy_rows_task, &c);
}

// out (B,rows,N) = start[b], start[b] + 1, … along N
QN_TEMPLATE void qn_positions(long B, long rows, long N, qn_row_index start, int *out) {
  for (long r = 0; r < B * rows; r++) for (long n = 0; n < N; n++) out[r * N + n] = (int)(qn_of_row(start, r / rows) + n);
}
#endif
