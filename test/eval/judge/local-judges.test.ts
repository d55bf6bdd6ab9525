/** Local judges: a tiny chat model by log-probabilities and by text, a reward model, and a model that answers first. */
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openRewardModel } from "../../../src/align/index.js";
import { judgeAnswers, judgePairs, openJudge, type Pair } from "../../../src/eval/index.js";
import { openModel } from "../../../src/infer/index.js";
import { loadTokenizer, renderChat } from "../../../src/tokenizer/index.js";
import { makeRewardModel, POLICY } from "../../align/fixtures.js";
import { SLOW_BUILD } from "../../model/targets.js";

const fixture = (name: string) => fileURLToPath(new URL(`../../oracle/fixtures/${name}`, import.meta.url));
const CHAT = fixture("tiny-chat");

let folder: string;
let REWARD: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-local-judge-"));
  REWARD = join(folder, "reward-model");
  await makeRewardModel(REWARD);
});
afterAll(() => rm(folder, { recursive: true, force: true }));
const at = (name: string) => join(folder, name);

const pair = (instruction: string, output1: string, output2: string): Pair => {
  return { instruction, output1, output2, fields: {}, place: `the prompt ${instruction}` };
};
const PAIRS = [pair("a", "b", "c"), pair("x", "on", "to"), pair("same", "s", "s"), pair("z", "w".repeat(200), "v")];

describe("a local judge", { timeout: SLOW_BUILD }, () => {
  it("compares the probabilities of its two tokens in both orders, and drops prompts that do not fit", async () => {
    const template = at("short.txt");
    await writeFile(template, "{instruction} A {output_1} B {output_2}?");
    const options = { judgePrompt: template, cache: at("cache") };
    const judge = await openJudge(CHAT, options);
    const judged = await judgePairs(PAIRS, judge);
    await judge.close();
    const tokenizer = await loadTokenizer(CHAT);
    await using model = await openModel(CHAT);
    const expected = async ([first, second]: readonly string[]) => {
      const messages = [{ role: "user", content: `a A ${first} B ${second}?` }];
      const context = await renderChat(tokenizer, messages, { addGenerationPrompt: true });
      const [a, b] = await model.logLikelihood(["A", "B"].map((continuation) => ({ context, continuation })));
      return 2 - 1 / (1 + Math.exp(b.logLikelihood - a.logLikelihood));
    };
    const [one, two] = judged[0].judgements;
    expect(one.preference).toBeCloseTo(await expected(["b", "c"]), 6);
    expect(two.preference).toBeCloseTo(3 - (await expected(["c", "b"])), 6);
    expect(judged[0].preference).toBeCloseTo((one.preference! + two.preference!) / 2, 12);
    expect(one.promptTokens).toBeGreaterThan(5);
    expect(judged[2]).toMatchObject({ identical: true, preference: 1.5, judgements: [] });
    expect(judged[3]).toMatchObject({ preference: null, drop: { reason: "too_long" } });
    expect(judged[3].drop?.detail).toMatch(/the prompt has \d+ tokens, but the judge's context is 96/);
    const again = await openJudge(CHAT, options);
    const repeated = await judgePairs(PAIRS.slice(0, 2), again);
    await again.close();
    expect(repeated.flatMap(({ judgements }) => judgements.map(({ cached }) => cached))).toEqual(Array(4).fill(true));
    expect(repeated[0].preference).toBe(judged[0].preference);
  });

  it("drops a text without a verdict", async () => {
    const template = at("short.txt");
    await writeFile(template, "{instruction} A {output_1} B {output_2}?");
    const judge = await openJudge(CHAT, { by: "verdict", judgePrompt: template, judgeTokens: 4, cache: at("cache") });
    const [{ judgements }] = await judgePairs(PAIRS.slice(0, 1), judge);
    await judge.close();
    for (const { drop, raw } of judgements) {
      expect(drop?.reason).toBe("unreadable");
      expect(raw).toHaveProperty("text");
    }
    expect(judgements).toHaveLength(2);
  });

  it("prefers the higher reward, whatever the order", async () => {
    const pairs = [pair("a", "good", "bad"), pair("b", "no", "yes, indeed")];
    const judge = await openJudge(REWARD);
    const judged = await judgePairs(pairs, judge);
    await using model = await openRewardModel(REWARD);
    for (const [i, { instruction, output1, output2 }] of pairs.entries()) {
      const rewards = await model.score(
        [output1, output2].map((content) => [
          { role: "user", content: instruction },
          { role: "assistant", content },
        ]),
      );
      expect(judged[i].judgements).toHaveLength(1);
      expect(judged[i].preference).toBe(rewards[0] > rewards[1] ? 1 : 2);
      const { rewards: found } = judged[i].judgements[0].raw as { rewards: number[] };
      expect(found[0]).toBeCloseTo(rewards[0], 5);
    }
    await judge.close();
    await expect(openJudge(REWARD, { by: "verdict" })).rejects.toThrow(/by has no effect on .* a reward model/);
  });

  it("answers prompts first, keeps the answers, and judges its own", async () => {
    const prompts = at("prompts.json");
    await writeFile(prompts, JSON.stringify([{ prompt: "one" }, { messages: [{ role: "user", content: "two" }] }]));
    const answers = at("fixed.jsonl");
    await writeFile(answers, '{"output":"1"}\n{"output":"2"}\n');
    const out = at("out");
    const judge = (_: string, first: string) => (/^[12]$/.test(first) ? 1 : 2);
    const options = { prompts, a: answers, b: POLICY, out, maxTokens: 5 };
    const summary = await judgeAnswers({ ...options, judge });
    expect(summary).toMatchObject({ baseline: "fixed", model: POLICY, n_wins_base: 2, win_rate: 0 });
    const outputs = JSON.parse(readFileSync(join(out, "outputs_b.json"), "utf8"));
    expect(outputs).toMatchObject([
      { instruction: "one", generator: POLICY },
      { instruction: "two", generator: POLICY },
    ]);
    await using model = await openModel(POLICY);
    const [{ completions }] = await model.generate([{ messages: [{ role: "user", content: "one" }] }], {
      ...{ tokens: 5, temperature: 0 },
    });
    expect(outputs[0].output).toBe(completions[0].text);
    const before = readFileSync(join(out, "answers_b.jsonl"), "utf8");
    expect(before.trim().split("\n")).toHaveLength(2);
    // Its outputs are a file of answers like any other.
    const again = await judgeAnswers({ ...options, judge, b: join(out, "outputs_b.json"), out: at("again") });
    expect(again).toMatchObject({ model: POLICY, n_wins_base: 2 });
    await expect(judgeAnswers({ ...options, judge, b: REWARD, out: at("reward") })).rejects.toThrow(/reward model/);
  });
});
