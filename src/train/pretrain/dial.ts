/**
 * @file Derives model sizes, batch and learning rate from the compute budget, each with a reason. Each can be set by hand;
 * the values that depend on it are then derived from it.
 */
import { type ModelConfig, parametersOf, trainingFlopsPerToken } from "../../model/index.js";
import { flopsForLawTokens, flopsForParams, powerAt, type ScalingLaw } from "../law.js";
import { muonFlops } from "../optimizer/muon.js";
import type { OptimizerKind } from "../optimizer/optimizer.js";

/** A derived value and its reason. */
export interface Derived<T = number> {
  readonly value: T;
  readonly reason: string;
}

const EXPONENT = 0.28 / (0.34 + 0.28); // β / (α + β)
const FACTOR = ((0.34 * 406.4) / (0.28 * 410.7)) ** (1 / (0.34 + 0.28)); // (αA / βB)^(1 / (α + β))

/**
 * Returns the compute-optimal params, embedding table included, for C FLOPs: 1.345 · (C/6)^.452. This minimizes the loss
 * E + A/N^α + B/D^β with A = 406.4, B = 410.7, α = .34 and β = .28 (Hoffmann et al., arXiv:2203.15556, equations 4 and 10).
 * The law was fitted at 1e18 FLOPs and more. The best sizes on the starter corpus at 4e12 to 1e14 FLOPs are near it (docs/scaling.md).
 */
export function bestParams(flops: number): number {
  return FACTOR * (flops / 6) ** EXPONENT;
}

/** Returns the FLOPs for which this many params are optimal: the inverse of `bestParams`. */
export function bestFlops(params: number): number {
  return 6 * (params / FACTOR) ** (1 / EXPONENT);
}

/** A user's law and its file, which replace the published constants. */
export type DialLaw = ScalingLaw & { readonly path: string };

/**
 * Returns the width, of layers of width / 48 in depth, whose model has about `params` parameters: 12 · width² per layer, and the
 * embedding table if the law counts it.
 */
export function weightsForParams(params: number, counting: ScalingLaw["counting"], vocabSize: number): number {
  if (counting === "without_embeddings") return params;
  // params = 12·w³/48 + V·w grows with w: bisection.
  let [low, high] = [1, 1e6];
  for (let i = 0; i < 100; i++) {
    const width = (low + high) / 2;
    if ((12 * width ** 3) / ASPECT + vocabSize * width < params) low = width;
    else high = width;
  }
  return Math.max(12 * 2 * 32 * 32, (12 * low ** 3) / ASPECT);
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
  by: { readonly law?: DialLaw; readonly vocabSize?: number; readonly params?: number } = {},
): { readonly layers: Derived; readonly width: Derived } {
  const { law, vocabSize = 0 } = by;
  const usefulTokens = (MAX_USEFUL_EPOCHS * textBytes) / 4; // about 4 bytes per token
  const textFlops = law === undefined ? flopsForTokens(usefulTokens) : flopsForLawTokens(law, usefulTokens);
  const flops = Math.min(budget, textFlops);
  const limited =
    flops < budget ? `; ${power(budget)} would need more text than ${MAX_USEFUL_EPOCHS} epochs of this one` : "";
  const wanted = by.params ?? (law === undefined ? bestParams(flops) : powerAt(law.frontier.params, flops));
  const counting = law?.counting ?? "all";
  const weights = weightsForParams(wanted, counting, vocabSize);
  const source = law === undefined ? "Hoffmann et al., arXiv:2203.15556, third approach" : law.path;
  const table = counting === "all" ? " with the embedding table" : "";
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
        `${power(wanted)} params${table} are optimal for ${power(flops)} FLOPs (${source}), of which ` +
        `12 width² per layer are ${power(weights)}${limited}`,
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

/**
 * The best batches of AdamW and of Muon for small models on the starter corpus, in tokens (docs/log.md). AdamW's meets a quarter
 * of the published rule at 1e14 FLOPs; Muon's meets the whole one at 7e14.
 */
const smallBatch = {
  adamw: (flops: number) => Math.min(publishedBatch(flops) / 4, 256 * (flops / 1.1e12) ** 0.52),
  muon: (flops: number) => Math.min(publishedBatch(flops), 512 * (flops / 4.3e11) ** 0.5),
};
const LEAST_BATCH_TOKENS = 256;

/** Most tokens per batch; larger steps accumulate gradients over several batches. */
const MAX_BATCH_TOKENS = 8192;

/**
 * Returns sequences per batch and batches per step. Small budgets have fewer tokens per step than the published rule, which was
 * fitted at 1e17 FLOPs and more: there, many noisy steps teach more than few smooth ones (McCandlish et al., arXiv:1812.06162).
 * Muon learns well from larger steps than AdamW.
 */
export function batchFor(
  flops: number,
  sequence: number,
  overrides: { readonly batch?: number; readonly accumulate?: number },
  by: { readonly textBytes?: number; readonly law?: DialLaw; readonly optimizer: OptimizerKind },
): { readonly batch: Derived; readonly accumulate: Derived } {
  const { textBytes = Number.POSITIVE_INFINITY, law, optimizer } = by;
  // At least 16 steps per epoch, at about 4 bytes per token.
  const own = law?.batch ?? null;
  const rule = own === null ? smallBatch[optimizer](flops) : powerAt(own, flops);
  const least = own === null ? LEAST_BATCH_TOKENS : sequence;
  const wanted = Math.max(least, Math.min(rule, textBytes / 4 / 16)) / sequence;
  const sequences = 2 ** Math.max(0, Math.round(Math.log2(wanted)));
  const most = Math.max(1, 2 ** Math.floor(Math.log2(MAX_BATCH_TOKENS / sequence)));
  const reason =
    own !== null && law !== undefined
      ? `best by ${law.path}: ${Math.round(rule)} tokens per step`
      : `${Math.round(rule)} tokens for ${optimizer} (measured), ${Math.round(publishedBatch(flops))} by Bi et al. (arXiv:2401.02954): ` +
        "short training learns more from many small steps";
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
 * Returns the peak learning rate: .3118 · C^−.125 (Bi et al., arXiv:2401.02954, equation 1), less for a smaller batch by the
 * square root (Malladi et al., arXiv:2205.10330). For AdamW that rule's batch counts, and .004 is the most: on the starter corpus,
 * rates from .002 to .004 perform equally at width 96, and .008 is too high. For Muon the dial's own batch counts (docs/log.md).
 */
export function learningRateFor(
  flops: number,
  tokensPerStep: number,
  {
    continued,
    law,
    optimizer,
  }: { readonly continued: boolean; readonly law?: DialLaw; readonly optimizer: OptimizerKind },
): Derived {
  if (law !== undefined && law.learning_rate !== null) {
    const rate = powerAt(law.learning_rate, flops) * (continued ? CONTINUED : 1);
    const share = continued ? `${CONTINUED} of ` : "";
    return { value: Number(rate.toPrecision(2)), reason: `${share}best by ${law.path} for ${power(flops)} FLOPs` };
  }
  const published = 0.3118 * flops ** -0.125;
  const formula = `.3118 · ${power(flops)}^-.125 (Bi et al., arXiv:2401.02954)`;
  const { rate, rule } =
    optimizer === "muon"
      ? {
          rate: published * Math.sqrt(Math.min(1, tokensPerStep / smallBatch.muon(flops))),
          rule: `${formula}, less for a smaller batch`,
        }
      : {
          rate: Math.min(0.004, published * Math.sqrt(tokensPerStep / publishedBatch(flops))),
          rule: `${formula} × √(batch / its batch), at most .004`,
        };
  return {
    value: Number((continued ? CONTINUED * rate : rate).toPrecision(2)),
    reason: continued ? `${CONTINUED} of ${rule}: continued training (Ibrahim et al., arXiv:2403.08763)` : rule,
  };
}

/** Muon costs too much if its iterations need more than this share of the FLOPs of a step. */
const MUON_SHARE = 0.5;

/**
 * Returns the optimizer: Muon (Jordan et al. 2024), which reached lower losses at every size tried on the starter corpus
 * (docs/log.md). Its cost per step does not depend on the batch, so that large matrices with small batches keep AdamW; so does
 * continued training, most of whose models were trained with it (Liu et al., arXiv:2502.16982, section 3.5).
 */
export function optimizerFor(
  model: ModelConfig,
  tokensPerStep: number,
  sequence: number,
  continued: boolean,
): Derived<OptimizerKind> {
  if (continued) return { value: "adamw", reason: "the optimizer that most models were trained with" };
  const share = muonFlops(parametersOf(model)) / (trainingFlopsPerToken(model, sequence) * tokensPerStep);
  const percent = `${(100 * share).toFixed(0)} % of the FLOPs of a step of ${tokensPerStep} tokens`;
  return share > MUON_SHARE
    ? { value: "adamw", reason: `muon would add ${percent}` }
    : { value: "muon", reason: `learns more from a step than adamw (measured), and adds ${percent}` };
}

/** Returns the FLOPs for which the size of a model is optimal; the budget if none is given. */
export function flopsOfModel(
  { layers, width, vocabSize }: Pick<ModelConfig, "layers" | "width"> & { readonly vocabSize?: number },
  law?: DialLaw,
): number {
  // Without a vocabulary its usual size counts.
  const table = law?.counting === "without_embeddings" ? 0 : (vocabSize ?? 8192) * width;
  const params = weightsOf(layers, width) + table;
  return law === undefined ? bestFlops(params) : flopsForParams(law, params);
}
