/** @file The state of requests to a decoder: each waits, runs as n completions in slots, and settles. */
import { type RandomStream, randomStream } from "../model/index.js";
import {
  type Completion,
  type GenerateCallbacks,
  type GeneratedToken,
  type GenerateRequest,
  type PromptLogprob,
  PromptTooLongError,
} from "./completion.js";
import { type ConstrainedText, constrainedText } from "./constrained-text.js";

/** The slots of a request, or of the requests of a group. */
export interface Share {
  /** Completions in a slot. */
  running: number;
  /** The step in which its last completion got a slot. */
  lastServed: number;
}

/** A request that is waiting or running. */
export interface PendingRequest {
  readonly request: GenerateRequest;
  readonly callbacks: GenerateCallbacks;
  /** The tokens of the prompt that the model sees. */
  readonly prompt: readonly number[];
  readonly n: number;
  /** Completions that got a slot. */
  started: number;
  /** Shared by the requests of a group. */
  readonly share: Share;
  /** Log-probabilities of the prompt's tokens so far; null if they are not wanted, or were reported. */
  promptLogprobs: PromptLogprob[] | null;
  /** True once it has all its completions, was aborted, or failed. */
  readonly isSettled: boolean;
  finish(index: number, completion: Completion): void;
  fail(error: unknown): void;
}

/** One completion of a request. */
export interface Sequence {
  readonly pending: PendingRequest;
  readonly index: number;
  readonly random: RandomStream;
  /** The tokens that the model sees: prompt and generated tokens, without those dropped for lack of room. */
  readonly text: number[];
  /** Tokens of the text that are prefilled as a prompt: all but the last one of the initial text. */
  prompt: number;
  /** The distinct tokens of prompt and completion, including dropped ones; null without a repetition penalty. */
  readonly seen: Set<number> | null;
  /** Occurrences of each generated token; null without a frequency or presence penalty. */
  readonly counts: Map<number, number> | null;
  readonly constraint: ConstrainedText | null;
  readonly drawn: GeneratedToken[];
}

/**
 * Begins a request.
 * @param options longest: maximum text length in tokens
 * @param settle resolves or rejects the request's promise
 * @throws PromptTooLongError, or the reason of a signal that is already aborted
 */
export function pendingRequest(
  request: GenerateRequest,
  callbacks: GenerateCallbacks,
  { longest, share }: { readonly longest: number; readonly share: Share },
  settle: { resolve(completions: Completion[]): void; reject(error: unknown): void },
): PendingRequest {
  callbacks.signal?.throwIfAborted();
  if (request.tooLong === "error" && request.prompt.length > longest) {
    throw new PromptTooLongError(request.prompt.length, longest);
  }
  const n = request.n ?? 1;
  const completions = new Array<Completion>(n);
  let left = n;
  const end = () => {
    pending.isSettled = true;
    callbacks.signal?.removeEventListener("abort", abort);
  };
  const prompt = Array.from(request.prompt).slice(-longest);
  const pending: PendingRequest & { isSettled: boolean } = {
    request,
    callbacks,
    prompt,
    n,
    promptLogprobs: request.promptLogprobs === true ? [{ id: prompt[0], logprob: null }] : null,
    started: 0,
    share,
    isSettled: false,
    finish(index, completion) {
      completions[index] = completion;
      left -= 1;
      if (left > 0) return;
      end();
      settle.resolve(completions);
    },
    fail(error) {
      end();
      settle.reject(error);
    },
  };
  const abort = () => pending.fail(callbacks.signal?.reason);
  callbacks.signal?.addEventListener("abort", abort, { once: true });
  return pending;
}

/** Whether a request gets a free slot before one that arrived earlier: it occupies fewer, or was served less recently. */
export const isBefore = ({ share: a }: PendingRequest, { share: b }: PendingRequest) =>
  a.running !== b.running ? a.running < b.running : a.lastServed < b.lastServed;

/** Begins completion `index` of a request. */
export function sequenceOf(pending: PendingRequest, index: number): Sequence {
  const { request, prompt } = pending;
  const { repetitionPenalty = 1, frequencyPenalty = 0, presencePenalty = 0, constraint, endOfText } = request;
  return {
    pending,
    index,
    random: randomStream(request.seed + index, "generate"),
    text: [...prompt],
    prompt: prompt.length - 1,
    seen: repetitionPenalty === 1 ? null : new Set(Array.from(request.prompt)),
    counts: frequencyPenalty === 0 && presencePenalty === 0 ? null : new Map(),
    constraint: constraint === undefined ? null : constrainedText(constraint, { limit: request.tokens, endOfText }),
    drawn: [],
  };
}
