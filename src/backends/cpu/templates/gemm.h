// Matrix products.
#ifndef QN_GEMM_H
#define QN_GEMM_H
#define QN_NR (QN_NV * QN_VL)
// called for every finished block of C (m0..m1, n0..n1), while it is hot in cache, by any worker; may read C and write
// anything at those positions
typedef void (*qn_epilogue)(void *context, long m0, long m1, long n0, long n1);

// Scratch of qn_gemm in floats: min(N + QN_NR, 1024) * min(K + 16, 1024) + qn_threads * 40960.
QN_FUNCTION long qn_gemm_scratch(long M, long N, long K) {
  (void)M;
  long n = N + QN_NR < 1024 ? N + QN_NR : 1024, k = K + 16 < 1024 ? K + 16 : 1024;
  return n * k + qn_threads * 40960L;
}

typedef struct { long M, N, K; const float *A; long a_m, a_k; const float *B; long b_k, b_n; float *C; long ldc; int accumulate; qn_epilogue epilogue; void *context; } qn_gemm_context;

static void qn_gemm_task(void *context, long task, long worker) {
  const qn_gemm_context *c = context;
  (void)worker;
  long m0 = task * 16, m1 = m0 + 16 < c->M ? m0 + 16 : c->M;
  for (long i = m0; i < m1; i++) for (long n = 0; n < c->N; n++) {
    float s = c->accumulate ? c->C[i * c->ldc + n] : 0.0f;
    for (long k = 0; k < c->K; k++) s += c->A[i * c->a_m + k * c->a_k] * c->B[k * c->b_k + n * c->b_n];
    c->C[i * c->ldc + n] = s;
  }
  if (c->epilogue) c->epilogue(c->context, m0, m1, 0, c->N);
}

// C (M,N) = [C +] A (M,K) · B (K,N); element (i,k) of A is at A[i*a_m + k*a_k], of B at B[k*b_k + n*b_n], of C at
// C[i*ldc+n]. One of a_m, a_k is 1, one of b_k, b_n is 1.
QN_FUNCTION void qn_gemm(long M, long N, long K, const float *A, long a_m, long a_k, const float *B, long b_k, long b_n,
                         float *C, long ldc, int accumulate, float *scratch, qn_epilogue epilogue, void *context) {
  (void)scratch;
  qn_gemm_context c = {M, N, K, A, a_m, a_k, B, b_k, b_n, C, ldc, accumulate, epilogue, context};
  qn_parallel((M + 15) / 16, qn_gemm_task, &c);
}
#endif
