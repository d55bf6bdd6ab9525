// Keys and values of earlier tokens: cache (slots,S,W), with W = G · D.
#ifndef QN_CACHE_H
#define QN_CACHE_H
// Writes rows t of x (B,T,W), x_row apart, at position + t of their slot.
template <class TX, class T>
QN_DEVICE void qn_cache_write(int B, int slots, int S, int T_, int W, const TX *x, qn_long x_row, qn_rows position, const int *rows, T *cache) {
  QN_ELEMENT((qn_long)B * T_ * W);
  const int w = (int)(i % W), t = (int)(i / W % T_), b = (int)(i / W / T_);
  const int slot = rows ? rows[b] : b, at = position(b) + t;
  if (slot < 0 || slot >= slots || at < 0 || at >= S) return;
  qn_store(cache + ((qn_long)slot * S + at) * W + w, qn_load(x + ((qn_long)b * T_ + t) * x_row + w));
}
// In q8_0: a thread per block of 32.
template <class TX>
QN_DEVICE void qn_cache_write(int B, int slots, int S, int T_, int W, const TX *x, qn_long x_row, qn_rows position, const int *rows, qn_q8_0 *cache) {
  QN_ELEMENT((qn_long)B * T_ * (W / 32));
  const int w = (int)(i % (W / 32)) * 32, t = (int)(i / (W / 32) % T_), b = (int)(i / (W / 32) / T_);
  const int slot = rows ? rows[b] : b, at = position(b) + t;
  if (slot < 0 || slot >= slots || at < 0 || at >= S) return;
  const TX *from = x + ((qn_long)b * T_ + t) * x_row + w;
  unsigned char *to = (unsigned char *)cache + (((qn_long)slot * S + at) * W + w) / 32 * 34;
  float largest = 0.0f;
  for (int k = 0; k < 32; k++) largest = qn_maximum(largest, fabsf(qn_load(from + k)));
  const unsigned short scale = qn_half_of_float(largest / 127.0f);
  to[0] = (unsigned char)(scale & 255), to[1] = (unsigned char)(scale >> 8);
  for (int k = 0; k < 32; k++) to[2 + k] = (unsigned char)qn_int8_of(qn_load(from + k), largest);
}
// Copies the first lengths[r] positions of slot from[r] to slot to[r], one r after the other; a thread has the same byte of all slots.
QN_DEVICE void qn_cache_copy(int R, int slots, int S, qn_long bytes, const int *from, const int *to, const int *lengths, unsigned char *cache) {
  QN_ELEMENT((qn_long)S * bytes);
  for (int r = 0; r < R; r++) {
    if (from[r] < 0 || from[r] >= slots || to[r] < 0 || to[r] >= slots) continue;
    if (i < (qn_long)lengths[r] * bytes) cache[to[r] * (S * bytes) + i] = cache[from[r] * (S * bytes) + i];
  }
}
#endif
