import { QuernError } from "../errors.js";
import { exportOptions } from "../infer/export/export-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Convert a model to a GGUF file, which llama.cpp loads: weights, configuration, tokenizer and chat template. With --ollama, " +
    "writes a folder for Ollama. A LoRA adapter is folded into its base. Prints a warning for each text that llama.cpp would encode differently, with an example.",
  options: exportOptions,
  examples: [
    "quern export --model runs/first --gguf first.gguf",
    "quern export --model runs/chat --gguf chat-bf16.gguf --type bf16",
    "quern export --model runs/chat --ollama chat/ --type q8_0 && ollama create chat -f chat/Modelfile",
  ],
  async run(options, { signal, onProgress, print, log, named }) {
    if ((options.gguf === undefined) === (options.ollama === undefined)) {
      throw new QuernError(`give either ${named("gguf")} FILE or ${named("ollama")} DIR`, { exitCode: 2 });
    }
    const { exportModel } = await import("../infer/index.js");
    const onWarning = (warning: string) => log(`warning: ${warning}`);
    const exported = await exportModel({ ...options, signal, onProgress, onWarning });
    const { gguf, family, parameters, type, bytes, vocab_size, chat_template } = exported;
    const chat = chat_template ? ", with a chat template" : "";
    print(
      `${family}, ${parameters} parameters as ${type}, ${vocab_size} tokens${chat}; ${bytes} bytes written to ${gguf}`,
    );
    if (exported.modelfile !== undefined) print(`next: ollama create NAME -f ${exported.modelfile}`);
    return exported;
  },
});
