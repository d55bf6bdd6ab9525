import { z } from "zod";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "List the tasks, groups and tags of lm-eval task files, whether each task can run here, and what stops the others. The data " +
    "of the tasks is not read. Without --include, the built-in tasks are listed.",
  options: z.object({
    include: z.array(z.string()).default([]).describe("folders of task files").meta({ value: "DIR" }),
    cache: z
      .boolean()
      .default(true)
      .describe("keep the list in the cache")
      .meta({ off: "read all files again, and keep nothing in the cache" }),
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
  async run(options, { json, print, log }) {
    // This file alone: loading all of the stage takes longer than listing from the cache.
    const { listTasks, listTasksAsJson } = await import("../eval/harness/task-list.js");
    const given = { ...options, onWarning: (warning: string) => log(`warning: ${warning}`) };
    if (json) {
      process.stdout.write(`${await listTasksAsJson(given)}\n`);
      return null;
    }
    const { files, runs, tasks, groups, tags, broken } = await listTasks(given);
    const wide = Math.max(4, ...tasks.map(({ name }) => name.length));
    const lines = tasks.map((task) => {
      const what = task.runs ? [task.output_type, task.dataset].filter(Boolean).join("  ") : task.obstacles.join("; ");
      return `${task.runs ? "runs " : "stops"}  ${task.name.padEnd(wide)}  ${what}`;
    });
    for (const { name, file } of groups) lines.push(`group  ${name.padEnd(wide)}  ${file}`);
    for (const { name, tasks: members } of tags) lines.push(`tag    ${name.padEnd(wide)}  ${members.length} tasks`);
    if (lines.length > 0) print(lines.join("\n"));
    for (const { path, message } of broken) log(`warning: ${path} was skipped: ${message}`);
    print(`${runs} of ${tasks.length} tasks can run; ${groups.length} groups, ${tags.length} tags, ${files} files`);
    return null;
  },
});
