/** LLMBar's published statistics from its stored winners, and what wrong files say. */
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { evaluateJudge, type LlmbarStatistics } from "../../../src/eval/index.js";

interface Stored {
  readonly set: string;
  readonly judge: string;
  readonly labels: string;
  readonly straight: string;
  readonly swapped: string;
  readonly statistics: LlmbarStatistics;
}

const { sets } = JSON.parse(
  readFileSync(new URL("../../fixtures/eval/llmbar-winners.json", import.meta.url), "utf8"),
) as { readonly sets: readonly Stored[] };

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-meta-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const pair = (n: number, label: unknown) => ({ input: `question ${n}`, output_1: "a", output_2: "b", label });
const winner = (code: unknown) => ({ winner: code === "-" ? null : code });
const judged = (n: number, label: unknown, straight: unknown, swapped: unknown) => ({
  ...pair(n, label),
  results: [["an auxiliary text", "stop"], { "swap = False": winner(straight), "swap = True": winner(swapped) }],
});

async function measure(dataset: readonly unknown[], results: readonly unknown[]) {
  const [meta, judge] = [join(folder, "dataset.json"), join(folder, "result.json")];
  await writeFile(meta, JSON.stringify(dataset));
  await writeFile(judge, JSON.stringify(results));
  return evaluateJudge({ meta, judge });
}

describe("measuring a judge", () => {
  for (const { set, judge, labels, straight, swapped, statistics } of sets) {
    it(`prints LLMBar's statistics of ${judge} on ${set}`, async () => {
      const found = await measure(
        [...labels].map((label, n) => pair(n, Number(label))),
        [...labels].map((label, n) => judged(n, Number(label), straight[n], swapped[n])),
      );
      expect(found.statistics).toEqual(statistics);
      expect(found.position.consistent + found.position.unread).toBeLessThanOrEqual(1);
      expect(found.interval.lower).toBeLessThan(found.accuracy);
    });
  }

  it("has a κ of 1 for a perfect judge, which LLMBar's is not", async () => {
    const labels = [1, 2, 1, 2, 2];
    const found = await measure(
      labels.map((label, n) => pair(n, label)),
      labels.map((label, n) => judged(n, label, `${label}`, `${label}`)),
    );
    expect(found.kappa).toEqual({ straight: 1, swapped: 1, orders: 1 });
    expect(found.statistics).toMatchObject({ correct_both: "5 / 5 = 100.0%", correct_average: "100.0%" });
    expect(found.statistics.kappa_average).toBeLessThan(0.5);
  });

  it("says which pair is wrong", async () => {
    const good = [pair(0, 1), pair(1, 2)];
    const fails = (results: readonly unknown[], message: string | RegExp, dataset: readonly unknown[] = good) =>
      expect(measure(dataset, results)).rejects.toThrow(message);
    await fails([judged(0, 1, "1", "1")], "judges 1 pairs, but");
    await fails([judged(1, 1, "1", "1"), judged(0, 2, "1", "1")], /"input" of item 1 of .* differs from item 1 of/);
    await fails([judged(0, 1, "1", "1"), judged(1, 2, "3", "1")], 'must be "1", "2" or null, not "3"');
    await fails([judged(0, 1, "1", "1"), { ...pair(1, 2), results: [] }], 'has no winner for "swap = False"');
    await fails([judged(0, 1, "1", "1"), pair(1, 2)], 'has no winner for "swap = False"');
    await fails([judged(0, 0, "1", "1")], '"label" of item 1', [pair(0, 0)]);
  });
});
