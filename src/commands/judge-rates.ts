import { z } from "zod";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Win rates from stored judgements in AlpacaEval's annotation format, in percent: mean preference with its standard " +
    "error and 95 % interval, discrete win rate, and with --length-controlled the win rate at equal lengths. --weights " +
    "takes AlpacaEval's table of coefficients; without it they are fitted on the judgements of each model.",
  options: z.object({
    annotations: z
      .array(z.string())
      .min(1)
      .describe("annotation files: JSON arrays or JSON lines, .gz too")
      .meta({ value: "ANNOTATIONS.json" }),
    lengthControlled: z.boolean().default(false).describe("also compute length-controlled win rates"),
    weights: z
      .string()
      .optional()
      .describe("CSV of length-control coefficients by model (default: fit them)")
      .meta({ value: "FILE.csv" }),
    difficulty: z
      .string()
      .optional()
      .describe("difficulty of each instruction: JSON lines {instruction, difficulty}")
      .meta({ value: "FILE.jsonl" }),
    within: z
      .number()
      .positive()
      .max(50)
      .optional()
      .describe("also report how many judgements a 95 % interval of ± this many points takes")
      .meta({ value: "POINTS" }),
  }),
  positional: ["annotations"],
  examples: [
    "quern judge rates alpaca-7b.annotations.json falcon-7b.annotations.json",
    "quern judge rates alpaca-7b.annotations.json --length-controlled --weights weights.csv --difficulty difficulty.jsonl",
  ],
  async run(options, { signal, print, log }) {
    const { judgeRates } = await import("../eval/index.js");
    const { models, warnings } = await judgeRates({ ...options, signal });
    for (const warning of warnings) log(`warning: ${warning}`);
    const wide = Math.max(5, ...models.map(({ model }) => model.length));
    print(
      `${"model".padEnd(wide)}  win rate  error  95 % interval  discrete  equal length  longer wins  length      n`,
    );
    const number = (value: number | null, room: number, digits: number) =>
      (value === null ? "–" : value.toFixed(digits)).padStart(room);
    for (const row of models) {
      const { interval } = row;
      const range = interval === null ? "–" : `${interval.lower.toFixed(1)} to ${interval.upper.toFixed(1)}`;
      print(
        row.model.padEnd(wide) +
          number(row.win_rate, 10, 2) +
          number(row.standard_error, 7, 2) +
          range.padStart(15) +
          number(row.discrete_win_rate, 10, 2) +
          number(row.length_controlled_winrate, 14, 2) +
          number(row.longer_preferred, 13, 1) +
          number(row.avg_length, 8, 0) +
          number(row.n_total, 7, 0),
      );
    }
    for (const { model, judgements_needed } of models) {
      if (judgements_needed !== null) print(`${model}: ${judgements_needed} judgements for ± ${options.within} points`);
    }
    return { models, warnings };
  },
});
