// Products with weights in blocks (ggml's q8_0, q4_0 and so on): y (M,N) = x (M,K) · W (N,K) transposed. Rows of x are rounded to
// int8 first, in blocks with one scale. Products of int8 are added up exactly (int8.h), scaled, and added to y block after
// block. So the bits of a row depend neither on other rows, nor on the register tile, nor on the number of threads.
//
// Weights are stored in groups of QN_GROUP_ROWS rows (weight-layout.ts). Each field of the blocks has its own section of a group,
// in which the rows alternate: every two bytes of a scale, or every four bytes of quants. A vector then has the same four
// values of K of different rows, every lane belongs to one row, and no sum crosses lanes. Decoding reads a group from
// end to end, and a matrix product needs no packing: a group is a panel, and also a tile of AMX.
#ifndef QN_BLOCKS_H
#define QN_BLOCKS_H
#define QN_GROUP_ROWS 16
#define QN_PARTS (QN_GROUP_ROWS / QN_VL) // vectors per group
#ifndef QN_BLOCK_TYPES
#define QN_BLOCK_TYPES 255 // bit t: whether type t is used; compiling one takes long
#endif
#define QN_USES(type) (QN_BLOCK_TYPES >> (type) & 1)
#define QN_IS_WIDE(type) ((type) >= QN_Q4_K)
#define QN_BLOCK_OF(type) (QN_IS_WIDE(type) ? 256 : 32) // values with one scale of x
#define QN_SUMMED(type) ((type) == QN_Q6_K ? 16 : 32)   // values whose sum of x is needed
static const int qn_block_bytes[] = {34, 18, 20, 22, 24, 144, 176, 210};
#define QN_BLOCK_BYTES(type) qn_block_bytes[type]
#define QN_IS_NIBBLE(type) ((type) == QN_Q4_0 || (type) == QN_Q4_1 || (type) == QN_Q4_K) // weights from 0 to 15
#define QN_HAS_HIGH(type) ((type) == QN_Q5_0 || (type) == QN_Q5_1 || (type) == QN_Q5_K)  // a fifth bit is stored apart
#define QN_HAS_MINIMUM(type) ((type) == QN_Q4_1 || (type) == QN_Q5_1)                    // d·q + m
#define QN_X_BYTES(type) (QN_IS_NIBBLE(type) ? (long)sizeof(qn_x4) : (long)sizeof(qn_x8))
// What each type adds per unit of the sum of x, because its weights are multiplied with an offset. Types with minima add these instead.
#define QN_X_BIAS(type) ((type) == QN_Q8_0 ? -QN_W8_BIAS : (type) == QN_Q4_0 ? -8 : (type) == QN_Q5_0 ? -16 : (type) == QN_Q6_K ? -32 : 1)

// x (M,K) rounded to int8: quants of QN_X_BYTES; scales, one per QN_BLOCK_OF values; and sums times QN_X_BIAS, one per
// QN_SUMMED values. All are in strips of `strip` rows, 16 or M if that is less: (strips, elements, strip), where an element is 32 quants, a
// scale or a sum. So several rows are read as one stream, and 16 of them are a tile.
typedef struct {
  long M, N, K; const float *from; const unsigned char *W; float *y; int accumulate; qn_epilogue epilogue; void *context;
  char *x; float *scales; int *sums; long strip, m_blocks, columns;
  qn_s8 *unpacked; // (threads, K, 16): a group of 4 or 5 bits as int8, for tiles
} qn_blocks_context;
// Index of the first of `count` elements of row m; the next ones are `strip` apart.
QN_INLINE long qn_x_at(long m, long count) { return (m - m % 16) * count + m % 16; }

typedef short qn_v_s16 __attribute__((vector_size(2 * QN_VL), aligned(1), may_alias));
QN_INLINE vi qn_load_bytes(const void *p) { return (vi)qn_load_u8(p); }
QN_INLINE vi qn_load_lanes(const void *p) { return (vi)qn_load(p); }

// ---- rounding x

// Elements e0 … of the blocks of a strip, at most QN_VL: each lane has the scale of one block. Non-negative floats are compared as integers,
// which also finds NaN.
QN_INLINE void qn_round_blocks(const int type, const qn_blocks_context *c, long m0, long e0, long left) {
  const int block = QN_BLOCK_OF(type), summed = QN_SUMMED(type), parts = block / summed;
  const long K = c->K, strip = c->strip, count = left < QN_VL ? left : QN_VL;
  const float *from[QN_VL];
  long row = e0 % strip, b = e0 / strip, rows[QN_VL], blocks[QN_VL];
  vi top[QN_VL], sums[QN_VL];
  for (int i = 0; i < QN_VL; i++) { // the last block fills the lanes that are left, and the last row the strip
    long m = m0 + row < c->M ? m0 + row : c->M - 1;
    from[i] = c->from + m * K + b * block, rows[i] = row, blocks[i] = b;
    if (i + 1 < count && ++row == strip) row = 0, b++;
  }
  QN_UNROLL for (int i = 0; i < QN_VL; i++) {
    vi most = {0};
    for (int k = 0; k < block; k += QN_VL) most = qn_int_max((vi)qn_abs(qn_load(from[i] + k)), most);
    top[i] = most;
  }
  vf largest = (vf)qn_int_maxima(top), scale = largest / 127.0f, inverses = qn_select(largest > QN_TINY_BLOCK, 127.0f / largest, (vf){0});
  float inverse[QN_VL];
  qn_store(inverse, inverses);
  qn_store_n(c->scales + m0 * (K / block) + e0, QN_IS_WIDE(type) ? scale : qn_to_f16(scale), count);
  for (int g = 0; g < parts; g++) {
    QN_UNROLL for (int i = 0; i < QN_VL; i++) {
      vi sum = {0};
      char *quants = c->x + (m0 * K + ((blocks[i] * block + g * summed) / 32 * strip + rows[i]) * 32 + g * summed % 32) * QN_X_BYTES(type);
      for (int k = 0; k < summed; k += QN_VL) {
        vi q = qn_round_int8(qn_load(from[i] + g * summed + k), inverse[i]);
        if (QN_X_BYTES(type) == 1) *(qn_v_s8 *)(quants + k) = __builtin_convertvector(q, qn_v_s8);
        else *(qn_v_s16 *)((short *)quants + k) = __builtin_convertvector(q, qn_v_s16);
        sum += q;
      }
      sums[i] = sum;
    }
    vi totals = QN_X_BIAS(type) * qn_int_sums(sums);
    int *to = c->sums + m0 * (K / summed);
    if (parts == 1) qn_store_n((float *)to + e0, (vf)totals, count);
    else for (int i = 0; i < count; i++) to[(blocks[i] * parts + g) * strip + rows[i]] = totals[i];
  }
}
QN_INLINE void qn_round_strip(const int type, const qn_blocks_context *c, long m0) {
  const long elements = c->K / QN_BLOCK_OF(type) * c->strip;
  for (long e = 0; e < elements; e += QN_VL) qn_round_blocks(type, c, m0, e, elements - e);
}

// ---- R rows of x times P vectors of a group, starting with vector `part`; type, P and R are constants. Arrays have the size of the
// largest R and P, because a compiler keeps no array of variable length in registers.
#define QN_BLOCK_ROWS_X (QN_VL == 16 ? 8 : 4)

// Bit 4 of the weights in half `half` (low or high) of the bytes of unit u, from a word in which weight-layout.ts has reordered the bits
QN_INLINE vi qn_high_bits(vi word, const int u, const int half) {
  const int bit = 2 * u + half;
  return (bit < 4 ? word << (4 - bit) : word >> (bit - 4)) & 0x10101010;
}
QN_INLINE void qn_blocks_narrow(const int type, const int P, const int R, const qn_blocks_context *c, const unsigned char *group, long m, int part, vf (*y)[QN_PARTS]) {
  const int bytes = type == QN_Q8_0 ? 32 : 16, high_bytes = QN_HAS_HIGH(type) ? 4 : 0, minimum_bytes = QN_HAS_MINIMUM(type) ? 2 : 0; // per block and row
  const int start = type == QN_Q4_0 || type == QN_Q5_0 || (type == QN_Q8_0 && QN_W8_BIAS); // whether accumulators start with the sum of x
  const long blocks = c->K / 32, strip = c->strip;
  const unsigned char *scales = group + part * QN_VL * 2, *minima = scales + blocks * 2 * QN_GROUP_ROWS;
  const unsigned char *highs = group + blocks * (2 + minimum_bytes) * QN_GROUP_ROWS + part * QN_VL * 4, *quants = highs + blocks * high_bytes * QN_GROUP_ROWS;
  const qn_x8 *x8 = (const qn_x8 *)c->x + 32 * qn_x_at(m, blocks);
  const qn_x4 *x4 = (const qn_x4 *)c->x + 32 * qn_x_at(m, blocks);
  const float *x_scales = c->scales + qn_x_at(m, blocks);
  const int *sums = c->sums + qn_x_at(m, blocks);
  for (long b = 0; b < blocks; b++, scales += 2 * QN_GROUP_ROWS, minima += 2 * QN_GROUP_ROWS, highs += 4 * QN_GROUP_ROWS, quants += bytes * QN_GROUP_ROWS, x8 += 32 * strip, x4 += 32 * strip, x_scales += strip, sums += strip) {
    vi total[QN_BLOCK_ROWS_X][QN_PARTS];
    if (QN_IS_NIBBLE(type)) {
      qn_a4 a[QN_BLOCK_ROWS_X][QN_PARTS];
      QN_UNROLL for (int r = 0; r < R; r++) QN_UNROLL for (int p = 0; p < P; p++) a[r][p] = qn_a4_of(start ? sums[r] : 0);
      QN_UNROLL for (int u = 0; u < 4; u++) {
        qn_w4 low[QN_PARTS], high[QN_PARTS];
        QN_UNROLL for (int p = 0; p < P; p++) {
          vi w = qn_load_lanes(quants + u * 64 + p * QN_VL * 4);
          low[p] = qn_w4_of(w & 0x0f0f0f0f), high[p] = qn_w4_of((w >> 4) & 0x0f0f0f0f);
        }
        QN_UNROLL for (int r = 0; r < R; r++) QN_UNROLL for (int p = 0; p < P; p++) a[r][p] = qn_dot4(qn_dot4(a[r][p], low[p], x4 + r * 32 + 4 * u), high[p], x4 + r * 32 + 16 + 4 * u);
      }
      QN_UNROLL for (int r = 0; r < R; r++) QN_UNROLL for (int p = 0; p < P; p++) total[r][p] = qn_a4_sum(a[r][p], start ? sums[r] : 0);
    } else {
      qn_a8 a[QN_BLOCK_ROWS_X][QN_PARTS];
      QN_UNROLL for (int r = 0; r < R; r++) QN_UNROLL for (int p = 0; p < P; p++) a[r][p] = qn_a8_of(start ? sums[r] : 0);
      if (type == QN_Q8_0) QN_UNROLL for (int u = 0; u < 8; u++) {
        qn_w8 w[QN_PARTS];
        QN_UNROLL for (int p = 0; p < P; p++) w[p] = qn_w8_of(qn_load_lanes(quants + u * 64 + p * QN_VL * 4));
        QN_UNROLL for (int r = 0; r < R; r++) QN_UNROLL for (int p = 0; p < P; p++) a[r][p] = qn_dot8(a[r][p], w[p], x8 + r * 32 + 4 * u);
      }
      else QN_UNROLL for (int u = 0; u < 4; u++) {
        qn_w8 low[QN_PARTS], high[QN_PARTS];
        QN_UNROLL for (int p = 0; p < P; p++) {
          vi w = qn_load_lanes(quants + u * 64 + p * QN_VL * 4), bits = qn_load_lanes(highs + p * QN_VL * 4);
          low[p] = qn_w6_of((w & 0x0f0f0f0f) | qn_high_bits(bits, u, 0)), high[p] = qn_w6_of(((w >> 4) & 0x0f0f0f0f) | qn_high_bits(bits, u, 1));
        }
        QN_UNROLL for (int r = 0; r < R; r++) QN_UNROLL for (int p = 0; p < P; p++) a[r][p] = qn_dot8(qn_dot8(a[r][p], low[p], x8 + r * 32 + 4 * u), high[p], x8 + r * 32 + 16 + 4 * u);
      }
      QN_UNROLL for (int r = 0; r < R; r++) QN_UNROLL for (int p = 0; p < P; p++) total[r][p] = qn_a8_sum(a[r][p]);
    }
    QN_UNROLL for (int p = 0; p < P; p++) {
      vf d = qn_load_halves(scales + p * QN_VL * 2);
      QN_UNROLL for (int r = 0; r < R; r++) y[r][p] += __builtin_convertvector(total[r][p], vf) * (d * x_scales[r]);
      if (!QN_HAS_MINIMUM(type)) continue;
      vf minimum = qn_load_halves(minima + p * QN_VL * 2);
      QN_UNROLL for (int r = 0; r < R; r++) y[r][p] += minimum * ((float)sums[r] * x_scales[r]);
    }
  }
}

// Scale and minimum g of 8 in q4_k and q5_k: 6 bits each in 12 bytes, of which byte i of all rows is at packed + 16 i.
QN_INLINE vi qn_q4_k_scale(const unsigned char *packed, int g) {
  if (g < 4) return qn_load_bytes(packed + 16 * g) & 63;
  return (qn_load_bytes(packed + 16 * (4 + g)) & 15) | ((qn_load_bytes(packed + 16 * (g - 4)) >> 6) << 4);
}
QN_INLINE vi qn_q4_k_minimum(const unsigned char *packed, int g) {
  if (g < 4) return qn_load_bytes(packed + 16 * (4 + g)) & 63;
  return (qn_load_bytes(packed + 16 * (4 + g)) >> 4) | ((qn_load_bytes(packed + 16 * g) >> 6) << 4);
}
// One step of 32 bytes of q4_k or q5_k: groups g (the low halves) and g + 1, with bit 4 of group g in bit g of the bytes of `highs`
QN_INLINE void qn_blocks_pair(const int type, const int R, const int g, long strip, const char *at, const unsigned char *quants, const unsigned char *highs, vi *low, vi *high) {
  if (type == QN_Q4_K) {
    const qn_x4 *x = (const qn_x4 *)at;
    qn_a4 a[QN_BLOCK_ROWS_X], b[QN_BLOCK_ROWS_X];
    QN_UNROLL for (int r = 0; r < R; r++) a[r] = b[r] = qn_a4_of(0);
    QN_UNROLL for (int u = 0; u < 8; u++) {
      vi w = qn_load_lanes(quants + u * 64);
      qn_w4 w_low = qn_w4_of(w & 0x0f0f0f0f), w_high = qn_w4_of((w >> 4) & 0x0f0f0f0f);
      QN_UNROLL for (int r = 0; r < R; r++) a[r] = qn_dot4(a[r], w_low, x + r * 32 + 4 * u), b[r] = qn_dot4(b[r], w_high, x + (strip + r) * 32 + 4 * u);
    }
    QN_UNROLL for (int r = 0; r < R; r++) low[r] = qn_a4_sum(a[r], 0), high[r] = qn_a4_sum(b[r], 0);
    return;
  }
  const qn_x8 *x = (const qn_x8 *)at;
  qn_a8 a[QN_BLOCK_ROWS_X], b[QN_BLOCK_ROWS_X];
  QN_UNROLL for (int r = 0; r < R; r++) a[r] = b[r] = qn_a8_of(0);
  QN_UNROLL for (int u = 0; u < 8; u++) {
    vi w = qn_load_lanes(quants + u * 64), bits = qn_load_lanes(highs + u * 64) >> g;
    qn_w8 w_low = qn_w6_of((w & 0x0f0f0f0f) | ((bits & 0x01010101) << 4)), w_high = qn_w6_of(((w >> 4) & 0x0f0f0f0f) | ((bits & 0x02020202) << 3));
    QN_UNROLL for (int r = 0; r < R; r++) a[r] = qn_dot8(a[r], w_low, x + r * 32 + 4 * u), b[r] = qn_dot8(b[r], w_high, x + (strip + r) * 32 + 4 * u);
  }
  QN_UNROLL for (int r = 0; r < R; r++) low[r] = qn_a8_sum(a[r]), high[r] = qn_a8_sum(b[r]);
}
QN_INLINE void qn_blocks_q45_k(const int type, const int R, const qn_blocks_context *c, const unsigned char *group, long m, int part, vf *y, long step) {
  const long blocks = c->K / 256, strip = c->strip, at = qn_x_at(m, 8 * blocks);
  const float *x_scales = c->scales + qn_x_at(m, blocks);
  const int high_bytes = QN_HAS_HIGH(type) ? 32 : 0;
  const unsigned char *d_at = group + part * QN_VL * 2, *dmin_at = d_at + blocks * 2 * QN_GROUP_ROWS, *packed = group + blocks * 4 * QN_GROUP_ROWS + part * QN_VL;
  const unsigned char *highs = group + blocks * 16 * QN_GROUP_ROWS + part * QN_VL * 4, *quants = highs + blocks * high_bytes * QN_GROUP_ROWS;
  for (long b = 0; b < blocks; b++, d_at += 2 * QN_GROUP_ROWS, dmin_at += 2 * QN_GROUP_ROWS, packed += 12 * QN_GROUP_ROWS, highs += high_bytes * QN_GROUP_ROWS) {
    const int *sums = c->sums + at + 8 * b * strip;
    vi total[QN_BLOCK_ROWS_X], least[QN_BLOCK_ROWS_X];
    QN_UNROLL for (int r = 0; r < R; r++) total[r] = least[r] = (vi){0};
    QN_UNROLL for (int g = 0; g < 8; g += 2, quants += 8 * 64) {
      vi low[QN_BLOCK_ROWS_X], high[QN_BLOCK_ROWS_X], s0 = qn_q4_k_scale(packed, g), s1 = qn_q4_k_scale(packed, g + 1), m0 = qn_q4_k_minimum(packed, g), m1 = qn_q4_k_minimum(packed, g + 1);
      qn_blocks_pair(type, R, g, strip, c->x + 32 * (at + (8 * b + g) * strip) * QN_X_BYTES(type), quants, highs, low, high);
      QN_UNROLL for (int r = 0; r < R; r++) {
        total[r] += s0 * low[r] + s1 * high[r];
        least[r] += m0 * sums[strip * g + r] + m1 * sums[strip * g + strip + r];
      }
    }
    vf d = qn_load_halves(d_at), dmin = qn_load_halves(dmin_at);
    QN_UNROLL for (int r = 0; r < R; r++) {
      float scale = x_scales[b * strip + r];
      y[r * step] += __builtin_convertvector(total[r], vf) * (d * scale);
      y[r * step] -= __builtin_convertvector(least[r], vf) * (dmin * scale);
    }
  }
}
// Low bits: two runs of 32 values in the low halves of 64 bytes, two in the high halves; high bits: four runs in 32 bytes.
QN_INLINE void qn_blocks_q6_k(const int R, const qn_blocks_context *c, const unsigned char *group, long m, int part, vf *y, long step) {
  const long blocks = c->K / 256, strip = c->strip;
  const qn_x8 *all = (const qn_x8 *)c->x + 32 * qn_x_at(m, 8 * blocks);
  const float *x_scales = c->scales + qn_x_at(m, blocks);
  const int *all_sums = c->sums + qn_x_at(m, 16 * blocks);
  const unsigned char *d_at = group + part * QN_VL * 2, *scales = group + blocks * 2 * QN_GROUP_ROWS + part * QN_VL;
  const unsigned char *lows = group + blocks * 18 * QN_GROUP_ROWS + part * QN_VL * 4, *highs = lows + blocks * 128 * QN_GROUP_ROWS;
  for (long b = 0; b < blocks; b++, d_at += 2 * QN_GROUP_ROWS, scales += 16 * QN_GROUP_ROWS) {
    vi total[QN_BLOCK_ROWS_X];
    QN_UNROLL for (int r = 0; r < R; r++) total[r] = (vi){0};
    for (int half = 0; half < 2; half++, lows += 16 * 64, highs += 8 * 64) for (int quarter = 0; quarter < 2; quarter++) {
      const qn_x8 *x = all + 32 * (b * 8 + half * 4) * strip + quarter * 16;
      const int *sums = all_sums + (b * 16 + half * 8 + quarter) * strip;
      qn_a8 a[QN_BLOCK_ROWS_X][4];
      QN_UNROLL for (int r = 0; r < R; r++) QN_UNROLL for (int run = 0; run < 4; run++) a[r][run] = qn_a8_of(sums[2 * strip * run + r]);
      QN_UNROLL for (int u = 0; u < 4; u++) {
        vi even = qn_load_lanes(lows + (4 * quarter + u) * 64), odd = qn_load_lanes(lows + (8 + 4 * quarter + u) * 64), high = qn_load_lanes(highs + (4 * quarter + u) * 64);
        qn_w8 w[4] = {
            qn_w6_of((even & 0x0f0f0f0f) | ((high << 4) & 0x30303030)), qn_w6_of((odd & 0x0f0f0f0f) | ((high << 2) & 0x30303030)),
            qn_w6_of(((even >> 4) & 0x0f0f0f0f) | (high & 0x30303030)), qn_w6_of(((odd >> 4) & 0x0f0f0f0f) | ((high >> 2) & 0x30303030))};
        QN_UNROLL for (int r = 0; r < R; r++) QN_UNROLL for (int run = 0; run < 4; run++) a[r][run] = qn_dot8(a[r][run], w[run], x + (strip * run + r) * 32 + 4 * u);
      }
      QN_UNROLL for (int run = 0; run < 4; run++) {
        vi scale = qn_load_s8(scales + (8 * half + 2 * run + quarter) * QN_GROUP_ROWS);
        QN_UNROLL for (int r = 0; r < R; r++) total[r] += scale * qn_a8_sum(a[r][run]);
      }
    }
    vf d = qn_load_halves(d_at);
    QN_UNROLL for (int r = 0; r < R; r++) y[r * step] += __builtin_convertvector(total[r], vf) * (d * x_scales[b * strip + r]);
  }
}

QN_INLINE void qn_blocks_tile(const int type, const int P, const int R, const qn_blocks_context *c, const unsigned char *group, long n, long m) {
  const long N = c->N;
  for (int part = 0; part < QN_PARTS; part += P) {
    vf y[QN_BLOCK_ROWS_X][QN_PARTS];
    QN_UNROLL for (int r = 0; r < R; r++) QN_UNROLL for (int p = 0; p < P; p++) y[r][p] = (vf){0};
    if (!QN_IS_WIDE(type)) qn_blocks_narrow(type, P, R, c, group, m, part, y);
    else for (int p = 0; p < P; p++) {
      if (type != QN_Q6_K) qn_blocks_q45_k(type, R, c, group, m, part + p, &y[0][p], QN_PARTS);
      else qn_blocks_q6_k(R, c, group, m, part + p, &y[0][p], QN_PARTS);
    }
    for (int r = 0; r < R; r++) for (int p = 0; p < P; p++) {
      long at = n + (part + p) * QN_VL, left = N - at;
      float *to = c->y + (m + r) * N + at;
      if (left > 0) qn_store_n(to, c->accumulate ? qn_load_n(to, left) + y[r][p] : y[r][p], left);
    }
  }
}

// Rows m0..m1 of x times one group; m0 is a multiple of 16. QN_BLOCK_ROWS_X rows at a time, then 2 and 1. One row takes all vectors of a group at once, so
// that it is read from end to end.
#define QN_BLOCK_PARTS (QN_PAIRS16 ? 1 : QN_PARTS)
#define QN_BLOCKS_STRIP(TYPE, NAME) \
  static __attribute__((noinline)) void NAME(const qn_blocks_context *c, const unsigned char *group, long n, long m0, long m1) { \
    long m = m0; \
    const int rows = QN_IS_WIDE(TYPE) ? 4 : QN_BLOCK_ROWS_X, parts = QN_IS_WIDE(TYPE) ? 1 : QN_BLOCK_PARTS; \
    for (; m + rows <= m1; m += rows) qn_blocks_tile(TYPE, parts, rows, c, group, n, m); \
    if (rows > 4 && m + 4 <= m1) qn_blocks_tile(TYPE, parts, 4, c, group, n, m), m += 4; \
    if (m + 2 <= m1) qn_blocks_tile(TYPE, parts, 2, c, group, n, m), m += 2; \
    if (m < m1) qn_blocks_tile(TYPE, QN_IS_WIDE(TYPE) ? 1 : QN_PARTS, 1, c, group, n, m); \
  }

// ---- tasks: some columns and rows of y

#if QN_INT8_TILES // blocks_tiles.h: multiplies as many rows as fill tiles, and returns the first that is left
static long qn_blocks_tiled(const int type, const qn_blocks_context *c, long n0, long n1, long m0, long m1, long worker);
#else
#define qn_blocks_tiled(type, c, n0, n1, m0, m1, worker) ((void)(worker), m0)
#endif
typedef void (*qn_strip)(const qn_blocks_context *c, const unsigned char *group, long n, long m0, long m1);
QN_INLINE void qn_blocks_task_of(const int type, qn_strip strip, const qn_blocks_context *c, long task, long worker) {
  long n0 = task / c->m_blocks * c->columns, n1 = n0 + c->columns < c->N ? n0 + c->columns : c->N, block = task % c->m_blocks;
  long strips = (c->M + 15) / 16, m0 = strips * block / c->m_blocks * 16, m1 = strips * (block + 1) / c->m_blocks * 16, bytes = c->K / QN_BLOCK_OF(type) * QN_BLOCK_BYTES(type) * QN_GROUP_ROWS;
  if (m1 > c->M) m1 = c->M;
  long m = QN_IS_WIDE(type) ? m0 : qn_blocks_tiled(type, c, n0, n1, m0, m1, worker);
  for (long n = n0; n < n1 && m < m1; n += QN_GROUP_ROWS) strip(c, c->W + n / QN_GROUP_ROWS * bytes, n, m, m1);
  if (c->epilogue) c->epilogue(c->context, m0, m1, n0, n1);
}
#define QN_BLOCKS_TASKS(TYPE, STRIP, TASK, ROUND) \
  QN_BLOCKS_STRIP(TYPE, STRIP) \
  static void TASK(void *context, long task, long worker) { qn_blocks_task_of(TYPE, STRIP, context, task, worker); } \
  static void ROUND(void *context, long task, long worker) { (void)worker, qn_round_strip(TYPE, context, 16 * task); }
#if QN_USES(QN_Q8_0)
QN_BLOCKS_TASKS(QN_Q8_0, qn_strip_q8_0, qn_task_q8_0, qn_round_q8_0)
#endif
#if QN_USES(QN_Q4_0)
QN_BLOCKS_TASKS(QN_Q4_0, qn_strip_q4_0, qn_task_q4_0, qn_round_q4_0)
#endif
#if QN_USES(QN_Q4_1)
QN_BLOCKS_TASKS(QN_Q4_1, qn_strip_q4_1, qn_task_q4_1, qn_round_q4_1)
#endif
#if QN_USES(QN_Q5_0)
QN_BLOCKS_TASKS(QN_Q5_0, qn_strip_q5_0, qn_task_q5_0, qn_round_q5_0)
#endif
#if QN_USES(QN_Q5_1)
QN_BLOCKS_TASKS(QN_Q5_1, qn_strip_q5_1, qn_task_q5_1, qn_round_q5_1)
#endif
#if QN_USES(QN_Q4_K)
QN_BLOCKS_TASKS(QN_Q4_K, qn_strip_q4_k, qn_task_q4_k, qn_round_q4_k)
#endif
#if QN_USES(QN_Q5_K)
QN_BLOCKS_TASKS(QN_Q5_K, qn_strip_q5_k, qn_task_q5_k, qn_round_q5_k)
#endif
#if QN_USES(QN_Q6_K)
QN_BLOCKS_TASKS(QN_Q6_K, qn_strip_q6_k, qn_task_q6_k, qn_round_q6_k)
#endif
static const struct { qn_task task, round; } qn_blocks_types[] = {
#if QN_USES(QN_Q8_0)
    [QN_Q8_0] = {qn_task_q8_0, qn_round_q8_0},
#endif
#if QN_USES(QN_Q4_0)
    [QN_Q4_0] = {qn_task_q4_0, qn_round_q4_0},
#endif
#if QN_USES(QN_Q4_1)
    [QN_Q4_1] = {qn_task_q4_1, qn_round_q4_1},
#endif
#if QN_USES(QN_Q5_0)
    [QN_Q5_0] = {qn_task_q5_0, qn_round_q5_0},
#endif
#if QN_USES(QN_Q5_1)
    [QN_Q5_1] = {qn_task_q5_1, qn_round_q5_1},
#endif
#if QN_USES(QN_Q4_K)
    [QN_Q4_K] = {qn_task_q4_k, qn_round_q4_k},
#endif
#if QN_USES(QN_Q5_K)
    [QN_Q5_K] = {qn_task_q5_k, qn_round_q5_k},
#endif
#if QN_USES(QN_Q6_K)
    [QN_Q6_K] = {qn_task_q6_k, qn_round_q6_k},
#endif
};

// Scratch in floats: x in int8 (or 16 bits), scales, sums and unpacked groups
QN_TEMPLATE long qn_blocks_scratch(int type, long M, long K) {
  long rows = (M + 15) / 16 * 16;
  return 48 + rows * K / 2 + rows * (K / 32) + rows * (K / 16) + (QN_INT8_TILES && !QN_IS_WIDE(type) && type != QN_Q8_0 ? qn_threads * K * 4 : 0);
}
// y (M,N) = [y +] x (M,K) · W (N,K) transposed; type: QN_Q8_0 …; is_rounded: the last call left the same x, rounded for this type, in
// `scratch`.
QN_TEMPLATE void qn_linear_blocks(int type, long M, long N, long K, const float *x, const void *W, float *y, int accumulate, int is_rounded, float *scratch, qn_epilogue epilogue, void *context) {
  const qn_task round = qn_blocks_types[type].round;
  char *aligned = (char *)scratch + (64 - ((unsigned long)scratch & 63)) % 64;
  qn_blocks_context c = {.M = M, .N = N, .K = K, .from = x, .W = W, .y = y, .accumulate = accumulate, .epilogue = epilogue, .context = context, .x = aligned};
  if (M < 1 || N < 1 || K < 1) return;
  long rows = (M + 15) / 16 * 16;
  c.scales = (float *)(aligned + rows * K * 2);
  c.sums = (int *)(c.scales + rows * (K / 32));
  c.unpacked = (qn_s8 *)(c.sums + rows * (K / 16));
  c.strip = M < 16 ? M : 16;
  c.columns = qn_task_columns(N);
  long groups = (N + c.columns - 1) / c.columns, strips = (M + 15) / 16;
  // Rounding a few rows takes less time than waking the threads.
  if (!is_rounded && M * K < 32768) for (long task = 0; task < strips; task++) round(&c, task, 0);
  else if (!is_rounded) qn_parallel(strips, round, &c);
  c.m_blocks = (8 * qn_threads + groups - 1) / groups; // enough tasks for all threads, of at least 64 rows
  if (c.m_blocks > M / 64) c.m_blocks = M / 64;
  if (c.m_blocks < 1 || qn_threads == 1) c.m_blocks = 1;
  qn_parallel(groups * c.m_blocks, qn_blocks_types[type].task, &c);
}
#endif
