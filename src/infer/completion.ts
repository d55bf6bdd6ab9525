/** @file Requests to a decoder and their completions, in tokens. */
import { QuernError } from "../errors.js";
import type { SamplingOptions } from "./sampling.js";
import type { CompiledConstraint } from "./token-constraint.js";

/** A prompt to continue. */
export interface GenerateRequest extends SamplingOptions {
  /** At least one token. */
  readonly prompt: ArrayLike<number>;
  /** What happens to a prompt longer than the model's sequence: it loses its start (the default), or the request fails. */
  readonly tooLong?: "truncate" | "error";
  /**
   * Whether a text that outgrows the model's sequence loses its oldest half and continues. False ends it with the finish
   * reason `length`. Default true.
   */
  readonly contextShift?: boolean;
  /** Maximum tokens to generate; 0 computes only the logits. */
  readonly tokens: number;
  /** Completion i uses `seed` + i. */
  readonly seed: number;
  /** Completions of the prompt; default 1. */
  readonly n?: number;
  /** Ids that end the text; `Completion.tokens` does not include them. */
  readonly endOfText: readonly number[];
  /** Reports the log-probabilities of this many likeliest tokens at each position, 0 to 20; default none. */
  readonly topLogprobs?: number;
  /** Reports the log-probabilities of the prompt's own tokens through `onPromptLogprobs`; default false. */
  readonly promptLogprobs?: boolean;
  /** Limits the tokens of each completion. At the token limit, its shortest completion is forced. */
  readonly constraint?: CompiledConstraint;
}

/** A token with its log-probability in nats. */
export interface TokenLogprob {
  readonly id: number;
  readonly logprob: number;
}

/** A token of a prompt. */
export interface PromptLogprob {
  readonly id: number;
  /** Natural logarithm of its probability under the model, given the tokens before; null for the first token. */
  readonly logprob: number | null;
  /** The likeliest tokens in its place, the likeliest first; absent without `topLogprobs` and for the first token. */
  readonly top?: readonly TokenLogprob[];
}

export interface GeneratedToken {
  readonly id: number;
  /** Natural logarithm of its probability under the model: the log-softmax of the raw logits. */
  readonly logprob: number;
  /** The same under the sampling distribution, after temperature, filters and penalty. */
  readonly samplingLogprob: number;
  /** The likeliest tokens in its place, the likeliest first, from the raw logits; absent without `topLogprobs`. */
  readonly top?: readonly TokenLogprob[];
}

export interface Completion {
  readonly tokens: readonly GeneratedToken[];
  /** The token of `endOfText` that ended it; null if none did. */
  readonly end: GeneratedToken | null;
  /**
   * `stop`: the end of the text, `onToken` returned true, or the constraint allows nothing more. `length`: the maximum number
   * of tokens, or the model's sequence without `contextShift`.
   */
  readonly finishReason: "stop" | "length";
}

/** How a request began. */
export interface PromptStart {
  /** Tokens of the prompt that the model sees. */
  readonly promptTokens: number;
  /** The tokens of these that were in the cache. */
  readonly cachedTokens: number;
}

export interface GenerateCallbacks {
  /** Ends the request, which rejects with the signal's reason and frees its slots. */
  readonly signal?: AbortSignal;
  /** Requests with the same object count as one when slots are assigned: all requests get the same share. */
  readonly group?: object;
  /**
   * Called with each sampled token of completion `index`, except the one that ends the text. Returning true ends the
   * completion, as a stop string does.
   */
  readonly onToken?: (token: GeneratedToken, index: number) => boolean | undefined;
  /** Called once with the logits (V) of the token after the prompt, valid during the call, and their log Σ exp. */
  readonly onLogits?: (logits: Float32Array, logSumExp: number) => void;
  /** Called once, when the request's first completion gets a slot. */
  readonly onStart?: (start: PromptStart) => void;
  /** Called once before the first token, if `promptLogprobs` is set. */
  readonly onPromptLogprobs?: (tokens: readonly PromptLogprob[]) => void;
}

/** A prompt that does not fit the model's context. */
export class PromptTooLongError extends QuernError {
  readonly promptTokens: number;
  /** The model's context length in tokens. */
  readonly contextTokens: number;

  constructor(promptTokens: number, contextTokens: number) {
    super(
      `the prompt has ${promptTokens} tokens, but the model's context length is ${contextTokens} tokens; shorten the prompt`,
      { exitCode: 2 },
    );
    this.promptTokens = promptTokens;
    this.contextTokens = contextTokens;
  }
}
