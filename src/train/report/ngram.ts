/**
 * @file A baseline without a neural network: an interpolated 5-gram model with modified Kneser–Ney discounts, on the
 * same
 * tokens (Chen and Goodman, "An empirical study of smoothing techniques for language modeling", 1999, section 3).
 *
 * Nothing is hashed. All places of the text are sorted by the five tokens that begin there, so that equal n-grams of every
 * length lie side by side, those of the held-out text among those of the training text; one pass a length then counts the
 * first and asks for the second. Memory is 13 bytes a token, time a second for a few million.
 */

/** The longest n-gram. */
const ORDER = 5;

/** Discounts of n-grams that were seen once, twice, and more often. */
type Discounts = readonly [number, number, number];

/**
 * −ln p of each held-out token but the first, given the four before it (fewer at the beginning). Element i belongs to
 * heldOut[i + 1].
 * @param vocabSize V: what was never seen at all has probability 1/V of what is left for it
 */
export function ngramLosses(
  training: ArrayLike<number>,
  heldOut: ArrayLike<number>,
  vocabSize: number,
): Float64Array<ArrayBuffer> {
  const border = training.length;
  const length = border + heldOut.length;
  // Behind the end lie tokens that are none, so that every place has five.
  const tokens = new Uint32Array(length + ORDER).fill(vocabSize);
  for (let i = 0; i < border; i++) tokens[i] = training[i];
  for (let i = 0; i < heldOut.length; i++) tokens[border + i] = heldOut[i];
  const places = sortedPlaces(tokens, length, vocabSize);
  const shared = sharedLengths(tokens, places);

  const probabilities = new Float64Array(heldOut.length).fill(1 / vocabSize);
  const lefts = new Int32Array(vocabSize + 1);
  for (let order = 1; order <= ORDER; order++) {
    const level = { tokens, places, shared, border, order, lefts };
    const discounts = discountsOf(level);
    interpolate(level, discounts, probabilities);
  }
  const losses = new Float64Array(Math.max(0, heldOut.length - 1));
  for (let i = 0; i < losses.length; i++) losses[i] = -Math.log(probabilities[i + 1]);
  return losses;
}

/** All positions of the text, sorted by the tokens that begin there: a radix sort, last token first. */
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

/** How many tokens each position shares with the one before it in the order, at most five. */
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
  /** Where the training text ends. */
  readonly border: number;
  readonly order: number;
  /** Scratch: the n-gram in which a token was last seen on the left. */
  readonly lefts: Int32Array;
}

/**
 * What the training text says of the n-gram that begins at places[from], and where the next one begins: its count, or for
 * orders below the highest how many different tokens it followed, for those tell how likely it is after anything new.
 */
function countFrom({ tokens, places, shared, border, order, lefts }: Level, from: number): [count: number, to: number] {
  let count = 0;
  let to = from;
  do {
    const place = places[to++];
    if (place + order > border) continue; // of the held-out text, or across the border
    if (order === ORDER) count += 1;
    else if (place > 0 && lefts[tokens[place - 1]] !== from + 1) {
      lefts[tokens[place - 1]] = from + 1;
      count += 1;
    }
  } while (to < places.length && shared[to] >= order);
  return [count, to];
}

/** From how many n-grams were counted once, twice, three and four times (Chen and Goodman, equation 17). */
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
    // Too few n-grams of a kind put the estimate outside (0, n), where it is no discount: half a count is taken off instead.
    return times[n] > 0 && value > 0 && value < n ? value : 0.5 * Math.min(n, 1);
  };
  return [discount(1), discount(2), discount(3)];
}

/** p ← max(c − D(c), 0) / Σc + γ · p of every held-out token whose context of `order` − 1 tokens was seen in training. */
function interpolate(level: Level, discounts: Discounts, probabilities: Float64Array): void {
  const { places, shared, border, order, lefts } = level;
  lefts.fill(0);
  const discountOf = (count: number) => (count === 0 ? 0 : discounts[Math.min(count, 3) - 1]);
  for (let begin = 0; begin < places.length; ) {
    // All n-grams of one context.
    const counts: { from: number; to: number; count: number }[] = [];
    let end = begin;
    let total = 0;
    let left = 0; // what the discounts leave for the shorter context
    do {
      const [count, to] = countFrom(level, end);
      counts.push({ from: end, to, count });
      total += count;
      left += discountOf(count);
      end = to;
    } while (end < places.length && shared[end] >= order - 1);
    begin = end;
    if (total === 0) continue;
    for (const { from, to, count } of counts) {
      const own = Math.max(0, count - discountOf(count)) / total;
      for (let i = from; i < to; i++) {
        const target = places[i] + order - 1 - border;
        if (places[i] < border || target >= probabilities.length) continue;
        probabilities[target] = own + (left / total) * probabilities[target];
      }
    }
  }
}
