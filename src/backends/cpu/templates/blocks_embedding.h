// Embedding with a table in blocks (blocks.h): out (N,C) = rows of the table (V,C) by id, decoded; zeros for ids outside the table.
#ifndef QN_BLOCKS_EMBEDDING_H
#define QN_BLOCKS_EMBEDDING_H
// Bit 4 of value 16 half + i of a row's block in q5_0 or q5_1; `word` are its four bytes (weight-layout.ts)
QN_INLINE long qn_high_bit(const unsigned char *word, long i, long half) { return word[i % 4] >> (i / 4 * 2 + half) & 1; }
// Decodes block b of a row of a group.
static void qn_decode_narrow(int type, const unsigned char *group, long blocks, long b, long row, float *out) {
  const long G = QN_GROUP_ROWS, minimum_bytes = QN_HAS_MINIMUM(type) ? 2 : 0, high_bytes = QN_HAS_HIGH(type) ? 4 : 0, units = type == QN_Q8_0 ? 8 : 4;
  const unsigned char *d_at = group + (b * G + row) * 2, *high = group + blocks * (2 + minimum_bytes) * G + (b * G + row) * 4;
  const unsigned char *quants = group + blocks * (2 + minimum_bytes + high_bytes) * G + b * units * 4 * G + row * 4;
  float d = qn_splat_f16(*(const unsigned short *)d_at)[0], minimum = minimum_bytes ? qn_splat_f16(*(const unsigned short *)(d_at + blocks * 2 * G))[0] : 0.0f;
  const long offset = type == QN_Q4_0 ? 8 : type == QN_Q5_0 ? 16 : 0;
  for (long k = 0; k < 4 * units; k++) {
    unsigned char q = quants[k / 4 * 4 * G + k % 4];
    if (type == QN_Q8_0) out[k] = d * (float)(signed char)q;
    else for (long half = 0; half < 2; half++) {
      long value = (q >> 4 * half & 15) + (high_bytes ? qn_high_bit(high, k, half) << 4 : 0) - offset;
      out[16 * half + k] = d * (float)value + minimum;
    }
  }
}
static void qn_decode_wide(int type, const unsigned char *group, long blocks, long b, long row, float *out) {
  const long G = QN_GROUP_ROWS;
  const unsigned char *d_at = group + (b * G + row) * 2;
  float d = qn_splat_f16(*(const unsigned short *)d_at)[0];
  if (type != QN_Q6_K) {
    float dmin = qn_splat_f16(*(const unsigned short *)(d_at + blocks * 2 * G))[0];
    const long high_bytes = QN_HAS_HIGH(type) ? 32 : 0;
    const unsigned char *packed = group + blocks * 4 * G + b * 12 * G + row, *highs = group + blocks * 16 * G + b * 32 * G + row * 4, *quants = group + blocks * (16 + high_bytes) * G + b * 128 * G + row * 4;
    for (long k = 0; k < 256; k++) {
      long g = k / 32, at = k / 64 * 32 + k % 32, q = quants[at / 4 * 4 * G + at % 4] >> (g % 2 ? 4 : 0) & 15;
      long scale = g < 4 ? packed[G * g] & 63 : (packed[G * (4 + g)] & 15) | (packed[G * (g - 4)] >> 6) << 4;
      long least = g < 4 ? packed[G * (4 + g)] & 63 : packed[G * (4 + g)] >> 4 | (packed[G * g] >> 6) << 4;
      if (high_bytes) q |= (highs[k % 32 / 4 * 4 * G + k % 4] >> g & 1) << 4;
      out[k] = d * (float)scale * (float)q - dmin * (float)least;
    }
  } else {
    const unsigned char *scales = group + blocks * 2 * G + b * 16 * G + row, *lows = group + blocks * 18 * G + b * 128 * G + row * 4, *highs = group + blocks * 146 * G + b * 64 * G + row * 4;
    for (long k = 0; k < 256; k++) {
      long run = k / 32 % 4, low_at = k / 128 * 64 + run % 2 * 32 + k % 32, high_at = k / 128 * 32 + k % 32;
      long low = lows[low_at / 4 * 4 * G + low_at % 4] >> (run < 2 ? 0 : 4) & 15, high = highs[high_at / 4 * 4 * G + high_at % 4] >> 2 * run & 3;
      out[k] = d * (float)(signed char)scales[k / 16 * G] * (float)((low | high << 4) - 32);
    }
  }
}
typedef struct { int type; long C, V; const unsigned char *table; const int *ids; float *out; } qn_embedding_blocks_context;
static void qn_embedding_blocks_task(void *context, long n, long worker) {
  const qn_embedding_blocks_context *c = context;
  (void)worker;
  long id = c->ids[n], block = QN_BLOCK_OF(c->type), blocks = c->C / block;
  float *out = c->out + n * c->C;
  for (long b = 0; b < blocks; b++) {
    if (id >= 0 && id < c->V) (QN_IS_WIDE(c->type) ? qn_decode_wide : qn_decode_narrow)(c->type, c->table + id / QN_GROUP_ROWS * blocks * QN_BLOCK_BYTES(c->type) * QN_GROUP_ROWS, blocks, b, id % QN_GROUP_ROWS, out + b * block);
    else for (long i = 0; i < block; i++) out[b * block + i] = 0.0f;
  }
}
QN_TEMPLATE void qn_embedding_blocks(int type, long N, long C, long V, const void *table, const int *ids, float *out) {
  qn_embedding_blocks_context c = {type, C, V, table, ids, out};
  qn_parallel(N, qn_embedding_blocks_task, &c);
}
#endif
