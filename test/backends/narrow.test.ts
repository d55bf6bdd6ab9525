/** Intermediate tensors in bf16 (compiler/narrow.ts), on tiles and on their twin. */
import { describe, expect, it } from "vitest";
import { findCompiler, runnableSets } from "../../src/backends/cpu/toolchain.js";
import { compile } from "../../src/backends/index.js";
import * as q from "../../src/tensor/index.js";
import { random } from "./operations.cases.js";

const sets = runnableSets(await findCompiler()).map(({ name }) => name);
const tiled = ["amx", "amx-twin"].filter((name) => name === "amx-twin" || sets.includes(name as "amx"));

const [B, T, H, G, D] = [2, 37, 4, 2, 10];
const [N, C, F] = [B * T, H * D, 70];
const shapes = {
  x: [N, C],
  first: [F, C],
  bias: [F],
  second: [C, F],
  query: [H * D, C],
  key: [G * D, C],
  value: [G * D, C],
  out: [C, H * D],
} as const;
type Name = keyof typeof shapes;
const next = random(11);
const values = Object.entries(shapes).map(
  ([name, shape]) => [name, Float32Array.from({ length: q.sizeOf(shape) }, () => 2 * next() - 1)] as const,
);
const variables = Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, q.variable(name, shape)]));
const own = (name: Name) => variables[name];
const [cos, sin] = [Math.cos, Math.sin].map((of) =>
  q.constant(
    Float32Array.from({ length: (T * D) / 2 }, (_, i) => of(i / 7)),
    [T, D / 2],
  ),
);

// The steps of a feed-forward and of an attention layer, each a function of what the step before computes.
const hiddenOf = (x: q.Tensor) => q.gelu(q.linear(x, own("first"), own("bias"))); // (N,F)
const downOf = (hidden: q.Tensor) => q.linear(hidden, own("second")); // (N,C)
const headsOf = (x: q.Tensor, name: Name, heads: number) => q.reshape(q.linear(x, own(name)), [B, T, heads, D]);
const queriesOf = (x: q.Tensor) => q.rope(headsOf(x, "query", H), cos, sin); // (B,T,H,D)
const keysOf = (x: q.Tensor) => q.rope(headsOf(x, "key", G), cos, sin); // (B,T,G,D)
const valuesOf = (x: q.Tensor) => headsOf(x, "value", G);
const attended = (...[queries, keys, entries]: readonly q.Tensor[]) =>
  q.reshape(q.attention(queries, keys, entries), [N, H * D]);
const projected = (o: q.Tensor) => q.linear(o, own("out")); // (N,C)

async function open(entries: q.Entries, options: Parameters<typeof compile>[1]) {
  const program = await compile(entries, options);
  const known = new Set(
    q.nodesOf(...Object.values(entries)).map((node) => q.isOp(node, "variable") && node.attributes.name),
  );
  for (const [name, data] of values) if (known.has(name)) program.write(name, data);
  return {
    program,
    async run(entry: string, inputs: Record<string, Float32Array> = {}) {
      await program.run(entry, inputs);
      const names = Object.keys(entries[entry].outputs);
      const read = await Promise.all(names.map(async (name) => [name, (await program.read(name)).slice()] as const));
      return Object.fromEntries(read) as Record<string, Float32Array>;
    },
  };
}

describe.each(tiled)("%s", (instructionSet) => {
  const bf16 = { dtype: "bf16", cpu: { instructionSet, threads: 2 } } as const;

  it("rounding what only products read changes no bits", async () => {
    const x = own("x");
    const input = (name: string, shape: readonly number[]) => q.input(name, shape);
    const steps = {
      whole: { outputs: { down: downOf(hiddenOf(x)), o: projected(attended(queriesOf(x), keysOf(x), valuesOf(x))) } },
      // Outputs are stored in fp32, so each product rounds its own operands.
      hidden: { outputs: { hidden: hiddenOf(x), q: queriesOf(x), k: keysOf(x), v: valuesOf(x) } },
      next: {
        outputs: {
          down2: downOf(input("hidden_in", [N, F])),
          attended: attended(input("q_in", [B, T, H, D]), input("k_in", [B, T, G, D]), input("v_in", [B, T, G, D])),
        },
      },
      last: { outputs: { o2: projected(input("attended_in", [N, H * D])) } },
    };
    const { program, run } = await open(steps, bf16);
    const { down, o } = await run("whole");
    const { hidden, q: queries, k, v } = await run("hidden");
    const { down2, attended: middle } = await run("next", { hidden_in: hidden, q_in: queries, k_in: k, v_in: v });
    const { o2 } = await run("last", { attended_in: middle });
    program.dispose();
    expect(down).toEqual(down2);
    expect(o).toEqual(o2);
  });

  it("gradients are about as exact as those whose products alone round", async () => {
    const x = own("x");
    const y = q.add(x, downOf(hiddenOf(q.add(x, projected(attended(queriesOf(x), keysOf(x), valuesOf(x)))))));
    const names = Object.keys(shapes) as Name[];
    const found = q.gradients(q.sum(q.mul(y, y)), names.map(own));
    const entries = { main: { outputs: Object.fromEntries(names.map((name, i) => [`d_${name}`, found[i]])) } };
    const portable = { instructionSet: "portable", threads: 2 };
    const results: Record<string, Float32Array>[] = [];
    for (const options of [
      bf16,
      { dtype: "bf16", cpu: portable } as const,
      { dtype: "fp32", cpu: portable } as const,
    ]) {
      const { program, run } = await open(entries, options);
      results.push(await run("main"));
      program.dispose();
    }
    const [stored, rounded, exact] = results;
    const norm = (a: Float32Array) => Math.hypot(...a);
    for (const name of Object.keys(exact)) {
      const [own, products] = [stored, rounded].map((other) => norm(exact[name].map((v, i) => v - other[name][i])));
      expect(own, name).toBeLessThan(1.5 * products);
      expect(own, name).toBeGreaterThan(0.5 * products);
    }
  });
});
