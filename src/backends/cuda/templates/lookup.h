// Look-ups, copies and other operations in which a thread makes one element of the result, or a block some of its rows.
#ifndef QN_LOOKUP_H
#define QN_LOOKUP_H
#define QN_ELEMENT(size) \
  const qn_long i = (qn_long)blockIdx.x * 256 + threadIdx.x; \
  if (i >= (size)) return
// out (N,C) = rows of table (V,C); 0 for ids outside
template <class T> QN_DEVICE void qn_embedding(int N, int C, int V, const T *table, const int *ids, float *out) {
  QN_ELEMENT((qn_long)N * C);
  const int id = ids[i / C];
  out[i] = id >= 0 && id < V ? qn_load(table, (qn_long)id * C + i % C) : 0.0f;
}
// d_table (V,C) = or += sums of d_out (N,C) by id, in the order of the tokens. A block has 32 rows of the table: it looks for
// them among 256 ids at a time, and adds the rows found one after the other; each thread has its own columns.
#define QN_TABLE_ROWS 32
template <bool Accumulate>
QN_DEVICE void qn_embedding_gradient(int N, int C, int V, const int *ids, const float *d_out, float *d_table) {
  QN_SHARED(int, found, 256);
  QN_SHARED(int, counts, 8);
  const int v0 = blockIdx.x * QN_TABLE_ROWS, rows = V - v0 < QN_TABLE_ROWS ? V - v0 : QN_TABLE_ROWS;
  const int lane = threadIdx.x % QN_WARP, warp = threadIdx.x / QN_WARP;
  if (!Accumulate)
    for (int row = 0; row < rows; row++)
      for (int c = threadIdx.x; c < C; c += 256) d_table[(qn_long)(v0 + row) * C + c] = 0.0f;
  for (int n0 = 0; n0 < N; n0 += 256) {
    const int n = n0 + threadIdx.x, id = n < N ? ids[n] : -1;
    const bool here = id >= v0 && id < v0 + rows;
    const unsigned mask = qn_ballot(here);
    __syncthreads();
    if (lane == 0) counts[warp] = __popc(mask);
    __syncthreads();
    int before = 0, total = 0;
    for (int w = 0; w < 8; w++) {
      const int count = counts[w];
      if (w < warp) before += count;
      total += count;
    }
    if (here) found[before + __popc(mask & ((1u << lane) - 1))] = n;
    __syncthreads();
    for (int k = 0; k < total; k++) {
      const int token = found[k];
      float *to = d_table + (qn_long)ids[token] * C;
      for (int c = threadIdx.x; c < C; c += 256) to[c] += d_out[(qn_long)token * C + c];
    }
  }
}
// x (rows,V), ids (rows,K) -> (rows,K)
QN_DEVICE void qn_gather_ids(qn_long rows, int V, int K, const float *x, const int *ids, float *out) {
  QN_ELEMENT(rows * K);
  const int id = ids[i];
  out[i] = id >= 0 && id < V ? x[i / K * V + id] : 0.0f;
}
// ids (rows,K), values (rows,K) -> (rows,V), added in order
QN_DEVICE void qn_scatter_add(qn_long rows, int V, int K, const int *ids, const float *values, float *out) {
  QN_ELEMENT(rows * V);
  const qn_long row = i / V;
  const int v = (int)(i % V);
  float sum = 0.0f;
  for (int k = 0; k < K; k++)
    if (ids[row * K + k] == v) sum += values[row * K + k];
  out[i] = sum;
}
// x (tokens, H, D) with rows x_row apart -> y (tokens, H, D) with rows y_row apart; cos, sin (P, D/2); token i of a row of T has position + i % T
template <bool Inverse, class TX, class TY>
QN_DEVICE void qn_rope(int tokens, int H, int D, const TX *x, qn_long x_row, TY *y, qn_long y_row, const float *cos, const float *sin, int P, int T, qn_rows position) {
  const int half = D / 2;
  QN_ELEMENT((qn_long)tokens * H * half);
  const int d = (int)(i % half), h = (int)(i / half % H), token = (int)(i / half / H);
  int t = token % T + position(token / T);
  t = t < 0 ? 0 : t > P - 1 ? P - 1 : t;
  const float c = cos[t * half + d], s = Inverse ? -sin[t * half + d] : sin[t * half + d];
  const float a = qn_load(x + token * x_row + h * D + d), b = qn_load(x + token * x_row + h * D + half + d);
  qn_store(y + token * y_row + h * D + d, a * c - b * s);
  qn_store(y + token * y_row + h * D + half + d, b * c + a * s);
}
// out (B, rows, length) = start of row b + the last index
QN_DEVICE void qn_positions(int B, int rows, int length, qn_rows start, int *out) {
  QN_ELEMENT((qn_long)B * rows * length);
  out[i] = start((int)(i / length / rows)) + (int)(i % length);
}
// Copies `width` of each row to rows that are `stride` apart.
template <class T> QN_DEVICE void qn_copy_rows(qn_long rows, qn_long width, const T *from, T *to, qn_long stride) {
  QN_ELEMENT(rows * width);
  to[i / width * stride + i % width] = from[i];
}
// Philox 4×32-10: block i / 4 of the counter gives four numbers in [0, 1).
QN_DEVICE void qn_random(qn_long size, int seed, int step, unsigned stream, float *out) {
  QN_ELEMENT((size + 3) / 4);
  unsigned c[4] = {(unsigned)i, 0, (unsigned)step, stream}, k0 = (unsigned)seed, k1 = 0;
#pragma unroll
  for (int round = 0; round < 10; round++) {
    const unsigned long long p0 = 0xd2511f53ull * c[0], p1 = 0xcd9e8d57ull * c[2];
    const unsigned c1 = c[1], c3 = c[3];
    c[0] = (unsigned)(p1 >> 32) ^ c1 ^ k0, c[1] = (unsigned)p1;
    c[2] = (unsigned)(p0 >> 32) ^ c3 ^ k1, c[3] = (unsigned)p0;
    k0 += 0x9e3779b9u, k1 += 0xbb67ae85u;
  }
  for (int j = 0; j < 4; j++)
    if (4 * i + j < size) out[4 * i + j] = (float)(c[j] >> 8) / 16777216.0f;
}
#endif
