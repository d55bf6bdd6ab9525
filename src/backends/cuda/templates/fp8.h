// Products in e4m3 on tensor cores (compute capability 8.9 and newer). Operands are multiplied by a power of two, so that the largest
// element is between 224 and 448; then they are rounded, and stored as rows of words of four neighbours along K.
#ifndef QN_FP8_H
#define QN_FP8_H
#define QN_LARGEST_E4M3 448.0f
// parts (gridDim.x): the largest size of an element that each block has seen; NaN if there is one.
template <class T> QN_DEVICE void qn_largest(qn_long size, const T *from, float *parts) {
  QN_SHARED(float, room, 32);
  float top = 0.0f;
  for (qn_long i = (qn_long)blockIdx.x * 256 + threadIdx.x; i < size; i += (qn_long)gridDim.x * 256) top = qn_maximum(top, fabsf(qn_load(from + i)));
  top = qn_block_maximum<256>(top, room);
  if (threadIdx.x == 0) parts[blockIdx.x] = top;
}
QN_DEVICE float qn_power_of_two(int exponent) { return __int_as_float((exponent + 127) << 23); }
// log2 of the scale for a largest element: 448 / 2^e is 1.75 · 2^(8 - e).
QN_DEVICE int qn_scale_exponent(float largest) {
  if (largest == 0.0f) return 0;
  const int bits = __float_as_int(largest), exponent = 8 - ((bits >> 23) - 127) - ((bits & 0x7fffff) > 0x600000);
  return exponent > 126 ? 126 : exponent < -126 ? -126 : exponent;
}
// from (M,K), or (K,M) if not AlongK -> to (M,words), a power of two that undoes the scale -> inverse. largest (parts). Block (x, y) has
// 32 words of 32 rows. Words after K are 0. An operand that is not finite becomes NaN.
template <bool AlongK, class T>
QN_DEVICE void qn_round_to_e4m3(int M, int K, int words, int parts, const T *from, const float *largest, unsigned *to, float *inverse) {
  QN_SHARED(float, room, 32);
  QN_SHARED(unsigned, tile, 32 * 33);
  const float top = qn_block_maximum<256>((int)threadIdx.x < parts ? largest[threadIdx.x] : 0.0f, room);
  const bool isFinite = top < QN_INFINITY;
  const int exponent = isFinite ? qn_scale_exponent(top) : 0;
  const float scale = isFinite ? qn_power_of_two(exponent) : QN_NAN;
  if (blockIdx.x == 0 && blockIdx.y == 0 && threadIdx.x == 0) *inverse = qn_power_of_two(-exponent);
  const int m0 = blockIdx.y * 32, w0 = blockIdx.x * 32, inner = threadIdx.x % 32, outer = threadIdx.x / 32;
  // Neighbouring threads read neighbours in memory, and write neighbours.
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const int m = AlongK ? outer + 8 * i : inner, w = AlongK ? inner : outer + 8 * i;
    float v[4];
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const int k = 4 * (w0 + w) + j;
      const qn_long at = AlongK ? (qn_long)(m0 + m) * K + k : (qn_long)k * M + m0 + m;
      v[j] = m0 + m < M && k < K ? qn_load(from + at) * scale : 0.0f;
    }
    tile[w * 33 + m] = qn_pack_e4m3(v[0], v[1], v[2], v[3]);
  }
  __syncthreads();
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const int m = outer + 8 * i, w = inner;
    if (m0 + m < M && w0 + w < words) to[(qn_long)(m0 + m) * words + w0 + w] = tile[w * 33 + m];
  }
}
// A (M,words), B (N,words). Block (x, y) computes tile (y, x) over words z · depth …
template <class Finish>
QN_DEVICE void qn_gemm_e4m3(int M, int N, int words, int depth, const unsigned *A, const unsigned *B, const float *inverseA, const float *inverseB, Finish finish) {
  const int m0 = blockIdx.y * QN_MMA_TILE, n0 = blockIdx.x * QN_MMA_TILE, w0 = blockIdx.z * depth, w1 = w0 + depth < words ? w0 + depth : words;
  const auto read = [=](const unsigned *from, int first, int count, int w, unsigned *next) {
#pragma unroll
    for (int i = 0; i < QN_MMA_LOADS; i++) {
      const int at = i * 256 + threadIdx.x, row = first + at / QN_MMA_WORDS;
      next[i] = row < count ? from[(qn_long)row * words + w + at % QN_MMA_WORDS] : 0u;
    }
  };
  const float undoA = *inverseA, undoB = *inverseB;
  const auto write = [](const unsigned *next, qn_shared<unsigned> to) { qn_mma_write<true>(next, to); };
  qn_gemm_tiles(
    M, N, w0, w1, [=](int w, unsigned *next) { read(A, m0, M, w, next); }, [=](int w, unsigned *next) { read(B, n0, N, w, next); }, write,
    write, [](float *c, const unsigned *a, const unsigned *b) { qn_mma_e4m3(c, a, b); },
    [=](int m, int n, float sum) { finish(m, n, sum * undoA * undoB); });
}
#endif
