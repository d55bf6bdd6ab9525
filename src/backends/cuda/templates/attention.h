// Causal attention for any head width, type of keys and mask: a warp per query, or per key for dK and dV. A lane has one of 32 keys
// (or queries) while scores are computed, and every 32nd dimension of D while rows are added up. No (T,S) matrix is stored, and
// every result has one writer, so all sums have a fixed order. attention_bf16.h has the kernels for long sequences.
#ifndef QN_ATTENTION_H
#define QN_ATTENTION_H
struct qn_mask {
  int S, slots;
  qn_rows position, lengths; // (B), or one for all rows
  const int *rows, *segments, *ends; // (B), (B,S), (B,S), or 0
};
// What query t of row b sees: keys s < end of `slot` in its segment, if their subtree contains it.
struct qn_view { int slot, at, end, segment; const int *segments, *ends; };
QN_DEVICE qn_view qn_view_of(const qn_mask &mask, int b, int t) {
  qn_view view;
  const int position = mask.position(b), length = mask.lengths(b), S = mask.S;
  view.slot = mask.rows ? mask.rows[b] : b, view.at = position + t;
  view.end = view.at + 1 < S ? view.at + 1 : S;
  if (length < view.end) view.end = length;
  if (view.end < 0 || view.slot < 0 || view.slot >= mask.slots || position < 0) view.end = 0;
  view.segments = mask.segments ? mask.segments + (qn_long)b * S : 0;
  view.ends = mask.ends ? mask.ends + (qn_long)b * S : 0;
  view.segment = view.segments && view.end > 0 ? view.segments[view.at < S - 1 ? view.at : S - 1] : 0;
  return view;
}
QN_DEVICE bool qn_sees(const qn_view &view, int s) {
  return s < view.end && (!view.segments || view.segments[s] == view.segment) && (!view.ends || view.at < view.ends[s]);
}

// The query that a warp has, and the keys that it sees.
struct qn_query { qn_long task; int t, h, b, g; qn_view view; };
QN_DEVICE qn_query qn_query_of(qn_long task, int T, int H, int G, const qn_mask &mask) {
  qn_query query;
  query.task = task, query.t = (int)(task % T), query.h = (int)(task / T % H), query.b = (int)(task / T / H), query.g = query.h / (H / G);
  query.view = qn_view_of(mask, query.b, query.t);
  return query;
}
// Attends to keys first ≤ s < last: `out` is the sum of values, weighted by exp(score - top), and `total` the sum of the weights.
// Lane i has elements i, i + 32, … of `out`.
template <int D, bool Bf16, class TQ, class TK, class TV>
QN_DEVICE void qn_attend(const qn_query &at, int T, const TQ *q, qn_long q_row, const TK *k, qn_long k_row, const TV *v, qn_long v_row, float scale, int S, int first, int last, float *out, float &top, float &total) {
  const int PER = (D + QN_WARP - 1) / QN_WARP, lane = threadIdx.x % QN_WARP, g = at.g;
  const qn_long query = ((qn_long)at.b * T + at.t) * q_row + at.h * D, keys = (qn_long)at.view.slot * S;
  top = -QN_INFINITY, total = 0.0f;
  for (int i = 0; i < PER; i++) out[i] = 0.0f;
  for (int s0 = first; s0 < last; s0 += QN_WARP) {
    const int s = s0 + lane;
    float score = -QN_INFINITY;
    if (s < last && qn_sees(at.view, s)) {
      score = 0.0f;
#pragma unroll 4
      for (int d = 0; d < D; d++)
        score += qn_rounded<Bf16>(qn_load(q, query + d)) * qn_rounded<Bf16>(qn_load(k, (keys + s) * k_row + g * D + d));
      score *= scale;
    }
    const float highest = fmaxf(top, qn_warp_maximum(score));
    if (highest == -QN_INFINITY) continue; // the same in all lanes
    const float keep = expf(top - highest), weight = expf(score - highest);
    total = total * keep + qn_warp_sum(weight), top = highest;
    for (int i = 0; i < PER; i++) out[i] *= keep;
    for (int j = 0; j < QN_WARP && s0 + j < last; j++) {
      const float p = qn_rounded<Bf16>(qn_shuffle(weight, j));
      if (p == 0.0f) continue;
#pragma unroll
      for (int i = 0; i < PER; i++) {
        const int d = i * QN_WARP + lane;
        if (d < D) out[i] += p * qn_rounded<Bf16>(qn_load(v, (keys + s0 + j) * v_row + g * D + d));
      }
    }
  }
}
template <int D, class TO> QN_DEVICE void qn_attended(const qn_query &at, int T, int H, const float *out, float top, float total, TO *o, float *lse) {
  const int PER = (D + QN_WARP - 1) / QN_WARP, lane = threadIdx.x % QN_WARP;
  const float inverse = total > 0.0f ? 1.0f / total : total == total ? 0.0f : total; // NaN stays NaN
#pragma unroll
  for (int i = 0; i < PER; i++) {
    const int d = i * QN_WARP + lane;
    if (d < D) qn_store(o + (((qn_long)at.b * T + at.t) * H + at.h) * D + d, out[i] * inverse);
  }
  if (lane == 0) lse[((qn_long)at.b * H + at.h) * T + at.t] = total == 0.0f ? -QN_INFINITY : top + logf(total);
}

// q (B,T,H,D), k and v (slots,S,G,D) -> o (B,T,H,D), lse (B,H,T). Neighbouring positions of q, k, v are *_row elements apart.
template <int D, bool Bf16, class TQ, class TK, class TV, class TO>
QN_DEVICE void qn_attention(int B, int T, int H, int G, const TQ *q, qn_long q_row, const TK *k, qn_long k_row, const TV *v, qn_long v_row, TO *o, float *lse, float scale, qn_mask mask) {
  const qn_long task = (qn_long)blockIdx.x * 4 + threadIdx.x / QN_WARP;
  if (task >= (qn_long)B * H * T) return; // a whole warp
  const qn_query at = qn_query_of(task, T, H, G, mask);
  float out[(D + QN_WARP - 1) / QN_WARP], top, total;
  qn_attend<D, Bf16>(at, T, q, q_row, k, k_row, v, v_row, scale, mask.S, 0, at.view.end, out, top, total);
  qn_attended<D>(at, T, H, out, top, total, o, lse);
}

// The same for few queries, as in decoding: block (x, part) has query x and `keys` of its keys, so that one text fills a GPU. It leaves
// the sums of its part in sums (query, part, D) and statistics (query, part, 2), which qn_attention_join adds in order.
template <int D, bool Bf16, class TQ, class TK, class TV>
QN_DEVICE void qn_attention_part(int T, int H, int G, const TQ *q, qn_long q_row, const TK *k, qn_long k_row, const TV *v, qn_long v_row, float *sums, float *statistics, float scale, qn_mask mask, int keys) {
  const int PER = (D + QN_WARP - 1) / QN_WARP, lane = threadIdx.x;
  const qn_query at = qn_query_of(blockIdx.x, T, H, G, mask);
  const int first = blockIdx.y * keys, last = first + keys < at.view.end ? first + keys : at.view.end;
  float out[PER], top, total;
  qn_attend<D, Bf16>(at, T, q, q_row, k, k_row, v, v_row, scale, mask.S, first, last, out, top, total);
  const qn_long part = at.task * gridDim.y + blockIdx.y;
#pragma unroll
  for (int i = 0; i < PER; i++)
    if (i * QN_WARP + lane < D) sums[part * D + i * QN_WARP + lane] = out[i];
  if (lane == 0) statistics[2 * part] = top, statistics[2 * part + 1] = total;
}
template <int D, class TO>
QN_DEVICE void qn_attention_join(int T, int H, int G, const float *sums, const float *statistics, TO *o, float *lse, qn_mask mask, int parts) {
  const int PER = (D + QN_WARP - 1) / QN_WARP, lane = threadIdx.x;
  const qn_query at = qn_query_of(blockIdx.x, T, H, G, mask);
  sums += at.task * parts * D, statistics += at.task * parts * 2;
  float out[PER] = {}, top = -QN_INFINITY, total = 0.0f;
  for (int part = lane; part < parts; part += QN_WARP) top = qn_maximum(top, statistics[2 * part]);
  top = qn_warp_maximum(top);
  for (int part = 0; part < parts; part++) {
    if (statistics[2 * part + 1] == 0.0f) continue; // it sees no key of this part
    const float weight = expf(statistics[2 * part] - top);
    total += weight * statistics[2 * part + 1];
#pragma unroll
    for (int i = 0; i < PER; i++)
      if (i * QN_WARP + lane < D) out[i] += weight * sums[part * D + i * QN_WARP + lane];
  }
  qn_attended<D>(at, T, H, out, top, total, o, lse);
}

// delta (B,H,T) = sum of o · d_o over D; a warp per query
template <int D, class TO, class TDO> QN_DEVICE void qn_attention_delta(int B, int T, int H, const TO *o, const TDO *d_o, float *delta) {
  const int lane = threadIdx.x % QN_WARP;
  const qn_long task = (qn_long)blockIdx.x * 4 + threadIdx.x / QN_WARP;
  if (task >= (qn_long)B * H * T) return; // a whole warp
  const int t = (int)(task % T), h = (int)(task / T % H), b = (int)(task / T / H);
  const qn_long at = (((qn_long)b * T + t) * H + h) * D;
  float sum = 0.0f;
  for (int d = lane; d < D; d += QN_WARP) sum += qn_load(o + at + d) * qn_load(d_o + at + d);
  sum = qn_warp_sum(sum);
  if (lane == 0) delta[((qn_long)b * H + h) * T + t] = sum;
}

// Weight and gradient of the score of query (b,t,h) and key s, for the gradients below.
template <int D, bool Bf16, class TQ, class TK, class TV, class TDO>
QN_DEVICE void qn_score_gradient(const TQ *q, const TK *k, const TV *v, const TDO *d_o, float scale, float lse, float delta, float &p, float &ds) {
  float score = 0.0f, dp = 0.0f;
#pragma unroll 4
  for (int d = 0; d < D; d++) {
    score += qn_rounded<Bf16>(qn_load(q + d)) * qn_rounded<Bf16>(qn_load(k + d));
    dp += qn_rounded<Bf16>(qn_load(d_o + d)) * qn_rounded<Bf16>(qn_load(v + d));
  }
  p = expf(score * scale - lse);
  ds = qn_rounded<Bf16>(p * (dp - delta) * scale);
}
// dq (B,T,H,D): a warp per query. Position is 0 and S = T.
template <int D, bool Bf16, class TQ, class TK, class TV, class TDO, class TDQ>
QN_DEVICE void qn_attention_dq(int B, int T, int H, int G, const TQ *q, qn_long q_row, const TK *k, qn_long k_row, const TV *v, qn_long v_row, const float *lse, const TDO *d_o, const float *delta, TDQ *dq, qn_long dq_row, float scale, qn_mask mask) {
  const int PER = (D + QN_WARP - 1) / QN_WARP, lane = threadIdx.x % QN_WARP;
  const qn_long task = (qn_long)blockIdx.x * 4 + threadIdx.x / QN_WARP;
  if (task >= (qn_long)B * H * T) return; // a whole warp
  const int t = (int)(task % T), h = (int)(task / T % H), b = (int)(task / T / H), g = h / (H / G);
  const qn_view view = qn_view_of(mask, b, t);
  const qn_long token = (qn_long)b * T, statistic = ((qn_long)b * H + h) * T + t;
  float out[PER] = {};
  for (int s0 = 0; s0 < view.end; s0 += QN_WARP) {
    const int s = s0 + lane;
    float p = 0.0f, ds = 0.0f;
    if (qn_sees(view, s))
      qn_score_gradient<D, Bf16>(q + (token + t) * q_row + h * D, k + (token + s) * k_row + g * D, v + (token + s) * v_row + g * D, d_o + ((token + t) * H + h) * D, scale, lse[statistic], delta[statistic], p, ds);
    for (int j = 0; j < QN_WARP && s0 + j < view.end; j++) {
      const float slope = qn_shuffle(ds, j);
      if (slope == 0.0f) continue;
#pragma unroll
      for (int i = 0; i < PER; i++) {
        const int d = i * QN_WARP + lane;
        if (d < D) out[i] += slope * qn_rounded<Bf16>(qn_load(k + (token + s0 + j) * k_row + g * D + d));
      }
    }
  }
#pragma unroll
  for (int i = 0; i < PER; i++) {
    const int d = i * QN_WARP + lane;
    if (d < D) qn_store(dq + (token + t) * dq_row + h * D + d, out[i]);
  }
}
// dk and dv (B,T,G,D): a warp per key, which visits the queries of all heads of its group.
template <int D, bool Bf16, class TQ, class TK, class TV, class TDO, class TDK, class TDV>
QN_DEVICE void qn_attention_dk_dv(int B, int T, int H, int G, const TQ *q, qn_long q_row, const TK *k, qn_long k_row, const TV *v, qn_long v_row, const float *lse, const TDO *d_o, const float *delta, TDK *dk, qn_long dk_row, TDV *dv, qn_long dv_row, float scale, qn_mask mask) {
  const int PER = (D + QN_WARP - 1) / QN_WARP, lane = threadIdx.x % QN_WARP;
  const qn_long task = (qn_long)blockIdx.x * 4 + threadIdx.x / QN_WARP;
  if (task >= (qn_long)B * G * T) return; // a whole warp
  const int s = (int)(task % T), g = (int)(task / T % G), b = (int)(task / T / G);
  const qn_long token = (qn_long)b * T;
  float outK[PER] = {}, outV[PER] = {};
  for (int h = g * (H / G); h < (g + 1) * (H / G); h++)
    for (int t0 = s / QN_WARP * QN_WARP; t0 < T; t0 += QN_WARP) {
      const int t = t0 + lane;
      const qn_long statistic = ((qn_long)b * H + h) * T + t;
      float p = 0.0f, ds = 0.0f;
      if (t < T && qn_sees(qn_view_of(mask, b, t), s))
        qn_score_gradient<D, Bf16>(q + (token + t) * q_row + h * D, k + (token + s) * k_row + g * D, v + (token + s) * v_row + g * D, d_o + ((token + t) * H + h) * D, scale, lse[statistic], delta[statistic], p, ds);
      p = qn_rounded<Bf16>(p);
      for (int j = 0; j < QN_WARP && t0 + j < T; j++) {
        const float weight = qn_shuffle(p, j), slope = qn_shuffle(ds, j);
        if (weight == 0.0f && slope == 0.0f) continue;
#pragma unroll
        for (int i = 0; i < PER; i++) {
          const int d = i * QN_WARP + lane;
          if (d >= D) continue;
          outK[i] += slope * qn_rounded<Bf16>(qn_load(q + (token + t0 + j) * q_row + h * D + d));
          outV[i] += weight * qn_rounded<Bf16>(qn_load(d_o + ((token + t0 + j) * H + h) * D + d));
        }
      }
    }
#pragma unroll
  for (int i = 0; i < PER; i++) {
    const int d = i * QN_WARP + lane;
    if (d >= D) continue;
    qn_store(dk + (token + s) * dk_row + g * D + d, outK[i]);
    qn_store(dv + (token + s) * dv_row + g * D + d, outV[i]);
  }
}
#endif
