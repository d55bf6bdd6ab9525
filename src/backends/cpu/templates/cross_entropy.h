// Linear layer and cross-entropy in one, in chunks of R rows: the logits (N,V) are never whole. A chunk's logits become
// e = exp(z - reference) where they are made, in the matrix product's epilogue, with the largest logit of that block and
// row as the reference; what brings the blocks of a row to one softmax is a factor for each QN_GROUP columns, which the
// two products of the gradient apply while they pack e. So each logit is written once and read twice, and exp is taken
// once. The -1 at the target is not in e (it might overflow there) but subtracted as rows of w and x.
#ifndef QN_CROSS_ENTROPY_H
#define QN_CROSS_ENTROPY_H
// Rows a chunk: R = min(N, max(256, min(1024, 4194304 / V))): the chunk's e stays in the last cache where V allows, and
// dw is not passed over too often where it does not.
QN_FUNCTION long qn_cross_entropy_rows(long N, long V) {
  long R = 4194304 / V;
  R = R < 256 ? 256 : R > 1024 ? 1024 : R;
  return R < N ? R : N;
}
// Rows of e are this far apart: whole cache lines, and an odd number of them, so that neighbours below each other do not
// fall on the same few places of a cache.
QN_FUNCTION long qn_cross_entropy_pitch(long V) { return (V + 15) / 16 * 16 | 16; }
// Scratch in floats, of both functions, with R rows a chunk and P their pitch:
// R * P + 16 + 2 * R * ceil(V / 64) + R + the largest qn_gemm_scratch of (R,V,C), (R,C,V), (V,C,R).
QN_FUNCTION long qn_linear_cross_entropy_scratch(long N, long C, long V) {
  long R = qn_cross_entropy_rows(N, V), a = qn_gemm_scratch(R, V, C), b = qn_gemm_scratch(R, C, V), d = qn_gemm_scratch(V, C, R);
  return R * qn_cross_entropy_pitch(V) + 16 + 2 * R * ((V + QN_GROUP - 1) / QN_GROUP) + R + (a > b ? a > d ? a : d : b > d ? b : d);
}

typedef struct {
  long rows, C, V, pitch, groups; const float *x, *w, *d_loss; const int *targets; float *loss, *dx, *dw; // of this chunk
  float *e, *scale, *sums, *target_logit; // (rows,pitch), (rows,groups), (rows,groups), (rows)
} qn_cross_entropy_context;

// A finished block of logits: the reference and the sum of e of each row stand in its first group, nothing in its others.
static void qn_cross_entropy_epilogue(void *context, long m0, long m1, long n0, long n1) {
  const qn_cross_entropy_context *c = context;
  long g0 = n0 / QN_GROUP, g1 = (n1 + QN_GROUP - 1) / QN_GROUP;
  for (long r = m0; r < m1; r++) {
    float *z = c->e + r * c->pitch, *scale = c->scale + r * c->groups, *sums = c->sums + r * c->groups;
    long target = c->targets[r], n;
    if (target >= n0 && target < n1) c->target_logit[r] = z[target];
    vf m[2] = {qn_splat(-QN_INFINITY), qn_splat(-QN_INFINITY)}, l[2] = {{0}};
    for (n = n0; n + 2 * QN_VL <= n1; n += 2 * QN_VL) QN_UNROLL for (int j = 0; j < 2; j++) m[j] = qn_max(qn_load(z + n + j * QN_VL), m[j]);
    float reference = qn_max_lanes(qn_max(m[0], m[1]));
    for (; n < n1; n++) reference = z[n] > reference ? z[n] : reference;
    for (n = n0; n + 2 * QN_VL <= n1; n += 2 * QN_VL) QN_UNROLL for (int j = 0; j < 2; j++) {
      vf e = qn_exp_weight(qn_load(z + n + j * QN_VL) - reference);
      l[j] += e;
      if (c->dx) qn_store(z + n + j * QN_VL, e);
    }
    for (; n < n1; n += QN_VL) {
      vf e = qn_exp_weight(qn_load_n(z + n, n1 - n) - reference);
      for (int i = 0; i < QN_VL; i++) if (n + i >= n1) e[i] = 0.0f;
      l[0] += e;
      if (c->dx) qn_store_n(z + n, e, n1 - n);
    }
    for (long g = g0; g < g1; g++) scale[g] = reference, sums[g] = 0.0f;
    sums[g0] = qn_sum(l[0] + l[1]);
  }
}

// Rows of a chunk: loss, and the factors that make d loss / d logit of e.
#define QN_CROSS_ENTROPY_ROWS 16 // a task
static void qn_cross_entropy_loss_task(void *context, long task, long worker) {
  const qn_cross_entropy_context *c = context;
  (void)worker;
  long r1 = (task + 1) * QN_CROSS_ENTROPY_ROWS < c->rows ? (task + 1) * QN_CROSS_ENTROPY_ROWS : c->rows, G = c->groups;
  for (long r = task * QN_CROSS_ENTROPY_ROWS; r < r1; r++) {
    float *scale = c->scale + r * G, m = scale[0], l = 0;
    const float *sums = c->sums + r * G;
    for (long g = 0; g < G; g++) m = scale[g] > m ? scale[g] : m;
    for (long g = 0; g < G; g++) if (sums[g] != 0.0f) l += sums[g] * qn_exp(qn_splat(scale[g] - m))[0];
    int counts = c->targets[r] >= 0 && c->targets[r] < c->V;
    c->loss[r] = counts ? m - c->target_logit[r] + qn_log(qn_splat(l))[0] : 0.0f;
    if (!c->dx) continue;
    float factor = counts ? c->d_loss[r] / l : 0.0f;
    for (long g = 0; g < G; g += QN_VL) qn_store_n(scale + g, qn_exp(qn_load_n(scale + g, G - g) - m) * factor, G - g);
  }
}

// dx row -= d_loss * w[target]
static void qn_cross_entropy_dx_epilogue(void *context, long m0, long m1, long n0, long n1) {
  const qn_cross_entropy_context *c = context;
  for (long r = m0; r < m1; r++) {
    if (c->targets[r] < 0 || c->targets[r] >= c->V) continue;
    const float *w = c->w + c->targets[r] * c->C;
    float *dx = c->dx + r * c->C;
    for (long n = n0; n < n1; n += QN_VL) qn_store_n(dx + n, qn_load_n(dx + n, n1 - n) - qn_load_n(w + n, n1 - n) * c->d_loss[r], n1 - n);
  }
}
// dw[target] -= d_loss * x row; tasks share out the columns, so that every sum has one order
static void qn_cross_entropy_dw_task(void *context, long task, long worker) {
  const qn_cross_entropy_context *c = context;
  (void)worker;
  long n0 = task * QN_GROUP, n1 = n0 + QN_GROUP < c->C ? n0 + QN_GROUP : c->C;
  for (long r = 0; r < c->rows; r++) {
    if (c->targets[r] < 0 || c->targets[r] >= c->V) continue;
    const float *x = c->x + r * c->C;
    float *dw = c->dw + c->targets[r] * c->C;
    for (long n = n0; n < n1; n += QN_VL) qn_store_n(dw + n, qn_load_n(dw + n, n1 - n) - qn_load_n(x + n, n1 - n) * c->d_loss[r], n1 - n);
  }
}

// x (N,C), w (V,C), targets (N); d_loss (N) comes in; loss (N), dx (N,C) are overwritten, dw (V,C) too, or added to when
// accumulate_dw.
QN_FUNCTION void qn_linear_cross_entropy_gradient(int bf16, long N, long C, long V, const float *x, const float *w, const int *targets, const float *d_loss, float *loss, float *dx, float *dw, int accumulate_dw, float *scratch) {
  long R = qn_cross_entropy_rows(N, V), groups = (V + QN_GROUP - 1) / QN_GROUP;
  long P = qn_cross_entropy_pitch(V);
  float *e = scratch + (64 - ((unsigned long)scratch & 63)) / 4 % 16, *scale = e + R * P, *sums = scale + R * groups, *target_logit = sums + R * groups, *gemm_scratch = target_logit + R;
  for (long n = 0; n < N; n += R) {
    long rows = n + R < N ? R : N - n;
    qn_cross_entropy_context c = {rows, C, V, P, groups, x + n * C, w, d_loss ? d_loss + n : 0, targets + n, loss + n, dx ? dx + n * C : 0, dw, e, scale, sums, target_logit};
    qn_gemm(bf16, rows, V, C, c.x, C, 1, w, 1, C, c.e, P, 0, gemm_scratch, qn_cross_entropy_epilogue, &c);
    qn_parallel((rows + QN_CROSS_ENTROPY_ROWS - 1) / QN_CROSS_ENTROPY_ROWS, qn_cross_entropy_loss_task, &c);
    if (!dx) continue;
    qn_gemm_scaled(bf16, rows, C, V, c.e, P, 1, w, C, 1, c.dx, C, 0, gemm_scratch, qn_cross_entropy_dx_epilogue, &c, scale, groups);
    qn_gemm_scaled(bf16, V, C, rows, c.e, 1, P, c.x, C, 1, dw, C, accumulate_dw || n > 0, gemm_scratch, 0, 0, scale, groups);
    qn_parallel((C + QN_GROUP - 1) / QN_GROUP, qn_cross_entropy_dw_task, &c);
  }
}

// x (N,C), w (V,C), targets (N); loss (N): -log softmax(x·wᵀ)[target] in nats, 0 where the target is -100 (or any id
// outside [0, V)).
QN_FUNCTION void qn_linear_cross_entropy(int bf16, long N, long C, long V, const float *x, const float *w, const int *targets, float *loss, float *scratch) {
  qn_linear_cross_entropy_gradient(bf16, N, C, V, x, w, targets, 0, loss, 0, 0, 0, scratch);
}
#endif
