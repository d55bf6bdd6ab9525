/** @file What a run keeps of itself: `run.json` and the lines of `metrics.jsonl`. */
import type { FusionSavings } from "./fusion.js";

/** What a run writes into `run.json`; what is not known yet is absent. */
export interface RunRecord {
  readonly version?: string;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly plan?: Readonly<Record<string, unknown>>;
  readonly machine?: Readonly<Record<string, unknown>> | string;
  readonly seed?: number;
  readonly git?: string;
  readonly created?: string;
  readonly result?: RunResult;
}

/** Bits a byte of the same held-out bytes: the model's, and of what it is compared with. */
export interface Verdict {
  readonly bits_per_byte?: number;
  readonly gzip_bits_per_byte?: number;
  readonly xz_bits_per_byte?: number;
  readonly brotli_bits_per_byte?: number;
  /** An interpolated 5-gram model over the same tokens. */
  readonly ngram_bits_per_byte?: number;
  readonly heldout_bytes?: number;
}

export interface SourceVerdict extends Verdict {
  readonly source: string;
}

export interface RunResult extends Verdict {
  /** The same of each source, where the text comes from several. */
  readonly sources?: readonly SourceVerdict[];
  /** What the n-gram model learnt from. */
  readonly ngram_training_tokens?: number;
  /** What fusing the program's operations saved. */
  readonly fusion?: FusionSavings;
  readonly samples?: readonly { readonly prompt: string; readonly before?: string; readonly after?: string }[];
}

/** A line of `metrics.jsonl`: of a training step, or of a validation. */
export interface MetricsLine {
  readonly step: number;
  readonly loss?: number;
  readonly learning_rate?: number;
  readonly gradient_norm?: number;
  /** Trained on so far. */
  readonly tokens?: number;
  readonly tokens_per_second?: number;
  /** Share of the machine's measured peak, 0 to 1. */
  readonly peak_share?: number;
  /** Since the run began. */
  readonly seconds?: number;
  readonly validation_loss?: number;
  /** e to the validation loss. */
  readonly perplexity?: number;
  /** What the model says at this step. */
  readonly samples?: readonly { readonly prompt: string; readonly text: string }[];
  readonly bits_per_byte?: number;
}
