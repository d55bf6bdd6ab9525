/** Compares log-probabilities, entropies, greedy choices and PPO's gradient with PyTorch's (test/oracle/token_statistics.py). */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findCompiler, runnableSets } from "../../src/backends/cpu/toolchain.js";
import { type CompileOptions, compile, type Program } from "../../src/backends/index.js";
import * as q from "../../src/tensor/index.js";

interface Case {
  readonly shape: readonly [N: number, C: number, V: number];
  readonly x: readonly number[];
  readonly w: readonly number[];
  readonly targets: readonly number[];
  readonly old: readonly number[];
  readonly advantages: readonly number[];
  readonly log_probability: readonly number[];
  readonly entropy: readonly number[];
  readonly is_greedy: readonly number[];
  readonly dx: readonly number[];
  readonly dw: readonly number[];
}
const fixture = new URL("../oracle/fixtures/token-statistics.json", import.meta.url);
const { cases } = JSON.parse(readFileSync(fixture, "utf8")) as { readonly cases: readonly Case[] };

const entries = Object.fromEntries(
  cases.flatMap(({ shape: [N, C, V] }, i) => {
    const [x, w] = [q.variable(`x${i}`, [N, C]), q.variable(`w${i}`, [V, C])];
    const targets = q.input(`targets${i}`, [N], "i32");
    const [old, advantages] = [q.input(`old${i}`, [N]), q.input(`advantages${i}`, [N])];
    const { logProbability, entropy, isGreedy } = q.linearTokenStatistics(x, w, targets);
    const ratio = q.exp(q.sub(logProbability, old));
    const clipped = q.minimum(q.maximum(ratio, 0.8), 1.2);
    const objective = q.sum(q.minimum(q.mul(ratio, advantages), q.mul(clipped, advantages)));
    const [dx, dw] = q.gradients(objective, [x, w]);
    const plain = q.linearTokenStatistics(x, w, targets);
    // d_loss does not depend on the loss, so that one kernel computes statistics and gradient.
    const [mx, mw] = q.gradients(q.mean(plain.logProbability), [x, w]);
    const forward = { logProbability, entropy, isGreedy };
    const named = (outputs: Readonly<Record<string, q.Tensor>>) => ({
      outputs: Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [`${name}${i}`, tensor])),
    });
    return [
      [`forward${i}`, named(forward)],
      [`ppo${i}`, named({ ...forward, dx, dw })],
      [`mean${i}`, named({ ...plain, mx, mw })],
    ];
  }),
);

const norm = (x: ArrayLike<number>) => Math.sqrt(Array.from(x).reduce((total, v) => total + v * v, 0));
const distance = (x: ArrayLike<number>, y: ArrayLike<number>) =>
  norm(Array.from(x, (v, i) => v - y[i])) / (norm(y) || 1);

const TARGETS: readonly (readonly [string, CompileOptions])[] = [
  ["reference", { backend: "reference" }],
  ...[...new Set([...runnableSets(await findCompiler()).map(({ name }) => name), "wasm"])].map(
    (name) => [name, { cpu: { instructionSet: name, threads: 2 } }] as const,
  ),
];

describe.each(TARGETS)("token statistics, %s", (_, options) => {
  let program: Program;
  beforeAll(async () => {
    program = await compile(entries, options);
  }, 300_000);
  afterAll(() => program.dispose());

  it.each(cases.map((c, i) => [i, c] as const))("match PyTorch, case %i", async (i, c) => {
    program.write(`x${i}`, c.x);
    program.write(`w${i}`, c.w);
    const given = { [`targets${i}`]: c.targets };
    for (const entry of ["forward", "ppo", "mean"]) {
      const ratio = { [`old${i}`]: c.old, [`advantages${i}`]: c.advantages };
      await program.run(`${entry}${i}`, entry === "ppo" ? { ...given, ...ratio } : given);
      const found = await program.read(`logProbability${i}`);
      expect(distance(found, c.log_probability)).toBeLessThan(3e-6);
      const entropy = await program.read(`entropy${i}`);
      entropy.forEach((h, n) => {
        expect(Math.abs(h - c.entropy[n]), `entropy of row ${n}`).toBeLessThan(2e-5);
      });
      expect(Array.from(await program.read(`isGreedy${i}`))).toEqual(c.is_greedy);
      expect([found[1], entropy[1]].map(Math.abs)).toEqual([0, 0]); // target -100
    }
    expect(distance(await program.read(`dx${i}`), c.dx)).toBeLessThan(5e-5);
    expect(distance(await program.read(`dw${i}`), c.dw)).toBeLessThan(5e-5);
  });
});

it("passes no gradient through the entropy", () => {
  const [x, w] = [q.variable("x", [3, 4]), q.variable("w", [9, 4])];
  const { entropy } = q.linearTokenStatistics(x, w, q.input("targets", [3], "i32"));
  expect(() => q.gradients(q.sum(entropy), [x])).toThrow(/entropy has no gradient/);
});
