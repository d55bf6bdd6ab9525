// Flash attention on tensor cores: a block of four warps has 64 queries of one head, 16 per warp, and visits the keys in tiles; for
// dK and dV it has 64 keys and visits the queries of all heads of their group. Operands are bf16 words of two neighbours, sums are
// fp32. Scores and weights stay in registers: the layout of a product's result is that of the next one's left operand.
// D is a multiple of 16 up to 128. Every result has one writer, so all sums have a fixed order.
#ifndef QN_ATTENTION_BF16_H
#define QN_ATTENTION_BF16_H
#define QN_FLASH_ROWS 64
#define QN_LOG2E 1.44269504f
// Words between rows of a tile: of D / 2 pairs along D, or of Rows / 2 pairs of rows. 4 words of padding avoid bank conflicts.
#define QN_ALONG(D) ((D) / 2 + 4)
#define QN_ACROSS(rows) ((rows) / 2 + 4)
// to (Rows, D / 2) = rows first… of a tensor of any type, in pairs along D; 0 from row `limit` on. Row 0 begins at element `base`.
template <int D, int Rows, class T> QN_DEVICE void qn_tile_along(const T *from, qn_long base, qn_long stride, int first, int limit, qn_shared<unsigned> to) {
  for (int at = threadIdx.x; at < Rows * D / 2; at += 128) {
    const int row = at / (D / 2), d = at % (D / 2) * 2;
    const bool isHere = first + row < limit;
    const qn_long i = base + (qn_long)(first + row) * stride + d;
    to[row * QN_ALONG(D) + d / 2] = qn_pack_bf16(isHere ? qn_load(from, i) : 0.0f, isHere ? qn_load(from, i + 1) : 0.0f);
  }
}
// to (D, Rows / 2) = the same rows transposed, in pairs of rows
template <int D, int Rows, class T> QN_DEVICE void qn_tile_across(const T *from, qn_long base, qn_long stride, int first, int limit, qn_shared<unsigned> to) {
  for (int at = threadIdx.x; at < Rows / 2 * D; at += 128) {
    const int d = at % D, row = at / D * 2;
    const qn_long i = base + (qn_long)(first + row) * stride + d;
    to[d * QN_ACROSS(Rows) + row / 2] = qn_pack_bf16(first + row < limit ? qn_load(from, i) : 0.0f, first + row + 1 < limit ? qn_load(from, i + stride) : 0.0f);
  }
}
// Left operand (16, D) of this warp: rows first… of a tensor
template <int D, class T> QN_DEVICE void qn_left_rows(const T *from, qn_long stride, int first, int limit, unsigned (*words)[4]) {
  const int lane = threadIdx.x % QN_WARP, g = lane / 4, t = lane % 4;
#pragma unroll
  for (int i = 0; i < D / 16; i++)
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const int row = first + g + j % 2 * 8;
      const qn_long at = (qn_long)row * stride + 16 * i + 2 * t + j / 2 * 8;
      words[i][j] = row < limit ? qn_pack_bf16(qn_load(from, at), qn_load(from, at + 1)) : 0u;
    }
}
// sums (16, Columns) += left (16, D) · tileᵀ, with tile (Columns, D / 2) in pairs along D
template <int D, int Columns> QN_DEVICE void qn_times_rows(const unsigned (*left)[4], qn_shared<unsigned> tile, float (*sums)[4]) {
  const int lane = threadIdx.x % QN_WARP, g = lane / 4, t = lane % 4;
#pragma unroll
  for (int n = 0; n < Columns / 8; n++)
#pragma unroll
    for (int i = 0; i < D / 16; i++) {
      const unsigned right[2] = {tile[(8 * n + g) * QN_ALONG(D) + 8 * i + t], tile[(8 * n + g) * QN_ALONG(D) + 8 * i + t + 4]};
      qn_mma(sums[n], left[i], right);
    }
}
// sums (16, D) += weights (16, Rows) · tileᵀ, with tile (D, Rows / 2) in pairs of rows; weights are in the layout of a result
template <int D, int Rows> QN_DEVICE void qn_times_columns(const float (*weights)[4], qn_shared<unsigned> tile, float (*sums)[4]) {
  const int lane = threadIdx.x % QN_WARP, g = lane / 4, t = lane % 4;
#pragma unroll
  for (int i = 0; i < Rows / 16; i++) {
    const float *low = weights[2 * i], *high = weights[2 * i + 1];
    const unsigned left[4] = {qn_pack_bf16(low[0], low[1]), qn_pack_bf16(low[2], low[3]), qn_pack_bf16(high[0], high[1]), qn_pack_bf16(high[2], high[3])};
#pragma unroll
    for (int n = 0; n < D / 8; n++) {
      const unsigned right[2] = {tile[(8 * n + g) * QN_ACROSS(Rows) + 8 * i + t], tile[(8 * n + g) * QN_ACROSS(Rows) + 8 * i + t + 4]};
      qn_mma(sums[n], left, right);
    }
  }
}
// Maximum and sum over the four lanes that share a row
QN_DEVICE float qn_quad_maximum(float x) {
  x = fmaxf(x, qn_shuffle_xor(x, 1));
  return fmaxf(x, qn_shuffle_xor(x, 2));
}
QN_DEVICE float qn_quad_sum(float x) {
  x += qn_shuffle_xor(x, 1);
  return x + qn_shuffle_xor(x, 2);
}
template <int D, class T> QN_DEVICE void qn_store_rows(T *to, qn_long stride, int first, int limit, const float (*sums)[4], float low, float high) {
  const int lane = threadIdx.x % QN_WARP, g = lane / 4, t = lane % 4;
#pragma unroll
  for (int n = 0; n < D / 8; n++)
#pragma unroll
    for (int e = 0; e < 4; e++) {
      const int row = first + g + e / 2 * 8;
      if (row < limit) qn_store(to + (qn_long)row * stride + 8 * n + 2 * t + e % 2, sums[n][e] * (e < 2 ? low : high));
    }
}

// The arguments are those of qn_attention.
template <int D, class TQ, class TK, class TV, class TO>
QN_DEVICE void qn_flash(int B, int T, int H, int G, const TQ *q, qn_long q_row, const TK *k, qn_long k_row, const TV *v, qn_long v_row, TO *o, float *lse, float scale, qn_mask mask) {
  const int KEYS = 64;
  QN_SHARED(unsigned, keys, KEYS * QN_ALONG(D));
  QN_SHARED(unsigned, values, D * QN_ACROSS(KEYS));
  const int tiles = (T + QN_FLASH_ROWS - 1) / QN_FLASH_ROWS, lane = threadIdx.x % QN_WARP, g = lane / 4, t = lane % 4;
  // The tiles with the most keys come first.
  const int t0 = (tiles - 1 - (int)(blockIdx.x % tiles)) * QN_FLASH_ROWS, h = blockIdx.x / tiles % H, b = blockIdx.x / tiles / H, group = h / (H / G);
  const int first = t0 + threadIdx.x / QN_WARP * 16;
  const qn_view low = qn_view_of(mask, b, first + g), high = qn_view_of(mask, b, first + g + 8);
  const int end = qn_view_of(mask, b, t0 + QN_FLASH_ROWS < T ? t0 + QN_FLASH_ROWS - 1 : T - 1).end;
  const qn_long slot = (qn_long)low.slot * mask.S;
  unsigned queries[D / 16][4];
  qn_left_rows<D>(q + (qn_long)b * T * q_row + h * D, q_row, first, T, queries);
  float out[D / 8][4] = {}, top[2] = {-QN_INFINITY, -QN_INFINITY}, total[2] = {0.0f, 0.0f};
  const float unit = scale * QN_LOG2E;
  for (int s0 = 0; s0 < end; s0 += KEYS) {
    __syncthreads();
    qn_tile_along<D, KEYS>(k, slot * k_row + group * D, k_row, s0, end, keys);
    qn_tile_across<D, KEYS>(v, slot * v_row + group * D, v_row, s0, end, values);
    __syncthreads();
    float scores[KEYS / 8][4] = {};
    qn_times_rows<D, KEYS>(queries, keys, scores);
    float highest[2] = {-QN_INFINITY, -QN_INFINITY};
#pragma unroll
    for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
      for (int e = 0; e < 4; e++) {
        if (!qn_sees(e < 2 ? low : high, s0 + 8 * n + 2 * t + e % 2)) scores[n][e] = -QN_INFINITY;
        else scores[n][e] *= unit;
        highest[e / 2] = fmaxf(highest[e / 2], scores[n][e]);
      }
#pragma unroll
    for (int row = 0; row < 2; row++) {
      const float before = top[row];
      top[row] = fmaxf(before, qn_quad_maximum(highest[row]));
      const float keep = top[row] == -QN_INFINITY ? 1.0f : exp2f(before - top[row]);
      total[row] *= keep;
#pragma unroll
      for (int n = 0; n < D / 8; n++) out[n][2 * row] *= keep, out[n][2 * row + 1] *= keep;
    }
#pragma unroll
    for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
      for (int e = 0; e < 4; e++) {
        scores[n][e] = top[e / 2] == -QN_INFINITY ? 0.0f : exp2f(scores[n][e] - top[e / 2]);
        total[e / 2] += scores[n][e];
      }
    qn_times_columns<D, KEYS>(scores, values, out);
  }
  float inverse[2];
#pragma unroll
  for (int row = 0; row < 2; row++) {
    total[row] = qn_quad_sum(total[row]);
    inverse[row] = total[row] > 0.0f ? 1.0f / total[row] : total[row] == total[row] ? 0.0f : total[row]; // NaN stays NaN
    const int token = first + g + 8 * row;
    if (t == 0 && token < T) lse[((qn_long)b * H + h) * T + token] = total[row] == 0.0f ? -QN_INFINITY : top[row] / QN_LOG2E + logf(total[row]);
  }
  qn_store_rows<D>(o + ((qn_long)b * T * H + h) * D, (qn_long)H * D, first, T, out, inverse[0], inverse[1]);
}

// Gradients, for position 0 and S = T; delta is made by qn_attention_delta.
template <int D, class TQ, class TK, class TV, class TDO, class TDQ>
QN_DEVICE void qn_flash_dq(int B, int T, int H, int G, const TQ *q, qn_long q_row, const TK *k, qn_long k_row, const TV *v, qn_long v_row, const float *lse, const TDO *d_o, const float *delta, TDQ *dq, qn_long dq_row, float scale, qn_mask mask) {
  const int KEYS = D <= 64 ? 64 : 32;
  QN_SHARED(unsigned, keys, KEYS * QN_ALONG(D));
  QN_SHARED(unsigned, values, KEYS * QN_ALONG(D));
  QN_SHARED(unsigned, across, D * QN_ACROSS(KEYS));
  const int tiles = (T + QN_FLASH_ROWS - 1) / QN_FLASH_ROWS, lane = threadIdx.x % QN_WARP, g = lane / 4, t = lane % 4;
  const int t0 = (tiles - 1 - (int)(blockIdx.x % tiles)) * QN_FLASH_ROWS, h = blockIdx.x / tiles % H, b = blockIdx.x / tiles / H, group = h / (H / G);
  const int first = t0 + threadIdx.x / QN_WARP * 16;
  const qn_view low = qn_view_of(mask, b, first + g), high = qn_view_of(mask, b, first + g + 8);
  const int end = qn_view_of(mask, b, t0 + QN_FLASH_ROWS < T ? t0 + QN_FLASH_ROWS - 1 : T - 1).end;
  const qn_long token = (qn_long)b * T, statistic = ((qn_long)b * H + h) * T;
  unsigned queries[D / 16][4], slopes[D / 16][4];
  qn_left_rows<D>(q + token * q_row + h * D, q_row, first, T, queries);
  qn_left_rows<D>(d_o + (token * H + h) * D, (qn_long)H * D, first, T, slopes);
  float least[2], deltas[2], out[D / 8][4] = {};
#pragma unroll
  for (int row = 0; row < 2; row++) {
    const int at = first + g + 8 * row;
    least[row] = at < T ? lse[statistic + at] * QN_LOG2E : 0.0f, deltas[row] = at < T ? delta[statistic + at] : 0.0f;
  }
  for (int s0 = 0; s0 < end; s0 += KEYS) {
    __syncthreads();
    qn_tile_along<D, KEYS>(k, token * k_row + group * D, k_row, s0, end, keys);
    qn_tile_along<D, KEYS>(v, token * v_row + group * D, v_row, s0, end, values);
    qn_tile_across<D, KEYS>(k, token * k_row + group * D, k_row, s0, end, across);
    __syncthreads();
    float scores[KEYS / 8][4] = {}, gradients[KEYS / 8][4] = {};
    qn_times_rows<D, KEYS>(queries, keys, scores);
    qn_times_rows<D, KEYS>(slopes, values, gradients);
#pragma unroll
    for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
      for (int e = 0; e < 4; e++) {
        const bool isSeen = first + g + e / 2 * 8 < T && qn_sees(e < 2 ? low : high, s0 + 8 * n + 2 * t + e % 2);
        const float p = isSeen ? exp2f(scores[n][e] * (scale * QN_LOG2E) - least[e / 2]) : 0.0f;
        scores[n][e] = isSeen ? p * (gradients[n][e] - deltas[e / 2]) * scale : 0.0f;
      }
    qn_times_columns<D, KEYS>(scores, across, out);
  }
  qn_store_rows<D>(dq + token * dq_row + h * D, dq_row, first, T, out, 1.0f, 1.0f);
}
template <int D, class TQ, class TK, class TV, class TDO, class TDK, class TDV>
QN_DEVICE void qn_flash_dk_dv(int B, int T, int H, int G, const TQ *q, qn_long q_row, const TK *k, qn_long k_row, const TV *v, qn_long v_row, const float *lse, const TDO *d_o, const float *delta, TDK *dk, qn_long dk_row, TDV *dv, qn_long dv_row, float scale, qn_mask mask) {
  const int QUERIES = D <= 64 ? 32 : 16;
  QN_SHARED(unsigned, queries, QUERIES * QN_ALONG(D));
  QN_SHARED(unsigned, slopes, QUERIES * QN_ALONG(D));
  QN_SHARED(unsigned, queriesAcross, D * QN_ACROSS(QUERIES));
  QN_SHARED(unsigned, slopesAcross, D * QN_ACROSS(QUERIES));
  QN_SHARED(float, least, QUERIES);
  QN_SHARED(float, deltas, QUERIES);
  QN_SHARED(int, ends, QUERIES);
  QN_SHARED(int, segments, QUERIES);
  const int tiles = (T + QN_FLASH_ROWS - 1) / QN_FLASH_ROWS, lane = threadIdx.x % QN_WARP, g = lane / 4, t = lane % 4;
  const int s0 = (int)(blockIdx.x % tiles) * QN_FLASH_ROWS, group = blockIdx.x / tiles % G, b = blockIdx.x / tiles / G;
  const int first = s0 + threadIdx.x / QN_WARP * 16;
  const qn_long token = (qn_long)b * T;
  unsigned keys[D / 16][4], values[D / 16][4];
  qn_left_rows<D>(k + token * k_row + group * D, k_row, first, T, keys);
  qn_left_rows<D>(v + token * v_row + group * D, v_row, first, T, values);
  // Of this lane's two keys
  int segment[2], last[2];
#pragma unroll
  for (int row = 0; row < 2; row++) {
    const int s = first + g + 8 * row;
    segment[row] = mask.segments && s < T ? mask.segments[token + s] : 0;
    last[row] = mask.ends && s < T ? mask.ends[token + s] : T;
  }
  float outK[D / 8][4] = {}, outV[D / 8][4] = {};
  for (int h = group * (H / G); h < (group + 1) * (H / G); h++)
    for (int t0 = s0; t0 < T; t0 += QUERIES) {
      __syncthreads();
      qn_tile_along<D, QUERIES>(q, token * q_row + h * D, q_row, t0, T, queries);
      qn_tile_along<D, QUERIES>(d_o, (token * H + h) * D, (qn_long)H * D, t0, T, slopes);
      qn_tile_across<D, QUERIES>(q, token * q_row + h * D, q_row, t0, T, queriesAcross);
      qn_tile_across<D, QUERIES>(d_o, (token * H + h) * D, (qn_long)H * D, t0, T, slopesAcross);
      if (threadIdx.x < QUERIES) {
        const int at = t0 + threadIdx.x;
        const qn_long statistic = ((qn_long)b * H + h) * T + at;
        const qn_view view = qn_view_of(mask, b, at < T ? at : T - 1);
        least[threadIdx.x] = at < T ? lse[statistic] * QN_LOG2E : 0.0f;
        deltas[threadIdx.x] = at < T ? delta[statistic] : 0.0f;
        ends[threadIdx.x] = at < T ? view.end : 0;
        segments[threadIdx.x] = view.segment;
      }
      __syncthreads();
      float weights[QUERIES / 8][4] = {}, gradients[QUERIES / 8][4] = {};
      qn_times_rows<D, QUERIES>(keys, queries, weights);
      qn_times_rows<D, QUERIES>(values, slopes, gradients);
#pragma unroll
      for (int n = 0; n < QUERIES / 8; n++)
#pragma unroll
        for (int e = 0; e < 4; e++) {
          const int column = 8 * n + 2 * t + e % 2, s = first + g + e / 2 * 8;
          const bool isSeen = s < ends[column] && (!mask.segments || segments[column] == segment[e / 2]) && t0 + column < last[e / 2];
          const float p = isSeen ? exp2f(weights[n][e] * (scale * QN_LOG2E) - least[column]) : 0.0f;
          weights[n][e] = p;
          gradients[n][e] = isSeen ? p * (gradients[n][e] - deltas[column]) * scale : 0.0f;
        }
      qn_times_columns<D, QUERIES>(weights, slopesAcross, outV);
      qn_times_columns<D, QUERIES>(gradients, queriesAcross, outK);
    }
  qn_store_rows<D>(dk + token * dk_row + group * D, dk_row, first, T, outK, 1.0f, 1.0f);
  qn_store_rows<D>(dv + token * dv_row + group * D, dv_row, first, T, outV, 1.0f, 1.0f);
}
#endif
