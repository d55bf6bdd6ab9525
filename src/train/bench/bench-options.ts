/** @file The options of `quern bench`. */
import { z } from "zod";

export const BENCHMARKS = ["train", "decode", "gemm", "attention", "shakespeare"] as const;

export const benchOptions = z.object({
  what: z
    .enum(BENCHMARKS)
    .describe(
      "train: optimizer steps; decode: one sequence or --batch of them, token by token; gemm, attention: single kernels; " +
        "shakespeare: trains and evaluates nanoGPT's character model for CPUs",
    ),
  preset: z.enum(["gpt2-124m", "llama-3m"]).default("llama-3m").describe("model (ignored by shakespeare)"),
  batch: z
    .int()
    .min(1)
    .optional()
    .describe("sequences per step (default 16; gpt2-124m 4; decode 1)")
    .meta({ value: "B" }),
  sequence: z.int().min(2).default(256).describe("sequence length, in tokens").meta({ value: "T" }),
  dtype: z.enum(["fp32", "bf16"]).default("fp32").describe("dtype of the matrix products").meta({ value: "D" }),
  threads: z.int().min(1).max(256).optional().describe("threads (default all cores)").meta({ value: "N" }),
  steps: z
    .int()
    .min(1)
    .optional()
    .describe("timed steps, tokens or rounds (default 10; decode 64; shakespeare 2,000)")
    .meta({ value: "N" }),
  seeds: z.int().min(1).default(3).describe("models that shakespeare trains, one per seed").meta({ value: "N" }),
  text: z
    .array(z.string())
    .min(1)
    .optional()
    .describe(
      "files or folders of text (default: Moby-Dick, downloaded once; for shakespeare tinyshakespeare.txt in " +
        "$QUERN_SHARED/data/text)",
    )
    .meta({ value: "PATH" }),
});
