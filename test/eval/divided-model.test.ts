/** Evaluation by several ranks gives the bits of one process. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { answerRequests, withDividedModel } from "../../src/eval/divided-model.js";
import { type EvaluateOptions, evaluate, evaluateByRanks } from "../../src/eval/index.js";
import type { LanguageModel, LogLikelihood } from "../../src/infer/index.js";
import type { Team } from "../../src/train/index.js";
import { SLOW_BUILD } from "../model/targets.js";
import { asRanks } from "../train/distributed/team.js";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../fixtures/eval/harness");
const model = join(here, "../oracle/fixtures/tiny-chat");
const scratch = mkdtempSync(join(tmpdir(), "quern-eval-ranks-"));
afterAll(() => rmSync(scratch, { recursive: true }));

const options: EvaluateOptions = {
  ...{ model, tasks: ["made_letters", "made_rolling", "made_sums_samples"], include: [join(root, "tasks")] },
  ...{ data: join(root, "data"), genKwargs: "max_gen_toks=12", bootstrap: 100, numFewshot: 1, logSamples: true },
};

const byRanks = (size: number, own: (rank: number) => Partial<EvaluateOptions>) =>
  asRanks(size, (ranks) => {
    const team: Team = { ranks, threads: 1, run: (work) => work(ranks) };
    return evaluateByRanks({ ...options, ...own(ranks.rank) }, team);
  });

describe("evaluateByRanks", { timeout: SLOW_BUILD }, () => {
  it.each([2, 3])("gives the answers and results of one process: %d ranks", async (size) => {
    const one = await evaluate({ ...options, threads: 1 });
    const out = join(scratch, `out-${size}`);
    const [first, ...others] = await byRanks(size, () => ({ out }));
    expect(others.every((each) => each === null)).toBe(true);
    expect(first?.samples).toEqual(one.samples);
    expect(first?.results.results).toEqual(one.results.results);
    expect(first?.counts).toEqual(one.counts);
    expect(JSON.parse(readFileSync(join(out, "results.json"), "utf8")).task_hashes).toEqual(one.results.task_hashes);
  });

  it("refuses other options and another model on a rank", async () => {
    await expect(byRanks(2, (rank) => ({ numFewshot: rank }))).rejects.toThrow(
      /^rank 1 on .*was started with numFewshot 1, and rank 0 with 0; start all ranks with the same options$/,
    );
    const copy = join(scratch, "copy");
    cpSync(model, copy, { recursive: true });
    writeFileSync(join(copy, "merges.txt"), "");
    const team = (rank: number) => ({
      logLikelihood: async () => [],
      name: "m",
      sequence: 8,
      files: [[model, copy][rank]],
    });
    const results = asRanks(2, async (ranks) => {
      const own = team(ranks.rank) as unknown as LanguageModel;
      return ranks.rank === 0 ? withDividedModel(own, ranks, async () => {}) : answerRequests(own, ranks);
    });
    await expect(results).rejects.toThrow(
      /^rank 1 on .*has other files of m than rank 0; give all nodes the same model$/,
    );
  });
});

describe("withDividedModel", () => {
  it("deals the requests to a server's model out, and keeps any number, the order and the warnings", async () => {
    const numbers = [Number.NEGATIVE_INFINITY, Number.NaN, -0, 0.1 + 0.2, 5e-324, Number.POSITIVE_INFINITY, -1];
    const requests = numbers.map((_, i) => ({ context: "c", continuation: String(i) }));
    const asked: string[][] = [];
    const results = await asRanks(3, async (ranks) => {
      const own = {
        ...{ name: "m", sequence: 8 },
        async logLikelihood(part: typeof requests, { onWarning }: { onWarning(text: string, i: number): void }) {
          asked[ranks.rank] = part.map(({ continuation }) => continuation);
          onWarning("cut", part.length - 1);
          return part.map(({ continuation: i }) => ({ logLikelihood: numbers[Number(i)], isGreedy: true, tokens: 1 }));
        },
      } as unknown as LanguageModel;
      if (ranks.rank > 0) return answerRequests(own, ranks);
      const warned: number[] = [];
      const onWarning = (_: string, index: number) => warned.push(index);
      const answers = await withDividedModel(own, ranks, (divided) => divided.logLikelihood(requests, { onWarning }));
      return { answers: answers.map(({ logLikelihood }: LogLikelihood) => logLikelihood), warned };
    });
    expect(asked).toEqual([
      ["0", "3", "6"],
      ["1", "4"],
      ["2", "5"],
    ]);
    expect(results[0]).toEqual({ answers: numbers, warned: [6, 4, 5] });
  });
});
