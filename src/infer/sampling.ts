/**
 * @file Samples the next token from logits (V). The filters and their order are those of transformers' `generate`:
 * repetition penalty, temperature, top-k, top-p, min-p. OpenAI's penalties and biases follow the repetition penalty.
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
  /** Subtracted from a token's logit once per occurrence in the generated text (OpenAI); default 0. */
  readonly frequencyPenalty?: number;
  /** Subtracted from the logits of tokens in the generated text (OpenAI); default 0. */
  readonly presencePenalty?: number;
  /** Added to the logits of these tokens (OpenAI). */
  readonly logitBias?: ReadonlyMap<number, number>;
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

/** What the model's program computes from the logits of one token. */
export interface Totals {
  /** log Σ eˡ. */
  readonly logSumExp: number;
  /** (V / b) Σ e^(l − largest l) of each block of b neighbouring tokens; may be empty. */
  readonly masses: Float32Array;
}

/** What the text so far, or a constraint, changes about a draw. */
export interface DrawContext {
  /** Distinct ids of prompt and generated text, for the repetition penalty. */
  readonly seen?: Iterable<number>;
  /** Occurrences of each id in the generated text, for the frequency and presence penalties. */
  readonly counts?: ReadonlyMap<number, number>;
  /** Bit v % 32 of word v / 32 is 1 if token v may be drawn, (ceil(V / 32)); default all. */
  readonly mask?: Uint32Array;
  /** Sums over the vocabulary, if known: a draw from all tokens at temperature 1 then need not read all logits. */
  readonly totals?: Totals;
}

/** Samples tokens. It reuses its buffers: allocating a vocabulary of numbers per token costs more than the draw. */
export interface Sampler {
  /**
   * Returns the token that a uniform number in (0, 1) selects. Ties are ordered by id, so the result depends only on
   * the arguments.
   * @param logits (V)
   * @throws Error for a mask that allows no token
   */
  draw(logits: Float32Array, options: SamplingOptions, uniform: number, context?: DrawContext): Draw;
  /** Returns the distribution that `draw` samples from at a temperature above 0. It always has at least one token. */
  candidates(logits: Float32Array, options: SamplingOptions, context?: DrawContext): Candidates;
}

/** Logits per block. A block is skipped if its largest logit is below the threshold. */
const BLOCK = 32;

export function createSampler(): Sampler {
  let ids = new Uint32Array(0); // (V), the first `count` are candidates
  let weights = new Float64Array(0); // (V), unnormalized probabilities of the candidates
  let sorted = new Float64Array(0); // (V), scratch of lightestKept
  let scores = new Float32Array(0); // (V), logits after penalties, biases and mask
  let work = new Float32Array(0); // (V), scratch of nthLargest
  let largest = new Float32Array(0); // (V / BLOCK), the largest logit of each block
  let picked = new Float32Array(0); // (V), the candidates' logits

  /** Returns the logits after penalties, biases and mask: the given array if there are none, else `scores`. */
  const adjust = (logits: Float32Array, options: SamplingOptions, context: DrawContext): Float32Array => {
    if (!isAdjusted(options, context)) return logits;
    const { repetitionPenalty = 1, frequencyPenalty = 0, presencePenalty = 0, logitBias } = options;
    const { seen = [], counts, mask } = context;
    const size = logits.length;
    if (scores.length !== size) scores = new Float32Array(size);
    scores.set(logits);
    // Keskar et al., arXiv:1909.05858. Repeated occurrences of a token count once.
    if (repetitionPenalty !== 1) {
      for (const id of seen) {
        if (id < size) scores[id] = logits[id] < 0 ? logits[id] * repetitionPenalty : logits[id] / repetitionPenalty;
      }
    }
    for (const [id, count] of counts ?? []) {
      if (id < size) scores[id] -= count * frequencyPenalty + presencePenalty;
    }
    for (const [id, bias] of logitBias ?? []) if (id < size) scores[id] += bias;
    if (mask !== undefined) applyMask(scores, mask);
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
  const select = (logits: Float32Array, options: SamplingOptions, context: DrawContext): number => {
    const { temperature, topK, topP = 1, minP = 0 } = options;
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
    const given = adjust(logits, options, context);
    const top = largestOfBlocks(given, largest);
    requireAllowed(top);
    // p ≥ minP · p(likeliest), in logits. Only the likeliest token matters, so min-p may run before or after top-p.
    const floor = minP > 0 ? Math.min(top, top + temperature * Math.log(minP)) : Number.NEGATIVE_INFINITY;
    // Masked tokens are −∞, which no finite number reaches.
    let least = context.mask === undefined ? Number.NEGATIVE_INFINITY : -Number.MAX_VALUE;
    if (topP === 1) least = Math.max(least, floor);
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
    draw(logits, options, uniform, context = {}) {
      const { totals } = context;
      if (options.temperature === 0) {
        if (totals !== undefined && totals.masses.length > 0 && !isAdjusted(options, context)) {
          return { id: likeliestByMass(logits, totals.masses), logprob: 0 };
        }
        const given = adjust(logits, options, context);
        const id = likeliest(given);
        requireAllowed(given[id]);
        return { id, logprob: 0 };
      }
      if (totals !== undefined && totals.masses.length > 0 && isUnfiltered(options) && !isAdjusted(options, context)) {
        const id = indexAtMass(logits, totals.masses, uniform);
        return { id, logprob: logits[id] - totals.logSumExp };
      }
      const count = select(logits, options, context);
      const total = sum(weights, count);
      let rest = uniform * total;
      let i = 0;
      // Rounding may leave a remainder after the last candidate.
      for (; i < count - 1; i++) {
        rest -= weights[i];
        if (rest < 0) break;
      }
      while (i > 0 && weights[i] === 0) i--;
      return { id: ids[i], logprob: Math.log(weights[i] / total) };
    },
    candidates(logits, options, context = {}) {
      const count = select(logits, options, context);
      const total = sum(weights, count);
      return { ids: ids.slice(0, count), probabilities: weights.slice(0, count).map((weight) => weight / total) };
    },
  };
}

/** Returns the ids of the k largest logits (V), the largest first; ties are ordered by id. */
export function largestLogits(logits: Float32Array, k: number): number[] {
  const { length } = logits;
  if (k === 0) return [];
  const blocks = Math.ceil(length / BLOCK);
  const largest = new Float32Array(blocks);
  largestOfBlocks(logits, largest);
  // As in `select`: few blocks contain all of the k largest logits.
  const bound = k < blocks ? nthLargest(largest, blocks, k, new Float32Array(blocks)) : Number.NEGATIVE_INFINITY;
  const found: number[] = [];
  for (let block = 0; block < blocks; block++) {
    if (largest[block] < bound) continue;
    const end = Math.min(length, (block + 1) * BLOCK);
    for (let id = block * BLOCK; id < end; id++) if (logits[id] >= bound) found.push(id);
  }
  return found.sort((a, b) => logits[b] - logits[a] || a - b).slice(0, k);
}

/** Whether the model's own distribution is sampled, apart from `isAdjusted`. */
const isUnfiltered = ({ temperature, topK, topP = 1, minP = 0 }: SamplingOptions) =>
  temperature === 1 && topK === 0 && topP === 1 && minP === 0;

/** Whether penalties, biases or a mask change the logits. */
const isAdjusted = (
  { repetitionPenalty = 1, frequencyPenalty = 0, presencePenalty = 0, logitBias }: SamplingOptions,
  { counts, mask }: DrawContext,
) =>
  repetitionPenalty !== 1 ||
  mask !== undefined ||
  (logitBias !== undefined && logitBias.size > 0) ||
  ((frequencyPenalty !== 0 || presencePenalty !== 0) && counts !== undefined && counts.size > 0);

/** Writes −∞ over the scores (V) of tokens whose bit is 0. */
function applyMask(scores: Float32Array, mask: Uint32Array): void {
  const size = scores.length;
  for (let start = 0, word = 0; start < size; start += 32, word++) {
    let off = ~mask[word];
    if (off === 0) continue;
    const end = Math.min(size, start + 32);
    if (off === -1) scores.fill(Number.NEGATIVE_INFINITY, start, end);
    else for (let id = start; id < end; id++, off >>>= 1) if (off & 1) scores[id] = Number.NEGATIVE_INFINITY;
  }
}

/** @param top the largest score */
function requireAllowed(top: number): void {
  if (top === Number.NEGATIVE_INFINITY) throw new Error("internal error: the constraint allows no token");
}

/** Returns the token at which the probabilities add up to `fraction` of their sum: first its block, then the token in it. */
function indexAtMass(logits: Float32Array, masses: Float32Array, fraction: number): number {
  let total = 0;
  for (const mass of masses) total += mass;
  let rest = fraction * total;
  let block = -1; // the last one with a mass: rounding may leave a remainder after it
  for (let i = 0; i < masses.length; i++) {
    if (masses[i] === 0) continue;
    block = i;
    if (rest < masses[i]) break;
    rest -= masses[i];
  }
  const size = logits.length / masses.length;
  const [first, end] = [block * size, (block + 1) * size];
  let top = logits[first];
  for (let id = first + 1; id < end; id++) if (logits[id] > top) top = logits[id];
  let weight = 0;
  for (let id = first; id < end; id++) weight += expOfNegative(logits[id] - top);
  rest *= weight / masses[block];
  let last = first;
  for (let id = first; id < end; id++) {
    const each = expOfNegative(logits[id] - top);
    if (each === 0) continue;
    last = id;
    if (rest < each) break;
    rest -= each;
  }
  return last;
}

/** A block with the largest logit has at least its e⁰ = 1; the rest allows for rounding. */
const LIKELIEST_MASS = 0.999;

/** Returns the first of the likeliest tokens. Only blocks that may contain it are read. */
function likeliestByMass(logits: Float32Array, masses: Float32Array): number {
  const size = logits.length / masses.length;
  let best = -1;
  let top = Number.NEGATIVE_INFINITY;
  for (let block = 0; block < masses.length; block++) {
    if (masses[block] < LIKELIEST_MASS) continue;
    for (let id = block * size; id < (block + 1) * size; id++) {
      if (logits[id] > top) {
        top = logits[id];
        best = id;
      }
    }
  }
  if (best < 0) throw new Error("internal error: no block of tokens has the likeliest one");
  return best;
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
