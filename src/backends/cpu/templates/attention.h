// Causal attention, forward and backward, grouped queries. Nothing of size (T,S) is stored: a task takes QN_NR queries of one
// head, a query a lane, and goes over the keys in tiles small enough for the first-level cache. Scores, weights and outputs stand
// transposed, (keys, queries) and (D, queries): so softmax is lane by lane, the keys and values are read where they lie, and
// each product's right side is already a panel of QN_NR columns. Tiles above the diagonal are skipped, and where only the
// later half of the queries sees a key only that half is computed. Scores are in units of log2, so exp is 2^x.
#ifndef QN_ATTENTION_H
#define QN_ATTENTION_H
#define QN_KEYS (3072 / QN_NR / QN_MR * QN_MR) // keys a tile: scores of at most 12 KiB
#define QN_FEW 4                               // up to so many queries (a token is decoded) a lane is a dimension instead
#define QN_LOG2E 1.44269504f
#define QN_LN2 0.693147181f

// Scratch in floats, D the head width: qn_threads * (128 * D + 3584) + 16.
QN_FUNCTION long qn_attention_scratch(long D) { return qn_threads * (128 * D + 3584) + 16; }
// qn_threads * (192 * D + 6656) + 16
QN_FUNCTION long qn_attention_backward_scratch(long D) { return qn_threads * (192 * D + 6656) + 16; }

typedef struct {
  long B, T, S, H, G, D; const float *q; long q_row; const float *k; long k_row; const float *v; long v_row;
  float *o; float *lse; float scale; long position; const int *segments; float *scratch;
  const float *d_o; float *dq; long dq_row; float *dk; long dk_row; float *dv; long dv_row;
} qn_attention_context;

// The products of a task; "half" computes the later half of the queries. `by_rows`: A's rows are keys, K is D;
// `by_columns`: A's rows are dimensions, K is keys.
QN_STRIPS(qn_by_rows, QN_MR, QN_NV, lda, 1, QN_NR, QN_NR)
QN_STRIPS(qn_by_columns, QN_MR, QN_NV, 1, lda, QN_NR, QN_NR)
#if QN_NV > 2
QN_STRIPS(qn_by_rows_half, QN_TALL, QN_NV / 2, lda, 1, QN_NR, QN_NR)
QN_STRIPS(qn_by_columns_half, QN_TALL, QN_NV / 2, 1, lda, QN_NR, QN_NR)
#endif
// Keys by dimensions: A is a tile (keys, queries), B and C are rows in memory.
QN_STRIPS(qn_keys_wide, QN_MR, QN_NV, QN_NR, 1, ldb, ldc)
#if QN_NV > 2
QN_STRIPS(qn_keys_half, QN_TALL, QN_NV / 2, QN_NR, 1, ldb, ldc)
#endif
QN_STRIPS(qn_keys_one, QN_MR, 1, QN_NR, 1, ldb, ldc)

// scores (keys s0..s1, QN_NR) = rows of `from` (k or v) · queries (D, QN_NR); lanes below half are not made for keys >= late.
static void qn_attention_scores(long s0, long s1, long late, long D, const float *from, long row, const float *queries, float *scores) {
  if (late < s0) late = s0;
  if (late > s1 || QN_NV <= 2) late = s1;
  qn_by_rows(late - s0, D, from + s0 * row, row, queries, 0, scores, 0, 0);
#if QN_NV > 2
  qn_by_rows_half(s1 - late, D, from + late * row, row, queries + QN_NR / 2, 0, scores + (late - s0) * QN_NR + QN_NR / 2, 0, 0);
#endif
}
// out (D, QN_NR) += transposed rows s0..s1 of `from` (v or k) · weights (keys, QN_NR)
static void qn_attention_mix(long s0, long s1, long late, long D, const float *from, long row, const float *weights, float *out) {
  if (late < s0) late = s0;
  if (late > s1 || QN_NV <= 2) late = s1;
  qn_by_columns(D, late - s0, from + s0 * row, row, weights, 0, out, 0, 1);
#if QN_NV > 2
  if (s1 > late) qn_by_columns_half(D, s1 - late, from + late * row, row, weights + (late - s0) * QN_NR + QN_NR / 2, 0, out + QN_NR / 2, 0, 1);
#endif
}
// rows s0..s1 of `to` (dk or dv) += weights (keys, QN_NR) · n rows of `from` (q or d_o), where query j sees the keys up to
// seen + j. Keys that all see are taken together, the others strip by strip, each from the first query that sees it on.
static void qn_attention_spread(long s0, long s1, long seen, long n, long D, const float *weights, const float *from, long row, float *to, long to_row) {
  for (long s = s0, m; s < s1; s += m, weights += m * QN_NR) {
    long together = s <= seen ? seen + 1 - s : QN_TALL, q = s <= seen ? 0 : s - seen, d = 0;
    m = s1 - s < together ? s1 - s : together;
    const float *A = weights + q, *B = from + q * row;
    float *C = to + s * to_row;
    for (; d + QN_NR <= D; d += QN_NR) qn_keys_wide(m, n - q, A, 0, B + d, row, C + d, to_row, 1);
#if QN_NV > 2
    for (; d + QN_NR / 2 <= D; d += QN_NR / 2) qn_keys_half(m, n - q, A, 0, B + d, row, C + d, to_row, 1);
#endif
    for (; d + QN_VL <= D; d += QN_VL) qn_keys_one(m, n - q, A, 0, B + d, row, C + d, to_row, 1);
    if (d < D) for (long i = 0; i < m; i++) { // the last part of a vector
      vf c = qn_load_n(C + i * to_row + d, D - d);
      for (long j = 0; j < n - q; j++) c += A[i * QN_NR + j] * qn_load_n(B + j * row + d, D - d);
      qn_store_n(C + i * to_row + d, c, D - d);
    }
  }
}

// to (D, QN_NR) = factor * n rows of `from`, turned, 0 where there are no more
static __attribute__((noinline)) void qn_attention_turn(long D, long n, const float *from, long row, float factor, float *to) {
  for (long j = 0; j < QN_NR; j += QN_VL) for (long d = 0; d < D; d += QN_VL)
    qn_turn_square(0, 0, from + j * row + d, row, n - j, D - d, factor, to + d * QN_NR + j, QN_NR, D - d);
}
// n rows of `to` = from (D, QN_NR) turned, each lane times its factor
static __attribute__((noinline)) void qn_attention_turn_back(long D, long n, const float *from, const float *factors, float *to, long row) {
  for (long j = 0; j < n; j += QN_VL) for (long d = 0; d < D; d += QN_VL) {
    vf x[QN_VL], f = qn_load(factors + j);
    if (d + QN_VL <= D && j + QN_VL <= n) {
      QN_UNROLL for (int i = 0; i < QN_VL; i++) x[i] = qn_load(from + (d + i) * QN_NR + j) * f;
      qn_transpose(x);
      QN_UNROLL for (int i = 0; i < QN_VL; i++) qn_store(to + (j + i) * row + d, x[i]);
      continue;
    }
    for (int i = 0; i < QN_VL; i++) x[i] = d + i < D ? qn_load(from + (d + i) * QN_NR + j) * f : (vf){0};
    qn_transpose(x);
    for (int i = 0; i < QN_VL && j + i < n; i++) qn_store_n(to + (j + i) * row + d, x[i], D - d);
  }
}
// Keys after `seen` + lane are not seen: `value` takes their place.
static void qn_attention_mask(long s0, long s1, long seen, float value, float *tile) {
  vi lane;
  for (int i = 0; i < QN_VL; i++) lane[i] = i;
  for (long s = s0 > seen + 1 ? s0 : seen + 1; s < s1; s++) for (long j = 0; j < QN_NR && j < s - seen; j += QN_VL) {
    float *p = tile + (s - s0) * QN_NR + j;
    qn_store(p, qn_select(lane < (int)(s - seen - j), qn_splat(value), qn_load(p)));
  }
}

// Where keys and queries have segments (of T or S places each; 0 where there are none): keys s0..s1 of another one than the
// query's are not seen. queries: the segments of the lanes.
static void qn_attention_apart(const int *segments, long s0, long s1, const int *queries, float value, float *tile) {
  for (long s = s0; s < s1; s++) for (long j = 0; j < QN_NR; j += QN_VL) {
    vi lanes;
    __builtin_memcpy(&lanes, queries + j, sizeof lanes);
    float *p = tile + (s - s0) * QN_NR + j;
    qn_store(p, qn_select(lanes == segments[s], qn_load(p), qn_splat(value)));
  }
}
static void qn_attention_lanes(const int *segments, long first, long n, int *queries) {
  for (long j = 0; j < QN_NR; j++) queries[j] = segments[first + (j < n ? j : 0)];
}
#define QN_UNSEEN -1e30f // a score that weighs nothing beside a real one; all of a tile may be such, which infinities could not

static void qn_attention_task(void *context, long task, long worker) {
  const qn_attention_context *c = context;
  long T = c->T, S = c->S, H = c->H, D = c->D, tiles = (T + QN_NR - 1) / QN_NR;
  long t0 = (tiles - 1 - task / (c->B * H)) * QN_NR, b = task % (c->B * H) / H, h = task % H, g = h / (H / c->G); // long ones first
  long n = T - t0 < QN_NR ? T - t0 : QN_NR, first = c->position + t0, seen = first + n < S ? first + n : S;
  const float *k = c->k + b * S * c->k_row + g * D, *v = c->v + b * S * c->v_row + g * D;
  float *q = c->scratch + worker * (128 * D + 3584), *o = q + QN_NR * D, *p = o + QN_NR * D, *m = p + 3072, *l = m + QN_NR;
  const int *segments = c->segments ? c->segments + b * S : 0;
  int queries[QN_NR];
  if (segments) qn_attention_lanes(segments, first, seen - first, queries);
  qn_attention_turn(D, n, c->q + (b * T + t0) * c->q_row + h * D, c->q_row, c->scale * QN_LOG2E, q);
  for (long i = 0; i < D * QN_NR; i += QN_VL) qn_store(o + i, (vf){0});
  for (long j = 0; j < QN_NR; j += QN_VL) qn_store(m + j, qn_splat(-QN_INFINITY)), qn_store(l + j, (vf){0});
  for (long s0 = 0; s0 < seen; s0 += QN_KEYS) {
    long s1 = s0 + QN_KEYS < seen ? s0 + QN_KEYS : seen, late = first + QN_NR / 2 + 1;
    qn_attention_scores(s0, s1, late, D, k, c->k_row, q, p);
    if (segments) qn_attention_apart(segments, s0, s1, queries, QN_UNSEEN, p);
    if (s1 > first + 1) qn_attention_mask(s0, s1, first, -QN_INFINITY, p);
    vf changed = {0}, corrections[QN_NV], most[QN_NV], sums[QN_NV];
    QN_UNROLL for (int j = 0; j < QN_NV; j++) most[j] = qn_load(m + j * QN_VL), sums[j] = (vf){0};
    for (float *row = p; row < p + (s1 - s0) * QN_NR; row += QN_NR) QN_UNROLL for (int j = 0; j < QN_NV; j++) most[j] = qn_max(qn_load(row + j * QN_VL), most[j]);
    for (float *row = p; row < p + (s1 - s0) * QN_NR; row += QN_NR) QN_UNROLL for (int j = 0; j < QN_NV; j++) {
      vf e = qn_exp2_weight(qn_load(row + j * QN_VL) - most[j]);
      sums[j] += e;
      qn_store(row + j * QN_VL, e);
    }
    QN_UNROLL for (int j = 0; j < QN_NV; j++) {
      vf before = qn_load(m + j * QN_VL);
      corrections[j] = qn_exp2_weight(before - most[j]);
      qn_store(m + j * QN_VL, most[j]);
      qn_store(l + j * QN_VL, qn_load(l + j * QN_VL) * corrections[j] + sums[j]);
      changed = qn_max(most[j] - before, changed);
    }
    if (s0 > 0 && qn_max_lanes(changed) > 0.0f) for (long d = 0; d < D; d++) QN_UNROLL for (int j = 0; j < QN_NV; j++)
      qn_store(o + d * QN_NR + j * QN_VL, qn_load(o + d * QN_NR + j * QN_VL) * corrections[j]);
    qn_attention_mix(s0, s1, late, D, v, c->v_row, p, o);
  }
  for (long j = 0; j < QN_NR; j += QN_VL) {
    vf sum = qn_load(l + j);
    qn_store_n(c->lse + (b * H + h) * T + t0 + j, qn_load(m + j) * QN_LN2 + qn_log(sum), n - j > 0 ? n - j : 0);
    qn_store(l + j, 1.0f / sum);
  }
  qn_attention_turn_back(D, n, o, l, c->o + ((b * T + t0) * H + h) * D, H * D);
}

// A few queries: scores are dot products along D, four keys at a time, and outputs sums of rows.
static void qn_attention_few_task(void *context, long task, long worker) {
  const qn_attention_context *c = context;
  long T = c->T, S = c->S, H = c->H, D = c->D, t = task % T, h = task / T % H, b = task / T / H, g = h / (H / c->G);
  long seen = c->position + t + 1 < S ? c->position + t + 1 : S;
  const float *q = c->q + (b * T + t) * c->q_row + h * D, *k = c->k + b * S * c->k_row + g * D, *v = c->v + b * S * c->v_row + g * D;
  const int *segments = c->segments ? c->segments + b * S : 0;
  float *o = c->o + ((b * T + t) * H + h) * D, *p = c->scratch + worker * (128 * D + 3584), m = -QN_INFINITY, l = 0;
  for (long s0 = 0; s0 < seen; s0 += 512) {
    long n = seen - s0 < 512 ? seen - s0 : 512, s;
    float most = m;
    for (s = 0; s < n; s += n - s >= 4 ? 4 : 1) {
      const float *row = k + (s0 + s) * c->k_row;
      if (n - s >= 4) qn_dots(1, 4, D, q, 0, row, c->k_row, p + s, 0, 0);
      else qn_dots(1, 1, D, q, 0, row, c->k_row, p + s, 0, 0);
    }
    for (s = 0; s < n; s++) {
      p[s] = segments && segments[s0 + s] != segments[seen - 1] ? QN_UNSEEN : p[s] * (c->scale * QN_LOG2E);
      most = p[s] > most ? p[s] : most;
    }
    float correction = qn_exp2_weight(qn_splat(m - most))[0];
    vf sum = {0};
    for (s = 0; s < n; s += QN_VL) {
      vf e = qn_exp2_weight(qn_load_n(p + s, n - s) - most);
      qn_store_n(p + s, e, n - s);
      sum += qn_load_n(p + s, n - s);
    }
    l = l * correction + qn_sum(sum);
    m = most;
    for (long d = 0; d < D; d += 4 * QN_VL) {
      vf x[4];
      long left = D - d;
      QN_UNROLL for (int j = 0; j < 4; j++) x[j] = s0 > 0 && left > j * QN_VL ? qn_load_n(o + d + j * QN_VL, left - j * QN_VL) * correction : (vf){0};
      if (left >= 4 * QN_VL) for (s = 0; s < n; s++) QN_UNROLL for (int j = 0; j < 4; j++) x[j] += p[s] * qn_load(v + (s0 + s) * c->v_row + d + j * QN_VL);
      else for (s = 0; s < n; s++) QN_UNROLL for (int j = 0; j < 4; j++) if (left > j * QN_VL) x[j] += p[s] * qn_load_n(v + (s0 + s) * c->v_row + d + j * QN_VL, left - j * QN_VL);
      QN_UNROLL for (int j = 0; j < 4; j++) if (left > j * QN_VL) qn_store_n(o + d + j * QN_VL, x[j], left - j * QN_VL);
    }
  }
  for (long d = 0; d < D; d += QN_VL) qn_store_n(o + d, qn_load_n(o + d, D - d) * (1.0f / l), D - d);
  c->lse[(b * H + h) * T + t] = m * QN_LN2 + qn_log(qn_splat(l))[0];
}

// q (B,T,H,D): element (b,t,h,d) at q[(b*T+t)*q_row + h*D + d]; k, v (B,S,G,D) likewise with k_row, v_row (G key/value
// heads, H % G == 0); o (B,T,H,D) rows of H*D; lse (B,H,T). Query t is at position `position + t` and sees keys
// 0..position+t (< S); other keys are not read. Where there are segments (B,S), it sees those of its own place's alone.
QN_FUNCTION void qn_attention(long B, long T, long S, long H, long G, long D, const float *q, long q_row, const float *k, long k_row, const float *v, long v_row, float *o, float *lse, float scale, long position, const int *segments, float *scratch) {
  float *aligned = scratch + (64 - ((unsigned long)scratch & 63)) / 4 % 16;
  qn_attention_context c = {.B = B, .T = T, .S = S, .H = H, .G = G, .D = D, .q = q, .q_row = q_row, .k = k, .k_row = k_row, .v = v, .v_row = v_row, .o = o, .lse = lse, .scale = scale, .position = position, .segments = segments, .scratch = aligned};
  if (T <= QN_FEW) qn_parallel(B * H * T, qn_attention_few_task, &c);
  else qn_parallel(B * H * ((T + QN_NR - 1) / QN_NR), qn_attention_task, &c);
}

// All heads of one group of one sequence, so that its dk and dv have one writer.
static void qn_attention_backward_task(void *context, long task, long worker) {
  const qn_attention_context *c = context;
  long T = c->T, H = c->H, D = c->D, b = task / c->G, g = task % c->G, R = H / c->G;
  const float *k = c->k + b * T * c->k_row + g * D, *v = c->v + b * T * c->v_row + g * D;
  float *dk = c->dk + b * T * c->dk_row + g * D, *dv = c->dv + b * T * c->dv_row + g * D;
  float *q = c->scratch + worker * (192 * D + 6656), *d_o = q + QN_NR * D, *dq = d_o + QN_NR * D, *p = dq + QN_NR * D, *ds = p + 3072, *lse = ds + 3072, *delta = lse + QN_NR, *ones = delta + QN_NR;
  const int *segments = c->segments ? c->segments + b * T : 0;
  for (long t = 0; t < T; t++) for (long d = 0; d < D; d += QN_VL) qn_store_n(dk + t * c->dk_row + d, (vf){0}, D - d), qn_store_n(dv + t * c->dv_row + d, (vf){0}, D - d);
  for (long j = 0; j < QN_NR; j += QN_VL) qn_store(ones + j, qn_splat(1.0f));
  for (long h = g * R; h < g * R + R; h++) for (long t0 = 0; t0 < T; t0 += QN_NR) {
    long n = T - t0 < QN_NR ? T - t0 : QN_NR, seen = t0 + n, late = t0 + QN_NR / 2 + 1;
    int queries[QN_NR];
    if (segments) qn_attention_lanes(segments, t0, n, queries);
    const float *q_rows = c->q + (b * T + t0) * c->q_row + h * D, *d_o_rows = c->d_o + ((b * T + t0) * H + h) * D, *o_rows = c->o + ((b * T + t0) * H + h) * D;
    qn_attention_turn(D, n, q_rows, c->q_row, c->scale * QN_LOG2E, q);
    qn_attention_turn(D, n, d_o_rows, H * D, 1.0f, d_o);
    for (long i = 0; i < D * QN_NR; i += QN_VL) qn_store(dq + i, (vf){0});
    for (long j = 0; j < QN_NR; j++) { // a lane without a query has weights 2^-inf = 0
      vf sum = {0};
      for (long d = 0; j < n && d < D; d += QN_VL) sum += qn_load_n(o_rows + j * H * D + d, D - d) * qn_load_n(d_o_rows + j * H * D + d, D - d);
      delta[j] = qn_sum(sum);
      lse[j] = j < n ? c->lse[(b * H + h) * T + t0 + j] * QN_LOG2E : QN_INFINITY;
    }
    for (long s0 = 0; s0 < seen; s0 += QN_KEYS) {
      long s1 = s0 + QN_KEYS < seen ? s0 + QN_KEYS : seen;
      qn_attention_scores(s0, s1, late, D, k, c->k_row, q, p);
      qn_attention_scores(s0, s1, late, D, v, c->v_row, d_o, ds);
      if (segments) qn_attention_apart(segments, s0, s1, queries, -QN_INFINITY, p);
      if (s1 > t0 + 1) qn_attention_mask(s0, s1, t0, -QN_INFINITY, p), qn_attention_mask(s0, s1, t0, 0.0f, ds);
      for (long s = 0; s < s1 - s0; s++) QN_UNROLL for (int j = 0; j < QN_NR; j += QN_VL) {
        vf e = qn_exp2_weight(qn_load(p + s * QN_NR + j) - qn_load(lse + j));
        qn_store(p + s * QN_NR + j, e);
        qn_store(ds + s * QN_NR + j, e * (qn_load(ds + s * QN_NR + j) - qn_load(delta + j)) * c->scale);
      }
      qn_attention_spread(s0, s1, t0, n, D, p, d_o_rows, H * D, dv, c->dv_row);
      qn_attention_spread(s0, s1, t0, n, D, ds, q_rows, c->q_row, dk, c->dk_row);
      qn_attention_mix(s0, s1, late, D, k, c->k_row, ds, dq);
    }
    qn_attention_turn_back(D, n, dq, ones, c->dq + (b * T + t0) * c->dq_row + h * D, c->dq_row);
  }
}

// Training only (position 0, S == T): dq (B,T,H,D), dk, dv (B,T,G,D), each with its own row stride; all overwritten.
// dq, dk, dv must not overlap q, k, v, o, d_o.
QN_FUNCTION void qn_attention_backward(long B, long T, long H, long G, long D, const float *q, long q_row, const float *k, long k_row, const float *v, long v_row, const float *o, const float *lse, const float *d_o, float *dq, long dq_row, float *dk, long dk_row, float *dv, long dv_row, float scale, const int *segments, float *scratch) {
  float *aligned = scratch + (64 - ((unsigned long)scratch & 63)) / 4 % 16;
  qn_attention_context c = {.B = B, .T = T, .S = T, .H = H, .G = G, .D = D, .q = q, .q_row = q_row, .k = k, .k_row = k_row, .v = v, .v_row = v_row, .o = (float *)o, .lse = (float *)lse, .scale = scale, .position = 0, .segments = segments, .scratch = aligned,
                            .d_o = d_o, .dq = dq, .dq_row = dq_row, .dk = dk, .dk_row = dk_row, .dv = dv, .dv_row = dv_row};
  qn_parallel(B * G, qn_attention_backward_task, &c);
}
#endif
