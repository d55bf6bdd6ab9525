// Linear layer and cross-entropy in one, in chunks of rows: the logits (N,V) are never whole.
#ifndef QN_CROSS_ENTROPY_H
#define QN_CROSS_ENTROPY_H
// Rows a chunk: as many as make 8 Mi logits, at least 64, at most 1024, at most N.
QN_FUNCTION long qn_cross_entropy_rows(long N, long V) {
  long R = 8388608 / V;
  R = R < 64 ? 64 : R > 1024 ? 1024 : R;
  return R < N ? R : N;
}
// Scratch in floats, of both functions, with R = qn_cross_entropy_rows(N, V):
// R * V + R * C + R * (ceil(V / 1024) * 2 + 4) + the largest qn_gemm_scratch of (R,V,C), (R,C,V), (V,C,R) + 64.
QN_FUNCTION long qn_linear_cross_entropy_scratch(long N, long C, long V) {
  long R = qn_cross_entropy_rows(N, V), a = qn_gemm_scratch(R, V, C), b = qn_gemm_scratch(R, C, V), d = qn_gemm_scratch(V, C, R);
  return R * V + R * C + R * ((V + 1023) / 1024 * 2 + 4) + (a > b ? a > d ? a : d : b > d ? b : d) + 64;
}

static void qn_cross_entropy_chunks(long N, long C, long V, const float *x, const float *w, const int *targets, const float *d_loss, float *loss, float *dx, float *dw, int accumulate_dw, float *scratch) {
  long R = qn_cross_entropy_rows(N, V);
  float *z = scratch, *gemm_scratch = scratch + R * V;
  for (long n0 = 0; n0 < N; n0 += R) {
    long r1 = n0 + R < N ? R : N - n0;
    qn_gemm(r1, V, C, x + n0 * C, C, 1, w, 1, C, z, V, 0, gemm_scratch, 0, 0);
    for (long r = 0; r < r1; r++) {
      float m = -QN_INFINITY, l = 0;
      int target = targets[n0 + r];
      int counts = target >= 0 && target < V;
      for (long v = 0; v < V; v++) m = z[r * V + v] > m ? z[r * V + v] : m;
      for (long v = 0; v < V; v++) l += qn_exp(qn_splat(z[r * V + v] - m))[0];
      float lse = m + qn_log(qn_splat(l))[0];
      loss[n0 + r] = counts ? lse - z[r * V + target] : 0.0f;
      if (dx) for (long v = 0; v < V; v++) z[r * V + v] = counts ? (qn_exp(qn_splat(z[r * V + v] - lse))[0] - (v == target)) * d_loss[n0 + r] : 0.0f;
    }
    if (!dx) continue;
    qn_gemm(r1, C, V, z, V, 1, w, C, 1, dx + n0 * C, C, 0, gemm_scratch, 0, 0);
    qn_gemm(V, C, r1, z, 1, V, x + n0 * C, C, 1, dw, C, accumulate_dw || n0 > 0, gemm_scratch, 0, 0);
  }
}

// x (N,C), w (V,C), targets (N); loss (N): -log softmax(x·wᵀ)[target] in nats, 0 where the target is -100 (or any id
// outside [0, V)).
QN_FUNCTION void qn_linear_cross_entropy(long N, long C, long V, const float *x, const float *w, const int *targets, float *loss, float *scratch) {
  qn_cross_entropy_chunks(N, C, V, x, w, targets, 0, loss, 0, 0, 0, scratch);
}

// The same with gradients: d_loss (N) comes in; dx (N,C) is overwritten, dw (V,C) too, or added to when accumulate_dw.
QN_FUNCTION void qn_linear_cross_entropy_gradient(long N, long C, long V, const float *x, const float *w, const int *targets, const float *d_loss, float *loss, float *dx, float *dw, int accumulate_dw, float *scratch) {
  qn_cross_entropy_chunks(N, C, V, x, w, targets, d_loss, loss, dx, dw, accumulate_dw, scratch);
}
#endif
