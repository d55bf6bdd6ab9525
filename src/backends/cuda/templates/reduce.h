// Adds up partial sums in a fixed order: out (width) = or += sum over parts of from (parts, width). One warp per column if there are few columns.
#ifndef QN_REDUCE_H
#define QN_REDUCE_H
template <bool Accumulate> QN_DEVICE void qn_combine(int parts, int width, const float *from, float *out) {
  const int c = blockIdx.x * blockDim.x + threadIdx.x;
  if (c >= width) return;
  float sum = 0.0f;
  for (int part = 0; part < parts; part++) sum += from[(qn_long)part * width + c];
  out[c] = (Accumulate ? out[c] : 0.0f) + sum;
}
// One block of 32 threads per column.
template <bool Accumulate> QN_DEVICE void qn_combine_few(int parts, int width, const float *from, float *out) {
  const int c = blockIdx.x;
  float sum = 0.0f;
  for (int part = threadIdx.x; part < parts; part += QN_WARP) sum += from[(qn_long)part * width + c];
  sum = qn_warp_sum(sum);
  if (threadIdx.x == 0) out[c] = (Accumulate ? out[c] : 0.0f) + sum;
}
#endif
