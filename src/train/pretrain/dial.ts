/**
 * @file Derives model sizes, batch and learning rate from the compute budget. Each number has its reason. Each can be
 * set
 * by hand, and the numbers that depend on it follow.
 */
import type { ModelConfig } from "../../model/index.js";

/** A derived number and why it is what it is. */
export interface Derived<T = number> {
  readonly value: T;
  readonly reason: string;
}

/**
 * Weights in the layers that are best for so many floating-point operations C: 1.345 · (C/6)^.452, where A = 406.4, B =
 * 410.7, α = .34 and β = .28 in the loss E + A/N^α + B/D^β put its minimum (Hoffmann et al., arXiv:2203.15556,
 * equations 4 and 10). It was fitted to 1e18 operations and more; on the starter corpus it meets the best of the sizes
 * tried from 5e11 to 3e16.
 */
const EXPONENT = 0.28 / (0.34 + 0.28);
const FACTOR = ((0.34 * 406.4) / (0.28 * 410.7)) ** (1 / (0.34 + 0.28));

export function bestWeights(flops: number): number {
  return FACTOR * (flops / 6) ** EXPONENT;
}

/** The operations for which so many weights in the layers are best: the inverse of `bestWeights`. */
export function bestFlops(layerWeights: number): number {
  return 6 * (layerWeights / FACTOR) ** (1 / EXPONENT);
}

/** How often a text may be read before reading it again teaches hardly anything (Muennighoff et al., arXiv:2305.16264, figure 5). */
export const MOST_READINGS = 16;

/** The operations for which so many tokens are best: those of a model that needs no more of them. */
export function flopsForTokens(tokens: number): number {
  return 6 * (tokens * FACTOR) ** (1 / (1 - EXPONENT));
}

/**
 * Width over depth. It hardly matters between 10 and 200 (Kaplan et al., arXiv:2001.08361, figure 5); the best sizes tried
 * on the starter corpus have 32 to 48.
 */
const ASPECT = 48;
/** A layer of a transformer has about 12 · width² weights. */
const layerWeights = (width: number) => 12 * width * width;
const toThirtyTwo = (x: number) => Math.max(32, Math.round(x / 32) * 32);
export const widthOfDepth = (layers: number) => toThirtyTwo(ASPECT * layers);

export const weightsOf = (layers: number, width: number) => layers * layerWeights(width);

const power = (x: number) => x.toExponential(1).replace("e+", "e");

/**
 * Layers and width for so many operations.
 * @param textBytes of the training text: a model larger than it can teach is wasted, however much there is to spend
 */
export function sizesForFlops(
  budget: number,
  textBytes: number,
): { readonly layers: Derived; readonly width: Derived } {
  const taught = flopsForTokens((MOST_READINGS * textBytes) / 4); // a token of 4 bytes
  const flops = Math.min(budget, taught);
  const limited =
    flops < budget ? `; ${power(budget)} would need more text than ${MOST_READINGS} readings of this one` : "";
  const weights = bestWeights(flops);
  const layers = Math.max(2, Math.round((weights / (12 * ASPECT ** 2)) ** (1 / 3)));
  const width = toThirtyTwo(Math.sqrt(weights / 12 / layers));
  return {
    layers: {
      value: layers,
      reason: `as deep as the width over ${ASPECT} (Kaplan et al., arXiv:2001.08361, figure 5)`,
    },
    width: {
      value: width,
      reason:
        `${power(flops)} operations are best spent on ${power(weights)} weights in the layers ` +
        `(Hoffmann et al., arXiv:2203.15556, third approach), 12 width² a layer${limited}`,
    },
  };
}

/**
 * Tokens of the vocabulary. More than the laws of large models say (Tao et al., arXiv:2407.13623), since a token of more
 * bytes is more text for one step: on the starter corpus, 1.5e12 operations of 3 layers of 96 gave 2.94, 2.71, 2.53 and
 * 2.47 bits per byte with 1024, 2048, 4096 and 8192 tokens.
 * @param textBytes of the training text, which bounds it: a token that a text holds a few times only teaches nothing
 */
export function vocabularyFor(flops: number, textBytes: number): Derived {
  const wanted = flops < 1e12 ? 4096 : flops < 1e16 ? 8192 : 16384;
  const most = 2 ** Math.max(9, Math.floor(Math.log2(textBytes / 400)));
  return wanted <= most
    ? {
        value: wanted,
        reason: "small models learn most from long tokens (measured: 2.94 bits per byte with 1024, 2.47 with 8192)",
      }
    : { value: most, reason: "a token needs 400 bytes of text to be learnt from" };
}

/** Heads of 32 in small models and of 64, as in GPT-2 (Radford et al., 2019), from a width of 384 on. */
export function headsFor(width: number): Derived {
  const headWidth = width >= 384 && width % 64 === 0 ? 64 : 32;
  return { value: Math.max(1, Math.round(width / headWidth)), reason: `heads of ${headWidth}` };
}

/** The batch that DeepSeek LLM found best, in tokens (Bi et al., arXiv:2401.02954, equation 1). */
const publishedBatch = (flops: number) => 0.292 * flops ** 0.3271;

/** Tokens that go through the model at once; more come as batches that are added up. */
const AT_ONCE = 8192;

/**
 * Sequences a step, as a batch and how often it is taken. A quarter of the published rule, which was fitted to 1e17
 * operations and more: below that, many noisy steps teach more than few smooth ones (McCandlish et al.,
 * arXiv:1812.06162), and .84M tokens of the starter corpus took 4 layers of 128 to 2.23 bits per byte in steps of 16
 * sequences, and to 2.02 in steps of 4.
 */
export function batchFor(
  flops: number,
  sequence: number,
  said: { readonly batch?: number; readonly accumulate?: number },
  textBytes = Number.POSITIVE_INFINITY,
): { readonly batch: Derived; readonly accumulate: Derived } {
  // A step that takes in much of a text at once leaves few of them for a reading: at most a sixteenth.
  const wanted = Math.max(1024, Math.min(publishedBatch(flops) / 4, textBytes / 4 / 16)) / sequence;
  const sequences = 2 ** Math.max(0, Math.round(Math.log2(wanted)));
  const most = Math.max(1, 2 ** Math.floor(Math.log2(AT_ONCE / sequence)));
  const reason =
    `a quarter of the ${Math.round(publishedBatch(flops))} tokens of Bi et al. (arXiv:2401.02954), at least 1024: short ` +
    "training learns more from many small steps";
  const batch = said.batch ?? Math.max(1, Math.min(most, Math.floor(sequences / (said.accumulate ?? 1)) || 1));
  const accumulate = said.accumulate ?? (said.batch === undefined ? Math.max(1, Math.round(sequences / batch)) : 1);
  return {
    batch: { value: batch, reason },
    accumulate: { value: accumulate, reason: `at most ${AT_ONCE} tokens go through the model at once` },
  };
}

/** Where a model is trained further, its rate is a share of what a new one would get. */
const CONTINUED = 0.3;

/**
 * The highest rate of AdamW: .3118 · C^−.125 (Bi et al., arXiv:2401.02954, equation 1), times the root of the batch's share
 * of that rule's batch (Malladi et al., arXiv:2205.10330), .004 at most: on the starter corpus, rates from .002 to .004
 * learn alike at a width of 96 and .008 is too high.
 */
export function learningRateFor(flops: number, tokensPerStep: number, continued: boolean): Derived {
  const rate = Math.min(0.004, 0.3118 * flops ** -0.125 * Math.sqrt(tokensPerStep / publishedBatch(flops)));
  const rule = `.3118 · ${power(flops)}^-.125 (Bi et al., arXiv:2401.02954) × √(batch / its batch), at most .004`;
  return {
    value: Number((continued ? CONTINUED * rate : rate).toPrecision(2)),
    reason: continued ? `${CONTINUED} of ${rule}: it has learnt before (Ibrahim et al., arXiv:2403.08763)` : rule,
  };
}

/** Operations for a model without a budget: those for which its own size is best. */
export function flopsOfModel({ layers, width }: Pick<ModelConfig, "layers" | "width">): number {
  return bestFlops(weightsOf(layers, width));
}
