// Measures each kernel's share of this machine's peak. Kernels alternate with the peak, because clock speed and other load change
// from second to second: rounds of [peak, kernel, peak, kernel, ...], medians of the ratios.
//   gcc -O3 -march=native -DQN_VL=16 bench/kernels/speed.c -lpthread -o /tmp/speed && /tmp/speed [threads] [rounds] [name]
//   AVX2 on a machine with AVX-512: -mavx2 -mfma -DQN_VL=8; portable: only -DQN_VL=4; bf16 products: -DBF16=1
// The last line is JSON. Work counts only necessary multiply-adds (attention: the causal half).
#include "templates.h" // first: it sets the feature macros of the system headers
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#endif
#include <time.h>
#ifndef BF16
#define BF16 0
#endif

// Seconds. With -DCPU_TIME: CPU time divided by the number of threads, for machines with other load.
#ifdef CPU_TIME
static double now(void) { struct timespec t; clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); return (t.tv_sec + t.tv_nsec * 1e-9) / qn_threads; }
#else
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec * 1e-9; }
#endif
static float *block(long floats) {
  long bytes = (floats * 4 + (1L << 21) - 1) >> 21 << 21;
  float *p = aligned_alloc(1 << 21, bytes);
#ifdef __linux__
  madvise(p, bytes, MADV_HUGEPAGE); // as in the runtime's arena
#endif
  for (long i = 0; i < floats; i++) p[i] = (i * 7919 % 2001 - 1000) * 1e-4f; // small values: cross-entropy takes longer with huge logits
  return p;
}

#if QN_VL == 16
#define CHAINS 28
#else
#define CHAINS 12
#endif
static float sink;
static void peak_task(void *context, long task, long worker) {
  vf c[CHAINS], a = qn_splat(*(float *)context), b = qn_splat(*(float *)context * 1e-3f);
  (void)task; (void)worker;
  QN_UNROLL for (int i = 0; i < CHAINS; i++) c[i] = qn_splat((float)i);
  for (long s = 0; s < 40000; s++) QN_UNROLL for (int i = 0; i < CHAINS; i++) c[i] = BF16 && QN_PAIRS ? qn_bf16_dot(c[i], a, b) : c[i] * a + b;
  QN_UNROLL for (int i = 0; i < CHAINS; i++) sink += c[i][0];
}
static double peak(void) {
  static float x = 0.999f;
  double t = now();
  qn_parallel(qn_threads, peak_task, &x);
  return 2.0 * (BF16 ? QN_PACK : 1) * 40000 * CHAINS * QN_VL * qn_threads / (now() - t);
}

static float *X, *W, *Y, *S;
static int *ids;
typedef struct { const char *name; void (*f)(const long *); double flops; long d[8]; } row;
static void nt(const long *d) { qn_gemm(BF16, d[0], d[1], d[2], X, d[2], 1, W, 1, d[2], Y, d[1], 0, S, 0, 0); }
static void nn(const long *d) { qn_gemm(BF16, d[0], d[1], d[2], X, d[2], 1, W, d[1], 1, Y, d[1], 0, S, 0, 0); }
static void tn(const long *d) { qn_gemm(BF16, d[0], d[1], d[2], X, 1, d[0], W, d[1], 1, Y, d[1], 1, S, 0, 0); }
// d: B T H G D
#define EVERY(x) ((qn_row_index){(const int[]){(int)(x)}, 0})
static void attention(const long *d) { long q = d[2] * d[4], k = d[3] * d[4]; qn_attention(BF16, 0, d[0], d[1], d[1], d[2], d[3], d[4], X, q, W, k, W + d[0] * d[1] * k, k, Y, Y + d[0] * d[1] * q, 0.1f, EVERY(0), EVERY(d[1]), d[0], 0, 0, 0, S); }
static void attention_backward(const long *d) {
  long q = d[2] * d[4], k = d[3] * d[4], n = d[0] * d[1];
  qn_attention_backward(BF16, d[0], d[1], d[2], d[3], d[4], X, q, W, k, W + n * k, k, Y, Y + n * q, X + n * q, X + 2 * n * q, q, W + 2 * n * k, k, W + 3 * n * k, k, 0.1f, EVERY(d[1]), 0, 0, S);
}
static void cross_entropy(const long *d) { qn_linear_cross_entropy(BF16, d[0], d[1], d[2], X, W, ids, Y, 0, 0, 0, S); }
static void cross_entropy_gradient(const long *d) { qn_linear_cross_entropy_gradient(BF16, d[0], d[1], d[2], X, W, ids, X + d[0] * d[1], 0, Y, X + 2 * d[0] * d[1], Y + d[0], 0, 0, 0, 0, S); }
static void embedding_gradient(const long *d) { qn_embedding_gradient(d[0], d[1], d[2], ids, X, Y, 0, S); }
static void rope(const long *d) { qn_rope(d[0], d[1], d[2], X, d[1] * d[2], Y, d[1] * d[2], W, W + d[3] * d[2], d[3], d[3], EVERY(0), 0, 0); }

#define GEMM(f, m, n, k) {#f " " #m " " #n " " #k, f, 2.0 * m * n * k, {m, n, k}}
#define ATTENTION(b, t, h, g, w) {"attention " #b " " #t " " #h " " #g " " #w, attention, 2.0 * b * h * t * t * w, {b, t, h, g, w}}, \
                                 {"attention_backward " #b " " #t " " #h " " #g " " #w, attention_backward, 5.0 * b * h * t * t * w, {b, t, h, g, w}}
static const row rows[] = {
  GEMM(nt, 1024, 3072, 768), GEMM(nt, 1024, 768, 3072), GEMM(nn, 1024, 768, 3072), GEMM(tn, 3072, 768, 1024), GEMM(nt, 1024, 8192, 768),
  GEMM(nt, 4096, 192, 192), GEMM(nt, 4096, 512, 192), GEMM(nt, 4096, 192, 512), GEMM(nt, 4096, 8192, 192),
  GEMM(nn, 4096, 192, 512), GEMM(nn, 4096, 512, 192), GEMM(tn, 512, 192, 4096), GEMM(tn, 192, 512, 4096), GEMM(tn, 192, 192, 4096),
  GEMM(nt, 64, 768, 768), GEMM(nt, 16, 768, 768), GEMM(nt, 1, 8192, 4096), GEMM(nt, 4, 8192, 4096),
  ATTENTION(16, 256, 6, 6, 32), ATTENTION(16, 256, 6, 2, 32), ATTENTION(4, 256, 12, 12, 64), ATTENTION(1, 1024, 12, 12, 64), ATTENTION(1, 1024, 8, 4, 128),
  {"cross_entropy 4096 192 8192", cross_entropy, 2.0 * 4096 * 192 * 8192, {4096, 192, 8192}},
  {"cross_entropy_gradient 4096 192 8192", cross_entropy_gradient, 6.0 * 4096 * 192 * 8192, {4096, 192, 8192}},
  {"cross_entropy_gradient 1024 768 50304", cross_entropy_gradient, 6.0 * 1024 * 768 * 50304, {1024, 768, 50304}},
  {"embedding_gradient 4096 192 8192", embedding_gradient, 0, {4096, 192, 8192}},
  {"rope 4096 6 32 256", rope, 0, {4096, 6, 32, 256}},
};
#define COUNT (int)(sizeof rows / sizeof *rows)

static int ascending(const void *a, const void *b) { double x = *(const double *)a, y = *(const double *)b; return x < y ? -1 : x > y; }
int main(int argc, char **argv) {
  int threads = argc > 1 ? atoi(argv[1]) : 2, rounds = argc > 2 ? atoi(argv[2]) : 9;
  const char *only = argc > 3 ? argv[3] : "";
  X = block(48 << 20); W = block(48 << 20); Y = block(48 << 20); S = block(64 << 20);
  ids = malloc(4096 * sizeof *ids);
  for (int i = 0; i < 4096; i++) ids[i] = i * 7919L % 8192;
  void *pool = qn_pool_open(threads);
  if (!pool) return 1;
  qn_threads = threads;
  qn_pool_begin(pool);
  double *share = malloc(COUNT * rounds * sizeof *share), *ms = malloc(COUNT * rounds * sizeof *ms), *peaks = malloc(rounds * sizeof *peaks);
  for (int r = 0; r < rounds; r++) {
    peaks[r] = peak();
    for (int i = 0; i < COUNT; i++) {
      if (!strstr(rows[i].name, only)) continue;
      if (!r) rows[i].f(rows[i].d);
      long repeats = rows[i].flops > 3e8 ? 1 : rows[i].flops ? 1 + 3e8 / rows[i].flops : 4;
      double before = peak(), t = now();
      for (long q = 0; q < repeats; q++) rows[i].f(rows[i].d);
      t = (now() - t) / repeats;
      double after = peak(), p = before > after ? before : after;
      share[i * rounds + r] = rows[i].flops / t / p;
      ms[i * rounds + r] = t * 1e3;
    }
  }
  qn_pool_end();
  qsort(peaks, rounds, sizeof *peaks, ascending);
  printf("%s, QN_VL %d, QN_MR %d, QN_NV %d, %d threads, peak %.0f GFLOP/s (median)\n", BF16 ? "bf16" : "fp32", QN_VL, QN_MR, QN_NV, qn_threads, peaks[rounds / 2] / 1e9);
  char json[8192];
  int at = sprintf(json, "{\"lanes\": %d, \"threads\": %d, \"peak\": %.1f", QN_VL, qn_threads, peaks[rounds / 2] / 1e9);
  for (int i = 0; i < COUNT; i++) {
    if (!strstr(rows[i].name, only)) continue;
    qsort(share + i * rounds, rounds, sizeof *share, ascending);
    qsort(ms + i * rounds, rounds, sizeof *ms, ascending);
    printf("%-42s %9.3f ms  %5.1f %% of peak (quartiles %.1f, %.1f)\n", rows[i].name, ms[i * rounds + rounds / 2], 100 * share[i * rounds + rounds / 2], 100 * share[i * rounds + rounds / 4], 100 * share[i * rounds + rounds * 3 / 4]);
    at += sprintf(json + at, ", \"%s\": %.3f", rows[i].name, rows[i].flops ? share[i * rounds + rounds / 2] : ms[i * rounds + rounds / 2]);
  }
  printf("%s}\n", json);
  qn_pool_close(pool);
}
