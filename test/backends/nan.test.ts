/** NaN propagates through maxima, minima and everything built on them, on every target and in every lane of a vector or tail. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findCompiler, runnableSets } from "../../src/backends/cpu/toolchain.js";
import { compile, compileReference, type Program } from "../../src/backends/index.js";
import * as q from "../../src/tensor/index.js";

const compiler = await findCompiler();
const targets = [...new Set([...runnableSets(compiler).map((set) => set.name), "wasm"])];

/** Sizes (R, C): shorter than any vector, one vector of each instruction set plus a tail, and several vectors. */
const WIDTHS = [1, 3, 16, 37];
const ROWS = 3;
const [D, KEYS] = [8, 21];

const matrix = (name: string, rows: number, columns: number) => q.variable(name, [rows, columns]);
const entries = Object.fromEntries([
  ...WIDTHS.map((columns) => {
    const [x, y] = [matrix(`x${columns}`, ROWS, columns), matrix(`y${columns}`, ROWS, columns)];
    const outputs = {
      [`maximum${columns}`]: q.maximum(x, y),
      [`turned${columns}`]: q.maximum(y, x),
      [`minimum${columns}`]: q.minimum(x, y),
      [`number${columns}`]: q.maximum(x, 0.5),
      [`row${columns}`]: q.max(x, [1]),
      [`column${columns}`]: q.max(x, [0]),
      [`whole${columns}`]: q.max(x),
      [`softmax${columns}`]: q.softmax(x),
    };
    return [`of ${columns}`, { outputs }] as const;
  }),
  // One query and many take different paths through the template.
  ...[1, KEYS].map((queries) => {
    const k = q.variable("keys", [1, KEYS, 1, D]);
    const o = q.attention(
      q.variable(`queries${queries}`, [1, queries, 1, D]),
      k,
      q.variable("values", [1, KEYS, 1, D]),
      {
        position: q.literal(KEYS - queries, "i32"),
      },
    );
    return [`attention of ${queries}`, { outputs: { [`attention${queries}`]: o } }] as const;
  }),
  [
    "cross-entropy",
    {
      outputs: {
        loss: q.linearCrossEntropy(matrix("hidden", 5, D), matrix("head", KEYS, D), q.variable("targets", [5], "i32")),
      },
    },
  ],
]);

/** Quiet NaNs: JavaScript's own, one with low bits set that integer arithmetic could misread, and a negative one. */
const nans = Float32Array.from([0, 0, 0]);
new Uint32Array(nans.buffer).set([0x7fc00000, 0x7fc00001, 0xffc12345]);

/** The tensors that receive a NaN, and every variable with its number of values. */
const spoilt = [...WIDTHS.flatMap((columns) => [`x${columns}`, `y${columns}`]), "keys", "values", "hidden", "head"];
const sizes: Readonly<Record<string, number>> = {
  ...Object.fromEntries(WIDTHS.flatMap((c) => [`x${c}`, `y${c}`].map((name) => [name, ROWS * c]))),
  ...{ keys: KEYS * D, values: KEYS * D, queries1: D, [`queries${KEYS}`]: KEYS * D, hidden: 5 * D, head: KEYS * D },
};
const valuesOf = (name: string) =>
  Float32Array.from({ length: sizes[name] }, (_, i) => Math.sin(i * 7.3 + name.length * 1.7 + name.charCodeAt(0)));

describe.each(targets)("NaN on cpu, %s", (target) => {
  const reference = compileReference(entries);
  let program: Program;
  beforeAll(async () => {
    program = await compile(entries, { cpu: { instructionSet: target, threads: 1 } });
    for (const each of [program, reference]) {
      for (const name of Object.keys(sizes)) each.write(name, valuesOf(name));
      each.write("targets", [1, 20, 3, -100, 0]);
    }
  }, 120_000);
  afterAll(() => program.dispose());

  it("is at the same places as in reference, and nowhere else", async () => {
    const wrong: string[] = [];
    for (const name of spoilt) {
      const size = sizes[name];
      const places = [...new Set([0, Math.floor(size / 2), size - 1])];
      for (const [i, place] of places.entries()) {
        const values = valuesOf(name);
        values.set(nans.subarray(i % 3, (i % 3) + 1), place); // a number would lose its bits
        for (const each of [program, reference]) each.write(name, values);
        for (const [entry, { outputs }] of Object.entries(entries)) {
          await Promise.all([program.run(entry), reference.run(entry)]);
          for (const output of Object.keys(outputs)) {
            const [got, want] = [await program.read(output), await reference.read(output)];
            // A masked key has weight 0, but 0 · NaN is NaN.
            const mayBeMore = name === "values" && output === `attention${KEYS}`;
            const same = got.every((x, j) => {
              if (Number.isNaN(want[j])) return Number.isNaN(x);
              return Math.abs(x - want[j]) < 1e-4 || (mayBeMore && Number.isNaN(x));
            });
            if (!same)
              wrong.push(`${output} with NaN at ${place} of ${name}: ${got.slice(0, 8)}, not ${want.slice(0, 8)}`);
          }
        }
      }
      for (const each of [program, reference]) each.write(name, valuesOf(name));
    }
    expect(wrong).toEqual([]);
  });
});
