// Checks the tile product of templates/tiles.h bit by bit on random bits, with denormals, infinities and NaN. Compares the portable
// version with the definition, written with libm's fmaf, and on a machine with AMX the instructions with both. Prints "ok".
//   gcc -O2 -march=native -DQN_VL=16 bench/kernels/tiles.c -lm -o /tmp/tiles && /tmp/tiles [rounds]
#define QN_TILES 1
#include "row.h" // first: it sets the feature macros of the system headers
#include "../../src/backends/cpu/templates/tiles.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if QN_TILE_HARDWARE
#include <sys/syscall.h>
#include <unistd.h>
#endif
#define STEPS 4
#define WORDS (QN_TILE_DEEP * STEPS)

static unsigned long long state = 88172645463325252ull;
static unsigned draw(void) { state ^= state << 13; state ^= state >> 7; state ^= state << 17; return (unsigned)(state >> 16); }
static float float_of(unsigned bits) { float x; memcpy(&x, &bits, 4); return x; }
static unsigned bits_of(float x) { unsigned bits; memcpy(&bits, &x, 4); return bits; }
static float flushed(float x) { return fabsf(x) < 0x1p-126f ? copysignf(0, x) : x; }

// Rounds once; a result below the smallest normal number before rounding becomes 0.
static float fused(float a, float b, float c) {
  float x = fmaf(a, b, c);
  return fabs((double)a * b + c) < 0x1p-126 ? copysignf(0, x) : flushed(x);
}
static float definition(int steps, const unsigned *a, const unsigned *b, float c) {
  c = flushed(c);
  for (int step = 0; step < steps; step++) {
    float even = 0, odd = 0;
    for (int k = step * QN_TILE_DEEP; k < (step + 1) * QN_TILE_DEEP; k++) {
      even = fused(flushed(float_of(a[k] << 16)), flushed(float_of(b[k * QN_SIDE] << 16)), even);
      odd = fused(flushed(float_of(a[k] & 0xffff0000)), flushed(float_of(b[k * QN_SIDE] & 0xffff0000)), odd);
    }
    c = flushed(c + flushed(even + odd));
  }
  return c;
}

// Pairs of bf16 with `range` exponents from `low` on, or with all bits random if range is 0.
static unsigned pair(unsigned low, unsigned range) {
  static const unsigned special[] = {0, 0x80000000, 0x00010001, 0x807f0080, 0x7f80ff80, 0x7fc07f81, 0xff7f7f7f, 0x00800080};
  if (draw() % 512 == 0) return special[draw() % 8];
  unsigned bits = draw();
  return range == 0 ? bits : (bits & 0x807f807f) | (low + draw() % range) << 23 | (low + draw() % range) << 7;
}
static int failures = 0;
static void compare(const char *what, int round, const float *got, const float *want) {
  for (int i = 0; i < QN_SIDE * QN_SIDE; i++)
    if (bits_of(got[i]) != bits_of(want[i]) && !(isnan(got[i]) && isnan(want[i])) && failures++ < 10) printf("FAIL %s, round %d, %d: %08x, not %08x\n", what, round, i, bits_of(got[i]), bits_of(want[i]));
}
int main(int count, char **arguments) {
  static unsigned a[QN_SIDE * WORDS] __attribute__((aligned(64))), b[WORDS * QN_SIDE] __attribute__((aligned(64)));
  static float C[QN_SIDE * QN_SIDE] __attribute__((aligned(64))), want[QN_SIDE * QN_SIDE], twin[QN_SIDE * QN_SIDE];
  // Exponents of A and of B: all; sums that round; products around the smallest normal number; denormal factors; overflow.
  static const unsigned kinds[][4] = {{0, 0, 0, 0}, {126, 4, 126, 2}, {60, 7, 60, 7}, {0, 40, 87, 40}, {190, 4, 188, 4}};
#if QN_TILE_HARDWARE
  if (syscall(SYS_arch_prctl, 0x1023, 18)) return puts("the system refuses the tiles"), 1;
  qn_tiles_configure();
#endif
  for (int round = 0, rounds = count > 1 ? atoi(arguments[1]) : 40; round < rounds; round++) {
    const unsigned *kind = kinds[round % 5];
    int steps = 1 + round % STEPS, add = round / 5 % 2;
    for (int i = 0; i < QN_SIDE * WORDS; i++) a[i] = pair(kind[0], kind[1]), b[i] = pair(kind[2], kind[3]);
    for (int i = 0; i < QN_SIDE * QN_SIDE; i++) {
      unsigned c = kind[1] == 0 ? draw() : (draw() & 0x807fffff) | (kind[0] + kind[2] - 127 + draw() % 8) % 256 << 23;
      C[i] = twin[i] = float_of(c);
      want[i] = definition(steps, a + i / QN_SIDE * WORDS, b + i % QN_SIDE, add ? float_of(c) : 0);
    }
    qn_tiles_multiply_twin(steps, (float *)a, WORDS, (float *)b, QN_SIDE, twin, QN_SIDE, add);
    compare("twin", round, twin, want);
#if QN_TILE_HARDWARE
    qn_fetch none = {0};
    qn_tiles_multiply(steps, (float *)a, WORDS, (float *)b, QN_SIDE, C, QN_SIDE, add, &none);
    compare("instructions", round, C, want);
#endif
  }
  printf(failures ? "%d failures\n" : "ok\n", failures);
  return failures > 0;
}
