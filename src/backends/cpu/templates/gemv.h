// A row vector times a matrix whose rows lie along K: what a decoded token does with every weight. The time is that of
// reading the matrix once, so rows are read one by one from end to end: that is what the processor's prefetcher follows
// (four rows at once, as the small products of gemm.h take them, reach 16 GB/s where one at a time reaches 26.5, on a
// Zen 4 core whose memory gives 28). Four sums a row keep additions from waiting for one another.
#ifndef QN_GEMV_H
#define QN_GEMV_H
typedef struct { long N, K; const float *x, *W; float *y; int accumulate; qn_epilogue epilogue; void *context; } qn_gemv_context;

QN_INLINE float qn_gemv_dot(long K, const float *x, const float *w) {
  vf s[4] = {{0}};
  long k = 0;
  for (; k + 4 * QN_VL <= K; k += 4 * QN_VL)
    QN_UNROLL for (int j = 0; j < 4; j++) s[j] += qn_load(x + k + j * QN_VL) * qn_load(w + k + j * QN_VL);
  for (; k < K; k += QN_VL) s[0] += qn_load_n(x + k, K - k) * qn_load_n(w + k, K - k);
  return qn_sum((s[0] + s[1]) + (s[2] + s[3]));
}

static void qn_gemv_task(void *context, long task, long worker) {
  const qn_gemv_context *c = context;
  (void)worker;
  long n0 = task * QN_GROUP, n1 = n0 + QN_GROUP < c->N ? n0 + QN_GROUP : c->N;
  for (long n = n0; n < n1; n++) c->y[n] = (c->accumulate ? c->y[n] : 0.0f) + qn_gemv_dot(c->K, c->x, c->W + n * c->K);
  if (c->epilogue) c->epilogue(c->context, 0, 1, n0, n1);
}

// y (N) = [y +] x (K) · W (N,K) transposed.
QN_TEMPLATE void qn_gemv(long N, long K, const float *x, const float *W, float *y, int accumulate, qn_epilogue epilogue, void *context) {
  qn_gemv_context c = {.N = N, .K = K, .x = x, .W = W, .y = y, .accumulate = accumulate, .epilogue = epilogue, .context = context};
  if (N > 0 && K > 0) qn_parallel((N + QN_GROUP - 1) / QN_GROUP, qn_gemv_task, &c);
}
#endif
