import { z } from "zod";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Check lm-eval task files: which can run here, and what stops the others. Unknown keys are reported with file and line, " +
    "Python functions by name. With --data, the documents of each task that can run are read too.",
  options: z.object({
    files: z.array(z.string()).min(1).describe("task files, also in TypeScript").meta({ value: "FILE.yaml" }),
    include: z.array(z.string()).default([]).describe("folders of task files that groups name").meta({ value: "DIR" }),
    data: z
      .string()
      .optional()
      .describe("folder of data: DIR/<dataset_path>/<dataset_name>/<split>.jsonl, .json, .csv or .parquet")
      .meta({ value: "DIR" }),
  }),
  positional: ["files"],
  examples: ["quern eval check my-tasks/*.yaml", "quern eval check my-task.yaml --data data --json"],
  async run(options, { signal, print }) {
    const { checkTaskFiles } = await import("../eval/index.js");
    const files = await checkTaskFiles({ ...options, signal });
    const wide = Math.max(...files.map(({ file }) => file.length));
    for (const { file, kind, runs, obstacles } of files) {
      print(`${file.padEnd(wide)}  ${kind === "template" ? "a template" : runs ? "can run" : obstacles.join("; ")}`);
    }
    const runs = files.filter((each) => each.runs).length;
    print(`${runs} of ${files.length} files can run`);
    return { files, runs };
  },
});
