// What a kernel needs to run on the CPU, included before its unchanged source. The runtime (runtime.cpp) runs the threads of a
// block one at a time, in random order between barriers. Every access to shared memory is checked: between two barriers, what
// one thread writes no other may read or write. Reading what nobody wrote is an error too.
#ifndef QN_EMULATOR_H
#define QN_EMULATOR_H
#define QN_EMULATED 1
#include <math.h>
#include <cmath>
#include <cstdint>
#include <cstring>

struct qn_uint3 { unsigned x, y, z; };
struct qn_thread { qn_uint3 threadIdx, blockIdx, blockDim, gridDim; };
// The functions of the runtime, given to a program after it is loaded.
struct qn_runtime {
  qn_thread **current;
  unsigned *block, *epoch; // number of the block since the process began, and of its barriers so far
  void (*barrier)();
  // Gives `bytes` of this lane to its warp, waits for all lanes, and returns those of all lanes, 64 bytes apart.
  const char *(*exchange)(int kind, const void *mine, int bytes);
  void (*fail)(const char *what, const char *name, long index);
  int (*number)(); // of the running thread in its block
};
static const qn_runtime *qn_rt;
extern "C" __attribute__((visibility("default"))) void qn_bind(const qn_runtime *runtime) { qn_rt = runtime; }

#define threadIdx ((*qn_rt->current)->threadIdx)
#define blockIdx ((*qn_rt->current)->blockIdx)
#define blockDim ((*qn_rt->current)->blockDim)
#define gridDim ((*qn_rt->current)->gridDim)
#define __global__ __attribute__((visibility("default")))
#define __device__
#define __forceinline__ inline __attribute__((unused))
#define __align__(bytes) alignas(bytes)
#define __launch_bounds__(...)
#define __restrict__
static inline void __syncthreads() { qn_rt->barrier(); }
static inline float __int_as_float(int bits) { float x; std::memcpy(&x, &bits, 4); return x; }
static inline int __float_as_int(float x) { int bits; std::memcpy(&bits, &x, 4); return bits; }
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }

// Shared memory: elements with the threads that read and wrote them since the last barrier.
template <class T> struct qn_cell {
  T value;
  unsigned block, written, read; // 0 is no block; epochs begin at 1
  int writer, reader;            // -1: several
};
template <class T> struct qn_reference {
  qn_cell<T> *cell;
  const char *name;
  long index;
  operator T() const {
    const int me = qn_rt->number();
    const unsigned epoch = *qn_rt->epoch;
    if (cell->block != *qn_rt->block) { qn_rt->fail("reads shared memory that nobody wrote", name, index); return T(); }
    if (cell->written == epoch && cell->writer != me) qn_rt->fail("reads shared memory that another thread wrote since the last barrier", name, index);
    if (cell->read != epoch) cell->read = epoch, cell->reader = me;
    else if (cell->reader != me) cell->reader = -1;
    return cell->value;
  }
  const qn_reference &operator=(T value) const {
    const int me = qn_rt->number();
    const unsigned epoch = *qn_rt->epoch;
    if (cell->block != *qn_rt->block) *cell = qn_cell<T>{T(), *qn_rt->block, 0, 0, 0, 0};
    if (cell->written == epoch && cell->writer != me) qn_rt->fail("writes shared memory that another thread wrote since the last barrier", name, index);
    if (cell->read == epoch && cell->reader != me) qn_rt->fail("writes shared memory that another thread read since the last barrier", name, index);
    cell->value = value, cell->written = epoch, cell->writer = me;
    return *this;
  }
  const qn_reference &operator=(const qn_reference &other) const { return *this = (T)other; }
  const qn_reference &operator+=(T x) const { return *this = (T)*this + x; }
};
template <class T> struct qn_shared {
  qn_cell<T> *cells;
  const char *name;
  long at, size;
  qn_reference<T> operator[](long i) const {
    if (at + i < 0 || at + i >= size) qn_rt->fail("is outside of shared memory", name, at + i);
    return {cells + (at + i < 0 || at + i >= size ? 0 : at + i), name, at + i};
  }
  qn_shared operator+(long i) const { return {cells, name, at + i, size}; }
};
#define QN_SHARED(T, name, count) \
  static qn_cell<T> name##_cells[count]; \
  const qn_shared<T> name{name##_cells, #name, 0, count}

// Operations of a warp.
enum { QN_SHUFFLE_XOR = 1, QN_SHUFFLE, QN_BALLOT, QN_MMA, QN_MMA_E4M3 };
static inline int qn_lane() { return qn_rt->number() % 32; }
template <class T> static inline T qn_exchanged(int kind, T mine, int lane) {
  T theirs;
  std::memcpy(&theirs, qn_rt->exchange(kind, &mine, sizeof mine) + 64 * lane, sizeof theirs);
  return theirs;
}
static inline float qn_shuffle_xor(float x, int lanes) { return qn_exchanged(QN_SHUFFLE_XOR, x, qn_lane() ^ lanes); }
static inline float qn_shuffle(float x, int lane) { return qn_exchanged(QN_SHUFFLE, x, lane); }
static inline int qn_shuffle(int x, int lane) { return qn_exchanged(QN_SHUFFLE, x, lane); }
static inline unsigned qn_ballot(int x) {
  const char *all = qn_rt->exchange(QN_BALLOT, &x, sizeof x);
  unsigned mask = 0;
  for (int lane = 0; lane < 32; lane++) {
    int theirs;
    std::memcpy(&theirs, all + 64 * lane, sizeof theirs);
    if (theirs) mask |= 1u << lane;
  }
  return mask;
}

// Conversions that a GPU has instructions for.
static inline unsigned qn_bf16_bits(float x) {
  const unsigned bits = (unsigned)__float_as_int(x);
  if (x != x) return bits >> 16 | 0x40;
  return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}
static inline unsigned qn_pack_bf16(float low, float high) { return qn_bf16_bits(low) | qn_bf16_bits(high) << 16; }
static inline float qn_float_of_half(unsigned short bits) {
  const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  const float sign = bits & 0x8000 ? -1.0f : 1.0f;
  if (exponent == 31) return mantissa ? __int_as_float(0x7fc00000) : sign * INFINITY;
  return sign * (exponent == 0 ? std::ldexp((float)mantissa, -24) : std::ldexp((float)(mantissa | 1024), exponent - 25));
}
static inline unsigned short qn_half_of_float(float x) {
  const unsigned short sign = (unsigned short)((unsigned)__float_as_int(x) >> 16 & 0x8000);
  const float size = std::fabs(x);
  if (x != x) return sign | 0x7e00;
  if (size >= 65520.0f) return sign | 0x7c00;
  if (size == 0.0f) return sign;
  int exponent;
  std::frexp(size, &exponent); // size = f · 2^exponent, f in [.5, 1)
  const int unit = (exponent < -13 ? -13 : exponent) - 11;
  const float steps = std::nearbyint(std::ldexp(size, -unit)); // ties to even
  return (unsigned short)(sign | (((unsigned)(unit + 24) << 10) + (unsigned)steps));
}

// The layout is that of PTX's mma.m16n8k16: see qn_mma in platform.h.
static inline void qn_mma(float *c, const unsigned *a, const unsigned *b) {
  unsigned mine[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
  const char *all = qn_rt->exchange(QN_MMA, mine, sizeof mine);
  const auto word = [all](int lane, int i) { unsigned w; std::memcpy(&w, all + 64 * lane + 4 * i, 4); return w; };
  const auto half = [](unsigned w, int i) { return __int_as_float((int)(i ? w & 0xffff0000u : w << 16)); };
  const auto A = [&](int m, int k) { return half(word(m % 8 * 4 + k % 8 / 2, m / 8 + k / 8 * 2), k % 2); };
  const auto B = [&](int k, int n) { return half(word(n * 4 + k % 8 / 2, 4 + k / 8), k % 2); };
  const int g = qn_lane() / 4, t = qn_lane() % 4;
  for (int e = 0; e < 4; e++) {
    const int m = g + e / 2 * 8, n = 2 * t + e % 2;
    float sum = 0.0f;
    for (int k = 0; k < 16; k++) sum += A(m, k) * B(k, n);
    c[e] += sum;
  }
}

// e4m3: sign, 4 bits of exponent, 3 of mantissa, no infinities. Bytes that PTX's cvt.rn.satfinite makes.
static inline unsigned qn_e4m3_bits(float x) {
  if (x != x) return 0x7f;
  const unsigned sign = (unsigned)__float_as_int(x) >> 24 & 0x80;
  const float size = std::fmin(std::fabs(x), 448.0f);
  if (size == 0.0f) return sign;
  int exponent;
  std::frexp(size, &exponent); // size = f · 2^exponent, f in [.5, 1)
  if (exponent < -5) exponent = -5;
  return sign | ((unsigned)(8 * (exponent + 5)) + (unsigned)std::nearbyint(std::ldexp(size, 4 - exponent)));
}
static inline float qn_float_of_e4m3(unsigned bits) {
  const int exponent = bits >> 3 & 15, mantissa = bits & 7;
  if ((bits & 0x7f) == 0x7f) return __int_as_float(0x7fc00000);
  const float size = exponent == 0 ? std::ldexp((float)mantissa, -9) : std::ldexp((float)(mantissa | 8), exponent - 10);
  return bits & 0x80 ? -size : size;
}
static inline unsigned qn_pack_e4m3(float v0, float v1, float v2, float v3) {
  return qn_e4m3_bits(v0) | qn_e4m3_bits(v1) << 8 | qn_e4m3_bits(v2) << 16 | qn_e4m3_bits(v3) << 24;
}
// The layout is that of PTX's mma.m16n8k32 for 8-bit types: a has (g, 4t…), (g + 8, 4t…), (g, 4t + 16…), (g + 8, 4t + 16…), b (4t…, g),
// (4t + 16…, g), c as for m16n8k16.
static inline void qn_mma_e4m3(float *c, const unsigned *a, const unsigned *b) {
  unsigned mine[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
  const char *all = qn_rt->exchange(QN_MMA_E4M3, mine, sizeof mine);
  const auto element = [all](int lane, int i, int k) { return qn_float_of_e4m3((unsigned char)all[64 * lane + 4 * i + k % 4]); };
  const auto A = [&](int m, int k) { return element(m % 8 * 4 + k % 16 / 4, m / 8 + k / 16 * 2, k); };
  const auto B = [&](int k, int n) { return element(n * 4 + k % 16 / 4, 4 + k / 16, k); };
  const int g = qn_lane() / 4, t = qn_lane() % 4;
  for (int e = 0; e < 4; e++) {
    const int m = g + e / 2 * 8, n = 2 * t + e % 2;
    float sum = 0.0f;
    for (int k = 0; k < 32; k++) sum += A(m, k) * B(k, n);
    c[e] += sum;
  }
}
#endif
