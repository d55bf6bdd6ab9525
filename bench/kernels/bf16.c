// Compares the operations of templates/bf16.h bit by bit with definitions of bf16 and the product instruction in double. Covers
// all exponents, ties, denormals, infinities and NaN. It must print "ok" both with the machine's instructions and with
// -DQN_PLAIN, so on x86 the portable versions have the same bits as the instructions. Arm's product has its own definition. Two
// edge cases may differ: a product that overflows or is denormal (only a fused sum keeps it), and a sum that only rounding
// lifts to the smallest normal number (the instruction returns 0).
//   gcc -O2 -march=native -DQN_VL=16 bench/kernels/bf16.c -lm -lpthread -o /tmp/bf16 && /tmp/bf16
#include "row.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static unsigned long long state = 88172645463325252ull;
static unsigned draw(void) { state ^= state << 13; state ^= state >> 7; state ^= state << 17; return (unsigned)(state >> 16); }
static float float_of(unsigned bits) { float x; memcpy(&x, &bits, 4); return x; }
static unsigned bits_of(float x) { unsigned bits; memcpy(&bits, &x, 4); return bits; }
static float flushed(float x) { return fabsf(x) < 0x1p-126f ? copysignf(0, x) : x; }

// x rounded to bf16, as 16 bits.
static unsigned bf16(float x) {
  unsigned bits = bits_of(flushed(x));
  if (isnan(x)) return bits >> 16 | 0x40;
  if (isinf(x) || x == 0 || fabsf(x) < 0x1p-126f) return bits >> 16;
  int e;
  frexp(x, &e);
  return bits_of((float)ldexp(rint(ldexp(x, 8 - e)), e - 8)) >> 16; // float overflows to infinity at the same values as bf16
}
static float half_of(unsigned word, int high) { return flushed(float_of(high ? word & 0xffff0000 : word << 16)); }
// Whether the product is one of the edge cases that may differ.
static int edge(float x, float y) { return isfinite(x) && isfinite(y) && (fabs((double)x * y) > 0x1.fffffep127 || (x * y != 0 && fabs((double)x * y) < 0x1p-126)); }
#if !defined(QN_PLAIN) && defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
// x + y rounded to odd: truncated, with the last bit set if anything was lost. First in double, by the same method.
static float odd_sum(double x, double y) {
  double sum = x + y, back = sum - x, lost = (x - (sum - back)) + (y - back);
  unsigned long long bits;
  memcpy(&bits, &sum, 8);
  if (isfinite(sum) && lost != 0 && bits % 2 == 0) sum = nextafter(sum, lost > 0 ? INFINITY : -INFINITY);
  if (!isfinite(sum) || fabs(sum) >= 0x1p128) return isnan(sum) ? NAN : copysignf(INFINITY, (float)sum);
  float cut = (float)sum;
  if (fabs(cut) > fabs(sum)) cut = nextafterf(cut, 0);
  return flushed(cut == sum ? cut : float_of(bits_of(cut) | 1));
}
// Arm's BFDOT: c + (upper halves + lower halves), both sums rounded to odd.
static float dot(float c, unsigned a, unsigned b, int *free_edge) {
  float xh = half_of(a, 1), yh = half_of(b, 1), xl = half_of(a, 0), yl = half_of(b, 0);
  *free_edge = edge(xh, yh) || edge(xl, yl);
  return odd_sum(flushed(c), odd_sum(flushed(xh * yh), flushed(xl * yl)));
}
#else
// c + upper halves + lower halves, each rounded once.
static float dot(float c, unsigned a, unsigned b, int *free_edge) {
  for (int half = 1; half >= 0; half--) {
    float x = half_of(a, half), y = half_of(b, half);
    if (edge(x, y)) *free_edge = 1;
    c = flushed(fmaf(x, y, flushed(c)));
    if (fabsf(c) == 0x1p-126f) *free_edge = 1;
  }
  return c;
}
#endif
// Without fused sums, the sign of a zero product may differ.
static int same(float a, float b) { return bits_of(a) == bits_of(b) || (isnan(a) && isnan(b)) || (a == 0 && b == 0); }

static int failures = 0;
#define CHECK(what, right, got, want, x) if (!(right)) { if (failures++ < 10) printf("FAIL %s of %08x: %08x, not %08x\n", what, x, got, want); }
#define CHECK_PACKED(what, want) CHECK(what, bits_of(packed[i]) == (want), bits_of(packed[i]), want, bits_of(x[i]))
static unsigned special(void) {
  static const unsigned list[] = {0, 0x80000000, 1, 0x807fffff, 0x00800000, 0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001, 0x7f7fffff, 0x3f808000, 0x3f818000, 0x3f80ffff, 0xff7f8000, 0x7f7f7fff};
  return draw() % 16 == 0 ? list[draw() % (sizeof list / sizeof *list)] : draw() % 4 == 0 ? draw() & 0xffff8000 : draw();
}

int main(void) {
  for (int round = 0; round < 50000; round++) {
    float x[2 * QN_VL], packed[QN_VL];
    for (int i = 0; i < 2 * QN_VL; i++) x[i] = float_of(special());
    qn_store(packed, qn_bf16_round(qn_load(x)));
    for (int i = 0; i < QN_VL; i++) CHECK_PACKED("round", bf16(x[i]) << 16)
    qn_store(packed, qn_pack_bf16_across(qn_load(x), qn_load(x + QN_VL)));
    for (int i = 0; i < QN_VL; i++) CHECK_PACKED("across", bf16(x[QN_VL + i]) << 16 | bf16(x[i]))
    qn_store(packed, qn_pack_bf16_along(qn_load(x), qn_load(x + QN_VL)));
    for (int i = 0; i < QN_VL; i++) CHECK_PACKED("along", bf16(x[2 * i + 1]) << 16 | bf16(x[2 * i]))
    unsigned a[QN_VL], b[QN_VL];
    float c[QN_VL], got[QN_VL];
    for (int i = 0; i < QN_VL; i++) {
      a[i] = special(), b[i] = special(), c[i] = float_of(special());
      if (round % 2) { // of similar magnitude, so that sums round
        a[i] = (a[i] & 0x807f807f) | (0x3f003f00 + (draw() & 0x01800180)), b[i] = (b[i] & 0x807f807f) | 0x3f003f00;
        c[i] = float_of((bits_of(c[i]) & 0x807fffff) | (124 + draw() % 8) << 23);
      }
    }
    vf va, vb;
    memcpy(&va, a, sizeof va), memcpy(&vb, b, sizeof vb);
    qn_store(got, qn_bf16_dot(qn_load(c), va, vb));
    for (int i = 0; i < QN_VL; i++) {
      int free_edge = 0;
      float want = dot(c[i], a[i], b[i], &free_edge);
      if (!free_edge) CHECK("dot", same(got[i], want), bits_of(got[i]), bits_of(want), bits_of(c[i]))
    }
  }
  printf(failures ? "%d failures\n" : "ok\n", failures);
  return failures > 0;
}
