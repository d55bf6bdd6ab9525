// Attention with bf16 products in tile registers (tiles.h): the algorithm of attention.h in blocks of 32 x 32. A task packs the keys and
// values of a head once for all of its queries. As there, scores are transposed, (keys, QN_NR queries), so that softmax works lane
// by lane. Buffers are padded to whole tiles, and blocks of scores that the causal mask hides are skipped.
#ifndef QN_ATTENTION_TILES_H
#define QN_ATTENTION_TILES_H
#if QN_TILES
#define QN_TILE_KEYS 64 // keys per tile
#define QN_WHOLE(n) (((n) + QN_SIDE - 1) / QN_SIDE * QN_SIDE)
#define QN_HALF(n) (QN_WHOLE(n) / 2) // words of n elements as pairs
_Static_assert(QN_NR % QN_SIDE == 0, "queries are multiplied in whole tiles");

// Floats of scratch per worker
QN_FUNCTION long qn_attention_tiled_floats(long S, long D) {
  return QN_WHOLE(S) * QN_HALF(D) + QN_WHOLE(D) * QN_HALF(S) + (QN_HALF(D) + QN_WHOLE(D) + 2 * QN_TILE_KEYS + 2) * QN_NR;
}
QN_FUNCTION long qn_attention_tiled_backward_floats(long T, long D) {
  return 3 * QN_WHOLE(T) * QN_HALF(D) + 2 * QN_WHOLE(T) * QN_WHOLE(D) + QN_NR * QN_WHOLE(D) + (2 * QN_HALF(D) + QN_WHOLE(D) + 5 * QN_TILE_KEYS + 3) * QN_NR;
}

static void qn_tiles_product(long words, const float *A, long lda, const float *B, long ldb, float *C, long ldc, int add) {
  qn_fetch none = {0};
  if (words > 0) qn_tiles_multiply(words / QN_TILE_DEEP, A, lda, B, ldb, C, ldc, add, &none);
}
// Below, `is_bf16` tells whether `from` is stored in bf16.
#define QN_BF16_AT(from, i) ((const unsigned short *)(from) + (i))
// to (n, QN_HALF(D)) = from (n, D) as pairs along D, padded with 0
static void qn_tiled_along(int is_bf16, const float *from, long row, long n, long D, float *to) {
  if (is_bf16) {
    for (long i = 0; i < n; i++, to += QN_HALF(D)) for (long w = 0; w < QN_HALF(D); w += QN_VL)
      qn_store(to + w, qn_load_n((const float *)QN_BF16_AT(from, i * row + 2 * w), D > 2 * w ? D / 2 - w : 0));
    return;
  }
  for (long i = 0; i < n; i++, from += row, to += QN_HALF(D)) for (long w = 0; w < QN_HALF(D); w += QN_VL)
    qn_store(to + w, qn_pack_along(1, from + 2 * w, D > 2 * w ? D - 2 * w : 0));
}
// to (D, QN_HALF(n)) = from (n, D) transposed, as pairs of rows, padded with 0
static void qn_tiled_transpose(int is_bf16, const float *from, long row, long n, long D, float *to) {
  for (long w = 0; w < QN_HALF(n); w += QN_VL) for (long d = 0; d < D; d += QN_VL)
    if (is_bf16) qn_transpose_stored(QN_BF16_AT(from, 2 * w * row + d), row, n - 2 * w, D - d, to + d * QN_HALF(n) + w, QN_HALF(n), D - d);
    else qn_transpose_across(from + 2 * w * row + d, row, n - 2 * w, D - d, to + d * QN_HALF(n) + w, QN_HALF(n), D - d);
}
// to (QN_HALF(D), QN_NR) = from (n, D) transposed, as pairs along D, padded with 0
static void qn_tiled_queries(int is_bf16, const float *from, long row, long n, long D, float *to) {
  for (long w = 0; w < QN_HALF(D); w += QN_VL) for (long j = 0; j < QN_NR; j += QN_VL)
    if (is_bf16) qn_transpose_f32((const float *)QN_BF16_AT(from, j * row + 2 * w), row / 2, n - j, D > 2 * w ? D / 2 - w : 0, to + w * QN_NR + j, QN_NR, QN_HALF(D) - w);
    else qn_transpose_along(from + j * row + 2 * w, row, n - j, D > 2 * w ? D - 2 * w : 0, to + w * QN_NR + j, QN_NR, QN_HALF(D) - w);
}
// to (QN_NR / 2, QN_WHOLE(D)) = from (n, D) as pairs of rows, padded with 0
static void qn_tiled_across(int is_bf16, const float *from, long row, long n, long D, float *to) {
  for (long i = 0; i < QN_NR; i += 2, to += QN_WHOLE(D)) for (long d = 0; d < D; d += QN_VL) {
    if (is_bf16) {
      qn_store(to + d, qn_pair_bf16(i < n ? QN_BF16_AT(from, i * row + d) : 0, i + 1 < n ? QN_BF16_AT(from, (i + 1) * row + d) : 0, D - d));
      continue;
    }
    vf a = i < n ? qn_load_n(from + i * row + d, D - d) : (vf){0}, b = i + 1 < n ? qn_load_n(from + (i + 1) * row + d, D - d) : (vf){0};
    qn_store(to + d, qn_pack_bf16_across(a, b));
  }
}
static void qn_tiled_clear(float *to, long floats) { for (long i = 0; i < floats; i += QN_VL) qn_store(to + i, (vf){0}); }

// Number of the N keys from s0 on that any of the QN_SIDE queries from lane j on sees; `first` is the first query's position.
QN_INLINE long qn_tiled_seen(long s0, long N, long first, long j) {
  long seen = first + j + QN_SIDE - s0;
  return seen < 0 ? 0 : seen > N ? N : seen;
}
// scores (N keys, QN_NR) = rows (N keys, D packed) · queries (D packed, QN_NR)
static void qn_tiled_scores(long s0, long N, long first, long D, const float *rows, const float *queries, float *scores) {
  for (long j = 0; j < QN_NR; j += QN_SIDE) for (long s = 0; s < qn_tiled_seen(s0, N, first, j); s += QN_SIDE)
    qn_tiles_product(QN_HALF(D), rows + s * QN_HALF(D), QN_HALF(D), queries + j, QN_NR, scores + s * QN_NR + j, QN_NR, 0);
}
// out (D, QN_NR) += columns (D, keys packed; rows pitch words apart) · weights (N keys packed, QN_NR)
static void qn_tiled_PV(long s0, long N, long first, long D, const float *columns, long pitch, const float *weights, float *out) {
  for (long d = 0; d < D; d += QN_SIDE) for (long j = 0; j < QN_NR; j += QN_SIDE)
    qn_tiles_product(QN_HALF(qn_tiled_seen(s0, N, first, j)), columns + d * pitch, pitch, weights + j, QN_NR, out + d * QN_NR + j, QN_NR, 1);
}
// out (N keys, D) += weights (N keys, QN_NR packed) · rows (QN_NR packed, D)
static void qn_tiled_dK_dV(long s0, long N, long first, long D, const float *weights, const float *rows, float *out) {
  const long W = QN_WHOLE(D);
  for (long s = 0; s < N; s += QN_SIDE) {
    long hidden = (s0 + s - first) / QN_SIDE * QN_TILE_DEEP; // words of the queries that see none of these keys
    if (hidden < 0) hidden = 0;
    for (long d = 0; d < D; d += QN_SIDE) qn_tiles_product(QN_NR / 2 - hidden, weights + s * QN_NR + hidden, QN_NR, rows + hidden * W + d, W, out + s * W + d, W, 1);
  }
}

// Query tiles part, part + parts, ... of one head of one sequence.
static void qn_attention_tiled_task(void *context, long task, long worker) {
  const qn_attention_context *c = context;
  const long T = c->T, S = c->S, H = c->H, D = c->D, B = c->B, part = task / (B * H), b = task % (B * H) / H, h = task % H, g = h / (H / c->G);
  const qn_attention_view view = qn_attention_view_of(c, b);
  const float *k = qn_attention_at(c, QN_K_STORED, c->k, view.slot * S * c->k_row + g * D), *v = qn_attention_at(c, QN_V_STORED, c->v, view.slot * S * c->v_row + g * D);
  const float unit = c->scale * QN_LOG2E; // from dot product to score
  const long all = view.position + T < view.seen ? view.position + T : view.seen, pitch = QN_HALF(all);
  // keys (all, D packed); values (D, all packed); q (D packed, QN_NR); o (D, QN_NR); p (keys, QN_NR); packed (keys packed, QN_NR)
  float *keys = c->scratch + worker * qn_attention_tiled_floats(S, D), *values = keys + QN_WHOLE(S) * QN_HALF(D), *q = values + QN_WHOLE(D) * QN_HALF(S);
  float *o = q + QN_HALF(D) * QN_NR, *p = o + QN_WHOLE(D) * QN_NR, *packed = p + QN_TILE_KEYS * QN_NR, *m = packed + QN_TILE_KEYS * QN_NR, *l = m + QN_NR;
  const int *segments = c->segments ? c->segments + b * S : 0, *ends = c->ends ? c->ends + b * S : 0;
  int queries[QN_NR];
  if (view.seen > 0) {
    qn_tiled_along(c->bf16 & QN_K_STORED, k, c->k_row, all, D, keys);
    qn_tiled_transpose(c->bf16 & QN_V_STORED, v, c->v_row, all, D, values);
  }
  for (long t0 = part * QN_NR; t0 < T; t0 += c->parts * QN_NR) {
    long n = T - t0 < QN_NR ? T - t0 : QN_NR, first = view.position + t0, seen = first + n < view.seen ? first + n : view.seen;
    if (seen == 0) {
      qn_attention_no_keys(c, b, h, t0, n);
      continue;
    }
    if (segments) qn_attention_query_segments(segments, S, first, queries);
    qn_tiled_queries(c->bf16 & QN_Q_STORED, qn_attention_at(c, QN_Q_STORED, c->q, (b * T + t0) * c->q_row + h * D), c->q_row, n, D, q);
    qn_tiled_clear(o, QN_WHOLE(D) * QN_NR);
    for (long j = 0; j < QN_NR; j += QN_VL) qn_store(m + j, qn_splat(-QN_INFINITY)), qn_store(l + j, (vf){0});
    for (long s0 = 0; s0 < seen; s0 += QN_TILE_KEYS) {
      long s1 = s0 + QN_TILE_KEYS < seen ? s0 + QN_TILE_KEYS : seen, N = s1 - s0;
      if (qn_attention_ended(ends, s0, s1, first)) continue;
      qn_tiled_scores(s0, N, first, D, keys + s0 * QN_HALF(D), q, p);
      if (segments) qn_attention_mask_segments(segments, s0, s1, queries, QN_MASKED, p);
      if (ends) qn_attention_mask_ends(ends, s0, s1, first, QN_MASKED, p);
      if (s1 > first + 1) qn_attention_mask_causal(s0, s1, first, -QN_INFINITY, p);
      qn_attention_softmax(N, s0 == 0, D, unit, p, m, l, o);
      qn_attention_pack_tile_across(p, N, packed);
      for (long s = (N + 1) / 2; s < QN_HALF(N); s++) qn_tiled_clear(packed + s * QN_NR, QN_NR);
      qn_tiled_PV(s0, N, first, D, values + s0 / 2, pitch, packed, o);
    }
    qn_attention_finish(c, b, h, t0, n, o, m, l);
  }
}
static void qn_attention_tiled(qn_attention_context *c) {
  long heads = c->B * c->H, tiles = (c->T + QN_NR - 1) / QN_NR;
  c->parts = heads >= 2 * qn_threads || qn_threads == 1 ? 1 : (2 * qn_threads + heads - 1) / heads;
  if (c->parts > tiles) c->parts = tiles;
  qn_parallel(heads * c->parts, qn_attention_tiled_task, c);
}

// Rows of `to` (n, D) from element `at` on = from (n, QN_WHOLE(D))
static void qn_tiled_write(int to_bf16, const float *from, long n, long D, float *to, long at, long row) {
  for (long t = 0; t < n; t++, at += row, from += QN_WHOLE(D)) for (long d = 0; d < D; d += QN_VL) {
    if (to_bf16) qn_store_n_bf16((unsigned short *)to + at + d, qn_load(from + d), D - d);
    else qn_store_n(to + at + d, qn_load(from + d), D - d);
  }
}
// One task takes all heads of one group of one sequence, so that dk and dv have a single writer.
static void qn_attention_tiled_backward_task(void *context, long task, long worker) {
  const qn_attention_context *c = context;
  const long T = c->T, H = c->H, D = c->D, W = QN_WHOLE(D), b = task / c->G, g = task % c->G, R = H / c->G, length = qn_attention_view_of(c, b).seen, pitch = QN_HALF(length);
  const float *k = qn_attention_at(c, QN_K_STORED, c->k, b * T * c->k_row + g * D), *v = qn_attention_at(c, QN_V_STORED, c->v, b * T * c->v_row + g * D), unit = c->scale * QN_LOG2E;
  const int k_bf16 = c->bf16 & QN_K_STORED, q_bf16 = c->bf16 & QN_Q_STORED, d_o_bf16 = c->bf16 & QN_DO_STORED;
  // keys, values (length, D packed); columns (D, length packed): the keys transposed; dk, dv (length, D); q, d_o (D packed, QN_NR),
  // q_rows, d_o_rows (QN_NR packed, D); dq (D, QN_NR); p, ds (keys, QN_NR), ..._along in pairs of queries, ..._across of keys
  float *keys = c->scratch + worker * qn_attention_tiled_backward_floats(T, D), *values = keys + QN_WHOLE(T) * QN_HALF(D), *columns = values + QN_WHOLE(T) * QN_HALF(D);
  float *dk = columns + QN_WHOLE(D) * QN_HALF(T), *dv = dk + QN_WHOLE(T) * W, *q = dv + QN_WHOLE(T) * W, *d_o = q + QN_HALF(D) * QN_NR;
  float *q_rows = d_o + QN_HALF(D) * QN_NR, *d_o_rows = q_rows + QN_NR / 2 * W, *dq = d_o_rows + QN_NR / 2 * W;
  float *p = dq + W * QN_NR, *ds = p + QN_TILE_KEYS * QN_NR, *p_along = ds + QN_TILE_KEYS * QN_NR, *ds_along = p_along + QN_TILE_KEYS * QN_NR, *ds_across = ds_along + QN_TILE_KEYS * QN_NR;
  float *lse = ds_across + QN_TILE_KEYS * QN_NR, *delta = lse + QN_NR, *ones = delta + QN_NR;
  const int *segments = c->segments ? c->segments + b * T : 0, *ends = c->ends ? c->ends + b * T : 0;
  int queries[QN_NR];
  for (long j = 0; j < QN_NR; j += QN_VL) qn_store(ones + j, qn_splat(1.0f));
  qn_tiled_clear(dk, 2 * QN_WHOLE(T) * W);
  qn_tiled_along(k_bf16, k, c->k_row, length, D, keys);
  qn_tiled_along(c->bf16 & QN_V_STORED, v, c->v_row, length, D, values);
  qn_tiled_transpose(k_bf16, k, c->k_row, length, D, columns);
  for (long h = g * R; h < g * R + R; h++) for (long t0 = 0; t0 < T; t0 += QN_NR) {
    long n = T - t0 < QN_NR ? T - t0 : QN_NR, seen = t0 + n < length ? t0 + n : length;
    const float *q_at = qn_attention_at(c, QN_Q_STORED, c->q, (b * T + t0) * c->q_row + h * D), *d_o_at = qn_attention_at(c, QN_DO_STORED, c->d_o, ((b * T + t0) * H + h) * D);
    qn_tiled_clear(dq, W * QN_NR);
    if (seen > 0) {
      if (segments) qn_attention_query_segments(segments, T, t0, queries);
      qn_tiled_queries(q_bf16, q_at, c->q_row, n, D, q);
      qn_tiled_queries(d_o_bf16, d_o_at, H * D, n, D, d_o);
      qn_tiled_across(q_bf16, q_at, c->q_row, n, D, q_rows);
      qn_tiled_across(d_o_bf16, d_o_at, H * D, n, D, d_o_rows);
      qn_attention_deltas(c, b, h, t0, n, delta, lse);
    }
    for (long s0 = 0; s0 < seen; s0 += QN_TILE_KEYS) {
      long s1 = s0 + QN_TILE_KEYS < seen ? s0 + QN_TILE_KEYS : seen, N = s1 - s0;
      if (qn_attention_ended(ends, s0, s1, t0)) continue;
      qn_tiled_scores(s0, N, t0, D, keys + s0 * QN_HALF(D), q, p);
      qn_tiled_scores(s0, N, t0, D, values + s0 * QN_HALF(D), d_o, ds);
      if (segments) qn_attention_mask_segments(segments, s0, s1, queries, -QN_INFINITY, p);
      if (ends) qn_attention_mask_ends(ends, s0, s1, t0, -QN_INFINITY, p);
      if (s1 > t0 + 1) qn_attention_mask_causal(s0, s1, t0, -QN_INFINITY, p), qn_attention_mask_causal(s0, s1, t0, 0.0f, ds);
      qn_attention_score_gradient(N, unit, c->scale, p, ds, lse, delta);
      qn_tiled_clear(p + N * QN_NR, (QN_WHOLE(N) - N) * QN_NR);
      qn_tiled_clear(ds + N * QN_NR, (QN_WHOLE(N) - N) * QN_NR);
      qn_attention_pack_tile_along(p, QN_WHOLE(N), p_along);
      qn_attention_pack_tile_along(ds, QN_WHOLE(N), ds_along);
      qn_attention_pack_tile_across(ds, QN_WHOLE(N), ds_across);
      qn_tiled_dK_dV(s0, N, t0, D, p_along, d_o_rows, dv + s0 * W);
      qn_tiled_dK_dV(s0, N, t0, D, ds_along, q_rows, dk + s0 * W);
      qn_tiled_PV(s0, N, t0, D, columns + s0 / 2, pitch, ds_across, dq);
    }
    const long dq_at = (b * T + t0) * c->dq_row + h * D;
    if (c->bf16 & QN_DQ_STORED) qn_attention_transpose_back_bf16(D, n, dq, ones, (unsigned short *)c->dq + dq_at, c->dq_row);
    else qn_attention_transpose_back(D, n, dq, ones, c->dq + dq_at, c->dq_row);
  }
  qn_tiled_write(c->bf16 & QN_DK_STORED, dk, T, D, c->dk, b * T * c->dk_row + g * D, c->dk_row);
  qn_tiled_write(c->bf16 & QN_DV_STORED, dv, T, D, c->dv, b * T * c->dv_row + g * D, c->dv_row);
}
#endif
#endif
