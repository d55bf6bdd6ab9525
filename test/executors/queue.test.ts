import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { batchScript, divide, shellWord } from "../../src/executors/slurm/batch-script.js";
import { configNumber, elementsOf, parseAccounting, parseQueue } from "../../src/executors/slurm/commands.js";

describe("squeue's lines", () => {
  // Output of Slurm 22.05 (`squeue -h -r -t all -o "%F|%K|%T|%N|%r"`): a killed node, a cancelled array, a waiting one.
  const output = `8|0|NODE_FAIL|n1|NodeDown
8|4|RUNNING|n3|None
1|1|FAILED|n1|NonZeroExitCode
14|4|CANCELLED||Resources
13|N/A|CANCELLED||DependencyNeverSatisfied
15|4|PENDING||Resources
16|0|PENDING||launch failed requeued held
17|[5-9%2]|PENDING||JobArrayTaskLimit
18|3|COMPLETED|n2|None
`;

  it("are parsed to element states", () => {
    expect(parseQueue(output).map(({ job, element, phase }) => [job, element, phase])).toEqual([
      ["8", 0, "failed"],
      ["8", 4, "running"],
      ["1", 1, "failed"],
      ["14", 4, "cancelled"],
      ["13", undefined, "cancelled"],
      ["15", 4, "waiting"],
      ["16", 0, "failed"],
      ...[5, 6, 7, 8, 9].map((element) => ["17", element, "waiting"]),
      ["18", 3, "completed"],
    ]);
    expect(parseQueue(output)[0]).toEqual({
      job: "8",
      element: 0,
      phase: "failed",
      state: "NODE_FAIL",
      reason: "NodeDown",
      node: "n1",
    });
    expect(parseQueue("\nslurm_load_jobs error: something\n7|2\n")).toEqual([]);
    expect(parseQueue("7|2|A_STATE_OF_TOMORROW|n1|None")[0].phase).toBe("running");
  });

  it("name elements in all of Slurm's notations", () => {
    expect(elementsOf("3")).toEqual([3]);
    expect(elementsOf("[0-2,7,9-13:2%4]")).toEqual([0, 1, 2, 7, 9, 11, 13]);
    expect(elementsOf("N/A")).toEqual([undefined]);
    expect(elementsOf("[0-9,11,...]")).toEqual([undefined]);
  });
});

it("parses sacct's lines and skips job steps", () => {
  const lines =
    "12_3|CANCELLED by 1000|n1|0:15\n12_3.batch|CANCELLED|n1|0:15\n12_[4-5]|PENDING|None assigned|0:0\n9|FAILED|n2|1:0\n";
  expect(parseAccounting(lines)).toEqual([
    { job: "12", element: 3, phase: "cancelled", state: "CANCELLED", reason: "exit code 0:15", node: "n1" },
    { job: "12", element: 4, phase: "waiting", state: "PENDING", reason: undefined, node: undefined },
    { job: "12", element: 5, phase: "waiting", state: "PENDING", reason: undefined, node: undefined },
    { job: "9", element: undefined, phase: "failed", state: "FAILED", reason: "exit code 1:0", node: "n2" },
  ]);
});

it("reads a number from scontrol's configuration", () => {
  expect(configNumber("MaxArraySize            = 1001\nMaxDBDMsgs = 20012\n", "MaxArraySize")).toBe(1001);
  expect(configNumber("", "MaxArraySize")).toBeUndefined();
});

it("divides tasks among elements, in order and evenly", () => {
  const tasks = Array.from({ length: 1000 }, (_, i) => i);
  for (const most of [1, 2, 3, 7, 999, 1000, 5000]) {
    const parts = divide(tasks, most);
    expect(parts.flat()).toEqual(tasks);
    expect(parts).toHaveLength(Math.min(most, 1000));
    const sizes = parts.map(({ length }) => length);
    expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
  }
});

describe("the batch script", () => {
  const places = {
    name: "quern-clean-0",
    submission: "/a b/it's/0.json",
    elements: 2,
    folder: "/a b",
    logs: "/a b/100%/0",
  };
  const settings = {
    executor: "slurm",
    retries: 2,
    poll: 1,
    settle: 1,
    cancelOnInterrupt: false,
    command: "echo",
  } as const;

  it("quotes any path for Slurm and the shell", () => {
    const script = batchScript(places, settings);
    expect(script).toContain('--chdir="/a b"\n');
    expect(script).toContain('--output="/a b/100%%/0"-%a.out\n');
    expect(execFileSync("/bin/sh", ["-c", script], { encoding: "utf8" })).toBe(
      "data task /a b/it's/0.json --workers 1\n",
    );
    for (const word of ["", "a'b", "$HOME", "a\nb", '"', "\\"]) {
      expect(execFileSync("/bin/sh", ["-c", `printf %s ${shellWord(word)}`], { encoding: "utf8" })).toBe(word);
    }
  });

  it("rejects a path that a script cannot contain", () => {
    expect(() => batchScript({ ...places, folder: '/a"b' }, settings)).toThrow(/cannot contain the path/);
  });
});
