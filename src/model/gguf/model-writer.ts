/**
 * @file Writes a model as a GGUF file: sizes and rotations as metadata, parameters as tensors, with the names and the order of
 * rows that llama.cpp expects. Norms, biases and GPT-2's positions are always float32.
 */
import { QuernError } from "../../errors.js";
import type { ModelConfig, RotaryConfig } from "../config.js";
import { type Parameter, parametersOf } from "../parameters.js";
import { rotaryFrequencies } from "../rotary.js";
import { ggufName, interleavedHeads } from "./architectures.js";
import { blockOf, quantiseRows, type WritableType } from "./quantise.js";
import { FILE_TYPES, type FileType, tensorTypes } from "./type-mixtures.js";
import { type GgufEntry, type GgufTensorToWrite, writeGguf } from "./writer.js";

export interface WriteGgufModelOptions {
  /** The main type; `tensorTypes` chooses each tensor's. */
  readonly type: FileType;
  /** Metadata of the tokenizer, `tokenizer.*`. */
  readonly tokenizer: readonly GgufEntry[];
  readonly signal?: AbortSignal;
  /** Called with the values of each parameter that was written. */
  readonly onParameter?: (values: number) => void;
}

/** The weights of a model, such as a `StoredModel`. */
export interface GgufModelSource {
  readonly path: string;
  readonly config: ModelConfig;
  readParameter(name: string): Promise<Float32Array>;
}

/**
 * Writes a model as a GGUF file that llama.cpp loads.
 * @returns the type of each tensor by its name
 * @throws QuernError for a setting that llama.cpp does not have, or weights that do not fit the type
 */
export async function writeGgufModel(
  path: string,
  model: GgufModelSource,
  { type, tokenizer, signal, onParameter }: WriteGgufModelOptions,
): Promise<ReadonlyMap<string, WritableType>> {
  const { config } = model;
  const metadata: GgufEntry[] = [
    ["general.architecture", "string", config.family],
    ["general.type", "string", "model"],
    ["general.file_type", "u32", FILE_TYPES[type].number],
    ...quantisationOf(type),
    ...sizesOf(config),
    ...(config.family === "gpt2" ? [] : rotationsOf(config, model.path)),
    ...tokenizer,
  ];
  const parameters: Parameter[] = [];
  for (const parameter of parametersOf(config)) if (!(await isOmitted(model, parameter))) parameters.push(parameter);
  const named = parameters.map(({ name, shape }) => ({ name: ggufName(config.family, name), shape }));
  const types = tensorTypes(type, config, named);
  const typeOf = (name: string) => types.get(name) as WritableType;
  const stored = parameters.map((parameter, i): GgufTensorToWrite => {
    const { name, shape } = named[i];
    const data = async () => {
      const values = await model.readParameter(parameter.name);
      const columns = shape[shape.length - 1];
      const heads = interleavedHeads(config, parameter);
      const rows = heads === 0 ? values : interleaveRows(values, heads, shape.length > 1 ? columns : 1);
      onParameter?.(values.length);
      try {
        return quantiseRows(rows, columns, typeOf(name));
      } catch (error) {
        if (!(error instanceof QuernError)) throw error;
        throw new QuernError(`the weights ${parameter.name} in ${model.path} do not fit: ${error.message}`);
      }
    };
    return { name, shape, type: typeOf(name), data };
  });
  const factors = config.family === "gpt2" ? null : rotaryFactors(config);
  const frequencies: GgufTensorToWrite[] =
    factors === null
      ? []
      : [{ name: "rope_freqs.weight", shape: [factors.length], type: "F32", data: async () => factors }];
  await writeGguf(path, metadata, [...frequencies, ...stored], signal);
  return types;
}

/** Files with block types state the version of their layouts. */
const quantisationOf = (type: FileType): GgufEntry[] =>
  blockOf(FILE_TYPES[type].main).block === 1 ? [] : [["general.quantization_version", "u32", 2]];

/**
 * Returns whether a parameter has no place in the file: llama.cpp's qwen3 has no bias after attention. Readers take a missing bias
 * as 0.
 * @throws QuernError if that bias is not 0
 */
async function isOmitted({ config, path, readParameter }: GgufModelSource, { name }: Parameter): Promise<boolean> {
  if (config.family !== "qwen3" || !name.endsWith(".self_attn.o_proj.bias")) return false;
  if ((await readParameter(name)).every((value) => value === 0)) return true;
  throw new QuernError(
    `${path} has a bias ${name} that is not 0, which a GGUF file of a qwen3 cannot store; llama.cpp would not load it`,
  );
}

function sizesOf(config: ModelConfig): GgufEntry[] {
  const key = (name: string) => `${config.family}.${name}`;
  const epsilon = config.family === "gpt2" ? "layer_norm_epsilon" : "layer_norm_rms_epsilon";
  return [
    [key("vocab_size"), "u32", config.vocabSize],
    [key("context_length"), "u32", config.sequence],
    [key("embedding_length"), "u32", config.width],
    [key("block_count"), "u32", config.layers],
    [key("feed_forward_length"), "u32", config.hidden],
    [key("attention.head_count"), "u32", config.heads],
    [key("attention.head_count_kv"), "u32", config.keyValueHeads],
    [key(`attention.${epsilon}`), "f32", config.normEpsilon],
  ];
}

/** @throws QuernError for a kind of RoPE scaling that llama.cpp does not have for the family */
function rotationsOf(config: RotaryConfig, path: string): GgufEntry[] {
  const key = (name: string) => `${config.family}.${name}`;
  const entries: GgufEntry[] = [
    [key("attention.key_length"), "u32", config.headWidth],
    [key("attention.value_length"), "u32", config.headWidth],
    [key("rope.dimension_count"), "u32", config.headWidth],
    [key("rope.freq_base"), "f32", config.ropeTheta],
  ];
  const scaling = config.ropeScaling;
  switch (scaling?.type) {
    case undefined:
    // It only stretches texts beyond the model's sequence length.
    case "dynamic":
      return entries;
    case "linear":
      return [
        ...entries,
        [key("rope.scaling.type"), "string", "linear"],
        [key("rope.scaling.factor"), "f32", scaling.factor],
      ];
    case "llama3":
      if (config.family === "qwen3") {
        throw new QuernError(`${path} has RoPE scaling of type llama3, which llama.cpp does not have for a qwen3`);
      }
      // llama.cpp reads rope_freqs.weight. The settings behind it are kept for a return to a Hugging Face folder.
      return [
        ...entries,
        ["quern.rope.scaling.factor", "f64", scaling.factor],
        ["quern.rope.scaling.low_freq_factor", "f64", scaling.lowFrequencyFactor],
        ["quern.rope.scaling.high_freq_factor", "f64", scaling.highFrequencyFactor],
        ["quern.rope.scaling.original_context_length", "f64", scaling.originalSequence],
      ];
    case "yarn": {
      const { factor, betaFast, betaSlow, attentionFactor } = scaling;
      const rounded = { ...config, ropeScaling: { ...scaling, truncate: true } };
      const frequencies = rotaryFrequencies(rounded);
      if (rotaryFrequencies(config).some((frequency, d) => frequency !== frequencies[d])) {
        throw new QuernError(
          `${path} has RoPE scaling of type yarn with truncate false, which llama.cpp does not have`,
        );
      }
      // llama.cpp multiplies this by YaRN's own factor.
      const attention = Math.fround(attentionFactor / (factor <= 1 ? 1 : 0.1 * Math.log(factor) + 1));
      return [
        ...entries,
        [key("rope.scaling.type"), "string", "yarn"],
        [key("rope.scaling.factor"), "f32", factor],
        [key("rope.scaling.original_context_length"), "u32", scaling.originalSequence],
        [key("rope.scaling.yarn_beta_fast"), "f32", betaFast],
        [key("rope.scaling.yarn_beta_slow"), "f32", betaSlow],
        ...(attention === 1 ? [] : [[key("rope.scaling.attn_factor"), "f32", attention] as const]),
      ];
    }
    default:
      throw new Error(scaling satisfies never);
  }
}

/** Returns the divisors (D/2) of Llama 3's frequencies, which llama.cpp reads from `rope_freqs.weight`; null for others. */
function rotaryFactors(config: RotaryConfig): Float32Array | null {
  if (config.ropeScaling?.type !== "llama3") return null;
  const plain = rotaryFrequencies({ ...config, ropeScaling: null });
  const stretched = rotaryFrequencies(config);
  return Float32Array.from(plain, (frequency, d) => frequency / stretched[d]);
}

/** Returns the rows of (heads · D, columns) in llama.cpp's order; the inverse of `restoreRows`. */
export function interleaveRows(values: Float32Array, heads: number, columns: number): Float32Array {
  const stored = new Float32Array(values.length);
  const size = values.length / heads;
  const half = size / columns / 2;
  for (let h = 0; h < heads; h++) {
    for (let d = 0; d < half; d++) {
      for (let side = 0; side < 2; side++) {
        const from = h * size + (side * half + d) * columns;
        stored.set(values.subarray(from, from + columns), h * size + (2 * d + side) * columns);
      }
    }
  }
  return stored;
}
