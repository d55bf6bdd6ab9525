/** @file Choosing the next token from logits. */

export interface SamplingOptions {
  /** 0 takes the likeliest token; 1 samples from the model's own distribution; between, a sharper one. */
  readonly temperature: number;
  /** Only the k likeliest tokens are drawn from; 0 means all. */
  readonly topK: number;
}

/**
 * The token that a uniform number in (0, 1) picks from logits (V). Among equally likely ones the smallest id comes
 * first, so that the choice depends on nothing but the numbers.
 */
export function chooseToken(logits: Float32Array, { temperature, topK }: SamplingOptions, uniform: number): number {
  if (temperature === 0) return likeliest(logits);
  const candidates = topK > 0 && topK < logits.length ? largest(logits, topK) : Array.from(logits.keys());
  const peak = candidates.reduce((top, id) => Math.max(top, logits[id]), Number.NEGATIVE_INFINITY);
  const weights = candidates.map((id) => Math.exp((logits[id] - peak) / temperature));
  let rest = uniform * weights.reduce((a, b) => a + b, 0);
  for (let i = 0; i < candidates.length; i++) {
    rest -= weights[i];
    if (rest < 0) return candidates[i];
  }
  return candidates[candidates.length - 1]; // rounding left a crumb
}

function likeliest(logits: Float32Array): number {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if (logits[id] > logits[best]) best = id;
  return best;
}

/** The ids of the k largest logits, largest first. */
function largest(logits: Float32Array, k: number): number[] {
  return Array.from(logits.keys())
    .sort((a, b) => logits[b] - logits[a] || a - b)
    .slice(0, k);
}
