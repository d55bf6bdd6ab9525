/** Best of n: ranking by rewards, rows for fine-tuning, and the command line. */
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import { type BestOfOptions, bestOf } from "../../src/align/index.js";
import { generate } from "../../src/infer/index.js";
import { SLOW_BUILD } from "../model/targets.js";
import { POLICY, scratch } from "./fixtures.js";

const files = scratch();
afterAll(() => files.remove());
const rowsIn = (path: string) =>
  readFileSync(path, "utf8")
    .trimEnd()
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

const prompts = files.jsonl("prompts.jsonl", [
  { prompt: "2+2=", answer: "4", id: 1 },
  { messages: [{ role: "user", content: "hello" }], answer: "x", id: 2 },
]);
const letters = (_: unknown, completion: unknown) => new Set(JSON.stringify(completion)).size;
const options = {
  model: POLICY,
  prompts,
  bestOf: 4,
  reward: [letters],
  tokens: 12,
  temperature: 1,
  seed: 3,
  threads: 1,
};
const run = (more: Partial<BestOfOptions> = {}) => bestOf({ ...options, ...more } as BestOfOptions);

describe("bestOf", { timeout: SLOW_BUILD }, () => {
  it("ranks the completions that generate makes, the best first", async () => {
    const plain = files.jsonl(
      "plain.jsonl",
      rowsIn(prompts).map(({ answer, id, ...prompt }) => prompt),
    );
    const { model, tokens, temperature, seed, threads } = options;
    const given = await generate({ model, prompts: plain, n: 4, tokens, temperature, seed, threads });
    const { results, reward, best_reward, kl_bound, ...rest } = await run();
    expect(rest).toEqual({ warnings: [] });
    for (const [i, { prompt, completions }] of results.entries()) {
      expect(prompt).toBe(given.results[i].prompt);
      const rewards = completions.map((each) => each.reward);
      expect(rewards).toEqual(rewards.toSorted((a, b) => b - a));
      expect(completions.map(({ text }) => text).sort()).toEqual(
        given.results[i].completions.map((each) => each.text).sort(),
      );
      for (const { text, reward, rewards } of completions) {
        expect(reward).toBe(letters(null, i === 0 ? text : [{ role: "assistant", content: text }]));
        expect(rewards).toEqual({ letters: reward });
      }
    }
    const all = results.flatMap(({ completions }) => completions.map((each) => each.reward));
    expect(reward).toBeCloseTo(all.reduce((sum, value) => sum + value, 0) / 8, 12);
    expect(best_reward).toBe((results[0].completions[0].reward + results[1].completions[0].reward) / 2);
    expect(kl_bound).toBeCloseTo(Math.log(4) - 3 / 4, 12);
  });

  it("gives rewards the row, its form and the tokens", async () => {
    const seen: unknown[] = [];
    await run({
      bestOf: 1,
      reward: [
        (prompt, completion, example, { tokens }) => {
          seen.push([prompt, typeof completion, example, typeof tokens]);
          return 0;
        },
      ],
    });
    const [one, two] = rowsIn(prompts);
    expect(seen).toEqual([
      [one.prompt, "string", one, "number"],
      [two.messages, "object", two, "number"],
    ]);
  });

  it("writes the best completion of each prompt as an example", async () => {
    const out = files.path("best.jsonl");
    const { results, rows } = await run({ out });
    const [first, second] = results.map(({ completions: [best] }) => best);
    expect(rows).toBe(2);
    expect(rowsIn(out)).toEqual([
      { prompt: "2+2=", answer: "4", id: 1, completion: first.text, reward: first.reward },
      {
        ...{ prompt: [{ role: "user", content: "hello" }], answer: "x", id: 2 },
        ...{ completion: [{ role: "assistant", content: second.text }], reward: second.reward },
      },
    ]);
    await expect(run({ out })).rejects.toThrow(/--force/);
    await expect(run({ out: prompts, force: true })).rejects.toThrow(/is the input/);
  });

  it("keeps every different completion above a reward", async () => {
    const out = files.path("good.jsonl");
    const { results, rows } = await run({ out, keepAbove: 8, temperature: 0.2 });
    const good = results.flatMap(({ completions }) => [
      ...new Map(completions.filter(({ reward }) => reward > 8).map((each) => [each.text, each.reward])),
    ]);
    expect(rowsIn(out).map(({ reward }) => reward)).toEqual(good.map(([, reward]) => reward));
    expect(rows).toBe(good.length);
    expect((await run({ out, force: true, keepAbove: 1000 })).rows).toBe(0);
    expect(readFileSync(out, "utf8")).toBe("");
  });

  it("stops with the error of a reward, or the signal", async () => {
    const fails = run({ reward: [() => Number.NaN] });
    await expect(fails).rejects.toThrow(/the reward \w* ?returned NaN for .*prompts\.jsonl.*line 1, completion/);
    await expect(run({ reward: ["math"], prompts: undefined, prompt: "2+2=" })).rejects.toThrow(
      /the example has no field answer or solution.* for the prompt/,
    );
    const signal = AbortSignal.timeout(50);
    await expect(run({ signal, tokens: 5000, bestOf: 50 })).rejects.toThrow(/timeout|aborted/i);
    await expect(run({ keepAbove: 1 })).rejects.toThrow(/give out too/);
    await expect(run({ reward: [] })).rejects.toThrow(/no reward/);
  });
});

describe("quern generate --best-of", { timeout: SLOW_BUILD }, () => {
  const cli = fileURLToPath(new URL("../../dist/src/cli.js", import.meta.url));
  const quern = (...words: string[]) =>
    promisify(execFile)(process.execPath, [
      cli,
      "generate",
      "--model",
      POLICY,
      "--tokens",
      "8",
      "--threads",
      "1",
      ...words,
    ]).then(
      ({ stdout, stderr }) => ({ stdout, stderr, code: 0 }),
      ({ stdout, stderr, code }: { stdout: string; stderr: string; code: number }) => ({ stdout, stderr, code }),
    );

  it("prints the best completion, and with --json all of them", async () => {
    const file = files.path("letters.ts");
    writeFileSync(file, "export const reward = (prompt, completion) => { console.log(1); return completion.length; };");
    const words = [
      "--prompt",
      "2+2=",
      "--best-of",
      "3",
      "--reward",
      `${file},regex:pattern=.`,
      "--reward-weights",
      "1,.5",
    ];
    const { stdout } = await quern(...words, "--json");
    const { results, best_reward } = JSON.parse(stdout);
    expect(results[0].completions).toHaveLength(3);
    expect(results[0].completions[0]).toMatchObject({
      reward: best_reward,
      rewards: { letters: best_reward - 0.5, regex: 1 },
    });
    const plain = await quern(...words);
    expect(plain.stdout).toBe(`--- reward ${best_reward}\n${results[0].completions[0].text}\n`);
    expect(plain.stderr).toMatch(/mean reward [\d.]+, of the best of 3 [\d.]+/);
  });

  it.each([
    [["--best-of", "2"], /--best-of needs --reward/],
    [["--reward", "exact"], /--reward needs --best-of N/],
    [["--best-of", "2", "--reward", "exact", "--n", "2"], /give --best-of without --n/],
    [["--best-of", "2", "--reward", "exact", "--keep-above", "0"], /--keep-above needs --out FILE/],
    [["--best-of", "2", "--reward", "exactly"], /there is no reward exactly/],
  ])("%s", async (words, reason) => {
    expect(await quern("--prompt", "a", ...words)).toMatchObject({ code: 2, stderr: expect.stringMatching(reason) });
  });
});
