/**
 * @file Runs the n completions of one prompt. Each is a request of its own to the model's decoder, so that each ends on its own;
 * they share one prefill.
 */
import { setMaxListeners } from "node:events";
import {
  type CompiledConstraint,
  completeText,
  type PromptLogprob,
  type PromptStart,
  type TextCompletion,
  type TextPiece,
  type TextToken,
} from "../infer/index.js";
import type { Activity } from "./activity.js";
import { ApiError } from "./errors.js";
import { linkedController } from "./linked-controller.js";
import type { LoadedModel } from "./models.js";
import type { Sampling } from "./requests/sampling.js";

export interface GenerationJob {
  readonly ids: ArrayLike<number>;
  /** Maximum tokens of a completion; 0 scores the prompt only. */
  readonly tokens: number;
  readonly n: number;
  readonly sampling: Sampling;
  readonly endOfText: readonly number[];
  /** Leaves special tokens out of the text. */
  readonly skipSpecial: boolean;
  /** Special tokens that stay in the text all the same. */
  readonly keptSpecial?: ReadonlySet<number>;
  /** Likeliest tokens to report at each position. */
  readonly topLogprobs: number;
  /** Reports the ids of tokens beside their texts. */
  readonly tokenIds?: boolean;
  readonly promptLogprobs?: boolean;
  readonly constraint?: CompiledConstraint;
}

export interface GenerationCallbacks {
  readonly signal: AbortSignal;
  /** Called once, when the prompt's first completion gets a slot. */
  readonly onStart?: (start: PromptStart) => void;
  /** Receives the text of completion `index` in whole characters. The last piece may have tokens but no text. */
  readonly onPiece?: (piece: TextPiece, index: number) => void;
  /** Receives a completion when it ends. */
  readonly onEnd?: (completion: Choice, index: number) => void;
  readonly onPromptLogprobs?: (tokens: readonly PromptLogprob[]) => void;
}

export interface Choice {
  readonly text: string;
  /** Tokens of the text, without those of a stop string. */
  readonly tokens: readonly TextToken[];
  /** Tokens generated, with those of a stop string. */
  readonly generated: number;
  readonly finishReason: "stop" | "length";
  /** The stop string that ended it; null if none did. */
  readonly stopString: string | null;
}

export interface GenerationResult {
  readonly choices: readonly Choice[];
  readonly promptTokens: number;
  readonly cachedTokens: number;
}

/**
 * Returns the maximum tokens of an answer: those wanted, or what the context has room for.
 * @param wanted null means as many as fit
 * @throws ApiError if the prompt does not fit the context, with both numbers
 */
export function roomFor(
  prompt: ArrayLike<number>,
  wanted: number | null,
  { context }: Pick<LoadedModel, "context">,
  param: string,
): number {
  const { length } = prompt;
  if (length > context) {
    const message = `the prompt has ${length} tokens, but the model's context is ${context}; shorten it`;
    throw new ApiError(400, message, { param, code: "context_length_exceeded" });
  }
  // The last token of a text is only predicted, so even a prompt as long as the context has a next token.
  return Math.min(wanted ?? Number.POSITIVE_INFINITY, Math.max(1, context - length));
}

/** Runs a job. An abort of the signal, or a failure of one completion, ends all of them. */
export async function runGeneration(
  model: LoadedModel,
  activity: Activity,
  job: GenerationJob,
  callbacks: GenerationCallbacks,
): Promise<GenerationResult> {
  const failed = linkedController(callbacks.signal);
  const { signal } = failed;
  setMaxListeners(0, signal);
  const { sampling, skipSpecial, keptSpecial, constraint, topLogprobs } = job;
  let start: PromptStart = { promptTokens: job.ids.length, cachedTokens: 0 };
  const run = async (_: unknown, index: number): Promise<Choice> => {
    const entry = activity.enter(model.id);
    const request = {
      ...{ ...sampling, skipSpecial, keptSpecial, constraint, topLogprobs, endOfText: job.endOfText },
      prompt: job.ids,
      tokens: job.tokens,
      seed: sampling.seed + index,
      promptLogprobs: index === 0 && job.promptLogprobs === true,
    };
    try {
      const [completion] = await completeText(model.decoder, model.tokenizer, request, {
        signal,
        group: signal, // the completions of a job
        onStart(begun) {
          entry.start();
          if (index > 0) return;
          start = begun;
          callbacks.onStart?.(begun);
        },
        onToken() {
          entry.token();
          return false;
        },
        onPiece: (piece) => callbacks.onPiece?.(piece, index),
        onPromptLogprobs: callbacks.onPromptLogprobs,
      });
      const choice = choiceOf(model, completion, sampling.stop);
      callbacks.onEnd?.(choice, index);
      return choice;
    } catch (error) {
      failed.abort(error);
      throw error;
    } finally {
      entry.end();
    }
  };
  const settled = await Promise.allSettled(Array.from({ length: job.n }, run));
  failed.unlink();
  activity.countPrompt(model.id, start);
  const choices = settled.map((each) => {
    if (each.status === "rejected") throw signal.reason; // the first failure; the others follow from it
    return each.value;
  });
  return { choices, ...start };
}

function choiceOf({ tokenizer }: LoadedModel, completion: TextCompletion, stops: readonly string[]): Choice {
  const { text, tokens, textTokens = [], end, finishReason } = completion;
  let stopString: string | null = null;
  // No token ended the text, and the limit did not: a stop string follows it.
  if (end === null && finishReason === "stop") {
    const whole = tokenizer.decode(tokens.map(({ id }) => id).filter((id) => tokenizer.has(id)));
    const at = (stop: string) => whole.indexOf(stop);
    const found = stops.filter((stop) => at(stop) >= 0);
    stopString = found.length === 0 ? null : found.reduce((first, stop) => (at(stop) < at(first) ? stop : first));
  }
  return { text, tokens: textTokens, generated: tokens.length, finishReason, stopString };
}
