import { z } from "zod";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "List the tasks, groups and tags of lm-eval task files, whether each task can run here, and what stops the others. The data " +
    "of the tasks is not read. Without --include, the built-in tasks are listed.",
  options: z.object({
    include: z.array(z.string()).default([]).describe("folders of task files").meta({ value: "DIR" }),
    pattern: z
      .string()
      .default("*")
      .describe("only names that match; * and ? stand for any characters")
      .meta({ value: "P" }),
  }),
  examples: [
    "quern eval list",
    "quern eval list --include lm_eval/tasks",
    "quern eval list --include my-tasks --pattern 'mmlu_*' --json",
  ],
  async run({ include, pattern }, { print, log }) {
    const { listTasks } = await import("../eval/index.js");
    const result = listTasks({ include, pattern });
    const wide = Math.max(4, ...result.tasks.map(({ name }) => name.length));
    for (const { name, runs, output_type, dataset, obstacles } of result.tasks) {
      const what = runs ? [output_type, dataset].filter(Boolean).join("  ") : obstacles.join("; ");
      print(`${runs ? "runs " : "stops"}  ${name.padEnd(wide)}  ${what}`);
    }
    for (const { name, file } of result.groups) print(`group  ${name.padEnd(wide)}  ${file}`);
    for (const { name, tasks } of result.tags) print(`tag    ${name.padEnd(wide)}  ${tasks.length} tasks`);
    for (const { path, message } of result.broken) log(`warning: ${path} was skipped: ${message}`);
    print(
      `${result.runs} of ${result.tasks.length} tasks can run; ${result.groups.length} groups, ` +
        `${result.tags.length} tags, ${result.files} files`,
    );
    return result;
  },
});
