import { z } from "zod";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Describe a task, group or tag of lm-eval task files, or a built-in one: its keys after includes and overrides, the file and line of each, " +
    "and what stops it from running.",
  options: z.object({
    task: z
      .string()
      .describe("name of a task, group or tag, a pattern, or a YAML or TypeScript file")
      .meta({ value: "TASK" }),
    include: z.array(z.string()).default([]).describe("folders of task files").meta({ value: "DIR" }),
  }),
  positional: ["task"],
  examples: [
    "quern eval describe agreement",
    "quern eval describe arc_easy --include lm_eval/tasks",
    "quern eval describe my-task.yaml --json",
  ],
  async run(options, { print }) {
    const { describeTasks } = await import("../eval/index.js");
    const described = await describeTasks(options);
    for (const { name, kind, file, runs, obstacles, config, places, children } of described) {
      print(`${kind} ${name}${file === null ? "" : `  (${file})`}: ${runs ? "can run" : "cannot run"}`);
      for (const obstacle of obstacles) print(`  stopped by ${obstacle}`);
      for (const [key, value] of Object.entries(config)) {
        const place = places[key] === undefined ? "" : `  # ${places[key]}`;
        print(`  ${key}: ${JSON.stringify(value)}${place}`);
      }
      if (children.length > 0) print(`  holds ${children.join(", ")}`);
    }
    return { described };
  },
});
