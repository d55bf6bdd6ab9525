/** @file The options of `quern scale predict` and `predictRun()`. */
import { z } from "zod";
import { forceOption } from "../../options.js";

export const predictOptions = z.object({
  law: z.string().describe("law.json of quern scale fit").meta({ value: "FILE" }),
  flops: z.number().positive().optional().describe("training budget in FLOPs").meta({ value: "F" }),
  minutes: z.number().positive().optional().describe("training budget in minutes on this machine").meta({ value: "M" }),
  hours: z.number().positive().optional().describe("training budget in hours on --hardware").meta({ value: "H" }),
  hardware: z.string().default("h100").describe("hardware of --hours").meta({ value: "NAME" }),
  gpus: z.int().min(1).default(1).describe("number of its devices").meta({ value: "G" }),
  mfu: z.number().gt(0).max(1).default(0.4).describe("share of its peak that training reaches").meta({ value: "X" }),
  params: z
    .number()
    .positive()
    .optional()
    .describe("size, instead of the best one for the budget")
    .meta({ value: "N" }),
  tokens: z
    .number()
    .positive()
    .optional()
    .describe("training tokens; with --params instead of a budget")
    .meta({ value: "D" }),
  served: z
    .number()
    .positive()
    .optional()
    .describe("tokens to be served: the cheapest model of the same loss over training and serving")
    .meta({ value: "T" }),
  vocabSize: z
    .int()
    .min(257)
    .optional()
    .describe("vocabulary of the plan (default: from the budget)")
    .meta({ value: "N" }),
  out: z.string().optional().describe("file for the plan, which quern pretrain --plan takes").meta({ value: "FILE" }),
  check: z
    .boolean()
    .default(false)
    .describe("train the plan on the text of the law's sweep, and report whether the interval held"),
  sweep: z
    .string()
    .optional()
    .describe("folder of the sweep whose tokens --check trains on (default: the one that the law was fitted to)")
    .meta({ value: "SWEEP" }),
  threads: z.int().min(1).max(256).optional().describe("threads of --check (default: all cores)").meta({ value: "N" }),
  force: forceOption,
});
export type CheckedPredictOptions = z.output<typeof predictOptions>;
