/**
 * @file What a model is: the sizes of a transformer, and the `config.json` in which Hugging Face folders say the same.
 *
 * A folder that asks for anything this family does not compute (biases, scaled rotations, another activation) is
 * refused by name: a model that runs with a setting ignored gives wrong text without a word.
 */
import { QuernError } from "../errors.js";

/** The Llama family: RMS norm, rotary positions, SwiGLU, grouped queries (Touvron et al., arXiv:2307.09288). */
export interface ModelConfig {
  readonly family: "llama";
  /** L */
  readonly layers: number;
  /** C, the width of the residual stream. */
  readonly width: number;
  /** H, query heads. */
  readonly heads: number;
  /** G, key/value heads; divides `heads`. */
  readonly keyValueHeads: number;
  /** D, even. */
  readonly headWidth: number;
  /** F, the inner width of the feed-forward part. */
  readonly hidden: number;
  /** V */
  readonly vocabSize: number;
  /** The longest text that positions are trained for, in tokens. */
  readonly sequence: number;
  /** The base of the rotary wavelengths. */
  readonly ropeTheta: number;
  readonly normEpsilon: number;
  /** The output projection is the embedding table. */
  readonly tiedHead: boolean;
}

/** Sizes to choose; what is left out is derived. */
export type ModelSizes = Pick<ModelConfig, "layers" | "width" | "heads" | "vocabSize" | "sequence"> &
  Partial<Omit<ModelConfig, "family">>;

/**
 * A whole configuration from a few sizes: head width = width / heads, every query head with its own keys, a hidden width
 * of 8/3 of the width (as many parameters as the two matrices of 4 × in a plain feed-forward part: Shazeer,
 * arXiv:2002.05202) rounded up to 64, a tied head. Throws a `QuernError` for sizes that do not fit each other.
 */
export function defineModel(sizes: ModelSizes): ModelConfig {
  const { width, heads } = sizes;
  const config: ModelConfig = {
    family: "llama",
    keyValueHeads: heads,
    headWidth: width / heads,
    hidden: Math.ceil((width * 8) / 3 / 64) * 64,
    ropeTheta: 10_000,
    normEpsilon: 1e-5,
    tiedHead: true,
    ...sizes,
  };
  const problem = problemOf(config);
  if (problem !== null) throw new QuernError(`no such model: ${problem}`, { exitCode: 2 });
  return config;
}

/** Why no model has these sizes, or null. */
function problemOf(config: ModelConfig): string | null {
  const { width, heads, keyValueHeads, headWidth } = config;
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
  }
  if (heads % keyValueHeads !== 0)
    return `the ${heads} heads are not a multiple of the ${keyValueHeads} key/value heads`;
  if (headWidth % 2 !== 0) return `the head width ${headWidth} is odd, and rotary positions take pairs`;
  if (!(config.ropeTheta > 0)) return `ropeTheta is ${config.ropeTheta}, not a number above 0`;
  if (!(config.normEpsilon > 0)) return `normEpsilon is ${config.normEpsilon}, not a number above 0`;
  return null;
}

/** `config.json` as transformers, vLLM and llama.cpp read it. `endOfText` is the id that ends a text. */
export function toHuggingFaceConfig(config: ModelConfig, endOfText: number | null): Record<string, unknown> {
  return {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    hidden_size: config.width,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.keyValueHeads,
    head_dim: config.headWidth,
    intermediate_size: config.hidden,
    vocab_size: config.vocabSize,
    max_position_embeddings: config.sequence,
    // The newest transformers reads the first, everything older the second.
    rope_parameters: { rope_type: "default", rope_theta: config.ropeTheta },
    rope_theta: config.ropeTheta,
    rms_norm_eps: config.normEpsilon,
    tie_word_embeddings: config.tiedHead,
    hidden_act: "silu",
    attention_bias: false,
    attention_dropout: 0,
    mlp_bias: false,
    initializer_range: 0.02,
    bos_token_id: endOfText,
    eos_token_id: endOfText,
    torch_dtype: "float32",
    use_cache: true,
  };
}

/** `generation_config.json`: when to stop. */
export function toHuggingFaceGenerationConfig(endOfText: number | null): Record<string, unknown> {
  return { bos_token_id: endOfText, eos_token_id: endOfText };
}

/**
 * The configuration that a parsed `config.json` describes, and the ids that end a text. Throws a `QuernError` that
 * names `path` and the field when it is no Llama model or asks for what is not computed here.
 */
export function fromHuggingFaceConfig(
  json: unknown,
  path: string,
): { readonly config: ModelConfig; readonly endOfText: readonly number[] } {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new QuernError(`${path} is not a model configuration: it holds no JSON object`);
  }
  const fields = json as Readonly<Record<string, unknown>>;
  if (fields.model_type !== "llama") {
    const type = fields.model_type === undefined ? "no model_type" : `model_type ${JSON.stringify(fields.model_type)}`;
    throw new QuernError(`${path} has ${type}; only llama models can be read`);
  }
  const number = (key: string, fallback?: number): number => {
    const value = fields[key] ?? fallback;
    if (typeof value !== "number" || !Number.isFinite(value)) {
      throw new QuernError(`${path} has no number for ${key}, which a llama model needs`);
    }
    return value;
  };
  refuseOtherComputation(fields, path);
  const width = number("hidden_size");
  const heads = number("num_attention_heads");
  const config: ModelConfig = {
    family: "llama",
    layers: number("num_hidden_layers"),
    width,
    heads,
    keyValueHeads: number("num_key_value_heads", heads),
    headWidth: number("head_dim", width / heads),
    hidden: number("intermediate_size"),
    vocabSize: number("vocab_size"),
    sequence: number("max_position_embeddings", 2048),
    ropeTheta: ropeOf(fields).theta ?? number("rope_theta", 10_000),
    normEpsilon: number("rms_norm_eps", 1e-6),
    tiedHead: fields.tie_word_embeddings === true,
  };
  const problem = problemOf(config);
  if (problem !== null) throw new QuernError(`${path} describes no possible model: ${problem}`);
  const ends = [fields.eos_token_id].flat().filter((id): id is number => Number.isSafeInteger(id));
  return { config, endOfText: ends };
}

function ropeOf(fields: Readonly<Record<string, unknown>>): { readonly type: unknown; readonly theta?: number } {
  const rope = (fields.rope_parameters ?? fields.rope_scaling ?? {}) as Readonly<Record<string, unknown>>;
  const theta = typeof rope.rope_theta === "number" ? rope.rope_theta : undefined;
  return { type: rope.rope_type ?? rope.type ?? "default", theta };
}

function refuseOtherComputation(fields: Readonly<Record<string, unknown>>, path: string): void {
  const refuse = (what: string) => {
    throw new QuernError(`${path} asks for ${what}, which is not computed here`);
  };
  const { type } = ropeOf(fields);
  if (type !== "default") refuse(`rotary positions of type ${JSON.stringify(type)}`);
  if ((fields.hidden_act ?? "silu") !== "silu") refuse(`the activation ${JSON.stringify(fields.hidden_act)}`);
  if (fields.attention_bias === true) refuse("biases in attention (attention_bias)");
  if (fields.mlp_bias === true) refuse("biases in the feed-forward part (mlp_bias)");
  if ((fields.quantization_config ?? null) !== null) refuse("quantized weights (quantization_config)");
}
