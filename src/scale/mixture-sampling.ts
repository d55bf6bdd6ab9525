/** @file Samples mixtures from Dirichlet distributions around the natural mixture, from near it to the corners. */
import type { RandomStream } from "../model/index.js";

/** Returns a function that draws uniform numbers from 0 to 1. */
export function uniforms(stream: RandomStream): () => number {
  let count = 0;
  return () => stream.uniform(count++);
}

/** Samples a gamma distribution (Marsaglia and Tsang 2000); shapes below 1 use the power of another uniform number. */
function gamma(shape: number, uniform: () => number): number {
  if (shape < 1) return gamma(shape + 1, uniform) * Math.max(uniform(), 1e-300) ** (1 / shape);
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const normal = Math.sqrt(-2 * Math.log(Math.max(uniform(), 1e-300))) * Math.cos(2 * Math.PI * uniform());
    const v = (1 + c * normal) ** 3;
    if (v > 0 && Math.log(Math.max(uniform(), 1e-300)) < 0.5 * normal * normal + d - d * v + d * Math.log(v))
      return d * v;
  }
}

/** Samples a mixture around `center`. A larger concentration keeps samples closer to it. */
export function sampleMixture(center: readonly number[], concentration: number, uniform: () => number): number[] {
  const parts = center.map((share) => gamma(Math.max(1e-3, concentration * share), uniform) + 1e-12);
  const sum = parts.reduce((total, part) => total + part, 0);
  return parts.map((part) => part / sum);
}

/** Samples `count` mixtures whose concentrations cycle from wide to narrow, as in RegMix. */
export function sampleMixtures(
  center: readonly number[],
  count: number,
  { concentration, uniform }: { readonly concentration: number; readonly uniform: () => number },
): number[][] {
  const levels = [0.5, 1, 2, 4].map((level) => level * concentration * center.length);
  return Array.from({ length: count }, (_, i) => sampleMixture(center, levels[i % levels.length], uniform));
}
