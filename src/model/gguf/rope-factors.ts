/**
 * @file Recovers the settings of Llama 3's RoPE scaling from `rope_freqs.weight`. GGUF stores the D/2 divisors of the
 * frequencies; a Hugging Face folder stores the four settings behind them. The result is checked against every divisor.
 */
import { QuernError } from "../../errors.js";
import type { RopeScaling, RotaryConfig } from "../config.js";
import { rotaryFrequencies } from "../rotary.js";

const TOLERANCE = 1e-4;

export interface Llama3Settings {
  readonly factor: number;
  readonly low: number;
  readonly high: number;
  readonly original: number;
}

/**
 * Returns the scaling. For f between unscaled and fully scaled frequencies, llama3 divides f by 1 / (s + (1 − s) /
 * factor), where s = (f · original / 2π − low) / (high − low). The factors determine only low / original; Meta uses low
 * = 1.
 * @param stated settings from the file's metadata, which are tried first
 * @throws QuernError if the factors do not follow this curve
 */
export function llama3Scaling(
  factors: Float32Array,
  config: RotaryConfig,
  path: string,
  stated?: Llama3Settings,
): RopeScaling | null {
  if (factors.length !== config.headWidth / 2 || !factors.every((value) => value > 0 && Number.isFinite(value))) {
    throw new QuernError(`${path} has ${factors.length} rotary factors for heads of ${config.headWidth} dimensions`);
  }
  const factor = rounded(factors.reduce((most, value) => Math.max(most, value), 1));
  if (factor === 1 && stated === undefined) return null;
  const plain = rotaryFrequencies({ ...config, ropeScaling: null });
  const ramp = [...factors.entries()].filter(([, value]) => value > 1 + TOLERANCE && value < factor * (1 - TOLERANCE));
  const kept = (value: number) => (1 / value - 1 / factor) / (1 - 1 / factor);
  const scalings: Llama3Settings[] = [...(stated ? [stated] : []), { factor, low: 1, high: 4, original: 8192 }];
  if (ramp.length > 1) {
    const [[d0, v0], [d1, v1]] = [ramp[0], ramp[ramp.length - 1]];
    const slope = (kept(v0) - kept(v1)) / (plain[d0] - plain[d1]);
    const range = 1 / (slope * plain[d0] - kept(v0));
    scalings.push({ factor, low: 1, high: rounded(1 + range), original: Math.round(slope * 2 * Math.PI * range) });
  }
  for (const { factor: by, low, high, original } of scalings) {
    if (!(by > 0 && high > low && original > 0)) continue;
    const scaling: RopeScaling = {
      type: "llama3",
      factor: by,
      lowFrequencyFactor: low,
      highFrequencyFactor: high,
      originalSequence: original,
    };
    const stretched = rotaryFrequencies({ ...config, ropeScaling: scaling });
    if (factors.every((value, d) => Math.abs(plain[d] / stretched[d] - value) <= TOLERANCE * value)) return scaling;
  }
  throw new QuernError(
    `${path} scales rotations by factors (rope_freqs.weight) that are not Llama 3's, which Quern does not support`,
  );
}

/** Removes the rounding error of float32. */
const rounded = (value: number) => Number(value.toPrecision(5));
