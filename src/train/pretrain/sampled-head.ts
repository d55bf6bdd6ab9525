/**
 * @file The sampled head: training computes the logits of the batch's own targets instead of those of the whole vocabulary.
 * A small model spends most of a step on its head, and few of the tokens of a vocabulary occur in a batch.
 *
 * The loss needs log Σ e^z over the vocabulary. Token j is one of the n targets of a batch with probability
 * π_j = 1 − (1 − p_j)^n, so Σ e^z_j / π_j over the tokens that are (the candidates) has the whole sum as its expectation
 * (Horvitz and Thompson 1952). Adding −log π_j to the candidates' logits gives that sum; for the target as well, as in Jean et
 * al., arXiv:1412.2007, section 3. Evaluation uses the whole vocabulary.
 */
import { type ModelConfig, trainingFlopsPerToken } from "../../model/index.js";
import { type Batch, createLoader, type Loader, type LoaderOptions, type TokenSource } from "../data/loader.js";
import type { Derived } from "./dial.js";

/** Most tokens that are counted; a longer text is sampled evenly. */
const COUNTED = 2 ** 23;
const CHUNK = 2 ** 16;

/** Returns the share of each token in a text (V); tokens that were not seen count as half a time. */
export async function tokenShares(text: TokenSource, vocabSize: number): Promise<Float64Array> {
  const counts = new Float64Array(vocabSize).fill(0.5);
  const chunks = Math.ceil(Math.min(text.tokens, COUNTED) / CHUNK);
  const stride = Math.max(CHUNK, text.tokens / chunks);
  for (let i = 0; i < chunks; i++) {
    const from = Math.floor(i * stride);
    const ids = await text.read(from, Math.min(CHUNK, text.tokens - from));
    for (let k = 0; k < ids.length; k++) counts[ids[k]] += 1;
  }
  const total = counts.reduce((sum, count) => sum + count, 0);
  return counts.map((count) => count / total);
}

/** Returns π (V): the probability that each token is among n targets. */
export function inclusionOf(shares: Float64Array, n: number): Float64Array {
  return shares.map((share) => -Math.expm1(n * Math.log1p(-share)));
}

/** The head must take at least this share of a step's FLOPs, and the candidates at most this share of the vocabulary. */
const LEAST_SHARE = 0.25;
const MOST_CANDIDATES = 0.5;

/**
 * Returns the number of candidates per batch of n tokens, or null for the whole head where sampling would save little. Six
 * standard deviations above the expected number: documents repeat their words, so that batches have fewer.
 */
export function candidatesFor(
  model: ModelConfig,
  shares: Float64Array,
  { batch, sequence }: { readonly batch: number; readonly sequence: number },
): Derived<number | null> {
  const V = model.vocabSize;
  const pi = inclusionOf(shares, batch * sequence);
  const expected = pi.reduce((sum, p) => sum + p, 0);
  const deviation = Math.sqrt(pi.reduce((sum, p) => sum + p * (1 - p), 0));
  const value = Math.ceil((expected + 6 * deviation) / 64) * 64;
  const head = (6 * model.width * V) / trainingFlopsPerToken(model, sequence);
  if (value > MOST_CANDIDATES * V || head < LEAST_SHARE) {
    return {
      value: null,
      reason: `all tokens: ${Math.round(expected)} of ${V} occur in a batch, and the head takes ${Math.round(100 * head)} % of a step`,
    };
  }
  return {
    value,
    reason:
      `about ${Math.round(expected)} of ${V} tokens occur in a batch, and the whole head would take ${Math.round(100 * head)} % of a ` +
      "step (Jean et al., arXiv:1412.2007)",
  };
}

/** What a batch has besides, for a head of S candidates. */
export interface Candidates {
  /** (S), distinct token ids; places that are not needed repeat id 0. */
  readonly candidates: Int32Array;
  /** (S,2): −log π in two parts, each exact in bf16; their sum is −10⁴ where a place is not needed. */
  readonly corrections: Float32Array;
  /** (B,T): the candidate that is the target; −100 where none is. */
  readonly places: Int32Array;
}

/** Creates the loader of a run; its batches have the candidates if the head is sampled. */
export async function createRunLoader(
  text: TokenSource,
  {
    model,
    candidates: size,
    ...options
  }: LoaderOptions & { readonly model: ModelConfig; readonly candidates?: number },
): Promise<Loader> {
  const loader = createLoader(text, options);
  if (size === undefined) return loader;
  const shares = await tokenShares(text, model.vocabSize);
  return {
    rows: loader.rows,
    load: async (index) => {
      const batch = await loader.load(index);
      return { ...batch, ...candidatesOf(batch, shares, size) };
    },
  };
}

/** Returns the candidates of a batch. Targets beyond the first `size` distinct ones are not learned. */
export function candidatesOf({ targets }: Pick<Batch, "targets">, shares: Float64Array, size: number): Candidates {
  const place = new Map<number, number>();
  const places = targets.map((target) => {
    if (target < 0) return -100;
    const known = place.get(target);
    if (known !== undefined) return known;
    if (place.size === size) return -100;
    place.set(target, place.size);
    return place.size - 1;
  });
  const candidates = new Int32Array(size);
  const corrections = new Float32Array(2 * size);
  for (let i = place.size; i < size; i++) corrections[2 * i] = UNUSED;
  for (const [id, i] of place) {
    candidates[i] = id;
    const correction = -Math.log(-Math.expm1(targets.length * Math.log1p(-shares[id])));
    corrections[2 * i] = roundedToBf16(correction);
    corrections[2 * i + 1] = roundedToBf16(correction - corrections[2 * i]);
  }
  return { candidates, corrections, places };
}

/** Correction of a place that is not needed: e to this power is 0. */
const UNUSED = -1e4;

const word = new DataView(new ArrayBuffer(4));
/** Rounds by cutting the lower half of the fp32 word off: the rest is exact in bf16. */
function roundedToBf16(x: number): number {
  word.setFloat32(0, x);
  word.setUint16(2, 0);
  return word.getFloat32(0);
}
