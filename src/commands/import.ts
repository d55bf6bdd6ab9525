import { importOptions } from "../infer/import-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Convert a GGUF file to a Hugging Face folder: weights, configuration, tokenizer and chat template. transformers and vLLM " +
    "load it with the same logits. Quern itself needs no import: every verb that takes a model also takes a .gguf file.",
  options: importOptions,
  positional: ["file"],
  examples: [
    "quern import smollm2.gguf --out models/smollm2",
    "quern import model.gguf --out models/half --dtype bf16",
  ],
  async run(options, { signal, onProgress, print }) {
    const { importModel } = await import("../infer/index.js");
    const imported = await importModel({ ...options, signal, onProgress });
    const { out, family, parameters, dtype, vocab_size, chat_template } = imported;
    const chat = chat_template ? ", with a chat template" : "";
    print(`${family}, ${parameters} parameters as ${dtype}, ${vocab_size} tokens${chat}; written to ${out}`);
    return imported;
  },
});
