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

// Copies x[b] of x (B,T,C), rows x_row floats apart, to cache (slots,S,C): to slot rows[b] (slot b without `rows`), positions
// position[b] … position[b]+T-1. Positions and slots outside the cache are dropped.
QN_TEMPLATE void qn_cache_write(long B, long slots, long S, long T, long C, const float *x, long x_row, qn_row_index position, const int *rows, float *cache) {
  for (long b = 0; b < B; b++) {
    long slot = rows ? rows[b] : b, first = qn_of_row(position, b);
    if (slot < 0 || slot >= slots) continue;
    for (long t = first < 0 ? -first : 0; t < T && t + first < S; t++)
      __builtin_memcpy(cache + (slot * S + t + first) * C, x + (b * T + t) * x_row, C * sizeof *x);
  }
}
// Copies the first lengths[r] positions of slot from[r] of cache (slots,S,C) to slot to[r], in the order of r. Skips invalid
// slots. from, to, lengths (R)
QN_TEMPLATE void qn_cache_copy(long R, long slots, long S, long C, const int *from, const int *to, const int *lengths, float *cache) {
  for (long r = 0; r < R; r++) {
    long a = from[r], b = to[r], n = lengths[r] < S ? lengths[r] : S;
    if (a < 0 || a >= slots || b < 0 || b >= slots || a == b) continue;
    for (long s = 0; s < n; s++) __builtin_memcpy(cache + (b * S + s) * C, cache + (a * S + s) * C, C * sizeof *cache);
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
