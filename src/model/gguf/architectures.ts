/**
 * @file Maps GGUF to Quern's models: architectures to families, metadata to sizes, and tensor names to parameters. The names
 * are those of llama.cpp (`gguf-py/gguf/constants.py`).
 *
 * Settings that Quern does not support are rejected by name, as in a `config.json`.
 */
import { QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";
import { FAMILIES, type Family, type ModelConfig, problemOf, type RopeScaling } from "../config.js";
import type { Parameter } from "../parameters.js";
import type { GgufFile } from "./file.js";
import { type MetadataReader, readMetadata } from "./metadata.js";
import { type Llama3Settings, llama3Scaling } from "./rope-factors.js";

/** Other values of `general.type`, and what to do about them. */
const OTHER_TYPES: Readonly<Record<string, string>> = {
  adapter: "a LoRA adapter, not a model; merge it into its base model first",
  mmproj: "a vision or audio projector (mmproj), not a language model; name the model's own file",
  imatrix: "an importance matrix for quantization, not a model",
  vocab: "a vocabulary without weights",
  dataset: "a dataset, not a model",
};

/** Unsupported settings, which change what a model computes unless they are 0, false or absent. */
const UNSUPPORTED: Readonly<Record<string, string>> = {
  expert_count: "a mixture of experts",
  "attention.sliding_window": "attention in a sliding window",
  "attention.scale": "a custom attention scale",
  "attention.max_alibi_bias": "ALiBi positions",
  "attention.clamp_kqv": "clamped queries, keys and values",
  attn_logit_softcapping: "capped attention logits",
  final_logit_softcapping: "capped logits",
  logit_scale: "scaled logits",
  residual_scale: "scaled residuals",
  embedding_scale: "scaled embeddings",
  use_parallel_residual: "layers in parallel",
};

const ROTARY_NAMES: Readonly<Record<string, string>> = {
  "model.embed_tokens": "token_embd",
  "model.norm": "output_norm",
  lm_head: "output",
  input_layernorm: "attn_norm",
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.o_proj": "attn_output",
  "self_attn.q_norm": "attn_q_norm",
  "self_attn.k_norm": "attn_k_norm",
  post_attention_layernorm: "ffn_norm",
  "mlp.gate_proj": "ffn_gate",
  "mlp.up_proj": "ffn_up",
  "mlp.down_proj": "ffn_down",
};

const NAMES: Readonly<Record<Family, Readonly<Record<string, string>>>> = {
  gpt2: {
    "transformer.wte": "token_embd",
    "transformer.wpe": "position_embd",
    "transformer.ln_f": "output_norm",
    lm_head: "output",
    ln_1: "attn_norm",
    "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output",
    ln_2: "ffn_norm",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
  },
  llama: ROTARY_NAMES,
  qwen3: ROTARY_NAMES,
};

/** `model.layers.3.self_attn.q_proj.weight` → `blk.3.attn_q.weight` */
export function ggufName(family: Family, parameter: string): string {
  const [, layer, part, kind] =
    /^(?:(?:model\.layers|transformer\.h)\.(\d+)\.)?(.+)\.(weight|bias)$/.exec(parameter) ?? [];
  const name = NAMES[family][part];
  if (name === undefined) throw new Error(`${parameter} has no name in GGUF`);
  return `${layer === undefined ? "" : `blk.${layer}.`}${name}.${kind}`;
}

/** Whether a tensor contains rotations, which Quern computes from the configuration instead. */
export const isSpareTensor = (name: string) => name === "rope_freqs.weight" || /^blk\.\d+\.attn_rot_embd/.test(name);

/**
 * Returns the number of heads if llama.cpp stores the parameter's rows in another order, and 0 otherwise. Its rotations
 * pair adjacent dimensions; transformers pairs d with d + D/2. So GGUF orders the rows of a llama's queries and keys 0,
 * D/2, 1, D/2 + 1 …; those of qwen3 are unchanged.
 */
export function interleavedHeads(config: ModelConfig, { name }: Parameter): number {
  if (config.family !== "llama") return 0;
  if (name.includes(".self_attn.q_proj.")) return config.heads;
  return name.includes(".self_attn.k_proj.") ? config.keyValueHeads : 0;
}

/** Restores the order of the rows of (heads · D, columns), in place. Stored rows have `columns` bytes. */
export function restoreRows(values: Float32Array | Uint8Array, heads: number, columns: number): void {
  const size = values.length / heads;
  const half = size / columns / 2;
  for (let h = 0; h < heads; h++) {
    const head = values.subarray(h * size, (h + 1) * size);
    const stored = head.slice();
    for (let d = 0; d < half; d++) {
      for (let side = 0; side < 2; side++) {
        const from = (2 * d + side) * columns;
        head.set(stored.subarray(from, from + columns), (side * half + d) * columns);
      }
    }
  }
}

/**
 * Reads the model configuration from a file's metadata.
 * @param ropeFactors the values of `rope_freqs.weight`, if the file has it
 * @throws QuernError for a file that is not a model, or an unsupported architecture or setting
 */
export function ggufConfig(
  file: Pick<GgufFile, "path" | "metadata" | "tensors">,
  ropeFactors: Float32Array | null,
): ModelConfig {
  const { path } = file;
  const metadata = readMetadata(file);
  refuseOthers(metadata);
  const architecture = metadata.text("general.architecture");
  const family = FAMILIES.find((known) => known === architecture);
  if (family === undefined) {
    throw new QuernError(`${path} has the architecture ${quoted(architecture)}; Quern reads ${FAMILIES.join(", ")}`);
  }
  const key = (name: string) => `${family}.${name}`;
  const number = (name: string, fallback?: number) => metadata.number(key(name), fallback);
  const each = (name: string, fallback?: number) => metadata.sameInEveryLayer(key(name), fallback);
  for (const [name, what] of Object.entries(UNSUPPORTED)) {
    if (file.metadata.get(key(name))) refuse(path, `${what} (${key(name)})`);
  }
  if (!metadata.switch(key("attention.causal"), true)) refuse(path, "non-causal attention");

  const embedding = file.tensors.get("token_embd.weight");
  if (embedding === undefined)
    throw new QuernError(`${path} has no tensor token_embd.weight, so its model is incomplete`);
  const [width, heads] = [number("embedding_length"), each("attention.head_count")];
  const headWidth = number("attention.key_length", width / heads);
  const valueWidth = number("attention.value_length", headWidth);
  if (valueWidth !== headWidth) refuse(path, `heads with keys of ${headWidth} and values of ${valueWidth} dimensions`);
  const sizes = {
    layers: number("block_count"),
    width,
    heads,
    keyValueHeads: each("attention.head_count_kv", heads),
    headWidth,
    hidden: each("feed_forward_length"),
    vocabSize: embedding.shape[0],
    sequence: number("context_length"),
    tiedHead: !file.tensors.has("output.weight"),
  };
  const stored = (tensor: string) => file.tensors.has(tensor);
  const config: ModelConfig =
    family === "gpt2"
      ? { family, ...sizes, normEpsilon: number("attention.layer_norm_epsilon") }
      : {
          family,
          ...sizes,
          normEpsilon: number("attention.layer_norm_rms_epsilon"),
          ropeTheta: number("rope.freq_base", 10_000),
          ropeScaling: null,
          // llama.cpp omits biases that are all 0.
          attentionBias: ["q", "k", "v", "output"].some((part) => stored(`blk.0.attn_${part}.bias`)),
          feedForwardBias: ["gate", "up", "down"].some((part) => stored(`blk.0.ffn_${part}.bias`)),
        };
  if (config.family === "gpt2") return checked(config, path);
  const rotated = number("rope.dimension_count", headWidth);
  if (rotated !== headWidth) refuse(path, `rotations of ${rotated} of the ${headWidth} dimensions of a head`);
  checked(config, path);
  const scaling =
    ropeFactors === null
      ? ropeScaling(metadata, family)
      : llama3Scaling(ropeFactors, config, path, statedScaling(metadata));
  return checked({ ...config, ropeScaling: scaling }, path);
}

function checked(config: ModelConfig, path: string): ModelConfig {
  const problem = problemOf(config);
  if (problem !== null) throw new QuernError(`${path} describes an invalid model: ${problem}`);
  return config;
}

/** Rejects GGUF files that are not complete language models. */
function refuseOthers(metadata: MetadataReader): void {
  const { path } = metadata;
  const architecture = metadata.text("general.architecture", "");
  const type = metadata.text("general.type", "model");
  const other = OTHER_TYPES[architecture === "clip" ? "mmproj" : type];
  if (other !== undefined) throw new QuernError(`${path} is ${other}`, { exitCode: 2 });
  const parts = metadata.number("split.count", 1);
  if (parts > 1) {
    const part = `part ${metadata.number("split.no", 0) + 1} of ${parts}`;
    throw new QuernError(`${path} is ${part} of a split model; join the parts with \`llama-gguf-split --merge\``, {
      exitCode: 2,
    });
  }
}

/** Reads the settings behind `rope_freqs.weight` from a file that Quern wrote; undefined in others. */
function statedScaling(metadata: MetadataReader): Llama3Settings | undefined {
  const key = (name: string) => `quern.rope.scaling.${name}`;
  if (!metadata.has(key("factor"))) return undefined;
  return {
    factor: metadata.number(key("factor")),
    low: metadata.number(key("low_freq_factor")),
    high: metadata.number(key("high_freq_factor")),
    original: metadata.number(key("original_context_length")),
  };
}

/** Reads the RoPE scaling from the metadata. */
function ropeScaling(metadata: MetadataReader, family: Family): RopeScaling | null {
  const key = (name: string) => `${family}.rope.${name}`;
  const factor = metadata.number(key("scaling.factor"), metadata.number(key("scale_linear"), 0));
  const type = metadata.text(key("scaling.type"), "linear");
  if (type === "none" || (type === "linear" && (factor === 0 || factor === 1))) return null;
  if (type === "linear") return { type, factor };
  if (type !== "yarn") refuse(metadata.path, `rotary positions of type ${quoted(type)}`);
  return {
    type,
    factor,
    originalSequence: metadata.number(
      key("scaling.original_context_length"),
      metadata.number(`${family}.context_length`),
    ),
    betaFast: metadata.number(key("scaling.yarn_beta_fast"), 32),
    betaSlow: metadata.number(key("scaling.yarn_beta_slow"), 1),
    attentionFactor: metadata.number(key("scaling.attn_factor"), 1) * (factor <= 1 ? 1 : 0.1 * Math.log(factor) + 1),
    truncate: true,
  };
}

function refuse(path: string, what: string): never {
  throw new QuernError(`${path} requires ${what}, which Quern does not support`);
}
