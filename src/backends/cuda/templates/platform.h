// Types, conversions and warp operations that all kernels use. The same text compiles with NVRTC for a GPU, and with a C++
// compiler for the emulator of the tests, which defines QN_EMULATED and the few primitives under it.
#ifndef QN_PLATFORM_H
#define QN_PLATFORM_H
#define QN_KERNEL extern "C" __global__ void
#define QN_DEVICE static __device__ __forceinline__
#define QN_INFINITY __int_as_float(0x7f800000)
#define QN_NAN __int_as_float(0x7fc00000)
#define QN_WARP 32

// A loop over the neighbouring columns that a thread computes at once.
#ifdef QN_EMULATED
#define QN_LANES(lanes) for (int j = 0; j < lanes; j++)
#else
#define QN_LANES(lanes) _Pragma("unroll") for (int j = 0; j < lanes; j++)
#endif

typedef long long qn_long;
struct qn_bf16 { unsigned short bits; };
struct qn_f16 { unsigned short bits; };

#ifndef QN_EMULATED
// An array that the threads of a block share. The emulator checks each access to it, so pointers have their own type.
template <class T> using qn_shared = T *;
#define QN_SHARED(T, name, size) __shared__ __align__(16) T name[size]
QN_DEVICE float qn_shuffle_xor(float x, int lanes) { return __shfl_xor_sync(0xffffffffu, x, lanes); }
QN_DEVICE float qn_shuffle(float x, int lane) { return __shfl_sync(0xffffffffu, x, lane); }
QN_DEVICE int qn_shuffle(int x, int lane) { return __shfl_sync(0xffffffffu, x, lane); }
QN_DEVICE unsigned qn_ballot(int x) { return __ballot_sync(0xffffffffu, x); }
QN_DEVICE float qn_float_of_half(unsigned short bits) {
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
  return x;
}
QN_DEVICE unsigned short qn_half_of_float(float x) {
  unsigned short bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
  return bits;
}
// Two floats as bf16: `low` in bits 0 to 15, rounded to nearest, ties to even.
QN_DEVICE unsigned qn_pack_bf16(float low, float high) {
  unsigned pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}
// c (16,8) += a (16,16) · b (16,8), spread over a warp. With g = lane / 4 and t = lane % 4: a has the pairs (g, 2t), (g + 8, 2t),
// (g, 2t + 8), (g + 8, 2t + 8); b the pairs (2t, g), (2t + 8, g); c is (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1).
QN_DEVICE void qn_mma(float *c, const unsigned *a, const unsigned *b) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
    : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
// Four floats as e4m3, the first in bits 0 to 7: rounded to nearest, ties to even; ±448 for what is larger. Needs sm_89.
QN_DEVICE unsigned qn_pack_e4m3(float v0, float v1, float v2, float v3) {
  unsigned short low, high;
  asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(low) : "f"(v1), "f"(v0));
  asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(high) : "f"(v3), "f"(v2));
  return low | (unsigned)high << 16;
}
// The same as qn_mma with four e4m3 in a word: c (16,8) += a (16,32) · b (32,8).
QN_DEVICE void qn_mma_e4m3(float *c, const unsigned *a, const unsigned *b) {
  asm volatile("mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
    : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#endif

QN_DEVICE float qn_float_of_bf16(unsigned short bits) { return __int_as_float((int)((unsigned)bits << 16)); }
QN_DEVICE unsigned short qn_bf16_of_float(float x) { return (unsigned short)(qn_pack_bf16(x, 0.0f) & 0xffffu); }
QN_DEVICE float qn_round_bf16(float x) { return qn_float_of_bf16(qn_bf16_of_float(x)); }
QN_DEVICE float qn_round_f16(float x) { return qn_float_of_half(qn_half_of_float(x)); }
template <bool Bf16> QN_DEVICE float qn_rounded(float x) { return Bf16 ? qn_round_bf16(x) : x; }

// Elements in memory.
QN_DEVICE float qn_load(const float *p) { return *p; }
QN_DEVICE float qn_load(const qn_bf16 *p) { return qn_float_of_bf16(p->bits); }
QN_DEVICE float qn_load(const qn_f16 *p) { return qn_float_of_half(p->bits); }
QN_DEVICE int qn_load(const int *p) { return *p; }
QN_DEVICE int qn_load(const unsigned char *p) { return *p; }
QN_DEVICE void qn_store(float *p, float x) { *p = x; }
QN_DEVICE void qn_store(qn_bf16 *p, float x) { p->bits = qn_bf16_of_float(x); }
QN_DEVICE void qn_store(qn_f16 *p, float x) { p->bits = qn_half_of_float(x); }
QN_DEVICE void qn_store(int *p, int x) { *p = x; }
QN_DEVICE void qn_store(unsigned char *p, int x) { *p = (unsigned char)x; }

// Four neighbours at once; the address is a multiple of their size.
template <class T> struct __align__(4 * sizeof(T)) qn_quad { T at[4]; };
template <int Lanes, class T, class V> QN_DEVICE void qn_load_lanes(const T *p, V *v) {
  if (Lanes == 4) {
    const qn_quad<T> quad = *(const qn_quad<T> *)p;
#pragma unroll
    for (int j = 0; j < Lanes; j++) v[j] = qn_load(&quad.at[j]);
  } else {
#pragma unroll
    for (int j = 0; j < Lanes; j++) v[j] = qn_load(p + j);
  }
}
template <int Lanes, class T, class V> QN_DEVICE void qn_store_lanes(T *p, const V *v) {
  if (Lanes == 4) {
    qn_quad<T> quad;
#pragma unroll
    for (int j = 0; j < Lanes; j++) qn_store(&quad.at[j], v[j]);
    *(qn_quad<T> *)p = quad;
  } else {
#pragma unroll
    for (int j = 0; j < Lanes; j++) qn_store(p + j, v[j]);
  }
}

// Conversions of `cast`: truncated and clamped, NaN as 0.
QN_DEVICE int qn_int_of_float(float x) {
  if (x != x) return 0;
  return x >= 2147483648.0f ? 2147483647 : x <= -2147483648.0f ? (-2147483647 - 1) : (int)x;
}
QN_DEVICE int qn_u8_of_int(int x) { return x < 0 ? 0 : x > 255 ? 255 : x; }
QN_DEVICE int qn_u8_of_float(float x) { return qn_u8_of_int(qn_int_of_float(x)); }

// NaN if either operand is NaN, as in JavaScript.
QN_DEVICE float qn_maximum(float a, float b) { return a > b || a != a ? a : b != b || b > a ? b : a; }
QN_DEVICE float qn_minimum(float a, float b) { return a < b || a != a ? a : b != b || b < a ? b : a; }
QN_DEVICE float qn_sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

// Sums and maxima over the 32 lanes of a warp; every lane gets the result.
QN_DEVICE float qn_warp_sum(float x) {
  for (int lanes = 16; lanes > 0; lanes /= 2) x += qn_shuffle_xor(x, lanes);
  return x;
}
QN_DEVICE float qn_warp_maximum(float x) {
  for (int lanes = 16; lanes > 0; lanes /= 2) x = qn_maximum(x, qn_shuffle_xor(x, lanes));
  return x;
}

// The same over `Threads` threads, a multiple of 32 up to 1024; `room` has 32 floats. All threads of the block must call it.
template <int Threads> QN_DEVICE float qn_block_sum(float x, qn_shared<float> room) {
  x = qn_warp_sum(x);
  if (Threads == QN_WARP) return x;
  const int lane = threadIdx.x % QN_WARP, warp = threadIdx.x / QN_WARP;
  __syncthreads();
  if (lane == 0) room[warp] = x;
  __syncthreads();
  return qn_warp_sum(lane < Threads / QN_WARP ? (float)room[lane] : 0.0f);
}
template <int Threads> QN_DEVICE float qn_block_maximum(float x, qn_shared<float> room) {
  x = qn_warp_maximum(x);
  if (Threads == QN_WARP) return x;
  const int lane = threadIdx.x % QN_WARP, warp = threadIdx.x / QN_WARP;
  __syncthreads();
  if (lane == 0) room[warp] = x;
  __syncthreads();
  return qn_warp_maximum(lane < Threads / QN_WARP ? (float)room[lane] : -QN_INFINITY);
}

// One number per row (B), or one for all: a pointer and whether it has rows. A null pointer stands for `value`.
struct qn_rows {
  const int *at;
  int perRow, value;
  __device__ int operator()(int b) const { return at ? at[perRow ? b : 0] : value; }
};
#endif
