/** @file Requests to a decoder and their completions, in tokens. */
import type { SamplingOptions } from "./sampling.js";

/** A prompt to continue. */
export interface GenerateRequest extends SamplingOptions {
  /** At least one token. A prompt longer than the model's sequence loses its start. */
  readonly prompt: ArrayLike<number>;
  /** Maximum tokens to generate; 0 computes only the logits. */
  readonly tokens: number;
  /** Completion i uses `seed` + i. */
  readonly seed: number;
  /** Completions of the prompt; default 1. */
  readonly n?: number;
  /** Ids that end the text; `Completion.tokens` does not include them. */
  readonly endOfText: readonly number[];
}

export interface GeneratedToken {
  readonly id: number;
  /** Natural logarithm of its probability under the model: the log-softmax of the raw logits. */
  readonly logprob: number;
  /** The same under the sampling distribution, after temperature, filters and penalty. */
  readonly samplingLogprob: number;
}

export interface Completion {
  readonly tokens: readonly GeneratedToken[];
  /** The token of `endOfText` that ended it; null if none did. */
  readonly end: GeneratedToken | null;
  /** `stop`: the end of the text, or `onToken` returned true. `length`: the maximum number of tokens. */
  readonly finishReason: "stop" | "length";
}

export interface GenerateCallbacks {
  /** Ends the request, which rejects with the signal's reason and frees its slots. */
  readonly signal?: AbortSignal;
  /**
   * Called with each sampled token of completion `index`, except the one that ends the text. Returning true ends the
   * completion, as a stop string does.
   */
  readonly onToken?: (token: GeneratedToken, index: number) => boolean | undefined;
  /** Called once with the logits (V) of the token after the prompt, valid during the call, and their log Σ exp. */
  readonly onLogits?: (logits: Float32Array, logSumExp: number) => void;
}
