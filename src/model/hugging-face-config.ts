/**
 * @file Reads and writes the `config.json` of Hugging Face folders, as transformers, vLLM and llama.cpp do.
 *
 * Settings that Quern does not support (another activation, sliding windows, some kinds of RoPE scaling) are rejected
 * by name: ignoring one would silently generate wrong text.
 */
import { QuernError } from "../errors.js";
import { quoted } from "../printable.js";
import { FAMILIES, type Family, type ModelConfig, problemOf, type RopeScaling, type RotaryConfig } from "./config.js";

type Fields = Readonly<Record<string, unknown>>;

/** Ids that end a text; the first also begins one. Null or an empty list for none. */
export type EndOfText = number | readonly number[] | null;

/** The token fields of both `config.json` and `generation_config.json`. */
function tokenFields(endOfText: EndOfText) {
  const ids = [endOfText ?? []].flat();
  return { bos_token_id: ids[0] ?? null, eos_token_id: ids.length > 1 ? ids : (ids[0] ?? null) };
}

export function toHuggingFaceConfig(config: ModelConfig, endOfText: EndOfText): Record<string, unknown> {
  const common = {
    vocab_size: config.vocabSize,
    tie_word_embeddings: config.tiedHead,
    initializer_range: 0.02,
    ...tokenFields(endOfText),
    torch_dtype: "float32",
    use_cache: true,
  };
  if (config.family === "gpt2") {
    return {
      architectures: ["GPT2LMHeadModel"],
      model_type: "gpt2",
      n_embd: config.width,
      n_layer: config.layers,
      n_head: config.heads,
      n_inner: config.hidden,
      n_positions: config.sequence,
      n_ctx: config.sequence,
      layer_norm_epsilon: config.normEpsilon,
      activation_function: "gelu_new",
      attn_pdrop: 0,
      embd_pdrop: 0,
      resid_pdrop: 0,
      scale_attn_weights: true,
      ...common,
    };
  }
  const { theta, scaled } = ropeFields(config);
  return {
    architectures: [config.family === "llama" ? "LlamaForCausalLM" : "Qwen3ForCausalLM"],
    model_type: config.family,
    hidden_size: config.width,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.keyValueHeads,
    head_dim: config.headWidth,
    intermediate_size: config.hidden,
    max_position_embeddings: config.sequence,
    // transformers 5 reads the first, older versions the other two.
    rope_parameters: { ...(scaled ?? { rope_type: "default" }), rope_theta: theta },
    rope_theta: theta,
    rope_scaling: scaled,
    rms_norm_eps: config.normEpsilon,
    hidden_act: "silu",
    attention_bias: config.attentionBias,
    attention_dropout: 0,
    ...(config.family === "llama" && { mlp_bias: config.feedForwardBias }),
    ...(config.family === "qwen3" && { use_sliding_window: false }),
    ...common,
  };
}

function ropeFields({ ropeTheta, ropeScaling }: RotaryConfig): { theta: number; scaled: Fields | null } {
  if (ropeScaling === null) return { theta: ropeTheta, scaled: null };
  const { type, factor } = ropeScaling;
  const common = { rope_type: type, factor };
  switch (ropeScaling.type) {
    case "linear":
    case "dynamic":
      return { theta: ropeTheta, scaled: common };
    case "llama3":
      return {
        theta: ropeTheta,
        scaled: {
          ...common,
          low_freq_factor: ropeScaling.lowFrequencyFactor,
          high_freq_factor: ropeScaling.highFrequencyFactor,
          original_max_position_embeddings: ropeScaling.originalSequence,
        },
      };
    case "yarn":
      return {
        theta: ropeTheta,
        scaled: {
          ...common,
          original_max_position_embeddings: ropeScaling.originalSequence,
          beta_fast: ropeScaling.betaFast,
          beta_slow: ropeScaling.betaSlow,
          attention_factor: ropeScaling.attentionFactor,
          truncate: ropeScaling.truncate,
        },
      };
    default:
      throw new Error(ropeScaling satisfies never);
  }
}

/** Returns the content of `generation_config.json`: the tokens that stop generation. */
export function toHuggingFaceGenerationConfig(endOfText: EndOfText): Record<string, unknown> {
  return tokenFields(endOfText);
}

/** Scaling of 8-bit weights: each is multiplied by the scale of its (rows, columns) block, or of the whole matrix (null). */
export interface ByteWeights {
  readonly block: readonly [number, number] | null;
}

export interface DescribedModel {
  readonly config: ModelConfig;
  /** Ids that end a text. */
  readonly endOfText: readonly number[];
  /** Null if the weights are not scaled. */
  readonly byteWeights: ByteWeights | null;
}

/**
 * Reads a parsed `config.json`.
 * @throws QuernError that names `path` and the field, for an unknown family or an unsupported setting
 */
export function fromHuggingFaceConfig(json: unknown, path: string): DescribedModel {
  const fields = fieldsOf(json, path, "a model configuration");
  const family = FAMILIES.find((known) => known === fields.model_type);
  if (family === undefined) {
    const type = fields.model_type === undefined ? "no model_type" : `model_type ${shown(fields.model_type)}`;
    throw new QuernError(`${path} has ${type}; only ${FAMILIES.join(", ")} models can be read`);
  }
  const byteWeights = readQuantization(family, fields, path);
  const config = family === "gpt2" ? readGpt2(fields, path) : readRotary(family, fields, path);
  const problem = problemOf(config);
  if (problem !== null) throw new QuernError(`${path} describes an invalid model: ${problem}`);
  return { config, endOfText: readEnds(fields, path), byteWeights };
}

/**
 * Returns the end-of-text ids of a parsed `generation_config.json`. Its sampling settings are ignored: Quern's defaults
 * apply to every model, so that the output depends only on the caller's options.
 */
export function fromHuggingFaceGenerationConfig(json: unknown, path: string): readonly number[] {
  return readEnds(fieldsOf(json, path, "a generation configuration"), path);
}

function fieldsOf(json: unknown, path: string, what: string): Fields {
  if (typeof json === "object" && json !== null && !Array.isArray(json)) return json as Fields;
  throw new QuernError(`${path} is not ${what}: it is not a JSON object`);
}

/** Returns the object under a key; empty if missing. */
function objectAt(fields: Fields, key: string, path: string): Fields {
  const value = fields[key] ?? {};
  if (typeof value === "object" && !Array.isArray(value)) return value as Fields;
  throw new QuernError(`${path} has ${shown(value)} for ${key}, which must be an object`);
}

/** Formats a value for an error message. */
function shown(value: unknown): string {
  return quoted(JSON.stringify(value) ?? "nothing");
}

/** Reads one id or a list of ids; some models write −1 for none. */
function readEnds(fields: Fields, path: string): number[] {
  const ids = [fields.eos_token_id ?? []].flat();
  const wrong = ids.find((id) => !Number.isSafeInteger(id));
  if (wrong !== undefined) {
    throw new QuernError(`${path} has ${shown(wrong)} in eos_token_id, which must be a token id`);
  }
  return (ids as number[]).filter((id) => id >= 0);
}

/** Reads `quantization_config`; only transformers' fine-grained fp8 is supported. */
function readQuantization(family: Family, fields: Fields, path: string): ByteWeights | null {
  if ((fields.compression_config ?? null) !== null) refuse(path, "compressed weights (compression_config)");
  if ((fields.quantization_config ?? null) === null) return null;
  const {
    quant_method: method,
    activation_scheme: activations = "dynamic",
    fmt = "e4m3",
    weight_block_size: block = null,
  } = objectAt(fields, "quantization_config", path);
  if (method !== "fp8" || family === "gpt2") {
    refuse(path, `weights quantized by the method ${shown(method)} (quantization_config)`);
  }
  if (activations !== "dynamic") refuse(path, `activations quantized by the scheme ${shown(activations)}`);
  if (fmt !== "e4m3") refuse(path, `quantized weights in the format ${shown(fmt)}`);
  if (block === null) return { block: null };
  if (!Array.isArray(block) || block.length !== 2 || !block.every((size) => Number.isSafeInteger(size) && size > 0)) {
    refuse(path, `a weight_block_size of ${shown(block)}`);
  }
  return { block: [block[0], block[1]] };
}

function numberReader(fields: Fields, path: string, family: Family) {
  return (key: string, fallback?: number): number => {
    const value = fields[key] ?? fallback;
    if (typeof value !== "number" || !Number.isFinite(value)) {
      const found = value === undefined ? "no number" : shown(value);
      throw new QuernError(`${path} has ${found} for ${key}; a ${family} model needs a number`);
    }
    return value;
  };
}

function switchReader(fields: Fields, path: string) {
  return (key: string, fallback: boolean): boolean => {
    const value = fields[key] ?? fallback;
    if (typeof value !== "boolean") throw new QuernError(`${path} has ${shown(value)} for ${key}, not true or false`);
    return value;
  };
}

function refuse(path: string, what: string): never {
  throw new QuernError(`${path} requires ${what}, which Quern does not support`);
}

/** Missing fields have the defaults of transformers' GPT2Config, which are those of the original GPT-2. */
function readGpt2(fields: Fields, path: string): ModelConfig {
  const number = numberReader(fields, path, "gpt2");
  const isOn = switchReader(fields, path);
  const activation = fields.activation_function ?? "gelu_new";
  if (activation !== "gelu_new" && activation !== "gelu_pytorch_tanh")
    refuse(path, `the activation ${shown(activation)}`);
  if (!isOn("scale_attn_weights", true)) refuse(path, "attention without its scale (scale_attn_weights)");
  for (const key of ["scale_attn_by_inverse_layer_idx", "add_cross_attention"]) {
    if (isOn(key, false)) refuse(path, key);
  }
  const width = number("n_embd", 768);
  const heads = number("n_head", 12);
  return {
    family: "gpt2",
    layers: number("n_layer", 12),
    width,
    heads,
    keyValueHeads: heads,
    headWidth: width / heads,
    hidden: number("n_inner", 4 * width),
    vocabSize: number("vocab_size", 50257),
    sequence: number("n_positions", 1024),
    normEpsilon: number("layer_norm_epsilon", 1e-5),
    tiedHead: isOn("tie_word_embeddings", true),
  };
}

function readRotary(family: RotaryConfig["family"], fields: Fields, path: string): RotaryConfig {
  const number = numberReader(fields, path, family);
  const isOn = switchReader(fields, path);
  // Two names of the same function.
  if (!["silu", "swish"].includes(String(fields.hidden_act ?? "silu")))
    refuse(path, `the activation ${shown(fields.hidden_act)}`);
  if (isOn("use_sliding_window", false)) refuse(path, "attention in a sliding window (use_sliding_window)");
  const types = [fields.layer_types ?? []].flat();
  const other = types.find((type) => type !== "full_attention");
  if (other !== undefined) refuse(path, `layers of type ${shown(other)}`);
  const width = number("hidden_size");
  const heads = number("num_attention_heads");
  return {
    family,
    layers: number("num_hidden_layers"),
    width,
    heads,
    keyValueHeads: number("num_key_value_heads", family === "qwen3" ? 32 : heads),
    headWidth: number("head_dim", family === "qwen3" ? 128 : width / heads),
    hidden: number("intermediate_size"),
    vocabSize: number("vocab_size"),
    sequence: number("max_position_embeddings", family === "qwen3" ? 32768 : 2048),
    ...readRope(fields, path),
    normEpsilon: number("rms_norm_eps", 1e-6),
    tiedHead: isOn("tie_word_embeddings", false),
    attentionBias: isOn("attention_bias", false),
    feedForwardBias: family === "llama" && isOn("mlp_bias", false),
  };
}

function readRope(fields: Fields, path: string): Pick<RotaryConfig, "ropeTheta" | "ropeScaling"> {
  // transformers 5 writes `rope_parameters`. If both are filled, it reads all of `rope_scaling`, and the theta next to it.
  const [scaling, parameters] = ["rope_scaling", "rope_parameters"].map((key) => objectAt(fields, key, path));
  const rope = Object.keys(scaling).length > 0 ? scaling : parameters;
  const nested = Object.keys(rope).find((key) => key.endsWith("_attention"));
  if (nested !== undefined) refuse(path, `different rotary positions per kind of layer (${quoted(nested)})`);
  const number = numberReader({ ...fields, ...rope }, path, "llama");
  const own = numberReader(rope, path, "llama");
  const type = rope.rope_type ?? rope.type ?? "default";
  const share = rope.partial_rotary_factor ?? fields.partial_rotary_factor ?? 1;
  if (share !== 1) refuse(path, `rotations of a part of each head (partial_rotary_factor ${shown(share)})`);
  // Like transformers, prefers the top-level field.
  const originalSequence = () =>
    fields.original_max_position_embeddings == null
      ? own("original_max_position_embeddings", number("max_position_embeddings"))
      : numberReader(fields, path, "llama")("original_max_position_embeddings");
  const scalingOf = (): RopeScaling | null => {
    switch (type) {
      case "default":
        return null;
      case "linear":
        return { type: "linear", factor: own("factor") };
      case "dynamic":
        return { type: "dynamic", factor: own("factor") };
      case "llama3":
        return {
          type: "llama3",
          factor: own("factor"),
          lowFrequencyFactor: own("low_freq_factor"),
          highFrequencyFactor: own("high_freq_factor"),
          originalSequence: originalSequence(),
        };
      case "yarn": {
        const original = originalSequence();
        const factor = own("factor", number("max_position_embeddings") / original);
        return {
          type: "yarn",
          factor,
          originalSequence: original,
          betaFast: own("beta_fast", 32),
          betaSlow: own("beta_slow", 1),
          attentionFactor: own("attention_factor", yarnAttentionFactor(rope, factor)),
          truncate: rope.truncate !== false,
        };
      }
      default:
        return refuse(path, `rotary positions of type ${shown(type)}`);
    }
  };
  return { ropeTheta: number("rope_theta", 10_000), ropeScaling: scalingOf() };
}

/** Returns YaRN's default attention factor (Peng et al., arXiv:2309.00071), as transformers derives it. */
function yarnAttentionFactor({ mscale, mscale_all_dim: all }: Fields, factor: number): number {
  const scaled = (by: number) => (factor <= 1 ? 1 : 0.1 * by * Math.log(factor) + 1);
  return typeof mscale === "number" && typeof all === "number" && mscale !== 0 && all !== 0
    ? scaled(mscale) / scaled(all)
    : scaled(1);
}
