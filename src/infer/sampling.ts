/**
 * @file Samples the next token from logits (V). The filters and their order are those of transformers' `generate`:
 * repetition penalty, temperature, top-k, top-p, min-p.
 */

export interface SamplingOptions {
  /** 0 is greedy; 1 samples from the model's own distribution; lower values sharpen it, higher ones flatten it. */
  readonly temperature: number;
  /** Keeps the k likeliest tokens, and any that tie with the last of them; 0 means all. */
  readonly topK: number;
  /** Keeps the likeliest tokens whose probabilities add up to this; 1 (the default) means all. */
  readonly topP?: number;
  /** Keeps tokens whose probability is at least this fraction of the likeliest one's; 0 (the default) means all. */
  readonly minP?: number;
  /** Divides the positive logits of tokens already in the text and multiplies the negative ones; 1 is off. */
  readonly repetitionPenalty?: number;
}

/** The tokens left after filtering, with their probabilities. */
export interface Candidates {
  /** Ascending. */
  readonly ids: Uint32Array;
  /** One per id; they sum to 1. */
  readonly probabilities: Float64Array;
}

export interface Draw {
  readonly id: number;
  /** Log-probability in nats under the filtered distribution: 0 at temperature 0. */
  readonly logprob: number;
}

/** Samples tokens. It reuses its buffers: allocating a vocabulary of numbers per token costs more than the draw. */
export interface Sampler {
  /**
   * Returns the token that a uniform number in (0, 1) selects. Ties are ordered by id, so the result depends only on
   * the arguments.
   * @param logits (V)
   * @param seen distinct ids of the text so far, for the repetition penalty
   * @param logSumExp log Σ eˡ of the logits, if known: a draw from all tokens at temperature 1 then need not read all of them
   */
  draw(
    logits: Float32Array,
    options: SamplingOptions,
    uniform: number,
    seen?: Iterable<number>,
    logSumExp?: number,
  ): Draw;
  /** Returns the distribution that `draw` samples from at a temperature above 0. It always has at least one token. */
  candidates(logits: Float32Array, options: SamplingOptions, seen?: Iterable<number>): Candidates;
}

/** Logits per block. A block is skipped if its largest logit is below the threshold. */
const BLOCK = 32;

export function createSampler(): Sampler {
  let ids = new Uint32Array(0); // (V), the first `count` are candidates
  let weights = new Float64Array(0); // (V), unnormalized probabilities of the candidates
  let sorted = new Float64Array(0); // (V), scratch of lightestKept
  let scores = new Float32Array(0); // (V), logits after the repetition penalty
  let work = new Float32Array(0); // (V), scratch of nthLargest
  let largest = new Float32Array(0); // (V / BLOCK), the largest logit of each block
  let picked = new Float32Array(0); // (V), the candidates' logits

  /** Repetition penalty (Keskar et al., arXiv:1909.05858). Repeated occurrences of a token count once. */
  const penalise = (logits: Float32Array, penalty: number, seen: Iterable<number>): Float32Array => {
    if (penalty === 1) return logits;
    if (scores.length !== logits.length) scores = new Float32Array(logits.length);
    scores.set(logits);
    for (const id of seen) {
      if (id < logits.length) scores[id] = logits[id] < 0 ? logits[id] * penalty : logits[id] / penalty;
    }
    return scores;
  };

  /** Filters the first `count` candidates in place and returns how many are left. */
  const keep = (count: number, isKept: (i: number) => boolean): number => {
    let left = 0;
    for (let i = 0; i < count; i++) {
      if (!isKept(i)) continue;
      ids[left] = ids[i];
      weights[left++] = weights[i];
    }
    return left;
  };

  /** Writes the candidates to `ids` and `weights`, ascending by id, and returns their number. */
  const select = (logits: Float32Array, options: SamplingOptions, seen: Iterable<number>): number => {
    const { temperature, topK, topP = 1, minP = 0, repetitionPenalty = 1 } = options;
    const size = logits.length;
    const blocks = Math.ceil(size / BLOCK);
    if (ids.length < size) {
      ids = new Uint32Array(size);
      weights = new Float64Array(size);
      sorted = new Float64Array(size);
      work = new Float32Array(size);
      picked = new Float32Array(size);
      largest = new Float32Array(blocks);
    }
    const given = penalise(logits, repetitionPenalty, seen);
    const top = largestOfBlocks(given, largest);
    // p ≥ minP · p(likeliest), in logits. Only the likeliest token matters, so min-p may run before or after top-p.
    const floor = minP > 0 ? Math.min(top, top + temperature * Math.log(minP)) : Number.NEGATIVE_INFINITY;
    let least = topP === 1 ? floor : Number.NEGATIVE_INFINITY;
    // The k blocks with the largest maxima contain k tokens at least as large as the smallest of those maxima.
    if (topK > 0 && topK < blocks) least = Math.max(least, nthLargest(largest, blocks, topK, work));
    let count = 0;
    for (let block = 0; block < blocks; block++) {
      if (largest[block] < least) continue;
      const end = Math.min(size, (block + 1) * BLOCK);
      for (let id = block * BLOCK; id < end; id++) if (given[id] >= least) ids[count++] = id;
    }
    if (topK > 0 && topK < count) {
      for (let i = 0; i < count; i++) picked[i] = given[ids[i]];
      const kth = nthLargest(picked, count, topK, work);
      count = keep(count, (i) => picked[i] >= kth);
    }
    for (let i = 0; i < count; i++) weights[i] = expOfNegative((given[ids[i]] - top) / temperature);
    if (topP < 1) {
      const wanted = topP * sum(weights, count);
      const lightest = lightestKept(weights, count, wanted, sorted);
      let heavier = 0;
      for (let i = 0; i < count; i++) if (weights[i] > lightest) heavier += weights[i];
      let ties = Math.max(1, Math.ceil((wanted - heavier) / lightest));
      count = keep(count, (i) => weights[i] > lightest || (weights[i] === lightest && ties-- > 0));
      if (minP > 0) count = keep(count, (i) => given[ids[i]] >= floor);
    }
    return count;
  };

  return {
    draw(logits, options, uniform, seen = [], logSumExp) {
      if (options.temperature === 0) {
        return { id: likeliest(penalise(logits, options.repetitionPenalty ?? 1, seen)), logprob: 0 };
      }
      if (logSumExp !== undefined && isUnfiltered(options)) {
        const id = indexAtMass(logits, logSumExp, uniform);
        if (id !== null) return { id, logprob: logits[id] - logSumExp };
      }
      const count = select(logits, options, seen);
      const total = sum(weights, count);
      let rest = uniform * total;
      let i = 0;
      // Rounding may leave a remainder after the last candidate.
      for (; i < count - 1; i++) {
        rest -= weights[i];
        if (rest < 0) break;
      }
      return { id: ids[i], logprob: Math.log(weights[i] / total) };
    },
    candidates(logits, options, seen = []) {
      const count = select(logits, options, seen);
      const total = sum(weights, count);
      return { ids: ids.slice(0, count), probabilities: weights.slice(0, count).map((weight) => weight / total) };
    },
  };
}

/** Returns the ids of the k largest logits (V), the largest first; ties are ordered by id. */
export function largestLogits(logits: Float32Array, k: number): number[] {
  const { length } = logits;
  const least = k < length ? nthLargest(logits, length, k, new Float32Array(length)) : Number.NEGATIVE_INFINITY;
  const found: number[] = [];
  for (let id = 0; id < length; id++) if (logits[id] >= least) found.push(id);
  return found.sort((a, b) => logits[b] - logits[a] || a - b).slice(0, k);
}

/** Whether the model's own distribution is sampled. */
const isUnfiltered = ({ temperature, topK, topP = 1, minP = 0, repetitionPenalty = 1 }: SamplingOptions) =>
  temperature === 1 && topK === 0 && topP === 1 && minP === 0 && repetitionPenalty === 1;

/**
 * Returns the first id at which the probabilities add up to more than `mass`; null if rounding lets no id reach it. Byte-level BPE
 * numbers its tokens by frequency, so this usually ends early.
 */
function indexAtMass(logits: Float32Array, logSumExp: number, mass: number): number | null {
  let rest = mass;
  for (let id = 0; id < logits.length; id++) {
    rest -= expOfNegative(Math.min(0, logits[id] - logSumExp));
    if (rest < 0) return id;
  }
  return null;
}

function likeliest(logits: Float32Array): number {
  let best = 0;
  let top = logits[0];
  for (let id = 1; id < logits.length; id++) {
    if (logits[id] > top) {
      top = logits[id];
      best = id;
    }
  }
  return best;
}

/** Writes the maximum of each block and returns the overall maximum. */
function largestOfBlocks(values: Float32Array, largest: Float32Array): number {
  let top = Number.NEGATIVE_INFINITY;
  for (let block = 0, i = 0; i < values.length; block++) {
    const end = Math.min(values.length, i + BLOCK);
    let most = values[i++];
    for (; i < end; i++) {
      const value = values[i];
      if (value > most) most = value;
    }
    largest[block] = most;
    if (most > top) top = most;
  }
  return top;
}

/** Returns the n-th largest of the first `length` values, by quickselect (Hoare's FIND, 1961). */
function nthLargest(values: Float32Array, length: number, n: number, work: Float32Array): number {
  for (let i = 0; i < length; i++) work[i] = values[i];
  const wanted = n - 1;
  let low = 0;
  let high = length - 1;
  while (low < high) {
    const pivot = work[(low + high) >> 1];
    let i = low;
    let j = high;
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

/** Returns the smallest weight among the fewest largest weights whose sum reaches `wanted`: quickselect by mass. */
function lightestKept(weights: Float64Array, count: number, wanted: number, work: Float64Array): number {
  for (let i = 0; i < count; i++) work[i] = weights[i];
  let low = 0;
  let high = count - 1;
  let before = 0; // mass left of `low`, all kept
  while (low < high) {
    const pivot = work[(low + high) >> 1];
    let i = low;
    let j = high;
    while (i <= j) {
      while (work[i] > pivot) i++;
      while (work[j] < pivot) j--;
      if (i > j) break;
      const value = work[i];
      work[i++] = work[j];
      work[j--] = value;
    }
    let left = before;
    for (let at = low; at <= j; at++) left += work[at];
    if (left >= wanted) high = j;
    else {
      before = left + (i - 1 - j) * pivot; // entries between j and i equal the pivot
      if (before >= wanted) return pivot;
      if (i > high) return work[high]; // due to rounding, all weights together are below `wanted`
      low = i;
    }
  }
  return work[low];
}

/** 2^(i/64) for i from 0 to 63, and 2^−i for i from 0 to 1,074. */
const ROOTS = Float64Array.from({ length: 64 }, (_, i) => 2 ** (i / 64));
const HALVES = Float64Array.from({ length: 1075 }, (_, i) => 2 ** -i);

/** eˣ for x ≤ 0, to 12 digits. `Math.exp` over a vocabulary takes as long as running a small model. */
function expOfNegative(x: number): number {
  if (!(x > -700)) return Math.exp(x);
  const sixtyFourths = Math.floor(x * (64 / Math.LN2));
  const rest = x - sixtyFourths * (Math.LN2 / 64);
  const polynomial = 1 + rest * (1 + rest * (1 / 2 + rest * (1 / 6 + rest * (1 / 24 + rest / 120))));
  return polynomial * ROOTS[sixtyFourths & 63] * HALVES[-(sixtyFourths >> 6)];
}

function sum(values: Float64Array, count: number): number {
  let total = 0;
  for (let i = 0; i < count; i++) total += values[i];
  return total;
}
