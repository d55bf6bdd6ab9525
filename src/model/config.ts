/**
 * @file Model configurations: the family and the sizes of a transformer.
 *
 * `gpt2` is GPT-2 (Radford et al., "Language models are unsupervised multitask learners", 2019): layer norm, learned
 * positions, biases, GELU. `llama` has RMS norm, rotary positions, SwiGLU and grouped queries (Touvron et al.,
 * arXiv:2307.09288), `qwen3` also a norm over each head's queries and keys (arXiv:2505.09388).
 */
import { QuernError } from "../errors.js";

export const FAMILIES = ["gpt2", "llama", "qwen3"] as const;
export type Family = (typeof FAMILIES)[number];

interface Sizes {
  /** L */
  readonly layers: number;
  /** C, the width of the residual stream. */
  readonly width: number;
  /** H, query heads. */
  readonly heads: number;
  /** G, key/value heads; divides `heads`. */
  readonly keyValueHeads: number;
  /** D; must be even with rotary positions. */
  readonly headWidth: number;
  /** F, the inner width of the feed-forward layers. */
  readonly hidden: number;
  /** V */
  readonly vocabSize: number;
  /** The longest text that the model is trained for, in tokens. */
  readonly sequence: number;
  readonly normEpsilon: number;
  /** Whether the output projection shares the embedding table. */
  readonly tiedHead: boolean;
}

/** Every query head has its own key/value head, and heads × head width = width. */
export interface Gpt2Config extends Sizes {
  readonly family: "gpt2";
}

export interface RotaryConfig extends Sizes {
  readonly family: "llama" | "qwen3";
  /** Base θ of the rotary frequencies. */
  readonly ropeTheta: number;
  /** Scaling of the rotations for texts longer than those of the original training. */
  readonly ropeScaling: RopeScaling | null;
  /** Whether the four attention projections have biases. */
  readonly attentionBias: boolean;
  /** Whether the three feed-forward projections have biases; only possible for llama. */
  readonly feedForwardBias: boolean;
}

export type ModelConfig = Gpt2Config | RotaryConfig;

/** The supported kinds of RoPE scaling; rotary.ts implements them. */
export type RopeScaling =
  | { readonly type: "linear"; readonly factor: number }
  /** Scales only beyond the model's sequence length. Quern rejects such texts, so this equals plain rotations. */
  | { readonly type: "dynamic"; readonly factor: number }
  | {
      readonly type: "llama3";
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      /** The sequence length of the original training, in tokens. */
      readonly originalSequence: number;
    }
  | {
      readonly type: "yarn";
      readonly factor: number;
      readonly originalSequence: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      /** Factor of cosines and sines. */
      readonly attentionFactor: number;
      /** Whether the ends of the ramp are rounded to whole dimensions. */
      readonly truncate: boolean;
    };

type Optional = Omit<Sizes, "layers" | "width" | "heads" | "vocabSize" | "sequence"> &
  Omit<RotaryConfig, keyof Sizes | "family">;

/** Sizes of a new model; missing ones are derived. The default family is llama. */
export type ModelSizes = Pick<Sizes, "layers" | "width" | "heads" | "vocabSize" | "sequence"> &
  Partial<Optional> & { readonly family?: Family };

/**
 * Derives a complete configuration from a few sizes. Defaults: head width = width / heads, a key/value head per query head,
 * a tied head. The hidden width of gpt2 is 4 × width. For the other families it is 8/3 × width, rounded up to 64: three
 * such matrices have as many parameters as two of 4 × width (Shazeer, arXiv:2002.05202).
 * @throws QuernError for inconsistent sizes, or sizes that the family does not have
 */
export function defineModel(sizes: ModelSizes): ModelConfig {
  const { family = "llama", width, heads } = sizes;
  if (!FAMILIES.includes(family)) {
    throw new QuernError(`invalid model: unknown family ${family}; choose one of ${FAMILIES.join(", ")}`, {
      exitCode: 2,
    });
  }
  const plain = family === "gpt2";
  const common = {
    keyValueHeads: heads,
    headWidth: width / heads,
    hidden: plain ? 4 * width : Math.ceil((width * 8) / 3 / 64) * 64,
    normEpsilon: family === "qwen3" ? 1e-6 : 1e-5,
    tiedHead: true,
  };
  const rotary = {
    ropeTheta: family === "qwen3" ? 1_000_000 : 10_000,
    ropeScaling: null,
    attentionBias: false,
    feedForwardBias: false,
  };
  const given = Object.fromEntries(Object.entries(sizes).filter(([, value]) => value !== undefined));
  const config = { ...common, ...(plain ? {} : rotary), ...given, family } as ModelConfig;
  const problem = problemOf(config);
  if (problem !== null) throw new QuernError(`invalid model: ${problem}`, { exitCode: 2 });
  return config;
}

/** More must be a typo or an attack: the deepest published transformer has 1,000 layers (arXiv:2203.00555). */
const MAX_LAYERS = 4096;
/** Limit of a tensor dimension. */
const MAX_DIMENSION = 2 ** 31 - 1;

/** Returns why a configuration is invalid, or null. */
export function problemOf(config: ModelConfig): string | null {
  const { family, width, heads, keyValueHeads, headWidth } = config;
  if (!Number.isInteger(headWidth)) return `the width ${width} is not a multiple of the ${heads} heads`;
  for (const key of [
    "layers",
    "width",
    "heads",
    "keyValueHeads",
    "headWidth",
    "hidden",
    "vocabSize",
    "sequence",
  ] as const) {
    if (!Number.isSafeInteger(config[key]) || config[key] < 1)
      return `${key} is ${config[key]}, not a whole number above 0`;
    const most = key === "layers" ? MAX_LAYERS : MAX_DIMENSION;
    if (config[key] > most) return `${key} is ${config[key]}, but at most ${most} is supported`;
  }
  if (!(config.normEpsilon > 0)) return `normEpsilon is ${config.normEpsilon}, not a number above 0`;
  if (family === "gpt2") {
    if (keyValueHeads !== heads)
      return `gpt2 needs as many key/value heads as heads, not ${keyValueHeads} for ${heads} heads`;
    if (headWidth * heads !== width)
      return `gpt2 needs heads × head width = width, but ${heads} × ${headWidth} is not ${width}`;
    const foreign = Object.keys(config).find((key) => /^rope|Bias$/.test(key));
    return foreign === undefined ? null : `gpt2 has no setting ${foreign}`;
  }
  if (heads % keyValueHeads !== 0)
    return `the ${heads} heads are not a multiple of the ${keyValueHeads} key/value heads`;
  if (headWidth % 2 !== 0) return `the head width ${headWidth} is odd, but rotary positions need pairs of dimensions`;
  if (!(config.ropeTheta > 0)) return `ropeTheta is ${config.ropeTheta}, not a number above 0`;
  if (family === "qwen3" && config.feedForwardBias) return "qwen3 has no biases in its feed-forward layers";
  return config.ropeScaling === null ? null : scalingProblem(config.ropeScaling);
}

function scalingProblem(scaling: RopeScaling): string | null {
  for (const [key, value] of Object.entries(scaling)) {
    if (typeof value === "number" && !(value > 0 && Number.isFinite(value))) {
      return `${key} of the rope scaling is ${value}, not a number above 0`;
    }
  }
  if (scaling.type === "llama3" && scaling.highFrequencyFactor <= scaling.lowFrequencyFactor) {
    return "highFrequencyFactor of the rope scaling is not above lowFrequencyFactor";
  }
  return null;
}
