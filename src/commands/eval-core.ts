import { z } from "zod";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "CORE and Extended of DCLM from evaluation files: the mean accuracy of 22 tasks, and of all tasks of the table, each " +
    "centred so that guessing scores 0. The meta table gives each task's chance level: eval_meta_data.csv for version 2, " +
    "eval_meta_data_v1.csv for version 1. An aggregate with a missing task is null.",
  options: z.object({
    results: z
      .array(z.string())
      .min(1)
      .describe("evaluation files of DCLM: accuracies by task in eval_metrics.icl")
      .meta({ value: "RESULTS.json" }),
    meta: z.string().describe("table of tasks with their chance levels in percent").meta({ value: "META.csv" }),
  }),
  positional: ["results"],
  examples: ["quern eval core evals/*.json --meta eval_meta_data.csv"],
  async run({ results, meta }, { signal, print, log }) {
    const { coreScores } = await import("../eval/index.js");
    const models = await coreScores({ results, meta, signal });
    const wide = Math.max(5, ...models.map(({ model }) => model.length));
    const number = (value: number | null) => (value === null ? "–" : value.toFixed(4)).padStart(10);
    print(`${"model".padEnd(wide)}      core  extended  file`);
    for (const { model, core, extended, file, missing } of models) {
      if (missing.length > 0) log(`warning: ${file} has no result for ${missing.join(", ")}`);
      print(`${model.padEnd(wide)}${number(core)}${number(extended)}  ${file}`);
    }
    return { models };
  },
});
