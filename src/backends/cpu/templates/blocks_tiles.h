// Products with weights in q8_0, q4_0, q4_1, q5_0 and q5_1 in tile registers (AMX): sixteen rows of x times a group of weights. 32 values of x are 16
// rows of a tile, 32 values of a group are 8 rows as they are stored. One instruction, TDPBSSD, multiplies the two exactly.
// Scaling its 256 sums takes as long. Each sum is scaled and added as in
// blocks.h, so both have the same bits.
//
// As in tiles.h, the instruction has a twin in plain C, and uses inline assembly. The tiles' shapes differ from those of
// bf16 products, so each task configures its own.
#ifndef QN_BLOCKS_TILES_H
#define QN_BLOCKS_TILES_H
#if QN_INT8_TILES

#if QN_TILE_TWIN
QN_INLINE void qn_int8_tiles_begin(void) {}
QN_INLINE void qn_int8_tiles_end(void) {}
// C (16,16) = A (16, 32) times B (8, 16, 4)
QN_INLINE void qn_int8_tile(const qn_s8 *A, const qn_s8 *B, int *C) {
  for (int i = 0; i < 16; i++) for (int j = 0; j < 16; j++) {
    int sum = 0;
    for (int k = 0; k < 32; k++) sum += A[32 * i + k] * B[k / 4 * 64 + 4 * j + k % 4];
    C[16 * i + j] = sum;
  }
}
#define QN_INT8_REGISTERS int registers[2][256]
#define QN_INT8_MULTIPLY(j, a, b, A, B) qn_int8_tile(A, B, registers[j])
#define QN_INT8_STORE(j, C) __builtin_memcpy(C, registers[j], sizeof registers[j])
#else
// Registers 0 and 1 are sums, 4 and 5 rows of x, 6 and 7 weights.
static void qn_int8_tiles_begin(void) {
  qn_tile_shapes shapes __attribute__((aligned(64))) = {.palette = 1};
  for (int i = 0; i < 8; i++) shapes.row_bytes[i] = i == 4 || i == 5 ? 32 : 64, shapes.rows[i] = i < 6 ? 16 : 8;
  __asm__ volatile("ldtilecfg %0" ::"m"(shapes));
}
static void qn_int8_tiles_end(void) {
  qn_tiles_release();
  if (QN_TILE_HARDWARE) qn_tiles_configure(); // for bf16 products of this run
}
#define QN_INT8_REGISTERS
#define QN_INT8_MULTIPLY(j, a, b, A, B) \
  __asm__ volatile("tilezero %%tmm" #j "\n\ttileloadd (%0,%2,1), %%tmm" #a "\n\ttileloadd (%1,%3,1), %%tmm" #b "\n\ttdpbssd %%tmm" #b ", %%tmm" #a ", %%tmm" #j ::"r"(A), "r"(B), "r"(32L), "r"(64L) : "memory")
#define QN_INT8_STORE(j, C) __asm__ volatile("tilestored %%tmm" #j ", (%0,%1,1)" ::"r"(C), "r"(64L) : "memory")
#endif

// y (16 rows from m, 16 columns from n) from a group: its scales, and its quants as int8. While the sums of a block are scaled,
// those of the next one are stored and those of the one after multiplied.
QN_INLINE void qn_blocks_tiled_group(const int type, const qn_blocks_context *c, const unsigned char *scales, const qn_s8 *B, long n, long m) {
  const long K = c->K, N = c->N, blocks = K / 32;
  const qn_s8 *A = (const qn_s8 *)c->x + m * K;
  const float *x_scales = c->scales + qn_x_at(m, blocks);
  const int *x_sums = c->sums + qn_x_at(m, blocks);
  int sums[2][256] __attribute__((aligned(64)));
  QN_INT8_REGISTERS;
  vf y[16][QN_PARTS];
  QN_UNROLL for (int i = 0; i < 16; i++) QN_UNROLL for (int p = 0; p < QN_PARTS; p++) y[i][p] = (vf){0};
  QN_INT8_MULTIPLY(0, 4, 6, A, B);
  if (blocks > 1) QN_INT8_MULTIPLY(1, 5, 7, A + 512, B + 512);
  QN_INT8_STORE(0, sums[0]);
#define QN_SCALE_BLOCK(j, next, a, b) \
  if (block + j < blocks) { \
    if (block + j + 2 < blocks) QN_INT8_MULTIPLY(j, a, b, A + 512 * (block + j + 2), B + 512 * (block + j + 2)); \
    if (block + j + 1 < blocks) QN_INT8_STORE(next, sums[next]); \
    QN_UNROLL for (int p = 0; p < QN_PARTS; p++) { \
      vf d = qn_load_halves(scales + p * QN_VL * 2); \
      QN_UNROLL for (int i = 0; i < 16; i++) y[i][p] += __builtin_convertvector(qn_load_lanes(sums[j] + 16 * i + p * QN_VL), vf) * (d * x_scales[i]); \
      if (!QN_HAS_MINIMUM(type)) continue; \
      vf minimum = qn_load_halves(scales + blocks * 2 * QN_GROUP_ROWS + p * QN_VL * 2); \
      QN_UNROLL for (int i = 0; i < 16; i++) y[i][p] += minimum * ((float)x_sums[i] * x_scales[i]); \
    } \
    scales += 2 * QN_GROUP_ROWS, x_scales += 16, x_sums += 16; \
  }
  for (long block = 0; block < blocks; block += 2) {
    QN_SCALE_BLOCK(0, 1, 4, 6)
    QN_SCALE_BLOCK(1, 0, 5, 7)
  }
  QN_UNROLL for (int i = 0; i < 16; i++) QN_UNROLL for (int p = 0; p < QN_PARTS; p++) {
    long at = n + p * QN_VL, left = N - at;
    float *to = c->y + (m + i) * N + at;
    if (left > 0) qn_store_n(to, c->accumulate ? qn_load_n(to, left) + y[i][p] : y[i][p], left);
  }
}

typedef void (*qn_tiled_group)(const qn_blocks_context *c, const unsigned char *scales, const qn_s8 *B, long n, long m);
static __attribute__((noinline)) void qn_tiled_group_scaled(const qn_blocks_context *c, const unsigned char *scales, const qn_s8 *B, long n, long m) { qn_blocks_tiled_group(QN_Q8_0, c, scales, B, n, m); }
static __attribute__((noinline)) void qn_tiled_group_minimum(const qn_blocks_context *c, const unsigned char *scales, const qn_s8 *B, long n, long m) { qn_blocks_tiled_group(QN_Q4_1, c, scales, B, n, m); }

// to (blocks, 8, 16, 4) = the quants of a group in 4 or 5 bits as int8, minus 8 in q4_0 and 16 in q5_0
QN_INLINE void qn_unpack_group(const int type, long blocks, const unsigned char *highs, const unsigned char *quants, qn_s8 *to) {
  for (long b = 0; b < blocks; b++, highs += 64, to += 512) QN_UNROLL for (int u = 0; u < 4; u++, quants += 64) for (int i = 0; i < 64; i += 4 * QN_VL) {
    vi w = qn_load_lanes(quants + i), halves[2] = {w & 0x0f0f0f0f, (w >> 4) & 0x0f0f0f0f};
    QN_UNROLL for (int half = 0; half < 2; half++) {
      vi q = halves[half];
      if (QN_HAS_HIGH(type)) q |= qn_high_bits(qn_load_lanes(highs + i), u, half);
      // q - 8 is q ^ 8 with its bit 3 copied to bits 4 to 7; q - 16 likewise
      vi sign = (q ^= type == QN_Q4_0 ? 0x08080808 : type == QN_Q5_0 ? 0x10101010 : 0) & (type == QN_Q4_0 ? 0x08080808 : 0x10101010);
      if (type == QN_Q4_0) q |= (sign << 5) - (sign << 1);
      if (type == QN_Q5_0) q |= (sign << 4) - (sign << 1);
      qn_store((float *)(to + 256 * half + 64 * u + i), (vf)q);
    }
  }
}

static long qn_blocks_tiled(const int type, const qn_blocks_context *c, long n0, long n1, long m0, long m1, long worker) {
  const long blocks = c->K / 32, bytes = blocks * QN_BLOCK_BYTES(type) * QN_GROUP_ROWS, end = m0 + (m1 - m0) / 16 * 16;
  if (end == m0 || QN_X_BYTES(type) != 1) return m0;
  const qn_tiled_group multiply = QN_HAS_MINIMUM(type) ? qn_tiled_group_minimum : qn_tiled_group_scaled;
  qn_int8_tiles_begin();
  for (long n = n0; n < n1; n += QN_GROUP_ROWS) {
    const unsigned char *scales = c->W + n / QN_GROUP_ROWS * bytes, *highs = scales + blocks * (QN_HAS_MINIMUM(type) ? 4 : 2) * QN_GROUP_ROWS, *quants = highs + blocks * (QN_HAS_HIGH(type) ? 4 : 0) * QN_GROUP_ROWS;
    const qn_s8 *B = (const qn_s8 *)quants;
    if (type != QN_Q8_0) {
      qn_s8 *to = c->unpacked + worker * c->K * QN_GROUP_ROWS;
      if (type == QN_Q4_0) qn_unpack_group(QN_Q4_0, blocks, highs, quants, to);
      else if (type == QN_Q4_1) qn_unpack_group(QN_Q4_1, blocks, highs, quants, to);
      else if (type == QN_Q5_0) qn_unpack_group(QN_Q5_0, blocks, highs, quants, to);
      else qn_unpack_group(QN_Q5_1, blocks, highs, quants, to);
      B = to;
    }
    for (long m = m0; m < end; m += 16) multiply(c, scales, B, n, m);
  }
  qn_int8_tiles_end();
  return end;
}
#endif
#endif
