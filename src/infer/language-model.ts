/**
 * @file The interface of a language model, local or on a server: log-likelihoods of continuations, log-likelihoods of
 * whole texts, and generation. The three requests are those of lm-evaluation-harness (Gao et al., EleutherAI).
 */
import type { OnProgress } from "../progress.js";
import type { Tokenizer } from "../tokenizer/index.js";
import type { Prompt } from "./prompts.js";
import type { Division } from "./scoring.js";
import type { TextCompletion } from "./text-completion.js";

export interface LikelihoodRequest {
  readonly context: string;
  /** The text to score, with the space that separates it from the context. */
  readonly continuation: string;
}

export interface LogLikelihood {
  /** Natural logarithm of the continuation's probability given the context. */
  readonly logLikelihood: number;
  /** Whether greedy decoding would produce the continuation. */
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
  /** Completions from a server have empty `tokens`: servers return neither ids nor the sampling distribution. */
  readonly completions: readonly TextCompletion[];
}

export interface RequestOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  /** Called for each request that was truncated to fit the model, with a message and the request's index. */
  readonly onWarning?: (warning: string, index: number) => void;
}

export interface ScoreRequestOptions extends RequestOptions {
  /** Processes that divide the work of a local model; servers ignore it. */
  readonly division?: Division;
}

export interface GenerationOptions extends RequestOptions {
  /** Maximum tokens of a completion. Default 200. */
  readonly tokens?: number;
  /** Maximum tokens of a prompt; a longer one loses its start. Default the model's context. Servers ignore it. */
  readonly promptTokens?: number;
  /** Completions per prompt; completion i uses `seed` + i. Default 1. */
  readonly n?: number;
  /** Default 0. */
  readonly seed?: number;
  /** 0 is greedy decoding. Default .8 (servers use their own default). */
  readonly temperature?: number;
  /** Samples from the k likeliest tokens; 0 means all. Default 50 (servers use their own default). */
  readonly topK?: number;
  /** Samples from the likeliest tokens whose probabilities add up to this. Default 1. */
  readonly topP?: number;
  /** Drops tokens less probable than this fraction of the likeliest token's probability. Default 0. */
  readonly minP?: number;
  /** Divides the logits of tokens already in the text. Default 1. */
  readonly repetitionPenalty?: number;
  /** The text ends before the first occurrence of any of these strings. */
  readonly stop?: readonly string[];
  /** Receives the text of a completion piece by piece, as it is decoded. */
  readonly onText?: (piece: string, prompt: number, completion: number) => void;
}

/**
 * An open model. The requests of one call are batched, and results return in request order. A result does not depend on
 * the other requests in its batch, except for rounding. A local model computes what requests have in common once: equal
 * requests, and the tokens with which several begin.
 */
export interface LanguageModel {
  readonly name: string;
  /** Context length in tokens; null if a server does not report it. */
  readonly sequence: number | null;
  /** Folders or files of the weights, that of an adapter before its base; undefined if a server keeps them. */
  readonly files?: readonly string[];
  /** The model's own; undefined if a server keeps it. */
  readonly tokenizer?: Tokenizer;
  /** Counts the tokens of a prompt; null if a server does not report it. */
  countTokens(prompt: string | Prompt): Promise<number | null>;
  /**
   * Scores continuations. Context and continuation are encoded together; the ids after the context's own belong to the
   * continuation. Trailing spaces of the context are scored with the continuation. An empty context becomes the
   * beginning-of-text token. If the model has none, the continuation's first token is not scored. A request longer than
   * the model's context loses the start of its context.
   * @throws QuernError for a continuation longer than the model's context
   */
  logLikelihood(requests: readonly LikelihoodRequest[], options?: ScoreRequestOptions): Promise<LogLikelihood[]>;
  /** Scores whole texts in windows of the model's context length. Each window sees one token of the previous window. */
  rollingLogLikelihood(texts: readonly string[], options?: ScoreRequestOptions): Promise<RollingLogLikelihood[]>;
  /**
   * Continues texts (a string is a prompt) and answers conversations. A prompt longer than the model's context loses
   * its start.
   */
  generate(prompts: readonly (string | Prompt)[], options?: GenerationOptions): Promise<Generation[]>;
  /** Frees memory and connections. */
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
