/** Every rewrite preserves a graph's meaning: the interpreter returns the same values before and after. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileReference } from "../../src/backends/index.js";
import { RULES } from "../../src/compiler/rules.js";
import { simplify } from "../../src/compiler/simplify.js";
import * as q from "../../src/tensor/index.js";

const SIZES = { x: [3, 4], y: [3, 4], v: [4], w: [5, 4] } as const;
const [x, y, v] = (["x", "y", "v"] as const).map((name) => q.input(name, SIZES[name]));
const w = q.variable("w", SIZES.w);
const main = (out: q.Tensor): q.Entry => ({ outputs: { out } });
const view = (op: "reshape" | "broadcast", of: q.Tensor, shape: q.Shape) => q.apply(op, [of], { shape })[0];

function lossAndGradient(): q.Entry {
  const ids = q.cast(q.constant(Float32Array.from([0, 4, 2]), [3]), "i32");
  const loss = q.mean(q.linearCrossEntropy(x, w, ids));
  return { outputs: { loss, dx: q.gradients(loss, [x])[0] } };
}

/** For each rule a graph that it matches, and the operation of which it removes one. */
const examples: readonly (readonly [rule: string, entry: q.Entry, removed: q.Op])[] = [
  ["stopGradient is removed", main(q.exp(q.stopGradient(x))), "stopGradient"],
  [
    "a custom operation becomes its results",
    main(q.add(q.withGradient([x], [q.exp(x)], ([d]) => [d])[0], y)),
    "custom",
  ],
  ["a matrix product absorbs a transpose", main(q.matmul(q.transpose(x), y)), "transpose"],
  ["a view of a view becomes one view", main(q.exp(view("reshape", view("reshape", x, [12]), [2, 6]))), "reshape"],
  ["a view of the same shape is removed", main(q.exp(view("reshape", x, [3, 4]))), "reshape"],
  ["a reshaped literal becomes a broadcast", main(q.exp(view("reshape", q.literal(2), [1, 1]))), "reshape"],
  ["a reduction is split into forms that kernels support", main(q.add(q.max(q.reshape(v, [4, 1]), [1]), 1)), "max"],
  ["a loss is computed by its gradient kernel", lossAndGradient(), "linearCrossEntropy"],
  ["a broadcast that another operand implies is dropped", main(q.add(x, view("broadcast", v, [3, 4]))), "broadcast"],
  ["arithmetic on literals is folded", main(q.mul(x, q.add(q.literal(2), q.literal(3)))), "add"],
  ["x + 0, x − 0, x · 1 and x / 1 are x", main(q.exp(q.mul(x, 1))), "mul"],
];

const fill = (size: number, seed: number) => Array.from({ length: size }, (_, i) => Math.sin(seed * 7.1 + i * 1.7));

async function resultsOf(entry: q.Entry): Promise<Record<string, number[]>> {
  const program = compileReference({ main: entry });
  const names = new Set(q.nodesOf(entry).flatMap(({ attributes }) => ("name" in attributes ? [attributes.name] : [])));
  for (const [i, [name, shape]] of Object.entries(SIZES).entries()) {
    if (names.has(name)) program.write(name, fill(q.sizeOf(shape), i));
  }
  await program.run("main");
  return Object.fromEntries(Object.keys(entry.outputs).map((name) => [name, Array.from(program.readExact(name))]));
}

async function expectSame(entry: q.Entry, simplified: q.Entry): Promise<void> {
  const [before, after] = [await resultsOf(entry), await resultsOf(simplified)];
  for (const [name, list] of Object.entries(before)) {
    expect(after[name]).toHaveLength(list.length);
    // In float64 only the order of sums differs.
    list.forEach((value, i) => {
      if (Number.isFinite(value)) expect(Math.abs(after[name][i] - value)).toBeLessThan(1e-9 * (1 + Math.abs(value)));
      else expect(after[name][i]).toBe(value);
    });
  }
}

const count = (entry: q.Entry, op: q.Op) => q.nodesOf(entry).filter((node) => node.op === op).length;

/** Operands whose shapes are compatible, including axes of size 1. */
const operand = fc.oneof(
  fc.constantFrom(x, y, v, w),
  fc.constantFrom(0, 1, 2, -0.5).map((value) => q.literal(value)),
);
/** A step computes a tensor from earlier ones, chosen by `pick`. */
const step = fc.record({ kind: fc.nat(9), pick: fc.nat(1000), other: fc.nat(1000), axis: fc.nat(2) });

function grow(
  tensors: q.Tensor[],
  { kind, pick, other, axis }: { kind: number; pick: number; other: number; axis: number },
) {
  const a = tensors[pick % tensors.length];
  const same = tensors.filter((b) => q.sameShape(a.shape, b.shape) || b.shape.length === 0);
  const b = same[other % same.length];
  const rank = a.shape.length;
  const axes = Array.from({ length: rank }, (_, i) => i).filter((i) => ((other + axis) >> i) % 2 === 0);
  const makers: readonly (() => q.Tensor)[] = [
    () => q.add(a, b),
    () => q.mul(a, b),
    () => q.sub(a, b),
    () => q.tanh(a),
    () => (rank === 2 ? q.transpose(a) : q.stopGradient(a)),
    () => view("reshape", a, other % 2 ? [q.sizeOf(a.shape)] : [1, ...a.shape, 1]),
    () => view("broadcast", a, rank < 3 ? [2, ...a.shape] : a.shape),
    () => (rank === 0 ? q.neg(a) : q.sum(a, axes, other % 3 === 0)),
    () => (rank === 0 ? q.abs(a) : q.max(a, axes.length > 0 ? axes : [0])),
    () => (rank === 2 ? q.matmul(a, a, { transposeB: true }) : q.where(q.less(a, 0), a, 1)),
  ];
  const made = makers[kind]();
  return q.sizeOf(made.shape) <= 500 ? [...tensors, made] : tensors;
}

describe("graph rewrite rules", () => {
  it("each match their example", () => {
    expect(examples.map(([name]) => name).sort()).toEqual(RULES.map(({ name }) => name).sort());
  });

  it.each(examples)("%s", async (name, entry, removed) => {
    const rules = RULES.filter((rule) => rule.name === name);
    const simplified = simplify(entry, rules);
    expect(count(simplified, removed)).toBe(count(entry, removed) - 1);
    expect(count(simplify(entry, []), removed)).toBe(count(entry, removed));
    await expectSame(entry, simplified);
  });

  it("never change the values of random graphs, alone or together", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(operand, { minLength: 2, maxLength: 4 }),
        fc.array(step, { minLength: 3, maxLength: 14 }),
        async (leaves, steps) => {
          const tensors = steps.reduce(grow, leaves as q.Tensor[]);
          const outputs = Object.fromEntries(tensors.slice(-3).map((tensor, i) => [`out${i}`, tensor]));
          const entry: q.Entry = { outputs };
          await expectSame(entry, simplify(entry));
          await expectSame(entry, simplify(entry, []));
          for (const rule of RULES) await expectSame(entry, simplify(entry, [rule]));
        },
      ),
      { numRuns: 60, seed: 20 },
    );
  });
});
