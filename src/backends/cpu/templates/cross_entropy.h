// Linear layer and cross-entropy fused, in chunks of R rows. The logits (N,V) are never stored, not even those of a chunk.
// Each block becomes e = exp(z - reference) inside the matrix product. It writes e as packed words for the two products of the
// gradient: along V for dx, along the rows for dw. So exp is computed once, and no operand of that size needs packing. A row's
// reference is an estimate of its target's logit, so the sum of e is about exp(loss). If a sum in a chunk is too large or
// small, the chunk is recomputed with the rows' own maxima. One factor per row turns e into d loss / d logit: it multiplies dx
// and, for dw, the rows of x. The -1 at the target is not in e but subtracted as rows of w and x. A gradient of the entropy H
// adds -d_H p (log p + H) to a logit, so the factor becomes a line in z: a second pass computes the logits again and packs e *
// (a + b (z - reference)).
#ifndef QN_CROSS_ENTROPY_H
#define QN_CROSS_ENTROPY_H
#define QN_SUM_LIMIT 1e15f // a row whose sum of e exceeds this (or its inverse) needs another reference
// Rows per chunk. With too few, packing w and updating dw dominate; with too many, e no longer fits the last-level cache.
QN_FUNCTION long qn_cross_entropy_rows(long N, long V) {
  long R = 4194304 / V / 64 * 64;
  R = R < 512 ? 512 : R > 1024 ? 1024 : R;
  if (QN_TILES) R = V <= 8192 ? 256 : 1024; // products take less time there, and memory more
  return R < N ? R : N;
}
// Words of K of a packed row. With tiles, rows are in strips (gemm_tiles.h). Else they are an odd number of cache lines apart, so that
// consecutive rows do not map to the same cache sets.
QN_FUNCTION long qn_packed_pitch(int bf16, long K) {
  long pack = bf16 ? QN_PACK : 1, lines = ((K + pack - 1) / pack + 15) / 16;
  return 16 * (QN_TILES && bf16 ? lines : lines | 1);
}
QN_INLINE long qn_packed_words(int bf16, long rows, long K) { return (rows + QN_SIDE - 1) / QN_SIDE * QN_SIDE * qn_packed_pitch(bf16, K); }
// The word of element k of a packed row, and the distance to that of the next row
QN_INLINE float *qn_packed_word(const int bf16, float *packed, long words, long row, long k, long *pitch) {
#if QN_TILES
  if (bf16) return qn_strip_word(packed, words, row, k / QN_PACK, pitch);
#endif
  *pitch = words;
  return packed + row * words + k / (bf16 ? QN_PACK : 1);
}
#define QN_PACKED_HEAD (1L << 23) // elements up to which the head is packed once for all chunks
QN_INLINE int qn_cross_entropy_packs_head(int bf16, long N, long C, long V) { return QN_TILES && bf16 && N > qn_cross_entropy_rows(N, V) && V * C <= QN_PACKED_HEAD; }
// Rows whose target is ignored cost nothing: a chunk takes the next R counted rows, and copies them together if others lie between.
typedef struct {
  int *index, *targets;                                                 // (R)
  float *x, *dx, *d_loss, *d_entropy, *loss, *entropy, *is_greedy, *log_squares; // (R,C), (R,C), then (R)
} qn_counted_rows;
QN_INLINE long qn_counted_words(long R, long C) { return R * (2 * C + 8); }
QN_INLINE qn_counted_rows qn_counted_at(float *to, long R, long C) {
  float *rest = to + 2 * R * C;
  return (qn_counted_rows){(int *)rest, (int *)rest + R, to, to + R * C, rest + 2 * R, rest + 3 * R, rest + 4 * R, rest + 5 * R, rest + 6 * R, rest + 7 * R};
}
QN_INLINE int qn_is_counted(int target, long V) { return target >= 0 && target < V; }
// Scratch in floats: without gradients (0), with dx (1), or with dx and dw (2).
QN_TEMPLATE long qn_linear_cross_entropy_scratch(int bf16, int statistics, int gradients, long N, long C, long V) {
  long R = qn_cross_entropy_rows(N, V), a = qn_gemm_blockwise_scratch(V, C), b = gradients > 0 ? qn_gemm_scratch(R, C, V) : 0, d = gradients > 1 ? qn_gemm_scratch(V, C, R) : 0;
  long packed = (gradients > 0 ? qn_packed_words(bf16, R, V) : 0) + (gradients > 1 ? qn_packed_words(bf16, V, R) : 0);
  if (qn_cross_entropy_packs_head(bf16, N, C, V)) packed += qn_packed_words(bf16, V, C) + (gradients > 0 ? qn_packed_words(bf16, C, V) : 0);
  return packed + (statistics ? 4 : 1) * R * ((V + QN_GROUP - 1) / QN_GROUP) + 5 * R + qn_counted_words(R, C) + 48 + (a > b ? a > d ? a : d : b > d ? b : d);
}

typedef struct {
  int bf16; long rows, C, V, groups;                                            // rows of this chunk
  const float *x, *w, *d_loss; const int *targets; float *loss, *dx, *dw;       // (rows,C), (V,C), (rows), (rows), (rows), (rows,C), (V,C)
  float *along_v; long along_v_words; float *along_rows; long along_rows_words; // e packed along V (rows, V) and along rows (V, rows)
  float *sums, *reference, *target_logit, *factor, *retry;                      // (rows,groups), (rows), (rows), (rows), one number
  int maxima;                                                                   // write maxima to sums and do not compute e
  float *moments, *tops;       // (rows,groups): sums of e * (z - reference), and largest logits
  float *squares;              // (rows,groups): sums of e * e
  float *entropy, *is_greedy, *log_squares; // (rows): results, or 0
  const float *d_entropy;      // (rows), or 0
  float *lines;                // (rows,2): a and b of each row
  int second;                  // write e * (a + b (z - reference))
  const float *head;           // w, or its strips for the logits
} qn_cross_entropy_context;

// Replaces the n logits z of a row by e, writes e packed as well, and returns its sum. If `moment` is set, also computes the sum
// of e * (z - reference), the largest z and the sum of e * e. If `line` (a, b) is set, multiplies e by a + b (z - reference).
QN_INLINE float qn_cross_entropy_row(const int bf16, float *z, long n, float reference, float *packed, float *moment, float *top, float *square, const float *line) {
  const int pack = bf16 ? QN_PACK : 1;
  vf l[2] = {{0}, {0}}, first_moment = {0}, squared = {0}, largest = qn_splat(-QN_INFINITY);
  for (long i = 0; i < n; i += pack * QN_VL) {
    vf e[2];
    QN_UNROLL for (int j = 0; j < pack; j++) {
      long left = n - i - j * QN_VL;
      vf logit = qn_load(z + i + j * QN_VL), above = qn_min(qn_splat(80.0f), logit - reference); // NaN stays NaN
      e[j] = qn_exp_weight(above);
      if (left < QN_VL) e[j] = qn_first(e[j], left, 0.0f);
      if (moment) {
        if (left < QN_VL) above = qn_first(above, left, 0.0f), logit = qn_first(logit, left, -QN_INFINITY);
        first_moment += e[j] * qn_max(qn_splat(-60.0f), above); // below it e is 0
        largest = qn_maximum(largest, logit);
        squared += e[j] * e[j];
      }
      l[j] += e[j];
      if (line) {
        if (left < QN_VL) above = qn_first(above, left, 0.0f);
        e[j] *= qn_splat(line[0]) + qn_max(qn_splat(-60.0f), above) * line[1];
      }
      qn_store(z + i + j * QN_VL, e[j]);
    }
    if (packed) qn_store(packed + i / pack, pack == 2 ? qn_pack_bf16_along(e[0], e[1]) : bf16 ? qn_bf16_round(e[0]) : e[0]);
  }
  if (moment) *moment = qn_sum(first_moment), *top = qn_maximum_lanes(largest), *square = qn_sum(squared);
  return qn_sum(l[0] + l[1]);
}
// Takes a finished block of logits. The sum of e (or the largest logit) of each row goes to the block's first group; the other
// groups get neutral values.
static void qn_cross_entropy_block(void *context, long m0, long m1, long n0, long n1, float *Z, long ldz) {
  const qn_cross_entropy_context *c = context;
  const int bf16 = QN_BF16 && c->bf16;
  const long pack = bf16 ? QN_PACK : 1, step = pack * QN_VL;
  long pitch;
  for (long r = m0; r < m1; r++) {
    float *z = Z + (r - m0) * ldz, *sums = c->sums + r * c->groups, *packed = c->dx ? qn_packed_word(bf16, c->along_v, c->along_v_words, r, n0, &pitch) : 0;
    long target = c->targets[r], g0 = n0 / QN_GROUP;
    float *moments = c->moments + r * c->groups, *tops = c->tops + r * c->groups, *squares = c->squares + r * c->groups;
    for (long g = g0; g < (n1 + QN_GROUP - 1) / QN_GROUP; g++) {
      sums[g] = c->maxima ? -QN_INFINITY : 0.0f;
      if (c->entropy) moments[g] = 0.0f, tops[g] = -QN_INFINITY, squares[g] = 0.0f;
    }
    if (c->maxima) for (long n = 0; n < n1 - n0; n++) sums[g0] = z[n] > sums[g0] ? z[n] : sums[g0];
    else {
      if (target >= n0 && target < n1) c->target_logit[r] = z[target - n0];
      if (bf16 && c->second) sums[g0] = qn_cross_entropy_row(QN_BF16, z, n1 - n0, c->reference[r], packed, 0, 0, 0, c->lines + 2 * r);
      else if (c->second) sums[g0] = qn_cross_entropy_row(0, z, n1 - n0, c->reference[r], packed, 0, 0, 0, c->lines + 2 * r);
      else if (bf16 && c->entropy) sums[g0] = qn_cross_entropy_row(QN_BF16, z, n1 - n0, c->reference[r], packed, moments + g0, tops + g0, squares + g0, 0);
      else if (bf16) sums[g0] = qn_cross_entropy_row(QN_BF16, z, n1 - n0, c->reference[r], packed, 0, 0, 0, 0);
      else if (c->entropy) sums[g0] = qn_cross_entropy_row(0, z, n1 - n0, c->reference[r], packed, moments + g0, tops + g0, squares + g0, 0);
      else sums[g0] = qn_cross_entropy_row(0, z, n1 - n0, c->reference[r], packed, 0, 0, 0, 0);
      if (QN_TILES && bf16 && packed) for (long n = n0 + (n1 - n0 + step - 1) / step * step; n % (2 * QN_TILE_DEEP) != 0; n += step) qn_store(packed + (n - n0) / pack, (vf){0}); // padding
    }
  }
  if (!c->dw || c->maxima) return;
  for (long r = m0; r < (QN_TILES && bf16 ? (m1 + 2 * QN_TILE_DEEP - 1) / (2 * QN_TILE_DEEP) * (2 * QN_TILE_DEEP) : m1); r += step) for (long n = n0; n < n1; n += QN_VL) { // buffers are padded to whole vectors
    const float *from = Z + (r - m0) * ldz + n - n0;
    float *to = qn_packed_word(bf16, c->along_rows, c->along_rows_words, n, r, &pitch);
    if (bf16) qn_transpose_across(from, ldz, m1 - r, n1 - n, to, pitch, n1 - n);
    else qn_transpose_f32(from, ldz, m1 - r, n1 - n, to, pitch, n1 - n);
  }
}

#define QN_CROSS_ENTROPY_ROWS 16 // rows per task
#define QN_ROWS_OF_TASK(c, r) for (long r = task * QN_CROSS_ENTROPY_ROWS; r < (task + 1) * QN_CROSS_ENTROPY_ROWS && r < (c)->rows; r++)
// The target's logit in fp32.
static void qn_cross_entropy_reference_task(void *context, long task, long worker) {
  const qn_cross_entropy_context *c = context;
  (void)worker;
  QN_ROWS_OF_TASK(c, r) {
    long target = c->targets[r];
    vf sum = {0};
    for (long i = 0; i < c->C; i += QN_VL) sum += qn_load_n(c->x + r * c->C + i, c->C - i) * qn_load_n(c->w + target * c->C + i, c->C - i);
    c->reference[r] = qn_sum(sum);
  }
}
static void qn_cross_entropy_maximum_task(void *context, long task, long worker) {
  const qn_cross_entropy_context *c = context;
  (void)worker;
  QN_ROWS_OF_TASK(c, r) {
    float m = -QN_INFINITY;
    for (long g = 0; g < c->groups; g++) m = c->sums[r * c->groups + g] > m ? c->sums[r * c->groups + g] : m;
    c->reference[r] = m;
  }
}
// Loss, entropy = log l - (sum of e (z - reference)) / l, log of the sum of p * p, and the factor that turns e into d loss / d logit; l is the sum of e.
static void qn_cross_entropy_loss_task(void *context, long task, long worker) {
  const qn_cross_entropy_context *c = context;
  (void)worker;
  QN_ROWS_OF_TASK(c, r) {
    float l = 0;
    for (long g = 0; g < c->groups; g++) l += c->sums[r * c->groups + g];
    c->loss[r] = c->reference[r] - c->target_logit[r] + qn_log(qn_splat(l))[0];
    c->factor[r] = c->dx ? c->d_loss[r] / l : 0.0f;
    if (c->entropy) {
      float moment = 0, top = -QN_INFINITY, squares = 0, log_l = qn_log(qn_splat(l))[0];
      for (long g = 0; g < c->groups; g++) squares += c->squares[r * c->groups + g];
      for (long g = 0; g < c->groups; g++) moment += c->moments[r * c->groups + g], top = c->tops[r * c->groups + g] <= top ? top : c->tops[r * c->groups + g];
      c->entropy[r] = log_l - moment / l;
      c->is_greedy[r] = c->target_logit[r] >= top ? 1.0f : 0.0f;
      c->log_squares[r] = qn_log(qn_splat(squares))[0] - 2 * log_l;
      if (c->d_entropy) { // d_loss p - d_entropy p (log p + entropy), with log p = z - reference - log l
        c->lines[2 * r] = (c->d_loss[r] + c->d_entropy[r] * moment / l) / l;
        c->lines[2 * r + 1] = -c->d_entropy[r] / l;
        c->factor[r] = 1.0f;
      }
    }
    if (!(l < QN_SUM_LIMIT && l > 1 / QN_SUM_LIMIT)) *c->retry = 1.0f; // every row writes the same value, so a race between workers is harmless
  }
}

// dx row = factor * dx row - d_loss * w[target]
static void qn_cross_entropy_dx_epilogue(void *context, long m0, long m1, long n0, long n1) {
  const qn_cross_entropy_context *c = context;
  for (long r = m0; r < m1; r++) {
    const float *w = c->w + c->targets[r] * c->C;
    float *dx = c->dx + r * c->C, factor = c->factor[r], one = c->d_loss[r];
    for (long n = n0; n < n1; n += QN_VL) qn_store_n(dx + n, qn_load_n(dx + n, n1 - n) * factor - qn_load_n(w + n, n1 - n) * one, n1 - n);
  }
}
// dw[target] -= d_loss * x row; tasks divide the columns, so that every sum has a fixed order
static void qn_cross_entropy_dw_task(void *context, long task, long worker) {
  const qn_cross_entropy_context *c = context;
  (void)worker;
  long n0 = task * QN_GROUP, n1 = n0 + QN_GROUP < c->C ? n0 + QN_GROUP : c->C;
  for (long r = 0; r < c->rows; r++) {
    const float *x = c->x + r * c->C;
    float *dw = c->dw + c->targets[r] * c->C;
    for (long n = n0; n < n1; n += QN_VL) qn_store_n(dw + n, qn_load_n(dw + n, n1 - n) - qn_load_n(x + n, n1 - n) * c->d_loss[r], n1 - n);
  }
}

QN_INLINE void qn_copy_row(const float *from, long C, float *to) {
  for (long i = 0; i < C; i += QN_VL) qn_store_n(to + i, qn_load_n(from + i, C - i), C - i);
}
// Copies what the rows of `to->index` read; the context's pointers are those of the first of them.
static void qn_gather_counted(const qn_cross_entropy_context *c, qn_counted_rows *to) {
  for (long r = 0; r < c->rows; r++) {
    long n = to->index[r] - to->index[0];
    qn_copy_row(c->x + n * c->C, c->C, to->x + r * c->C);
    to->targets[r] = c->targets[n];
    if (c->d_loss) to->d_loss[r] = c->d_loss[n];
    if (c->d_entropy) to->d_entropy[r] = c->d_entropy[n];
  }
}
static void qn_scatter_counted(const qn_counted_rows *from, long rows, long C, float *loss, float *dx, float *entropy, float *is_greedy, float *log_squares) {
  for (long r = 0; r < rows; r++) {
    long n = from->index[r];
    loss[n] = from->loss[r];
    if (entropy) entropy[n] = from->entropy[r], is_greedy[n] = from->is_greedy[r], log_squares[n] = from->log_squares[r];
    if (dx) qn_copy_row(from->dx + r * C, C, dx + n * C);
  }
}

QN_INLINE void qn_cross_entropy_logits(qn_cross_entropy_context *c, int packs_head, float *scratch) {
  qn_gemm_blockwise(c->bf16, c->rows, c->V, c->C, c->x, c->C, c->head, c->C, packs_head, scratch, qn_cross_entropy_block, c);
}

// Inputs: x (N,C), w (V,C), targets (N), d_loss (N). Overwrites loss (N), dx (N,C) and dw (V,C), which may be null; adds to dw if accumulate_dw.
// If entropy (N) is not 0, it receives the entropy of softmax(x·wᵀ) in nats. is_greedy (N) is then 1 where no logit exceeds the
// target's, log_squares (N) the log of the sum of squared probabilities. d_entropy (N) may be 0.
QN_TEMPLATE void qn_linear_cross_entropy_gradient(int bf16, long N, long C, long V, const float *x, const float *w, const int *targets, const float *d_loss, const float *d_entropy, float *loss, float *dx, float *dw, int accumulate_dw, float *entropy, float *is_greedy, float *log_squares, float *scratch) {
  long R = qn_cross_entropy_rows(N, V), groups = (V + QN_GROUP - 1) / QN_GROUP;
  int packs_head = qn_cross_entropy_packs_head(bf16, N, C, V);
  float *along_v = scratch + (64 - ((unsigned long)scratch & 63)) / 4 % 16, *along_rows = along_v + (dx ? qn_packed_words(bf16, R, V) : 0);
  float *w_along_c = along_rows + (dw ? qn_packed_words(bf16, V, R) : 0), *w_along_v = w_along_c + (packs_head ? qn_packed_words(bf16, V, C) : 0);
  float *sums = w_along_v + (packs_head && dx ? qn_packed_words(bf16, C, V) : 0), *moments = sums + R * groups, *tops = moments + R * groups, *squares = tops + R * groups, *per_row = entropy ? squares + R * groups : moments, *retry = per_row + 5 * R, *counted = retry + 16, *gemm_scratch = counted + qn_counted_words(R, C);
#if QN_TILES
  if (packs_head) qn_gemm_strips_of_B(V, C, w, 1, C, w_along_c);
  if (packs_head && dx) qn_gemm_strips_of_B(C, V, w, C, 1, w_along_v);
#endif
  qn_counted_rows copy = qn_counted_at(counted, R, C);
  long chunks = 0;
  for (long n = 0; n < N; n++) {
    if (qn_is_counted(targets[n], V)) continue;
    loss[n] = 0.0f;
    if (entropy) entropy[n] = 0.0f, is_greedy[n] = 0.0f, log_squares[n] = 0.0f;
    for (long i = 0; dx && i < C; i += QN_VL) qn_store_n(dx + n * C + i, (vf){0}, C - i);
  }
  for (long next = 0;; chunks++) {
    long rows = 0;
    for (; next < N && rows < R; next++) if (qn_is_counted(targets[next], V)) copy.index[rows++] = (int)next;
    if (rows == 0) break;
    long n = copy.index[0], tasks = (rows + QN_CROSS_ENTROPY_ROWS - 1) / QN_CROSS_ENTROPY_ROWS;
    int scattered = copy.index[rows - 1] - n + 1 > rows;
    qn_cross_entropy_context c = {bf16, rows, C, V, groups, x + n * C, w, d_loss ? d_loss + n : 0, targets + n, loss + n, dx ? dx + n * C : 0, dw,
                                  along_v, qn_packed_pitch(bf16, V), along_rows, qn_packed_pitch(bf16, rows), sums, per_row, per_row + R, per_row + 2 * R, retry, 0,
                                  moments, tops, squares, entropy ? entropy + n : 0, is_greedy ? is_greedy + n : 0, log_squares ? log_squares + n : 0,
                                  d_entropy ? d_entropy + n : 0, per_row + 3 * R, 0, packs_head ? w_along_c : w};
    if (scattered) {
      qn_gather_counted(&c, &copy);
      c.x = copy.x, c.targets = copy.targets, c.loss = copy.loss;
      if (d_loss) c.d_loss = copy.d_loss;
      if (dx) c.dx = copy.dx;
      if (entropy) c.entropy = copy.entropy, c.is_greedy = copy.is_greedy, c.log_squares = copy.log_squares;
      if (d_entropy) c.d_entropy = copy.d_entropy;
    }
    qn_parallel(tasks, qn_cross_entropy_reference_task, &c);
    for (int round = 0; round < 2; round++) {
      if (round == 1) { // use the rows' maxima as references
        c.maxima = 1;
        qn_cross_entropy_logits(&c, packs_head, gemm_scratch);
        qn_parallel(tasks, qn_cross_entropy_maximum_task, &c);
        c.maxima = 0;
      }
      qn_cross_entropy_logits(&c, packs_head, gemm_scratch);
      *retry = 0.0f;
      qn_parallel(tasks, qn_cross_entropy_loss_task, &c);
      if (*retry == 0.0f) break;
    }
    if (dx && d_entropy) {
      c.second = 1;
      qn_cross_entropy_logits(&c, packs_head, gemm_scratch);
    }
    if (dx) qn_gemm_run((qn_gemm_context){.bf16 = bf16, .M = rows, .N = C, .K = V, .A = along_v, .a_m = c.along_v_words, .a_k = 1, .a_packed = 1, .a_strips = QN_TILES && bf16,
                                          .B = packs_head ? w_along_v : w, .b_k = C, .b_n = 1, .b_strips = packs_head,
                                          .C = c.dx, .ldc = C, .epilogue = qn_cross_entropy_dx_epilogue, .context = &c}, gemm_scratch);
    if (dw) {
      qn_gemm_run((qn_gemm_context){.bf16 = bf16, .M = V, .N = C, .K = rows, .A = along_rows, .a_m = c.along_rows_words, .a_k = 1, .a_packed = 1, .a_strips = QN_TILES && bf16, .B = c.x, .b_k = C, .b_n = 1, .b_scale = c.factor,
                                    .C = dw, .ldc = C, .accumulate = accumulate_dw || chunks > 0}, gemm_scratch);
      qn_parallel((C + QN_GROUP - 1) / QN_GROUP, qn_cross_entropy_dw_task, &c);
    }
    if (scattered) qn_scatter_counted(&copy, rows, C, loss, dx, entropy, is_greedy, log_squares);
  }
  for (long i = 0; dw && !accumulate_dw && chunks == 0 && i < V * C; i += QN_VL) qn_store_n(dw + i, (vf){0}, V * C - i);
}

// x (N,C), w (V,C), targets (N); loss (N): -log softmax(x·wᵀ)[target] in nats, 0 where the target is -100 (or any id
// outside [0, V)).
QN_TEMPLATE void qn_linear_cross_entropy(int bf16, long N, long C, long V, const float *x, const float *w, const int *targets, float *loss, float *entropy, float *is_greedy, float *log_squares, float *scratch) {
  qn_linear_cross_entropy_gradient(bf16, N, C, V, x, w, targets, 0, 0, loss, 0, 0, 0, entropy, is_greedy, log_squares, scratch);
}
#endif
