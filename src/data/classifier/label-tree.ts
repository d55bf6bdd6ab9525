/**
 * @file The tree of hierarchical softmax. A Huffman tree groups labels whose counts happen to be similar. The decisions
 * to learn are then arbitrary, which changes precision by up to two points either way. This tree groups labels with
 * similar words (as in Mnih and Hinton 2008). fastText's files store only counts, from which each reader builds a
 * Huffman tree. So this module chooses counts that lead to the wanted tree.
 */
import type { Entry } from "./model.js";

/** Dimensions of the random projection of a label's words (Achlioptas 2003). */
const WIDTH = 64;
/** Minimum share of the examples on either side of a branch, if the labels permit it. */
const MIN_SIDE = 0.1;
/** Sums of counts must stay below 10^15, fastText's marker for Huffman nodes not built yet. */
const MAX_BITS = 48;

/** Describes each label by the sum of the projected words of its lines. */
export class LabelWords {
  readonly #sums: Float32Array;

  constructor(labels: number) {
    this.#sums = new Float32Array(labels * WIDTH);
  }

  /** Adds a word of a label's line. @param weight logarithm of the word's inverse frequency */
  add(label: number, word: string, weight: number): void {
    let hash = 2166136261;
    for (let i = 0; i < word.length; i++) hash = Math.imul(hash ^ word.charCodeAt(i), 16777619);
    for (let i = 0; i < WIDTH; i++) {
      if (i % 32 === 0) {
        hash = Math.imul(hash ^ (hash >>> 15), 2246822519);
        hash ^= hash >>> 13;
      }
      this.#sums[label * WIDTH + i] += (hash >>> (i % 32)) & 1 ? weight : -weight;
    }
  }

  /** Returns a label's sum (WIDTH), normalized to length 1. */
  vector(label: number): Float32Array {
    const sum = this.#sums.slice(label * WIDTH, (label + 1) * WIDTH);
    const length = Math.sqrt(dot(sum, sum)) || 1;
    return sum.map((value) => value / length);
  }
}

const dot = (a: Float32Array, b: Float32Array) => {
  let sum = 0;
  for (let i = 0; i < WIDTH; i++) sum += a[i] * b[i];
  return sum;
};

interface Leaf {
  readonly label: number;
  readonly count: number;
  readonly vector: Float32Array;
  /** Position along the direction in which the labels are being split. */
  along: number;
}

/**
 * Returns the labels with counts whose Huffman tree groups similar labels, in descending order of count; `was` is a label's
 * previous number. Returns the labels unchanged if the tree would be too deep for such counts.
 */
export function treeOfLabels(
  labels: readonly Entry[],
  words: LabelWords,
): readonly (Entry & { readonly was: number })[] {
  const leaves = labels.map(({ count }, label) => ({ label, count, vector: words.vector(label), along: 0 }));
  const depths = new Int32Array(labels.length);
  const places = new Int32Array(labels.length);
  let place = 0;
  const waiting: { readonly part: Leaf[]; readonly depth: number }[] = [{ part: leaves, depth: 0 }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { part, depth } = next;
    if (part.length === 1) {
      depths[part[0].label] = depth;
      places[part[0].label] = place++;
      continue;
    }
    const cut = splitPoint(part);
    waiting.push({ part: part.slice(cut), depth: depth + 1 }, { part: part.slice(0, cut), depth: depth + 1 });
  }
  const deepest = depths.reduce((most, depth) => Math.max(most, depth), 0);
  if (deepest + Math.log2(4 * labels.length) > MAX_BITS) return labels.map((entry, was) => ({ ...entry, was }));
  // With n = 2 * labels, the nodes at a depth weigh 2^(deepest - depth) times a number from n to 2n, in ascending
  // order. The mean of two neighbours lies between them, so the Huffman algorithm joins exactly those.
  const weights = labels.map((_, label) => 2 ** (deepest - depths[label]) * (2 * labels.length + places[label]));
  return labels.map((entry, was) => ({ ...entry, count: weights[was], was })).sort((a, b) => b.count - a.count);
}

/** Sorts labels along their direction of greatest variance. Returns where to split them: at a wide gap near the middle. */
function splitPoint(part: Leaf[]): number {
  const mean = new Float32Array(WIDTH);
  for (const { vector } of part) for (let i = 0; i < WIDTH; i++) mean[i] += vector[i] / part.length;
  const apart = part.map(({ vector }) => vector.map((value, i) => value - mean[i]));
  let direction = apart.reduce((most, vector) => (dot(vector, vector) > dot(most, most) ? vector : most));
  for (let round = 0; round < 10; round++) {
    const next = new Float32Array(WIDTH);
    for (const vector of apart) {
      const along = dot(vector, direction);
      for (let i = 0; i < WIDTH; i++) next[i] += along * vector[i];
    }
    const length = Math.sqrt(dot(next, next));
    if (!(length > 0)) break;
    direction = next.map((value) => value / length);
  }
  for (const [i, leaf] of part.entries()) leaf.along = dot(apart[i], direction);
  part.sort((a, b) => a.along - b.along || a.label - b.label);
  const total = part.reduce((sum, { count }) => sum + count, 0);
  let [best, most, before] = [1, Number.NEGATIVE_INFINITY, 0];
  for (let i = 1; i < part.length; i++) {
    before += part[i - 1].count;
    const side = Math.min(before, total - before) / total;
    // If no split is even enough, the most even one wins; if the labels do not differ, the middle.
    const score = side < MIN_SIDE ? side - 1 : (part[i].along - part[i - 1].along + 1e-6) * side;
    if (score > most) [best, most] = [i, score];
  }
  return best;
}
