// Exact sums of int8 products for weights in blocks (blocks.h). A vector of weights has four neighbours along K of each of
// QN_VL rows, one row per 32-bit lane. It is multiplied by four values of x that all lanes share.
//
//   qn_w8 w = qn_w8_of(lanes);               // the weights, int8
//   qn_a8 a = qn_a8_of(start);               // accumulator; start is added to the sum of each lane
//   a = qn_dot8(a, w, x);                    // x: four qn_x8
//   vi sums = qn_a8_sum(a);
//
// AVX-512 VNNI and AVX-VNNI multiply unsigned by signed bytes, so weights get 128 added: QN_W8_BIAS times the sum of x is too
// much. Instruction sets without a dot product of bytes multiply pairs of 16 bits; x is then stored in 16 bits. qn_dot4 and so on are
// the same for weights from 0 to 15, at most 32 of them per row. With QN_PLAIN, or without intrinsics, sums are computed in plain
// C. All versions have the same bits, since integers are exact.
//
// `start` is given twice to the functions for weights from 0 to 15, because not every version can start with it.
#ifndef QN_INT8_H
#define QN_INT8_H
#ifndef QN_TILE_TWIN
#define QN_TILE_TWIN 0
#endif
// Whether there are tile registers for int8 (AMX), or their twin in plain C.
#if !defined(QN_PLAIN) && defined(__AMX_INT8__) && QN_VL == 16
#define QN_INT8_TILES 1
#else
#define QN_INT8_TILES QN_TILE_TWIN
#endif
#define QN_W8_BIAS 0
#define QN_PAIRS16 0  // two accumulators: of the rows in the lower and in the upper half of a vector of weights
#define QN_MADDUBS 0  // qn_dot4 multiplies bytes by bytes
typedef signed char qn_s8;
typedef int qn_int_any __attribute__((may_alias, aligned(1)));
typedef qn_u64 qn_four_shorts __attribute__((may_alias, aligned(1)));

#if !defined(QN_PLAIN) && ((QN_VL == 16 && defined(__AVX512VNNI__)) || (QN_VL == 8 && defined(__AVXVNNI__)))
#undef QN_W8_BIAS
#define QN_W8_BIAS 128
typedef qn_s8 qn_x8;
typedef vi qn_w8;
typedef vi qn_a8;
QN_INLINE qn_w8 qn_w8_of(vi w) { return w ^ (int)0x80808080; }
QN_INLINE qn_a8 qn_a8_of(int start) { return qn_splat_int(start); }
QN_INLINE vi qn_a8_sum(qn_a8 a) { return a; }
#if QN_VL == 16
QN_INLINE vi qn_dot4(vi a, vi w, const qn_s8 *x) { return (vi)_mm512_dpbusd_epi32((__m512i)a, (__m512i)w, _mm512_set1_epi32(*(const qn_int_any *)x)); }
#else
QN_INLINE vi qn_dot4(vi a, vi w, const qn_s8 *x) { return (vi)_mm256_dpbusd_avx_epi32((__m256i)a, (__m256i)w, _mm256_set1_epi32(*(const qn_int_any *)x)); }
#endif
QN_INLINE qn_a8 qn_dot8(qn_a8 a, qn_w8 w, const qn_x8 *x) { return qn_dot4(a, w, x); }

#elif !defined(QN_PLAIN) && QN_VL == 4 && defined(__ARM_FEATURE_DOTPROD)
typedef qn_s8 qn_x8;
typedef vi qn_w8;
typedef vi qn_a8;
QN_INLINE qn_w8 qn_w8_of(vi w) { return w; }
QN_INLINE qn_a8 qn_a8_of(int start) { return qn_splat_int(start); }
QN_INLINE vi qn_a8_sum(qn_a8 a) { return a; }
QN_INLINE vi qn_dot4(vi a, vi w, const qn_s8 *x) { return (vi)vdotq_s32((int32x4_t)a, (int8x16_t)w, vreinterpretq_s8_s32(vdupq_n_s32(*(const qn_int_any *)x))); }
QN_INLINE qn_a8 qn_dot8(qn_a8 a, qn_w8 w, const qn_x8 *x) { return qn_dot4(a, w, x); }

#elif !defined(QN_PLAIN) && !QN_TILE_TWIN && ((QN_VL == 16 && defined(__AVX512BW__)) || (QN_VL == 8 && defined(__AVX2__)) || (QN_VL == 4 && (defined(__SSE2__) || defined(__wasm_simd128__) || defined(__aarch64__))))
#undef QN_PAIRS16
#define QN_PAIRS16 1
typedef struct { vi low, high; } qn_w8, qn_a8;
QN_INLINE qn_a8 qn_a8_of(int start) { // counted in the first of the two lanes of a row
  vi s = {0};
  QN_UNROLL for (int i = 0; i < QN_VL; i += 2) s[i] = start;
  return (qn_a8){s, s};
}
QN_INLINE vi qn_a8_sum(qn_a8 a) { return QN_SHUFFLE(a.low, a.high, QN_EVEN) + QN_SHUFFLE(a.low, a.high, QN_ODD); }
#if QN_VL == 16
typedef short qn_x8;
QN_INLINE qn_w8 qn_w8_of(vi w) { return (qn_w8){(vi)_mm512_cvtepi8_epi16(_mm512_castsi512_si256((__m512i)w)), (vi)_mm512_cvtepi8_epi16(_mm512_extracti64x4_epi64((__m512i)w, 1))}; }
QN_INLINE qn_a8 qn_dot8(qn_a8 a, qn_w8 w, const qn_x8 *x) {
  __m512i y = _mm512_set1_epi64(*(const qn_four_shorts *)x);
  return (qn_a8){a.low + (vi)_mm512_madd_epi16((__m512i)w.low, y), a.high + (vi)_mm512_madd_epi16((__m512i)w.high, y)};
}
#elif QN_VL == 8
typedef short qn_x8;
QN_INLINE qn_w8 qn_w8_of(vi w) { return (qn_w8){(vi)_mm256_cvtepi8_epi16(_mm256_castsi256_si128((__m256i)w)), (vi)_mm256_cvtepi8_epi16(_mm256_extracti128_si256((__m256i)w, 1))}; }
QN_INLINE qn_a8 qn_dot8(qn_a8 a, qn_w8 w, const qn_x8 *x) {
  __m256i y = _mm256_set1_epi64x(*(const qn_four_shorts *)x);
  return (qn_a8){a.low + (vi)_mm256_madd_epi16((__m256i)w.low, y), a.high + (vi)_mm256_madd_epi16((__m256i)w.high, y)};
}
#elif defined(__SSE2__)
typedef short qn_x8;
QN_INLINE qn_w8 qn_w8_of(vi w) { // each byte doubled to 16 bits, then shifted to extend its sign
  __m128i v = (__m128i)w;
  return (qn_w8){(vi)_mm_srai_epi16(_mm_unpacklo_epi8(v, v), 8), (vi)_mm_srai_epi16(_mm_unpackhi_epi8(v, v), 8)};
}
QN_INLINE qn_a8 qn_dot8(qn_a8 a, qn_w8 w, const qn_x8 *x) {
  __m128i y = _mm_set1_epi64x(*(const qn_four_shorts *)x);
  return (qn_a8){a.low + (vi)_mm_madd_epi16((__m128i)w.low, y), a.high + (vi)_mm_madd_epi16((__m128i)w.high, y)};
}
#elif defined(__wasm_simd128__)
typedef short qn_x8;
typedef signed char qn_bytes __attribute__((vector_size(16)));
typedef short qn_shorts __attribute__((vector_size(16)));
typedef qn_u64 qn_longs __attribute__((vector_size(16)));
QN_INLINE qn_w8 qn_w8_of(vi w) {
  qn_bytes v = (qn_bytes)w;
  return (qn_w8){(vi)__builtin_convertvector(__builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7), qn_shorts), (vi)__builtin_convertvector(__builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15), qn_shorts)};
}
QN_INLINE qn_a8 qn_dot8(qn_a8 a, qn_w8 w, const qn_x8 *x) {
  qn_shorts y = (qn_shorts)((qn_longs){0} + *(const qn_four_shorts *)x);
  return (qn_a8){a.low + (vi)__builtin_wasm_dot_s_i32x4_i16x8((qn_shorts)w.low, y), a.high + (vi)__builtin_wasm_dot_s_i32x4_i16x8((qn_shorts)w.high, y)};
}
#else // NEON without dot products: 16-bit products of bytes, added in pairs
typedef qn_s8 qn_x8;
QN_INLINE qn_w8 qn_w8_of(vi w) { return (qn_w8){w, w}; }
QN_INLINE qn_a8 qn_dot8(qn_a8 a, qn_w8 w, const qn_x8 *x) {
  int8x8_t y = vreinterpret_s8_s32(vdup_n_s32(*(const qn_int_any *)x));
  return (qn_a8){(vi)vpadalq_s16((int32x4_t)a.low, vmull_s8(vget_low_s8((int8x16_t)w.low), y)), (vi)vpadalq_s16((int32x4_t)a.high, vmull_s8(vget_high_s8((int8x16_t)w.high), y))};
}
#endif

#else // plain C
typedef qn_s8 qn_x8;
typedef vi qn_w8;
typedef vi qn_a8;
QN_INLINE qn_w8 qn_w8_of(vi w) { return w; }
QN_INLINE qn_a8 qn_a8_of(int start) { return qn_splat_int(start); }
QN_INLINE vi qn_a8_sum(qn_a8 a) { return a; }
QN_INLINE vi qn_dot4(vi a, vi w, const qn_s8 *x) { return a + ((w << 24) >> 24) * x[0] + ((w << 16) >> 24) * x[1] + ((w << 8) >> 24) * x[2] + (w >> 24) * x[3]; }
QN_INLINE qn_a8 qn_dot8(qn_a8 a, qn_w8 w, const qn_x8 *x) { return qn_dot4(a, w, x); }
#endif

// Weights from 0 to 15. 16-bit sums of up to 32 products per row do not overflow: 2 · 15 · 127 · 8 < 2^15.
#if QN_PAIRS16 && (QN_VL == 16 || QN_VL == 8)
#undef QN_MADDUBS
#define QN_MADDUBS 1
typedef qn_s8 qn_x4;
typedef vi qn_w4, qn_a4; // 16-bit lanes, two per row
QN_INLINE qn_w4 qn_w4_of(vi w) { return w; }
QN_INLINE qn_a4 qn_a4_of(int start) { (void)start; return (vi){0}; }
#if QN_VL == 16
QN_INLINE qn_a4 qn_dot4(qn_a4 a, qn_w4 w, const qn_x4 *x) { return (vi)_mm512_add_epi16((__m512i)a, _mm512_maddubs_epi16((__m512i)w, _mm512_set1_epi32(*(const qn_int_any *)x))); }
QN_INLINE vi qn_a4_sum(qn_a4 a, int start) { return (vi)_mm512_madd_epi16((__m512i)a, _mm512_set1_epi16(1)) + start; }
#else
QN_INLINE qn_a4 qn_dot4(qn_a4 a, qn_w4 w, const qn_x4 *x) { return (vi)_mm256_add_epi16((__m256i)a, _mm256_maddubs_epi16((__m256i)w, _mm256_set1_epi32(*(const qn_int_any *)x))); }
QN_INLINE vi qn_a4_sum(qn_a4 a, int start) { return (vi)_mm256_madd_epi16((__m256i)a, _mm256_set1_epi16(1)) + start; }
#endif
#elif QN_PAIRS16
typedef qn_x8 qn_x4;
typedef qn_w8 qn_w4;
typedef qn_a8 qn_a4;
QN_INLINE qn_w4 qn_w4_of(vi w) { return qn_w8_of(w); }
QN_INLINE qn_a4 qn_a4_of(int start) { return qn_a8_of(start); }
QN_INLINE qn_a4 qn_dot4(qn_a4 a, qn_w4 w, const qn_x4 *x) { return qn_dot8(a, w, x); }
QN_INLINE vi qn_a4_sum(qn_a4 a, int start) { (void)start; return qn_a8_sum(a); }
#else
typedef qn_s8 qn_x4;
typedef vi qn_w4, qn_a4;
QN_INLINE qn_w4 qn_w4_of(vi w) { return w; }
QN_INLINE qn_a4 qn_a4_of(int start) { return qn_splat_int(start); }
QN_INLINE vi qn_a4_sum(qn_a4 a, int start) { (void)start; return a; }
#endif
// Weights from 0 to 63, without the bias.
#if QN_W8_BIAS
QN_INLINE qn_w8 qn_w6_of(vi w) { return w; }
#else
QN_INLINE qn_w8 qn_w6_of(vi w) { return qn_w8_of(w); }
#endif
#endif
