// Embedding: reads rows of a table by id. The gradient adds rows back at their ids.
#ifndef QN_EMBEDDING_H
#define QN_EMBEDDING_H
// Forward: in (V,C), out (N,C). Gradient: in (N,C), out (V,C). ids (N).
typedef struct { long N, C, V; const float *in; const int *ids; float *out; int accumulate; long columns; } qn_embedding_context;
#define QN_EMBEDDING_ROWS 32 // rows per task

static void qn_embedding_task(void *context, long task, long worker) {
  const qn_embedding_context *c = context;
  (void)worker;
  long C = c->C, n1 = (task + 1) * QN_EMBEDDING_ROWS < c->N ? (task + 1) * QN_EMBEDDING_ROWS : c->N;
  for (long n = task * QN_EMBEDDING_ROWS; n < n1; n++) {
    long id = c->ids[n];
    const float *row = id >= 0 && id < c->V ? c->in + id * C : 0;
    for (long i = 0; i < C; i++) c->out[n * C + i] = row ? row[i] : 0.0f;
  }
}

// table (V,C), ids (N), out (N,C). An id outside [0, V) reads a row of zeros.
QN_TEMPLATE void qn_embedding(long N, long C, long V, const float *table, const int *ids, float *out) {
  qn_embedding_context c = {N, C, V, table, ids, out, 0, 0};
  qn_parallel((N + QN_EMBEDDING_ROWS - 1) / QN_EMBEDDING_ROWS, qn_embedding_task, &c);
}

static void qn_embedding_gradient_task(void *context, long task, long worker) {
  const qn_embedding_context *c = context;
  (void)worker;
  long C = c->C, i0 = task * c->columns, i1 = i0 + c->columns < C ? i0 + c->columns : C;
  if (!c->accumulate) for (long v = 0; v < c->V; v++) for (long i = i0; i < i1; i++) c->out[v * C + i] = 0.0f;
  for (long n = 0; n < c->N; n++) {
    long id = c->ids[n];
    if (id < 0 || id >= c->V) continue;
    float *row = c->out + id * C;
    const float *d = c->in + n * C;
    for (long i = i0; i < i1; i++) row[i] += d[i];
  }
}

// ids (N), d_out (N,C); overwrites d_table (V,C), or adds to it if `accumulate` is set. Tasks divide the columns, so one worker
// computes each sum, in the order of n. Ids outside [0, V) are skipped. Uses no scratch.
QN_TEMPLATE void qn_embedding_gradient(long N, long C, long V, const int *ids, const float *d_out, float *d_table, int accumulate, float *scratch) {
  (void)scratch;
  long columns = C >= 64L * qn_threads ? 64 : 16;
  qn_embedding_context c = {N, C, V, d_out, ids, d_table, accumulate, columns};
  qn_parallel((C + columns - 1) / columns, qn_embedding_gradient_task, &c);
}
#endif
