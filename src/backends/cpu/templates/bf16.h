// bf16: the upper half of a float, rounded to nearest (ties to even). Operands of a product are rounded while they are
// packed; sums stay in fp32. Packed operands consist of 32-bit words. If QN_PAIRS is 1 (the instruction set has a bf16 dot
// product), a word contains two neighbours along K, the even one in its lower half. qn_bf16_dot multiplies such words.
// Otherwise a word is one float whose lower half is 0, multiplied in fp32: just as exact, at fp32 speed.
//
// Each intrinsic has a portable version with the same bits (QN_PLAIN selects it); bench/kernels/bf16.c compares the two.
// Both flush denormal inputs and results to 0 of the same sign; NaN stays NaN, made quiet.
#ifndef QN_BF16_H
#define QN_BF16_H
#ifndef QN_BF16
#define QN_BF16 1 // whether the program has any bf16 products
#endif
#ifndef QN_PAIRS
#define QN_PAIRS 0
#endif
#define QN_PACK (QN_PAIRS ? 2 : 1) // elements of K per packed word
typedef int qn_bits __attribute__((may_alias));

QN_INLINE vi qn_bf16_flush(vi bits) { return bits & ~(((bits & 0x7f800000) == 0) & 0x7fffffff); }
// Rounds each lane to bf16, as a float whose lower half is 0.
QN_INLINE vf qn_bf16_round(vf x) {
  vi bits = qn_bf16_flush((vi)x);
  vi rounded = bits + 0x7fff + ((bits >> 16) & 1), nan = (bits & 0x7fffffff) > 0x7f800000;
  return (vf)(((nan & (bits | 0x400000)) | (~nan & rounded)) & (int)0xffff0000);
}

#define QN_EVEN(l) (2 * (l))
#define QN_ODD(l) (2 * (l) + 1)
#if !defined(QN_PLAIN) && QN_VL == 16 && defined(__AVX512BF16__)
#define QN_LOW_HALVES(a, b) a, b, (a) + 1, (b) + 1, (a) + 2, (b) + 2, (a) + 3, (b) + 3
// Lane i is the pair (low[i], high[i]).
QN_INLINE vf qn_pack_bf16_across(vf low, vf high) {
  typedef short vs __attribute__((vector_size(64)));
  const vs order = {QN_LOW_HALVES(0, 16), QN_LOW_HALVES(4, 20), QN_LOW_HALVES(8, 24), QN_LOW_HALVES(12, 28)};
  return (vf)_mm512_permutexvar_epi16((__m512i)order, (__m512i)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low));
}
// Pairs of neighbouring lanes: first those of x, then those of y.
QN_INLINE vf qn_pack_bf16_along(vf x, vf y) { return (vf)_mm512_cvtne2ps_pbh((__m512)y, (__m512)x); }
// c + (upper halves of a and b multiplied) + (lower halves multiplied), rounded to fp32 after each.
QN_INLINE vf qn_bf16_dot(vf c, vf a, vf b) { return (vf)_mm512_dpbf16_ps((__m512)c, (__m512bh)a, (__m512bh)b); }
#else
// NEON has only the dot product. It rounds both products and their sum to odd before adding c, so its last bits differ.
QN_INLINE vf qn_pack_bf16_across(vf low, vf high) {
  return (vf)((((vi)qn_bf16_round(low) >> 16) & 0xffff) | (vi)qn_bf16_round(high));
}
QN_INLINE vf qn_pack_bf16_along(vf x, vf y) { return qn_pack_bf16_across(QN_SHUFFLE(x, y, QN_EVEN), QN_SHUFFLE(x, y, QN_ODD)); }
#if !defined(QN_PLAIN) && QN_VL == 4 && defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
QN_INLINE vf qn_bf16_dot(vf c, vf a, vf b) { return (vf)vbfdotq_f32((float32x4_t)c, (bfloat16x8_t)a, (bfloat16x8_t)b); }
#else
// The product of two bf16 is exact in fp32, so fusing it with the sum changes nothing.
QN_INLINE vf qn_bf16_dot(vf c, vf a, vf b) {
  vi ah = qn_bf16_flush((vi)a & (int)0xffff0000), bh = qn_bf16_flush((vi)b & (int)0xffff0000);
  vi al = qn_bf16_flush((vi)a << 16), bl = qn_bf16_flush((vi)b << 16);
  c = (vf)qn_bf16_flush((vi)((vf)qn_bf16_flush((vi)c) + (vf)ah * (vf)bh));
  return (vf)qn_bf16_flush((vi)(c + (vf)al * (vf)bl));
}
#endif
#endif

// Packs n floats along K into one vector, padded with 0. `bf16` is a compile-time constant; 0 keeps fp32.
QN_INLINE vf qn_pack_along(const int bf16, const float *from, long n) {
  if (!bf16) return qn_load_n(from, n);
  if (!QN_PAIRS) return qn_bf16_round(qn_load_n(from, n));
  return qn_pack_bf16_along(qn_load_n(from, n), n > QN_VL ? qn_load_n(from + QN_VL, n - QN_VL) : (vf){0});
}
#endif
