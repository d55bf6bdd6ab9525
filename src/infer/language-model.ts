/**
 * @file What a language model can be asked, whatever runs it: log-likelihoods of continuations and of whole texts, and
 * generation. The three requests are those of lm-evaluation-harness (Gao et al., EleutherAI).
 */
import type { OnProgress } from "../progress.js";
import type { Prompt } from "./prompts.js";
import type { TextCompletion } from "./text-completion.js";

export interface LikelihoodRequest {
  readonly context: string;
  /** The text whose log-likelihood is wanted; a space between words belongs to it. */
  readonly continuation: string;
}

export interface LogLikelihood {
  /** Natural logarithm of the continuation's probability given the context. */
  readonly logLikelihood: number;
  /** Whether greedy decoding would give the continuation. */
  readonly isGreedy: boolean;
  /** Tokens of the continuation. */
  readonly tokens: number;
}

export interface RollingLogLikelihood {
  /** Natural logarithm of the text's probability. */
  readonly logLikelihood: number;
  /** Tokens scored. */
  readonly tokens: number;
}

export interface Generation {
  readonly prompt: string | Prompt;
  /** A server's have no `tokens`: it gives neither ids nor the distribution that was drawn from. */
  readonly completions: readonly TextCompletion[];
}

export interface RequestOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  /** Called with a sentence about each request that was shortened to fit the model. */
  readonly onWarning?: (warning: string) => void;
}

export interface GenerationOptions extends RequestOptions {
  /** Most tokens of a completion. Default 200. */
  readonly tokens?: number;
  /** Completions of each prompt; completion i is drawn with `seed` + i. Default 1. */
  readonly n?: number;
  /** Default 0. */
  readonly seed?: number;
  /** 0 takes the likeliest token each time. Default .8 (servers: their own). */
  readonly temperature?: number;
  /** Tokens drawn from; 0 means all. Default 50 (servers: their own). */
  readonly topK?: number;
  /** Tokens are drawn from the likeliest that together have this probability. Default 1. */
  readonly topP?: number;
  /** Tokens less likely than this share of the likeliest are not drawn. Default 0. */
  readonly minP?: number;
  /** Divides the logits of tokens that the text has already. Default 1. */
  readonly repetitionPenalty?: number;
  /** The text ends before the first of these strings. */
  readonly stop?: readonly string[];
  /** Receives the text of a completion piece by piece, as it is decoded. */
  readonly onText?: (piece: string, prompt: number, completion: number) => void;
}

/**
 * A model that stays open. Requests of one call are batched, longest first, and their results come back in the order of the
 * requests; what else is in a batch does not change a result.
 */
export interface LanguageModel {
  readonly name: string;
  /** Tokens of its context; null where a server does not say. */
  readonly sequence: number | null;
  /** Tokens of a prompt; null where a server does not say. */
  countTokens(prompt: string | Prompt): Promise<number | null>;
  /**
   * Log-likelihoods of continuations. The context's trailing spaces are scored with the continuation, whose ids are those of
   * context and continuation together beyond the context's own. An empty context is the token that begins a text; where the
   * model has none, the continuation's first token is not scored. Requests longer than the model lose the context's beginning.
   * @throws QuernError for a continuation longer than the model's context
   */
  logLikelihood(requests: readonly LikelihoodRequest[], options?: RequestOptions): Promise<LogLikelihood[]>;
  /** Log-likelihoods of whole texts, in disjoint windows of the model's context that see one token of the window before. */
  rollingLogLikelihood(texts: readonly string[], options?: RequestOptions): Promise<RollingLogLikelihood[]>;
  /** Continues texts (a string is a prompt) and answers conversations. A prompt longer than the model's context loses its beginning. */
  generate(prompts: readonly (string | Prompt)[], options?: GenerationOptions): Promise<Generation[]>;
  /** Frees memory and connections. */
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
