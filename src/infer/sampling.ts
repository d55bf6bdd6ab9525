/**
 * @file Choosing the next token from logits (V): the filters of transformers' `generate`, with their meaning and in their
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

export interface Draw {
  readonly id: number;
  /** Log-probability under the distribution that was drawn from, in nats: 0 at temperature 0. */
  readonly logprob: number;
}

/** Draws tokens. Its memory is reused from draw to draw, since a vocabulary of numbers for each token costs more than the draw. */
export interface Sampler {
  /**
   * The token that a uniform number in (0, 1) picks. Among equally likely ones the smallest id comes first, so that the
   * choice depends on nothing but the numbers.
   * @param seen ids of the text so far, each once, for the repetition penalty
   */
  draw(logits: Float32Array, options: SamplingOptions, uniform: number, seen?: Iterable<number>): Draw;
  /** What `draw` draws from at a temperature above 0. At least one token is always left. */
  candidates(logits: Float32Array, options: SamplingOptions, seen?: Iterable<number>): Candidates;
}

export function createSampler(): Sampler {
  let ids = new Uint32Array(0);
  let weights = new Float64Array(0);
  let sorted = new Float64Array(0);
  let scores = new Float32Array(0);
  let selected = new Float32Array(0);

  /** Keskar et al., arXiv:1909.05858; a token counts once, however often the text has it. */
  const penalise = (logits: Float32Array, penalty: number, seen: Iterable<number>): Float32Array => {
    if (penalty === 1) return logits;
    if (scores.length !== logits.length) scores = new Float32Array(logits.length);
    scores.set(logits);
    for (const id of seen) {
      if (id < logits.length) scores[id] = logits[id] < 0 ? logits[id] * penalty : logits[id] / penalty;
    }
    return scores;
  };

  /**
   * Keeps the places of `kept` (ascending) of the first `count` candidates.
   * @returns how many there are
   */
  const keep = (count: number, isKept: (i: number) => boolean): number => {
    let left = 0;
    for (let i = 0; i < count; i++) {
      if (!isKept(i)) continue;
      ids[left] = ids[i];
      weights[left++] = weights[i];
    }
    return left;
  };

  /** Leaves the candidates in `ids` and their weights, ascending by id; gives how many there are. */
  const select = (logits: Float32Array, options: SamplingOptions, seen: Iterable<number>): number => {
    const { temperature, topK, topP = 1, minP = 0, repetitionPenalty = 1 } = options;
    const size = logits.length;
    if (ids.length < size) {
      ids = new Uint32Array(size);
      weights = new Float64Array(size);
      sorted = new Float64Array(size);
      selected = new Float32Array(size);
    }
    const given = penalise(logits, repetitionPenalty, seen);
    const top = given[likeliest(given)];
    let least = topK > 0 && topK < size ? nthLargest(given, topK, selected) : Number.NEGATIVE_INFINITY;
    // p ≥ minP · p(likeliest), in logits; comparing with the likeliest alone, it may come before top-p is applied or after.
    const floor = minP > 0 ? Math.min(top, top + temperature * Math.log(minP)) : Number.NEGATIVE_INFINITY;
    if (topP === 1) least = Math.max(least, floor);
    let count = 0;
    for (let id = 0; id < size; id++) {
      const score = given[id];
      if (score < least) continue;
      ids[count] = id;
      weights[count++] = Math.exp((score - top) / temperature);
    }
    if (topP < 1) {
      const total = sum(weights, count);
      // All tokens lighter than (1 − P) · total / count together are less than what may be left out.
      const heavy = ((1 - topP) * total) / count / 2;
      let length = 0;
      for (let i = 0; i < count; i++) if (weights[i] >= heavy) sorted[length++] = weights[i];
      const order = sorted.subarray(0, length).sort();
      let mass = 0;
      let i = length;
      while (i > 0 && (i === length || mass < topP * total)) mass += order[--i];
      const lightest = order[i];
      let ties = 0;
      while (i + ties < length && order[i + ties] === lightest) ties++;
      count = keep(count, (each) => weights[each] > lightest || (weights[each] === lightest && ties-- > 0));
      if (minP > 0) count = keep(count, (each) => given[ids[each]] >= floor);
    }
    return count;
  };

  return {
    draw(logits, options, uniform, seen = []) {
      if (options.temperature === 0) {
        return { id: likeliest(penalise(logits, options.repetitionPenalty ?? 1, seen)), logprob: 0 };
      }
      const count = select(logits, options, seen);
      const total = sum(weights, count);
      let rest = uniform;
      let i = 0;
      // Rounding may leave a crumb behind the last.
      for (; i < count - 1; i++) {
        rest -= weights[i] / total;
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

/** The ids of the k largest logits, the largest first; of equal ones the smallest id. */
export function largestLogits(logits: Float32Array, k: number): number[] {
  const least = k < logits.length ? nthLargest(logits, k, new Float32Array(logits.length)) : Number.NEGATIVE_INFINITY;
  const found: number[] = [];
  for (let id = 0; id < logits.length; id++) if (logits[id] >= least) found.push(id);
  return found.sort((a, b) => logits[b] - logits[a] || a - b).slice(0, k);
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

/** The n-th largest value. A heap of n passes over the values once; it pays while few of them enter it. */
function nthLargest(values: Float32Array, n: number, work: Float32Array): number {
  return n <= values.length / 32 ? leastOfHeap(values, n, work) : quickselect(values, n, work);
}

/** The n largest values in a heap in `work`, the least of them at its root. */
function leastOfHeap(values: Float32Array, n: number, work: Float32Array): number {
  const sink = (value: number) => {
    let place = 0;
    for (let child = 1; child < n; child = 2 * place + 1) {
      if (child + 1 < n && work[child + 1] < work[child]) child += 1;
      if (work[child] >= value) break;
      work[place] = work[child];
      place = child;
    }
    work[place] = value;
  };
  for (let i = 0; i < n; i++) work[i] = values[i];
  work.subarray(0, n).sort(); // ascending: a heap
  let least = work[0];
  for (let i = n; i < values.length; i++) {
    if (values[i] <= least) continue;
    sink(values[i]);
    least = work[0];
  }
  return least;
}

/** Hoare's FIND (1961). */
function quickselect(values: Float32Array, n: number, work: Float32Array): number {
  work.set(values);
  const wanted = n - 1;
  let [low, high] = [0, values.length - 1];
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

function sum(values: Float64Array, count: number): number {
  let total = 0;
  for (let i = 0; i < count; i++) total += values[i];
  return total;
}
