// Causal attention, forward and backward, grouped queries.
#ifndef QN_ATTENTION_H
#define QN_ATTENTION_H
#define QN_KEYS 128 // keys a tile
// Scratch in floats, D the head width.
QN_FUNCTION long qn_attention_scratch(long D) { return qn_threads * (QN_NR * (2 * D + QN_KEYS + 8) + 64L); }
QN_FUNCTION long qn_attention_backward_scratch(long D) { return qn_threads * (QN_NR * (4 * D + 2 * QN_KEYS + 8) + 64L); }

typedef struct {
  long B, T, S, H, G, D; const float *q; long q_row; const float *k; long k_row; const float *v; long v_row;
  float *o; float *lse; float scale; long position; float *scratch;
  const float *d_o; float *dq; long dq_row; float *dk; long dk_row; float *dv; long dv_row;
} qn_attention_context;

static float qn_attention_dot(long D, const float *a, const float *b) {
  float s = 0;
  for (long d = 0; d < D; d++) s += a[d] * b[d];
  return s;
}

static void qn_attention_task(void *context, long task, long worker) {
  const qn_attention_context *c = context;
  (void)worker;
  long T = c->T, S = c->S, H = c->H, D = c->D, b = task / H, h = task % H, g = h / (H / c->G);
  for (long t = 0; t < T; t++) {
    const float *q = c->q + (b * T + t) * c->q_row + h * D;
    float *o = c->o + ((b * T + t) * H + h) * D, m = -QN_INFINITY, l = 0;
    long seen = c->position + t + 1 < S ? c->position + t + 1 : S;
    for (long s = 0; s < seen; s++) {
      float x = c->scale * qn_attention_dot(D, q, c->k + (b * S + s) * c->k_row + g * D);
      m = x > m ? x : m;
    }
    for (long d = 0; d < D; d++) o[d] = 0;
    for (long s = 0; s < seen; s++) {
      float p = qn_exp(qn_splat(c->scale * qn_attention_dot(D, q, c->k + (b * S + s) * c->k_row + g * D) - m))[0];
      l += p;
      for (long d = 0; d < D; d++) o[d] += p * c->v[(b * S + s) * c->v_row + g * D + d];
    }
    for (long d = 0; d < D; d++) o[d] /= l;
    c->lse[(b * H + h) * T + t] = m + qn_log(qn_splat(l))[0];
  }
}

// q (B,T,H,D): element (b,t,h,d) at q[(b*T+t)*q_row + h*D + d]; k, v (B,S,G,D) likewise with k_row, v_row (G key/value
// heads, H % G == 0); o (B,T,H,D) rows of H*D; lse (B,H,T). Query t is at position `position + t` and sees keys
// 0..position+t (< S).
QN_FUNCTION void qn_attention(long B, long T, long S, long H, long G, long D, const float *q, long q_row, const float *k, long k_row, const float *v, long v_row, float *o, float *lse, float scale, long position, float *scratch) {
  qn_attention_context c = {.B = B, .T = T, .S = S, .H = H, .G = G, .D = D, .q = q, .q_row = q_row, .k = k, .k_row = k_row, .v = v, .v_row = v_row, .o = o, .lse = lse, .scale = scale, .position = position, .scratch = scratch};
  qn_parallel(B * H, qn_attention_task, &c);
}

static void qn_attention_backward_task(void *context, long task, long worker) {
  const qn_attention_context *c = context;
  (void)worker;
  long T = c->T, H = c->H, D = c->D, b = task / c->G, g = task % c->G, R = H / c->G;
  for (long t = 0; t < T; t++) for (long d = 0; d < D; d++) {
    c->dk[(b * T + t) * c->dk_row + g * D + d] = 0;
    c->dv[(b * T + t) * c->dv_row + g * D + d] = 0;
  }
  for (long h = g * R; h < g * R + R; h++) for (long t = 0; t < T; t++) {
    const float *q = c->q + (b * T + t) * c->q_row + h * D, *o = c->o + ((b * T + t) * H + h) * D, *d_o = c->d_o + ((b * T + t) * H + h) * D;
    float *dq = c->dq + (b * T + t) * c->dq_row + h * D, delta = qn_attention_dot(D, o, d_o), lse = c->lse[(b * H + h) * T + t];
    for (long d = 0; d < D; d++) dq[d] = 0;
    for (long s = 0; s <= t; s++) {
      const float *k = c->k + (b * T + s) * c->k_row + g * D, *v = c->v + (b * T + s) * c->v_row + g * D;
      float *dk = c->dk + (b * T + s) * c->dk_row + g * D, *dv = c->dv + (b * T + s) * c->dv_row + g * D;
      float p = qn_exp(qn_splat(c->scale * qn_attention_dot(D, q, k) - lse))[0];
      float ds = p * (qn_attention_dot(D, d_o, v) - delta) * c->scale;
      for (long d = 0; d < D; d++) { dv[d] += p * d_o[d]; dk[d] += ds * q[d]; dq[d] += ds * k[d]; }
    }
  }
}

// Training only (position 0, S == T): dq (B,T,H,D), dk, dv (B,T,G,D), each with its own row stride; all overwritten.
// dq, dk, dv must not overlap q, k, v, o, d_o.
QN_FUNCTION void qn_attention_backward(long B, long T, long H, long G, long D, const float *q, long q_row, const float *k, long k_row, const float *v, long v_row, const float *o, const float *lse, const float *d_o, float *dq, long dq_row, float *dk, long dk_row, float *dv, long dv_row, float scale, float *scratch) {
  qn_attention_context c = {.B = B, .T = T, .S = T, .H = H, .G = G, .D = D, .q = q, .q_row = q_row, .k = k, .k_row = k_row, .v = v, .v_row = v_row, .o = (float *)o, .lse = (float *)lse, .scale = scale, .position = 0, .scratch = scratch,
                            .d_o = d_o, .dq = dq, .dq_row = dq_row, .dk = dk, .dk_row = dk_row, .dv = dv, .dv_row = dv_row};
  qn_parallel(B * G, qn_attention_backward_task, &c);
}
#endif
