/** Compares log-probabilities, entropies, greedy choices and PPO's gradient with PyTorch's (test/oracle/token_statistics.py). */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CompileOptions, compile, type Program, type Values } from "../../src/backends/index.js";
import * as q from "../../src/tensor/index.js";
import { everySet, optionsOf } from "./tested-sets.js";

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
  readonly log_squares: readonly number[];
  readonly weights: readonly number[];
  readonly dx_entropy: readonly number[];
  /** The first 60 rows. */
  readonly dw_entropy: readonly number[];
}
const fixture = new URL("../oracle/fixtures/token-statistics.json", import.meta.url);
const { cases } = JSON.parse(readFileSync(fixture, "utf8")) as { readonly cases: readonly Case[] };

const entries = Object.fromEntries(
  cases.flatMap(({ shape: [N, C, V] }, i) => {
    const [x, w] = [q.variable(`x${i}`, [N, C]), q.variable(`w${i}`, [V, C])];
    const targets = q.input(`targets${i}`, [N], "i32");
    const [old, advantages] = [q.input(`old${i}`, [N]), q.input(`advantages${i}`, [N])];
    const { logProbability, entropy, isGreedy, logSquares } = q.linearTokenStatistics(x, w, targets);
    const ratio = q.exp(q.sub(logProbability, old));
    const clipped = q.minimum(q.maximum(ratio, 0.8), 1.2);
    const objective = q.sum(q.minimum(q.mul(ratio, advantages), q.mul(clipped, advantages)));
    const [dx, dw] = q.gradients(objective, [x, w]);
    const weights = q.input(`weights${i}`, [N]);
    const [ex, ew] = q.gradients(q.add(objective, q.sum(q.mul(entropy, weights))), [x, w]);
    // The entropy alone, of the same kernel as its value.
    const alone = q.linearTokenStatistics(x, w, targets);
    const [ax, aw] = q.gradients(q.sum(q.mul(alone.entropy, weights)), [x, w]);
    const plain = q.linearTokenStatistics(x, w, targets);
    // d_loss does not depend on the loss, so that one kernel computes statistics and gradient.
    const [mx, mw] = q.gradients(q.mean(plain.logProbability), [x, w]);
    // A frozen head has no gradient, which the kernel then leaves out.
    const [fx] = q.gradients(objective, [x]);
    const forward = { logProbability, entropy, isGreedy, logSquares };
    const named = (outputs: Readonly<Record<string, q.Tensor>>) => ({
      outputs: Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [`${name}${i}`, tensor])),
    });
    return [
      [`forward${i}`, named(forward)],
      [`ppo${i}`, named({ ...forward, dx, dw })],
      [`frozen${i}`, named({ ...forward, fx })],
      [`mean${i}`, named({ ...plain, mx, mw })],
      [`bonus${i}`, named({ ...forward, ex, ew })],
      [`alone${i}`, named({ ...alone, ax, aw })],
    ];
  }),
);

const norm = (x: ArrayLike<number>) => Math.sqrt(Array.from(x).reduce((total, v) => total + v * v, 0));
const distance = (x: ArrayLike<number>, y: ArrayLike<number>) =>
  norm(Array.from(x, (v, i) => v - y[i])) / (norm(y) || 1);

const TARGETS: readonly (readonly [string, CompileOptions])[] = [
  ["reference", { backend: "reference" }],
  ...everySet.map((name) => [name, optionsOf(name)] as const),
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
    const ratio = { [`old${i}`]: c.old, [`advantages${i}`]: c.advantages };
    const weights = { [`weights${i}`]: c.weights };
    const inputs: Readonly<Record<string, Values>> = {
      ...{ forward: given, mean: given, ppo: { ...given, ...ratio }, frozen: { ...given, ...ratio } },
      ...{ bonus: { ...given, ...ratio, ...weights }, alone: { ...given, ...weights } },
    };
    for (const [entry, values] of Object.entries(inputs)) {
      await program.run(`${entry}${i}`, values);
      const found = await program.read(`logProbability${i}`);
      expect(distance(found, c.log_probability)).toBeLessThan(3e-6);
      const entropy = await program.read(`entropy${i}`);
      entropy.forEach((h, n) => {
        expect(Math.abs(h - c.entropy[n]), `entropy of row ${n}`).toBeLessThan(2e-5);
      });
      expect(Array.from(await program.read(`isGreedy${i}`))).toEqual(c.is_greedy);
      (await program.read(`logSquares${i}`)).forEach((value, n) => {
        expect(Math.abs(value - c.log_squares[n]), `log Σ p² of row ${n}`).toBeLessThan(2e-5);
      });
      expect([found[1], entropy[1]].map(Math.abs)).toEqual([0, 0]); // target -100
    }
    expect(distance(await program.read(`dx${i}`), c.dx)).toBeLessThan(5e-5);
    expect(distance(await program.read(`dw${i}`), c.dw)).toBeLessThan(5e-5);
    expect(distance(await program.read(`fx${i}`), c.dx)).toBeLessThan(5e-5);
    expect(distance(await program.read(`ex${i}`), c.dx_entropy)).toBeLessThan(5e-5);
    expect(distance((await program.read(`ew${i}`)).subarray(0, c.dw_entropy.length), c.dw_entropy)).toBeLessThan(5e-5);
    const [both, one] = [await program.read(`ew${i}`), await program.read(`dw${i}`)];
    expect(
      distance(
        await program.read(`aw${i}`),
        both.map((v, k) => v - one[k]),
      ),
    ).toBeLessThan(2e-4);
  });
});

it("passes no gradient through the other statistics", async () => {
  const [x, w] = [q.variable("x", [3, 4]), q.variable("w", [9, 4])];
  const { isGreedy, logSquares } = q.linearTokenStatistics(x, w, q.input("targets", [3], "i32"));
  const [dx] = q.gradients(q.sum(q.add(isGreedy, logSquares)), [x]);
  const program = await compile({ run: { outputs: { dx } } }, { backend: "reference" });
  await program.run("run", {});
  expect(Array.from(await program.read("dx")).every((v) => v === 0)).toBe(true);
  program.dispose();
});
