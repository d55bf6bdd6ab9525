/** Losses of labelled answers: a step of `dpo --loss kto` against TRL's trainer (test/oracle/trl_losses.py), and bad input. */
import { cpSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { type DpoOptions, dpo } from "../../src/align/index.js";
import { mismatchedKl, UNPAIRED_LOSSES } from "../../src/align/losses/kto.js";
import { compileReference } from "../../src/backends/index.js";
import * as q from "../../src/tensor/index.js";
import { POLICY, REFERENCE, readFixture, scratch, type TrainerCase } from "./fixtures.js";

type Case = TrainerCase & { readonly models: readonly ("policy" | "ref")[] };
const { trainers } = readFixture<{ readonly trainers: { readonly kto: readonly Case[] } }>("trl-losses.json");
const files = scratch();
afterAll(() => files.remove());
// The reference's weights with the policy's tokenizer.
const other = files.path("other");
cpSync(REFERENCE, other, { recursive: true });
for (const name of ["tokenizer.json", "tokenizer_config.json"]) cpSync(join(POLICY, name), join(other, name));
const folders = { policy: POLICY, ref: other };
const rows = trainers.kto[0].rows;

const options = (name: string, data: readonly object[], more: Partial<DpoOptions> = {}): DpoOptions => ({
  ...{ model: POLICY, reference: REFERENCE, data: [files.jsonl(`${name}.jsonl`, data)], out: files.path(name) },
  ...{ steps: 1, learningRate: 0, order: "given", dtype: "fp32", batch: data.length, loss: ["kto"] },
  ...more,
});

describe.each(trainers.kto)("$name", ({ name, models, config, loss, grad_norm, metrics, rows: data }) => {
  it("has TRL's loss, gradient norm and statistics", { timeout: 60_000 }, async () => {
    const run = name.replace(/\W+/g, "-");
    const notes: string[] = [];
    await dpo(
      options(run, data, {
        ...{ model: folders[models[0]], reference: folders[models[1]], loss: [config.loss_type as string] },
        beta: config.beta as number,
        desirableWeight: config.desirable_weight as number,
        undesirableWeight: config.undesirable_weight as number,
        onNote: (line) => notes.push(line),
      }),
    );
    const [line] = files.lines(`${run}/metrics.jsonl`);
    expect(line.loss / loss).toBeCloseTo(1, 5);
    expect(line.grad_norm / grad_norm).toBeCloseTo(1, 4);
    if (config.loss_type === "kto") expect(line.kl).toBeCloseTo(metrics.kl, 4);
    for (const [own, theirs] of [
      ...[["reward_chosen", "rewards/chosen"] as const, ["reward_rejected", "rewards/rejected"] as const],
      ...[["margin", "rewards/margins"] as const, ["entropy", "entropy"] as const],
    ])
      expect(line[own]).toBeCloseTo(metrics[theirs], 4);
    expect(line.logprob_chosen).toBeCloseTo(metrics["logps/chosen"], 3);
    expect(notes).toContain("3 answers are labelled good, 2 bad");
  });
});

it("learns from pairs too, each two answers, with adapters and evaluation", { timeout: 60_000 }, async () => {
  const pairs = [
    { prompt: "ab ", chosen: "yes", rejected: "no" },
    { prompt: "cd ", chosen: "sure", rejected: "never" },
  ];
  const held = files.jsonl("held-out.jsonl", rows);
  const result = await dpo(
    options("pairs", pairs, {
      ...{ reference: undefined, batch: 4, steps: 6, learningRate: 0.02, lora: 4, evalData: [held], evalEvery: 3 },
      order: "shuffled",
    }),
  );
  const lines = files.lines("pairs/metrics.jsonl").filter(({ loss }) => loss !== undefined);
  expect(lines[0].loss).toBeCloseTo(0.5, 5); // the policy is the reference
  expect(lines[0].kl).toBe(0);
  expect(lines[5].loss).toBeLessThan(0.5);
  expect(lines[5].margin).toBeGreaterThan(0);
  expect(result.evaluation?.validation_loss).toBeGreaterThan(0);
});

it("has the gradient of finite differences, none through the KL", async () => {
  const logProbability = q.variable("x", [4]);
  const row = (...values: number[]) => q.constant(Float32Array.from(values), [4]);
  const outputs = Object.fromEntries(
    Object.entries(UNPAIRED_LOSSES).flatMap(([name, loss]) => {
      const kl = mismatchedKl(q.mul(logProbability, 3), row(-4, -5, -6, -7), row(1, 1, 1, 0));
      const answers = { logRatio: q.sub(logProbability, row(-2, -2, -2, -2)), label: row(1, 0, 1, 0), kl };
      const value = q.sum(loss(answers, { beta: 0.5, desirableWeight: 1, undesirableWeight: 1 }));
      return [
        [`${name}_value`, value],
        [`${name}_kl`, kl],
        [`${name}_slope`, q.gradients(value, [logProbability])[0]],
      ] as const;
    }),
  );
  const program = compileReference({ run: { outputs } });
  const x = [-1, -1.5, -1, -3];
  program.write("x", Float32Array.from(x));
  await program.run("run");
  const kl = (4 - 3 + (5 - 4.5) + (6 - 3)) / 3;
  expect((await program.read("kto_kl"))[0]).toBeCloseTo(kl, 5);
  const sigma = (v: number) => 1 / (1 + Math.exp(-v));
  const losses = x.map((v, i) => 1 - sigma(0.5 * (i % 2 === 0 ? v + 2 - kl : kl - v - 2)));
  expect((await program.read("kto_value"))[0]).toBeCloseTo(
    losses.reduce((a, b) => a + b),
    5,
  );
  const slopes = losses.map((v, i) => (i % 2 === 0 ? -1 : 1) * 0.5 * v * (1 - v));
  (await program.read("kto_slope")).forEach((slope, i) => {
    expect(slope).toBeCloseTo(slopes[i], 5);
  });
});

describe("bad input", () => {
  it.each([
    ["mixture", rows, { loss: ["kto", "sft"] }, /kto takes answers without pairs; it cannot be mixed/],
    ["label", rows.filter(({ label }) => label), {}, /all answers are labelled good; the loss needs both/],
    ["single", rows, { batch: 1 }, /kto estimates the KL from answers to other prompts; give --batch 2/],
    [
      "weights",
      [{ prompt: "a", chosen: "b", rejected: "c" }],
      { loss: ["ipo"], desirableWeight: 2 },
      /need --loss kto/,
    ],
    ["texts", [{ text: "a" }], {}, /needed are/],
  ] as const)("%s", async (name, data, more, message) => {
    await expect(dpo(options(`bad-${name}`, data, more as Partial<DpoOptions>))).rejects.toThrow(message);
  });
});
