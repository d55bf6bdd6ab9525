/** @file The option schema of `quern quantise` and `quantiseModel()`. */
import { z } from "zod";
import { readingOptions } from "../../documents/index.js";
import { FILE_TYPE_NAMES } from "../../model/index.js";
import { forceOption } from "../../options.js";

export const quantiseOptions = z.object({
  model: z
    .string()
    .describe("model: a run, a checkpoint, a Hugging Face folder, a LoRA adapter, a .gguf file or hf://OWNER/NAME")
    .meta({ value: "RUN|DIR|FILE" }),
  type: z
    .array(z.enum(FILE_TYPE_NAMES))
    .min(1)
    .describe("types of the file's matrices, as llama.cpp names them: q8_0, q4_k_m …; several write a file each")
    .meta({ value: "T", separator: "," }),
  out: z
    .string()
    .describe("GGUF file to write; with several types, each adds its name, as in model-q8_0.gguf")
    .meta({ value: "FILE" }),
  report: z.boolean().default(false).describe("measure bits per byte, size and tokens/s of the model and of each file"),
  text: z
    .array(z.string())
    .default([])
    .describe(
      "held-out text for the bits per byte, which implies --report: text, JSONL or Parquet files or folders (default texts " +
        "sampled from the model)",
    )
    .meta({ value: "FILE" }),
  samples: z
    .int()
    .min(1)
    .default(16)
    .describe("texts of 128 tokens to sample if there is no --text")
    .meta({ value: "N" }),
  ...readingOptions,
  tokens: z.int().min(8).default(64).describe("tokens to decode for the tokens/s").meta({ value: "N" }),
  seed: z.int().min(0).default(1).describe("seed of the sampled texts").meta({ value: "N" }),
  threads: z.int().min(1).max(256).optional().describe("threads (default all cores)").meta({ value: "N" }),
  force: forceOption,
});
