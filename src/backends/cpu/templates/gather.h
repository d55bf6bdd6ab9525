// Gather and scatter-add along rows by index, and random numbers.
#ifndef QN_GATHER_H
#define QN_GATHER_H
// Gather: in (rows,V), out (rows,K). Scatter: in (rows,K), out (rows,V). ids (rows,K).
typedef struct { long rows, V, K; const float *in; const int *ids; float *out; } qn_gather_context;
#define QN_GATHER_ROWS 16 // rows per task

static void qn_gather_task(void *context, long task, long worker) {
  const qn_gather_context *c = context;
  (void)worker;
  long r1 = (task + 1) * QN_GATHER_ROWS < c->rows ? (task + 1) * QN_GATHER_ROWS : c->rows;
  for (long r = task * QN_GATHER_ROWS; r < r1; r++) for (long k = 0; k < c->K; k++) {
    long id = c->ids[r * c->K + k];
    c->out[r * c->K + k] = id >= 0 && id < c->V ? c->in[r * c->V + id] : 0.0f;
  }
}
// out (rows,K) = x (rows,V) at ids (rows,K); 0 for an id outside [0, V)
QN_TEMPLATE void qn_gather_ids(long rows, long V, long K, const float *x, const int *ids, float *out) {
  qn_gather_context c = {rows, V, K, x, ids, out};
  qn_parallel((rows + QN_GATHER_ROWS - 1) / QN_GATHER_ROWS, qn_gather_task, &c);
}

static void qn_scatter_task(void *context, long task, long worker) {
  const qn_gather_context *c = context;
  (void)worker;
  long r1 = (task + 1) * QN_GATHER_ROWS < c->rows ? (task + 1) * QN_GATHER_ROWS : c->rows;
  for (long r = task * QN_GATHER_ROWS; r < r1; r++) {
    float *row = c->out + r * c->V;
    for (long v = 0; v < c->V; v++) row[v] = 0.0f;
    for (long k = 0; k < c->K; k++) {
      long id = c->ids[r * c->K + k];
      if (id >= 0 && id < c->V) row[id] += c->in[r * c->K + k];
    }
  }
}
// Overwrites out (rows,V) with the sums of values (rows,K) at ids (rows,K). Each row has one writer, which adds in the order of K.
QN_TEMPLATE void qn_scatter_add(long rows, long V, long K, const int *ids, const float *values, float *out) {
  qn_gather_context c = {rows, V, K, values, ids, out};
  qn_parallel((rows + QN_GATHER_ROWS - 1) / QN_GATHER_ROWS, qn_scatter_task, &c);
}

typedef struct { long N; unsigned seed, step, stream; float *out; } qn_random_context;
#define QN_RANDOM_BLOCKS 1024 // counters per task
#define QN_RANDOM_WIDE 16     // counters at once, so that the compiler vectorizes the loops

// Philox 4x32-10 (Salmon et al., SC 2011). Counter (block, 0, step, stream), key (seed, 0). A block yields numbers 4 block … 4 block + 3.
static void qn_random_task(void *context, long task, long worker) {
  const qn_random_context *c = context;
  (void)worker;
  for (long block = task * QN_RANDOM_BLOCKS; block < (task + 1) * QN_RANDOM_BLOCKS && 4 * block < c->N; block += QN_RANDOM_WIDE) {
    unsigned x0[QN_RANDOM_WIDE], x1[QN_RANDOM_WIDE], x2[QN_RANDOM_WIDE], x3[QN_RANDOM_WIDE], k0 = c->seed, k1 = 0;
    for (int i = 0; i < QN_RANDOM_WIDE; i++) x0[i] = (unsigned)(block + i), x1[i] = 0, x2[i] = c->step, x3[i] = c->stream;
    for (int round = 0; round < 10; round++, k0 += 0x9e3779b9u, k1 += 0xbb67ae85u) for (int i = 0; i < QN_RANDOM_WIDE; i++) {
      qn_u64 a = 0xd2511f53ull * x0[i], b = 0xcd9e8d57ull * x2[i];
      x0[i] = (unsigned)(b >> 32) ^ x1[i] ^ k0, x1[i] = (unsigned)b;
      x2[i] = (unsigned)(a >> 32) ^ x3[i] ^ k1, x3[i] = (unsigned)a;
    }
    for (int i = 0; i < QN_RANDOM_WIDE; i++) {
      unsigned word[4] = {x0[i], x1[i], x2[i], x3[i]};
      for (long j = 0; j < 4 && 4 * (block + i) + j < c->N; j++) c->out[4 * (block + i) + j] = (float)(int)(word[j] >> 8) * 5.9604644775390625e-8f;
    }
  }
}
// out (N): uniform random numbers in [0, 1), multiples of 2^-24
QN_TEMPLATE void qn_random(long N, long seed, long step, unsigned stream, float *out) {
  qn_random_context c = {N, (unsigned)seed, (unsigned)step, stream, out};
  qn_parallel((N + 4 * QN_RANDOM_BLOCKS - 1) / (4 * QN_RANDOM_BLOCKS), qn_random_task, &c);
}
#endif
