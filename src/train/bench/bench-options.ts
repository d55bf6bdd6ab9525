/** @file What can be measured and how: the schema of `quern bench`. */
import { z } from "zod";

export const BENCHMARKS = ["train", "decode", "gemm", "attention", "shakespeare"] as const;

export const benchOptions = z.object({
  what: z
    .enum(BENCHMARKS)
    .describe(
      "train: optimizer steps; decode: one text or --batch of them, token by token; gemm, attention: those kernels alone; shakespeare: nanoGPT's " +
        "character model for CPUs, trained and judged",
    ),
  preset: z.enum(["gpt2-124m", "llama-3m"]).default("llama-3m").describe("the model, except for shakespeare"),
  batch: z
    .int()
    .min(1)
    .optional()
    .describe("sequences a step (default 16, for gpt2-124m 4; decode 1)")
    .meta({ value: "B" }),
  sequence: z.int().min(2).default(256).describe("tokens of a sequence").meta({ value: "T" }),
  dtype: z.enum(["fp32", "bf16"]).default("fp32").describe("of the matrix products").meta({ value: "D" }),
  threads: z.int().min(1).max(256).optional().describe("threads (default all cores)").meta({ value: "N" }),
  steps: z
    .int()
    .min(1)
    .optional()
    .describe("steps, tokens or rounds that are timed (default 10; decode 64; shakespeare 2,000)")
    .meta({ value: "N" }),
  seeds: z.int().min(1).default(3).describe("models that shakespeare trains, one a seed").meta({ value: "N" }),
  text: z
    .array(z.string())
    .min(1)
    .optional()
    .describe(
      "text to take tokens from (default Moby-Dick, fetched once; for shakespeare tinyshakespeare.txt in " +
        "$QUERN_SHARED/data/text)",
    )
    .meta({ value: "PATH" }),
});
