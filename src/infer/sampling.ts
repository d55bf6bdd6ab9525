/**
 * @file Choosing the next token from logits: the filters of transformers' `generate`, with their meaning and in their
 * order (repetition penalty, temperature, top-k, top-p, min-p), then one draw.
 */

export interface SamplingOptions {
  /** 0 takes the likeliest token; 1 samples from the model's own distribution; between, a sharper one. */
  readonly temperature: number;
  /** Only the k likeliest tokens are drawn from, and any as likely as the last of them; 0 means all. */
  readonly topK: number;
  /** Only the likeliest tokens that together have this probability are drawn from; 1 (the default) means all. */
  readonly topP?: number;
  /** Only tokens at least this many times as likely as the likeliest are drawn from; 0 (the default) means all. */
  readonly minP?: number;
  /** What the logit of a token that the text already has is divided by (multiplied where it is below 0); 1 is off. */
  readonly repetitionPenalty?: number;
}

/** The tokens that may come next and how likely each is. */
export interface Candidates {
  /** Ascending. */
  readonly ids: Uint32Array;
  /** Of each, before the draw: they sum to 1. */
  readonly probabilities: Float64Array;
}

/**
 * The token that a uniform number in (0, 1) picks from logits (V). Among equally likely ones the smallest id comes
 * first, so that the choice depends on nothing but the numbers.
 * @param seen ids of the text so far, for the repetition penalty
 */
export function chooseToken(
  logits: Float32Array,
  options: SamplingOptions,
  uniform: number,
  seen: Iterable<number> = [],
): number {
  if (options.temperature === 0) return likeliest(penalised(logits, options.repetitionPenalty ?? 1, seen));
  const { ids, probabilities } = candidates(logits, options, seen);
  let rest = uniform;
  for (let i = 0; i < ids.length; i++) {
    rest -= probabilities[i];
    if (rest < 0) return ids[i];
  }
  return ids[ids.length - 1]; // rounding left a crumb
}

/** What `chooseToken` draws from at a temperature above 0. At least one token is always left. */
export function candidates(
  logits: Float32Array,
  { temperature, topK, topP = 1, minP = 0, repetitionPenalty = 1 }: SamplingOptions,
  seen: Iterable<number> = [],
): Candidates {
  const scores = penalised(logits, repetitionPenalty, seen);
  let least = Number.NEGATIVE_INFINITY;
  if (topK > 0 && topK < scores.length) least = nthLargest(scores, topK);
  const top = scores[likeliest(scores)];
  // p ≥ minP · p(likeliest), in logits; comparing with the likeliest alone, it may come before top-p is applied or after.
  const floor = minP > 0 ? Math.min(top, top + temperature * Math.log(minP)) : Number.NEGATIVE_INFINITY;
  let kept = idsFrom(scores, least);
  let weights = Float64Array.from(kept, (id) => Math.exp((scores[id] - top) / temperature));
  if (topP < 1) {
    const order = Array.from(kept.keys()).sort((a, b) => weights[b] - weights[a] || kept[a] - kept[b]);
    const wanted = topP * sum(weights);
    let mass = 0;
    let count = 0;
    while (count < order.length && (count === 0 || mass < wanted)) mass += weights[order[count++]];
    const inside = order.slice(0, count).sort((a, b) => a - b);
    kept = Uint32Array.from(inside, (i) => kept[i]);
    weights = Float64Array.from(inside, (i) => weights[i]);
  }
  if (minP > 0) {
    const inside = Array.from(kept.keys()).filter((i) => scores[kept[i]] >= floor);
    kept = Uint32Array.from(inside, (i) => kept[i]);
    weights = Float64Array.from(inside, (i) => weights[i]);
  }
  const total = sum(weights);
  return { ids: kept, probabilities: weights.map((weight) => weight / total) };
}

/** Keskar et al., arXiv:1909.05858; a token counts once, however often the text has it. */
function penalised(logits: Float32Array, penalty: number, seen: Iterable<number>): Float32Array {
  if (penalty === 1) return logits;
  const scores = logits.slice();
  for (const id of new Set(seen)) {
    if (id < scores.length) scores[id] = scores[id] < 0 ? scores[id] * penalty : scores[id] / penalty;
  }
  return scores;
}

function likeliest(logits: Float32Array): number {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if (logits[id] > logits[best]) best = id;
  return best;
}

function idsFrom(scores: Float32Array, least: number): Uint32Array<ArrayBuffer> {
  const ids = new Uint32Array(scores.length);
  let count = 0;
  for (let id = 0; id < scores.length; id++) if (scores[id] >= least) ids[count++] = id;
  return ids.slice(0, count);
}

/**
 * The n-th largest value, by quickselect (Hoare's FIND, 1961): a vocabulary is sorted in milliseconds, as long as a small
 * model takes for the token itself, and this takes a tenth of it.
 */
function nthLargest(values: Float32Array, n: number): number {
  const work = values.slice();
  const wanted = n - 1;
  let [low, high] = [0, work.length - 1];
  while (low < high) {
    const pivot = work[(low + high) >> 1];
    let [i, j] = [low, high];
    while (i <= j) {
      while (work[i] > pivot) i++;
      while (work[j] < pivot) j--;
      if (i > j) break;
      const value = work[i];
      work[i++] = work[j];
      work[j--] = value;
    }
    if (wanted <= j) high = j;
    else if (wanted >= i) low = i;
    else break;
  }
  return work[wanted];
}

function sum(values: Float64Array): number {
  return values.reduce((total, value) => total + value, 0);
}
