import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { compareRuns, type EvaluationRun, evaluationReport, readRun } from "../../../src/eval/index.js";
import { madeRun } from "./made-runs.js";

const root = mkdtempSync(join(tmpdir(), "quern-read-run-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Writes files into a new folder. */
let folders = 0;
function folderOf(files: Readonly<Record<string, string>>): string {
  const folder = join(root, `${++folders}`);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

/** The files of a run. @param date part of the names, as lm-eval writes them */
function filesOf({ results, samples }: EvaluationRun, date = ""): Record<string, string> {
  const suffix = date === "" ? "" : `_${date}`;
  return {
    [`results${suffix}.json`]: JSON.stringify(results),
    ...Object.fromEntries(
      [...samples].map(([task, list]) => [
        `samples_${task}${suffix}.jsonl`,
        list.map((sample) => `${JSON.stringify(sample)}\n`).join(""),
      ]),
    ),
  };
}

const under = (folder: string, files: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(files).map(([name, text]) => [`${folder}/${name}`, text]));

const run = madeRun(1);
const [OLD, NEW] = ["2025-01-02T03-04-05.678901", "2025-02-02T03-04-05.678901"];

describe("reads the folder of an evaluation", () => {
  it("of Quern", async () => {
    const folder = folderOf(filesOf(run));
    const read = await readRun(folder);
    expect(read.results).toEqual(run.results);
    expect([...read.samples]).toEqual([...run.samples]);
    expect(read.name).toBe(folder);
    expect(compareRuns(read, run).tests.every(({ difference }) => difference === 0)).toBe(true);
    expect(evaluationReport({ ...read, name: run.name })).toBe(evaluationReport(run));
  });

  it("of lm-eval: the latest date, in the folder of its only model", async () => {
    const folder = folderOf(under("owner__model", { ...filesOf(madeRun(2), OLD), ...filesOf(run, NEW) }));
    for (const path of [folder, join(folder, "owner__model"), join(folder, "owner__model", `results_${NEW}.json`)]) {
      expect([...(await readRun(path)).samples]).toEqual([...run.samples]);
    }
    const old = await readRun(join(folder, "owner__model", `results_${OLD}.json`));
    expect(old.samples.get("questions")).toEqual(madeRun(2).samples.get("questions"));
  });

  it("of old versions of lm-eval: lists of arguments, no metrics, NaN", async () => {
    const line =
      '{"doc_id": 0, "doc": {}, "target": "0", "arguments": [["Q", " a"], ["Q", " b"]], ' +
      '"resps": [[[-1.5, true]], [[-2, false]]], "filtered_resps": [[-1.5, true], [-2, false]], "acc": 1.0, "x": NaN}\n';
    const folder = folderOf({
      "results.json": '{"results": {"t": {"acc,none": 1.0, "acc_stderr,none": NaN}}}',
      "samples_t.jsonl": line,
    });
    const read = await readRun(folder);
    expect(read.results).toMatchObject({ group_subtasks: {}, configs: {}, "n-shot": {} });
    expect(read.samples.get("t")?.[0]).toMatchObject({
      filter: "none",
      arguments: { gen_args_0: { arg_0: "Q", arg_1: " a" }, gen_args_1: { arg_0: "Q", arg_1: " b" } },
      acc: 1,
      x: null,
    });
    // An old run without hashes is compared by its prompts.
    const { tests, not_comparable } = compareRuns(read, read);
    expect([tests.map(({ metric }) => metric), not_comparable]).toEqual([["acc,none"], {}]);
    expect(evaluationReport(read)).toContain("Evaluation of");
  });

  it("leaves out the samples that were not saved", async () => {
    const { "samples_names.jsonl": _, ...files } = filesOf(run);
    const read = await readRun(folderOf(files));
    expect([...read.samples.keys()]).toEqual(["questions", "numbers", "texts"]);
    expect(evaluationReport(read)).toContain("Samples were not saved for names");
  });
});

const sample = (change: object) => `${JSON.stringify({ ...run.samples.get("names")?.[0], ...change })}\n`;
const results = filesOf(run)["results.json"];

it.each([
  ["no results", { "notes.txt": "" }, /has no results\.json; give the folder of an evaluation/],
  [
    "two models",
    { ...under("a", filesOf(run, OLD)), ...under("b", filesOf(run, OLD)) },
    /has results of 2 models; give one of/,
  ],
  ["broken results", { "results.json": "{" }, /results\.json is not JSON/],
  ["another file", { "results.json": "[]" }, /is not the results of an evaluation: it is not an object/],
  ["no values", { "results.json": '{"results": 3}' }, /"results" must be an object, not 3/],
  [
    "a group of another form",
    { "results.json": '{"results": {}, "group_subtasks": {"g": {"a": 1}}}' },
    /the tasks of the group "g" must be a list of names/,
  ],
  [
    "a broken line",
    { "results.json": results, "samples_names.jsonl": `${sample({})}{"doc_id"` },
    /line 2 of .*samples_names\.jsonl is not a JSON object/,
  ],
  [
    "no id",
    { "results.json": results, "samples_names.jsonl": sample({ doc_id: "x" }) },
    /"doc_id" of line 1 of .* must be a number, not "x"/,
  ],
  [
    "no answers",
    { "results.json": results, "samples_names.jsonl": sample({ resps: null }) },
    /"resps" of line 1 of .* must be a list/,
  ],
  [
    "no requests",
    { "results.json": results, "samples_names.jsonl": sample({ arguments: { a: 1 } }) },
    /"arguments" of line 1/,
  ],
  [
    "a document twice",
    { "results.json": results, "samples_names.jsonl": sample({}) + sample({}) },
    /line 2 of .* repeats document 0/,
  ],
])("refuses %s in one sentence", async (_, files, message) => {
  await expect(readRun(folderOf(files))).rejects.toThrow(message);
});

it("refuses a folder that is not there", async () => {
  await expect(readRun(join(root, "none"))).rejects.toThrow(/none/);
});
