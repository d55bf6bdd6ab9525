/** Tasks written in TypeScript: the same requests as a task file's, every kind of function, and what wrong files say. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findFunction } from "../../../src/eval/harness/functions.js";
import {
  buildRequests,
  checkTaskFiles,
  defineTask,
  describeTasks,
  type LoadedTask,
  obstaclesOf,
  type RequestOptions,
  readTaskDocuments,
  TaskRegistry,
} from "../../../src/eval/harness/index.js";
import type { FunctionReference } from "../../../src/eval/harness/python-yaml.js";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "quern-typed-"));
});
afterAll(() => rmSync(folder, { recursive: true }));
const write = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};
const HEAD = 'import { defineTask, defineGroup } from "quern/eval";\n';
const module = (name: string, definition: string) => write(name, `${HEAD}export default defineTask(${definition});\n`);
const load = (path: string) => new TaskRegistry().select([path]).tasks;
const only = (path: string): LoadedTask => [...load(path).values()][0];
const requestsOf = async (task: LoadedTask, options: RequestOptions = {}, data?: string) => {
  const documents = await readTaskDocuments(task, options.numFewshot ?? task.config.numFewshot ?? 0, { data });
  const requests = await buildRequests(task, documents, options);
  return requests.map(({ document: _, task: __, ...request }) => request);
};

const ROWS = ["grass,green", "snow,white", "coal,black", "milk,white", "leaf,green"].map((row) => row.split(","));
const YAML = `task: colours
dataset_path: colours
test_split: test
fewshot_split: test
output_type: multiple_choice
description: "Colours.\\n"
doc_to_text: "What colour is {{thing}}?"
doc_to_choice: [green, white, black]
doc_to_target: colour
num_fewshot: 2
fewshot_delimiter: "\\n"
metric_list: [{metric: acc}]
`;
const TYPED = `{
  name: "colours",
  outputType: "multiple_choice",
  documents: async function* () { for (const [thing, colour] of ${JSON.stringify(ROWS)}) yield { thing, colour }; },
  description: "Colours.\\n",
  docToText: ({ thing }: { thing: string; colour: string }) => \`What colour is \${thing}?\`,
  docToChoice: ["green", "white", "black"],
  docToTarget: ({ colour }) => colour,
  fewshot: { count: 2, delimiter: "\\n" },
  metrics: ["acc"],
  chance: 1 / 3,
}`;

describe("a task in TypeScript", () => {
  it("makes the requests of the same task in YAML", async () => {
    const rows = ROWS.map(([thing, colour]) => JSON.stringify({ thing, colour })).join("\n");
    const { mkdirSync } = await import("node:fs");
    mkdirSync(join(folder, "colours"));
    write("colours/test.jsonl", rows);
    const chat = { chat: (turns: readonly unknown[]) => JSON.stringify(turns), system: "Be brief." };
    for (const options of [{}, { numFewshot: 3, seed: 7 }, chat] satisfies RequestOptions[]) {
      const yaml = await requestsOf(only(write("colours.yaml", YAML)), { numFewshot: 2, ...options }, folder);
      const typed = await requestsOf(only(module("colours.ts", TYPED)), { numFewshot: 2, ...options });
      expect(yaml).toHaveLength(15);
      expect(typed).toEqual(yaml);
    }
  });

  it("reads --data and process, and draws few-shot examples of its own", async () => {
    const task = only(
      module(
        "data.mjs",
        `{
          name: "data", outputType: "generate_until",
          dataset: { path: "colours", process: (rows) => rows.filter(({ colour }) => colour === "white") },
          docToText: "thing", docToTarget: "{{colour}}!", targetDelimiter: ": ",
          fewshot: { count: 1, sampler: "first_n", documents: () => [{ thing: "sky", colour: "blue" }] },
          generation: { until: ["\\n"], maxTokens: 5 },
          repeats: 2,
        }`,
      ),
    );
    const requests = await requestsOf(task, { numFewshot: 1 }, folder);
    expect(requests.map((request) => "context" in request && request.context)).toEqual([
      "sky: blue!\n\nsnow",
      "sky: blue!\n\nmilk",
    ]);
    expect(requests[0]).toMatchObject({ repeats: 2, options: { until: ["\n"], max_gen_toks: 5, do_sample: false } });
  });

  it("carries its metrics, filters and results to where task files name Python", async () => {
    const task = only(
      module(
        "all.ts",
        `{
          name: "all", outputType: "generate_until", documents: [{ q: "a", a: "b" }], docToText: "q", docToTarget: "a",
          filters: [{ name: "trim", steps: [{ function: "take_first" }, (text: string) => text.trim()] }],
          metrics: [
            { name: "length", aggregation: (values) => Math.max(...values.map(Number)), higherIsBetter: false },
            { name: "exact_match", options: { ignore_case: true } },
          ],
          processResults: async (document, [answer]) => ({ length: String(answer).length, exact_match: +(answer === document.a) }),
          description: ({ q }) => q + ":", fewshot: { documents: [] },
          chance: 0, version: "2b",
        }`,
      ),
    );
    expect(obstaclesOf(task)).toEqual([]);
    const { metrics, filters, processResults, metadata } = task.config;
    const run = (value: unknown) => findFunction(value as FunctionReference);
    const aggregation = run(metrics![0].aggregation);
    expect(aggregation?.takes === "items" && aggregation.run([3, 9, 4])).toBe(9);
    expect(metrics![0].higherIsBetter).toBe(false);
    expect(metrics![1]).toMatchObject({ aggregation: "mean", higherIsBetter: true, options: { ignore_case: true } });
    const step = run(filters![0].steps[1].function);
    expect(step?.takes === "responses" && step.create({})([" x ", [" y", "z "]], [])).toEqual(["x", ["y", "z"]]);
    const results = run(processResults);
    expect(results?.takes === "results" && (await results.run({ q: "a", a: "b" }, ["b"]))).toEqual({
      length: 1,
      exact_match: 1,
    });
    expect(metadata).toEqual({ version: "2b", chance: 0 });
    expect(JSON.stringify(task.config.keys)).toContain("function processResults");
  });

  it("may stand in a group, a list, or under a tag", () => {
    const two = `const make = (name) => defineTask({ name, tags: ["pair"], outputType: "loglikelihood_rolling",
      documents: [{ text: name }], docToTarget: "text" });\n`;
    const registry = new TaskRegistry();
    const group = write(
      "group.ts",
      `${HEAD}${two}export const group = defineGroup({ name: "g", tasks: [make("a"), make("b")], metrics: ["bits_per_byte"], weightBySize: true });`,
    );
    const { tasks, groups } = registry.select([group]);
    expect([...tasks.keys()]).toEqual(["a", "b"]);
    expect(groups.get("g")!.aggregates).toEqual([{ metric: "bits_per_byte", filters: null, weightBySize: true }]);
    expect([...registry.select(["pair"]).tasks.keys()]).toEqual(["a", "b"]);
    const list = write("list.js", `${HEAD}${two}export const tasks = [make("c"), make("d")];`);
    expect([...load(list).keys()]).toEqual(["c", "d"]);
    const common = write(
      "list.cjs",
      `${HEAD.replace(/import (.*) from (.*);/, "const $1 = require($2);")}${two}module.exports = make("e");`,
    );
    expect([...load(common).keys()]).toEqual(["e"]);
  });

  it("is described and checked", async () => {
    const path = module("colours.ts", TYPED);
    expect((await describeTasks({ task: path, include: [] }))[0]).toMatchObject({
      name: "colours",
      runs: true,
      config: { doc_to_text: "function docToText", metadata: { chance: 1 / 3 } },
    });
    expect(await checkTaskFiles({ files: [path], include: [], data: folder })).toMatchObject([
      { kind: "task", runs: true },
    ]);
  });
});

describe("a wrong task in TypeScript", () => {
  const RIGHT = 'name: "t", outputType: "loglikelihood", documents: [{ a: "b" }], docToText: "a", docToTarget: "a"';
  const cases: readonly (readonly [string, RegExp])[] = [
    [`{ ${RIGHT}, docToTxt: "a" }`, /unknown option docToTxt of the task "t" in .*wrong\.ts; did you mean docToText\?/],
    [
      `{ ${RIGHT}, fewshot: { cuont: 1 } }`,
      /unknown option fewshot\.cuont of the task "t" .*did you mean fewshot\.count\?/,
    ],
    [`{ ${RIGHT}, name: "a b" }`, /name: may have letters, digits/],
    [`{ ${RIGHT}, documents: 3 }`, /documents must be a list of documents or a function/],
    [`{ ${RIGHT}, dataset: { path: "x" } }`, /give either documents or dataset of the task "t"/],
    [`{ ${RIGHT}, outputType: "multiple_choice" }`, /docToChoice is missing of the task/],
    [`{ ${RIGHT}, docToChoice: ["a"] }`, /docToChoice is for multiple_choice only/],
    [`{ ${RIGHT}, repeats: 2 }`, /repeats is for generate_until only/],
    [`{ ${RIGHT}, chance: 1 }`, /chance must be less than 1, not 1/],
    [
      `{ ${RIGHT}, metrics: [{ name: "acc", aggregation: "maen" }] }`,
      /the aggregation "maen" of the metric acc .* is unknown/,
    ],
  ];
  it.each(cases)("%s", (definition, message) => {
    expect(() => load(module("wrong.ts", definition))).toThrow(message);
  });

  it("names the line of a file that fails or exports nothing", () => {
    expect(() => load(join(folder, "absent.ts"))).toThrow(/there is no task file .*absent\.ts/);
    expect(() => load(write("none.ts", "export const x = 1;"))).toThrow(/exports no task; .*\(it exports x\)/);
    expect(() => load(write("throws.ts", "const a = 1;\nthrow new Error('no ' + a);"))).toThrow(
      /throws\.ts cannot be loaded: no 1 \(.*throws\.ts:2:\d+\)/,
    );
    expect(() => load(write("syntax.ts", "export default {"))).toThrow(/syntax\.ts cannot be loaded/);
    expect(() => load(write("empty.ts", "export default [];"))).toThrow(/exports an empty list/);
  });

  it("names the document and the line of a function that throws", async () => {
    const definition = `{ ${RIGHT}, docToText: (row: { b?: { c: string } }) => row.b!.c }`;
    await expect(requestsOf(only(module("late.ts", definition)))).rejects.toThrow(
      /task t, document 0: .*docToText threw .?Cannot read properties of undefined .*late\.ts:2:\d+/,
    );
    const source = (documents: string) =>
      requestsOf(only(module("late.ts", `{ ${RIGHT.replace('[{ a: "b" }]', documents)} }`)));
    await expect(source("() => { throw new Error('gone'); }")).rejects.toThrow(/documents threw gone/);
    await expect(source("() => 3")).rejects.toThrow(/documents of .*late\.ts returned no list of documents but 3/);
    await expect(source('() => [{ a: "b" }, "c"]')).rejects.toThrow(
      /document 1 of documents in .* must be an object, not "c"/,
    );
    await expect(source("[]")).rejects.toThrow(/has no documents/);
  });
});

it("types documents by what they are", () => {
  defineTask({
    name: "t",
    outputType: "loglikelihood",
    documents: [{ word: "a" }],
    docToText: ({ word }) => word.toUpperCase(),
    // @ts-expect-error: documents have no such field
    docToTarget: ({ wrod }) => String(wrod),
  });
});
