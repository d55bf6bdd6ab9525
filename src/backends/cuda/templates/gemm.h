// Matrix products C (M,N) = A (M,K) · B (K,N). Element (m,k) of A is at m · am + k · ak, element (k,n) of B at k · bk + n · bn; one
// stride of each is 1. Every finished element is given to `finish(m, n, sum)`, which stores it and computes the epilogue.
#ifndef QN_GEMM_H
#define QN_GEMM_H
// ---- fp32: tiles of 64 × 64, 256 threads, 4 × 4 elements per thread. Sums along K in order, for any M and N.
#define QN_TILE 64
#define QN_DEPTH 16
// Reads a tile (64 × 16) of rows m0… and columns k0… into `to` (16, 64 + 4). AlongK: neighbours in memory are neighbours along k.
template <bool AlongK, class T>
QN_DEVICE void qn_gemm_tile(const T *from, qn_long m_stride, qn_long k_stride, int m0, int M, int k0, int K, qn_shared<float> to) {
#pragma unroll
  for (int i = 0; i < QN_TILE * QN_DEPTH / 256; i++) {
    const int at = i * 256 + threadIdx.x;
    const int k = AlongK ? at % QN_DEPTH : at / QN_TILE, m = AlongK ? at / QN_DEPTH : at % QN_TILE;
    to[k * (QN_TILE + 4) + m] = m0 + m < M && k0 + k < K ? qn_load(from + (m0 + m) * m_stride + (k0 + k) * k_stride) : 0.0f;
  }
}
template <bool AAlongK, bool BAlongK, class TA, class TB, class Finish>
QN_DEVICE void qn_gemm(int M, int N, int K, const TA *A, const TB *B, Finish finish) {
  QN_SHARED(float, a, QN_DEPTH * (QN_TILE + 4));
  QN_SHARED(float, b, QN_DEPTH * (QN_TILE + 4));
  const int m0 = blockIdx.y * QN_TILE, n0 = blockIdx.x * QN_TILE, tx = threadIdx.x % 16, ty = threadIdx.x / 16;
  const qn_long am = AAlongK ? K : 1, ak = AAlongK ? 1 : M, bk = BAlongK ? 1 : N, bn = BAlongK ? K : 1;
  float sums[4][4] = {};
  for (int k0 = 0; k0 < K; k0 += QN_DEPTH) {
    __syncthreads();
    qn_gemm_tile<AAlongK>(A, am, ak, m0, M, k0, K, a);
    qn_gemm_tile<BAlongK>(B, bn, bk, n0, N, k0, K, b);
    __syncthreads();
#pragma unroll
    for (int k = 0; k < QN_DEPTH; k++) {
      float x[4], y[4];
#pragma unroll
      for (int i = 0; i < 4; i++) x[i] = a[k * (QN_TILE + 4) + ty + 16 * i], y[i] = b[k * (QN_TILE + 4) + tx + 16 * i];
#pragma unroll
      for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) sums[i][j] += x[i] * y[j];
    }
  }
#pragma unroll
  for (int i = 0; i < 4; i++)
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const int m = m0 + ty + 16 * i, n = n0 + tx + 16 * j;
      if (m < M && n < N) finish(m, n, sums[i][j]);
    }
}

// ---- bf16 on tensor cores: tiles of 128 × 128 × 32, 8 warps of 64 × 32 each. Operands are rounded while a tile is written to shared
// memory, as words of two neighbours along k. A row has 16 words and 4 of padding, so that a warp's reads have no bank conflicts.
#define QN_MMA_TILE 128
#define QN_MMA_WORDS 16
#define QN_MMA_PITCH 20
#define QN_MMA_LOADS (QN_MMA_TILE * QN_MMA_WORDS / 256)
template <class T> QN_DEVICE unsigned qn_pair_of(const T *first, const T *second, bool hasFirst, bool hasSecond) {
  return qn_pack_bf16(hasFirst ? qn_load(first) : 0.0f, hasSecond ? qn_load(second) : 0.0f);
}
// Reads this thread's words of a tile of rows m0… and columns k0… to k1. `Even`: K is even, so that both halves of a word are there.
template <bool AlongK, class T>
QN_DEVICE void qn_mma_read(const T *from, int m0, int M, int k0, int k1, qn_long m_stride, qn_long k_stride, unsigned *words) {
#pragma unroll
  for (int i = 0; i < QN_MMA_LOADS; i++) {
    const int at = i * 256 + threadIdx.x;
    const int m = m0 + (AlongK ? at / QN_MMA_WORDS : at % QN_MMA_TILE);
    const int k = k0 + 2 * (AlongK ? at % QN_MMA_WORDS : at / QN_MMA_TILE);
    const T *p = from + m * m_stride + k * k_stride;
    words[i] = qn_pair_of(p, p + k_stride, m < M && k < k1, m < M && k + 1 < k1);
  }
}
template <bool AlongK> QN_DEVICE void qn_mma_write(const unsigned *words, qn_shared<unsigned> to) {
#pragma unroll
  for (int i = 0; i < QN_MMA_LOADS; i++) {
    const int at = i * 256 + threadIdx.x;
    const int m = AlongK ? at / QN_MMA_WORDS : at % QN_MMA_TILE, k = AlongK ? at % QN_MMA_WORDS : at / QN_MMA_TILE;
    to[m * QN_MMA_PITCH + k] = words[i];
  }
}
// A tile of C over words w0 to w1 of the operands' rows. readA(w, words) and readB read this thread's words of the tiles from word w on;
// write* put them into shared memory; `multiply` is the instruction for eight words along K.
template <class ReadA, class ReadB, class WriteA, class WriteB, class Multiply, class Finish>
QN_DEVICE void qn_gemm_tiles(int M, int N, int w0, int w1, ReadA readA, ReadB readB, WriteA writeA, WriteB writeB, Multiply multiply, Finish finish) {
  QN_SHARED(unsigned, a, 2 * QN_MMA_TILE * QN_MMA_PITCH);
  QN_SHARED(unsigned, b, 2 * QN_MMA_TILE * QN_MMA_PITCH);
  const int m0 = blockIdx.y * QN_MMA_TILE, n0 = blockIdx.x * QN_MMA_TILE;
  const int lane = threadIdx.x % QN_WARP, warp = threadIdx.x / QN_WARP, g = lane / 4, t = lane % 4;
  const int wm = warp / 4 * 64, wn = warp % 4 * 32;
  float sums[4][4][4] = {};
  unsigned nextA[QN_MMA_LOADS], nextB[QN_MMA_LOADS];
  readA(w0, nextA), readB(w0, nextB);
  for (int w = w0, half = 0; w < w1; w += QN_MMA_WORDS, half ^= 1) {
    // Two halves of shared memory: the tile before may still be read while this one is written.
    qn_shared<unsigned> tileA = a + half * QN_MMA_TILE * QN_MMA_PITCH, tileB = b + half * QN_MMA_TILE * QN_MMA_PITCH;
    writeA(nextA, tileA), writeB(nextB, tileB);
    __syncthreads();
    if (w + QN_MMA_WORDS < w1) readA(w + QN_MMA_WORDS, nextA), readB(w + QN_MMA_WORDS, nextB);
#pragma unroll
    for (int step = 0; step < QN_MMA_WORDS; step += 8) {
      unsigned x[4][4], y[4][2];
#pragma unroll
      for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) x[i][j] = tileA[(wm + 16 * i + g + j % 2 * 8) * QN_MMA_PITCH + step + t + j / 2 * 4];
#pragma unroll
      for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 2; j++) y[i][j] = tileB[(wn + 8 * i + g) * QN_MMA_PITCH + step + t + j * 4];
#pragma unroll
      for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) multiply(sums[i][j], x[i], y[j]);
    }
  }
#pragma unroll
  for (int i = 0; i < 4; i++)
#pragma unroll
    for (int j = 0; j < 4; j++)
#pragma unroll
      for (int e = 0; e < 4; e++) {
        const int m = m0 + wm + 16 * i + g + e / 2 * 8, n = n0 + wn + 8 * j + 2 * t + e % 2;
        if (m < M && n < N) finish(m, n, sums[i][j][e]);
      }
}
// Block (x, y) computes tile (y, x) over columns k = z · depth … of K.
template <bool AAlongK, bool BAlongK, class TA, class TB, class Finish>
QN_DEVICE void qn_gemm_bf16(int M, int N, int K, int depth, const TA *A, const TB *B, Finish finish) {
  const int m0 = blockIdx.y * QN_MMA_TILE, n0 = blockIdx.x * QN_MMA_TILE, k0 = blockIdx.z * depth, k1 = k0 + depth < K ? k0 + depth : K;
  const qn_long am = AAlongK ? K : 1, ak = AAlongK ? 1 : M, bk = BAlongK ? 1 : N, bn = BAlongK ? K : 1;
  qn_gemm_tiles(
    M, N, k0 / 2, (k1 + 1) / 2,
    [=](int w, unsigned *words) { qn_mma_read<AAlongK>(A, m0, M, 2 * w, k1, am, ak, words); },
    [=](int w, unsigned *words) { qn_mma_read<BAlongK>(B, n0, N, 2 * w, k1, bn, bk, words); },
    [](const unsigned *words, qn_shared<unsigned> to) { qn_mma_write<AAlongK>(words, to); },
    [](const unsigned *words, qn_shared<unsigned> to) { qn_mma_write<BAlongK>(words, to); },
    [](float *c, const unsigned *a, const unsigned *b) { qn_mma(c, a, b); }, finish);
}
// Adds the parts of a product that was split along K, in order. parts (count, M, N)
template <class Finish> QN_DEVICE void qn_gemm_parts(int M, int N, int count, const float *parts, Finish finish) {
  const qn_long i = (qn_long)blockIdx.x * 256 + threadIdx.x;
  if (i >= (qn_long)M * N) return;
  float sum = 0.0f;
  for (int part = 0; part < count; part++) sum += parts[part * ((qn_long)M * N) + i];
  finish((int)(i / N), (int)(i % N), sum);
}

// Rounds the operands of a product that cuBLASLt computes. size is a multiple of 4.
QN_DEVICE void qn_round_to_bf16(qn_long size, const float *from, qn_bf16 *to) {
  const qn_long i = ((qn_long)blockIdx.x * 256 + threadIdx.x) * 4;
  if (i >= size) return;
  float v[4];
  qn_load_lanes<4>(from + i, v);
  qn_store_lanes<4>(to + i, v);
}

// ---- A · Bᵀ for few rows, as in decoding: a warp per column of C and up to 8 rows. The order of a row's sum depends on K only.
#define QN_FEW_ROWS 8
template <bool Bf16, class TB, class Finish>
QN_DEVICE void qn_linear_few(int M, int N, int K, const float *A, const TB *B, Finish finish) {
  const int n = blockIdx.x * 8 + threadIdx.x / QN_WARP, lane = threadIdx.x % QN_WARP, m0 = blockIdx.y * QN_FEW_ROWS;
  if (n >= N) return; // a whole warp
  const int rows = M - m0 < QN_FEW_ROWS ? M - m0 : QN_FEW_ROWS;
  float sums[QN_FEW_ROWS] = {};
  for (int k = lane; k < K; k += QN_WARP) {
    const float weight = qn_rounded<Bf16>(qn_load(B + (qn_long)n * K + k));
#pragma unroll
    for (int m = 0; m < QN_FEW_ROWS; m++)
      if (m < rows) sums[m] += qn_rounded<Bf16>(A[(qn_long)(m0 + m) * K + k]) * weight;
  }
#pragma unroll
  for (int m = 0; m < QN_FEW_ROWS; m++)
    if (m < rows) {
      const float sum = qn_warp_sum(sums[m]);
      if (lane == m) finish(m0 + m, n, sum);
    }
}
#endif
