/** @file The models that are measured, each with the tokenizer that its tokens come from. */
import { defineModel, type ModelConfig } from "../../model/index.js";
import { type Tokenizer, trainTokenizer } from "../../tokenizer/index.js";

export type PresetName = "llama-3m";

export interface Preset {
  readonly model: (sequence: number) => ModelConfig;
  /** Sequences a step where nothing else is said. */
  readonly batch: number;
  /** A tokenizer whose ids the model has rows for. */
  readonly tokenizer: (texts: readonly string[], signal?: AbortSignal) => Promise<Tokenizer>;
}

export const PRESETS: Readonly<Record<PresetName, Preset>> = {
  "llama-3m": {
    model: (sequence) => defineModel({ layers: 4, width: 192, heads: 6, vocabSize: 8192, sequence }),
    batch: 16,
    tokenizer: (texts, signal) => trainTokenizer(texts, { vocabSize: 8192, signal }),
  },
};
