import { pushOptions } from "../train/push/push-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Upload a model to the Hugging Face Hub as one commit: weights, configuration, tokenizer, and a model card with data, figures, " +
    "license and base model. HF_TOKEN must be a token with write access. Training state and logs are not uploaded.",
  options: pushOptions,
  positional: ["model", "address"],
  examples: [
    "quern push runs/first hf://USER/first --license apache-2.0 --dry-run",
    "quern push runs/first hf://USER/first --license apache-2.0",
  ],
  async run(options, { signal, onProgress, print, log }) {
    const { pushModel } = await import("../train/index.js");
    const onWarning = (warning: string) => log(`warning: ${warning}`);
    const pushed = await pushModel({ ...options, signal, onProgress, onWarning });
    const { card, files, bytes, url, commit } = pushed;
    if (options.dryRun) {
      print(card);
      for (const file of files) print(`${String(file.bytes).padStart(12)}  ${file.path}`);
      print(`${files.length} files, ${bytes} bytes, for ${url}; nothing was uploaded`);
    } else print(`${files.length} files, ${bytes} bytes, uploaded to ${url} (${commit})`);
    return pushed;
  },
});
