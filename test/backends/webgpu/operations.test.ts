/** The list of operations on a GPU or SwiftShader, compared with `reference`: all of it in `npm run test:webgpu`, a few in `npm test`. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compile, compileReference, type Program } from "../../../src/backends/index.js";
import * as q from "../../../src/tensor/index.js";
import { type Case, cases, stateCases } from "../operations.cases.js";
import { because, dawn, problem, runsAll } from "./adapter.js";

const SHORT =
  /^(exp|add row|sum 0,1|softmax|scatterAdd|layer norm|embedding|linear and residual|attention 2x7.*|casts from f16|linear cross-entropy)$/;
const chosen = runsAll ? cases : cases.filter(({ name }) => SHORT.test(name));

const norm = (x: ArrayLike<number>) => Math.sqrt(Array.from(x).reduce((total, v) => total + v * v, 0));
/** Distance relative to the norm of the second. */
const distance = (x: ArrayLike<number>, y: ArrayLike<number>) =>
  norm(Array.from(x, (v, i) => v - y[i])) / (norm(y) || 1);

async function runBoth(programs: readonly Program[], { name, values }: Case): Promise<void> {
  for (const program of programs) {
    for (const [input, data] of Object.entries(values)) program.write(input, data);
    await program.run(name);
  }
}

describe.skipIf(problem !== null)(`operations on webgpu${because}`, () => {
  const entries = Object.fromEntries([...chosen, ...stateCases].map((c) => [c.name, c.entry]));
  const reference = compileReference(entries);
  let program: Program;
  beforeAll(async () => {
    program = await compile(entries, { backend: "webgpu" });
  }, 300_000);
  afterAll(() => program?.dispose());

  it("match reference, forward and backward", { timeout: 900_000 }, async () => {
    const wrong: string[] = [];
    for (const c of chosen) {
      await runBoth([program, reference], c);
      for (const output of Object.keys(c.entry.outputs)) {
        // The loss only serves to compute gradients: its terms cancel, leaving rounding errors.
        if (output.endsWith("/loss")) continue;
        const want = reference.readExact(output);
        // Casts add nothing up, and some are infinite.
        if (c.name.startsWith("casts")) {
          expect(await program.read(output), output).toEqual(Float32Array.from(want));
          continue;
        }
        const error = distance(await program.read(output), want);
        if (!(error < 1e-5)) wrong.push(`${output}: ${error}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it("leave the same state as reference after two runs, with the same bits every time", {
    timeout: 300_000,
  }, async () => {
    for (const c of stateCases) {
      const assigned = (c.entry.assign ?? []).map(([to]) => (to.node.attributes as { name: string }).name);
      const names = [...assigned, ...Object.keys(c.entry.outputs)].filter((name) => !name.endsWith("/loss"));
      let before: Float32Array[] = [];
      for (const repetition of [0, 1]) {
        await runBoth([program, reference], c);
        for (const each of [program, reference]) await each.run(c.name);
        const after = await Promise.all(names.map((name) => program.read(name)));
        names.forEach((name, i) => {
          expect(distance(after[i], reference.readExact(name)), name).toBeLessThan(1e-5);
          if (repetition > 0) expect(after[i], name).toEqual(before[i]);
        });
        before = after;
        // Variables that the cases do not set start each repetition from zero.
        for (const each of [program, reference]) {
          for (const name of assigned)
            if (!(name in c.values))
              each.write(
                name,
                after[assigned.indexOf(name)].map(() => 0),
              );
        }
      }
    }
  });
});

describe.skipIf(problem !== null)(`programs on webgpu${because}`, () => {
  const [x, w] = [q.input("x", [30, 8]), q.variable("w", [8])];
  const entries: q.Entries = {
    step: { outputs: { y: q.sum(q.exp(q.mul(x, w)), [0]) }, assign: [[w, q.add(w, 1)]] },
  };

  it("share variables, and outlive the program that allocated them", async () => {
    const first = await compile(entries, { backend: "webgpu" });
    first.write("w", new Float32Array(8).fill(1));
    const second = await compile(entries, { backend: "webgpu", shareWith: first });
    expect(second.plan).toMatchObject({ backend: "webgpu", sharedBytes: 32, launches: { step: expect.any(Number) } });
    await second.run("step", { x: new Float32Array(240).fill(2) });
    expect((await second.read("y"))[0]).toBeCloseTo(30 * Math.exp(2), 2);
    expect(await first.read("w")).toEqual(new Float32Array(8).fill(2));
    first.dispose();
    await second.run("step", { x: new Float32Array(240) });
    expect(await second.read("w")).toEqual(new Float32Array(8).fill(3));
    second.dispose();
  });

  it("refuse a tensor that is larger than the largest binding", async () => {
    const large = { main: { outputs: { y: q.mul(q.input("large", [1 << 30, 4]), 2) } } };
    await expect(compile(large, { backend: "webgpu" })).rejects.toThrow(
      /has 17179869184 bytes, but this device can bind at most/,
    );
  });
});

describe.skipIf(problem !== null || !runsAll)(`products in bf16 on webgpu${because}`, () => {
  const dotted = cases.filter(({ name }) => /^(matmul|attention|linear)/.test(name));
  const entries = Object.fromEntries(dotted.map((c) => [c.name, c.entry]));
  const [reference, exact] = [compileReference(entries, "bf16"), compileReference(entries)];
  let program: Program;
  beforeAll(async () => {
    program = await compile(entries, { dtype: "bf16", backend: "webgpu" });
  }, 120_000);
  afterAll(() => program?.dispose());

  it("match reference with rounded operands, forward and backward", { timeout: 600_000 }, async () => {
    const wrong: string[] = [];
    for (const c of dotted) {
      await runBoth([program, reference, exact], c);
      for (const output of Object.keys(c.entry.outputs)) {
        if (output.endsWith("/loss")) continue;
        const want = reference.readExact(output);
        const has = await program.read(output);
        // Attention rounds its weights relative to the largest so far, and the loss rounds p − 1 at the target: both must be about as
        // close to the exact result as reference's rounding.
        const roundsElsewhere = /attention|linear (cross|token|entropies)/.test(c.name);
        const bound = roundsElsewhere ? 1.5 * distance(exact.readExact(output), want) : 2e-4;
        const off = distance(has, roundsElsewhere ? exact.readExact(output) : want);
        if (!(off < bound + 1e-6)) wrong.push(`${output}: ${off} of ${bound}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});

describe.skipIf(problem !== null || !runsAll)(
  `products on webgpu, without subgroups and in several chunks${because}`,
  () => {
    it("match reference where the adapter has no subgroups", { timeout: 900_000 }, async () => {
      const products = cases.filter(({ name }) => /^(matmul|linear)/.test(name));
      const some = Object.fromEntries(products.map((c) => [c.name, c.entry]));
      const gpu = await dawn(undefined, ["subgroups"]);
      const [program, reference] = [
        await compile(some, { backend: "webgpu", webgpu: { gpu } }),
        compileReference(some),
      ];
      const wrong: string[] = [];
      for (const c of products) {
        await runBoth([program, reference], c);
        for (const output of Object.keys(c.entry.outputs)) {
          if (output.endsWith("/loss")) continue;
          const error = distance(await program.read(output), reference.readExact(output));
          if (!(error < 1e-5)) wrong.push(`${output}: ${error}`);
        }
      }
      expect(wrong).toEqual([]);
      program.dispose();
    });

    it("compute the loss of more logits than one chunk has", { timeout: 900_000 }, async () => {
      const [N, C, V] = [2100, 4, 8192]; // chunks of 2,048 and 52 rows
      const [x, w] = [q.input("x", [N, C]), q.variable("w", [V, C])];
      const losses = q.linearCrossEntropy(x, w, q.input("targets", [N], "i32"));
      const weighted = q.sum(q.mul(losses, q.input("weights", [N])));
      const [dx, dw] = q.gradients(weighted, [x, w]);
      const entries = { main: { outputs: { losses, dx, dw } } };
      const value = (i: number) => Math.sin(i * 12.9898) * 2;
      const values = {
        x: Float32Array.from({ length: N * C }, (_, i) => value(i)),
        w: Float32Array.from({ length: V * C }, (_, i) => value(i + 0.5)),
        targets: Int32Array.from({ length: N }, (_, i) => (i * 7919) % V),
        weights: Float32Array.from({ length: N }, (_, i) => 1 + value(i) / 4),
      };
      const [program, reference] = [await compile(entries, { backend: "webgpu" }), compileReference(entries)];
      for (const each of [program, reference]) {
        for (const [name, data] of Object.entries(values)) each.write(name, data);
        await each.run("main");
      }
      for (const output of ["losses", "dx", "dw"]) {
        expect(distance(await program.read(output), reference.readExact(output)), output).toBeLessThan(1e-5);
      }
      program.dispose();
    });
  },
);
