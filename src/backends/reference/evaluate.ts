/**
 * @file Defines each operation with plain float64 loops. Tests compare every other backend with it.
 *
 * Written for clarity and accuracy, not speed. Shapes need no checks: tracing has checked them.
 */
import {
  type Attributes,
  type BinaryOp,
  type BlockDType,
  castNumber,
  type DType,
  e4m3Scale,
  e4m3ToFloat,
  floatToE4m3,
  floatToHalf,
  halfToFloat,
  isBlocked,
  isFloat,
  type Node,
  type Op,
  optionalInput,
  philox,
  readBlocks,
  type Shape,
  sizeOf,
  type UnaryOp,
} from "../../tensor/index.js";

type Array64 = Float64Array<ArrayBufferLike>;
export interface Value {
  readonly shape: Shape;
  readonly data: Array64;
  /** The bytes of blocks, from which `data` was decoded. */
  readonly stored?: Uint8Array;
}

/** Applied to each operand of a product before multiplication. */
export type Rounding = (x: number) => number;
type Evaluate<A> = (inputs: readonly Value[], attributes: A, node: Node, round: Rounding) => readonly Array64[];

export const exact: Rounding = (x) => x;
/** Rounds to the nearest bf16 (8 bits of mantissa, including the leading one), ties to even. */
export const toBf16: Rounding = (x) => {
  if (x === 0 || !Number.isFinite(x)) return x;
  const exponent = Math.floor(Math.log2(Math.abs(x)));
  const unit = 2 ** (exponent - 7);
  const low = Math.floor(x / unit);
  const rest = x / unit - low;
  return unit * (rest > 0.5 || (rest === 0.5 && low % 2 !== 0) ? low + 1 : low);
};
/** Rounds to the nearest e4m3, ties to even; for operands of matrix products, which `rounded` scales. */
export const toE4m3: Rounding = (x) => e4m3ToFloat(floatToE4m3(x));
function rounded({ shape, data }: Value, round: Rounding): Value {
  if (round === exact) return { shape, data };
  if (round !== toE4m3) return { shape, data: data.map(round) };
  const scale = e4m3Scale(data.reduce((most, x) => Math.max(most, Math.abs(x)), 0));
  return { shape, data: data.map((x) => toE4m3(x * scale) / scale) };
}

export const unaryFunctions: { readonly [O in UnaryOp]: (x: number) => number } = {
  again: (x) => x,
  neg: (x) => -x,
  exp: Math.exp,
  log: Math.log,
  sqrt: Math.sqrt,
  rsqrt: (x) => 1 / Math.sqrt(x),
  abs: Math.abs,
  tanh: Math.tanh,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
};

export const binaryFunctions: { readonly [O in BinaryOp]: (x: number, y: number) => number } = {
  add: (x, y) => x + y,
  sub: (x, y) => x - y,
  mul: (x, y) => x * y,
  div: (x, y) => x / y,
  minimum: Math.min,
  maximum: Math.max,
  less: (x, y) => (x < y ? 1 : 0),
  equal: (x, y) => (x === y ? 1 : 0),
};

/** For each element of `shape`, its position in memory with these strides in elements. */
function positionsOf(shape: Shape, strides: readonly number[]): Int32Array {
  const positions = new Int32Array(sizeOf(shape));
  // From the last axis to the first, each axis repeats the positions of the axes after it.
  for (let axis = shape.length - 1, size = 1; axis >= 0; size *= shape[axis--]) {
    for (let i = size; i < size * shape[axis]; i++) positions[i] = positions[i - size] + strides[axis];
  }
  return positions;
}

/** For each element of `shape`, the position in a tensor of shape `from` that broadcasts to it. */
function broadcastPositions(from: Shape, shape: Shape): Int32Array {
  const strides = new Array<number>(shape.length).fill(0);
  for (let axis = shape.length - 1, stride = 1; axis >= shape.length - from.length; axis--) {
    const dimension = from[axis - shape.length + from.length];
    strides[axis] = dimension === 1 ? 0 : stride;
    stride *= dimension;
  }
  return positionsOf(shape, strides);
}

function taken(data: Array64, positions: Int32Array): Float64Array {
  const out = new Float64Array(positions.length);
  for (let i = 0; i < out.length; i++) out[i] = data[positions[i]];
  return out;
}

function elementwise(f: (x: number, y: number, z: number) => number): Evaluate<object> {
  return (inputs, _, node) => {
    const { shape } = node.outputs[0];
    const out = new Float64Array(sizeOf(shape));
    // At most three operands; a missing one defaults to the previous one.
    const [x, y = x, z = x] = inputs.map(({ data }) => data);
    const [px, py = px, pz = px] = inputs.map((input) => broadcastPositions(input.shape, shape));
    for (let i = 0; i < out.length; i++) out[i] = f(x[px[i]], y[py[i]], z[pz[i]]);
    return [out];
  };
}

function mapValues<K extends string, V, W>(table: Readonly<Record<K, V>>, f: (value: V) => W): Record<K, W> {
  return Object.fromEntries(Object.entries<V>(table).map(([key, value]) => [key, f(value)])) as Record<K, W>;
}

function reduction(f: (total: number, x: number) => number, start: number): Evaluate<Attributes["sum"]> {
  return ([x], _, node) => {
    const { shape } = node.outputs[0];
    const out = new Float64Array(sizeOf(shape)).fill(start);
    // Maps each input element to the output element that it is reduced into.
    const positions = broadcastPositions(shape, x.shape);
    for (let i = 0; i < x.data.length; i++) out[positions[i]] = f(out[positions[i]], x.data[i]);
    return [out];
  };
}

const leaf = (): never => {
  throw new Error("leaf nodes have values and are not evaluated");
};

/** The value of row b, or the single value shared by all rows. */
const ofRow = ({ data }: Value, b: number): number => data[data.length === 1 ? 0 : b];

/** Which keys each query sees, and in which slot. Positions, lengths, rows, segments and ends are those of `attention`. */
function viewOf(inputs: readonly Value[], node: Node<"attention" | "attentionGradient">, position: Value) {
  const [lengths, rows, segments, ends] = ["lengths", "rows", "segments", "ends"].map(
    (name): Value | undefined => inputs[optionalInput(node, name)],
  );
  const [slots, S] = inputs[1].shape;
  /** For query t of row b: the slot of its keys, and their positions. */
  return (b: number, t: number): { readonly slot: number; readonly seen: readonly number[] } => {
    const slot = rows ? ofRow(rows, b) : b;
    const at = ofRow(position, b) + t;
    const empty = slot < 0 || slot >= slots || at - t < 0;
    const end = empty ? 0 : Math.max(0, Math.min(S, at + 1, lengths ? ofRow(lengths, b) : S));
    const segment = (s: number) => segments?.data[b * S + Math.min(s, S - 1)];
    const isSeen = (s: number) => segment(s) === segment(at) && (ends === undefined || at < ends.data[b * S + s]);
    return { slot, seen: Array.from({ length: end }, (_, s) => s).filter(isSeen) };
  };
}

const IGNORED = -100;

/** Per row: the loss in nats and, with statistics, the entropy, whether the target has the largest logit, and log Σ p². */
function lossesOf(x: Value, w: Value, targets: Value, statistics: boolean): readonly Float64Array[] {
  const [loss, entropy, isGreedy, logSquares] = [0, 1, 2, 3].map(() => new Float64Array(targets.data.length));
  targets.data.forEach((target, n) => {
    if (target === IGNORED) return;
    const { logits, logSumExp, probabilities } = softmaxRow(x, w, n);
    loss[n] = logSumExp - logits[target];
    if (!statistics) return;
    entropy[n] = probabilities.reduce((total, p, v) => (p > 0 ? total - p * (logits[v] - logSumExp) : total), 0);
    isGreedy[n] = logits.every((logit) => logit <= logits[target]) ? 1 : 0;
    logSquares[n] = Math.log(probabilities.reduce((total, p) => total + p * p, 0));
  });
  return statistics ? [loss, entropy, isGreedy, logSquares] : [loss];
}

/** Logits, log-sum-exp and softmax of row n of x·wᵀ; x (N,C), w (V,C). */
function softmaxRow(
  x: Value,
  w: Value,
  n: number,
): { probabilities: Float64Array; logSumExp: number; logits: Float64Array } {
  const [V, C] = w.shape;
  const logits = new Float64Array(V);
  for (let v = 0; v < V; v++) {
    let sum = 0;
    for (let c = 0; c < C; c++) sum += x.data[n * C + c] * w.data[v * C + c];
    logits[v] = sum;
  }
  const top = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const logSumExp = top + Math.log(logits.reduce((total, l) => total + Math.exp(l - top), 0));
  return { logits, logSumExp, probabilities: logits.map((l) => Math.exp(l - logSumExp)) };
}

/** a (M,K) · bᵀ, with b (N,K) in blocks and the rows of a rounded to int8. */
function blockProduct(a: Value, b: Value, dtype: BlockDType): Float64Array {
  const [[M, K], [N]] = [a.shape, b.shape];
  const { block, group, quants, scales, minima, d, dmin } = readBlocks(b.stored as Uint8Array, dtype);
  const x = roundToInt8(Float32Array.from(a.data), block);
  const c = new Float64Array(M * N);
  for (let m = 0; m < M; m++) {
    for (let n = 0; n < N; n++) {
      for (let k = 0; k < K; k += block) {
        const [xBlock, wBlock] = [(m * K + k) / block, (n * K + k) / block];
        let [products, sums] = [0, 0]; // exact integers
        for (let g = 0; g < block; g += group) {
          let [product, sum] = [0, 0];
          for (let i = k + g; i < k + g + group; i++) {
            product += quants[n * K + i] * x.quants[m * K + i];
            sum += x.quants[m * K + i];
          }
          products += scales[(n * K + k + g) / group] * product;
          sums += minima[(n * K + k + g) / group] * sum;
        }
        c[m * N + n] += x.scales[xBlock] * (d[wBlock] * products - dmin[wBlock] * sums);
      }
    }
  }
  return c;
}

/**
 * Rounds blocks of values to int8, ties to even: value ≈ scale · quant, with scale = largest magnitude / 127. All steps are
 * in float32, as in the kernels. The scale of blocks of 32 is rounded to f16.
 */
function roundToInt8(values: Float32Array, block: number): { quants: Int8Array; scales: Float64Array } {
  const scales = new Float64Array(values.length / block);
  const quants = new Int8Array(values.length);
  for (let b = 0; b < scales.length; b++) {
    const largest = values.subarray(b * block, (b + 1) * block).reduce((top, x) => Math.max(top, Math.abs(x)), 0);
    const scale = Math.fround(largest / 127);
    scales[b] = block === 32 ? halfToFloat(floatToHalf(scale)) : scale;
    const inverse = largest > TINY ? Math.fround(127 / largest) : 0;
    for (let i = b * block; i < (b + 1) * block; i++) {
      const [x, y] = [Math.fround(values[i] * inverse), Math.floor(Math.fround(values[i] * inverse))];
      quants[i] = x - y > 0.5 || (x - y === 0.5 && y % 2 !== 0) ? y + 1 : y;
    }
  }
  return { quants, scales };
}

/** Rounds values to those of a cache's dtype. */
function roundedFor(dtype: DType, values: Array64): Array64 {
  if (dtype === "bf16" || dtype === "f16") return values.map(castNumber[dtype]);
  if (dtype !== "q8_0") return values;
  const { quants, scales } = roundToInt8(Float32Array.from(values), 32);
  return Float64Array.from(quants, (q, i) => q * scales[Math.floor(i / 32)]);
}

/** Blocks of smaller values become 0: the inverse of their scale might be infinite. */
const TINY = Math.fround(1e-30);

export const evaluators: { readonly [O in Op]: Evaluate<Attributes[O]> } = {
  variable: leaf,
  input: leaf,
  constant: (_, { data }) => [Float64Array.from(data)],
  literal: (_, { value }) => [Float64Array.of(value)],
  ...mapValues(unaryFunctions, elementwise),
  ...mapValues(binaryFunctions, elementwise),
  where: elementwise((condition, a, b) => (condition !== 0 ? a : b)),
  cast: ([x], { dtype }, node) => {
    const through =
      isFloat(node.inputs[0].dtype) === isFloat(dtype)
        ? castNumber[dtype]
        : (v: number) => castNumber[dtype](Math.fround(v));
    return [x.data.map(through)];
  },
  stopGradient: ([x]) => [x.data],
  reshape: ([x]) => [x.data],
  broadcast: ([x], { shape }) => [taken(x.data, broadcastPositions(x.shape, shape))],
  split: ([x], { axis, sizes }, node) => {
    const inner = sizeOf(x.shape.slice(axis + 1));
    const row = x.shape[axis] * inner;
    let start = 0;
    return node.outputs.map(({ shape }, i) => {
      const width = sizes[i] * inner;
      const from = start;
      start += width;
      return Float64Array.from(
        { length: sizeOf(shape) },
        (_, k) => x.data[Math.floor(k / width) * row + from + (k % width)],
      );
    });
  },
  concatenate: (inputs, { axis }, node) => {
    const { shape } = node.outputs[0];
    const out = new Float64Array(sizeOf(shape));
    const row = sizeOf(shape.slice(axis));
    let start = 0;
    for (const x of inputs) {
      const width = sizeOf(x.shape.slice(axis));
      for (let k = 0; k < x.data.length; k++) out[Math.floor(k / width) * row + start + (k % width)] = x.data[k];
      start += width;
    }
    return [out];
  },
  transpose: ([x], { axes }, node) => {
    const strides = axes.map((axis) => sizeOf(x.shape.slice(axis + 1)));
    return [taken(x.data, positionsOf(node.outputs[0].shape, strides))];
  },
  gather: ([x, ids]) => {
    const V = x.shape[x.shape.length - 1];
    const K = ids.shape[ids.shape.length - 1];
    return [ids.data.map((id, i) => (id >= 0 && id < V ? x.data[Math.floor(i / K) * V + id] : 0))];
  },
  scatterAdd: ([ids, values], { size }, node) => {
    const K = ids.shape[ids.shape.length - 1];
    const out = new Float64Array(sizeOf(node.outputs[0].shape));
    ids.data.forEach((id, i) => {
      if (id >= 0 && id < size) out[Math.floor(i / K) * size + id] += values.data[i];
    });
    return [out];
  },
  random: ([seed, step], { shape, stream }) => {
    const words = new Uint32Array(4);
    return [
      Float64Array.from({ length: sizeOf(shape) }, (_, i) => {
        philox(Math.floor(i / 4), 0, step.data[0] >>> 0, stream >>> 0, seed.data[0] >>> 0, 0, words);
        return (words[i % 4] >>> 8) / 2 ** 24;
      }),
    ];
  },
  custom: (inputs, { results }) => inputs.slice(-results).map(({ data }) => data),
  positions: ([start], { shape }) => {
    const [row, length] = [sizeOf(shape.slice(1)), shape[shape.length - 1]];
    return [Float64Array.from({ length: sizeOf(shape) }, (_, i) => ofRow(start, Math.floor(i / row)) + (i % length))];
  },
  sum: reduction((total, x) => total + x, 0),
  max: reduction(Math.max, Number.NEGATIVE_INFINITY),

  matmul: (inputs, { transposeA, transposeB }, node, round) => {
    const { dtype } = node.inputs[1];
    if (isBlocked(dtype)) return [blockProduct(inputs[0], inputs[1], dtype)];
    const [a, b] = inputs.map((x) => rounded(x, round).data);
    const [M, N] = node.outputs[0].shape;
    const K = inputs[0].shape[transposeA ? 0 : 1];
    const [am, ak] = transposeA ? [1, M] : [K, 1];
    const [bk, bn] = transposeB ? [1, K] : [N, 1];
    const c = new Float64Array(M * N);
    for (let m = 0; m < M; m++) {
      for (let n = 0; n < N; n++) {
        let sum = 0;
        for (let k = 0; k < K; k++) sum += a[m * am + k * ak] * b[k * bk + n * bn];
        c[m * N + n] = sum;
      }
    }
    return [c];
  },

  embedding: ([table, ids]) => {
    const [V, C] = table.shape;
    const out = new Float64Array(ids.data.length * C);
    ids.data.forEach((id, n) => {
      if (id >= 0 && id < V) out.set(table.data.subarray(id * C, (id + 1) * C), n * C);
    });
    return [out];
  },
  embeddingGradient: ([ids, d], { vocabulary }) => {
    const C = d.shape[d.shape.length - 1];
    const out = new Float64Array(vocabulary * C);
    ids.data.forEach((id, n) => {
      if (id < 0 || id >= vocabulary) return;
      for (let c = 0; c < C; c++) out[id * C + c] += d.data[n * C + c];
    });
    return [out];
  },

  rope: ([x, cos, sin, position], { inverse }) => {
    const [B, T, H, D] = x.shape;
    const half = D / 2;
    const y = new Float64Array(x.data.length);
    for (let row = 0; row < B * T * H; row++) {
      const at = (Math.floor(row / H) % T) + ofRow(position, Math.floor(row / (T * H)));
      const t = Math.min(Math.max(at, 0), cos.shape[0] - 1);
      for (let d = 0; d < half; d++) {
        const [i, j] = [row * D + d, row * D + d + half];
        const c = cos.data[t * half + d];
        const s = inverse ? -sin.data[t * half + d] : sin.data[t * half + d];
        y[i] = x.data[i] * c - x.data[j] * s;
        y[j] = x.data[j] * c + x.data[i] * s;
      }
    }
    return [y];
  },

  attention: (inputs, { scale }, node, round) => {
    const [q, k, v] = inputs.slice(0, 3).map((x) => rounded(x, round));
    const view = viewOf(inputs, node as Node<"attention">, inputs[3]);
    const [B, T, H, D] = q.shape;
    const [, S, G] = k.shape;
    const o = new Float64Array(q.data.length);
    const logSumExp = new Float64Array(B * H * T);
    for (let b = 0; b < B; b++) {
      for (let h = 0; h < H; h++) {
        const g = Math.floor(h / (H / G));
        for (let t = 0; t < T; t++) {
          const { slot, seen } = view(b, t);
          const qi = ((b * T + t) * H + h) * D;
          const ki = (s: number) => ((slot * S + s) * G + g) * D;
          const scores = seen.map((s) => {
            let dot = 0;
            for (let d = 0; d < D; d++) dot += q.data[qi + d] * k.data[ki(s) + d];
            return dot * scale;
          });
          const top = scores.reduce((a, x) => Math.max(a, x), Number.NEGATIVE_INFINITY);
          // −∞ if the query sees no key.
          const lse = top + (seen.length > 0 ? Math.log(scores.reduce((total, x) => total + Math.exp(x - top), 0)) : 0);
          logSumExp[(b * H + h) * T + t] = lse;
          scores.forEach((score, i) => {
            const p = round(Math.exp(score - lse));
            for (let d = 0; d < D; d++) o[qi + d] += p * v.data[ki(seen[i]) + d];
          });
        }
      }
    }
    return [o, logSumExp];
  },
  // P = softmax(scores); dV = Pᵀ·dO, dP = dO·Vᵀ, dS = P ∘ (dP − rowsum(dO ∘ O)), dQ = dS·K, dK = dSᵀ·Q.
  attentionGradient: (inputs, { scale }, node, round) => {
    const [, , , o, logSumExp, slope] = inputs;
    const [q, k, v, d] = [...inputs.slice(0, 3), slope].map((x) => rounded(x, round));
    const view = viewOf(inputs, node as Node<"attentionGradient">, { shape: [], data: Float64Array.of(0) });
    const [B, T, H, D] = q.shape;
    const G = k.shape[2];
    const dq = new Float64Array(q.data.length);
    const dk = new Float64Array(k.data.length);
    const dv = new Float64Array(v.data.length);
    for (let b = 0; b < B; b++) {
      for (let h = 0; h < H; h++) {
        const g = Math.floor(h / (H / G));
        for (let t = 0; t < T; t++) {
          const qi = ((b * T + t) * H + h) * D;
          let delta = 0;
          for (let c = 0; c < D; c++) delta += slope.data[qi + c] * o.data[qi + c];
          for (const s of view(b, t).seen) {
            const ki = ((b * T + s) * G + g) * D;
            let score = 0;
            let dp = 0;
            for (let c = 0; c < D; c++) {
              score += q.data[qi + c] * k.data[ki + c];
              dp += d.data[qi + c] * v.data[ki + c];
            }
            const p = Math.exp(score * scale - logSumExp.data[(b * H + h) * T + t]);
            const ds = round(p * (dp - delta) * scale);
            for (let c = 0; c < D; c++) {
              dv[ki + c] += round(p) * d.data[qi + c];
              dq[qi + c] += ds * k.data[ki + c];
              dk[ki + c] += ds * q.data[qi + c];
            }
          }
        }
      }
    }
    return [dq, dk, dv];
  },

  linearCrossEntropy: ([x, w, targets], { statistics }, _node, round) =>
    lossesOf(rounded(x, round), rounded(w, round), targets, statistics),
  // dx = (p − onehot) · w and dw = (p − onehot)ᵀ · x, where the target's row is subtracted separately and unrounded.
  // Here p = e · factor with e = exp(z − reference); the reference is the target's logit. Only e, factor · x and w are
  // rounded. With a gradient of the entropy H, the whole slope p·(d − dH·(log p + H)) is rounded instead of e.
  linearCrossEntropyGradient: ([x, w, targets, d, dEntropy], { statistics }, _node, round) => {
    const [a, b] = [rounded(x, round), rounded(w, round)];
    const [V, C] = w.shape;
    const [loss, ...more] = lossesOf(a, b, targets, statistics);
    const dx = new Float64Array(x.data.length);
    const dw = new Float64Array(w.data.length);
    targets.data.forEach((target, n) => {
      if (target === IGNORED) return;
      const { logits, logSumExp } = softmaxRow(a, b, n);
      let reference = 0;
      for (let c = 0; c < C; c++) reference += x.data[n * C + c] * w.data[target * C + c];
      const factor = d.data[n] / Math.exp(logSumExp - reference);
      for (let vocab = 0; vocab < V; vocab++) {
        const logP = logits[vocab] - logSumExp;
        const slope = dEntropy && Math.exp(logP) * (d.data[n] - dEntropy.data[n] * (logP + more[0][n]));
        const [e, scale] =
          slope === undefined ? [round(Math.exp(logits[vocab] - reference)), factor] : [round(slope), 1];
        for (let c = 0; c < C; c++) {
          dx[n * C + c] += scale * e * b.data[vocab * C + c];
          dw[vocab * C + c] += e * round(scale * x.data[n * C + c]);
        }
      }
      for (let c = 0; c < C; c++) {
        dx[n * C + c] -= d.data[n] * w.data[target * C + c];
        dw[target * C + c] -= d.data[n] * x.data[n * C + c];
      }
    });
    return [loss, dx, dw, ...more];
  },

  cacheWrite: ([cache, x, position, rows], _, node) => {
    const { dtype } = node.outputs[0];
    const values = roundedFor(dtype, x.data);
    const [slots, S, G, D] = cache.shape;
    const [B, T] = x.shape;
    const out = cache.data.slice();
    for (let b = 0; b < B; b++) {
      const slot = rows ? ofRow(rows, b) : b;
      for (let t = 0; t < T; t++) {
        const [from, at] = [(b * T + t) * G * D, ofRow(position, b) + t];
        if (slot < 0 || slot >= slots || at < 0 || at >= S) continue;
        out.set(values.subarray(from, from + G * D), (slot * S + at) * G * D);
      }
    }
    return [out];
  },
  cacheCopy: ([cache, from, to, lengths]) => {
    const [slots, S, G, D] = cache.shape;
    const out = cache.data.slice();
    const isSlot = (slot: number) => slot >= 0 && slot < slots;
    from.data.forEach((source, r) => {
      if (!isSlot(source) || !isSlot(to.data[r])) return;
      const size = Math.max(0, Math.min(S, lengths.data[r])) * G * D;
      out.copyWithin(to.data[r] * S * G * D, source * S * G * D, source * S * G * D + size);
    });
    return [out];
  },
};
