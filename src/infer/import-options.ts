/** @file The option schema of `quern import` and `importModel()`. */
import { z } from "zod";
import { forceOption } from "../options.js";

export const importOptions = z.object({
  file: z
    .string()
    .describe("model as a GGUF file (llama, gpt2 or qwen3; F32, F16, BF16, Q8_0, Q4_0 or Q4_1)")
    .meta({ value: "FILE.gguf" }),
  out: z.string().describe("output folder").meta({ value: "DIR" }),
  force: forceOption,
  dtype: z
    .enum(["f32", "f16", "bf16"])
    .optional()
    .describe(
      "dtype of the weights (default the smallest that preserves their values: f32, unless the file has 16 bits)",
    ),
});
