import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, it } from "vitest";
import {
  comparisonTable,
  type EvaluationRun,
  evaluate,
  evaluationReport,
  reportEvaluation,
  resultRows,
} from "../../../src/eval/index.js";
import { pageData } from "../../../src/eval/report/page-data.js";
import { madeRun } from "./made-runs.js";

const root = mkdtempSync(join(tmpdir(), "quern-report-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const MODEL = fileURLToPath(new URL("../../oracle/fixtures/tiny-chat", import.meta.url));

function write(name: string, { results, samples }: EvaluationRun): string {
  const folder = join(root, name);
  mkdirSync(folder);
  writeFileSync(join(folder, "results.json"), JSON.stringify(results));
  for (const [task, list] of samples) {
    writeFileSync(join(folder, `samples_${task}.jsonl`), list.map((sample) => `${JSON.stringify(sample)}\n`).join(""));
  }
  return folder;
}

it("makes the report of finished runs and compares them", async () => {
  const [run, against] = [write("one", madeRun(1)), write("two", madeRun(2))];
  const html = join(root, "report.html");
  const made = await reportEvaluation({ run, against, tokenizer: MODEL, html });
  expect(made.comparison?.not_comparable).toEqual({ questions: { prompt: [3] } });
  expect(readFileSync(html, "utf8")).toContain("Token borders");
  const lines = comparisonTable(made.comparison as NonNullable<typeof made.comparison>);
  expect(lines[0]).toBe(`against ${against}:`);
  expect(lines[1]).toMatch(/^task +metric +documents +value +before +difference +95 % interval +p +rose +fell +test$/);
  expect(lines.slice(-2)).toEqual([
    "questions: 1 documents are not comparable (other prompts): 3",
    "texts: 1 documents only in this run, 0 only in the other",
  ]);
  await expect(reportEvaluation({ run, html })).rejects.toThrow(/--force|force/);
  expect((await reportEvaluation({ run })).html).toBeUndefined();
});

it("marks what the training data contains", () => {
  const run = madeRun(1);
  const names = (run.samples.get("names") ?? []).map((sample, i) => ({ ...sample, contaminated: i < 3 }));
  const clean = { contaminated: 3, "acc,none": 0.25 };
  const marked = {
    ...run,
    results: { ...run.results, decontaminate: { results: { names: clean } } as never },
    samples: new Map([["names", names]]),
  };
  expect(pageData(marked).isDecontaminated).toBe(true);
  expect(pageData(run).isDecontaminated).toBe(false);
  expect(resultRows(marked).find(({ name }) => name === "names")?.clean).toEqual({
    contaminated: 3,
    value: 0.25,
    error: null,
  });
  const html = evaluationReport(marked);
  expect([html, evaluationReport(run)].map((page) => page.includes('id="training"'))).toEqual([true, false]);
  expect(html).toContain("Clean value: without the documents that the training data contains");
});

it("states the chance level of a task's metadata", () => {
  const run = madeRun(1);
  const configs = { ...run.results.configs, numbers: { output_type: "generate_until", metadata: { chance: 0 } } };
  const rows = resultRows({ ...run, results: { ...run.results, configs } });
  const chance = (key: string) => rows.find((row) => row.name === "numbers" && row.key === key)?.chance;
  expect([chance("exact_match,strict"), chance("f1,strict")]).toEqual([0, null]);
});

it("is written by an evaluation, beside what changed since an earlier one", async () => {
  const [first, second] = ["first", "second"].map((name) => join(root, name));
  const options = { model: MODEL, tasks: ["agreement_simple"], threads: 1 };
  await evaluate({ ...options, limit: 6, out: first, logSamples: true });
  const { results, comparison } = await evaluate({ ...options, limit: 4, out: second, against: first });
  expect(comparison?.tests).toMatchObject([
    { task: "agreement_simple", metric: "acc,none", documents: 4, difference: 0, p_value: 1 },
  ]);
  expect(comparison?.unmatched).toEqual({ agreement_simple: { run: 0, against: 2 } });
  expect(JSON.parse(readFileSync(join(second, "results.json"), "utf8")).against).toEqual(comparison);
  expect(results.against).toEqual(comparison);
  const html = readFileSync(join(second, "report.html"), "utf8");
  expect(html).toContain("Against");
  expect(html.match(/class="samples"/g)).toHaveLength(1);
  expect(existsSync(join(second, "samples_agreement_simple.jsonl"))).toBe(false);
  await expect(evaluate({ ...options, against: join(root, "nothing") })).rejects.toThrow(/nothing/);
}, 120_000);
