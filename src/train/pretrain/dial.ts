/**
 * @file Derives model sizes, batch and learning rate from the compute budget, each with a reason. Each can be set by hand;
 * the values that depend on it are then derived from it.
 */
import type { ModelConfig } from "../../model/index.js";

/** A derived value and its reason. */
export interface Derived<T = number> {
  readonly value: T;
  readonly reason: string;
}

const EXPONENT = 0.28 / (0.34 + 0.28); // β / (α + β)
const FACTOR = ((0.34 * 406.4) / (0.28 * 410.7)) ** (1 / (0.34 + 0.28)); // (αA / βB)^(1 / (α + β))

/**
 * Returns the compute-optimal number of weights in the layers for C FLOPs: 1.345 · (C/6)^.452. This minimizes the loss
 * E + A/N^α + B/D^β with A = 406.4, B = 410.7, α = .34 and β = .28 (Hoffmann et al., arXiv:2203.15556, equations 4 and 10).
 * The law was fitted at 1e18 FLOPs and more. On the starter corpus it matches the best of the sizes tried from 5e11 to 3e16.
 */
export function bestWeights(flops: number): number {
  return FACTOR * (flops / 6) ** EXPONENT;
}

/** Returns the FLOPs for which this many weights in the layers are optimal: the inverse of `bestWeights`. */
export function bestFlops(layerWeights: number): number {
  return 6 * (layerWeights / FACTOR) ** (1 / EXPONENT);
}

/** Number of epochs beyond which another adds almost nothing (Muennighoff et al., arXiv:2305.16264, figure 5). */
export const MAX_USEFUL_EPOCHS = 16;

/** Returns the FLOPs for which this many training tokens are optimal. */
export function flopsForTokens(tokens: number): number {
  return 6 * (tokens * FACTOR) ** (1 / (1 - EXPONENT));
}

/**
 * Width divided by depth. It matters little between 10 and 200 (Kaplan et al., arXiv:2001.08361, figure 5); the best sizes
 * tried on the starter corpus have 32 to 48.
 */
const ASPECT = 48;
/** A transformer layer has about 12 · width² weights. */
const layerWeights = (width: number) => 12 * width * width;
const roundTo32 = (x: number) => Math.max(32, Math.round(x / 32) * 32);
export const widthOfDepth = (layers: number) => roundTo32(ASPECT * layers);

export const weightsOf = (layers: number, width: number) => layers * layerWeights(width);

const power = (x: number) => x.toExponential(1).replace("e+", "e");

/**
 * Returns layers and width for a budget in FLOPs.
 * @param textBytes bytes of the training text, which limits the size: a larger model would need more text
 */
export function sizesForFlops(
  budget: number,
  textBytes: number,
): { readonly layers: Derived; readonly width: Derived } {
  const textFlops = flopsForTokens((MAX_USEFUL_EPOCHS * textBytes) / 4); // about 4 bytes per token
  const flops = Math.min(budget, textFlops);
  const limited =
    flops < budget ? `; ${power(budget)} would need more text than ${MAX_USEFUL_EPOCHS} epochs of this one` : "";
  const weights = bestWeights(flops);
  const layers = Math.max(2, Math.round((weights / (12 * ASPECT ** 2)) ** (1 / 3)));
  const width = roundTo32(Math.sqrt(weights / 12 / layers));
  return {
    layers: {
      value: layers,
      reason: `about width / ${ASPECT} (Kaplan et al., arXiv:2001.08361, figure 5)`,
    },
    width: {
      value: width,
      reason:
        `${power(weights)} weights in the layers are optimal for ${power(flops)} FLOPs ` +
        `(Hoffmann et al., arXiv:2203.15556, third approach), 12 width² per layer${limited}`,
    },
  };
}

/**
 * Returns the vocabulary size. It is larger than scaling laws for large models suggest (Tao et al., arXiv:2407.13623),
 * because longer tokens put more text into each step. On the starter corpus, 3 layers of width 96 trained with 1.5e12 FLOPs
 * reached 2.94, 2.71, 2.53 and 2.47 bits per byte with 1024, 2048, 4096 and 8192 tokens.
 * @param textBytes bytes of the training text, which limits the size: a token that occurs only a few times is not learned
 */
export function vocabularyFor(flops: number, textBytes: number): Derived {
  const wanted = flops < 1e12 ? 4096 : flops < 1e16 ? 8192 : 16384;
  const most = 2 ** Math.max(9, Math.floor(Math.log2(textBytes / 400)));
  return wanted <= most
    ? {
        value: wanted,
        reason: "small models learn most from long tokens (measured: 2.94 bits per byte with 1024, 2.47 with 8192)",
      }
    : { value: most, reason: "a token needs 400 bytes of text to be learned" };
}

/** Returns the number of heads: heads of 32 in small models, and of 64 from width 384 on, as in GPT-2 (Radford et al., 2019). */
export function headsFor(width: number): Derived {
  const headWidth = width >= 384 && width % 64 === 0 ? 64 : 32;
  return { value: Math.max(1, Math.round(width / headWidth)), reason: `heads of ${headWidth}` };
}

/** The optimal batch of DeepSeek LLM, in tokens (Bi et al., arXiv:2401.02954, equation 1). */
const publishedBatch = (flops: number) => 0.292 * flops ** 0.3271;

/** Most tokens per batch; larger steps accumulate gradients over several batches. */
const MAX_BATCH_TOKENS = 8192;

/**
 * Returns sequences per batch and batches per step. A step has a quarter of the tokens of the published rule, which was
 * fitted at 1e17 FLOPs and more. Below that, many noisy steps teach more than few smooth ones (McCandlish et al.,
 * arXiv:1812.06162). With .84M tokens of the starter corpus, 4 layers of width 128 reached 2.23 bits per byte in steps
 * of 16 sequences, and 2.02 in steps of 4.
 */
export function batchFor(
  flops: number,
  sequence: number,
  overrides: { readonly batch?: number; readonly accumulate?: number },
  textBytes = Number.POSITIVE_INFINITY,
): { readonly batch: Derived; readonly accumulate: Derived } {
  // At least 16 steps per epoch, at about 4 bytes per token.
  const wanted = Math.max(1024, Math.min(publishedBatch(flops) / 4, textBytes / 4 / 16)) / sequence;
  const sequences = 2 ** Math.max(0, Math.round(Math.log2(wanted)));
  const most = Math.max(1, 2 ** Math.floor(Math.log2(MAX_BATCH_TOKENS / sequence)));
  const reason =
    `a quarter of the ${Math.round(publishedBatch(flops))} tokens of Bi et al. (arXiv:2401.02954), at least 1024: short ` +
    "training learns more from many small steps";
  const batch =
    overrides.batch ?? Math.max(1, Math.min(most, Math.floor(sequences / (overrides.accumulate ?? 1)) || 1));
  const accumulate =
    overrides.accumulate ?? (overrides.batch === undefined ? Math.max(1, Math.round(sequences / batch)) : 1);
  return {
    batch: { value: batch, reason },
    accumulate: { value: accumulate, reason: `a batch has at most ${MAX_BATCH_TOKENS} tokens` },
  };
}

/** Continued training uses this share of a new model's learning rate. */
const CONTINUED = 0.3;

/**
 * Returns the peak learning rate of AdamW: .3118 · C^−.125 (Bi et al., arXiv:2401.02954, equation 1) · √(batch / that rule's
 * batch) (Malladi et al., arXiv:2205.10330), at most .004. On the starter corpus, rates from .002 to .004 perform equally
 * at width 96, and .008 is too high.
 */
export function learningRateFor(flops: number, tokensPerStep: number, continued: boolean): Derived {
  const rate = Math.min(0.004, 0.3118 * flops ** -0.125 * Math.sqrt(tokensPerStep / publishedBatch(flops)));
  const rule = `.3118 · ${power(flops)}^-.125 (Bi et al., arXiv:2401.02954) × √(batch / its batch), at most .004`;
  return {
    value: Number((continued ? CONTINUED * rate : rate).toPrecision(2)),
    reason: continued ? `${CONTINUED} of ${rule}: continued training (Ibrahim et al., arXiv:2403.08763)` : rule,
  };
}

/** Returns the FLOPs for which the size of a model is optimal; the budget if none is given. */
export function flopsOfModel({ layers, width }: Pick<ModelConfig, "layers" | "width">): number {
  return bestFlops(weightsOf(layers, width));
}
