import { mergeOptions } from "../align/merge-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Merge a LoRA adapter into its base model and write a Hugging Face folder. PEFT adapters can be merged too. Quern itself " +
    "needs no merge: every verb that takes a model also takes a run or folder with an adapter.",
  options: mergeOptions,
  examples: [
    "quern merge --model smollm2.gguf --adapter runs/lora --out models/merged",
    "quern merge --adapter runs/lora --out models/merged --dtype bf16",
  ],
  async run(options, { signal, onProgress, print }) {
    const { merge } = await import("../align/index.js");
    const merged = await merge({ ...options, signal, onProgress });
    print(`${merged.adapter} folded into ${merged.model}; ${merged.parameters} parameters written to ${merged.out}`);
    return merged;
  },
});
