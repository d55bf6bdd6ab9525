// Rotary position embedding, half-split pairs (d, d + D/2) as in Llama checkpoints.
#ifndef QN_ROPE_H
#define QN_ROPE_H
// x, y (rows,H,D); cos, sin (P,D/2)
typedef struct { long rows, H, D; const float *x; long x_row; float *y; long y_row; const float *cos, *sin; long P, T; qn_row_index position; float sign; int to_bf16; } qn_rope_context;
#define QN_ROPE_ROWS 16 // rows per task

static void qn_rope_task(void *context, long task, long worker) {
  const qn_rope_context *c = context;
  (void)worker;
  long D2 = c->D / 2, r1 = (task + 1) * QN_ROPE_ROWS < c->rows ? (task + 1) * QN_ROPE_ROWS : c->rows;
  for (long r = task * QN_ROPE_ROWS; r < r1; r++) {
    long at = qn_of_row(c->position, r / c->T) + r % c->T;
    at = at < 0 ? 0 : at < c->P ? at : c->P - 1;
    const float *cos = c->cos + at * D2, *sin = c->sin + at * D2;
    for (long h = 0; h < c->H; h++) {
      const float *x = c->x + r * c->x_row + h * c->D;
      float *y = c->y + r * c->y_row + h * c->D;
      long d = 0;
      if (c->to_bf16) {
        unsigned short *to = (unsigned short *)c->y + r * c->y_row + h * c->D;
        for (; d < D2; d += QN_VL) {
          vf a = qn_load_n(x + d, D2 - d), b = qn_load_n(x + D2 + d, D2 - d), p = qn_load_n(cos + d, D2 - d), s = qn_load_n(sin + d, D2 - d) * c->sign;
          qn_store_n_bf16(to + d, a * p - b * s, D2 - d);
          qn_store_n_bf16(to + D2 + d, b * p + a * s, D2 - d);
        }
        continue;
      }
      for (; d + QN_VL <= D2; d += QN_VL) {
        vf a = qn_load(x + d), b = qn_load(x + D2 + d), p = qn_load(cos + d), s = qn_load(sin + d) * c->sign;
        qn_store(y + d, a * p - b * s);
        qn_store(y + D2 + d, b * p + a * s);
      }
      for (; d < D2; d++) {
        float a = x[d], b = x[D2 + d], p = cos[d], s = sin[d] * c->sign;
        y[d] = a * p - b * s;
        y[D2 + d] = b * p + a * s;
      }
    }
  }
}

// x, y (B*T rows, H, D), element (r, h, d) at x[r*x_row + h*D + d]; cos, sin (P, D/2). Row b*T + t has position
// position[b] + t, clamped to 0..P-1. `inverse` rotates back, which is the gradient. y may be x. With `to_bf16`, y is stored in bf16.
QN_TEMPLATE void qn_rope(long rows, long H, long D, const float *x, long x_row, float *y, long y_row, const float *cos, const float *sin, long P, long T, qn_row_index position, int inverse, int to_bf16) {
  qn_rope_context c = {rows, H, D, x, x_row, y, y_row, cos, sin, P, T, position, inverse ? -1.0f : 1.0f, to_bf16};
  qn_parallel((rows + QN_ROPE_ROWS - 1) / QN_ROPE_ROWS, qn_rope_task, &c);
}
#endif
