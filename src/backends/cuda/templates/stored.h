// Weights, keys and values in ggml's blocks (the layouts are those of tensor/block-formats.ts), and products with them.
#ifndef QN_STORED_H
#define QN_STORED_H
struct qn_q8_0 { unsigned char byte; };
struct qn_q4_0 { unsigned char byte; };
struct qn_q4_1 { unsigned char byte; };
struct qn_q5_0 { unsigned char byte; };
struct qn_q5_1 { unsigned char byte; };
struct qn_q4_k { unsigned char byte; };
struct qn_q5_k { unsigned char byte; };
struct qn_q6_k { unsigned char byte; };
typedef const unsigned char *qn_bytes;
QN_DEVICE float qn_half_at(qn_bytes p) { return qn_float_of_half((unsigned short)(p[0] | p[1] << 8)); }

// Value k of a block is d · scale(g) · quant(k) - dmin · minimum(g), with g = k / group.
template <class T> struct qn_format;
template <> struct qn_format<qn_q8_0> {
  static const int values = 32, bytes = 34, group = 32;
  __device__ static int quant(qn_bytes p, int k) { return (signed char)p[2 + k]; }
  __device__ static float d(qn_bytes p) { return qn_half_at(p); }
  __device__ static float dmin(qn_bytes) { return 0.0f; }
  __device__ static int scale(qn_bytes, int) { return 1; }
  __device__ static int minimum(qn_bytes, int) { return 0; }
};
// The formats of 4 and 5 bits in blocks of 32: `Min` has a minimum, `Five` a fifth bit.
template <bool Min, bool Five> struct qn_nibbles {
  static const int values = 32, bytes = 18 + (Min ? 2 : 0) + (Five ? 4 : 0), group = 32, low = 2 + (Min ? 2 : 0) + (Five ? 4 : 0);
  __device__ static int quant(qn_bytes p, int k) {
    const int nibble = p[low + (k & 15)] >> (k < 16 ? 0 : 4) & 15, bit = Five ? p[2 + (Min ? 2 : 0) + (k >> 3)] >> (k & 7) & 1 : 0;
    return (nibble | bit << 4) - (Min ? 0 : Five ? 16 : 8);
  }
  __device__ static float d(qn_bytes p) { return qn_half_at(p); }
  __device__ static float dmin(qn_bytes p) { return Min ? -qn_half_at(p + 2) : 0.0f; }
  __device__ static int scale(qn_bytes, int) { return 1; }
  __device__ static int minimum(qn_bytes, int) { return Min ? 1 : 0; }
};
template <> struct qn_format<qn_q4_0> : qn_nibbles<false, false> {};
template <> struct qn_format<qn_q4_1> : qn_nibbles<true, false> {};
template <> struct qn_format<qn_q5_0> : qn_nibbles<false, true> {};
template <> struct qn_format<qn_q5_1> : qn_nibbles<true, true> {};
template <bool Five> struct qn_superblock {
  static const int values = 256, bytes = Five ? 176 : 144, group = 32, low = Five ? 48 : 16;
  __device__ static int quant(qn_bytes p, int k) {
    const int g = k >> 5, nibble = p[low + 32 * (k >> 6) + (k & 31)] >> (4 * (g & 1)) & 15;
    return nibble | (Five ? (p[16 + (k & 31)] >> g & 1) << 4 : 0);
  }
  __device__ static float d(qn_bytes p) { return qn_half_at(p); }
  __device__ static float dmin(qn_bytes p) { return qn_half_at(p + 2); }
  __device__ static int scale(qn_bytes p, int g) { return g < 4 ? p[4 + g] & 63 : (p[8 + g] & 15) | p[g] >> 6 << 4; }
  __device__ static int minimum(qn_bytes p, int g) { return g < 4 ? p[8 + g] & 63 : p[8 + g] >> 4 | p[4 + g] >> 6 << 4; }
};
template <> struct qn_format<qn_q4_k> : qn_superblock<false> {};
template <> struct qn_format<qn_q5_k> : qn_superblock<true> {};
template <> struct qn_format<qn_q6_k> {
  static const int values = 256, bytes = 210, group = 16;
  __device__ static int quant(qn_bytes p, int k) {
    const int part = k >> 7, run = k >> 5 & 3, l = k & 31;
    const int low = p[64 * part + 32 * (run & 1) + l] >> (run < 2 ? 0 : 4), high = p[128 + 32 * part + l] >> (2 * run);
    return ((low & 15) | (high & 3) << 4) - 32;
  }
  __device__ static float d(qn_bytes p) { return qn_half_at(p + 208); }
  __device__ static float dmin(qn_bytes) { return 0.0f; }
  __device__ static int scale(qn_bytes p, int g) { return (signed char)p[192 + g]; }
  __device__ static int minimum(qn_bytes, int) { return 0; }
};

// Element i of a tensor of any type
QN_DEVICE float qn_load(const float *p, qn_long i) { return p[i]; }
QN_DEVICE float qn_load(const qn_bf16 *p, qn_long i) { return qn_load(p + i); }
QN_DEVICE float qn_load(const qn_f16 *p, qn_long i) { return qn_load(p + i); }
template <class T> QN_DEVICE float qn_load(const T *p, qn_long i) {
  typedef qn_format<T> format;
  const qn_bytes block = (qn_bytes)p + i / format::values * format::bytes;
  const int k = (int)(i % format::values), g = k / format::group;
  return format::d(block) * format::scale(block, g) * format::quant(block, k) - format::dmin(block) * format::minimum(block, g);
}

// Rounds blocks of `Values` neighbours to int8, ties to even: x ≈ scale · quant. A warp per block; scales of blocks of 32 are
// rounded to f16. quants (size), scales (size / Values)
QN_DEVICE float qn_int8_scale(float largest, bool toHalf) {
  const float scale = largest / 127.0f;
  return toHalf ? qn_round_f16(scale) : scale;
}
QN_DEVICE int qn_int8_of(float x, float largest) {
  const float inverse = largest > 1e-30f ? 127.0f / largest : 0.0f;
  return (int)rintf(x * inverse);
}
template <int Values> QN_DEVICE void qn_round_to_int8(int blocks, const float *x, signed char *quants, float *scales) {
  const int block = blockIdx.x * 8 + threadIdx.x / QN_WARP, lane = threadIdx.x % QN_WARP;
  if (block >= blocks) return; // a whole warp
  const float *from = x + (qn_long)block * Values;
  float largest = 0.0f;
  for (int k = lane; k < Values; k += QN_WARP) largest = qn_maximum(largest, fabsf(from[k]));
  largest = qn_warp_maximum(largest);
  for (int k = lane; k < Values; k += QN_WARP) quants[(qn_long)block * Values + k] = (signed char)qn_int8_of(from[k], largest);
  if (lane == 0) scales[block] = qn_int8_scale(largest, Values == 32);
}
// (M,N) = rounded rows (M,K) · Bᵀ, with B (N,K) in blocks. A warp per column and up to 8 rows; a lane takes whole groups.
template <class T, class Finish>
QN_DEVICE void qn_linear_blocks(int M, int N, int K, const signed char *quants, const float *scales, const T *B, Finish finish) {
  typedef qn_format<T> format;
  const int n = blockIdx.x * 8 + threadIdx.x / QN_WARP, lane = threadIdx.x % QN_WARP, m0 = blockIdx.y * QN_FEW_ROWS;
  if (n >= N) return; // a whole warp
  const int rows = M - m0 < QN_FEW_ROWS ? M - m0 : QN_FEW_ROWS;
  float sums[QN_FEW_ROWS] = {};
  for (int k0 = lane * format::group; k0 < K; k0 += QN_WARP * format::group) {
    const qn_bytes block = (qn_bytes)B + ((qn_long)n * K + k0) / format::values * format::bytes;
    const int first = k0 % format::values, g = first / format::group;
    const float d = format::d(block) * format::scale(block, g), least = format::dmin(block) * format::minimum(block, g);
    int products[QN_FEW_ROWS] = {}, totals[QN_FEW_ROWS] = {};
    for (int k = 0; k < format::group; k++) {
      const int weight = format::quant(block, first + k);
#pragma unroll
      for (int m = 0; m < QN_FEW_ROWS; m++)
        if (m < rows) {
          const int x = quants[(qn_long)(m0 + m) * K + k0 + k];
          products[m] += weight * x, totals[m] += x;
        }
    }
#pragma unroll
    for (int m = 0; m < QN_FEW_ROWS; m++)
      if (m < rows) sums[m] += scales[((qn_long)(m0 + m) * K + k0) / format::values] * (d * products[m] - least * totals[m]);
  }
#pragma unroll
  for (int m = 0; m < QN_FEW_ROWS; m++)
    if (m < rows) {
      const float sum = qn_warp_sum(sums[m]);
      if (lane == m) finish(m0 + m, n, sum);
    }
}
#endif
