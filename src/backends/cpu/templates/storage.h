// Conversions for tensors stored as bf16, f16, i32 or u8. Inside a loop every vector has 32-bit lanes: floats (bf16 and f16 are
// widened on load) or the bits of an i32. Integers are only cast; loops do no arithmetic on them.
#ifndef QN_STORAGE_H
#define QN_STORAGE_H
// Block formats of weights (blocks.h)
#define QN_Q8_0 0
#define QN_Q4_0 1
#define QN_Q4_1 2
#define QN_Q5_0 3
#define QN_Q5_1 4
#define QN_Q4_K 5
#define QN_Q5_K 6
#define QN_Q6_K 7
typedef unsigned vu __attribute__((vector_size(QN_VL * 4)));

// Loads and stores for dtype NAME, stored as TYPE; qn_widen_NAME and qn_narrow_NAME convert to and from 32-bit lanes.
#define QN_STORED(NAME, TYPE, WIDEN, NARROW) \
  typedef TYPE qn_v_##NAME __attribute__((vector_size(QN_VL * sizeof(TYPE)), aligned(sizeof(TYPE)), may_alias)); \
  QN_INLINE vf qn_widen_##NAME(qn_v_##NAME x) { return WIDEN; } \
  QN_INLINE qn_v_##NAME qn_narrow_##NAME(vf x) { return NARROW; } \
  QN_INLINE vf qn_load_##NAME(const TYPE *p) { return qn_widen_##NAME(*(const qn_v_##NAME *)p); } \
  QN_INLINE void qn_store_##NAME(TYPE *p, vf x) { *(qn_v_##NAME *)p = qn_narrow_##NAME(x); } \
  QN_INLINE vf qn_gather_n_##NAME(const TYPE *p, long stride, long n) { \
    qn_v_##NAME x = {0}; \
    for (int i = 0; i < QN_VL; i++) if (i < n) x[i] = p[i * stride]; \
    return qn_widen_##NAME(x); \
  } \
  QN_INLINE vf qn_gather_##NAME(const TYPE *p, long stride) { return qn_gather_n_##NAME(p, stride, QN_VL); } \
  QN_INLINE vf qn_load_n_##NAME(const TYPE *p, long n) { return n >= QN_VL ? qn_load_##NAME(p) : qn_gather_n_##NAME(p, 1, n); } \
  QN_INLINE void qn_store_n_##NAME(TYPE *p, vf x, long n) { \
    qn_v_##NAME y = qn_narrow_##NAME(x); \
    if (n >= QN_VL) *(qn_v_##NAME *)p = y; \
    else for (int i = 0; i < n; i++) p[i] = y[i]; \
  } \
  QN_INLINE vf qn_splat_##NAME(TYPE x) { return qn_widen_##NAME((qn_v_##NAME){0} + x); }

QN_INLINE vi qn_select_int(vi mask, vi a, vi b) { return (mask & a) | (~mask & b); }

// f16: 5 bits of exponent, 10 of mantissa; numbers below 2^-14 are multiples of 2^-24.
QN_INLINE vf qn_float_of_half(vi h) {
  vi magnitude = h & 0x7fff, sign = (h & 0x8000) << 16;
  vf tiny = __builtin_convertvector(magnitude, vf) * 0x1p-24f;
  vi normal = (magnitude << 13) + (112 << 23) + ((magnitude >= 0x7c00) & (112 << 23));
  return (vf)(qn_select_int(magnitude < 0x400, (vi)tiny, normal) | sign);
}
QN_INLINE vi qn_half_of_float(vf x) {
  vi bits = (vi)qn_abs(x), sign = ((vi)x >> 16) & 0x8000;
  vi tiny = (vi)(qn_abs(x) * 0x1p24f + 8388608.0f) & 0x7fffff; // adding 2^23 leaves the multiple in the last bits
  vi normal = (bits + 0xfff + ((bits >> 13) & 1) - (112 << 23)) >> 13; // a carry moves into the exponent, as it should
  vi large = 0x7c00 | ((bits > 0x7f800000) & 0x200);
  return qn_select_int(bits >= 0x47800000, large, qn_select_int(bits < 0x38800000, tiny, normal)) | sign;
}

#if !defined(QN_PLAIN) && QN_VL == 16 && defined(__AVX512BF16__)
#define QN_NARROW_BF16(x) (qn_v_bf16)_mm512_cvtneps_pbh((__m512)x)
#else
#define QN_NARROW_BF16(x) __builtin_convertvector((vu)qn_bf16_round(x) >> 16, qn_v_bf16)
#endif
QN_STORED(bf16, unsigned short, (vf)(__builtin_convertvector(x, vi) << 16), QN_NARROW_BF16(x))
QN_STORED(f16, unsigned short, qn_float_of_half(__builtin_convertvector(x, vi)), __builtin_convertvector((vu)qn_half_of_float(x), qn_v_f16))
QN_STORED(i32, int, (vf)(vi)x, (qn_v_i32)(vi)x)
QN_STORED(u8, unsigned char, (vf)__builtin_convertvector(x, vi), __builtin_convertvector((vu)x, qn_v_u8))

QN_INLINE vf qn_to_bf16(vf x) { return qn_bf16_round(x); }
QN_INLINE vf qn_to_f16(vf x) { return qn_float_of_half(qn_half_of_float(x)); }
// Truncates toward 0, saturates outside the range, and maps NaN to 0.
QN_INLINE vf qn_to_i32(vf x) {
  vi inside = (x > -2147483648.0f) & (x < 2147483648.0f);
  vi ends = ((x > 0.0f) & 0x7fffffff) | ((x < 0.0f) & (-0x7fffffff - 1));
  return (vf)qn_select_int(inside, __builtin_convertvector(qn_select(inside, x, (vf){0}), vi), ends);
}
QN_INLINE vf qn_int_to_u8(vf x) {
  vi i = (vi)x;
  return (vf)(~(i < 0) & qn_select_int(i > 255, (vi){0} + 255, i));
}
QN_INLINE vf qn_to_u8(vf x) { return qn_int_to_u8(qn_to_i32(x)); }
QN_INLINE vf qn_float_of_int(vf x) { return __builtin_convertvector((vi)x, vf); }

// QN_VL numbers in f16
#if !defined(QN_PLAIN) && QN_VL == 16 && defined(__AVX512F__)
QN_INLINE vf qn_load_halves(const void *p) { return (vf)_mm512_cvtph_ps(_mm256_loadu_si256(p)); }
#elif !defined(QN_PLAIN) && QN_VL == 8 && defined(__F16C__)
QN_INLINE vf qn_load_halves(const void *p) { return (vf)_mm256_cvtph_ps(_mm_loadu_si128(p)); }
#elif !defined(QN_PLAIN) && QN_VL == 4 && defined(__aarch64__)
QN_INLINE vf qn_load_halves(const void *p) { return (vf)vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))); }
#else
QN_INLINE vf qn_load_halves(const void *p) { return qn_load_f16(p); }
#endif

// Blocks of int8.
typedef signed char qn_v_s8 __attribute__((vector_size(QN_VL), aligned(1), may_alias));
QN_INLINE vi qn_load_s8(const void *p) { return __builtin_convertvector(*(const qn_v_s8 *)p, vi); }
#define QN_TINY_BLOCK 1e-30f // blocks whose values are at most this become 0
// x · inverse as integers, ties to even, for products below 2^22
#if !defined(QN_PLAIN) && QN_VL == 16 && defined(__AVX512F__)
QN_INLINE vi qn_round_int8(vf x, float inverse) { return (vi)_mm512_cvtps_epi32((__m512)(x * inverse)); }
#elif !defined(QN_PLAIN) && QN_VL == 8 && defined(__AVX__)
QN_INLINE vi qn_round_int8(vf x, float inverse) { return (vi)_mm256_cvtps_epi32((__m256)(x * inverse)); }
#elif !defined(QN_PLAIN) && QN_VL == 4 && defined(__SSE2__)
QN_INLINE vi qn_round_int8(vf x, float inverse) { return (vi)_mm_cvtps_epi32((__m128)(x * inverse)); }
#elif !defined(QN_PLAIN) && QN_VL == 4 && defined(__aarch64__)
QN_INLINE vi qn_round_int8(vf x, float inverse) { return (vi)vcvtnq_s32_f32((float32x4_t)(x * inverse)); }
#else // adding 2^23 rounds
QN_INLINE vi qn_round_int8(vf x, float inverse) {
  vi q = (vi)(qn_abs(x * inverse) + 8388608.0f) & 0x7fffff, sign = (vi)x >> 31;
  return (q ^ sign) - sign;
}
#endif
#endif
