/**
 * @file What a model is: the family and the sizes of a transformer.
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
  /** D; even where positions are rotary. */
  readonly headWidth: number;
  /** F, the inner width of the feed-forward part. */
  readonly hidden: number;
  /** V */
  readonly vocabSize: number;
  /** The longest text that positions are trained for, in tokens. */
  readonly sequence: number;
  readonly normEpsilon: number;
  /** The output projection is the embedding table. */
  readonly tiedHead: boolean;
}

/** Every head has keys of its own, and heads × head width is the width. */
export interface Gpt2Config extends Sizes {
  readonly family: "gpt2";
}

export interface RotaryConfig extends Sizes {
  readonly family: "llama" | "qwen3";
  /** The base of the rotary wavelengths. */
  readonly ropeTheta: number;
  /** How rotations are stretched for texts longer than those of the first training. */
  readonly ropeScaling: RopeScaling | null;
  /** Biases of the four projections of attention. */
  readonly attentionBias: boolean;
  /** Biases of the three projections of the feed-forward part; only llama has the choice. */
  readonly feedForwardBias: boolean;
}

export type ModelConfig = Gpt2Config | RotaryConfig;

/** The kinds of stretched rotations that are computed here; rotary.ts says what each does. */
export type RopeScaling =
  | { readonly type: "linear"; readonly factor: number }
  /** Stretched only for texts longer than the model's sequence, which are not taken here: so the plain rotations. */
  | { readonly type: "dynamic"; readonly factor: number }
  | {
      readonly type: "llama3";
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      /** The longest text of the first training, in tokens. */
      readonly originalSequence: number;
    }
  | {
      readonly type: "yarn";
      readonly factor: number;
      readonly originalSequence: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      /** What cosines and sines are multiplied by. */
      readonly attentionFactor: number;
      /** Whether the ends of the ramp are rounded to whole dimensions. */
      readonly truncate: boolean;
    };

type Optional = Omit<Sizes, "layers" | "width" | "heads" | "vocabSize" | "sequence"> &
  Omit<RotaryConfig, keyof Sizes | "family">;

/** Sizes to choose; what is left out is derived. The family is llama unless it is said. */
export type ModelSizes = Pick<Sizes, "layers" | "width" | "heads" | "vocabSize" | "sequence"> &
  Partial<Optional> & { readonly family?: Family };

/**
 * A whole configuration from a few sizes: head width = width / heads, every query head with its own keys, a tied head.
 * The hidden width of gpt2 is 4 × the width; that of the others 8/3 of it (as many parameters in three matrices as 4 ×
 * has in two: Shazeer, arXiv:2002.05202), rounded up to 64. Throws a `QuernError` for sizes that do not fit each other
 * or that the family does not have.
 */
export function defineModel(sizes: ModelSizes): ModelConfig {
  const { family = "llama", width, heads } = sizes;
  if (!FAMILIES.includes(family)) {
    throw new QuernError(`no such model: the family ${family} is none of ${FAMILIES.join(", ")}`, { exitCode: 2 });
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
  if (problem !== null) throw new QuernError(`no such model: ${problem}`, { exitCode: 2 });
  return config;
}

/** What is above is a slip of the hand or an attack: the deepest transformer that was trained has 1,000 layers (arXiv:2203.00555). */
const MOST_LAYERS = 4096;
/** Of a tensor's dimension. */
const MOST_OF_A_SIZE = 2 ** 31 - 1;

/** Why no model has these sizes, or null. */
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
    const most = key === "layers" ? MOST_LAYERS : MOST_OF_A_SIZE;
    if (config[key] > most) return `${key} is ${config[key]}, and at most ${most} can be computed`;
  }
  if (!(config.normEpsilon > 0)) return `normEpsilon is ${config.normEpsilon}, not a number above 0`;
  if (family === "gpt2") {
    if (keyValueHeads !== heads) return `gpt2 has as many key/value heads as heads, not ${keyValueHeads} of ${heads}`;
    if (headWidth * heads !== width) return `the heads of gpt2 share its width ${width}, not ${heads} × ${headWidth}`;
    const foreign = Object.keys(config).find((key) => /^rope|Bias$/.test(key));
    return foreign === undefined ? null : `gpt2 has no choice of ${foreign}`;
  }
  if (heads % keyValueHeads !== 0)
    return `the ${heads} heads are not a multiple of the ${keyValueHeads} key/value heads`;
  if (headWidth % 2 !== 0) return `the head width ${headWidth} is odd, and rotary positions take pairs`;
  if (!(config.ropeTheta > 0)) return `ropeTheta is ${config.ropeTheta}, not a number above 0`;
  if (family === "qwen3" && config.feedForwardBias) return "qwen3 has no biases in its feed-forward part";
  return config.ropeScaling === null ? null : scalingProblem(config.ropeScaling);
}

function scalingProblem(scaling: RopeScaling): string | null {
  for (const [key, value] of Object.entries(scaling)) {
    if (typeof value === "number" && !(value > 0 && Number.isFinite(value))) {
      return `the rotary scaling's ${key} is ${value}, not a number above 0`;
    }
  }
  if (scaling.type === "llama3" && scaling.highFrequencyFactor <= scaling.lowFrequencyFactor) {
    return "the rotary scaling's high frequency factor is not above its low one";
  }
  return null;
}
