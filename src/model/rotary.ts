/** @file The angles of rotary positions (Su et al., arXiv:2104.09864), plain or scaled for longer texts. */
import { constant, type Tensor } from "../tensor/index.js";
import type { RotaryConfig } from "./config.js";

/** Returns cos and sin of position · frequency, (positions, D/2) each, computed in float64. */
export function rotaryTables(config: RotaryConfig, positions: number): { readonly cos: Tensor; readonly sin: Tensor } {
  const frequencies = rotaryFrequencies(config);
  const half = frequencies.length;
  const factor = config.ropeScaling?.type === "yarn" ? config.ropeScaling.attentionFactor : 1;
  const cos = new Float32Array(positions * half); // (positions, D/2)
  const sin = new Float32Array(positions * half);
  for (let position = 0; position < positions; position++) {
    for (let d = 0; d < half; d++) {
      const angle = position * frequencies[d];
      cos[position * half + d] = Math.cos(angle) * factor;
      sin[position * half + d] = Math.sin(angle) * factor;
    }
  }
  return { cos: constant(cos, [positions, half]), sin: constant(sin, [positions, half]) };
}

/** Returns the angle per position of each pair of dimensions, (D/2): θ^(−2d/D), reduced by the RoPE scaling. */
export function rotaryFrequencies({ headWidth: D, ropeTheta, ropeScaling }: RotaryConfig): Float64Array {
  const plain = Float64Array.from({ length: D / 2 }, (_, d) => ropeTheta ** ((-2 * d) / D));
  switch (ropeScaling?.type) {
    case undefined:
    case "dynamic":
      return plain;
    case "linear":
      return plain.map((frequency) => frequency / ropeScaling.factor);
    case "llama3": {
      // Wavelengths that are short relative to the original sequence stay. Long ones are stretched by `factor`, and
      // those in between are interpolated (Grattafiori et al., arXiv:2407.21783).
      const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalSequence } = ropeScaling;
      return plain.map((frequency) => {
        const turns = (originalSequence * frequency) / (2 * Math.PI);
        const kept = Math.min(1, Math.max(0, (turns - low) / (high - low)));
        return frequency * (kept + (1 - kept) / factor);
      });
    }
    case "yarn": {
      // Like llama3, with a ramp that is linear in the dimension (Peng et al., arXiv:2309.00071).
      const { factor, originalSequence, betaFast, betaSlow, truncate } = ropeScaling;
      const dimensionOf = (turns: number) =>
        (D * Math.log(originalSequence / (turns * 2 * Math.PI))) / (2 * Math.log(ropeTheta));
      const [first, last] = [dimensionOf(betaFast), dimensionOf(betaSlow)];
      const low = Math.max(truncate ? Math.floor(first) : first, 0);
      const high = Math.min(truncate ? Math.ceil(last) : last, D - 1);
      const length = high === low ? 0.001 : high - low;
      return plain.map((frequency, d) => {
        const stretched = Math.min(1, Math.max(0, (d - low) / length));
        return frequency * (1 - stretched + stretched / factor);
      });
    }
    default:
      throw new Error(ropeScaling satisfies never);
  }
}
