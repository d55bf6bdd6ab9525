/**
 * @file Opens the model in a GGUF file. Its weights are decoded to float32 one at a time, from chunks of a few megabytes.
 */
import { QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";
import { castNumber, type DType } from "../../tensor/index.js";
import type { ModelConfig } from "../config.js";
import { parametersOf } from "../parameters.js";
import type { StoredModel } from "../stored-model.js";
import { ggufConfig, ggufName, interleavedHeads, isSpareTensor, restoreRows } from "./architectures.js";
import { READABLE_TYPES } from "./blocks.js";
import { type GgufFile, type GgufTensor, openGguf } from "./file.js";
import { readMetadata } from "./metadata.js";

/** Stored bytes per decoding step. */
const CHUNK = 4 << 20;

/** Metadata keys of the tokens that end a text or a chat turn. */
const END_KEYS = ["eos", "eot", "eom"].map((name) => `tokenizer.ggml.${name}_token_id`);

export interface GgufModel extends StoredModel {
  /** Returns the smallest dtype that stores every weight exactly; F16 or BF16 only if all matrices have that type. */
  exactType(): Promise<"F32" | "F16" | "BF16">;
}

/**
 * Opens a GGUF file and checks that every parameter exists with the right shape and a supported type.
 * @throws QuernError for a file that is damaged, not a model, or not supported
 */
export async function openGgufModel(path: string): Promise<GgufModel> {
  const file = await openGguf(path);
  try {
    const factors = file.tensors.get("rope_freqs.weight");
    const described = ggufConfig(file, factors === undefined ? null : await readTensor(file, factors));
    if (described.layers > file.tensors.size) {
      throw new QuernError(`${path} claims ${described.layers} layers, but contains only ${file.tensors.size} tensors`);
    }
    const config = await withHead(file, described);
    const { family } = config;
    const parameters = new Map(parametersOf(config).map((parameter) => [parameter.name, parameter]));
    const used = new Set<string>(config.tiedHead ? ["output.weight"] : []);
    for (const { name, shape } of parameters.values()) {
      const stored = ggufName(family, name);
      const tensor = file.tensors.get(stored);
      used.add(stored);
      if (tensor === undefined) {
        // llama.cpp omits biases that are all 0.
        if (family !== "gpt2" && name.endsWith("_proj.bias")) continue;
        throw new QuernError(`${path} has no tensor ${stored}, so its ${family} model is incomplete`);
      }
      if (tensor.shape.join() !== shape.join()) {
        const shapes = `(${tensor.shape.join(",")}), but its metadata requires (${shape.join(",")})`;
        throw new QuernError(`the tensor ${stored} in ${path} has the shape ${shapes}`);
      }
      checkReadable(tensor, path);
    }
    const strange = [...file.tensors.keys()].find((name) => !used.has(name) && !isSpareTensor(name));
    if (strange !== undefined) {
      throw new QuernError(
        `${path} contains a tensor ${quoted(strange)}, which is not part of a ${family}; Quern does not support this model`,
      );
    }
    const metadata = readMetadata(file);
    const ends = END_KEYS.filter((key) => metadata.has(key)).map((key) => metadata.number(key));
    return {
      path,
      config,
      endOfText: [...new Set(ends.filter((id) => id >= 0 && id < config.vocabSize))],
      warnings: [],
      exactType: () => exactType(file),
      storedType: (name) => STORED[file.tensors.get(ggufName(family, name))?.type.name ?? ""] ?? "f32",
      readStored: async (name) => {
        const parameter = parameters.get(name);
        const tensor = file.tensors.get(ggufName(family, name));
        if (parameter === undefined || tensor === undefined) throw new Error(`the file has no parameter ${name}`);
        const stored = await readBytes(file, tensor);
        const heads = interleavedHeads(config, parameter);
        if (heads > 0) restoreRows(stored, heads, stored.length / parameter.shape[0]);
        return stored;
      },
      readParameter: async (name) => {
        const parameter = parameters.get(name);
        if (parameter === undefined) throw new Error(`the model has no parameter ${name}`);
        const tensor = file.tensors.get(ggufName(family, name));
        if (tensor === undefined) return new Float32Array(parameter.shape[0]);
        const values = await readTensor(file, tensor);
        const heads = interleavedHeads(config, parameter);
        if (heads > 0) restoreRows(values, heads, parameter.shape[1] ?? 1);
        return values;
      },
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

function checkReadable({ name, type }: GgufTensor, path: string): void {
  if (type.decode !== undefined) return;
  throw new QuernError(
    `the weights ${name} in ${path} are stored as ${type.name}, which Quern does not support; ` +
      `use a file with ${READABLE_TYPES.join(", ")}`,
  );
}

/** Types whose blocks the engine multiplies as they are stored. */
const STORED: { readonly [type: string]: DType } = {
  ...{ F16: "f16", BF16: "bf16" },
  ...{ Q8_0: "q8_0", Q4_0: "q4_0", Q4_1: "q4_1", Q5_0: "q5_0", Q5_1: "q5_1" },
  ...{ Q4_K: "q4_k", Q5_K: "q5_k", Q6_K: "q6_k" },
};

async function readBytes(file: GgufFile, { begin, end }: GgufTensor): Promise<Uint8Array> {
  const stored = new Uint8Array(end - begin);
  for (let at = begin; at < end; at += CHUNK) {
    stored.set(await file.readBytes(at, Math.min(end, at + CHUNK)), at - begin);
  }
  return stored;
}

async function readTensor(file: GgufFile, tensor: GgufTensor): Promise<Float32Array> {
  checkReadable(tensor, file.path);
  const { type, begin, end } = tensor;
  const values = new Float32Array(((end - begin) / type.bytes) * type.block);
  const step = Math.max(1, Math.floor(CHUNK / type.bytes)) * type.bytes;
  for (let at = begin; at < end; at += step) {
    const stored = await file.readBytes(at, Math.min(end, at + step));
    const first = ((at - begin) / type.bytes) * type.block;
    type.decode?.(stored, values.subarray(first, first + (stored.length / type.bytes) * type.block));
  }
  return values;
}

async function exactType(file: GgufFile): Promise<"F32" | "F16" | "BF16"> {
  const tensors = [...file.tensors.values()].filter(({ name }) => !isSpareTensor(name));
  const matrices = new Set(tensors.flatMap(({ shape, type }) => (shape.length > 1 ? [type.name] : [])));
  const [only] = matrices;
  if (matrices.size !== 1 || (only !== "F16" && only !== "BF16")) return "F32";
  const round = castNumber[only === "F16" ? "f16" : "bf16"];
  // Norms and biases are float32 in every file, but in a 16-bit model their values fit in 16 bits.
  for (const tensor of tensors.filter(({ type }) => type.name !== only)) {
    if (!(await readTensor(file, tensor)).every((value) => round(value) === value)) return "F32";
  }
  return only;
}

/** Ties the head if the file has none, or a copy of the embedding, as older GPT-2 files do. */
async function withHead(file: GgufFile, config: ModelConfig): Promise<ModelConfig> {
  const [embedding, head] = [file.tensors.get("token_embd.weight"), file.tensors.get("output.weight")];
  if (config.tiedHead || embedding === undefined || head === undefined) return config;
  if (embedding.type !== head.type || embedding.shape.join() !== head.shape.join()) return config;
  for (let at = 0; at < head.end - head.begin; at += CHUNK) {
    const slice = ({ begin, end }: GgufTensor) => file.readBytes(begin + at, Math.min(end, begin + at + CHUNK));
    if (Buffer.compare(await slice(embedding), await slice(head)) !== 0) return config;
  }
  return { ...config, tiedHead: true };
}
