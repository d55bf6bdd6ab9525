// Compares every kernel template with naive loops in double, on random shapes including odd sizes.
//   gcc -O3 -march=native -DQN_VL=16 bench/kernels/check.c -lm -lpthread -o /tmp/check && /tmp/check [threads] [seed] [rounds]
// Canaries around each buffer detect writes outside it. Prints "ok" or exits with 1.
#include "templates.h" // first: it sets the feature macros of the system headers
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long long state = 1;
static unsigned draw(void) { state ^= state << 13; state ^= state >> 7; state ^= state << 17; return (unsigned)(state >> 11); }
static long between(long a, long b) { return a + draw() % (b - a + 1); }
static float normal(void) { float s = 0; for (int i = 0; i < 6; i++) s += draw() / 4294967296.0f - 0.5f; return s * 1.4142f; }
static int failures = 0;

// Rounds to the nearest bf16, ties to even, with arithmetic instead of bit operations as in the templates.
static double bf16(double x) {
  int e;
  if (x == 0) return x;
  frexp(x, &e);
  return ldexp(rint(ldexp(x, 8 - e)), e - 8);
}
static double operand(int rounded, float x) { return rounded ? bf16(x) : x; }

#define GUARD 64
#define CANARY 12345.0f
// n floats with GUARD canaries on both sides
static float *fresh(long n) {
  float *p = malloc((n + 2 * GUARD) * sizeof *p);
  for (long i = 0; i < n + 2 * GUARD; i++) p[i] = CANARY;
  return p + GUARD;
}
static float *random_floats(long n, float scale) { float *p = fresh(n); for (long i = 0; i < n; i++) p[i] = normal() * scale; return p; }
static void release(float *p, long n, const char *what) {
  for (long i = 0; i < GUARD; i++) if (p[-1 - i] != CANARY || p[n + i] != CANARY) { printf("FAIL %s: wrote outside its memory\n", what); failures++; break; }
  free(p - GUARD);
}
// Checks ‖a - b‖ / ‖b‖ and the largest difference; NaN fails. A result that is 0 but for rounding, such as the gradient of a single score, may be off by 1e-6.
static void compare(const char *what, const char *shape, long n, const float *a, const double *b, double bound) {
  double d = 0, s = 1e-30, worst = 0;
  for (long i = 0; i < n; i++) { double e = a[i] - b[i]; d += e * e; s += b[i] * b[i]; if (fabs(e) > worst) worst = fabs(e); }
  double r = sqrt(d / s), rms = sqrt(s / (n > 0 ? n : 1));
  int zero = rms < 1e-12;
  if (!(zero || r <= bound) || !(worst <= (zero ? 0 : 300 * bound * rms) + 1e-6)) { printf("FAIL %s %s: relative error %.3g, worst %.3g of rms %.3g\n", what, shape, r, worst, rms); failures++; }
}

// Error bound for n sums. With few sums, all of them may be small relative to their terms.
static double of_sums(long n) { return n < 16 ? 1e-5 : 1e-6; }

static unsigned char *touched; static long touched_ld;
static void mark(void *context, long m0, long m1, long n0, long n1) {
  float *C = context;
  for (long i = m0; i < m1; i++) for (long n = n0; n < n1; n++) { touched[i * touched_ld + n]++; C[i * touched_ld + n] *= 2; }
}

static void check_gemm(long M, long N, long K) {
  char shape[128];
  int ta = between(0, 1), tb = between(0, 1), accumulate = between(0, 1), epilogue = between(0, 1), half = between(0, 1);
  long pad_a = between(0, 5), pad_b = between(0, 5), pad_c = between(0, 5);
  long lda = (ta ? M : K) + pad_a, ldb = (tb ? K : N) + pad_b, ldc = N + pad_c, nA = (ta ? K : M) * lda, nB = (tb ? N : K) * ldb, nC = M * ldc;
  snprintf(shape, sizeof shape, "M %ld N %ld K %ld ta %d tb %d accumulate %d epilogue %d bf16 %d", M, N, K, ta, tb, accumulate, epilogue, half);
  float *A = random_floats(nA, 1), *B = random_floats(nB, 1), *C = random_floats(nC, 1);
  long nS = qn_gemm_scratch(M, N, K);
  float *S = fresh(nS);
  for (long i = 0; i < nS; i++) S[i] = NAN;
  double *want = malloc(nC * sizeof *want);
  for (long i = 0; i < M; i++) for (long n = 0; n < ldc; n++) {
    double s = C[i * ldc + n];
    if (n < N) {
      if (!accumulate) s = 0;
      for (long k = 0; k < K; k++) s += operand(half, A[ta ? k * lda + i : i * lda + k]) * operand(half, B[tb ? n * ldb + k : k * ldb + n]);
      if (epilogue) s *= 2;
    }
    want[i * ldc + n] = s;
  }
  if (!accumulate) for (long i = 0; i < M; i++) for (long n = 0; n < N; n++) C[i * ldc + n] = NAN;
  touched = calloc(nC, 1); touched_ld = ldc;
  qn_gemm(half, M, N, K, A, ta ? 1 : lda, ta ? lda : 1, B, tb ? 1 : ldb, tb ? ldb : 1, C, ldc, accumulate, S, epilogue ? mark : 0, C);
  compare("gemm", shape, nC, C, want, of_sums(M * N));
  if (epilogue) for (long i = 0; i < M; i++) for (long n = 0; n < N; n++) if (touched[i * ldc + n] != 1) { printf("FAIL gemm %s: epilogue called %d times at %ld %ld\n", shape, touched[i * ldc + n], i, n); failures++; i = M; break; }
  free(touched); free(want);
  release(A, nA, "gemm A"); release(B, nB, "gemm B"); release(C, nC, "gemm C"); release(S, nS, "gemm scratch");
}

static void check_linear(long M, long N, long K) {
  char shape[128];
  int accumulate = between(0, 1), epilogue = between(0, 1);
  snprintf(shape, sizeof shape, "M %ld N %ld K %ld accumulate %d epilogue %d", M, N, K, accumulate, epilogue);
  float *x = random_floats(M * K, 1), *W = random_floats(N * K, 1), *y = random_floats(M * N, 1), *one = random_floats(N, 1);
  double *want = malloc(M * N * sizeof *want);
  for (long m = 0; m < M; m++) for (long n = 0; n < N; n++) {
    double *s = want + m * N + n;
    *s = accumulate ? y[m * N + n] : 0;
    for (long k = 0; k < K; k++) *s += (double)x[m * K + k] * W[n * K + k];
    if (epilogue) *s *= 2;
    if (!accumulate) y[m * N + n] = NAN;
  }
  touched = calloc(M * N, 1); touched_ld = N;
  qn_linear(M, N, K, x, W, y, accumulate, epilogue ? mark : 0, y);
  compare("linear", shape, M * N, y, want, of_sums(M * N));
  if (epilogue) for (long n = 0; n < M * N; n++) if (touched[n] != 1) { printf("FAIL linear %s: epilogue called %d times at %ld\n", shape, touched[n], n); failures++; break; }
  if (!accumulate && !epilogue) for (long m = 0; m < M; m++) {
    qn_linear(1, N, K, x + m * K, W, one, 0, 0, 0);
    if (memcmp(one, y + m * N, N * sizeof *one)) { printf("FAIL linear %s: row %ld has different bits when run alone\n", shape, m); failures++; break; }
  }
  free(touched); free(want);
  release(x, M * K, "linear x"); release(W, N * K, "linear W"); release(y, M * N, "linear y"); release(one, N, "linear row");
}

#define EVERY(x) ((qn_row_index){(const int[]){(int)(x)}, 0})
static void check_attention(long B, long T, long S, long H, long G, long D, long position, int backward, float sharp) {
  char shape[160];
  int half = T > QN_FEW_QUERIES && between(0, 1);
  snprintf(shape, sizeof shape, "B %ld T %ld S %ld H %ld G %ld D %ld position %ld bf16 %d", B, T, S, H, G, D, position, half);
  long q_row = H * D + between(0, 9), k_row = G * D + between(0, 9), v_row = G * D + between(0, 9), nQ = B * T * q_row, nK = B * S * k_row, nV = B * S * v_row, nO = B * T * H * D, nL = B * H * T;
  float *q = random_floats(nQ, sharp), *k = random_floats(nK, 1), *v = random_floats(nV, 1), *o = random_floats(nO, 1), *lse = random_floats(nL, 1), *d_o = random_floats(nO, 1);
  float *dq = random_floats(nQ, 1), *dk = random_floats(nK, 1), *dv = random_floats(nV, 1);
  // keys that no query sees must not be read
  for (long b = 0; b < B; b++) for (long s = position + T; s < S; s++) for (long i = 0; i < k_row; i++) k[(b * S + s) * k_row + i] = NAN;
  for (long b = 0; b < B; b++) for (long s = position + T; s < S; s++) for (long i = 0; i < v_row; i++) v[(b * S + s) * v_row + i] = NAN;
  double *O = calloc(nO, sizeof *O), *L = calloc(nL, sizeof *L), *DQ = malloc(nQ * sizeof *DQ), *DK = malloc(nK * sizeof *DK), *DV = malloc(nV * sizeof *DV), *p = malloc(S * sizeof *p);
  for (long i = 0; i < nQ; i++) DQ[i] = dq[i];
  for (long i = 0; i < nK; i++) DK[i] = dk[i];
  for (long i = 0; i < nV; i++) DV[i] = dv[i];
  float scale = 1 / sqrtf(D);
  for (long b = 0; b < B; b++) for (long t = 0; t < T; t++) {
    for (long i = 0; i < H * D; i++) DQ[(b * T + t) * q_row + i] = 0;
    if (backward) for (long i = 0; i < G * D; i++) DK[(b * T + t) * k_row + i] = DV[(b * T + t) * v_row + i] = 0;
  }
  for (long b = 0; b < B; b++) for (long h = 0; h < H; h++) for (long t = 0; t < T; t++) {
    long g = h / (H / G), seen = position + t + 1;
    double l = 0, m = -1e300, delta = 0;
    for (long s = 0; s < seen; s++) {
      p[s] = 0;
      for (long d = 0; d < D; d++) p[s] += operand(half, q[(b * T + t) * q_row + h * D + d]) * operand(half, k[(b * S + s) * k_row + g * D + d]);
      p[s] *= scale;
      if (p[s] > m) m = p[s];
    }
    for (long s = 0; s < seen; s++) l += p[s] = exp(p[s] - m);
    L[(b * H + h) * T + t] = m + log(l);
    double *out = O + ((b * T + t) * H + h) * D;
    for (long s = 0; s < seen; s++) for (long d = 0; d < D; d++) out[d] += p[s] / l * operand(half, v[(b * S + s) * v_row + g * D + d]);
    if (!backward) continue;
    const float *dout = d_o + ((b * T + t) * H + h) * D;
    for (long d = 0; d < D; d++) delta += dout[d] * out[d];
    for (long s = 0; s < seen; s++) {
      double dp = 0;
      for (long d = 0; d < D; d++) dp += operand(half, dout[d]) * operand(half, v[(b * S + s) * v_row + g * D + d]);
      double ds = operand(half, p[s] / l * (dp - delta) * scale);
      for (long d = 0; d < D; d++) {
        DV[(b * S + s) * v_row + g * D + d] += operand(half, p[s] / l) * operand(half, dout[d]);
        DK[(b * S + s) * k_row + g * D + d] += ds * operand(half, q[(b * T + t) * q_row + h * D + d]);
        DQ[(b * T + t) * q_row + h * D + d] += ds * operand(half, k[(b * S + s) * k_row + g * D + d]);
      }
    }
  }
  for (long i = 0; i < nO; i++) o[i] = NAN;
  long nS = qn_attention_scratch(0, B, T, S, G, D);
  float *scratch = fresh(nS);
  for (long i = 0; i < nS; i++) scratch[i] = NAN;
  qn_attention(half, 0, B, T, S, H, G, D, q, q_row, k, k_row, v, v_row, o, lse, scale, EVERY(position), EVERY(S), B, 0, 0, 0, scratch);
  release(scratch, nS, "attention scratch");
  compare("attention o", shape, nO, o, O, half ? 4e-3 : 2e-6); // weights are rounded before normalization
  compare("attention lse", shape, nL, lse, L, 2e-6);
  if (backward) {
    nS = qn_attention_backward_scratch(T, D);
    scratch = fresh(nS);
    for (long i = 0; i < nS; i++) scratch[i] = NAN;
    qn_attention_backward(half, B, T, H, G, D, q, q_row, k, k_row, v, v_row, o, lse, d_o, dq, q_row, dk, k_row, dv, v_row, scale, EVERY(T), 0, 0, scratch);
    release(scratch, nS, "attention backward scratch");
    compare("attention dq", shape, nQ, dq, DQ, half ? 4e-3 : 5e-6);
    compare("attention dk", shape, nK, dk, DK, half ? 4e-3 : 5e-6);
    compare("attention dv", shape, nV, dv, DV, half ? 4e-3 : 5e-6);
  }
  free(O); free(L); free(DQ); free(DK); free(DV); free(p);
  release(q, nQ, "q"); release(k, nK, "k"); release(v, nV, "v"); release(o, nO, "o"); release(lse, nL, "lse"); release(d_o, nO, "d_o");
  release(dq, nQ, "dq"); release(dk, nK, "dk"); release(dv, nV, "dv");
}

static void check_cross_entropy(long N, long C, long V, float sharp) {
  char shape[128];
  int accumulate = between(0, 1), half = between(0, 1), statistics = between(0, 1), by_entropy = statistics && between(0, 1);
  snprintf(shape, sizeof shape, "N %ld C %ld V %ld accumulate %d bf16 %d statistics %d by_entropy %d", N, C, V, accumulate, half, statistics, by_entropy);
  float *d_entropy = random_floats(N, 1), *entropy = random_floats(N, 1), *is_greedy = random_floats(N, 1), *log_squares = random_floats(N, 1);
  double *H = calloc(N, sizeof *H), *Q = calloc(N, sizeof *Q);
  float *x = random_floats(N * C, sharp), *w = random_floats(V * C, 1), *d_loss = random_floats(N, 1), *loss = random_floats(N, 1), *dx = random_floats(N * C, 1), *dw = random_floats(V * C, 1);
  int *targets = malloc(N * sizeof *targets);
  for (long n = 0; n < N; n++) targets[n] = between(0, 5) ? between(0, V - 1) : -100;
  double *L = malloc(N * sizeof *L), *DX = calloc(N * C, sizeof *DX), *DW = calloc(V * C, sizeof *DW), *z = malloc(V * sizeof *z);
  if (accumulate) for (long i = 0; i < V * C; i++) DW[i] = dw[i];
  long R = qn_cross_entropy_rows(N, V);
  double *reference = calloc(N, sizeof *reference);
  for (int round = 0; round < 2; round++) for (long n0 = 0, retry = 0; n0 < N; n0 += R, retry = 0) { // references, chosen as in the template
    for (long n = n0; n < N && n < n0 + R; n++) {
      double m = -1e300, l = 0;
      if (round == 0) for (long c = 0; c < C; c++) reference[n] += (double)x[n * C + c] * w[(targets[n] < 0 ? 0 : targets[n]) * C + c];
      for (long v = 0; v < V; v++) { z[v] = 0; for (long c = 0; c < C; c++) z[v] += operand(half, x[n * C + c]) * operand(half, w[v * C + c]); if (z[v] > m) m = z[v]; }
      for (long v = 0; v < V; v++) l += exp(z[v] - reference[n]);
      if (round == 0) L[n] = m;
      if (!(l < QN_SUM_LIMIT && l > 1 / QN_SUM_LIMIT)) retry = 1;
    }
    if (retry) for (long n = n0; n < N && n < n0 + R; n++) reference[n] = L[n];
  }
  for (long n = 0; n < N; n++) {
    double l = 0;
    for (long v = 0; v < V; v++) { z[v] = 0; for (long c = 0; c < C; c++) z[v] += operand(half, x[n * C + c]) * operand(half, w[v * C + c]); }
    for (long v = 0; v < V; v++) l += exp(z[v] - reference[n]);
    L[n] = targets[n] < 0 ? 0 : reference[n] + log(l) - z[targets[n]];
    if (targets[n] >= 0) for (long v = 0; v < V; v++) {
      double p = exp(z[v] - reference[n]) / l;
      H[n] -= p > 0 ? p * log(p) : 0;
      Q[n] += p * p;
    }
    Q[n] = targets[n] >= 0 ? log(Q[n]) : 0;
    if (targets[n] >= 0 && by_entropy) for (long v = 0; v < V; v++) { // the target's row is subtracted unrounded
      double p = exp(z[v] - reference[n]) / l, hit = (v == targets[n]) * d_loss[n], g = operand(half, p * (d_loss[n] - d_entropy[n] * ((p > 0 ? log(p) : 0) + H[n])));
      for (long c = 0; c < C; c++) {
        DX[n * C + c] += g * operand(half, w[v * C + c]) - hit * w[v * C + c];
        DW[v * C + c] += g * operand(half, x[n * C + c]) - hit * x[n * C + c];
      }
    } else if (targets[n] >= 0) for (long v = 0; v < V; v++) {
      double e = operand(half, exp(z[v] - reference[n])), factor = d_loss[n] / l, hit = (v == targets[n]) * d_loss[n]; // the target's row is subtracted unrounded
      for (long c = 0; c < C; c++) {
        DX[n * C + c] += factor * e * operand(half, w[v * C + c]) - hit * w[v * C + c];
        DW[v * C + c] += e * operand(half, factor * x[n * C + c]) - hit * x[n * C + c];
      }
    }
  }
  free(reference);
  long nS = qn_linear_cross_entropy_scratch(half, statistics, 2, N, C, V);
  float *S = fresh(nS);
  long nF = qn_linear_cross_entropy_scratch(half, statistics, 0, N, C, V), nX = qn_linear_cross_entropy_scratch(half, statistics, 1, N, C, V);
  float *F = fresh(nF), *X = fresh(nX);
  for (long i = 0; i < nF; i++) F[i] = NAN;
  qn_linear_cross_entropy(half, N, C, V, x, w, targets, loss, statistics ? entropy : 0, statistics ? is_greedy : 0, statistics ? log_squares : 0, F);
  if (statistics) {
    compare("cross entropy entropy", shape, N, entropy, H, 5e-5);
    compare("cross entropy log squares", shape, N, log_squares, Q, 5e-5);
  }
  compare("cross entropy loss", shape, N, loss, L, 2e-6);
  for (long i = 0; i < nS; i++) S[i] = NAN;
  for (long n = 0; n < N; n++) loss[n] = NAN;
  qn_linear_cross_entropy_gradient(half, N, C, V, x, w, targets, d_loss, by_entropy ? d_entropy : 0, loss, dx, dw, accumulate, statistics ? entropy : 0, statistics ? is_greedy : 0, statistics ? log_squares : 0, S);
  compare("cross entropy gradient loss", shape, N, loss, L, 2e-6);
  compare("cross entropy dx", shape, N * C, dx, DX, half ? by_entropy ? 2e-3 : 5e-4 : by_entropy ? 1e-5 : 3e-6);
  for (long i = 0; i < nX; i++) X[i] = NAN;
  for (long n = 0; n < N * C; n++) dx[n] = NAN;
  qn_linear_cross_entropy_gradient(half, N, C, V, x, w, targets, d_loss, by_entropy ? d_entropy : 0, loss, dx, 0, 0, statistics ? entropy : 0, statistics ? is_greedy : 0, statistics ? log_squares : 0, X);
  compare("cross entropy dx of frozen w", shape, N * C, dx, DX, half ? by_entropy ? 2e-3 : 5e-4 : by_entropy ? 1e-5 : 3e-6);
  compare("cross entropy dw", shape, V * C, dw, DW, half ? by_entropy ? 2e-3 : 5e-4 : by_entropy ? 1e-5 : 3e-6);
  free(H); free(Q); release(d_entropy, N, "d_entropy"); release(entropy, N, "entropy"); release(is_greedy, N, "is_greedy"); release(log_squares, N, "log_squares");
  free(targets); free(L); free(DX); free(DW); free(z);
  release(x, N * C, "x"); release(w, V * C, "w"); release(d_loss, N, "d_loss"); release(loss, N, "loss"); release(dx, N * C, "dx"); release(dw, V * C, "dw"); release(S, nS, "cross entropy scratch"); release(F, nF, "cross entropy forward scratch"); release(X, nX, "cross entropy dx scratch");
}

static void check_embedding(long N, long C, long V) {
  char shape[128];
  int accumulate = between(0, 1);
  snprintf(shape, sizeof shape, "N %ld C %ld V %ld accumulate %d", N, C, V, accumulate);
  float *table = random_floats(V * C, 1), *out = random_floats(N * C, 1), *d_table = random_floats(V * C, 1), *S = fresh(1);
  int *ids = malloc(N * sizeof *ids);
  for (long n = 0; n < N; n++) ids[n] = between(0, 9) ? between(0, V - 1) : between(0, 1) ? -7 : V + 3;
  double *O = calloc(N * C, sizeof *O), *D = calloc(V * C, sizeof *D);
  if (accumulate) for (long i = 0; i < V * C; i++) D[i] = d_table[i];
  for (long n = 0; n < N; n++) for (long c = 0; c < C && ids[n] >= 0 && ids[n] < V; c++) O[n * C + c] = table[ids[n] * C + c];
  qn_embedding(N, C, V, table, ids, out);
  compare("embedding", shape, N * C, out, O, 0);
  for (long n = 0; n < N; n++) for (long c = 0; c < C && ids[n] >= 0 && ids[n] < V; c++) D[ids[n] * C + c] += out[n * C + c];
  qn_embedding_gradient(N, C, V, ids, out, d_table, accumulate, S);
  compare("embedding gradient", shape, V * C, d_table, D, 1e-6);
  free(ids); free(O); free(D);
  release(table, V * C, "table"); release(out, N * C, "out"); release(d_table, V * C, "d_table"); release(S, 1, "embedding scratch");
}

static void check_rope(long rows, long H, long D, long T, long position) {
  char shape[128];
  int inverse = between(0, 1), in_place = between(0, 1);
  snprintf(shape, sizeof shape, "rows %ld H %ld D %ld T %ld position %ld inverse %d in place %d", rows, H, D, T, position, inverse, in_place);
  long x_row = H * D + between(0, 5), y_row = in_place ? x_row : H * D + between(0, 5), D2 = D / 2, P = position + T;
  float *x = random_floats(rows * x_row, 1), *y = in_place ? x : random_floats(rows * y_row, 1), *cs = random_floats(P * D2, 1), *sn = random_floats(P * D2, 1);
  double *Y = malloc(rows * y_row * sizeof *Y);
  for (long i = 0; i < rows * y_row; i++) Y[i] = y[i];
  for (long r = 0; r < rows; r++) for (long h = 0; h < H; h++) for (long d = 0; d < D2; d++) {
    double a = x[r * x_row + h * D + d], b = x[r * x_row + h * D + D2 + d], c = cs[(position + r % T) * D2 + d], s = sn[(position + r % T) * D2 + d] * (inverse ? -1 : 1);
    Y[r * y_row + h * D + d] = a * c - b * s;
    Y[r * y_row + h * D + D2 + d] = b * c + a * s;
  }
  qn_rope(rows, H, D, x, x_row, y, y_row, cs, sn, P, T, EVERY(position), inverse, 0);
  compare("rope", shape, rows * y_row, y, Y, 1e-6);
  free(Y);
  release(x, rows * x_row, "rope x"); if (!in_place) release(y, rows * y_row, "rope y");
  release(cs, P * D2, "cos"); release(sn, P * D2, "sin");
}

int main(int argc, char **argv) {
  int threads = argc > 1 ? atoi(argv[1]) : 2, rounds = argc > 3 ? atoi(argv[3]) : 150;
  state = argc > 2 ? strtoull(argv[2], 0, 10) * 2 + 1 : 1;
  for (int i = 0; i < 20; i++) draw();
  void *pool = qn_pool_open(threads);
  if (!pool) { printf("cannot start threads\n"); return 1; }
  qn_threads = threads;
  qn_pool_begin(pool);
  static const long edges[] = {1, 2, 3, 5, 6, 7, 8, 12, 13, 14, 15, 16, 17, 28, 31, 32, 33, 63, 64, 65, 96, 127, 128, 129};
#define EDGE edges[draw() % (sizeof edges / sizeof *edges)]
  for (int r = 0; r < rounds; r++) {
    check_gemm(EDGE, EDGE, EDGE);
    check_linear(between(0, 1) ? 1 : between(2, 120), between(1, 300), between(1, 300));
    check_gemm(between(1, 300), between(1, 300), between(1, 300));
    check_gemm(between(1, 4), between(1, 600), between(1, 600));
    if (r % 15 == 0) check_gemm(between(1, 300), between(900, 2500), between(1, 100));
    if (r % 15 == 1) check_gemm(between(1, 200), between(1, 100), between(900, 2500));
    if (r % 15 == 2) check_gemm(between(900, 2500), between(1, 100), between(1, 200));
  }
  static const long widths[] = {2, 8, 16, 24, 32, 40, 48, 64, 80, 128};
  for (int r = 0; r < rounds / 2; r++) {
    long G = between(1, 3), H = G * between(1, 3), D = widths[draw() % 10], T = between(0, 1) ? between(1, 40) : between(1, 300);
    check_attention(between(1, 2), T, T, H, G, D, 0, 1, between(0, 1) ? 1 : 5);
    T = between(0, 1) ? 1 : between(1, 70);
    long position = between(0, 300);
    check_attention(between(1, 2), T, position + T + between(0, 40), H, G, D, position, 0, between(0, 1) ? 1 : 5);
  }
  for (int r = 0; r < rounds / 5; r++) {
    check_cross_entropy(between(1, 200), between(1, 70), between(2, 700), between(0, 1) ? 0.3f : 5);
    check_embedding(between(1, 300), between(1, 200), between(1, 100));
    long T = between(1, 40);
    check_rope(T * between(1, 3), between(1, 4), 2 * between(1, 40), T, between(0, 20));
  }
  check_cross_entropy(150, 24, 70000, 1);
  check_cross_entropy(1500, 8, 300, 1);
  qn_pool_end();
  qn_pool_close(pool);
  printf(failures ? "%d failures\n" : "ok\n", failures);
  return failures > 0;
}
