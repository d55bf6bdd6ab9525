/** PPO end to end on the tiny policy: a bandit with a known optimum, metrics, a reward model, adapters, resuming. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type PpoOptions, ppo } from "../../src/align/index.js";
import { POLICY, scratch } from "./fixtures.js";

const files = scratch();
afterAll(() => files.remove());

let prompts: string;
let arm: string;
beforeAll(() => {
  prompts = files.jsonl(
    "prompts.jsonl",
    ["a", "b", "c", "d"].map((prompt) => ({ prompt })),
  );
  // A bandit: the first character of the answer is the arm, and "k" alone pays.
  arm = files.path("arm.mjs");
  writeFileSync(arm, `export const reward = (prompt, completion) => (completion.startsWith("k") ? 1 : 0);\n`);
});

const options = (out: string, more: Partial<PpoOptions> = {}): PpoOptions => ({
  ...{ model: POLICY, prompts: [prompts], reward: [arm], out: files.path(out), dtype: "fp32", threads: 1 },
  ...{ batch: 4, tokens: 2, steps: 4, updates: 2, learningRate: 1e-3 },
  ...more,
});

describe("ppo", { timeout: 240_000 }, () => {
  it("reaches the optimum of a bandit", async () => {
    const easier = files.path("letters.mjs");
    // One in ten characters pays at first, so that the bandit is found in seconds.
    writeFileSync(easier, `export default (prompt, completion) => (/^[k-z]/.test(completion) ? 1 : 0);\n`);
    const run = { batch: 32, tokens: 1, steps: 80, updates: 4, minibatches: 1, learningRate: 3e-3, klCoef: 0, seed: 2 };
    await ppo(options("bandit", { ...run, reward: [easier], order: "given" }));
    const lines = files.lines("bandit/metrics.jsonl");
    const mean = (list: typeof lines) => list.reduce((total, line) => total + line.reward, 0) / list.length;
    expect(mean(lines.slice(0, 4))).toBeLessThan(0.4);
    expect(mean(lines.slice(-4))).toBeGreaterThan(0.9);
  });

  it("starts at ratio 1 and KL 0, and has every metric", async () => {
    const result = await ppo(options("first"));
    const [first, , third] = files.lines("first/metrics.jsonl");
    expect(Math.abs(first.ratio_max - 1)).toBeLessThan(1e-4);
    expect(first.kl).toBeLessThan(1e-9);
    expect(first.kl).toBeGreaterThanOrEqual(0);
    expect(third.kl).toBeGreaterThan(0);
    const names = ["loss", "grad_norm", "tokens_per_second", "reward", "reward_std", "kl", "kl_k1", "entropy"];
    const others = ["clip_fraction", "ratio_max", "completion_length", "truncated"];
    for (const name of [...names, ...others]) expect(typeof third[name], name).toBe("number");
    const { rollouts, scoring, updates } = result.time_shares ?? { rollouts: 0, scoring: 0, updates: 0 };
    expect(rollouts + scoring + updates).toBeCloseTo(1, 6);
  });

  it.each([
    ["between passes", { updates: 3, minibatches: 2, steps: 8, klTarget: 0.1 }, 4],
    ["with adapters", { lora: 2, steps: 3 }, 2],
  ] as const)("resumes to the same bits %s", async (name, more, stop) => {
    const out = name.replaceAll(" ", "-");
    const whole = await ppo(options(out, more));
    const abort = new AbortController();
    const stopped = ppo({
      ...options(`${out}-stopped`, { ...more, signal: abort.signal }),
      onProgress: ({ task, done }) => task === "train" && done === stop && abort.abort(),
    });
    await expect(stopped).rejects.toThrow(`interrupted at step ${stop}`);
    const resumed = await ppo({ out: files.path(`${out}-stopped`), resume: true });
    for (const file of [
      "lora" in more ? "adapter_model.safetensors" : "model.safetensors",
      "value_model.safetensors",
    ]) {
      const bytes = (checkpoint: string) => readFileSync(join(checkpoint, file));
      expect(bytes(resumed.checkpoint).equals(bytes(whole.checkpoint)), file).toBe(true);
    }
  });

  it("refuses a value model of another shape, and minibatches that do not divide the batch", async () => {
    const gguf = new URL("../oracle/fixtures/gguf/llama.gguf", import.meta.url).pathname;
    await expect(ppo(options("value", { value: gguf }))).rejects.toThrow("has other sizes than the policy");
    await expect(ppo(options("parts", { minibatches: 3 }))).rejects.toThrow(
      "cannot be divided into 3 equal minibatches",
    );
  });
});
