/**
 * @file A model on disk: a Hugging Face folder with `config.json`, `generation_config.json` and `model.safetensors` (or
 * several of it with an index),
 * which transformers and vLLM load as it is. The tokenizer writes its own files beside them.
 */
import { readFile, rm, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { writeFileAtomic } from "../documents/index.js";
import { fileError, QuernError } from "../errors.js";
import type { ModelConfig } from "./config.js";
import { fetchHubModel, type HubOptions, isHubAddress } from "./hub.js";
import { fromHuggingFaceConfig, toHuggingFaceConfig, toHuggingFaceGenerationConfig } from "./hugging-face-config.js";
import { type Parameter, parametersOf } from "./parameters.js";
import { openSafetensors, type SafetensorsFile, type StoredTensor, writeSafetensors } from "./safetensors.js";

const SINGLE = "model.safetensors";
const INDEX = "model.safetensors.index.json";
const TORCH_NAMES = { F32: "float32", F16: "float16", BF16: "bfloat16" } as const;

/** A model that lies in a folder; its weights are read one at a time. */
export interface ModelFolder {
  readonly path: string;
  readonly config: ModelConfig;
  /** Ids after which a text is over. */
  readonly endOfText: readonly number[];
  /** The values of one parameter, by its name in `parametersOf(config)`. */
  readParameter(name: string): Promise<Float32Array>;
  close(): Promise<void>;
}

/**
 * Opens a model folder, or a model of the Hugging Face hub (`hf://OWNER/NAME[@REVISION]`), and checks that every parameter is there in its shape. Throws a `QuernError` for a folder that
 * holds no model, or one that is not the model its configuration says.
 */
export async function openModel(folder: string, hub: HubOptions = {}): Promise<ModelFolder> {
  const path = isHubAddress(folder) ? await fetchHubModel(folder, hub) : folder;
  const { config, endOfText } = await readConfig(path);
  const { files, map } = await weightFiles(path);
  const open: SafetensorsFile[] = [];
  const close = async () => {
    await Promise.all(open.map((file) => file.close()));
  };
  try {
    for (const file of files) open.push(await openSafetensors(file));
    for (const [tensor, file] of map) {
      if (!open.some((part) => part.path === file && part.tensors.has(tensor))) {
        throw new QuernError(`${file} holds no ${tensor}, which ${INDEX} says lies there`);
      }
    }
    const lies = (file: SafetensorsFile, key: string) =>
      file.tensors.has(key) && (map.size === 0 || map.get(key) === file.path);
    const holders = new Map<string, { file: SafetensorsFile; key: string; parameter: Parameter }>();
    for (const parameter of parametersOf(config)) {
      const { name } = parameter;
      // A model that was saved without its head has names without the first part: the published GPT-2 is one.
      const keys = [name, name.replace(/^(model|transformer)\./, "")];
      const [found] = keys.flatMap((key) => open.filter((file) => lies(file, key)).map((file) => ({ file, key })));
      if (found === undefined) throw new QuernError(`${path} has no weights for ${name}`);
      const stored = found.file.tensors.get(found.key) as StoredTensor;
      const shape = storedShape(parameter);
      if (stored.shape.join() !== shape.join()) {
        const shapes = `(${stored.shape.join(",")}), and config.json asks for (${shape.join(",")})`;
        throw new QuernError(`the weights ${found.key} in ${found.file.path} have the shape ${shapes}`);
      }
      holders.set(name, { ...found, parameter });
    }
    const readParameter = async (name: string) => {
      const holder = holders.get(name);
      if (holder === undefined) throw new Error(`${name} is no parameter of this model`);
      const { file, key, parameter } = holder;
      const values = await file.readFloats(key);
      return parameter.storedTransposed ? transposed(values, storedShape(parameter)) : values;
    };
    return { path, config, endOfText, readParameter, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function storedShape({ shape, storedTransposed }: Parameter): readonly number[] {
  return storedTransposed ? shape.toReversed() : shape;
}

/** (rows, columns) → (columns, rows), by squares that stay in the cache. */
function transposed(values: Float32Array, [rows, columns]: readonly number[]): Float32Array {
  const out = new Float32Array(values.length);
  const square = 32;
  for (let r0 = 0; r0 < rows; r0 += square) {
    for (let c0 = 0; c0 < columns; c0 += square) {
      const [r1, c1] = [Math.min(rows, r0 + square), Math.min(columns, c0 + square)];
      for (let r = r0; r < r1; r++) for (let c = c0; c < c1; c++) out[c * rows + r] = values[r * columns + c];
    }
  }
  return out;
}

async function readConfig(folder: string): Promise<ReturnType<typeof fromHuggingFaceConfig>> {
  const path = join(folder, "config.json");
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") {
      const why = (await exists(folder)) ? "it has no config.json" : "there is no such folder";
      throw new QuernError(`${folder} is not a model folder: ${why}`, { exitCode: 2 });
    }
    throw fileError(error, "read", path);
  }
  try {
    return fromHuggingFaceConfig(JSON.parse(text), path);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new QuernError(`${path} is not JSON: ${error.message}`);
  }
}

/** Where the parts of a split model say that each tensor lies. */
type WeightMap = ReadonlyMap<string, string>;

/** The files of a model's weights, and, where they are split, which holds what. */
async function weightFiles(folder: string): Promise<{ readonly files: readonly string[]; readonly map: WeightMap }> {
  const single = join(folder, SINGLE);
  if (await isFile(single)) return { files: [single], map: new Map() };
  const path = join(folder, INDEX);
  let index: { readonly weight_map?: unknown };
  try {
    index = JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      throw new QuernError(`${folder} is not a model folder: it has no ${SINGLE}`, { exitCode: 2 });
    }
    if (error instanceof SyntaxError) throw new QuernError(`${path} is not JSON: ${error.message}`);
    throw fileError(error, "read", path);
  }
  const map = index?.weight_map;
  if (typeof map !== "object" || map === null || Array.isArray(map)) {
    throw new QuernError(`${path} has no weight_map, which says where each tensor lies`);
  }
  const entries = Object.entries(map).map(([tensor, name]): [string, string] => {
    // The parts lie beside the index: a path that leaves the folder is no part of a model.
    if (typeof name !== "string" || !/^[\w.-]+\.safetensors$/.test(name)) {
      throw new QuernError(`${path} names ${JSON.stringify(name)}, which is no weight file of this folder`);
    }
    return [tensor, join(folder, name)];
  });
  const files = [...new Set(entries.map(([, file]) => file))];
  for (const file of files) {
    if (!(await isFile(file))) throw new QuernError(`${path} names ${basename(file)}, which is not there`);
  }
  return { files, map: new Map(entries) };
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

export interface WriteModelOptions {
  /** The id that ends a text. */
  readonly endOfText?: number | null;
  /** What the weights are rounded to, float32 unless said. */
  readonly dtype?: "F32" | "F16" | "BF16";
  /** Bytes of weights in a file; more go into several files and an index. */
  readonly shardBytes?: number;
  readonly signal?: AbortSignal;
}

/** As transformers cuts: readers that fetch over the network want no larger pieces. */
const SHARD_BYTES = 5e9;

/** Writes the files of a model into a folder. The weights come one at a time from `readParameter`. */
export async function writeModel(
  folder: string,
  config: ModelConfig,
  readParameter: (name: string) => Float32Array | Promise<Float32Array>,
  { endOfText = null, dtype = "F32", shardBytes = SHARD_BYTES, signal }: WriteModelOptions = {},
): Promise<void> {
  const json = (value: object) => `${JSON.stringify(value, null, 2)}\n`;
  const tensors = parametersOf(config).map((parameter) => ({
    name: parameter.name,
    shape: storedShape(parameter),
    dtype,
    data: async () => {
      const values = await readParameter(parameter.name);
      return parameter.storedTransposed ? transposed(values, parameter.shape) : values;
    },
  }));
  const bytesOf = ({ shape }: { shape: readonly number[] }) =>
    shape.reduce((product, dimension) => product * dimension, dtype === "F32" ? 4 : 2);
  const parts: (typeof tensors)[] = [[]];
  let filled = 0;
  for (const tensor of tensors) {
    if (filled > 0 && filled + bytesOf(tensor) > shardBytes) {
      parts.push([]);
      filled = 0;
    }
    parts[parts.length - 1].push(tensor);
    filled += bytesOf(tensor);
  }
  const number = (i: number) => String(i).padStart(5, "0");
  const nameOf = (i: number) =>
    parts.length === 1 ? SINGLE : `model-${number(i + 1)}-of-${number(parts.length)}.safetensors`;
  for (const [i, part] of parts.entries()) await writeSafetensors(join(folder, nameOf(i)), part, { signal });
  if (parts.length > 1) {
    const weight_map = Object.fromEntries(parts.flatMap((part, i) => part.map(({ name }) => [name, nameOf(i)])));
    const total_size = tensors.reduce((total, tensor) => total + bytesOf(tensor), 0);
    await writeFileAtomic(join(folder, INDEX), json({ metadata: { total_size }, weight_map }));
  }
  // What an earlier model left there would be read in this one's place.
  await rm(join(folder, parts.length > 1 ? SINGLE : INDEX), { force: true });
  await writeFileAtomic(join(folder, "generation_config.json"), json(toHuggingFaceGenerationConfig(endOfText)));
  // Last: a folder that has it has everything.
  const described = { ...toHuggingFaceConfig(config, endOfText), torch_dtype: TORCH_NAMES[dtype] };
  await writeFileAtomic(join(folder, "config.json"), json(described));
}
