import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { evaluate } from "../../../src/eval/evaluate.js";
import {
  type ComparedDocument,
  comparedTexts,
  findContamination,
  withoutDocuments,
} from "../../../src/eval/harness/contamination.js";
import { TaskRegistry } from "../../../src/eval/harness/registry.js";
import { DocumentRules } from "../../../src/eval/harness/templates.js";
import { resultRows } from "../../../src/eval/report/result-rows.js";
import { evaluationTable } from "../../../src/eval/report/results-lines.js";

const model = join(dirname(fileURLToPath(import.meta.url)), "../../oracle/fixtures/tiny-chat");
let root: string;
const write = (name: string, text: string): string => {
  const path = join(root, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
};
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "quern-contamination-"));
});
afterAll(() => rmSync(root, { recursive: true }));

const words = (from: number, count: number) => Array.from({ length: count }, (_, i) => `w${from + i}`).join(" ");
const compared = (...texts: readonly string[]): readonly ComparedDocument[] =>
  texts.map((text, i) => ({ position: 2 * i, texts: [text] }));

describe("findContamination", () => {
  it("gives the share of n-grams by document, and where it is largest", async () => {
    const tasks = new Map([
      ["a", compared(words(0, 14), words(100, 30), "too short", words(0, 8))],
      ["b", compared(words(0, 14))],
    ]);
    const lines = [words(0, 13), `before ${words(0, 14).toUpperCase().replaceAll(" ", ", ")} after`, words(200, 40)];
    const jsonl = write("train/a.jsonl", lines.map((text, i) => `${JSON.stringify({ id: `d${i}`, text })}\n`).join(""));
    const text = write("train/b.txt", `${words(110, 12)} x ${words(115, 14)}`);
    const { tasks: found, trainingDocuments, reading } = await findContamination(tasks, { paths: [jsonl, text] });
    expect([trainingDocuments, reading.read.files]).toEqual([4, 2]);
    const same = { share: 1, documents: 2, document: "d1" };
    expect(found.get("a")).toMatchObject({ compared: 3, tooShort: 1 });
    expect([...found.get("a")!.contaminated.values()].sort((a, b) => a.doc_id - b.doc_id)).toEqual([
      { doc_id: 0, ...same, overlap: words(0, 13).toUpperCase().replaceAll(" ", ", ") },
      // 2 of its 18 n-grams: w115 … w127 and w116 … w128.
      { doc_id: 2, share: 2 / 18, documents: 1, document: expect.stringContaining("b.txt"), overlap: words(115, 13) },
      // Shorter than an n-gram: compared as a whole.
      { doc_id: 6, share: 1, documents: 2, document: "d0", overlap: words(0, 8) },
    ]);
    expect([...found.get("b")!.contaminated.keys()]).toEqual([0]);
    const strict = await findContamination(tasks, { paths: [jsonl, text], threshold: 0.2 });
    expect([...strict.tasks.get("a")!.contaminated.keys()].sort()).toEqual([0, 6]);
    const long = await findContamination(tasks, { paths: [jsonl, text], ngram: 14 });
    expect([...long.tasks.get("a")!.contaminated].map(([position, { share }]) => [position, share])).toEqual([
      [6, 1],
      [0, 1],
      [2, 1 / 17],
    ]);
  });

  it("reads another key, and refuses what it cannot read", async () => {
    const path = write("other.jsonl", `${JSON.stringify({ body: { raw: words(0, 20) } })}\n`);
    const tasks = new Map([["a", compared(words(0, 14))]]);
    const { tasks: found } = await findContamination(tasks, { paths: [path], textField: "body.raw" });
    expect(found.get("a")!.contaminated.size).toBe(1);
    await expect(findContamination(tasks, { paths: [path] })).rejects.toThrow(/no_text/);
    await expect(findContamination(tasks, { paths: [join(root, "none")] })).rejects.toThrow(/no such file/);
  });
});

describe("comparedTexts", () => {
  const document = { q: "a question", opts: ["x", "y"], end: "the end", empty: "" };
  const cases: readonly (readonly [string, string, readonly string[]])[] = [
    ["the field of the query", "doc_to_decontamination_query: end\ndoc_to_text: q", ["the end"]],
    [
      "the template of the query",
      "doc_to_decontamination_query: '{{q}} {{end}}'\ndoc_to_text: q",
      ["a question the end"],
    ],
    ["a list of the query", "doc_to_decontamination_query: opts\ndoc_to_text: q", ["x", "y"]],
    [
      "the text, where the query is unknown Python",
      "doc_to_decontamination_query: !function u.f\ndoc_to_text: q",
      ["a question"],
    ],
    ["the text, where the query is empty", "doc_to_decontamination_query: empty\ndoc_to_text: q", ["a question"]],
    ["the choices, where the text is empty", "doc_to_text: ''\ndoc_to_choice: opts", ["x", "y"]],
    ["the choices, where the text is a choice", "doc_to_text: 1\ndoc_to_choice: opts", ["x", "y"]],
    ["the target, where there are no choices", "doc_to_text: ''", ["the end"]],
  ];
  it.each(cases)("gives %s", (_, keys, texts) => {
    const path = write("compared.yaml", `task: t\ndataset_path: d\ntest_split: test\ndoc_to_target: end\n${keys}\n`);
    const task = new TaskRegistry().select([path]).tasks.get("t")!;
    expect(comparedTexts(task, new DocumentRules(task, new Set(Object.keys(document))), document)).toEqual(texts);
  });
});

describe("withoutDocuments", () => {
  it("drops values by position, and metrics without any other document", () => {
    const values = new Map([
      ["acc,none", { metric: "acc", filter: "none", items: [1, 0, 1], positions: [4, 5, 9] }],
      ["f1,x", { metric: "f1", filter: "x", items: [1], positions: [5] }],
    ]);
    expect([...withoutDocuments(values, new Set([5]))]).toEqual([
      ["acc,none", { metric: "acc", filter: "none", items: [1, 1], positions: [4, 9] }],
    ]);
  });
});

describe("quern eval --decontaminate", () => {
  const question = (i: number) => `Say ${i}`;
  let given: { model: string; tasks: string[]; include: string[]; data: string; bootstrap: number };
  beforeAll(() => {
    const rows = Array.from({ length: 8 }, (_, i) => ({ q: question(i), a: i % 3, page: words(50 * i, 20) }));
    const data = rows.map((row) => `${JSON.stringify(row)}\n`).join("");
    for (const name of ["one", "two"]) write(`data/${name}/test.jsonl`, data);
    const task = (name: string, more: string) =>
      write(
        `tasks/${name}.yaml`,
        `task: ${name}\ndataset_path: ${name}\ntest_split: test\noutput_type: multiple_choice\ndoc_to_text: q\n` +
          `doc_to_choice: [a, b, c]\ndoc_to_target: a\n${more}`,
      );
    const query = "doc_to_decontamination_query: page\n";
    task("one", `${query}metric_list: [{metric: acc}, {metric: mcc}]\n`);
    task("two", query);
    write("tasks/both.yaml", "group: both\ntask: [one, two]\naggregate_metric_list: [{metric: acc}]\n");
    const include = [join(root, "tasks")];
    given = { model, tasks: ["both"], include, data: join(root, "data"), bootstrap: 200 };
  });

  it("gives the scores that a run without the documents gives", async () => {
    const training = write(
      "corpus.jsonl",
      [1, 4, 5].map((i) => `${JSON.stringify({ text: words(50 * i, 15) })}\n`).join(""),
    );
    const out = join(root, "out");
    const plain = await evaluate(given);
    const run = { name: "run", ...(await evaluate({ ...given, decontaminate: [training], out, logSamples: true })) };
    const { results } = run;
    const { decontaminate, ...others } = results;
    expect(others.results).toEqual(plain.results.results);
    const kept = "[0, 2, 3, 6, 7]";
    const alone = await evaluate({ ...given, samples: `{"one": ${kept}, "two": ${kept}}` });
    for (const name of ["one", "two", "both"]) {
      const { contaminated, too_short, ...clean } = decontaminate!.results[name];
      expect([contaminated, too_short]).toEqual([name === "both" ? 6 : 3, 0]);
      expect(clean).toEqual(alone.results.results[name]);
    }
    expect(decontaminate!.documents.one.map(({ doc_id, share }) => [doc_id, share])).toEqual(
      [1, 4, 5].map((i) => [i, 3 / 8]),
    );
    expect(decontaminate).toMatchObject({ data: [training], ngram: 13, threshold: 0, training_documents: 3 });
    const samples = readFileSync(join(out, "samples_two.jsonl"), "utf8").trimEnd().split("\n");
    expect(samples.map((line) => JSON.parse(line).contaminated)).toEqual([0, 1, 0, 0, 1, 1, 0, 0].map(Boolean));
    expect(JSON.parse(readFileSync(join(out, "results.json"), "utf8")).decontaminate.results).toEqual(
      decontaminate!.results,
    );
    const row = resultRows(run).find(({ name, metric }) => name === "one" && metric === "acc")!;
    expect(row.clean).toEqual({
      contaminated: 3,
      value: alone.results.results.one["acc,none"],
      error: alone.results.results.one["acc_stderr,none"],
    });
    const [header, ...lines] = evaluationTable(run);
    const line = lines.find((each) => /^ *one .* acc /.test(each));
    expect(header).toMatch(/contaminated {2}clean value {2}clean error$/);
    expect(line).toMatch(new RegExp(`3 +${row.clean!.value!.toFixed(4)} +${row.clean!.error!.toFixed(4)}$`));
  });

  it("has no score where the training data contains every document", async () => {
    const training = write("all.txt", words(0, 1000));
    const { results } = await evaluate({ ...given, tasks: ["two"], decontaminate: [training] });
    expect(results.decontaminate!.results.two).toEqual({
      name: "two",
      alias: "two",
      sample_len: 0,
      contaminated: 8,
      too_short: 0,
    });
    expect(resultRows({ name: "run", results, samples: new Map() })[0].clean).toEqual({
      contaminated: 8,
      value: null,
      error: null,
    });
  });

  it("refuses training data that is missing before the model is asked", async () => {
    const run = evaluate({ ...given, decontaminate: [join(root, "missing.jsonl")] });
    await expect(run).rejects.toThrow(/missing\.jsonl: there is no such file/);
  });
});
