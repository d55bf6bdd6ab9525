// Loss of a row of logits and its gradient; the logits are those of a chunk of rows, and are computed by a product before. A block per row.
#ifndef QN_CROSS_ENTROPY_H
#define QN_CROSS_ENTROPY_H
#define QN_IGNORED -100
// logits (rows,V), targets (rows) -> loss (rows) and, with Statistics, entropy, is_greedy and log_squares (rows). With Gradient,
// slopes (rows,V) = d loss / d logit: p (d_loss - d_entropy (log p + entropy)) - d_loss at the target. slopes may be the logits.
template <bool Statistics, bool Gradient, bool HasEntropy, class TS>
QN_DEVICE void qn_cross_entropy(int V, const float *logits, const int *targets, const float *d_loss, const float *d_entropy, float *loss, float *entropy, float *is_greedy, float *log_squares, TS *slopes) {
  QN_SHARED(float, room, 32);
  const int row = blockIdx.x, target = targets[row];
  const float *z = logits + (qn_long)row * V;
  if (target == QN_IGNORED) { // the same in all threads
    if (threadIdx.x == 0) {
      loss[row] = 0.0f;
      if (Statistics) entropy[row] = 0.0f, is_greedy[row] = 0.0f, log_squares[row] = 0.0f;
    }
    if (Gradient)
      for (int v = threadIdx.x; v < V; v += 256) qn_store(slopes + (qn_long)row * V + v, 0.0f);
    return;
  }
  float top = -QN_INFINITY, sum = 0.0f;
  for (int v = threadIdx.x; v < V; v += 256) top = qn_maximum(top, z[v]);
  top = qn_block_maximum<256>(top, room);
  for (int v = threadIdx.x; v < V; v += 256) sum += expf(z[v] - top);
  sum = qn_block_sum<256>(sum, room);
  const float lse = top + logf(sum), own = target >= 0 && target < V ? z[target] : QN_NAN;
  float H = 0.0f;
  if (Statistics || HasEntropy) {
    float squares = 0.0f;
    for (int v = threadIdx.x; v < V; v += 256) {
      const float p = expf(z[v] - top) / sum;
      if (p > 0.0f) H -= p * (z[v] - lse);
      squares += p * p;
    }
    H = qn_block_sum<256>(H, room);
    squares = qn_block_sum<256>(squares, room);
    if (Statistics && threadIdx.x == 0) entropy[row] = H, is_greedy[row] = top <= own ? 1.0f : 0.0f, log_squares[row] = logf(squares);
  }
  if (threadIdx.x == 0) loss[row] = lse - own;
  if (Gradient) {
    const float d = d_loss[row], dH = HasEntropy ? d_entropy[row] : 0.0f;
    __syncthreads(); // all threads have read the target's logit, which a slope may overwrite
    for (int v = threadIdx.x; v < V; v += 256) {
      const float log_p = z[v] - lse, p = expf(log_p);
      const float slope = p * (d - (HasEntropy ? dH * (log_p + H) : 0.0f));
      qn_store(slopes + (qn_long)row * V + v, slope - (v == target ? d : 0.0f));
    }
  }
}
#endif
