/** @file The options of `quern scale sweep` and `sweepRuns()`. */
import { z } from "zod";
import { executorOptions } from "../../executors/index.js";
import { forceOption } from "../../options.js";
import { SCHEDULES } from "../../train/index.js";

export const sweepOptions = z.object({
  text: z
    .array(z.string())
    .min(1)
    .optional()
    .describe(
      "training text: files or folders of .txt, .md, .jsonl (also .gz, .zst), .parquet; tokenized once (default: the starter corpus)",
    )
    .meta({ value: "PATH" }),
  data: z
    .string()
    .optional()
    .describe("token shards written by `quern tokenizer encode`; instead of --text")
    .meta({ value: "SHARDS" }),
  textField: z
    .string()
    .min(1)
    .optional()
    .describe('key of JSON lines, or column of Parquet, that contains the text (default "text")')
    .meta({ value: "NAME" }),
  strict: z.boolean().optional().describe("stop at the first damaged file or line instead of skipping it"),
  tokenizer: z
    .string()
    .optional()
    .describe("tokenizer of the shards or the text (default: one is trained on the text)")
    .meta({ value: "DIR" }),
  out: z.string().describe("folder of the sweep: runs.csv, and a run folder per run").meta({ value: "SWEEP" }),
  force: forceOption,
  flops: z
    .array(z.number().min(1e6))
    .min(1)
    .optional()
    .describe("training budgets in FLOPs; each is spent on every size")
    .meta({ value: "F,F,…", separator: "," }),
  minutes: z
    .number()
    .positive()
    .optional()
    .describe(
      "time for the whole sweep here; budgets and sizes are chosen to fill it, and it ends in time; instead of --flops",
    )
    .meta({ value: "M" }),
  sizes: z
    .int()
    .min(1)
    .max(20)
    .optional()
    .describe(
      "model sizes per budget, around the dial's best one (default 5; 1 if only rates, batches or mixtures vary)",
    )
    .meta({ value: "N" }),
  vary: z
    .array(z.string())
    .default([])
    .describe(
      "vary a setting in every run: lr=R,R,… (peak rates), batch=B,… (sequences per step), seed=S,…, mix=natural,A:2+B:1,… " +
        "(weights of sources), or tokens=D,… (training tokens, instead of --flops)",
    )
    .meta({ value: "NAME=V,V,…" }),
  schedule: z
    .enum(SCHEDULES)
    .optional()
    .describe(
      "learning rate schedule after the warm-up (default cosine); with wsd, the token counts of a size share one run up to their decays",
    ),
  vocabSize: z
    .int()
    .min(257)
    .max(1 << 20)
    .optional()
    .describe("vocabulary of all runs (default: from the largest budget and the text)")
    .meta({ value: "N" }),
  sequence: z.int().min(2).optional().describe("sequence length, in tokens (default 256)").meta({ value: "T" }),
  heldOut: z
    .int()
    .min(256)
    .default(32_768)
    .describe("held-out tokens that the loss of every run is measured on")
    .meta({ value: "N" }),
  seed: z.int().min(0).default(0).describe("seed of the initial weights and of the text's order").meta({ value: "S" }),
  dtype: z.enum(["auto", "fp32", "bf16"]).optional().describe("dtype of the matrix products (default auto)"),
  threads: z.int().min(1).max(256).default(1).describe("threads of each run").meta({ value: "N" }),
  workers: z
    .int()
    .min(1)
    .max(256)
    .optional()
    .describe("runs at the same time here (default: cores / --threads)")
    .meta({ value: "N" }),
  resume: z.boolean().default(false).describe("continue the sweep in --out; finished runs are kept"),
  dryRun: z
    .boolean()
    .default(false)
    .describe("print the runs with FLOPs, hours and disk space, from a speed measured here; write nothing"),
  ...executorOptions,
});
export type CheckedSweepOptions = z.output<typeof sweepOptions>;
