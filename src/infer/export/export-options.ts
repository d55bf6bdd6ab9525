/** @file The option schema of `quern export` and `exportModel()`. */
import { z } from "zod";
import { FILE_TYPE_NAMES } from "../../model/index.js";
import { forceOption } from "../../options.js";

export const exportOptions = z.object({
  model: z
    .string()
    .describe("model: a run, a checkpoint, a Hugging Face folder, a LoRA adapter, a .gguf file or hf://OWNER/NAME")
    .meta({ value: "RUN|DIR|FILE" }),
  gguf: z.string().optional().describe("GGUF file to write").meta({ value: "FILE" }),
  ollama: z
    .string()
    .optional()
    .describe("folder to write for `ollama create`: model.gguf and a Modelfile with the chat template")
    .meta({ value: "DIR" }),
  type: z
    .enum(FILE_TYPE_NAMES)
    .default("f32")
    .describe("type of most matrices; norms and biases are f32, and quantised files keep the head at 6 bits or more"),
  force: forceOption,
});
