/**
 * @file A baseline without a neural network: an interpolated 5-gram model with modified Kneser–Ney discounts, on the same
 * tokens (Chen and Goodman, "An empirical study of smoothing techniques for language modeling", 1999, section 3).
 *
 * Sorts all positions of training and held-out text by the five tokens that begin there, instead of hashing. Equal n-grams of
 * every length are then adjacent. One pass per length counts those of the training text and looks up those of the held-out
 * text. Takes 13 bytes per token, and a second for a few million tokens.
 */

/** The longest n-gram. */
const ORDER = 5;

/** Discounts for n-grams seen once, twice, and three or more times. */
type Discounts = readonly [number, number, number];

/**
 * Returns −ln p of each held-out token except the first, given the four tokens before it (fewer at the beginning). Element i
 * belongs to heldOut[i + 1].
 * @param vocabSize V; the distribution below the unigrams is uniform, 1/V
 */
export function ngramLosses(
  training: ArrayLike<number>,
  heldOut: ArrayLike<number>,
  vocabSize: number,
): Float64Array<ArrayBuffer> {
  const border = training.length;
  const length = border + heldOut.length;
  // Padding with an unused id, so that every position has five tokens.
  const tokens = new Uint32Array(length + ORDER).fill(vocabSize);
  for (let i = 0; i < border; i++) tokens[i] = training[i];
  for (let i = 0; i < heldOut.length; i++) tokens[border + i] = heldOut[i];
  const places = sortedPlaces(tokens, length, vocabSize);
  const shared = sharedLengths(tokens, places);

  const probabilities = new Float64Array(heldOut.length).fill(1 / vocabSize); // by held-out token
  const lefts = new Int32Array(vocabSize + 1); // by id, and the padding id
  for (let order = 1; order <= ORDER; order++) {
    const level = { tokens, places, shared, border, order, lefts };
    const discounts = discountsOf(level);
    interpolate(level, discounts, probabilities);
  }
  const losses = new Float64Array(Math.max(0, heldOut.length - 1));
  for (let i = 0; i < losses.length; i++) losses[i] = -Math.log(probabilities[i + 1]);
  return losses;
}

/** Sorts all positions of the text by the ORDER tokens that begin there: a radix sort, last token first. */
function sortedPlaces(tokens: Uint32Array, length: number, vocabSize: number): Uint32Array {
  let places = Uint32Array.from({ length }, (_, i) => i);
  let next = new Uint32Array(length);
  const starts = new Uint32Array(vocabSize + 2);
  for (let offset = ORDER - 1; offset >= 0; offset--) {
    starts.fill(0);
    for (let i = 0; i < length; i++) starts[tokens[i + offset] + 1] += 1;
    for (let id = 1; id < starts.length; id++) starts[id] += starts[id - 1];
    for (let i = 0; i < length; i++) next[starts[tokens[places[i] + offset]]++] = places[i];
    [places, next] = [next, places];
  }
  return places;
}

/** Returns how many leading tokens each position shares with its predecessor in the sorted order, at most ORDER. */
function sharedLengths(tokens: Uint32Array, places: Uint32Array): Uint8Array {
  const shared = new Uint8Array(places.length);
  for (let i = 1; i < places.length; i++) {
    let n = 0;
    while (n < ORDER && tokens[places[i] + n] === tokens[places[i - 1] + n]) n++;
    shared[i] = n;
  }
  return shared;
}

/** The n-grams of one length. */
interface Level {
  readonly tokens: Uint32Array;
  readonly places: Uint32Array;
  readonly shared: Uint8Array;
  /** Position where the training text ends. */
  readonly border: number;
  readonly order: number;
  /** Scratch: by token, 1 + the start of the last n-gram that it was counted before. */
  readonly lefts: Int32Array;
}

/**
 * Returns the count of the n-gram at places[from] in the training text, and the index of the next n-gram. Below the highest
 * order, Kneser–Ney counts the distinct tokens before the n-gram, because they predict how likely it is in a new context.
 */
function countFrom({ tokens, places, shared, border, order, lefts }: Level, from: number): [count: number, to: number] {
  let count = 0;
  let to = from;
  do {
    const place = places[to++];
    if (place + order > border) continue; // in the held-out text, or across the border
    if (order === ORDER) count += 1;
    else if (place > 0 && lefts[tokens[place - 1]] !== from + 1) {
      lefts[tokens[place - 1]] = from + 1;
      count += 1;
    }
  } while (to < places.length && shared[to] >= order);
  return [count, to];
}

/** Estimates discounts from the numbers of n-grams with counts of 1 to 4 (Chen and Goodman, equation 17). */
function discountsOf(level: Level): Discounts {
  level.lefts.fill(0);
  const times = [0, 0, 0, 0, 0];
  for (let from = 0; from < level.places.length; ) {
    const [count, to] = countFrom(level, from);
    if (count > 0 && count < 5) times[count] += 1;
    from = to;
  }
  const y = times[1] / Math.max(1, times[1] + 2 * times[2]);
  const discount = (n: number) => {
    const value = n - (n + 1) * y * (times[n + 1] / Math.max(1, times[n]));
    // Too few n-grams of a count can put the estimate outside (0, n), where it is invalid; half a count replaces it.
    return times[n] > 0 && value > 0 && value < n ? value : 0.5 * Math.min(n, 1);
  };
  return [discount(1), discount(2), discount(3)];
}

/** Updates p ← max(c − D(c), 0) / Σc + γ · p for each held-out token whose context of `order` − 1 tokens occurs in training. */
function interpolate(level: Level, discounts: Discounts, probabilities: Float64Array): void {
  const { places, shared, border, order, lefts } = level;
  lefts.fill(0);
  const discountOf = (count: number) => (count === 0 ? 0 : discounts[Math.min(count, 3) - 1]);
  for (let begin = 0; begin < places.length; ) {
    // All n-grams of one context.
    const counts: { from: number; to: number; count: number }[] = [];
    let end = begin;
    let total = 0;
    let discounted = 0; // mass for the shorter context
    do {
      const [count, to] = countFrom(level, end);
      counts.push({ from: end, to, count });
      total += count;
      discounted += discountOf(count);
      end = to;
    } while (end < places.length && shared[end] >= order - 1);
    begin = end;
    if (total === 0) continue;
    for (const { from, to, count } of counts) {
      const own = Math.max(0, count - discountOf(count)) / total;
      for (let i = from; i < to; i++) {
        const target = places[i] + order - 1 - border;
        if (places[i] < border || target >= probabilities.length) continue;
        probabilities[target] = own + (discounted / total) * probabilities[target];
      }
    }
  }
}
