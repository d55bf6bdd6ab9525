// Products with weights in bf16 or f16: y (M,N) = x (M,K) · W (N,K) transposed, in fp32 on widened weights. Tiles and order of
// additions are those of gemv.h, so the bits of a row do not depend on other rows, and decoding reads each row of W from end to
// end.
#ifndef QN_HALF_H
#define QN_HALF_H
typedef unsigned short qn_half;
QN_INLINE vf qn_load_weights(const int is_bf16, const qn_half *p) { return is_bf16 ? qn_load_bf16(p) : qn_load_halves(p); }
QN_INLINE vf qn_load_weights_n(const int is_bf16, const qn_half *p, long n) { return is_bf16 ? qn_load_n_bf16(p, n) : qn_load_n_f16(p, n); }

typedef struct { long M, N, K; const float *x; const qn_half *W; float *y; int accumulate; qn_epilogue epilogue; void *context; long columns, m_blocks; } qn_half_context;

// parts[i][j] (VL partial sums) = row i of x (rows K apart) · row j of W (rows K apart); m, n constant
QN_INLINE void qn_half_tile(const int is_bf16, const int m, const int n, long K, const float *restrict x, const qn_half *restrict W, vf (*restrict parts)[QN_VL]) {
  vf s[QN_DOT_ROWS][QN_DOT_COLUMNS][QN_DOT_SUMS];
  QN_UNROLL for (int i = 0; i < m; i++) QN_UNROLL for (int j = 0; j < n; j++) QN_UNROLL for (int l = 0; l < QN_DOT_SUMS; l++) s[i][j][l] = (vf){0};
  long k = 0;
  for (; k + QN_DOT_SUMS * QN_VL <= K; k += QN_DOT_SUMS * QN_VL) QN_UNROLL for (int l = 0; l < QN_DOT_SUMS; l++) {
    vf w[QN_DOT_COLUMNS];
    QN_UNROLL for (int j = 0; j < n; j++) w[j] = qn_load_weights(is_bf16, W + j * K + k + l * QN_VL);
    QN_UNROLL for (int i = 0; i < m; i++) {
      vf a = qn_load(x + i * K + k + l * QN_VL);
      QN_UNROLL for (int j = 0; j < n; j++) s[i][j][l] += a * w[j];
    }
  }
  for (; k < K; k += QN_VL) QN_UNROLL for (int i = 0; i < m; i++) QN_UNROLL for (int j = 0; j < n; j++)
    s[i][j][0] += qn_load_n(x + i * K + k, K - k) * qn_load_weights_n(is_bf16, W + j * K + k, K - k);
  QN_UNROLL for (int i = 0; i < m; i++) QN_UNROLL for (int j = 0; j < n; j++) {
    vf sum = s[i][j][0];
    QN_UNROLL for (int l = 1; l < QN_DOT_SUMS; l++) sum += s[i][j][l];
    parts[i][j] = sum;
  }
}
// Rows of x in tiles by COLUMNS rows of W
#define QN_HALF_STRIP(NAME, IS_BF16, COLUMNS) \
  static __attribute__((noinline)) void NAME(long m, long K, const float *x, const qn_half *W, vf (*parts)[QN_VL]) { \
    for (; m >= QN_DOT_ROWS; m -= QN_DOT_ROWS, x += QN_DOT_ROWS * K, parts += QN_DOT_ROWS) qn_half_tile(IS_BF16, QN_DOT_ROWS, COLUMNS, K, x, W, parts); \
    if (QN_DOT_ROWS > 3 && m == 3) qn_half_tile(IS_BF16, 3, COLUMNS, K, x, W, parts); \
    else if (m == 2) qn_half_tile(IS_BF16, 2, COLUMNS, K, x, W, parts); \
    else if (m == 1) qn_half_tile(IS_BF16, 1, COLUMNS, K, x, W, parts); \
  }
QN_HALF_STRIP(qn_half_strip_bf16, 1, 1)
QN_HALF_STRIP(qn_half_strips_bf16, 1, QN_DOT_COLUMNS)
QN_HALF_STRIP(qn_half_strip_f16, 0, 1)
QN_HALF_STRIP(qn_half_strips_f16, 0, QN_DOT_COLUMNS)

QN_INLINE void qn_half_task(const int is_bf16, const qn_half_context *c, long task) {
  long K = c->K, n0 = task / c->m_blocks * c->columns, n1 = n0 + c->columns < c->N ? n0 + c->columns : c->N;
  long m0 = c->M * (task % c->m_blocks) / c->m_blocks, m1 = c->M * (task % c->m_blocks + 1) / c->m_blocks, step = QN_DOT_FLOATS / K / QN_DOT_ROWS * QN_DOT_ROWS;
  step = step < QN_DOT_ROWS ? QN_DOT_ROWS : step > QN_DOT_BLOCK ? QN_DOT_BLOCK : step;
  vf parts[QN_DOT_BLOCK][QN_VL];
  for (long m = m0; m < m1; m += step) for (long n = n0; n < n1; n += QN_VL) {
    long rows = m1 - m < step ? m1 - m : step, columns = n1 - n < QN_VL ? n1 - n : QN_VL, j = 0;
    const float *x = c->x + m * K;
    // A single row reads the rows of W one after the other, which suits the hardware prefetcher.
    for (; rows > 1 && j + QN_DOT_COLUMNS <= columns; j += QN_DOT_COLUMNS) (is_bf16 ? qn_half_strips_bf16 : qn_half_strips_f16)(rows, K, x, c->W + (n + j) * K, (vf(*)[QN_VL])&parts[0][j]);
    for (; j < columns; j++) (is_bf16 ? qn_half_strip_bf16 : qn_half_strip_f16)(rows, K, x, c->W + (n + j) * K, (vf(*)[QN_VL])&parts[0][j]);
    for (long i = 0; i < rows; i++) {
      float *y = c->y + (m + i) * c->N + n;
      qn_store_n(y, (c->accumulate ? qn_load_n(y, columns) : (vf){0}) + qn_sums(parts[i]), columns);
    }
  }
  if (c->epilogue) c->epilogue(c->context, m0, m1, n0, n1);
}
static void qn_bf16_task(void *context, long task, long worker) { (void)worker; qn_half_task(1, context, task); }
static void qn_f16_task(void *context, long task, long worker) { (void)worker; qn_half_task(0, context, task); }

// y (M,N) = [y +] x (M,K) · W (N,K) transposed
QN_TEMPLATE void qn_linear_half(int is_bf16, long M, long N, long K, const float *x, const void *W, float *y, int accumulate, qn_epilogue epilogue, void *context) {
  qn_half_context c = {.M = M, .N = N, .K = K, .x = x, .W = W, .y = y, .accumulate = accumulate, .epilogue = epilogue, .context = context};
  if (M < 1 || N < 1 || K < 1) return;
  c.columns = qn_task_columns(N);
  c.m_blocks = (M + QN_DOT_TASK_ROWS - 1) / QN_DOT_TASK_ROWS;
  qn_parallel((N + c.columns - 1) / c.columns * c.m_blocks, is_bf16 ? qn_bf16_task : qn_f16_task, &c);
}

typedef struct { int is_bf16; long C, V; const qn_half *table; const int *ids; float *out; } qn_embedding_half_context;
static void qn_embedding_half_task(void *context, long n, long worker) {
  const qn_embedding_half_context *c = context;
  (void)worker;
  long id = c->ids[n];
  const qn_half *row = id >= 0 && id < c->V ? c->table + id * c->C : 0;
  for (long i = 0; i < c->C; i += QN_VL) qn_store_n(c->out + n * c->C + i, row ? qn_load_weights_n(c->is_bf16, row + i, c->C - i) : (vf){0}, c->C - i);
}
// out (N,C) = rows of the table (V,C) by id; zeros for ids outside the table
QN_TEMPLATE void qn_embedding_half(int is_bf16, long N, long C, long V, const void *table, const int *ids, float *out) {
  qn_embedding_half_context c = {is_bf16, C, V, table, ids, out};
  qn_parallel(N, qn_embedding_half_task, &c);
}
#endif
