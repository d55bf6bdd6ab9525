/** @file The next token of a text: sampled, or forced by a constraint, with its log-probabilities. */
import { QuernError } from "../errors.js";
import type { Completion, GeneratedToken, TokenLogprob } from "./completion.js";
import type { Scores } from "./decoding-program.js";
import type { Sequence } from "./pending-requests.js";
import { largestLogits, type Sampler } from "./sampling.js";

/** The scores of the token after one row. */
export interface RowScores {
  /** (V) */
  readonly logits: Float32Array;
  readonly logSumExp: number;
  /** (V / b); see `Scores` */
  readonly masses: Float32Array;
}

export function rowOf({ logits, logSumExp, masses }: Scores, i: number): RowScores {
  const V = logits.length / logSumExp.length;
  const blocks = masses.length / logSumExp.length;
  return {
    logits: logits.subarray(i * V, (i + 1) * V),
    logSumExp: logSumExp[i],
    masses: masses.subarray(i * blocks, (i + 1) * blocks),
  };
}

/** Returns the `count` likeliest tokens; nothing if `count` is 0. */
export function topOf(logits: Float32Array, logSumExp: number, count: number): { top?: readonly TokenLogprob[] } {
  if (count === 0) return {};
  return { top: largestLogits(logits, count).map((id) => ({ id, logprob: logits[id] - logSumExp })) };
}

/**
 * Samples the next token of a text and reports it.
 * @param longest maximum text length in tokens
 * @returns how the completion ended; null if it continues
 */
export function drawToken(
  sampler: Sampler,
  sequence: Sequence,
  scores: RowScores,
  longest: number,
): Omit<Completion, "tokens"> | null {
  const { pending, index, drawn, text, constraint } = sequence;
  const { request, callbacks } = pending;
  const { logits, logSumExp } = scores;
  if (!Number.isFinite(logSumExp)) {
    throw new QuernError("the model's logits are NaN or infinite: its weights are damaged, or training diverged");
  }
  if (index === 0 && drawn.length === 0) callbacks.onLogits?.(logits, logSumExp);
  if (pending.promptLogprobs !== null) {
    callbacks.onPromptLogprobs?.(pending.promptLogprobs);
    pending.promptLogprobs = null;
  }
  if (request.tokens === 0) return { end: null, finishReason: "length" };
  const chosen = choose(sampler, sequence, scores);
  if (chosen === null) return { end: null, finishReason: "stop" };
  const { id } = chosen;
  const top = topOf(logits, logSumExp, request.topLogprobs ?? 0);
  const token: GeneratedToken = { id, logprob: logits[id] - logSumExp, samplingLogprob: chosen.logprob, ...top };
  if (request.endOfText.includes(id)) return { end: token, finishReason: "stop" };
  drawn.push(token);
  if (callbacks.onToken?.(token, index) === true) return { end: null, finishReason: "stop" };
  const isFull = text.length === longest && request.contextShift === false;
  if (drawn.length < request.tokens && !isFull) return null;
  return { end: null, finishReason: constraint?.isOver ? "stop" : "length" };
}

/** Draws a token or takes the one that a constraint forces; null if a constrained text ends here. */
function choose(sampler: Sampler, sequence: Sequence, scores: RowScores) {
  const { pending, random, drawn, seen, counts, constraint } = sequence;
  const { request } = pending;
  const drawWith = (mask?: Uint32Array) =>
    sampler.draw(scores.logits, request, random.uniform(drawn.length), {
      seen: seen ?? [],
      counts: counts ?? undefined,
      mask,
      totals: scores,
    });
  if (constraint === null) return drawWith();
  let logprob = 0;
  const next = constraint.next((mask) => {
    const found = drawWith(mask);
    logprob = found.logprob;
    return found.id;
  });
  return next && { id: next.id, logprob: next.isForced ? 0 : logprob };
}
