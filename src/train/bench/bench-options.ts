/** @file The options of `quern bench`. */
import { z } from "zod";
import type { WeightType } from "../../infer/index.js";

export const BENCHMARKS = ["train", "decode", "inference", "gemm", "attention", "shakespeare"] as const;

const TYPES = ["f32", "stored", "bf16", "f16", "q8_0", "q4_0", "q4_k", "q6_k"] as const satisfies readonly WeightType[];

export const benchOptions = z.object({
  what: z
    .enum(BENCHMARKS)
    .describe(
      "train: optimizer steps; decode: one sequence or --batch of them, token by token; " +
        "inference: a prompt and --streams texts with stored weights; gemm, attention: single kernels; " +
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
  model: z
    .string()
    .optional()
    .describe(
      "model of inference: a run, a model folder, a .gguf file or hf://OWNER/NAME (default: the preset, untrained)",
    )
    .meta({ value: "MODEL" }),
  type: z
    .enum(TYPES)
    .default("f32")
    .describe("how inference stores matrices in memory; stored keeps the blocks of a .gguf file")
    .meta({ value: "TYPE" }),
  streams: z.int().min(1).max(256).default(1).describe("texts that inference decodes at once").meta({ value: "N" }),
  promptTokens: z.int().min(1).default(512).describe("prompt length of inference, in tokens").meta({ value: "P" }),
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
