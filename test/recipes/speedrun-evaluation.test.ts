/** The intervals of the speedrun's table, and the table itself. */
import { describe, expect, it } from "vitest";
import { estimate, type ModelScore, scoreTable } from "../../recipes/speedrun-evaluation.js";
import { TASKS } from "../../recipes/wordnet-tasks.js";

describe("an estimate", () => {
  it("has the interval of independent values", () => {
    const values = [1, 0, 0, 1, 1, 0, 1, 1];
    const words = values.map((_, i) => `word ${i}`);
    const { mean, low, high } = estimate(values, words);
    expect(mean).toBe(0.625);
    const half = 1.96 * Math.sqrt((0.625 * 0.375) / 8);
    expect(low).toBeCloseTo(0.625 - half, 12);
    expect(high).toBeCloseTo(0.625 + half, 12);
  });

  it("is wider where the values of a word agree", () => {
    const values = [1, 1, 0, 0, 1, 1, 0, 0];
    const words = ["a", "a", "b", "b", "c", "c", "d", "d"];
    const apart = values.map((_, i) => String(i));
    const [together, single] = [estimate(values, words), estimate(values, apart)];
    expect(together.mean).toBe(single.mean);
    expect(together.high - together.mean).toBeCloseTo(Math.SQRT2 * (single.high - single.mean), 12);
  });
});

describe("the table", () => {
  it("has a row for each model, and dashes where a figure does not apply", () => {
    const each = (mean: number) => ({ mean, low: mean - 0.01, high: mean + 0.01 });
    const byTask = Object.fromEntries(TASKS.map((task) => [task, 0.25]));
    const score = (name: string, isStart: boolean): ModelScore => ({
      ...{ name, accuracy: each(0.3), greedy_accuracy: each(0.2), accuracy_by_task: byTask, length: each(4) },
      ...{
        difference: isStart ? null : each(0.1),
        greedy_difference: isStart ? null : each(0.05),
        win_rate: isStart ? null : each(0.6),
      },
      ...{ kl: isStart ? null : each(0.5), examples: [] },
    });
    const lines = scoreTable([score("SFT", true), score("GRPO", false)]);
    expect(lines[0]).toMatch(/^model +right % +to SFT +greedy % +to SFT/);
    expect(lines[1]).toMatch(/^SFT +30\.0 \(29\.0 to 31\.0\) +– +20\.0 \(19\.0 to 21\.0\) +– +– +–/);
    expect(lines[2]).toMatch(
      /^GRPO .*\+10\.0 \(9\.0 to 11\.0\) .*\+5\.0 \(4\.0 to 6\.0\) +60\.0 \(59\.0 to 61\.0\) +0\.50 \(0\.49 to 0\.51\)/,
    );
    expect(lines.at(-1)).toMatch(/^GRPO +25/);
  });
});
