/** @file The options of `quern merge` and `merge()`. */
import { z } from "zod";
import { forceOption } from "../options.js";

export const mergeOptions = z.object({
  model: z
    .string()
    .optional()
    .describe(
      "base model: a run, a Hugging Face folder, a .gguf file or hf://OWNER/NAME (default: the one the adapter names)",
    )
    .meta({ value: "DIR" }),
  adapter: z.string().describe("LoRA adapter: a run, or a PEFT folder").meta({ value: "RUN|DIR" }),
  out: z.string().describe("folder of the merged model").meta({ value: "DIR" }),
  force: forceOption,
  dtype: z.enum(["f32", "f16", "bf16"]).optional().describe("dtype of the weights (default f32)"),
});
