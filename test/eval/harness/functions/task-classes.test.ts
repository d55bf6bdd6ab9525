import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readTaskDocuments } from "../../../../src/eval/harness/documents.js";
import { obstaclesOf } from "../../../../src/eval/harness/obstacles.js";
import { type LoadedTask, TaskRegistry } from "../../../../src/eval/harness/registry.js";
import { buildRequests } from "../../../../src/eval/harness/requests.js";
import { createTaskScorer } from "../../../../src/eval/harness/task-scorer.js";
import { DocumentRules } from "../../../../src/eval/harness/templates.js";

let folder: string;

/** Loads a task file that names a class, beside its module as in lm-eval's folder. */
function classTask(name: string, className: string): LoadedTask {
  mkdirSync(join(folder, name));
  const path = join(folder, name, `${name}.yaml`);
  writeFileSync(path, `task: ${name}\nclass: !function task.${className}\n`);
  return new TaskRegistry().load(path) as LoadedTask;
}

function writeData(path: string, rows: readonly unknown[]): void {
  mkdirSync(join(folder, "data", path), { recursive: true });
  writeFileSync(join(folder, "data", path, "validation.jsonl"), rows.map((row) => JSON.stringify(row)).join("\n"));
}

describe("classes of tasks", () => {
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "quern-classes-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it("asks SQuAD 2.0 for an answer and the probability of none, as lm-eval", async () => {
    const task = classTask("squadv2", "SQuAD2");
    const answers = { text: ["one", "C"], answer_start: [2, 0] };
    const rows = [
      { id: "a", title: "T1", context: "C one", question: "Q1?", answers },
      { id: "b", title: "T2", context: "C two", question: "Q2?", answers: { text: [], answer_start: [] } },
    ];
    writeData("lighteval/squad_v2", rows);
    expect(obstaclesOf(task)).toEqual([]);
    const documents = await readTaskDocuments(task, 0, { data: join(folder, "data") });
    const requests = await buildRequests(task, documents);
    const contexts = [1, 2].map(
      (i) => `Title: T${i}\n\nBackground: C ${["one", "two"][i - 1]}\n\nQuestion: Q${i}?\n\nAnswer:`,
    );
    expect(requests).toMatchObject(
      contexts.flatMap((context, documentIndex) => [
        { type: "generate_until", context, documentIndex, options: { until: ["\n"] } },
        { type: "loglikelihood", context, documentIndex, continuation: " unanswerable" },
      ]),
    );
    const rules = new DocumentRules(task, new Set(Object.keys(rows[0]!)));
    const scorer = createTaskScorer(task, rules, rows[0]!);
    const values = await Promise.all(
      rows.map((row, i) => scorer.score(row, [["The one.", "two"][i], { logLikelihood: -i, isGreedy: false }])),
    );
    const totals = ["exact", "HasAns_f1", "NoAns_f1", "best_f1"].map((metric) =>
      scorer.aggregationOf(metric).compute(values.map((each) => each[metric])),
    );
    // The wrong answer has the lower probability of "unanswerable", so no threshold is right for both.
    expect(totals).toEqual([50, 100, 0, 50]);
  });

  it("asks for a completion that contains a value, as lm-eval", async () => {
    const task = classTask("fda", "FDA");
    writeData("hazyresearch/based-fda/default", [{ text: " The sky is \n", value: " blue " }]);
    const documents = await readTaskDocuments(task, 0, { data: join(folder, "data") });
    const [request, ...others] = await buildRequests(task, documents);
    expect(request).toMatchObject({ context: "The sky is", options: { until: ["\n"], max_gen_toks: 48 } });
    expect(others).toEqual([]);
  });

  it("leaves other classes to Python", () => {
    const task = classTask("unitxt", "Unitxt");
    expect(obstaclesOf(task)).toEqual(["class: the task is a class in Python"]);
  });
});
