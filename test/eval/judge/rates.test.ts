/** Win rates of made-up annotation files, with and without length control, and what a wrong file says. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type JudgeRatesOptions, judgeRates } from "../../../src/eval/index.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-judge-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const file = async (name: string, content: unknown) => {
  const path = join(folder, name);
  await writeFile(path, typeof content === "string" || Buffer.isBuffer(content) ? content : JSON.stringify(content));
  return path;
};

/** A judgement of question `n`; the answers have the given lengths. */
const annotation = (n: number, preference: unknown, lengths = [4, 2], model = "small") => ({
  instruction: `question ${n}`,
  output_1: "a".repeat(lengths[0]),
  output_2: "b".repeat(lengths[1]),
  generator_1: "base",
  generator_2: model,
  annotator: "judge",
  preference,
});

const HEADER = ",np.tanh(std_delta_len),instruction_difficulty,not_gamed_baseline.astype(float)";
const difficultyLines = (count: number) =>
  Array.from({ length: count }, (_, n) =>
    JSON.stringify({ instruction: `question ${n}`, difficulty: (n % 5) - 2 }),
  ).join("\n");

describe("judge rates", () => {
  it("group files by model and read compressed arrays, JSON lines and Python's NaN", async () => {
    const one = [annotation(0, 2), annotation(1, 1), annotation(2, 1.5)];
    const first = await file("a.json.gz", gzipSync(JSON.stringify(one)));
    const lines = [annotation(3, 2), annotation(0, 2, [1, 1], "large"), annotation(4, 0)].map((x) => JSON.stringify(x));
    lines.push(JSON.stringify(annotation(5, null)).replace("null", "NaN"));
    const second = await file("b.jsonl", lines.join("\n"));
    const { models, warnings } = await judgeRates({ annotations: [first, second], within: 5 });
    expect(models.map(({ model }) => model)).toEqual(["small", "large"]);
    const [small, large] = models;
    expect(small).toMatchObject({
      ...{ win_rate: 60, discrete_win_rate: 60, n_wins: 2, n_wins_base: 1, n_draws: 2, n_total: 5, n_dropped: 1 },
      ...{ baseline: "base", annotator: "judge", avg_length: 2, longer_preferred: 40, length_controlled_winrate: null },
    });
    // Shares 1, 0, .5, 1, .5: variance .7 / 4.
    expect(small.standard_error).toBeCloseTo(100 * Math.sqrt(0.175 / 5), 10);
    expect(small.judgements_needed).toBe(Math.ceil((1.959963984540054 ** 2 * 0.175) / 0.05 ** 2));
    expect(large).toMatchObject({ win_rate: 100, standard_error: null, interval: null, longer_preferred: null });
    expect(warnings).toEqual(["1 judgements of small have no preference between 1 and 2 and were left out"]);
  });

  it("predict equal lengths from given weights", async () => {
    const annotations = [await file("c.json", [annotation(0, 2), annotation(4, 1), annotation(1, 1, [1, 1], "large")])];
    const weights = await file("weights.csv", `${HEADER}\nother,1,1,1\nsmall,-2,0.5,-1\n`);
    const difficulty = await file("difficulty.jsonl", difficultyLines(5));
    const rates = await judgeRates({ annotations, lengthControlled: true, weights, difficulty });
    const logistic = (z: number) => 1 / (1 + Math.exp(-z));
    expect(rates.models[0].length_controlled_winrate).toBeCloseTo(50 * (logistic(-2) + logistic(0)), 12);
    expect(rates.models[1].length_controlled_winrate).toBeNull();
    expect(rates.warnings).toEqual([`${weights} has no weights for large; it has no length-controlled win rate`]);
  });

  it("fit the weights without a table, and then correct a bias for length", async () => {
    // The judge prefers the longer answer with odds of 9 : 1; at equal lengths it has no preference.
    const judged = Array.from({ length: 200 }, (_, n) => {
      const shorter = n % 10 < 8;
      return annotation(n, 1 + (shorter ? 0.1 : 0.9), shorter ? [400, 200] : [200, 400]);
    });
    const annotations = [await file("d.json", judged)];
    const difficulty = await file("difficulty200.jsonl", difficultyLines(200));
    const [row] = (await judgeRates({ annotations, lengthControlled: true, difficulty })).models;
    expect(row.win_rate).toBeCloseTo(26, 10);
    expect(row.length_controlled_winrate).toBeGreaterThan(48);
    expect(row.length_controlled_winrate).toBeLessThan(52);
    expect(row.length_weights!.length).toBeLessThan(-1);
    const without = await judgeRates({ annotations, lengthControlled: true });
    expect(without.models[0].length_weights!.difficulty).toBeNull();
    expect(without.warnings[0]).toContain("give --difficulty");
  });

  it("give the baseline half of the wins at equal lengths", async () => {
    const judged = Array.from({ length: 6 }, (_, n) => annotation(n, 1.5, [3, 3 + n], "base"));
    const { models } = await judgeRates({ annotations: [await file("e.json", judged)], lengthControlled: true });
    expect(models[0]).toMatchObject({ win_rate: 50, length_controlled_winrate: 50 });
  });

  it("say what is wrong with a file", async () => {
    const fails = async (content: unknown, message: string, options: Partial<JudgeRatesOptions> = {}) => {
      const annotations = [await file("bad.json", content)];
      await expect(judgeRates({ annotations, ...options })).rejects.toThrow(message);
    };
    await fails([], "bad.json contains no items");
    await fails('[{"instruction": "cut', "bad.json is not JSON");
    await fails([1], "item 1 of");
    await fails([annotation(0, 2), { ...annotation(1, 2), output_2: undefined }], 'has no "output_2"');
    await fails([annotation(0, "2")], 'must be a number or null, not "2"');
    await fails([annotation(0, 3)], "no judgement of small has a preference between 1 and 2");
    await fails([annotation(0, 2), annotation(0, 2)], "judges the same answers of small as item 1");
    const weights = await file("weights2.csv", `${HEADER}\nsmall,-2,0.5,-1\n`);
    await fails([annotation(0, 2)], "no effect without length control", { weights });
    await fails([annotation(0, 2)], "give --difficulty FILE", { weights, lengthControlled: true });
    const difficulty = await file("none.jsonl", JSON.stringify({ instruction: "another", difficulty: 0 }));
    await fails([annotation(0, 2)], "the instruction of item 1", { weights, difficulty, lengthControlled: true });
    await fails([annotation(0, 2)], "takes at least 5", { lengthControlled: true });
    const other = await file("weights3.csv", `${HEADER}\nother,-2,x,-1\n`);
    await fails([annotation(0, 2)], "in line 2 of", { weights: other, lengthControlled: true });
  });
});
