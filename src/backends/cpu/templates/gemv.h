// Rows of activations (M,K) times a weight matrix (N,K): the product of every layer in decoding. Each output is one dot product
// with a fixed order of additions, so the bits of a row do not depend on other rows.
//
// One row is bound by reading the matrix once. So rows of W are read one at a time from end to end, which suits the hardware
// prefetcher: 26.5 of 28 GB/s on a Zen 4 core. Reading four rows at once, as the small products of gemm.h do, reaches 16 GB/s.
// QN_DOT_SUMS partial sums per dot product keep additions from waiting for one another. Several rows use the same sums in a
// register tile of QN_DOT_ROWS rows by QN_DOT_COLUMNS rows of W.
#ifndef QN_GEMV_H
#define QN_GEMV_H
#if QN_VL == 16 || defined(__aarch64__) // 32 registers
#define QN_DOT_ROWS 4
#define QN_DOT_COLUMNS 3
#define QN_DOT_SUMS 2
#else // 16
#define QN_DOT_ROWS 3
#define QN_DOT_COLUMNS 1
#define QN_DOT_SUMS 4
#endif
#define QN_DOT_BLOCK 12      // rows of x that stay in L1 while some rows of W are multiplied,
#define QN_DOT_FLOATS 4608   // limited to this many floats: together with those of W they fill L1
#define QN_DOT_TASK_ROWS 48  // rows per task

// Columns per task: QN_GROUP, or less if that leaves one thread waiting for another. A multiple of 16.
QN_INLINE long qn_task_columns(long N) {
  long columns = QN_GROUP;
  while (columns > 16 && (N + columns - 1) / columns < 8 * qn_threads) columns /= 2;
  return columns;
}

// x (M,K), W (N,K), y (M,N)
typedef struct { long M, N, K; const float *x, *W; float *y; int accumulate; qn_epilogue epilogue; void *context; long columns, m_blocks; } qn_dot_context;

// parts[i][j] (VL partial sums) = row i of x (rows K apart) · row j of W (rows K apart); m, n constant
QN_INLINE void qn_dot_tile(const int m, const int n, long K, const float *restrict x, const float *restrict W, vf (*restrict parts)[QN_VL]) {
  vf s[QN_DOT_ROWS][QN_DOT_COLUMNS][QN_DOT_SUMS];
  QN_UNROLL for (int i = 0; i < m; i++) QN_UNROLL for (int j = 0; j < n; j++) QN_UNROLL for (int l = 0; l < QN_DOT_SUMS; l++) s[i][j][l] = (vf){0};
  long k = 0;
  for (; k + QN_DOT_SUMS * QN_VL <= K; k += QN_DOT_SUMS * QN_VL) QN_UNROLL for (int l = 0; l < QN_DOT_SUMS; l++) {
    vf w[QN_DOT_COLUMNS];
    QN_UNROLL for (int j = 0; j < n; j++) w[j] = qn_load(W + j * K + k + l * QN_VL);
    QN_UNROLL for (int i = 0; i < m; i++) {
      vf a = qn_load(x + i * K + k + l * QN_VL);
      QN_UNROLL for (int j = 0; j < n; j++) s[i][j][l] += a * w[j];
    }
  }
  for (; k < K; k += QN_VL) QN_UNROLL for (int i = 0; i < m; i++) QN_UNROLL for (int j = 0; j < n; j++)
    s[i][j][0] += qn_load_n(x + i * K + k, K - k) * qn_load_n(W + j * K + k, K - k);
  QN_UNROLL for (int i = 0; i < m; i++) QN_UNROLL for (int j = 0; j < n; j++) parts[i][j] = QN_DOT_SUMS == 2 ? s[i][j][0] + s[i][j][1] : (s[i][j][0] + s[i][j][1]) + (s[i][j][QN_DOT_SUMS - 2] + s[i][j][QN_DOT_SUMS - 1]);
}
QN_INLINE float qn_dot(long K, const float *x, const float *w) {
  vf part[1][QN_VL];
  qn_dot_tile(1, 1, K, x, w, part);
  return qn_sum(part[0][0]);
}
// Rows of x in tiles by COLUMNS rows of W
#define QN_DOT_STRIP(NAME, COLUMNS) \
  static __attribute__((noinline)) void NAME(long m, long K, const float *x, const float *W, vf (*parts)[QN_VL]) { \
    for (; m >= QN_DOT_ROWS; m -= QN_DOT_ROWS, x += QN_DOT_ROWS * K, parts += QN_DOT_ROWS) qn_dot_tile(QN_DOT_ROWS, COLUMNS, K, x, W, parts); \
    if (QN_DOT_ROWS > 3 && m == 3) qn_dot_tile(3, COLUMNS, K, x, W, parts); \
    else if (m == 2) qn_dot_tile(2, COLUMNS, K, x, W, parts); \
    else if (m == 1) qn_dot_tile(1, COLUMNS, K, x, W, parts); \
  }
QN_DOT_STRIP(qn_dot_strip_1, 1)
QN_DOT_STRIP(qn_dot_strip_n, QN_DOT_COLUMNS)

static void qn_linear_task(void *context, long task, long worker) {
  const qn_dot_context *c = context;
  (void)worker;
  long K = c->K, n0 = task / c->m_blocks * c->columns, n1 = n0 + c->columns < c->N ? n0 + c->columns : c->N;
  long m0 = c->M * (task % c->m_blocks) / c->m_blocks, m1 = c->M * (task % c->m_blocks + 1) / c->m_blocks, step = QN_DOT_FLOATS / K / QN_DOT_ROWS * QN_DOT_ROWS;
  step = step < QN_DOT_ROWS ? QN_DOT_ROWS : step > QN_DOT_BLOCK ? QN_DOT_BLOCK : step;
  vf parts[QN_DOT_BLOCK][QN_VL];
  for (long m = m0; m < m1; m += step) for (long n = n0; n < n1; n += QN_VL) {
    long rows = m1 - m < step ? m1 - m : step, columns = n1 - n < QN_VL ? n1 - n : QN_VL, j = 0;
    for (; j + QN_DOT_COLUMNS <= columns; j += QN_DOT_COLUMNS) qn_dot_strip_n(rows, K, c->x + m * K, c->W + (n + j) * K, (vf(*)[QN_VL])&parts[0][j]);
    for (; j < columns; j++) qn_dot_strip_1(rows, K, c->x + m * K, c->W + (n + j) * K, (vf(*)[QN_VL])&parts[0][j]);
    for (long i = 0; i < rows; i++) {
      float *y = c->y + (m + i) * c->N + n;
      qn_store_n(y, (c->accumulate ? qn_load_n(y, columns) : (vf){0}) + qn_sums(parts[i]), columns);
    }
  }
  if (c->epilogue) c->epilogue(c->context, m0, m1, n0, n1);
}
static void qn_gemv_task(void *context, long task, long worker) {
  const qn_dot_context *c = context;
  (void)worker;
  long n0 = task * c->columns, n1 = n0 + c->columns < c->N ? n0 + c->columns : c->N;
  for (long n = n0; n < n1; n++) c->y[n] = (c->accumulate ? c->y[n] : 0.0f) + qn_dot(c->K, c->x, c->W + n * c->K);
  if (c->epilogue) c->epilogue(c->context, 0, 1, n0, n1);
}

// y (M,N) = [y +] x (M,K) · W (N,K) transposed.
QN_TEMPLATE void qn_linear(long M, long N, long K, const float *x, const float *W, float *y, int accumulate, qn_epilogue epilogue, void *context) {
  qn_dot_context c = {.M = M, .N = N, .K = K, .x = x, .W = W, .y = y, .accumulate = accumulate, .epilogue = epilogue, .context = context};
  c.columns = qn_task_columns(N);
  long groups = (N + c.columns - 1) / c.columns;
  c.m_blocks = (M + QN_DOT_TASK_ROWS - 1) / QN_DOT_TASK_ROWS;
  if (M < 1 || N < 1 || K < 1) return;
  if (M == 1) qn_parallel(groups, qn_gemv_task, &c);
  else qn_parallel(groups * c.m_blocks, qn_linear_task, &c);
}
#endif
