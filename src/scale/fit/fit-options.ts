/** @file The options of `quern scale fit` and `fitScalingLaw()`. */
import { z } from "zod";
import { forceOption } from "../../options.js";

export const fitOptions = z.object({
  runs: z
    .string()
    .describe("folder of a sweep (runs.csv, or run folders), or a table of runs as .csv")
    .meta({ value: "SWEEP|FILE.csv" }),
  approach: z
    .enum(["parametric", "isoflop", "envelope", "kaplan"])
    .default("parametric")
    .describe(
      "form of the law: parametric E + A/N^alpha + B/D^beta, parabolas per budget, lower envelope, or Kaplan's",
    ),
  columns: z
    .array(z.string())
    .default([])
    .describe(
      "columns of a table with other names: params=…,tokens=…,flops=…,loss=… (also params_without_embeddings, unique_tokens, " +
        "learning_rate, batch, bits_per_byte, accuracy, run, status)",
    )
    .meta({ value: "NAME=COLUMN,…", separator: "," }),
  dropHighest: z.int().min(0).default(0).describe("leave out the N runs with the highest losses").meta({ value: "N" }),
  bootstrap: z
    .int()
    .min(0)
    .max(100_000)
    .default(4000)
    .describe("bootstrap refits for the intervals; 0 gives none")
    .meta({ value: "N" }),
  seed: z.int().min(0).default(0).describe("seed of the bootstrap").meta({ value: "S" }),
  chance: z
    .number()
    .min(0)
    .lt(1)
    .optional()
    .describe("accuracy of guessing, 0 to 1, for the fit of accuracy over loss (default: that of --evals, else fitted)")
    .meta({ value: "X" }),
  evals: z
    .string()
    .optional()
    .describe(
      "folder of evaluations, one per run (quern eval --model RUN --out DIR/RUN): their accuracy over loss is fitted",
    )
    .meta({ value: "DIR" }),
  task: z.string().optional().describe("task of --evals (default: the only one)").meta({ value: "NAME" }),
  metric: z
    .string()
    .optional()
    .describe("metric of the task, between 0 and 1, such as acc_norm (default: acc)")
    .meta({ value: "NAME" }),
  threads: z.int().min(1).max(64).default(2).describe("worker threads").meta({ value: "N" }),
  out: z.string().optional().describe("folder for law.json and report.html").meta({ value: "DIR" }),
  force: forceOption,
});
export type CheckedFitOptions = z.output<typeof fitOptions>;
