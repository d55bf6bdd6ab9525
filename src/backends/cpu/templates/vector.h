// Vectors of QN_VL floats and their lane-wise functions. GNU vector extensions (gcc >= 9, clang) let one source serve every
// instruction set. Operators (+ - * / < == & ...) work lane by lane; comparisons return masks of 0 and -1. No libm: every
// target computes exp, log, tanh... with the same code. bench/kernels/vector.c measures errors in units in the last place (ulp)
// over the whole range. qn_exp flushes results below the smallest normal number to 0: denormals cost a microcode trap per
// operation, and no softmax needs them. Compile as GNU C (gcc -std=gnu11, the default), which contracts a*b+c into a fused
// multiply-add where one exists.
#ifndef QN_VECTOR_H
#define QN_VECTOR_H

#ifdef __clang__
#define QN_UNROLL _Pragma("clang loop unroll(full)")
#else
#define QN_UNROLL _Pragma("GCC unroll 32")
#endif
#define QN_INLINE static inline __attribute__((always_inline, unused))
#define QN_FUNCTION static __attribute__((unused))
// Marks functions that programs call. The templates are compiled separately, once for many programs. A program's own text
// includes only this file, bf16.h and storage.h, plus prototypes of the rest.
#define QN_TEMPLATE

typedef float vf __attribute__((vector_size(QN_VL * 4)));
typedef int vi __attribute__((vector_size(QN_VL * 4)));
typedef float qn_vfu __attribute__((vector_size(QN_VL * 4), aligned(4), may_alias)); // vf at any address

#define QN_INFINITY __builtin_inff()

// A program's function, called by any worker for every finished block (m0..m1, n0..n1) of a result while the block is hot in
// cache. It may read the result there and write any buffer at those positions.
typedef void (*qn_epilogue)(void *context, long m0, long m1, long n0, long n1);

// One i32 per row (step 1), or one for all rows (step 0).
typedef struct { const int *at; long step; } qn_row_index;
QN_INLINE long qn_of_row(qn_row_index x, long row) { return x.at[row * x.step]; }

QN_INLINE vf qn_load(const float *p) { return *(const qn_vfu *)p; }
QN_INLINE void qn_store(float *p, vf x) { *(qn_vfu *)p = x; }
QN_INLINE vf qn_splat(float x) { return x - (vf){0}; } // x + 0 would be an addition: it changes -0
QN_INLINE vi qn_splat_int(int x) { return (vi){0} + x; }

// Intrinsics, used only where the portable version measured slower: partial loads and stores, minimum, maximum, square
// root. QN_PLAIN forces the portable versions below, so that every machine can test them.
#if !defined(QN_PLAIN) && QN_VL == 16 && defined(__AVX512F__)
#define QN_LANES(n) ((__mmask16)((n) >= 16 ? 0xffff : (1u << (n)) - 1))
QN_INLINE vf qn_load_n(const float *p, long n) { return (vf)_mm512_maskz_loadu_ps(QN_LANES(n), p); }
QN_INLINE void qn_store_n(float *p, vf x, long n) { _mm512_mask_storeu_ps(p, QN_LANES(n), (__m512)x); }
QN_INLINE vf qn_min(vf a, vf b) { return (vf)_mm512_min_ps((__m512)a, (__m512)b); }
QN_INLINE vf qn_max(vf a, vf b) { return (vf)_mm512_max_ps((__m512)a, (__m512)b); }
QN_INLINE vf qn_select(vi mask, vf a, vf b) { return (vf)_mm512_mask_blend_ps(_mm512_cmplt_epi32_mask((__m512i)mask, _mm512_setzero_si512()), (__m512)b, (__m512)a); }
QN_INLINE vf qn_sqrt(vf x) { return (vf)_mm512_sqrt_ps((__m512)x); }
#elif !defined(QN_PLAIN) && QN_VL == 8 && defined(__AVX2__)
QN_INLINE __m256i qn_lanes(long n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n > 8 ? 8 : (int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
QN_INLINE vf qn_load_n(const float *p, long n) { return (vf)_mm256_maskload_ps(p, qn_lanes(n)); }
QN_INLINE void qn_store_n(float *p, vf x, long n) { _mm256_maskstore_ps(p, qn_lanes(n), (__m256)x); }
QN_INLINE vf qn_min(vf a, vf b) { return (vf)_mm256_min_ps((__m256)a, (__m256)b); }
QN_INLINE vf qn_max(vf a, vf b) { return (vf)_mm256_max_ps((__m256)a, (__m256)b); }
QN_INLINE vf qn_select(vi mask, vf a, vf b) { return (vf)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)mask); }
QN_INLINE vf qn_sqrt(vf x) { return (vf)_mm256_sqrt_ps((__m256)x); }
#else
// Only the first n lanes (n >= 0; all of them if n >= QN_VL). The other lanes are 0 and their memory is not touched.
QN_INLINE vf qn_load_n(const float *p, long n) {
  if (n >= QN_VL) return qn_load(p);
  vf x = {0};
  for (int i = 0; i < n; i++) x[i] = p[i];
  return x;
}
QN_INLINE void qn_store_n(float *p, vf x, long n) {
  if (n >= QN_VL) qn_store(p, x);
  else for (int i = 0; i < n; i++) p[i] = x[i];
}
// mask ? a : b, lane by lane; mask lanes are 0 or -1, as comparisons return.
QN_INLINE vf qn_select(vi mask, vf a, vf b) { return (vf)((mask & (vi)a) | (~mask & (vi)b)); }
// Both return b if a or b is NaN, as the x86 instructions do.
QN_INLINE vf qn_min(vf a, vf b) { return qn_select(a < b, a, b); }
QN_INLINE vf qn_max(vf a, vf b) { return qn_select(a > b, a, b); }
#if !defined(QN_PLAIN) && QN_VL == 4 && defined(__SSE__)
QN_INLINE vf qn_sqrt(vf x) { return (vf)_mm_sqrt_ps((__m128)x); }
#elif !defined(QN_PLAIN) && QN_VL == 4 && defined(__aarch64__)
QN_INLINE vf qn_sqrt(vf x) { return (vf)vsqrtq_f32((float32x4_t)x); }
#elif !defined(QN_PLAIN) && defined(__clang__)
QN_INLINE vf qn_sqrt(vf x) { return __builtin_elementwise_sqrt(x); }
#else
// Newton steps on the reciprocal root, starting from the halved exponent; then one on the root itself.
QN_INLINE vf qn_sqrt(vf x) {
  vf m = qn_select(x < 1.17549435e-38f, x * 16777216.0f, x);
  vf r = (vf)(0x5f3759df - ((vi)m >> 1));
  QN_UNROLL for (int i = 0; i < 3; i++) r = r * (1.5f - 0.5f * m * r * r);
  vf s = m * r;
  s = s + 0.5f * r * (m - s * s);
  s = qn_select(x < 1.17549435e-38f, s * (1.0f / 4096.0f), s);
  s = qn_select(x > 0.0f, s, qn_select(x == 0.0f, x, qn_splat(__builtin_nanf(""))));
  return qn_select(x < QN_INFINITY, s, qn_select(x == QN_INFINITY, x, s));
}
#endif
#endif
// Minimum and maximum that propagate NaN from either side, as the engine's operations require.
QN_INLINE vf qn_minimum(vf a, vf b) { return qn_select(a != a, a, qn_min(a, b)); }
QN_INLINE vf qn_maximum(vf a, vf b) { return qn_select(a != a, a, qn_max(a, b)); }
QN_INLINE vf qn_rsqrt(vf x) { return 1.0f / qn_sqrt(x); }

// Lane i is p[i * stride].
QN_INLINE vf qn_gather(const float *p, long stride) {
  vf x;
  for (int i = 0; i < QN_VL; i++) x[i] = p[i * stride];
  return x;
}
QN_INLINE vf qn_gather_n(const float *p, long stride, long n) {
  vf x = {0};
  for (int i = 0; i < QN_VL; i++) if (i < n) x[i] = p[i * stride];
  return x;
}

// The first n lanes of x, with `other` in the rest.
QN_INLINE vf qn_first(vf x, long n, float other) {
  for (int i = 0; i < QN_VL; i++) x[i] = i < n ? x[i] : other;
  return x;
}

QN_INLINE vf qn_abs(vf x) { return (vf)((vi)x & 0x7fffffff); }

// Lane l of QN_SHUFFLE(a, b, f) is lane f(l) of a and b joined.
#if defined(__clang__)
#if QN_VL == 16
#define QN_SHUFFLE(a, b, f) __builtin_shufflevector(a, b, f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7), f(8), f(9), f(10), f(11), f(12), f(13), f(14), f(15))
#elif QN_VL == 8
#define QN_SHUFFLE(a, b, f) __builtin_shufflevector(a, b, f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7))
#else
#define QN_SHUFFLE(a, b, f) __builtin_shufflevector(a, b, f(0), f(1), f(2), f(3))
#endif
#else
#if QN_VL == 16
#define QN_SHUFFLE(a, b, f) __builtin_shuffle(a, b, (vi){f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7), f(8), f(9), f(10), f(11), f(12), f(13), f(14), f(15)})
#elif QN_VL == 8
#define QN_SHUFFLE(a, b, f) __builtin_shuffle(a, b, (vi){f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7)})
#else
#define QN_SHUFFLE(a, b, f) __builtin_shuffle(a, b, (vi){f(0), f(1), f(2), f(3)})
#endif
#endif

// Horizontal reductions, halves onto halves: the same order on every target with the same QN_VL.
#define QN_XOR8(l) ((l) ^ 8)
#define QN_XOR4(l) ((l) ^ 4)
#define QN_XOR2(l) ((l) ^ 2)
#define QN_XOR1(l) ((l) ^ 1)
QN_INLINE float qn_sum(vf x) {
#if QN_VL > 8
  x += QN_SHUFFLE(x, x, QN_XOR8);
#endif
#if QN_VL > 4
  x += QN_SHUFFLE(x, x, QN_XOR4);
#endif
  x += QN_SHUFFLE(x, x, QN_XOR2);
  x += QN_SHUFFLE(x, x, QN_XOR1);
  return x[0];
}
QN_INLINE float qn_maximum_lanes(vf x) {
#if QN_VL > 8
  x = qn_maximum(x, QN_SHUFFLE(x, x, QN_XOR8));
#endif
#if QN_VL > 4
  x = qn_maximum(x, QN_SHUFFLE(x, x, QN_XOR4));
#endif
  x = qn_maximum(x, QN_SHUFFLE(x, x, QN_XOR2));
  x = qn_maximum(x, QN_SHUFFLE(x, x, QN_XOR1));
  return x[0];
}

// x[i][j] <-> x[j][i] for a square of QN_VL rows: log2(QN_VL) rounds, each exchanging the off-diagonal quarters of
// squares of 2w rows.
#define QN_EXCHANGE(w, low, high) \
  QN_UNROLL for (int i = 0; i < QN_VL; i++) if (!(i & w)) { \
    vf a = x[i], b = x[i + w]; \
    x[i] = QN_SHUFFLE(a, b, low); \
    x[i + w] = QN_SHUFFLE(a, b, high); \
  }
#define QN_LOW1(l) ((l) & 1 ? QN_VL + (l) - 1 : (l))
#define QN_HIGH1(l) ((l) & 1 ? QN_VL + (l) : (l) + 1)
#define QN_LOW2(l) ((l) & 2 ? QN_VL + (l) - 2 : (l))
#define QN_HIGH2(l) ((l) & 2 ? QN_VL + (l) : (l) + 2)
#define QN_LOW4(l) ((l) & 4 ? QN_VL + (l) - 4 : (l))
#define QN_HIGH4(l) ((l) & 4 ? QN_VL + (l) : (l) + 4)
#define QN_LOW8(l) ((l) & 8 ? QN_VL + (l) - 8 : (l))
#define QN_HIGH8(l) ((l) & 8 ? QN_VL + (l) : (l) + 8)
QN_INLINE void qn_transpose(vf x[QN_VL]) {
#if QN_VL > 8
  QN_EXCHANGE(8, QN_LOW8, QN_HIGH8)
#endif
#if QN_VL > 4
  QN_EXCHANGE(4, QN_LOW4, QN_HIGH4)
#endif
  QN_EXCHANGE(2, QN_LOW2, QN_HIGH2)
  QN_EXCHANGE(1, QN_LOW1, QN_HIGH1)
}

// Functions of x[QN_VL]: lane i of the result combines the lanes of x[i], in qn_sum's order; x is overwritten.
#define QN_FOLD(w, TYPE, OF, low, high) \
  QN_UNROLL for (int i = 0; i < w; i++) { \
    TYPE a = x[i], b = x[i + w]; \
    x[i] = OF(QN_SHUFFLE(a, b, low), QN_SHUFFLE(a, b, high)); \
  }
#if QN_VL > 8
#define QN_FOLD8(TYPE, OF) QN_FOLD(8, TYPE, OF, QN_LOW8, QN_HIGH8)
#else
#define QN_FOLD8(TYPE, OF)
#endif
#if QN_VL > 4
#define QN_FOLD4(TYPE, OF) QN_FOLD(4, TYPE, OF, QN_LOW4, QN_HIGH4)
#else
#define QN_FOLD4(TYPE, OF)
#endif
#define QN_FOLDS(NAME, TYPE, OF) \
  QN_INLINE TYPE NAME(TYPE x[QN_VL]) { \
    QN_FOLD8(TYPE, OF) QN_FOLD4(TYPE, OF) QN_FOLD(2, TYPE, OF, QN_LOW2, QN_HIGH2) QN_FOLD(1, TYPE, OF, QN_LOW1, QN_HIGH1) \
    return x[0]; \
  }
#define QN_PLUS(a, b) ((a) + (b))
QN_INLINE vi qn_int_max(vi a, vi b) { vi larger = a > b; return (larger & a) | (~larger & b); }
QN_FOLDS(qn_sums, vf, QN_PLUS)
QN_FOLDS(qn_int_sums, vi, QN_PLUS)
QN_FOLDS(qn_int_maxima, vi, qn_int_max)

// e^x without overflow and underflow: x = n ln2 + r with |r| <= ln2/2. Returns e^r by its polynomial, and n; the caller multiplies
// by 2^n.
QN_INLINE vf qn_exp_parts(vf x, vi *n) {
  vf t = x * 1.44269504f + 12582912.0f; // 1.5 * 2^23: the sum's low mantissa bits are round(x / ln2)
  *n = (vi)t - (vi)qn_splat(12582912.0f);
  vf k = t - 12582912.0f;
  vf r = x - k * 0.693359375f;
  r = r + k * 2.12194440e-4f;
  vf p = qn_splat(1.38436444e-3f); // minimax polynomial for relative error, given leading terms 1 + r: 2e-9
  p = p * r + 8.37416295e-3f;
  p = p * r + 4.16680016e-2f;
  p = p * r + 1.66664317e-1f;
  p = p * r + 4.9999994e-1f;
  return p * (r * r) + r + 1.0f;
}
QN_INLINE vf qn_exp_in_range(vf x) {
  vi n;
  vf p = qn_exp_parts(x, &n);
  return (vf)((vi)p + (n << 23));
}
// p * 2^n for p near 1 and an n that keeps it normal. It multiplies instead of adding exponent bits: for a NaN, n is
// arbitrary, but the product is still NaN.
QN_INLINE vf qn_times_power(vf p, vi n) { return p * (vf)((n + 127) << 23); }
QN_INLINE vf qn_exp(vf x) {
  vf y = qn_select(x > -87.3365f, qn_exp_in_range(x), (vf){0});
  return qn_select(x < 88.7228f, y, x * 3e38f); // beyond this +inf; NaN stays NaN
}
// e^x for softmax weights, whose x is at most 0 (80 in cross_entropy.h). Values below e^-60 become 0, so that products of
// weights are never denormal. NaN stays NaN.
QN_INLINE vf qn_exp_weight(vf x) {
  vi n;
  vf p = qn_exp_parts(x, &n);
  return qn_select(x < -60.0f, (vf){0}, qn_times_power(p, n));
}

// 2^x for x <= 0 as a softmax weight: 0 below 2^-86.
QN_INLINE vf qn_exp2_weight(vf x) {
  vf t = x + 12582912.0f, r = x - (t - 12582912.0f);
  vi n = (vi)t - (vi)qn_splat(12582912.0f);
  vf p = qn_splat(1.32647273e-3f); // minimax polynomial, relative error 9e-8
  p = p * r + 9.67151299e-3f;
  p = p * r + 5.55073358e-2f;
  p = p * r + 2.40222424e-1f;
  p = p * r + 6.93147004e-1f;
  p = p * r + 1.0f;
  return qn_select(x < -86.0f, (vf){0}, qn_times_power(p, n));
}

// Natural logarithm; log 0 = -inf, NaN for negative numbers.
QN_INLINE vf qn_log(vf x) {
  vi tiny = x < 1.17549435e-38f;
  vf m = qn_select(tiny, x * 33554432.0f, x);
  vi bits = (vi)m - 0x3f3504f3; // sqrt(1/2), so that the mantissa is in [sqrt(1/2), sqrt(2))
  vi e = bits >> 23;
  m = (vf)((bits & 0x7fffff) + 0x3f3504f3);
  vf n = __builtin_convertvector(e, vf) - qn_select(tiny, qn_splat(25.0f), (vf){0});
  vf f = m - 1.0f, s = f / (2.0f + f), z = s * s; // log(1+f) = 2 atanh(s) = f - f²/2 + s (f²/2 + z R(z))
  vf R = qn_splat(0.233311012f);
  R = R * z + 0.285507947f;
  R = R * z + 0.400001228f;
  R = R * z + 0.666666687f;
  vf h = f * f * 0.5f;
  vf y = n * 0.693145751953125f + (f - (h - (s * (h + z * R) + n * 1.42860677e-6f)));
  y = qn_select(x > 0.0f, y, qn_select(x == 0.0f, qn_splat(-QN_INFINITY), qn_splat(__builtin_nanf(""))));
  return qn_select(x < QN_INFINITY, y, x);
}

// 1 / (1 + e^-x)
QN_INLINE vf qn_sigmoid(vf x) { return 1.0f / (1.0f + qn_exp(-x)); }

// An odd polynomial near 0, elsewhere 1 - 2 / (e^2|x| + 1) with the sign of x.
QN_INLINE vf qn_tanh(vf x) {
  vf a = qn_abs(x), z = x * x;
  vf p = qn_splat(-6.09486876e-3f);
  p = p * z + 2.09959336e-2f;
  p = p * z - 5.38506545e-2f;
  p = p * z + 1.33327678e-1f;
  p = p * z - 3.33333284e-1f;
  p = p * z * a + a;
  vf q = 1.0f - 2.0f / (qn_exp(a + a) + 1.0f);
  return (vf)((vi)qn_select(a < 0.625f, p, q) | ((vi)x & (int)0x80000000));
}

#endif
