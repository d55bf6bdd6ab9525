/** GRPO end to end on the tiny policy: rollouts, rewards, metrics, adapters, resuming, and rewards that fail. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type GrpoOptions, grpo } from "../../src/align/index.js";
import { POLICY, scratch } from "./fixtures.js";

const files = scratch();
afterAll(() => files.remove());

let prompts: string;
const reward = (name: string, body: string) => {
  const path = files.path(`${name}.mjs`);
  writeFileSync(path, `export default (prompt, completion, example) => { ${body} };\n`);
  return path;
};
let letters: string;
beforeAll(() => {
  const words = ["one", "two", "three", "four"];
  prompts = files.jsonl(
    "prompts.jsonl",
    words.map((word) => ({ prompt: `${word} `, answer: word })),
  );
  letters = reward("letters", `return [...completion].filter((c) => c >= "a" && c <= "m").length / 8;`);
});

const options = (out: string, more: Partial<GrpoOptions> = {}): GrpoOptions => ({
  ...{ model: POLICY, prompts: [prompts], reward: [letters], out: files.path(out), dtype: "fp32", threads: 1 },
  ...{ batch: 2, group: 4, tokens: 8, steps: 2, learningRate: 3e-3 },
  ...more,
});

describe("grpo", { timeout: 240_000 }, () => {
  it("samples with the probabilities that it scores with, and has every metric", async () => {
    await grpo(options("first", { beta: 0.1 }));
    const [first, second] = files.lines("first/metrics.jsonl");
    expect(Math.abs(first.ratio_max - 1)).toBeLessThan(1e-4);
    expect(first.kl).toBe(0);
    expect(second.kl).toBeGreaterThan(0);
    const names = ["loss", "grad_norm", "tokens_per_second", "reward", "reward_std", "kl", "kl_k1", "entropy"];
    const others = ["clip_fraction", "ratio_max", "completion_length", "truncated", "equal_groups"];
    for (const name of [...names, ...others]) expect(typeof second[name], name).toBe("number");
  });

  it("raises the reward, keeps the best checkpoint on held-out prompts and shows completions", async () => {
    const run = options("learns", { steps: 30, batch: 4, evalData: [prompts], evalEvery: 10, seed: 1 });
    const result = await grpo(run);
    const lines = files.lines("learns/metrics.jsonl");
    const steps = lines.filter(({ loss }) => loss !== undefined);
    const mean = (list: typeof steps) => list.reduce((total, line) => total + line.reward, 0) / list.length;
    expect(mean(steps.slice(-5))).toBeGreaterThan(mean(steps.slice(0, 5)) + 0.2);
    expect(result.evaluation?.validation_reward).toBe(-Number(result.evaluation?.validation_loss));
    // The last evaluation is recorded too; the last checkpoint and the best one are there, and no other.
    const evaluations = lines.filter(({ validation_loss }) => validation_loss !== undefined);
    expect(evaluations.map(({ step }) => step)).toEqual([10, 20, 30]);
    const best = evaluations.reduce((a, b) => (b.validation_loss < a.validation_loss ? b : a)).step;
    expect(result.best_checkpoint).toBe(files.path(`learns/checkpoints/${best}`));
    expect(
      readdirSync(files.path("learns/checkpoints"))
        .map(Number)
        .sort((a, b) => a - b),
    ).toEqual([...new Set([best, 30])]);
    const again = await grpo({ out: files.path("learns"), resume: true });
    expect(again.evaluation).toEqual(result.evaluation);
    const shown = lines.find((line) => "rollouts" in line) as unknown as { rollouts: { reward: number }[] };
    expect(shown.rollouts).toHaveLength(4);
    expect(readFileSync(result.report, "utf8")).toContain("Completions and their rewards");
  });

  it.each([
    ["between two updates of a rollout", { updates: 2, steps: 4 }, 3],
    ["with adapters and a reference", { lora: 2, beta: 0.05, steps: 3 }, 2],
  ] as const)("resumes to the same bits %s", async (name, more, stop) => {
    const out = name.replaceAll(" ", "-");
    const whole = await grpo(options(out, more));
    const abort = new AbortController();
    const stopped = grpo({
      ...options(`${out}-stopped`, { ...more, signal: abort.signal }),
      onProgress: ({ task, done }) => task === "train" && done === stop && abort.abort(),
    });
    await expect(stopped).rejects.toThrow(`interrupted at step ${stop}`);
    const resumed = await grpo({ out: files.path(`${out}-stopped`), resume: true });
    const file = "lora" in more ? "adapter_model.safetensors" : "model.safetensors";
    const bytes = (checkpoint: string) => readFileSync(join(checkpoint, file));
    expect(bytes(resumed.checkpoint).equals(bytes(whole.checkpoint))).toBe(true);
    const withoutTimes = (run: string) =>
      files
        .lines(`${run}/metrics.jsonl`)
        .map(({ seconds: _, tokens_per_second: __, rollout_seconds: ___, scoring_seconds: ____, ...line }) => line);
    expect(withoutTimes(`${out}-stopped`)).toEqual(withoutTimes(out));
  });

  it("explains a loss of 0, where all rewards are equal", async () => {
    const notes: string[] = [];
    const one = reward("one", "return 1;");
    await grpo(options("equal", { reward: [one], steps: 1, onNote: (line) => notes.push(line) }));
    expect(files.lines("equal/metrics.jsonl")[0]).toMatchObject({ equal_groups: 1, loss: 0 });
    expect(notes.join("\n")).toContain("the rewards of each prompt's completions are all equal");
  });

  it("has RLOO's KL in the reward, as in TRL, unless it is in the loss", async () => {
    const one = reward("same", "return 1;");
    const run = { loss: "rloo", beta: 0.5, order: "given" } as const;
    await grpo(options("kl-start", { ...run, reward: [one], steps: 1 }));
    // The policy is still the reference: equal rewards, no KL, and a loss of 0.
    const [start] = files.lines("kl-start/metrics.jsonl");
    expect(start).toMatchObject({ kl: 0, equal_groups: 1 });
    expect(start.grad_norm).toBeLessThan(1e-3);
    const moved = { ...run, learningRate: 0.01 };
    await grpo(options("kl-reward", moved));
    await grpo(options("kl-loss", { ...moved, klIn: "loss" }));
    await grpo(options("kl-none", { ...moved, beta: 0 }));
    const [inReward, inLoss, none] = ["kl-reward", "kl-loss", "kl-none"].map((name) =>
      files.lines(`${name}/metrics.jsonl`),
    );
    expect(inReward[0].grad_norm / none[0].grad_norm).toBeCloseTo(1, 3);
    expect(inReward[1].kl).toBeGreaterThan(0);
    expect(Math.abs(inReward[1].grad_norm / none[1].grad_norm - 1)).toBeGreaterThan(1e-3);
    expect(Math.abs(inReward[1].grad_norm / inLoss[1].grad_norm - 1)).toBeGreaterThan(1e-3);
  });

  it("stops with the reason and the last good checkpoint when the policy collapses", async () => {
    const run = options("collapse", { beta: 1e-6, maxKl: 0.001, learningRate: 0.05, steps: 6, saveEvery: 1 });
    await expect(grpo(run)).rejects.toThrow(
      /the policy collapsed at step \d: kl is .*, above 0.001; the last good checkpoint is .*checkpoints\/\d/,
    );
  });
});

describe("bad input of grpo", { timeout: 120_000 }, () => {
  it.each([
    ["throws", `throw new Error("out of ideas");`, /out of ideas.*prompts\.jsonl, line \d/],
    ["returns NaN", "return Number.NaN;", /NaN.*prompts\.jsonl, line \d/],
    ["returns nothing", "", /nothing.*prompts\.jsonl, line \d/],
  ])("a reward that %s", async (name, body, message) => {
    await expect(grpo(options(`bad-${name}`, { reward: [reward(name, body)] }))).rejects.toThrow(message);
  });

  it("prompts that leave no room, and no reward", async () => {
    await expect(grpo(options("long", { tokens: 511 }))).rejects.toThrow("leaves no room for a completion");
    await expect(grpo(options("none", { reward: undefined }))).rejects.toThrow("--reward is missing");
  });
});
