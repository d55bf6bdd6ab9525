/**
 * @file `config.json` of Hugging Face folders, as transformers, vLLM and llama.cpp read and write it.
 *
 * A folder that asks for anything this family does not compute (another activation, sliding windows, some kinds of
 * scaled rotations) is refused by name: a model that runs with a setting ignored gives wrong text without a word.
 */
import { QuernError } from "../errors.js";
import { FAMILIES, type Family, type ModelConfig, problemOf, type RopeScaling, type RotaryConfig } from "./config.js";

type Fields = Readonly<Record<string, unknown>>;

/** `endOfText` is the id that ends a text. */
export function toHuggingFaceConfig(config: ModelConfig, endOfText: number | null): Record<string, unknown> {
  const common = {
    vocab_size: config.vocabSize,
    tie_word_embeddings: config.tiedHead,
    initializer_range: 0.02,
    bos_token_id: endOfText,
    eos_token_id: endOfText,
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
    // The newest transformers reads the first, everything older the other two.
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

/** `generation_config.json`: when to stop. */
export function toHuggingFaceGenerationConfig(endOfText: number | null): Record<string, unknown> {
  return { bos_token_id: endOfText, eos_token_id: endOfText };
}

/**
 * The configuration that a parsed `config.json` describes, and the ids that end a text. Throws a `QuernError` that
 * names `path` and the field when it is of no family known here or asks for what is not computed here.
 */
export function fromHuggingFaceConfig(
  json: unknown,
  path: string,
): { readonly config: ModelConfig; readonly endOfText: readonly number[] } {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new QuernError(`${path} is not a model configuration: it holds no JSON object`);
  }
  const fields = json as Fields;
  const family = FAMILIES.find((known) => known === fields.model_type);
  if (family === undefined) {
    const type = fields.model_type === undefined ? "no model_type" : `model_type ${JSON.stringify(fields.model_type)}`;
    throw new QuernError(`${path} has ${type}; only ${FAMILIES.join(", ")} models can be read`);
  }
  const config = family === "gpt2" ? readGpt2(fields, path) : readRotary(family, fields, path);
  const problem = problemOf(config);
  if (problem !== null) throw new QuernError(`${path} describes no possible model: ${problem}`);
  const ends = [fields.eos_token_id].flat().filter((id): id is number => Number.isSafeInteger(id));
  return { config, endOfText: ends };
}

function numberReader(fields: Fields, path: string, family: Family) {
  return (key: string, fallback?: number): number => {
    const value = fields[key] ?? fallback;
    if (typeof value !== "number" || !Number.isFinite(value)) {
      throw new QuernError(`${path} has no number for ${key}, which a ${family} model needs`);
    }
    return value;
  };
}

function refuse(path: string, what: string): never {
  throw new QuernError(`${path} asks for ${what}, which is not computed here`);
}

/** What is left out is as in the first GPT-2, the defaults of transformers' GPT2Config. */
function readGpt2(fields: Fields, path: string): ModelConfig {
  const number = numberReader(fields, path, "gpt2");
  const activation = fields.activation_function ?? "gelu_new";
  if (activation !== "gelu_new" && activation !== "gelu_pytorch_tanh") {
    refuse(path, `the activation ${JSON.stringify(activation)}`);
  }
  if (fields.scale_attn_weights === false) refuse(path, "attention without its scale (scale_attn_weights)");
  for (const key of ["scale_attn_by_inverse_layer_idx", "add_cross_attention"]) {
    if (fields[key] === true) refuse(path, key);
  }
  if ((fields.quantization_config ?? null) !== null) refuse(path, "quantized weights (quantization_config)");
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
    tiedHead: fields.tie_word_embeddings !== false,
  };
}

function readRotary(family: RotaryConfig["family"], fields: Fields, path: string): RotaryConfig {
  const number = numberReader(fields, path, family);
  if ((fields.hidden_act ?? "silu") !== "silu") refuse(path, `the activation ${JSON.stringify(fields.hidden_act)}`);
  if ((fields.quantization_config ?? null) !== null) refuse(path, "quantized weights (quantization_config)");
  if (fields.use_sliding_window === true) refuse(path, "attention in a sliding window (use_sliding_window)");
  const types = [fields.layer_types ?? []].flat();
  const other = types.find((type) => type !== "full_attention");
  if (other !== undefined) refuse(path, `layers of type ${JSON.stringify(other)}`);
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
    tiedHead: fields.tie_word_embeddings === true,
    attentionBias: fields.attention_bias === true,
    feedForwardBias: fields.mlp_bias === true,
  };
}

function readRope(fields: Fields, path: string): Pick<RotaryConfig, "ropeTheta" | "ropeScaling"> {
  const rope = (fields.rope_parameters ?? fields.rope_scaling ?? {}) as Fields;
  const number = numberReader({ ...fields, ...rope }, path, "llama");
  const own = numberReader(rope, path, "llama");
  const type = rope.rope_type ?? rope.type ?? "default";
  const share = rope.partial_rotary_factor ?? fields.partial_rotary_factor ?? 1;
  if (share !== 1) refuse(path, `rotations of a part of each head (partial_rotary_factor ${share})`);
  const originalSequence = () => own("original_max_position_embeddings", number("max_position_embeddings"));
  const scaling = (): RopeScaling | null => {
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
        return refuse(path, `rotary positions of type ${JSON.stringify(type)}`);
    }
  };
  return { ropeTheta: number("rope_theta", 10_000), ropeScaling: scaling() };
}

/** The paper's factor for stretched attention (Peng et al., arXiv:2309.00071), as transformers derives it. */
function yarnAttentionFactor({ mscale, mscale_all_dim: all }: Fields, factor: number): number {
  const scaled = (by: number) => (factor <= 1 ? 1 : 0.1 * by * Math.log(factor) + 1);
  return typeof mscale === "number" && typeof all === "number" && mscale !== 0 && all !== 0
    ? scaled(mscale) / scaled(all)
    : scaled(1);
}
