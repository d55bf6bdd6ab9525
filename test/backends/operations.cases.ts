/** @file Test cases of all operations for every backend: each traced with its gradient, at odd shapes. */

import type { Entry, NumberDType, Shape, Tensor } from "../../src/tensor/index.js";
import * as q from "../../src/tensor/index.js";

export interface Case {
  readonly name: string;
  readonly entry: Entry;
  /** Values of variables and inputs, by name. */
  readonly values: Readonly<Record<string, Float64Array>>;
  /** Differentiated variables, each with the output that contains its gradient. */
  readonly gradients: Readonly<Record<string, string>>;
}

/** A small deterministic generator (Lehmer): tests must not depend on the generator under test. */
export function random(seed: number): () => number {
  let state = seed % 2147483647 || 1;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}

interface Maker {
  /** A differentiated variable with values from low to high. */
  parameter(shape: Shape, low?: number, high?: number): Tensor;
  /** An input with values from -1 to 1 that is not differentiated. */
  constant(shape: Shape): Tensor;
  /** An i32 input with values below `limit`, starting with the given ones. */
  ids(shape: Shape, limit: number, first?: readonly number[]): Tensor;
  index(value: number): Tensor;
}

/** What a case does with its gradients besides returning them. */
type Assign = (parameters: readonly Tensor[], gradients: readonly Tensor[]) => Entry["assign"];

/** Traces f, sums its outputs with fixed random weights into a scalar, and differentiates it. */
function make(name: string, f: (m: Maker) => Tensor | readonly Tensor[], assign?: Assign): Case {
  const next = random([...name].reduce((hash, letter) => (hash * 31 + letter.charCodeAt(0)) % 2147483647, 7));
  const values: Record<string, Float64Array> = {};
  const parameters: Tensor[] = [];
  const declare = (kind: string, size: number, value: (i: number) => number): string => {
    const id = `${name}/${kind}${Object.keys(values).length}`;
    // Rounded to float32, so that every backend starts from the same numbers.
    values[id] = Float64Array.from({ length: size }, (_, i) => Math.fround(value(i)));
    return id;
  };
  const results = [
    f({
      parameter(shape, low = -1, high = 1) {
        const id = declare("p", q.sizeOf(shape), () => low + (high - low) * next());
        parameters.push(q.variable(id, shape));
        return parameters[parameters.length - 1];
      },
      constant: (shape) =>
        q.input(
          declare("c", q.sizeOf(shape), () => 2 * next() - 1),
          shape,
        ),
      ids(shape, limit, first = []) {
        const id = declare("i", q.sizeOf(shape), (i) => first[i] ?? Math.floor(next() * limit));
        return q.input(id, shape, "i32");
      },
      index: (value) =>
        q.scalar(
          declare("s", 1, () => value),
          "i32",
        ),
    }),
  ].flat();
  const outputs: Record<string, Tensor> = {};
  const gradients: Record<string, string> = {};
  let loss: Tensor = q.literal(0);
  results.forEach((result, i) => {
    outputs[`${name}/y${i}`] = result;
    if (result.node.op === "stopGradient") return; // an output, but not part of the loss
    const weights = Float32Array.from({ length: q.sizeOf(result.shape) }, () => next() - 0.5);
    loss = q.add(loss, q.sum(q.mul(result, q.constant(weights, result.shape))));
  });
  outputs[`${name}/loss`] = loss;
  const derivatives = q.gradients(loss, parameters);
  derivatives.forEach((gradient, i) => {
    const id = (parameters[i].node.attributes as { name: string }).name;
    gradients[id] = `${id}/gradient`;
    // An assigned gradient must have no other reader, or it would not be accumulated in place.
    if (assign === undefined) outputs[gradients[id]] = gradient;
  });
  const entry: Entry = assign ? { outputs, assign: assign(parameters, derivatives) } : { outputs };
  return { name, entry, values, gradients };
}

const { neg, exp, tanh, sigmoid, abs, log, sqrt, rsqrt, add, sub, mul, div, minimum, maximum } = q;

const one = (name: string, f: (m: Maker) => Tensor | readonly Tensor[]) => make(name, f);

const table = (rows: number, columns: number, f: (angle: number) => number) =>
  q.constant(
    Float32Array.from({ length: rows * columns }, (_, i) =>
      f(Math.floor(i / columns) * 10000 ** (-(i % columns) / columns)),
    ),
    [rows, columns],
  );

function attentionCase(B: number, T: number, H: number, G: number, D: number): Case {
  return one(`attention ${B}x${T} heads ${H}/${G} of ${D}`, (m) =>
    // Large values make the softmax peaked; with small ones a wrong scale or mask would hardly show.
    q.attention(m.parameter([B, T, H, D], -3, 3), m.parameter([B, T, G, D], -3, 3), m.parameter([B, T, G, D])),
  );
}

/** Segments: `text` positions of the first, then documents of 5, 9, 2, 17, … positions, shifted differently in every row. */
function segmentsOf(m: Maker, B: number, S: number): Tensor {
  const lengths = [5, 9, 2, 17, 1, 30, 40, 50];
  const row = (b: number) => lengths.slice(b).flatMap((length, i) => new Array<number>(length).fill(i + 3));
  const places = Array.from({ length: B }, (_, b) => row(b).slice(0, S)).flat();
  return m.ids([B, S], 1, places);
}

/**
 * Ends of subtrees: a trie in depth-first order whose root has `shared` tokens and children of 3, 13, 40, 1, … tokens. Each
 * child begins with 2 tokens under which there are two branches. Rows differ.
 */
function endsOf(m: Maker, B: number, S: number, shared: number): Tensor {
  const lengths = [3, 13, 40, 1, 90, 25];
  const row = (b: number) => {
    const ends = new Array<number>(shared).fill(S);
    for (let i = b; ends.length < S; i++) {
      const [from, length] = [ends.length, lengths[i % lengths.length]];
      const half = from + 2 + Math.floor((length - 2) / 2);
      for (let at = from; at < Math.min(S, from + length); at++) {
        ends.push(Math.min(S, at < from + 2 || at >= half ? from + length : half));
      }
    }
    return ends;
  };
  return m.ids([B, S], 1, Array.from({ length: B }, (_, b) => row(b).slice(0, S)).flat());
}

function treeAttentionCase(B: number, T: number, shared: number, H: number, G: number, D: number): Case {
  return one(`attention in a tree ${B}x${T} with ${shared} shared, heads ${H}/${G} of ${D}`, (m) => {
    const [a, b, c] = [m.parameter([B, T, H, D], -3, 3), m.parameter([B, T, G, D], -3, 3), m.parameter([B, T, G, D])];
    return q.attention(a, b, c, { ends: endsOf(m, B, T, shared) });
  });
}

function maskedAttentionCase(B: number, T: number, H: number, G: number, D: number): Case {
  return one(`masked attention ${B}x${T} heads ${H}/${G} of ${D}`, (m) => {
    const [a, b, c] = [m.parameter([B, T, H, D], -3, 3), m.parameter([B, T, G, D], -3, 3), m.parameter([B, T, G, D])];
    return q.attention(a, b, c, { segments: segmentsOf(m, B, T) });
  });
}

/** Rows padded on the right: a row sees only its first `length` keys; a row of length 0 computes nothing. */
function raggedAttentionCase(lengths: readonly number[], T: number, H: number, G: number, D: number): Case {
  const B = lengths.length;
  return one(`attention of ragged ${lengths} of ${T} heads ${H}/${G} of ${D}`, (m) => {
    const [a, b, c] = [m.parameter([B, T, H, D], -3, 3), m.parameter([B, T, G, D], -3, 3), m.parameter([B, T, G, D])];
    return [
      q.attention(a, b, c, { lengths: m.ids([B], 1, lengths) }),
      // Padding has segments that no key of the text has.
      q.attention(a, b, c, { lengths: m.ids([B], 1, lengths), segments: segmentsOf(m, B, T) }),
    ];
  });
}

function matmulCase(M: number, N: number, K: number, ta: boolean, tb: boolean): Case {
  return one(`matmul ${M}x${N}x${K} ${ta ? "T" : "N"}${tb ? "T" : "N"}`, (m) =>
    q.matmul(m.parameter(ta ? [K, M] : [M, K]), m.parameter(tb ? [N, K] : [K, N]), { transposeA: ta, transposeB: tb }),
  );
}

export const cases: readonly Case[] = [
  ...Object.entries({ neg, exp, tanh, sigmoid, abs }).map(([name, op]) =>
    one(name, (m) => op(m.parameter([5, 37], -4, 4))),
  ),
  ...Object.entries({ log, sqrt, rsqrt }).map(([name, op]) => one(name, (m) => op(m.parameter([3, 21], 0.1, 9)))),
  ...Object.entries({ add, sub, mul, div, minimum, maximum }).flatMap(([name, op]) => [
    one(name, (m) => op(m.parameter([4, 19]), m.parameter([4, 19], 1, 3))),
    one(`${name} row`, (m) => op(m.parameter([4, 19]), m.parameter([19], 1, 3))),
    one(`${name} column`, (m) => op(m.parameter([4, 1]), m.parameter([4, 19], 1, 3))),
    one(`${name} middle`, (m) => op(m.parameter([2, 1, 5]), m.parameter([3, 2, 4, 5], 1, 3))),
    one(`${name} scalar`, (m) => op(m.parameter([]), m.parameter([3, 33], 1, 3))),
  ]),
  one("less", (m) => q.less(m.parameter([4, 19]), m.parameter([19]))),
  one("equal", (m) => {
    const x = m.parameter([4, 19]);
    return q.equal(q.maximum(x, 0), x);
  }),
  one("where", (m) => q.where(q.less(m.parameter([4, 19]), 0), m.parameter([4, 19]), m.parameter([4, 1]))),
  one("stopGradient", (m) => q.mul(m.parameter([7, 5]), q.stopGradient(q.exp(m.constant([7, 5]))))),
  one("reshape", (m) => q.mul(q.reshape(m.parameter([6, 10]), [4, 15]), m.parameter([4, 15]))),
  one("broadcast", (m) => q.broadcast(m.parameter([3, 1, 5]), [2, 3, 4, 5])),
  ...[[0], [1], [2], [0, 1], [1, 2], [0, 2], [0, 1, 2]].flatMap((axes) => [
    one(`sum ${axes}`, (m) => q.sum(m.parameter([3, 7, 21]), axes)),
    one(`max ${axes}`, (m) => q.max(m.parameter([3, 7, 21]), axes)),
  ]),
  one("sum of much", (m) => q.sum(q.mul(m.parameter([64, 700]), m.parameter([700])), [0])),
  one("softmax", (m) => q.softmax(m.parameter([9, 45], -5, 5))),
  one("log-softmax", (m) => q.logSoftmax(m.parameter([2, 9, 45], -50, 50))),
  one("gather", (m) => q.gather(m.parameter([3, 5, 17]), m.ids([3, 5, 4], 17, [16, 0, 3, 3, -100, 17]))),
  one("scatterAdd", (m) => q.scatterAdd(m.ids([40, 9], 17, [16, 0, 3, 3, -100, 17]), m.parameter([40, 9]), 17)),
  one("scatterAddRows", (m) => q.scatterAddRows(m.ids([3, 5], 7, [6, 0, 3, 3, -100, 7]), m.parameter([3, 5, 20]), 7)),
  one("cross-entropy", (m) => {
    const losses = q.crossEntropy(m.parameter([4, 6, 57], -5, 5), m.ids([4, 6], 57, [0, 56, -100, 5]));
    return [losses, q.weightedMean(losses, m.parameter([4, 6], 0.1, 2))];
  }),
  one("token log-probabilities", (m) => {
    const targets = m.ids([23], 57, [0, 56, -100, 5]);
    return q.tokenLogProbabilities(m.parameter([23, 20], -2, 2), m.parameter([57, 20], -2, 2), targets);
  }),
  ...[
    [1, 0],
    [0, 1, 2],
    [2, 0, 1],
    [1, 0, 2],
    [0, 3, 2, 1],
  ].map((axes) =>
    one(`transpose ${axes}`, (m) => {
      const x = m.parameter([5, 18, 7, 3].slice(0, axes.length));
      return q.mul(q.transpose(x, axes), m.parameter(axes.map((axis) => x.shape[axis])));
    }),
  ),
  one("transpose of products", (m) => {
    const x = q.linear(m.parameter([9, 20]), m.parameter([13, 20]));
    return [q.matmul(q.transpose(x), x), q.matmul(m.parameter([5, 13]), q.transpose(x)), q.transpose(q.exp(x))];
  }),
  one("random", (m) => q.mul(m.parameter([3, 23]), q.random([3, 23], m.index(7), m.index(-2), 5))),
  one("dropout", (m) => q.dropout(m.parameter([70, 130]), 0.3, m.index(7), m.index(9), 1)),
  one("custom", (m) => {
    // log(1 + eˣ), whose derivative is the sigmoid: the rules of its parts would divide infinities.
    const x = m.parameter([9, 21], -9, 9);
    const y = q.add(q.maximum(x, 0), q.log(q.add(1, q.exp(q.neg(q.abs(x))))));
    const [softplus, twice] = q.withGradient([x], [y, q.mul(x, 2)], ([x], _, [d, dTwice]) => [
      q.add(q.mul(d ?? 0, q.sigmoid(x)), q.mul(dTwice ?? 0, 2)),
    ]);
    return [q.mul(softplus, m.parameter([21])), twice];
  }),
  one("layer norm", (m) => q.layerNorm(m.parameter([2, 9, 45], -5, 5), m.parameter([45]), m.parameter([45]), 1e-5)),
  one("bias and GELU", (m) => {
    const h = q.gelu(q.linear(m.parameter([11, 20]), m.parameter([37, 20], -2, 2), m.parameter([37])));
    return q.linear(h, m.parameter([20, 37]), m.parameter([20]));
  }),
  ...[0, 1, 2].map((axis) =>
    one(`split ${axis}`, (m) => {
      const [a, b] = q.split(m.parameter([6, 5, 7].with(axis, 9)), [4, 5], axis);
      return [q.mul(a, q.sum(b, [axis], true)), q.exp(b)];
    }),
  ),
  one("split used whole", (m) => {
    const [a, b, c] = q.split(m.parameter([9, 30]), [10, 13, 7], -1);
    return [a, q.linear(b, m.parameter([5, 13])), q.reshape(c, [7, 9]), q.sum(c, [0])];
  }),
  one("slice", (m) => {
    const x = m.parameter([9, 31]);
    return [q.slice(x, 3, 8, 0), q.mul(q.slice(x, 0, 17, 1), q.slice(x, 14, 31, 1))];
  }),
  ...[0, 1, 2].map((axis) =>
    one(`concatenate ${axis}`, (m) => {
      const x = m.parameter([3, 4, 5]);
      const y = m.parameter([3, 4, 5].with(axis, 2));
      return q.exp(q.concatenate([x, y, q.mul(x, 2)], axis));
    }),
  ),
  one("fused projection", (m) => {
    const qkv = q.linear(m.parameter([2, 9, 24], -2, 2), m.parameter([48, 24], -2, 2), m.parameter([48]));
    const [a, b, c] = q.split(q.reshape(qkv, [2, 9, 8, 6]), [4, 2, 2], 2);
    return q.attention(a, b, c);
  }),
  one("fused rope", (m) => {
    const [a, b] = q.split(m.parameter([2, 5, 5, 12]), [3, 2], 2);
    const turn = (x: Tensor) => q.rope(x, table(9, 6, Math.cos), table(9, 6, Math.sin), m.index(4));
    return q.mul(q.sum(turn(a), [2], true), turn(b));
  }),
  one("learned positions of ragged rows", (m) =>
    q.embedding(m.parameter([13, 20]), q.positions([3, 2, 5], m.ids([3], 1, [6, 0, 9]))),
  ),
  one("learned positions", (m) => q.embedding(m.parameter([13, 20]), q.positions([3, 5], m.index(6)))),
  one("RMS norm", (m) => q.rmsNorm(m.parameter([2, 9, 45], -5, 5), m.parameter([45]), 1e-5)),
  one("SwiGLU", (m) => {
    const x = m.parameter([11, 20]);
    return q.linear(
      q.mul(q.silu(q.linear(x, m.parameter([30, 20]))), q.linear(x, m.parameter([30, 20]))),
      m.parameter([20, 30]),
    );
  }),
  one("linear and residual", (m) => {
    const x = m.parameter([2, 7, 24]);
    const y = q.add(x, q.linear(x, m.parameter([24, 24])));
    return q.add(y, q.linear(q.rmsNorm(y, m.parameter([24]), 1e-5), m.parameter([24, 24])));
  }),
  ...[
    [1, 5, 33],
    [1, 300, 64],
    [3, 17, 9],
    [37, 45, 29],
    [64, 96, 300],
    [130, 67, 1],
    [50, 1, 40],
  ].flatMap(([M, N, K]) => [
    matmulCase(M, N, K, false, false),
    matmulCase(M, N, K, false, true),
    matmulCase(M, N, K, true, false),
    matmulCase(M, N, K, true, true),
  ]),
  ...[
    [1, 300, 64],
    [2, 17, 130],
    [13, 70, 77],
    [53, 20, 9],
  ].map(([M, N, K]) =>
    one(`batch-invariant linear ${M}x${N}x${K}`, (m) => {
      const [x, w, bias] = [m.parameter([M, K]), m.parameter([N, K]), m.parameter([N])];
      return q.add(q.linear(x, w, bias, { batchInvariant: true }), m.parameter([M, N]));
    }),
  ),
  one("embedding", (m) => q.embedding(m.parameter([13, 20]), m.ids([2, 9], 13, [12, 0, 3, 3, 3]))),
  one("rope", (m) => q.rope(m.parameter([2, 5, 3, 12]), table(9, 6, Math.cos), table(9, 6, Math.sin), m.index(4))),
  one("rope of ragged rows", (m) =>
    q.rope(m.parameter([3, 5, 3, 12]), table(9, 6, Math.cos), table(9, 6, Math.sin), m.ids([3], 1, [4, 0, 7])),
  ),
  attentionCase(1, 1, 1, 1, 8),
  attentionCase(2, 7, 4, 2, 12),
  attentionCase(1, 37, 6, 1, 24),
  attentionCase(2, 70, 2, 2, 16),
  attentionCase(1, 100, 2, 2, 32),
  maskedAttentionCase(2, 3, 2, 1, 8),
  maskedAttentionCase(2, 20, 4, 2, 12),
  maskedAttentionCase(1, 100, 2, 1, 32),
  treeAttentionCase(2, 4, 1, 2, 1, 8),
  treeAttentionCase(2, 100, 21, 4, 2, 12),
  treeAttentionCase(2, 290, 0, 2, 1, 16),
  raggedAttentionCase([2, 0, 3], 3, 2, 1, 8),
  raggedAttentionCase([20, 7, 0, 1], 20, 4, 2, 12),
  raggedAttentionCase([1, 70, 37], 70, 2, 1, 16),
  one("linear cross-entropy", (m) =>
    q.linearCrossEntropy(m.parameter([23, 20], -2, 2), m.parameter([57, 20], -2, 2), m.ids([23], 57, [0, 56, -100, 5])),
  ),
  // Ignored rows between counted ones, in more than one chunk; and no counted row at all.
  one("linear cross-entropy, most rows ignored", (m) => {
    const targets = Array.from({ length: 1700 }, (_, i) => (i % 3 === 1 ? i % 29 : -100));
    return q.linearCrossEntropy(
      m.parameter([1700, 12], -2, 2),
      m.parameter([29, 12], -2, 2),
      m.ids([1700], 29, targets),
    );
  }),
  one("linear cross-entropy, all rows ignored", (m) => {
    const targets = new Array<number>(9).fill(-100);
    return q.linearCrossEntropy(m.parameter([9, 12], -2, 2), m.parameter([29, 12], -2, 2), m.ids([9], 29, targets));
  }),
  ...casts(),
  // Logits in the hundreds, for which the sum of e^(z − target's logit) overflows.
  one("enormous logits", (m) =>
    q.linearCrossEntropy(m.parameter([23, 20], -30, 30), m.parameter([57, 20], -2, 2), m.ids([23], 57, [0, 56, -100])),
  ),
  ...[
    [23, 20, 57],
    [70, 20, 1100],
  ].map(([N, C, V]) =>
    one(`linear token statistics ${N}x${C}x${V}`, (m) => {
      const targets = m.ids([N], V, [0, V - 1, -100, 5]);
      const statistics = q.linearTokenStatistics(m.parameter([N, C]), m.parameter([V, C], -2, 2), targets);
      const { logProbability, entropy, isGreedy, logSquares } = statistics;
      return [logProbability, q.stopGradient(entropy), q.stopGradient(isGreedy), q.stopGradient(logSquares)];
    }),
  ),
  ...[
    [23, 20, 57, 1],
    [70, 20, 1100, 1],
    [23, 20, 57, 30],
  ].map(([N, C, V, most]) =>
    one(`linear entropies ${N}x${C}x${V}, inputs to ${most}`, (m) => {
      const targets = m.ids([N], V, [0, V - 1, -100, 5]);
      const { logProbability, entropy } = q.linearTokenStatistics(
        m.parameter([N, C], -most, most),
        m.parameter([V, C], -2, 2),
        targets,
      );
      return [logProbability, entropy];
    }),
  ),
  one("tied head", (m) => {
    const w = m.parameter([57, 20], -2, 2);
    const ids = m.ids([23], 57);
    return q.linearCrossEntropy(q.add(q.embedding(w, ids), m.parameter([23, 20])), w, m.ids([23], 57));
  }),
];

/**
 * A variable of each dtype, cast to every other: values out of range, ties that round to even, subnormal numbers. Without
 * gradients, because rounding is a step function.
 */
function casts(): Case[] {
  const numbers = [
    0,
    1,
    -1,
    2.5,
    -3.75,
    255,
    256,
    300.5,
    -7,
    1e-3,
    65504,
    65520,
    1e6,
    -1e6,
    3e9,
    -3e9,
    6e-8,
    1e-5,
    0.1,
    Number.NaN,
    -(1 / 0),
  ];
  const more = Array.from({ length: 18 }, (_, i) => Math.sin(i * 1.3) * 2 ** (i - 9));
  const values = Float64Array.from([...numbers, ...more], Math.fround);
  const types: readonly NumberDType[] = ["f32", "bf16", "f16", "i32", "u8"];
  return types.map((from) => {
    const name = `casts from ${from}`;
    const x = q.variable(`${name}/x`, [values.length], from);
    const outputs: Record<string, Tensor> = {};
    for (const to of types) {
      const y = q.cast(x, to);
      // As stored, broadcast, by rows of a narrow matrix, transposed and split.
      outputs[`${name}/${to}`] = y;
      outputs[`${name}/${to} again`] = q.cast(y, "f32");
      outputs[`${name}/${to} stretched`] = q.mul(q.cast(q.broadcast(y, [3, values.length]), "f32"), 2);
      outputs[`${name}/${to} turned`] = q.transpose(q.broadcast(y, [3, values.length]));
      outputs[`${name}/${to} cut`] = q.slice(y, 3, 20, 0);
    }
    return { name, entry: { outputs, assign: [] }, values: { [`${name}/x`]: values }, gradients: {} };
  });
}

/** A gradient descent step in place. */
const descend: Assign = (parameters, derivatives) =>
  parameters.map((p, i) => [p, q.sub(p, q.mul(0.5, derivatives[i]))] as const);

/** Each gradient added or assigned to a variable, as in a training step. */
const gather =
  (adds: boolean): Assign =>
  (parameters, derivatives) =>
    parameters.map((p, i) => {
      const sum = q.variable(`${(p.node.attributes as { name: string }).name}/sum`, p.shape);
      return [sum, adds ? q.add(sum, derivatives[i]) : derivatives[i]] as const;
    });

const tiedModel = (m: Maker): Tensor => {
  const w = m.parameter([57, 20], -2, 2);
  const x = q.rmsNorm(q.linear(q.embedding(w, m.ids([23], 57)), m.parameter([20, 20])), m.parameter([20]), 1e-5);
  return q.linearCrossEntropy(q.add(x, m.parameter([20])), w, m.ids([23], 57));
};

/** Entries that write state: every backend must leave the same state after two runs. */
export const stateCases: readonly Case[] = [
  make(
    "descent",
    (m) => {
      const x = m.parameter([7, 20]);
      const w = m.parameter([20, 20]);
      return q.sum(q.mul(q.linear(q.silu(x), w), q.rmsNorm(x, m.parameter([20]), 1e-5)));
    },
    descend,
  ),
  make(
    "coupled",
    (m) => {
      const a = m.parameter([5, 9]);
      return q.mul(a, q.add(a, m.parameter([9])));
    },
    descend,
  ),
  make("gradients set", tiedModel, gather(false)),
  make("gradients added", tiedModel, gather(true)),
  {
    name: "exchange",
    // Every value is computed from the old state, whatever the order of the assignments.
    entry: (() => {
      const [a, b] = [q.variable("exchange/a", [6]), q.variable("exchange/b", [6])];
      return {
        outputs: { "exchange/old": a },
        assign: [
          [a, b],
          [b, q.mul(a, 2)],
        ] as const,
      };
    })(),
    values: { "exchange/a": Float64Array.of(1, 2, 3, 4, 5, 6), "exchange/b": Float64Array.of(7, 8, 9, 0, 1, 2) },
    gradients: {},
  },
];
