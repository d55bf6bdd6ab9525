/**
 * @file Reverse-mode differentiation of the graph.
 *
 * Each operation has a rule: from the gradients of its outputs (null for none), it traces the gradients of its inputs (null
 * where undefined). `gradients` visits the nodes in reverse order and adds up the gradients of each tensor. The result is
 * more graph, simplified and fused like any other.
 */
import {
  add,
  apply,
  broadcast,
  concatenate,
  div,
  embedding,
  equal,
  gather,
  less,
  literal,
  matmul,
  mul,
  neg,
  reshape,
  scatterAdd,
  split,
  sub,
  sum,
  transpose,
  where,
} from "./operations.js";
import {
  isFloat,
  isOp,
  type Node,
  type Op,
  outputOf,
  type Shape,
  ShapeError,
  sameShape,
  sizeOf,
  type Tensor,
  tensorKey,
} from "./tensor.js";

type Gradients = readonly (Tensor | null)[];
type GradientRule<O extends Op> = (node: Node<O>, outputs: Gradients) => Gradients;

/** Sums a gradient over the dimensions along which its tensor was broadcast. */
function sumTo(gradient: Tensor, shape: Shape): Tensor {
  const extra = gradient.shape.length - shape.length;
  const axes = gradient.shape.flatMap((dimension, axis) =>
    axis < extra || (shape[axis - extra] === 1 && dimension !== 1) ? [axis] : [],
  );
  return reshape(axes.length === 0 ? gradient : sum(gradient, axes, true), shape);
}

/** Makes a rule for an operation with one output. */
function rule<O extends Op>(derive: (node: Node<O>, d: Tensor) => Gradients): GradientRule<O> {
  return (node, [d]) => (d === null ? node.inputs.map(() => null) : derive(node, d));
}

/** Makes a rule for an element-wise operation; sums the gradients to the inputs' shapes. */
function elementwise<O extends Op>(
  derive: (d: Tensor, y: Tensor, ...x: readonly Tensor[]) => Gradients,
): GradientRule<O> {
  return rule((node, d) =>
    derive(d, outputOf(node), ...node.inputs).map((g, i) => g && sumTo(g, node.inputs[i].shape)),
  );
}

const none: GradientRule<Op> = (node) => node.inputs.map(() => null);

const gradientRules: { readonly [O in Op]: GradientRule<O> } = {
  variable: none,
  input: none,
  constant: none,
  literal: none,
  positions: none,
  random: none,
  stopGradient: none,
  less: none,
  equal: none,

  again: elementwise((d) => [d]),
  neg: elementwise((d) => [neg(d)]),
  exp: elementwise((d, y) => [mul(d, y)]),
  log: elementwise((d, _, x) => [div(d, x)]),
  sqrt: elementwise((d, y) => [div(mul(d, 0.5), y)]),
  rsqrt: elementwise((d, y) => [mul(mul(d, -0.5), mul(y, mul(y, y)))]),
  abs: elementwise((d, _, x) => [mul(d, sub(less(0, x), less(x, 0)))]),
  tanh: elementwise((d, y) => [mul(d, sub(1, mul(y, y)))]),
  sigmoid: elementwise((d, y) => [mul(d, mul(y, sub(1, y)))]),
  add: elementwise((d) => [d, d]),
  sub: elementwise((d) => [d, neg(d)]),
  mul: elementwise((d, _, a, b) => [mul(d, b), mul(d, a)]),
  div: elementwise((d, y, _, b) => [div(d, b), neg(div(mul(d, y), b))]),
  // For equal inputs, the second one gets the whole gradient; any split is a subgradient.
  minimum: elementwise((d, _, a, b) => [mul(d, less(a, b)), mul(d, sub(1, less(a, b)))]),
  maximum: elementwise((d, _, a, b) => [mul(d, less(b, a)), mul(d, sub(1, less(b, a)))]),
  where: elementwise((d, _, condition) => [null, where(condition, d, 0), where(condition, 0, d)]),

  cast: rule((node, d) => [isFloat(node.inputs[0].dtype) && isFloat(node.attributes.dtype) ? d : null]),
  reshape: rule((node, d) => [reshape(d, node.inputs[0].shape)]),
  broadcast: rule((node, d) => [sumTo(d, node.inputs[0].shape)]),
  sum: rule((node, d) => [broadcast(d, node.inputs[0].shape)]),
  split: (node, outputs) => {
    const { axis } = node.attributes;
    const parts = outputs.map((d, i) => d ?? broadcast(literal(0), node.outputs[i].shape));
    return [concatenate(parts, axis)];
  },
  transpose: rule((node, d) => {
    const { axes } = node.attributes;
    return [
      transpose(
        d,
        axes.map((_, axis) => axes.indexOf(axis)),
      ),
    ];
  }),
  gather: rule((node, d) => {
    const [x, ids] = node.inputs;
    return [scatterAdd(ids, d, x.shape[x.shape.length - 1]), null];
  }),
  scatterAdd: rule((node, d) => [null, gather(d, node.inputs[0])]),
  custom: (node, flowing) => {
    const { results, derive } = node.attributes;
    const inputs = node.inputs.slice(0, -results);
    const given = derive(inputs, node.inputs.slice(-results), flowing);
    if (given.length !== inputs.length) {
      throw new ShapeError(`custom: ${given.length} gradients for ${inputs.length} inputs`);
    }
    given.forEach((d, i) => {
      const { shape } = inputs[i];
      if (d !== null && !sameShape(d.shape, shape)) {
        throw new ShapeError(`custom: a gradient of shape (${d.shape}) for an input of shape (${shape})`);
      }
    });
    return [...given, ...new Array<null>(results).fill(null)];
  },
  concatenate: rule((node, d) => {
    const { axis } = node.attributes;
    return split(
      d,
      node.inputs.map(({ shape }) => shape[axis]),
      axis,
    );
  }),
  // Equal maxima share the gradient equally, so the result does not depend on their order.
  max: rule((node, d) => {
    const [x] = node.inputs;
    const hit = equal(x, outputOf(node));
    return [mul(hit, div(d, sum(hit, node.attributes.axes, true)))];
  }),

  // C = op(A)·op(B): dA = dC·op(B)ᵀ and dB = op(A)ᵀ·dC, without transposing anything in memory.
  matmul: rule((node, d) => {
    const [a, b] = node.inputs;
    const { transposeA: ta, transposeB: tb } = node.attributes;
    const da = ta ? matmul(b, d, { transposeA: tb, transposeB: true }) : matmul(d, b, { transposeB: !tb });
    const db = tb ? matmul(d, a, { transposeA: true, transposeB: ta }) : matmul(a, d, { transposeA: !ta });
    return [da, db];
  }),
  embedding: rule((node, d) => {
    const [table, ids] = node.inputs;
    return [apply("embeddingGradient", [ids, d], { vocabulary: table.shape[0] })[0], null];
  }),
  // A rotation's transpose is its inverse.
  rope: rule((node, d) => {
    const [, cos, sin, position] = node.inputs;
    return [apply("rope", [d, cos, sin, position], { inverse: !node.attributes.inverse })[0], null, null, null];
  }),
  attention: (node, [d, dLogSumExp]) => {
    if (dLogSumExp !== null) throw new ShapeError("attention: its log-sum-exp has no gradient");
    if (d === null) return node.inputs.map(() => null);
    const [q, k, v, { node: position }, ...rest] = node.inputs;
    const { scale } = node.attributes;
    const optional = node.attributes.optional.filter((name) => name !== "rows");
    const whole = isOp(position, "literal") && position.attributes.value === 0 && optional.length === rest.length;
    if (!whole) throw new ShapeError("attention with a position or with rows of a cache has no gradient");
    const saved = [outputOf(node, 0), outputOf(node, 1)];
    return [
      ...apply("attentionGradient", [q, k, v, ...saved, d, ...rest], { scale, optional }),
      null,
      ...rest.map(() => null),
    ];
  },
  linearCrossEntropy: (node, [d, dEntropy]) => {
    if (d === null && !dEntropy) return node.inputs.map(() => null);
    const dLoss = d ?? broadcast(literal(0), node.outputs[0].shape);
    const flowing = dEntropy ? [dLoss, dEntropy] : [dLoss];
    const [, dx, dw] = apply("linearCrossEntropyGradient", [...node.inputs, ...flowing], node.attributes);
    return [dx, dw, null];
  },

  embeddingGradient: rule((node, d) => [null, reshape(embedding(d, node.inputs[0]), node.inputs[1].shape)]),
  attentionGradient: secondOrder,
  linearCrossEntropyGradient: secondOrder,
  cacheWrite: secondOrder,
  cacheCopy: secondOrder,
};

function secondOrder(node: Node): never {
  throw new ShapeError(`${node.op} has no gradient: it is a gradient itself, or writes state`);
}

/**
 * Traces the gradients of a scalar with respect to tensors of its graph.
 *
 * @param loss shape []
 * @param wanted usually variables; the gradient of one that the loss does not depend on is zeros
 * @returns one gradient per wanted tensor, in the same order; a tuple for a tuple
 */
export function gradients<const T extends readonly Tensor[]>(
  loss: Tensor,
  wanted: T,
): { -readonly [I in keyof T]: Tensor } {
  if (sizeOf(loss.shape) !== 1) throw new ShapeError(`gradients: the loss has shape (${loss.shape}), not ()`);
  const needed = dependents(loss, wanted);
  const collected = new Map<string, Tensor>([[tensorKey(loss), broadcast(literal(1), loss.shape)]]);
  for (const node of [...needed].sort((a, b) => b.id - a.id)) {
    const flowing = node.outputs.map((_, i) => collected.get(`${node.id}.${i}`) ?? null);
    if (flowing.every((d) => d === null)) continue;
    const rule = gradientRules[node.op] as GradientRule<Op>;
    rule(node, flowing).forEach((gradient, i) => {
      const target = node.inputs[i];
      if (gradient === null || !needed.has(target.node)) return;
      const key = tensorKey(target);
      const before = collected.get(key);
      collected.set(key, before ? add(before, gradient) : gradient);
    });
  }
  const found = wanted.map((tensor) => collected.get(tensorKey(tensor)) ?? broadcast(literal(0), tensor.shape));
  return found as { -readonly [I in keyof T]: Tensor };
}

/** Returns the nodes on paths from `wanted` to `loss`; only they need gradients. */
function dependents(loss: Tensor, wanted: readonly Tensor[]): Set<Node> {
  const sources = new Set(wanted.map((tensor) => tensor.node));
  const reaches = new Map<Node, boolean>();
  // Explicit stack: the graph of a deep model would overflow JavaScript's call stack.
  const stack: Node[] = [loss.node];
  while (stack.length > 0) {
    const node = stack[stack.length - 1];
    const open = node.inputs.filter((x) => !reaches.has(x.node));
    if (open.length > 0 && !reaches.has(node)) {
      for (const x of open) stack.push(x.node);
      continue;
    }
    stack.pop();
    if (!reaches.has(node)) reaches.set(node, sources.has(node) || node.inputs.some((x) => reaches.get(x.node)));
  }
  return new Set([...reaches].filter(([, yes]) => yes).map(([node]) => node));
}
