import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { groupResults } from "../../../src/eval/harness/groups.js";
import { TaskRegistry } from "../../../src/eval/harness/registry.js";

/** Of three tasks; the expected values below are lm-eval 0.4.13's `Group.aggregate` of them. */
const RESULTS = new Map<string, Readonly<Record<string, unknown>>>([
  ["a", { "acc,none": 0.5, "acc_stderr,none": 0.05, "acc,strict": 0.25, "acc_stderr,strict": 0.01, sample_len: 100 }],
  ["b", { "acc,none": 0.25, "acc_stderr,none": 0.1, "f1,none": 0.3, "f1_stderr,none": "N/A", sample_len: 20 }],
  ["c", { "acc,none": 0.75, "acc_stderr,none": 0.02, sample_len: 50 }],
]);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "quern-groups-"));
  for (const name of ["a", "b", "c"]) writeFileSync(join(folder, `${name}.yaml`), `task: ${name}\n`);
});
afterAll(() => rmSync(folder, { recursive: true }));

function results(aggregates: string): unknown {
  const path = join(folder, "g.yaml");
  writeFileSync(path, `group: g\ntask: [a, {group: i, task: [b, c]}]\n${aggregates}`);
  return groupResults(new TaskRegistry().select([path]).groups.get("g")!, RESULTS);
}

describe("results of a group equal lm-eval's", () => {
  it("weighted by documents, under every filter", () => {
    expect(results("aggregate_metric_list: {metric: acc}\n")).toEqual({
      alias: "g",
      name: "g",
      sample_len: 170,
      "acc,none": expect.closeTo(0.5441176470588235, 14),
      "acc_stderr,none": expect.closeTo(0.032251433830906624, 14),
      "acc,strict": 0.25,
      "acc_stderr,strict": expect.closeTo(0.01, 14),
      sample_count: { "acc,none": 170, "acc,strict": 100 },
    });
  });

  it("unweighted, and of a metric without an error", () => {
    const list = "[{metric: acc, filter_list: [none], weight_by_size: no}, {metric: f1, filter_list: none}]";
    expect(results(`group_alias: G\naggregate_metric_list: ${list}\n`)).toEqual({
      alias: "G",
      name: "g",
      sample_len: 170,
      "acc,none": 0.5,
      "acc_stderr,none": expect.closeTo(0.03785938897200183, 14),
      "f1,none": 0.3,
      "f1_stderr,none": "N/A",
      sample_count: { "acc,none": 170, "f1,none": 20 },
    });
  });

  it("without metrics", () => {
    expect(results("")).toEqual({ alias: "g", name: "g" });
  });
});
