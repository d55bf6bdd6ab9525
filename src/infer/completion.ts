/** @file What is asked of a decoder, and what it gives: prompts and their completions, in tokens. */
import type { SamplingOptions } from "./sampling.js";

/** A prompt to continue. */
export interface GenerateRequest extends SamplingOptions {
  /** At least one token. What is longer than the model's sequence loses its beginning. */
  readonly prompt: ArrayLike<number>;
  /** Most tokens to add; 0 for the logits alone. */
  readonly tokens: number;
  /** Completion i draws with `seed` + i. */
  readonly seed: number;
  /** Completions of the prompt; default 1. */
  readonly n?: number;
  /** Ids at which the text is over; they are not among a completion's `ids`. */
  readonly endOfText: readonly number[];
}

export interface GeneratedToken {
  readonly id: number;
  /** Natural logarithm of its probability under the model: the softmax of the raw logits. */
  readonly logprob: number;
  /** The same under the distribution that it was drawn from: after temperature, filters and penalty. */
  readonly samplingLogprob: number;
}

export interface Completion {
  readonly tokens: readonly GeneratedToken[];
  /** The token of `endOfText` that ended it; null where none did. */
  readonly end: GeneratedToken | null;
  /** `stop`: at the end of the text, or where `onToken` ended it. `length`: all tokens that were asked for. */
  readonly finishReason: "stop" | "length";
}

export interface GenerateCalls {
  /** Ends the request: it rejects with the signal's reason, and its slots are free. */
  readonly signal?: AbortSignal;
  /**
   * Called with each token of completion `index` as it is drawn, but not with the one that ends the text. True ends the
   * completion there, as a stop string does.
   */
  readonly onToken?: (token: GeneratedToken, index: number) => boolean | undefined;
  /** Called once with the logits (V) of the token after the prompt, which hold until it returns, and their log Σ exp. */
  readonly onLogits?: (logits: Float32Array, logSumExp: number) => void;
}
