// Compares the functions of vector.h with libm in double, over floats of all magnitudes; prints the largest error in ulp.
//   gcc -O2 -march=native -DQN_VL=16 bench/kernels/vector.c -lm -o /tmp/vector && /tmp/vector     (also -DQN_PLAIN)
// Exits with 1 if an error exceeds its bound or an edge case (0, infinities, NaN, denormals, large arguments) is wrong.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define QN_THREADS 0
#include "templates.h"

static int failures = 0;
static float of_bits(unsigned b) { float x; memcpy(&x, &b, 4); return x; }
static double ulps(float got, double want) {
  if (isnan(want)) return isnan(got) ? 0 : 1e9;
  if (isinf(want) || fabs(want) > 3.4028235e38) return isinf(got) && (got > 0) == (want > 0) ? 0 : fabs(want) < 3.41e38 ? fabs(got - want) / 2.03e31 : 1e9;
  double unit = fabs(want) < 1.1754944e-38 ? 1.4012985e-45 : ldexp(1, ilogb(want) - 23);
  return fabs(got - want) / unit;
}
typedef vf (*function)(vf);
typedef double (*oracle)(double);
// flushed: results below the smallest normal number may be 0
static void check(const char *name, function f, oracle g, float low, float high, double bound, int flushed) {
  double worst = 0;
  float at = 0, batch[QN_VL], out[QN_VL];
  int n = 0;
  for (unsigned long long b = 0; b < 1ull << 32; b += 1009) {
    float x = of_bits((unsigned)b);
    if (!(x >= low && x <= high)) continue;
    batch[n++] = x;
    if (n < QN_VL) continue;
    n = 0;
    qn_store(out, f(qn_load(batch)));
    for (int i = 0; i < QN_VL; i++) {
      double want = g(batch[i]), e = ulps(out[i], want);
      if (flushed && fabs(want) < 1.2e-38 && out[i] == 0) continue;
      if (!(e <= worst)) worst = e, at = batch[i];
    }
  }
  if (!(worst <= bound)) failures++;
  printf("%-10s worst %.2f ulp at %g%s\n", name, worst, at, worst <= bound ? "" : "  FAIL");
}
static void edge(const char *name, function f, float x, float want) {
  float got = f(qn_splat(x))[0];
  if (!(got == want && signbit(got) == signbit(want)) && !(isnan(got) && isnan(want))) failures++, printf("%s(%g) is %g, not %g  FAIL\n", name, x, got, want);
}
// wrappers: the vector functions are inline
static vf f_exp(vf x) { return qn_exp(x); }
static vf f_log(vf x) { return qn_log(x); }
static vf f_tanh(vf x) { return qn_tanh(x); }
static vf f_sigmoid(vf x) { return qn_sigmoid(x); }
static vf f_sqrt(vf x) { return qn_sqrt(x); }
static vf f_rsqrt(vf x) { return qn_rsqrt(x); }
static vf f_weight(vf x) { return qn_exp_weight(x); }
static vf f_weight2(vf x) { return qn_exp2_weight(x); }
static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double rsqrt(double x) { return 1 / sqrt(x); }

int main(void) {
  check("exp", f_exp, exp, -INFINITY, INFINITY, 2, 1);
  check("log", f_log, log, 0, INFINITY, 2, 0);
  check("tanh", f_tanh, tanh, -INFINITY, INFINITY, 3, 0);
  check("sigmoid", f_sigmoid, sigmoid, -80, INFINITY, 3, 0);
  check("sqrt", f_sqrt, sqrt, 0, INFINITY, 1, 0);
  check("rsqrt", f_rsqrt, rsqrt, 1.2e-38f, INFINITY, 2, 0);
  check("exp_weight", f_weight, exp, -59.9f, 0, 2, 0);
  check("exp2_weight", f_weight2, exp2, -85.9f, 0, 3, 0);
  edge("exp", f_exp, -INFINITY, 0); edge("exp", f_exp, INFINITY, INFINITY); edge("exp", f_exp, NAN, NAN); edge("exp", f_exp, 0, 1); edge("exp", f_exp, -1000, 0); edge("exp", f_exp, 1e30f, INFINITY); edge("exp", f_exp, -1e30f, 0); edge("exp", f_exp, -0.0f, 1);
  edge("exp_weight", f_weight, -INFINITY, 0); edge("exp_weight", f_weight, 0, 1); edge("exp_weight", f_weight, INFINITY - INFINITY, NAN); edge("exp2_weight", f_weight2, -INFINITY, 0); edge("exp2_weight", f_weight2, 0, 1); edge("exp2_weight", f_weight2, INFINITY - INFINITY, NAN);
  edge("log", f_log, 0, -INFINITY); edge("log", f_log, -0.0f, -INFINITY); edge("log", f_log, -1, NAN); edge("log", f_log, INFINITY, INFINITY); edge("log", f_log, NAN, NAN); edge("log", f_log, 1, 0);
  edge("tanh", f_tanh, 0, 0); edge("tanh", f_tanh, -0.0f, -0.0f); edge("tanh", f_tanh, INFINITY, 1); edge("tanh", f_tanh, -INFINITY, -1); edge("tanh", f_tanh, NAN, NAN);
  edge("sigmoid", f_sigmoid, -INFINITY, 0); edge("sigmoid", f_sigmoid, INFINITY, 1); edge("sigmoid", f_sigmoid, 0, 0.5f); edge("sigmoid", f_sigmoid, NAN, NAN);
  edge("sqrt", f_sqrt, 0, 0); edge("sqrt", f_sqrt, INFINITY, INFINITY); edge("sqrt", f_sqrt, -1, NAN); edge("sqrt", f_sqrt, NAN, NAN); edge("rsqrt", f_rsqrt, 0, INFINITY);
  float x[QN_VL * QN_VL], t[QN_VL + 2];
  for (int i = 0; i < QN_VL * QN_VL; i++) x[i] = i;
  vf rows[QN_VL];
  for (int i = 0; i < QN_VL; i++) rows[i] = qn_load(x + i * QN_VL);
  qn_transpose(rows);
  for (int i = 0; i < QN_VL; i++) for (int j = 0; j < QN_VL; j++) if (rows[i][j] != x[j * QN_VL + i]) failures++, printf("transpose %d %d  FAIL\n", i, j);
  if (qn_sum(qn_load(x)) != QN_VL * (QN_VL - 1) / 2 || qn_maximum_lanes(qn_load(x)) != QN_VL - 1 || qn_maximum_lanes(-qn_load(x)) != 0) failures++, printf("sum or max  FAIL\n");
  for (long n = 0; n <= QN_VL + 1; n++) {
    for (int i = 0; i < QN_VL + 2; i++) t[i] = -5;
    qn_store_n(t, qn_load_n(x + 1, n) + 10.0f, n);
    vf part = qn_load_n(x + 1, n), far = qn_gather_n(x + 1, 2, n < QN_VL / 2 ? n : 0);
    for (int i = 0; i < QN_VL + 2; i++) if (t[i] != (i < n && i < QN_VL ? i + 11 : -5)) failures++, printf("store_n %ld %d  FAIL\n", n, i);
    for (int i = 0; i < QN_VL; i++) if (part[i] != (i < n ? i + 1 : 0) || far[i] != (i < n && n < QN_VL / 2 ? 1 + 2 * i : 0)) failures++, printf("load_n %ld %d  FAIL\n", n, i);
  }
  if (signbit(qn_splat(-0.0f)[0]) != 1 && signbit(qn_splat(-0.0f)[0]) != -2147483648) failures++, printf("splat -0  FAIL\n");
  printf(failures ? "%d failures\n" : "ok\n", failures);
  return failures > 0;
}
