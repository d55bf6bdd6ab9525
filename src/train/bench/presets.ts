/** @file The benchmarked models, each with its tokenizer. */
import { defineModel, type ModelConfig } from "../../model/index.js";
import { publishedTokenizer, type Tokenizer, trainTokenizer } from "../../tokenizer/index.js";

export type PresetName = "gpt2-124m" | "llama-3m";

export interface Preset {
  readonly model: (sequence: number) => ModelConfig;
  /** Default sequences per step. */
  readonly batch: number;
  /** Makes a tokenizer that fits the model's vocabulary. */
  readonly tokenizer: (texts: readonly string[], signal?: AbortSignal) => Promise<Tokenizer>;
}

export const PRESETS: Readonly<Record<PresetName, Preset>> = {
  "gpt2-124m": {
    // Always GPT-2's full position table, for any sequence length.
    model: () => defineModel({ family: "gpt2", layers: 12, width: 768, heads: 12, vocabSize: 50257, sequence: 1024 }),
    batch: 4,
    tokenizer: (_texts, signal) => publishedTokenizer("gpt2", { signal }),
  },
  "llama-3m": {
    model: (sequence) => defineModel({ layers: 4, width: 192, heads: 6, vocabSize: 8192, sequence }),
    batch: 16,
    tokenizer: (texts, signal) => trainTokenizer(texts, { vocabSize: 8192, signal }),
  },
};
