/** @file The result of a comparison: perplexities of several models, or of one model under several tokenizers. */
import type { PerplexityResult } from "./perplexity.js";

/** One model's total under one way to divide the text. */
export interface DividedScore {
  /** The model's own tokenizer, another one, or a unit that no tokenizer chooses: `words`, `bytes`. */
  readonly tokenizer: string;
  readonly kind: "model" | "tokenizer" | "unit";
  readonly tokens: number;
  readonly bytes_per_token: number;
  /** e to the power of nats per token: differs although the model is the same. */
  readonly perplexity: number;
  /** The same for every tokenizer. */
  readonly bits_per_byte: number;
}

export interface PerplexityComparison extends PerplexityResult {
  /** The model itself and those of `against`. */
  readonly models: readonly Pick<PerplexityResult, "model" | "total" | "domains" | "sequence" | "stride">[];
  /** The model's own tokenizer, those of `tokenizers`, then words and bytes. */
  readonly tokenizers: readonly DividedScore[];
  readonly html?: string;
}
