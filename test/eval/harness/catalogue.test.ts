import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkTaskFiles, describeTasks } from "../../../src/eval/harness/catalogue.js";
import { TaskRegistry } from "../../../src/eval/harness/registry.js";
import { listTasks } from "../../../src/eval/harness/task-list.js";

const fixtures = join(dirname(fileURLToPath(import.meta.url)), "../../fixtures/eval/harness");
let folder: string;
const write = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "quern-catalogue-"));
});
afterAll(() => rmSync(folder, { recursive: true }));
const check = async (name: string, text: string, data?: string) => {
  const [checked] = await checkTaskFiles({ files: [write(name, text)], include: [], data });
  return checked;
};
const RUNS = "task: t\ndataset_path: d\ntest_split: test\ndoc_to_text: q\ndoc_to_target: a\n";

describe("eval list", () => {
  it("lists tasks, groups and tags", async () => {
    const { tasks, groups, tags, runs, files } = await listTasks({ include: [join(fixtures, "tasks")] });
    expect(tasks).toHaveLength(11);
    expect([runs, files]).toEqual([11, 13]);
    expect(groups.map(({ name }) => name)).toEqual(["made_group"]);
    expect(tags).toEqual([
      { name: "made", tasks: ["made_letters", "made_letters_random"] },
      { name: "made_random", tasks: ["made_letters_random"] },
    ]);
  });

  it("describes a task with the places of its keys", async () => {
    const [described] = await describeTasks({ task: "made_letters", include: [join(fixtures, "tasks")] });
    expect(described.config.description).toContain("Questions about");
    expect(described.places.doc_to_text).toMatch(/_letters\.yaml:8$/);
    expect(described.places.task).toMatch(/letters\.yaml:2$/);
  });

  it("suggests a name", async () => {
    await expect(describeTasks({ task: "made_leters", include: [join(fixtures, "tasks")] })).rejects.toThrow(
      "did you mean made_letters?",
    );
  });

  it("selects by pattern, tag and folder", () => {
    const registry = new TaskRegistry();
    registry.addFolder(join(fixtures, "tasks"));
    const names = (spec: string) => [...registry.select([spec]).tasks.keys()];
    expect(names("made_sums*")).toEqual(["made_sums", "made_sums_same_split", "made_sums_samples"]);
    expect(names("made")).toEqual(["made_letters", "made_letters_random"]);
    expect(names(join(fixtures, "tasks"))).toHaveLength(11);
  });
});

describe("eval check", () => {
  it("passes a task that can run", async () => {
    expect(await check("runs.yaml", RUNS)).toMatchObject({ name: "t", kind: "task", runs: true, obstacles: [] });
  });

  it("names what stops a task", async () => {
    const more = [
      "process_docs: !function utils.process_docs",
      "output_type: multiple_choice",
      "doc_to_choice: '{{ a | nofilter }}'",
      "metric_list: [{metric: rouge}, {metric: acc, aggregation: !function m.agg}]",
      "filter_list: [{name: f, filter: [{function: regexp}]}]",
      "fewshot_config: {sampler: balanced}",
    ];
    const { obstacles, runs } = await check("stops.yaml", `${RUNS}${more.join("\n")}\n`);
    expect(runs).toBe(false);
    expect(obstacles).toEqual([
      "process_docs: !function utils.process_docs",
      "metric_list.aggregation: !function m.agg",
      "fewshot_config.sampler: balanced is unknown",
      "metric_list: rouge is no metric of multiple_choice",
      expect.stringContaining("filter_list.f: the filter"),
      expect.stringContaining("doc_to_choice: line 1 of the template: No filter named 'nofilter'"),
    ]);
  });

  const faults: readonly (readonly [string, RegExp])[] = [
    [`${RUNS}doc_to_txt: x\n`, /line 6: unknown key doc_to_txt; did you mean doc_to_text\?$/],
    [
      `${RUNS}fewshot_config:\n  split: a\n  smples: []\n`,
      /line 8: unknown key smples in fewshot_config; did you mean samples\?$/,
    ],
    [`${RUNS}output_type: choice\n`, /line 6: output_type must be one of/],
    [`${RUNS}num_fewshot: five\n`, /line 6: num_fewshot must be a whole number, not "five"/],
    [`${RUNS}metric_list:\n  - aggregation: mean\n`, /line 6: an entry of metric_list has no metric/],
    ["group: g\ntask: []\ndescrption: x\n", /line 3: unknown key descrption in a group; did you mean description\?/],
    ["group: g\ntask: [nothing_like_it]\n", /there is no task, group or tag/],
    ["task: t\ninclude: missing.yaml\n", /line 2: cannot read .*missing\.yaml/],
    ["- task: t\n", /is no mapping/],
    ["task: t\ninclude: fault.yaml\n", /includes .*fault\.yaml/],
  ];
  it.each(faults)("%j is a fault", async (source, message) => {
    const { kind, obstacles } = await check("fault.yaml", source);
    expect(kind).toBe("broken");
    expect(obstacles.join()).toMatch(message);
  });

  it("reads the data if it is given", async () => {
    const { runs, obstacles } = await check("data.yaml", RUNS, folder);
    expect(runs).toBe(false);
    expect(obstacles[0]).toContain("the split");
  });
});

describe("requests that cannot be built", () => {
  it("name the task, the document, the key and its line", async () => {
    const { buildRequests } = await import("../../../src/eval/harness/requests.js");
    const path = write(
      "fails.yaml",
      "task: t\ndataset_path: d\ntest_split: test\ndoc_to_target: a\ndoc_to_text: |\n  x\n  {{ b.c }}\n",
    );
    const task = new TaskRegistry().select([path]).tasks.get("t")!;
    const documents = {
      evaluated: [
        { a: "1", b: { c: 1 } },
        { a: "2", b: {} },
      ],
      fewshot: null,
    };
    await expect(buildRequests(task, documents)).rejects.toThrow(
      /task t, document 1: .*fails\.yaml line 5: doc_to_text fails: line 2 of the template: .*'c'/,
    );
  });
});
