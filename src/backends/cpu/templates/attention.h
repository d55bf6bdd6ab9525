// Causal attention with grouped queries, forward and backward. No (T,S) matrix is stored. A task takes QN_NR queries of one
// head, one query per lane, and visits the keys in tiles that fit L1. Scores, weights and outputs are stored transposed, as
// (keys, queries) and (D, queries). So softmax works lane by lane and keys and values are read in place. The right operand of
// each product is already a panel of QN_NR columns. Tiles above the diagonal are skipped; if only the later half of the queries
// sees a key, only that half is computed. Scores are in units of log2, so exp is 2^x.
#ifndef QN_ATTENTION_H
#define QN_ATTENTION_H
#ifndef QN_SMALL_CACHE
#define QN_SMALL_CACHE 1 // whether keys and values may have other types than float; most programs have none, and it takes long to compile
#endif
#define QN_KEYS (3072 / QN_NR / QN_MR * QN_MR) // keys per tile: scores of at most 12 KiB
#define QN_FEW_QUERIES 4                               // up to this many queries (decoding), a lane is a dimension of D instead
#define QN_LOG2E 1.44269504f
#define QN_LN2 0.693147181f

// D is the head width.
#define QN_PITCH(D) (((D) + QN_VL - 1) / QN_VL * QN_VL) // floats between packed rows
#define QN_ATTENTION_FLOATS(D) ((2 * QN_NR + 2 * QN_KEYS) * QN_PITCH(D) + QN_KEYS * QN_NR + 3 * QN_NR)
#define QN_ATTENTION_BACKWARD_FLOATS(D) ((5 * QN_NR + 3 * QN_KEYS) * QN_PITCH(D) + 3 * QN_KEYS * QN_NR + 4 * QN_NR)
// Scratch in floats, for all workers.
#if QN_TILES // attention_tiles.h
QN_FUNCTION long qn_attention_tiled_floats(long S, long D);
QN_FUNCTION long qn_attention_tiled_backward_floats(long T, long D);
#else
#define qn_attention_tiled_floats(S, D) ((void)(S), 0)
#define qn_attention_tiled_backward_floats(T, D) ((void)(T), 0)
#endif
// Keys and values of a 16-bit cache are widened before more than a few queries read them: floats for both, and the row's slot.
QN_INLINE long qn_attention_wide_floats(int cached, long B, long T, long S, long G, long D) { return cached == QN_CACHED_F32 || T <= QN_FEW_QUERIES ? 0 : (B * (2 * S * G * D + 1) + 15) / 16 * 16; }
QN_TEMPLATE long qn_attention_scratch(int cached, long B, long T, long S, long G, long D) {
  long floats = QN_ATTENTION_FLOATS(D), tiled = qn_attention_tiled_floats(S, D);
  return qn_attention_wide_floats(cached, B, T, S, G, D) + qn_threads * (floats > tiled ? floats : tiled) + 16;
}
QN_TEMPLATE long qn_attention_backward_scratch(long T, long D) {
  long floats = QN_ATTENTION_BACKWARD_FLOATS(D), tiled = qn_attention_tiled_backward_floats(T, D);
  return qn_threads * (floats > tiled ? floats : tiled) + 16;
}

// With tiles, `bf16` also tells which tensors are stored in bf16. Their strides are in elements, and D is even.
enum { QN_Q_STORED = 2, QN_K_STORED = 4, QN_V_STORED = 8, QN_O_STORED = 16, QN_DO_STORED = 32, QN_DQ_STORED = 64, QN_DK_STORED = 128, QN_DV_STORED = 256 };
typedef struct {
  int bf16; long B, T, S, H, G, D;
  const float *q; long q_row;                              // (B,T,H,D), positions q_row floats apart
  const float *k; long k_row; const float *v; long v_row;  // (slots,S,G,D); of type `cached` if there are few queries
  int cached;
  float *o, *lse;                                          // (B,T,H,D), (B,H,T)
  float scale; long slots; qn_row_index position, lengths; // (B), or one for all rows
  const int *rows, *segments, *ends;                       // (B), (B,S), (B,S), or 0
  float *scratch;                                          // (threads, QN_ATTENTION_FLOATS or QN_ATTENTION_BACKWARD_FLOATS)
  const float *d_o;                                        // (B,T,H,D)
  float *dq; long dq_row;                                  // (B,T,H,D)
  float *dk; long dk_row; float *dv; long dv_row;          // (B,T,G,D)
  long parts;                                              // tasks per head; see attention_tiles.h
} qn_attention_context;
#if QN_TILES
static void qn_attention_tiled(qn_attention_context *c);
static void qn_attention_tiled_backward_task(void *context, long task, long worker);
#endif

// Matrix products of a task; "half" computes only the later half of the queries. `by_rows`: the rows of A are keys and K is D.
// `by_columns`: the rows of A are dimensions and K is keys.
QN_STRIPS(qn_by_rows, QN_MR, QN_NV, lda, 1, QN_NR, QN_NR)
QN_STRIPS(qn_by_columns, QN_MR, QN_NV, 1, lda, QN_NR, QN_NR)
#if QN_NV > 2
QN_STRIPS(qn_by_rows_half, QN_TALL_ROWS, QN_NV / 2, lda, 1, QN_NR, QN_NR)
QN_STRIPS(qn_by_columns_half, QN_TALL_ROWS, QN_NV / 2, 1, lda, QN_NR, QN_NR)
#endif
// Products (keys, D): A is a tile (keys, queries); B and C are rows in memory.
QN_STRIPS(qn_keys_wide, QN_MR, QN_NV, QN_NR, 1, ldb, ldc)
#if QN_NV > 2
QN_STRIPS(qn_keys_half, QN_TALL_ROWS, QN_NV / 2, QN_NR, 1, ldb, ldc)
#endif
QN_STRIPS(qn_keys_one, QN_MR, 1, QN_NR, 1, ldb, ldc)

// The left operand of a product (rows, D): rows in memory or, in bf16, packed rows in scratch, `row` floats apart.
typedef struct { const float *at; long row; } qn_rows;

// Packs `from` (n, D) in pairs along D, into rows of QN_PITCH(D) floats.
static __attribute__((noinline, unused)) qn_rows qn_attention_pack_along(const float *from, long row, long n, long D, float *to) {
  long W = QN_PITCH(D);
  for (long i = 0; i < n; i++) for (long d = 0; d < D; d += QN_PACK * QN_VL)
    qn_store(to + i * W + d / QN_PACK, qn_pack_along(QN_BF16, from + i * row + d, D - d));
  return (qn_rows){to, W};
}
// Packs `from` (n, D) in pairs of rows: with QN_PAIRS, two rows become one.
static __attribute__((noinline, unused)) qn_rows qn_attention_pack_across(const float *from, long row, long n, long D, float *to) {
  long W = QN_PITCH(D);
  for (long i = 0; i < n; i += QN_PACK) for (long d = 0; d < D; d += QN_VL) {
    vf a = qn_load_n(from + i * row + d, D - d);
    if (QN_PAIRS) a = qn_pack_bf16_across(a, i + 1 < n ? qn_load_n(from + (i + 1) * row + d, D - d) : (vf){0});
    else a = qn_bf16_round(a);
    qn_store(to + i / QN_PACK * W + d, a);
  }
  return (qn_rows){to, W};
}
// Pack a tile (n keys, QN_NR queries) in pairs of queries (along) or pairs of keys (across). `to` may be the tile itself.
QN_INLINE void qn_attention_pack_tile_along(const float *tile, long n, float *to) {
  for (long i = 0; i < n; i++) QN_UNROLL for (int j = 0; j < QN_NR; j += QN_PACK * QN_VL)
    qn_store(to + i * QN_NR + j / QN_PACK, qn_pack_along(QN_BF16, tile + i * QN_NR + j, QN_NR - j));
}
QN_INLINE void qn_attention_pack_tile_across(const float *tile, long n, float *to) {
  for (long i = 0; i < n; i += QN_PACK) QN_UNROLL for (int j = 0; j < QN_NR; j += QN_VL) {
    vf a = qn_load(tile + i * QN_NR + j);
    if (QN_PAIRS) a = qn_pack_bf16_across(a, i + 1 < n ? qn_load(tile + (i + 1) * QN_NR + j) : (vf){0});
    else a = qn_bf16_round(a);
    qn_store(to + i / QN_PACK * QN_NR + j, a);
  }
}

// Below, `bf16` is a compile-time constant and keys count from the tile's first. Both halves of the queries see the first
// `both` keys (a multiple of 2); for the remaining keys only the later half is computed.

// scores (n keys, QN_NR) = from (n keys, D) · queries (D packed, QN_NR); `from` is K, or V in the backward pass
QN_INLINE void qn_attention_scores(const int bf16, long n, long both, long D, qn_rows from, const float *queries, float *scores) {
  const int pairs = bf16 && QN_PAIRS;
  if (pairs) D = (D + 1) / 2;
  QN_BY(pairs, qn_by_rows)(both, D, from.at, from.row, queries, 0, scores, 0, 0);
#if QN_NV > 2
  QN_BY(pairs, qn_by_rows_half)(n - both, D, from.at + both * from.row, from.row, queries + QN_NR / 2, 0, scores + both * QN_NR + QN_NR / 2, 0, 0);
#endif
}
// out (D, QN_NR) += fromᵀ (D, n keys packed) · weights (n keys packed, QN_NR): O from V and P, or dQ from K and dS
QN_INLINE void qn_attention_PV(const int bf16, long n, long both, long D, qn_rows from, const float *weights, float *out) {
  const int pairs = bf16 && QN_PAIRS;
  if (pairs) n = (n + 1) / 2, both = (both + 1) / 2;
  QN_BY(pairs, qn_by_columns)(D, both, from.at, from.row, weights, 0, out, 0, 1);
#if QN_NV > 2
  if (n > both) QN_BY(pairs, qn_by_columns_half)(D, n - both, from.at + both * from.row, from.row, weights + both * QN_NR + QN_NR / 2, 0, out + QN_NR / 2, 0, 1);
#endif
}
// rows s0..s1 of `to` (S, D) += weights (keys, QN_NR queries packed) · from (n queries packed, D): dV from P and dO, or dK from
// dS and Q. Query j sees the keys up to seen + j. Keys that every query sees are one product. The others are multiplied strip
// by strip, starting at the first query that sees them.
QN_INLINE void qn_attention_dK_dV(const int bf16, long s0, long s1, long seen, long n, long D, const float *weights, qn_rows from, float *to, long to_row) {
  const int pairs = bf16 && QN_PAIRS;
  for (long s = s0, m; s < s1; s += m, weights += m * QN_NR) {
    long together = s <= seen ? seen + 1 - s : QN_TALL_ROWS, q = s <= seen ? 0 : s - seen, d = 0, K = n - q;
    m = s1 - s < together ? s1 - s : together;
    if (pairs) q /= 2, K = (n + 1) / 2 - q;
    const float *A = weights + q, *B = from.at + q * from.row;
    float *C = to + s * to_row;
    for (; d + QN_NR <= D; d += QN_NR) QN_BY(pairs, qn_keys_wide)(m, K, A, 0, B + d, from.row, C + d, to_row, 1);
#if QN_NV > 2
    for (; d + QN_NR / 2 <= D; d += QN_NR / 2) QN_BY(pairs, qn_keys_half)(m, K, A, 0, B + d, from.row, C + d, to_row, 1);
#endif
    for (; d + QN_VL <= D; d += QN_VL) QN_BY(pairs, qn_keys_one)(m, K, A, 0, B + d, from.row, C + d, to_row, 1);
    if (d < D) for (long i = 0; i < m; i++) { // the rest of D, less than a vector
      vf c = qn_load_n(C + i * to_row + d, D - d);
      for (long j = 0; j < K; j++) c = qn_multiply(pairs, c, qn_splat_packed(pairs, A + i * QN_NR + j), qn_load_n(B + j * from.row + d, D - d));
      qn_store_n(C + i * to_row + d, c, D - d);
    }
  }
}

// to (D packed, QN_NR) = from (n, D) transposed, padded with 0
QN_INLINE void qn_attention_transpose(const int bf16, long D, long n, const float *from, long row, float *to) {
  const long pack = bf16 ? QN_PACK : 1, packed = (D + pack - 1) / pack;
  for (long j = 0; j < QN_NR; j += QN_VL) for (long d = 0; d < D; d += pack * QN_VL) {
    if (bf16) qn_transpose_along(from + j * row + d, row, n - j, D - d, to + d / pack * QN_NR + j, QN_NR, packed - d / pack);
    else qn_transpose_f32(from + j * row + d, row, n - j, D - d, to + d * QN_NR + j, QN_NR, packed - d);
  }
}
// Element i of a tensor stored in bf16 if `flag` is set, else in floats
QN_INLINE const float *qn_attention_at(const qn_attention_context *c, int flag, const float *base, long i) {
  return QN_TILES && (c->bf16 & flag) ? (const float *)((const unsigned short *)base + i) : base + i;
}
#if QN_TILES
// to (n, D) in bf16 = from (D, QN_NR) transposed, each lane multiplied by its factor; factors (QN_NR)
static __attribute__((noinline)) void qn_attention_transpose_back_bf16(long D, long n, const float *from, const float *factors, unsigned short *to, long row) {
  for (long j = 0; j < n; j += QN_VL) for (long d = 0; d < D; d += QN_VL) {
    vf x[QN_VL], f = qn_load(factors + j);
    if (d + QN_VL <= D && j + QN_VL <= n) {
      QN_UNROLL for (int i = 0; i < QN_VL; i++) x[i] = qn_load(from + (d + i) * QN_NR + j) * f;
      qn_transpose(x);
      QN_UNROLL for (int i = 0; i < QN_VL; i++) qn_store_bf16(to + (j + i) * row + d, x[i]);
      continue;
    }
    for (int i = 0; i < QN_VL; i++) x[i] = d + i < D ? qn_load(from + (d + i) * QN_NR + j) * f : (vf){0};
    qn_transpose(x);
    for (int i = 0; i < QN_VL && j + i < n; i++) qn_store_n_bf16(to + (j + i) * row + d, x[i], D - d);
  }
}
#endif
// to (n, D) = from (D, QN_NR) transposed, each lane multiplied by its factor; factors (QN_NR)
static __attribute__((noinline)) void qn_attention_transpose_back(long D, long n, const float *from, const float *factors, float *to, long row) {
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
// Writes `value` over the scores of keys after `seen` + lane, which that lane's query must not see. tile (keys, QN_NR)
static void qn_attention_mask_causal(long s0, long s1, long seen, float value, float *tile) {
  vi lane;
  for (int i = 0; i < QN_VL; i++) lane[i] = i;
  for (long s = s0 > seen + 1 ? s0 : seen + 1; s < s1; s++) for (long j = 0; j < QN_NR && j < s - seen; j += QN_VL) {
    float *p = tile + (s - s0) * QN_NR + j;
    qn_store(p, qn_select(lane < (int)(s - seen - j), qn_splat(value), qn_load(p)));
  }
}

// Writes `value` over the scores of keys s0..s1 that are not in the query's segment. segments (S) are those of the keys,
// queries (QN_NR) those of the lanes.
static void qn_attention_mask_segments(const int *segments, long s0, long s1, const int *queries, float value, float *tile) {
  for (long s = s0; s < s1; s++) for (long j = 0; j < QN_NR; j += QN_VL) {
    vi lanes;
    __builtin_memcpy(&lanes, queries + j, sizeof lanes);
    float *p = tile + (s - s0) * QN_NR + j;
    qn_store(p, qn_select(lanes == segments[s], qn_load(p), qn_splat(value)));
  }
}
static void qn_attention_query_segments(const int *segments, long S, long first, int *queries) {
  for (long j = 0; j < QN_NR; j++) queries[j] = segments[first + j < S ? first + j : S - 1];
}
// Writes `value` over the scores of keys s0..s1 that end at or before the query: lane j, at first + j, sees key s up to ends[s].
static void qn_attention_mask_ends(const int *ends, long s0, long s1, long first, float value, float *tile) {
  vi lane;
  for (int i = 0; i < QN_VL; i++) lane[i] = i;
  for (long s = s0; s < s1; s++) for (long seen = ends[s] > first ? ends[s] - first : 0, j = seen / QN_VL * QN_VL; j < QN_NR; j += QN_VL) {
    float *p = tile + (s - s0) * QN_NR + j;
    qn_store(p, qn_select(lane < (int)(seen - j), qn_load(p), qn_splat(value)));
  }
}
// Whether the keys s0..s1 all end at or before the first query. The tile with its own key is never skipped.
static int qn_attention_ended(const int *ends, long s0, long s1, long first) {
  int last = 0;
  if (!ends || s1 > first) return 0;
  for (long s = s0; s < s1; s++) last = ends[s] > last ? ends[s] : last;
  return last <= first;
}
#define QN_MASKED -1e30f // has weight 0 next to any real score; finite, so that a tile of only these causes no NaN
#define QN_NO_KEYS -1e29f // a query whose largest score is below this sees no key

// The keys that row b may see: the first `seen` of slot `slot`, further limited by each query's position. 0 for an empty row.
typedef struct { long slot, position, seen; } qn_attention_view;
QN_INLINE qn_attention_view qn_attention_view_of(const qn_attention_context *c, long b) {
  qn_attention_view v = {c->rows ? c->rows[b] : b, qn_of_row(c->position, b), qn_of_row(c->lengths, b)};
  if (v.seen > c->S) v.seen = c->S;
  if (v.slot < 0 || v.slot >= c->slots || v.position < 0 || v.seen < 0) v.seen = 0;
  return v;
}
// Writes output 0 and log-sum-exp -inf for n queries from t0 on, which see no key.
static void qn_attention_no_keys(const qn_attention_context *c, long b, long h, long t0, long n) {
  for (long t = t0; t < t0 + n; t++) {
    c->lse[(b * c->H + h) * c->T + t] = -QN_INFINITY;
    for (long d = 0, at = ((b * c->T + t) * c->H + h) * c->D; d < c->D; d++) {
      if (QN_TILES && (c->bf16 & QN_O_STORED)) ((unsigned short *)c->o)[at + d] = 0;
      else c->o[at + d] = 0.0f;
    }
  }
}

// Number of keys in s0..s1 that the earlier half of the queries sees as well; `first` is the first query's position.
static long qn_attention_both_halves(long s0, long s1, long first) {
  long both = QN_NV > 2 ? (first + QN_NR / 2 + 2) / 2 * 2 : s1;
  return both < s0 ? 0 : both > s1 ? s1 - s0 : both - s0;
}

// Turns the scores p (N keys, QN_NR) into weights relative to each query's largest score so far, m (QN_NR), and adds them to l
// (QN_NR). Rescales the output o (D, QN_NR) where m has grown.
static __attribute__((noinline)) void qn_attention_softmax(long N, int is_first, long D, float unit, float *p, float *m, float *l, float *o) {
  vf changed = {0}, corrections[QN_NV], most[QN_NV], sums[QN_NV];
  QN_UNROLL for (int j = 0; j < QN_NV; j++) most[j] = qn_load(m + j * QN_VL), sums[j] = (vf){0};
  for (float *row = p; row < p + N * QN_NR; row += QN_NR) QN_UNROLL for (int j = 0; j < QN_NV; j++) most[j] = qn_max(qn_load(row + j * QN_VL), most[j]);
  for (float *row = p; row < p + N * QN_NR; row += QN_NR) QN_UNROLL for (int j = 0; j < QN_NV; j++) {
    vf e = qn_exp2_weight((qn_load(row + j * QN_VL) - most[j]) * unit);
    sums[j] += e;
    qn_store(row + j * QN_VL, e);
  }
  QN_UNROLL for (int j = 0; j < QN_NV; j++) {
    vf before = qn_load(m + j * QN_VL);
    corrections[j] = qn_exp2_weight((before - most[j]) * unit);
    qn_store(m + j * QN_VL, most[j]);
    qn_store(l + j * QN_VL, qn_load(l + j * QN_VL) * corrections[j] + sums[j]);
    changed = qn_max(most[j] - before, changed);
  }
  if (!is_first && qn_maximum_lanes(changed) > 0.0f) for (long d = 0; d < D; d++) QN_UNROLL for (int j = 0; j < QN_NV; j++)
    qn_store(o + d * QN_NR + j * QN_VL, qn_load(o + d * QN_NR + j * QN_VL) * corrections[j]);
}
// Writes the output and log-sum-exp of n queries from t0 on; l is overwritten.
static __attribute__((noinline)) void qn_attention_finish(const qn_attention_context *c, long b, long h, long t0, long n, const float *o, const float *m, float *l) {
  const long T = c->T, H = c->H, D = c->D;
  for (long j = 0; j < QN_NR; j += QN_VL) {
    vf sum = qn_load(l + j), most = qn_load(m + j);
    vi nothing = most < QN_NO_KEYS;
    qn_store_n(c->lse + (b * H + h) * T + t0 + j, qn_select(nothing, qn_splat(-QN_INFINITY), most * c->scale + qn_log(sum)), n - j > 0 ? n - j : 0);
    qn_store(l + j, qn_select(nothing, (vf){0}, 1.0f / sum));
  }
#if QN_TILES
  if (c->bf16 & QN_O_STORED) {
    qn_attention_transpose_back_bf16(D, n, o, l, (unsigned short *)c->o + ((b * T + t0) * H + h) * D, H * D);
    return;
  }
#endif
  qn_attention_transpose_back(D, n, o, l, c->o + ((b * T + t0) * H + h) * D, H * D);
}

QN_INLINE void qn_attention_tile_of(const int bf16, const qn_attention_context *c, long task, long worker) {
  long T = c->T, S = c->S, H = c->H, D = c->D, W = QN_PITCH(D), tiles = (T + QN_NR - 1) / QN_NR;
  long t0 = (tiles - 1 - task / (c->B * H)) * QN_NR, b = task % (c->B * H) / H, h = task % H, g = h / (H / c->G); // tiles with the most keys first
  qn_attention_view view = qn_attention_view_of(c, b);
  long n = T - t0 < QN_NR ? T - t0 : QN_NR, first = view.position + t0, seen = first + n < view.seen ? first + n : view.seen;
  if (seen == 0) {
    qn_attention_no_keys(c, b, h, t0, n);
    return;
  }
  const float *k = c->k + view.slot * S * c->k_row + g * D, *v = c->v + view.slot * S * c->v_row + g * D, unit = c->scale * QN_LOG2E; // from dot product to score
  // q, o (D, QN_NR); p (keys, QN_NR); m, l (QN_NR): running maximum and sum of each query; packed: keys, then values
  float *q = c->scratch + worker * QN_ATTENTION_FLOATS(D), *o = q + QN_NR * W, *p = o + QN_NR * W, *m = p + QN_KEYS * QN_NR, *l = m + QN_NR, *packed = l + QN_NR;
  const int *segments = c->segments ? c->segments + b * S : 0, *ends = c->ends ? c->ends + b * S : 0;
  int queries[QN_NR];
  if (segments) qn_attention_query_segments(segments, S, first, queries);
  qn_attention_transpose(bf16, D, n, c->q + (b * T + t0) * c->q_row + h * D, c->q_row, q);
  for (long i = 0; i < D * QN_NR; i += QN_VL) qn_store(o + i, (vf){0});
  for (long j = 0; j < QN_NR; j += QN_VL) qn_store(m + j, qn_splat(-QN_INFINITY)), qn_store(l + j, (vf){0});
  for (long s0 = 0; s0 < seen; s0 += QN_KEYS) {
    long s1 = s0 + QN_KEYS < seen ? s0 + QN_KEYS : seen, both = qn_attention_both_halves(s0, s1, first), N = s1 - s0;
    if (qn_attention_ended(ends, s0, s1, first)) continue;
    qn_rows keys = {k + s0 * c->k_row, c->k_row}, values = {v + s0 * c->v_row, c->v_row};
    if (bf16) keys = qn_attention_pack_along(keys.at, keys.row, N, D, packed), values = qn_attention_pack_across(values.at, values.row, N, D, packed + QN_KEYS * W);
    qn_attention_scores(bf16, N, both, D, keys, q, p);
    if (segments) qn_attention_mask_segments(segments, s0, s1, queries, QN_MASKED, p);
    if (ends) qn_attention_mask_ends(ends, s0, s1, first, QN_MASKED, p);
    if (s1 > first + 1) qn_attention_mask_causal(s0, s1, first, -QN_INFINITY, p);
    qn_attention_softmax(N, s0 == 0, D, unit, p, m, l, o);
    if (bf16) qn_attention_pack_tile_across(p, N, p);
    qn_attention_PV(bf16, N, both, D, values, p, o);
  }
  qn_attention_finish(c, b, h, t0, n, o, m, l);
}
static void qn_attention_task(void *context, long task, long worker) {
  const qn_attention_context *c = context;
  if (QN_BF16 && !QN_TILES && c->bf16) qn_attention_tile_of(QN_BF16, c, task, worker);
  else qn_attention_tile_of(0, c, task, worker);
}

// For few queries: scores are dot products along D, four keys at a time, and outputs are sums of rows.
// `cached` is a compile-time constant.
QN_INLINE void qn_attention_few_of(const int cached, const qn_attention_context *c, long task, long worker) {
  long T = c->T, S = c->S, H = c->H, D = c->D, t = task % T, h = task / T % H, b = task / T / H, g = h / (H / c->G);
  qn_attention_view view = qn_attention_view_of(c, b);
  long at = view.position + t, seen = at + 1 < view.seen ? at + 1 : view.seen;
  if (seen == 0) {
    qn_attention_no_keys(c, b, h, t, 1);
    return;
  }
  const float *q = c->q + (b * T + t) * c->q_row + h * D;
  const void *k = qn_cached_at(cached, c->k, view.slot * S * c->k_row + g * D), *v = qn_cached_at(cached, c->v, view.slot * S * c->v_row + g * D);
  const int *segments = c->segments ? c->segments + b * S : 0, *ends = c->ends ? c->ends + b * S : 0;
  float *o = c->o + ((b * T + t) * H + h) * D, *p = c->scratch + worker * QN_ATTENTION_FLOATS(D), *wide = p + 512, m = -QN_INFINITY, l = 0;
  for (long s0 = 0; s0 < seen; s0 += 512) {
    long n = seen - s0 < 512 ? seen - s0 : 512, s;
    float most = m;
    for (s = 0; cached != QN_CACHED_F32 && D % QN_VL == 0 && s + QN_VL <= n; s += QN_VL) { // a vector of keys at a time
      vf sums[QN_VL];
      QN_UNROLL for (int i = 0; i < QN_VL; i++) sums[i] = (vf){0};
      if (c->B > 1) for (long i = 0; i < QN_VL; i++) for (long d = 0; d < D; d += 32) __builtin_prefetch(qn_cached_at(cached, v, (s0 + s + i) * c->v_row + d));
      for (long d = 0; d < D; d += QN_VL) {
        vf x = qn_load(q + d);
        QN_UNROLL for (int i = 0; i < QN_VL; i++) sums[i] += x * qn_cached_load(cached, k, (s0 + s + i) * c->k_row + d, QN_VL);
      }
      qn_store(p + s, qn_sums(sums));
    }
    for (; s < n; s += n - s >= 4 ? 4 : 1) {
      const long rows = n - s >= 4 ? 4 : 1;
      const float *row = qn_cached_at(cached, k, (s0 + s) * c->k_row);
      // The keys and values of one sequence stay in cache from token to token; those of a batch do not.
      if (c->B > 1) for (long i = 0; i < 4; i++) for (long d = 0; d < D; d += 16) __builtin_prefetch(qn_cached_at(cached, v, (s0 + s + i) * c->v_row + d));
      long pitch = c->k_row;
      if (cached != QN_CACHED_F32) {
        for (long i = 0; i < rows; i++) for (long d = 0; d < D; d += QN_VL) qn_store(wide + i * QN_PITCH(D) + d, qn_cached_load(cached, k, (s0 + s + i) * c->k_row + d, D - d));
        row = wide, pitch = QN_PITCH(D);
      }
      if (rows == 4) qn_dots(1, 4, D, q, 0, row, pitch, p + s, 0, 0);
      else qn_dots(1, 1, D, q, 0, row, pitch, p + s, 0, 0);
    }
    for (s = 0; s < n; s++) {
      int isHidden = (segments && segments[s0 + s] != segments[at < S ? at : S - 1]) || (ends && ends[s0 + s] <= at);
      p[s] = isHidden ? QN_MASKED : p[s] * (c->scale * QN_LOG2E);
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
    // The next head's keys are adjacent to this one's.
    if (c->B > 1) for (s = 0; s < n; s++) for (long d = 0; d < D; d += 16) __builtin_prefetch(qn_cached_at(cached, k, (s0 + s) * c->k_row + D + d));
    for (long d = 0; d < D; d += 4 * QN_VL) {
      vf x[4];
      long left = D - d;
      QN_UNROLL for (int j = 0; j < 4; j++) x[j] = s0 > 0 && left > j * QN_VL ? qn_load_n(o + d + j * QN_VL, left - j * QN_VL) * correction : (vf){0};
      if (left >= 4 * QN_VL) for (s = 0; s < n; s++) QN_UNROLL for (int j = 0; j < 4; j++) x[j] += p[s] * qn_cached_load(cached, v, (s0 + s) * c->v_row + d + j * QN_VL, QN_VL);
      else if (left == 2 * QN_VL) for (s = 0; s < n; s++) QN_UNROLL for (int j = 0; j < 2; j++) x[j] += p[s] * qn_cached_load(cached, v, (s0 + s) * c->v_row + d + j * QN_VL, QN_VL);
      else for (s = 0; s < n; s++) QN_UNROLL for (int j = 0; j < 4; j++) if (left > j * QN_VL) x[j] += p[s] * qn_cached_load(cached, v, (s0 + s) * c->v_row + d + j * QN_VL, left - j * QN_VL);
      QN_UNROLL for (int j = 0; j < 4; j++) if (left > j * QN_VL) qn_store_n(o + d + j * QN_VL, x[j], left - j * QN_VL);
    }
  }
  if (m < QN_NO_KEYS) {
    qn_attention_no_keys(c, b, h, t, 1);
    return;
  }
  for (long d = 0; d < D; d += QN_VL) qn_store_n(o + d, qn_load_n(o + d, D - d) * (1.0f / l), D - d);
  c->lse[(b * H + h) * T + t] = m * QN_LN2 + qn_log(qn_splat(l))[0];
}

static void qn_attention_few_task(void *context, long task, long worker) {
  const qn_attention_context *c = context;
#if QN_SMALL_CACHE
  if (c->cached == QN_CACHED_F32) qn_attention_few_of(QN_CACHED_F32, c, task, worker);
  else if (c->cached == QN_CACHED_BF16) qn_attention_few_of(QN_CACHED_BF16, c, task, worker);
  else if (c->cached == QN_CACHED_Q8_0) qn_attention_few_of(QN_CACHED_Q8_0, c, task, worker);
  else qn_attention_few_of(QN_CACHED_F16, c, task, worker);
#else
  qn_attention_few_of(QN_CACHED_F32, c, task, worker);
#endif
}

QN_INLINE vf qn_cached_load_any(int cached, const void *base, long i, long n) {
  return cached == QN_CACHED_BF16 ? qn_cached_load(QN_CACHED_BF16, base, i, n) : cached == QN_CACHED_F16 ? qn_cached_load(QN_CACHED_F16, base, i, n) : qn_cached_load(QN_CACHED_Q8_0, base, i, n);
}
#if QN_SMALL_CACHE
// Widens the keys and values that row b may see.
typedef struct { const qn_attention_context *c; float *k, *v; int *rows; } qn_attention_wide; // k, v (B,S,G*D), rows (B)
static void qn_attention_wide_task(void *context, long task, long worker) {
  const qn_attention_wide *w = context;
  const qn_attention_context *c = w->c;
  long parts = (c->S + 15) / 16, b = task / parts, C = c->G * c->D;
  qn_attention_view view = qn_attention_view_of(c, b);
  long seen = view.position + c->T < view.seen ? view.position + c->T : view.seen, s0 = task % parts * 16, s1 = s0 + 16 < seen ? s0 + 16 : seen;
  (void)worker;
  if (s0 == 0) w->rows[b] = view.seen == 0 ? -1 : (int)b;
  for (long s = s0; s < s1; s++) for (long i = 0; i < C; i += QN_VL) {
    long k = (view.slot * c->S + s) * c->k_row + i, v = (view.slot * c->S + s) * c->v_row + i, to = (b * c->S + s) * C + i;
    qn_store_n(w->k + to, qn_cached_load_any(c->cached, c->k, k, C - i), C - i);
    qn_store_n(w->v + to, qn_cached_load_any(c->cached, c->v, v, C - i), C - i);
  }
}
#endif

// q (B,T,H,D): element (b,t,h,d) at q[(b*T+t)*q_row + h*D + d]; k, v (B,S,G,D) likewise with k_row, v_row (G key/value
// heads, H % G == 0; with `rows`, k and v are (slots,S,G,D) and row b's keys are in slot rows[b]); o (B,T,H,D) rows of H*D;
// lse (B,H,T). Query t is at position[b] + t and sees keys 0..position[b]+t (< lengths[b], < S); other keys are not read. With
// segments (B,S) it sees only keys of its own segment; with ends (B,S), key s only if its position is below ends[s]. A row with length 0, a negative position or a negative slot has output
// 0 and log-sum-exp -inf.
// k and v may have 16 bits (`cached`, loop.h).
QN_TEMPLATE void qn_attention(int bf16, int cached, long B, long T, long S, long H, long G, long D, const float *q, long q_row, const void *k, long k_row, const void *v, long v_row, float *o, float *lse, float scale, qn_row_index position, qn_row_index lengths, long slots, const int *rows, const int *segments, const int *ends, float *scratch) {
  float *aligned = scratch + (64 - ((unsigned long)scratch & 63)) / 4 % 16;
  qn_attention_context c = {.bf16 = bf16, .cached = cached, .B = B, .T = T, .S = S, .H = H, .G = G, .D = D, .q = q, .q_row = q_row, .k = k, .k_row = k_row, .v = v, .v_row = v_row, .o = o, .lse = lse, .scale = scale, .slots = slots, .position = position, .lengths = lengths, .rows = rows, .segments = segments, .ends = ends, .scratch = aligned};
#if QN_SMALL_CACHE
  if (cached != QN_CACHED_F32 && T > QN_FEW_QUERIES) {
    qn_attention_context narrow = c;
    qn_attention_wide wide = {&narrow, aligned, aligned + B * S * G * D, (int *)(aligned + 2 * B * S * G * D)};
    qn_parallel(B * ((S + 15) / 16), qn_attention_wide_task, &wide);
    c.k = wide.k, c.v = wide.v, c.k_row = c.v_row = G * D, c.rows = wide.rows, c.slots = B;
    c.scratch += qn_attention_wide_floats(cached, B, T, S, G, D);
  }
#endif
  if (T <= QN_FEW_QUERIES) qn_parallel(B * H * T, qn_attention_few_task, &c);
#if QN_TILES
  else if (bf16) qn_attention_tiled(&c);
#endif
  else qn_parallel(B * H * ((T + QN_NR - 1) / QN_NR), qn_attention_task, &c);
}

// For n queries from t0 on: delta (QN_NR) is the dot product of output and its gradient, lse (QN_NR) is in units of log2.
static __attribute__((noinline)) void qn_attention_deltas(const qn_attention_context *c, long b, long h, long t0, long n, float *delta, float *lse) {
  const long T = c->T, H = c->H, D = c->D;
  const int o_bf16 = QN_TILES && (c->bf16 & QN_O_STORED), d_o_bf16 = QN_TILES && (c->bf16 & QN_DO_STORED);
  const long first = ((b * T + t0) * H + h) * D;
  const float *o = qn_attention_at(c, QN_O_STORED, c->o, first), *d_o = qn_attention_at(c, QN_DO_STORED, c->d_o, first);
  for (long j = 0; j < QN_NR; j++) { // a lane without a query, or whose query sees no key, has weights 2^-inf = 0
    vf sum = {0};
    for (long d = 0; j < n && d < D; d += QN_VL) {
      vf x = o_bf16 ? qn_load_n_bf16((const unsigned short *)o + j * H * D + d, D - d) : qn_load_n(o + j * H * D + d, D - d);
      sum += x * (d_o_bf16 ? qn_load_n_bf16((const unsigned short *)d_o + j * H * D + d, D - d) : qn_load_n(d_o + j * H * D + d, D - d));
    }
    delta[j] = qn_sum(sum);
    lse[j] = j < n && c->lse[(b * H + h) * T + t0 + j] > -QN_INFINITY ? c->lse[(b * H + h) * T + t0 + j] * QN_LOG2E : QN_INFINITY;
  }
}
// p (N keys, QN_NR): scores become weights; ds: gradients of weights become gradients of scores.
static __attribute__((noinline)) void qn_attention_score_gradient(long N, float unit, float scale, float *p, float *ds, const float *lse, const float *delta) {
  for (long s = 0; s < N; s++) QN_UNROLL for (int j = 0; j < QN_NR; j += QN_VL) {
    vf e = qn_exp2_weight(qn_load(p + s * QN_NR + j) * unit - qn_load(lse + j));
    qn_store(p + s * QN_NR + j, e);
    qn_store(ds + s * QN_NR + j, e * (qn_load(ds + s * QN_NR + j) - qn_load(delta + j)) * scale);
  }
}

// One task takes all heads of one group of one sequence, so that dk and dv have a single writer.
QN_INLINE void qn_attention_backward_of(const int bf16, const qn_attention_context *c, long task, long worker) {
  long T = c->T, H = c->H, D = c->D, W = QN_PITCH(D), b = task / c->G, g = task % c->G, R = H / c->G;
  const float *k = c->k + b * T * c->k_row + g * D, *v = c->v + b * T * c->v_row + g * D, unit = c->scale * QN_LOG2E;
  float *dk = c->dk + b * T * c->dk_row + g * D, *dv = c->dv + b * T * c->dv_row + g * D;
  // q, d_o, dq (D, QN_NR); p, ds (keys, QN_NR); lse, delta, ones (QN_NR), where delta is the sum of o · d_o per query
  float *q = c->scratch + worker * QN_ATTENTION_BACKWARD_FLOATS(D), *d_o = q + QN_NR * W, *dq = d_o + QN_NR * W, *p = dq + QN_NR * W, *ds = p + QN_KEYS * QN_NR, *lse = ds + QN_KEYS * QN_NR, *delta = lse + QN_NR, *ones = delta + QN_NR;
  float *ds_across = ones + QN_NR, *packed = ds_across + QN_KEYS * QN_NR, *packed_queries = packed + 3 * QN_KEYS * W;
  const int *segments = c->segments ? c->segments + b * T : 0, *ends = c->ends ? c->ends + b * T : 0;
  const long length = qn_attention_view_of(c, b).seen;
  for (long t = 0; t < T; t++) for (long d = 0; d < D; d += QN_VL) qn_store_n(dk + t * c->dk_row + d, (vf){0}, D - d), qn_store_n(dv + t * c->dv_row + d, (vf){0}, D - d);
  for (long j = 0; j < QN_NR; j += QN_VL) qn_store(ones + j, qn_splat(1.0f));
  for (long h = g * R; h < g * R + R; h++) for (long t0 = 0; t0 < T; t0 += QN_NR) {
    long n = T - t0 < QN_NR ? T - t0 : QN_NR, seen = t0 + n < length ? t0 + n : length;
    int queries[QN_NR];
    if (seen == 0) {
      for (long t = t0; t < t0 + n; t++) for (long d = 0; d < D; d += QN_VL) qn_store_n(c->dq + (b * T + t) * c->dq_row + h * D + d, (vf){0}, D - d);
      continue;
    }
    if (segments) qn_attention_query_segments(segments, T, t0, queries);
    qn_rows q_rows = {c->q + (b * T + t0) * c->q_row + h * D, c->q_row}, d_o_rows = {c->d_o + ((b * T + t0) * H + h) * D, H * D};
    qn_attention_transpose(bf16, D, n, q_rows.at, q_rows.row, q);
    qn_attention_transpose(bf16, D, n, d_o_rows.at, d_o_rows.row, d_o);
    for (long i = 0; i < D * QN_NR; i += QN_VL) qn_store(dq + i, (vf){0});
    qn_attention_deltas(c, b, h, t0, n, delta, lse);
    if (bf16) q_rows = qn_attention_pack_across(q_rows.at, q_rows.row, n, D, packed_queries), d_o_rows = qn_attention_pack_across(d_o_rows.at, d_o_rows.row, n, D, packed_queries + QN_NR * W);
    for (long s0 = 0; s0 < seen; s0 += QN_KEYS) {
      long s1 = s0 + QN_KEYS < seen ? s0 + QN_KEYS : seen, both = qn_attention_both_halves(s0, s1, t0), N = s1 - s0;
      if (qn_attention_ended(ends, s0, s1, t0)) continue;
      qn_rows keys = {k + s0 * c->k_row, c->k_row}, values = {v + s0 * c->v_row, c->v_row}, keys_across = keys;
      if (bf16) {
        keys_across = qn_attention_pack_across(keys.at, keys.row, N, D, packed);
        keys = qn_attention_pack_along(keys.at, keys.row, N, D, packed + QN_KEYS * W);
        values = qn_attention_pack_along(values.at, values.row, N, D, packed + 2 * QN_KEYS * W);
      }
      qn_attention_scores(bf16, N, both, D, keys, q, p);
      qn_attention_scores(bf16, N, both, D, values, d_o, ds);
      if (segments) qn_attention_mask_segments(segments, s0, s1, queries, -QN_INFINITY, p);
      if (ends) qn_attention_mask_ends(ends, s0, s1, t0, -QN_INFINITY, p);
      if (s1 > t0 + 1) qn_attention_mask_causal(s0, s1, t0, -QN_INFINITY, p), qn_attention_mask_causal(s0, s1, t0, 0.0f, ds);
      qn_attention_score_gradient(N, unit, c->scale, p, ds, lse, delta);
      if (bf16) qn_attention_pack_tile_along(p, N, p), qn_attention_pack_tile_across(ds, N, ds_across), qn_attention_pack_tile_along(ds, N, ds);
      qn_attention_dK_dV(bf16, s0, s1, t0, n, D, p, d_o_rows, dv, c->dv_row);
      qn_attention_dK_dV(bf16, s0, s1, t0, n, D, ds, q_rows, dk, c->dk_row);
      qn_attention_PV(bf16, N, both, D, keys_across, bf16 ? ds_across : ds, dq);
    }
    qn_attention_transpose_back(D, n, dq, ones, c->dq + (b * T + t0) * c->dq_row + h * D, c->dq_row);
  }
}
static void qn_attention_backward_task(void *context, long task, long worker) {
  const qn_attention_context *c = context;
  if (QN_BF16 && !QN_TILES && c->bf16) qn_attention_backward_of(QN_BF16, c, task, worker);
  else qn_attention_backward_of(0, c, task, worker);
}

// Training only (position 0, S == T; lengths as in qn_attention). Overwrites dq (B,T,H,D) and dk, dv (B,T,G,D), each with its own
// row stride. They must not overlap q, k, v, o, d_o.
QN_TEMPLATE void qn_attention_backward(int bf16, long B, long T, long H, long G, long D, const float *q, long q_row, const float *k, long k_row, const float *v, long v_row, const float *o, const float *lse, const float *d_o, float *dq, long dq_row, float *dk, long dk_row, float *dv, long dv_row, float scale, qn_row_index lengths, const int *segments, const int *ends, float *scratch) {
  float *aligned = scratch + (64 - ((unsigned long)scratch & 63)) / 4 % 16;
  qn_attention_context c = {.bf16 = bf16, .B = B, .T = T, .S = T, .H = H, .G = G, .D = D, .q = q, .q_row = q_row, .k = k, .k_row = k_row, .v = v, .v_row = v_row, .o = (float *)o, .lse = (float *)lse, .scale = scale, .slots = B, .position = {(const int[]){0}, 0}, .lengths = lengths, .segments = segments, .ends = ends, .scratch = aligned,
                            .d_o = d_o, .dq = dq, .dq_row = dq_row, .dk = dk, .dk_row = dk_row, .dv = dv, .dv_row = dv_row};
#if QN_TILES
  if (bf16) {
    qn_parallel(B * G, qn_attention_tiled_backward_task, &c);
    return;
  }
#endif
  qn_parallel(B * G, qn_attention_backward_task, &c);
}
#endif
