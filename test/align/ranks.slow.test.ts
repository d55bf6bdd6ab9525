/** Post-training by several ranks follows a single rank with the same batches: every algorithm, divided state, resuming. */
import { writeFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { type AlignCalls, dpo, grpo, ppo, reward, sft } from "../../src/align/index.js";
import type { Team } from "../../src/train/index.js";
import { asRanks } from "../train/distributed/team.js";
import { POLICY, scratch } from "./fixtures.js";

const files = scratch();
afterAll(() => files.remove());

const words = ["one", "two", "three", "four", "five", "six", "seven"];
const texts = files.jsonl(
  "texts.jsonl",
  words.map((word, i) => ({ prompt: `${word} is `, completion: `${i} `.repeat(1 + (i % 3)) })),
);
const pairs = files.jsonl(
  "pairs.jsonl",
  words.map((word, i) => ({ prompt: `${word} is `, chosen: `${i}`, rejected: `${i + 1} or more`.slice(0, 2 + i) })),
);
const prompts = files.jsonl(
  "prompts.jsonl",
  words.map((word) => ({ prompt: `${word} ` })),
);
const letters = files.path("letters.mjs");
writeFileSync(letters, `export default (prompt, completion) => [...completion].filter((c) => c <= "m").length / 8;\n`);

const common = { model: POLICY, dtype: "fp32", threads: 1, steps: 3, learningRate: 3e-3, batch: 2 } as const;
const rollouts = { ...common, prompts: [prompts], reward: [letters], tokens: 6 };
type Run = (own: { readonly out: string; readonly accumulate?: number } & AlignCalls) => Promise<unknown>;

const RUNS: Readonly<Record<string, Run>> = {
  sft: (own) => sft({ ...common, data: [texts], zero: 1, ...own }),
  "sft of packed rows": (own) => sft({ ...common, data: [texts], packing: true, maxLength: 32, ...own }),
  "sft of adapters": (own) => sft({ ...common, data: [texts], lora: 2, zero: 1, ...own }),
  reward: (own) => reward({ ...common, data: [pairs], ...own }),
  dpo: (own) => dpo({ ...common, data: [pairs], ...own }),
  kto: (own) => dpo({ ...common, data: [pairs], loss: ["kto"], zero: 1, ...own }),
  ppo: (own) => ppo({ ...rollouts, updates: 1, minibatches: 2, zero: 1, ...own }),
  grpo: (own) => grpo({ ...rollouts, group: 2, updates: 2, beta: 0.05, ...own }),
  rloo: (own) => grpo({ ...rollouts, group: 2, loss: "rloo", ...own }),
};

/** Runs an algorithm as two ranks in this process. */
const byRanks = (run: Run, out: string, more: object = {}) =>
  asRanks(2, (ranks) => {
    const team: Team = { ranks, threads: null, run: (work) => work(ranks) };
    return run({ out: files.path(out), team, ...more });
  });

const lossesOf = (out: string) =>
  files
    .lines(`${out}/metrics.jsonl`)
    .flatMap(({ loss, step, tokens, reward: mean }) => (loss === undefined ? [] : [{ loss, step, tokens, mean }]));

describe.each(Object.entries(RUNS))("%s", (name, run) => {
  it("by two ranks follows one with the same batches", { timeout: 240_000 }, async () => {
    const [one, two] = [`${name}-one`, `${name}-two`];
    await run({ out: files.path(one), accumulate: 2 });
    const [result, other] = await byRanks(run, two, { accumulate: 1 });
    expect(other).toEqual(result);
    expect(result).toMatchObject({ ranks: { count: 2 }, plan: { accumulate: 2 } });
    const [expected, losses] = [lossesOf(one), lossesOf(two)];
    expect(losses.length).toBe(3);
    losses.forEach(({ loss, ...line }, i) => {
      expect(Math.abs(loss - expected[i].loss)).toBeLessThan(1e-4);
      expect(line.step).toBe(expected[i].step);
      expect(line.tokens).toBe(expected[i].tokens);
      if (line.mean !== undefined) expect(line.mean).toBeCloseTo(expected[i].mean, 6);
    });
  });
});
