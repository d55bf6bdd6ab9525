/**
 * @file Reads and writes Hugging Face model folders: `config.json`, `generation_config.json` and `model.safetensors` (or
 * several weight files with an index). transformers and vLLM can load them. The tokenizer adds its own files.
 */
import { rm, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { writeFileAtomic } from "../documents/index.js";
import { fileError, QuernError } from "../errors.js";
import { readJsonFile } from "../json-file.js";
import { quoted } from "../printable.js";
import type { ModelConfig } from "./config.js";
import {
  type ByteWeights,
  type DescribedModel,
  type EndOfText,
  fromHuggingFaceConfig,
  fromHuggingFaceGenerationConfig,
  toHuggingFaceConfig,
  toHuggingFaceGenerationConfig,
} from "./hugging-face-config.js";
import { namesOf, type Parameter, parametersOf } from "./parameters.js";
import { openSafetensors, type SafetensorsFile, type StoredTensor, writeSafetensors } from "./safetensors.js";
import {
  classifierFields,
  classifierOf,
  isRewardModel,
  SCORE,
  scoreParameter,
  withoutHead,
} from "./sequence-classifier.js";
import type { OpenModelOptions, StoredModel } from "./stored-model.js";

const SINGLE = "model.safetensors";
const INDEX = "model.safetensors.index.json";
const TORCH_NAMES = { F32: "float32", F16: "float16", BF16: "bfloat16" } as const;

/** Location of a tensor. */
interface Place {
  readonly file: SafetensorsFile;
  readonly key: string;
  readonly tensor: StoredTensor;
}

/**
 * Opens a model folder and checks that every parameter exists with the right shape, before allocating any of them.
 * @throws QuernError for a folder without a model, or weights that do not match the configuration
 */
export async function openHuggingFaceFolder(path: string, options: OpenModelOptions = {}): Promise<StoredModel> {
  const { described, classifier, padding } = await readConfig(path);
  if (classifier !== null && !options.classifier) throw isRewardModel(path, classifier);
  const endOfText = [...new Set([...described.endOfText, ...(await readGenerationEnds(path))])];
  const { files, map } = await weightFiles(path);
  const open: SafetensorsFile[] = [];
  const close = async () => {
    await Promise.all(open.map((file) => file.close()));
  };
  try {
    for (const file of files) open.push(await openSafetensors(file));
    const find = (name: string): Place | undefined => {
      // Models saved without a head, such as the published GPT-2, have names without the first part.
      for (const key of [name, name.replace(/^(model|transformer)\./, "")]) {
        // Prefers the file in the index; if that is wrong, takes any file with the tensor, as transformers does.
        const holders = open.filter((file) => file.tensors.has(key));
        const file = holders.find((holder) => holder.path === map.get(key)) ?? holders[0];
        if (file !== undefined) return { file, key, tensor: file.tensors.get(key) as StoredTensor };
      }
      return undefined;
    };
    const stored = open.reduce((sum, { tensors }) => sum + tensors.size, 0);
    if (described.config.layers > stored) {
      const claim = `${join(path, "config.json")} describes ${described.config.layers} layers`;
      throw new QuernError(`${claim}, but the weights are only ${stored} tensors`);
    }
    const { config, warnings } =
      classifier === null
        ? await headOf(described.config, find, path)
        : { config: withoutHead(described.config), warnings: [] };
    const readScore = classifier === null ? undefined : scoreReader(find, described.config, path);
    const names = namesOf(config);
    const places = new Map<string, Place & { readonly parameter: Parameter; readonly scale: Place | null }>();
    for (const parameter of parametersOf(config)) {
      const { name } = parameter;
      const isTable = config.tiedHead && name === weightOf(names.embedding);
      const place = find(name) ?? (isTable ? find(weightOf(names.head)) : undefined);
      if (place === undefined) throw new QuernError(`${path} has no weights for ${name}`);
      const shape = storedShape(parameter);
      if (place.tensor.shape.join() !== shape.join()) {
        const shapes = `(${place.tensor.shape.slice(0, 8).join(",")}), but config.json requires (${shape.join(",")})`;
        throw new QuernError(`the weights ${place.key} in ${place.file.path} have the shape ${shapes}`);
      }
      places.set(name, { ...place, parameter, scale: scaleOf(place, described.byteWeights, find) });
    }
    const readParameter = async (name: string) => {
      const place = places.get(name);
      if (place === undefined) throw new Error(`the model has no parameter ${name}`);
      const { file, key, parameter, scale } = place;
      const values = await file.readFloats(key);
      if (scale !== null) {
        const [rows, columns] = parameter.shape;
        applyScale(
          values,
          columns,
          await scale.file.readFloats(scale.key),
          described.byteWeights?.block ?? [rows, columns],
        );
      }
      return parameter.storedTransposed ? transpose(values, storedShape(parameter)) : values;
    };
    return { path, config, endOfText, warnings, padding, readScore, readParameter, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** @throws QuernError for a classifier without the weights of a score, or with more than these */
function scoreReader(find: (name: string) => Place | undefined, { width }: ModelConfig, path: string) {
  const place = find(SCORE);
  if (place === undefined) throw new QuernError(`${path} has no weights for ${SCORE}`);
  const { file, key, tensor } = place;
  if (tensor.shape.join() !== `1,${width}`) {
    throw new QuernError(
      `the weights ${key} in ${file.path} have the shape (${tensor.shape.slice(0, 8).join(",")}), but a reward model requires (1,${width})`,
    );
  }
  if (find("score.bias") !== undefined) throw new QuernError(`${path} has a score.bias, which Quern does not support`);
  return () => file.readFloats(key);
}

const weightOf = (part: string) => `${part}.weight`;

/**
 * Resolves a tied head for which the weights contain both head and embedding. If they are equal, the head stays tied.
 * Otherwise the stored head is used, as in transformers 5.
 */
async function headOf(config: ModelConfig, find: (name: string) => Place | undefined, path: string) {
  const warnings: string[] = [];
  const names = namesOf(config);
  const [head, embedding] = [find(weightOf(names.head)), find(weightOf(names.embedding))];
  if (!config.tiedHead || head === undefined || embedding === undefined || (await areEqual(head, embedding))) {
    return { config, warnings };
  }
  warnings.push(
    `${path} ties the head to the embedding, but stores ${head.key} with other values, which is used as the head; ` +
      'set "tie_word_embeddings": false in config.json',
  );
  return { config: { ...config, tiedHead: false }, warnings };
}

/** Bytes per comparison. */
const COMPARE_BYTES = 8 << 20;

async function areEqual(a: Place, b: Place): Promise<boolean> {
  if (a.tensor.dtype !== b.tensor.dtype) {
    const [x, y] = [await a.file.readFloats(a.key), await b.file.readFloats(b.key)];
    return x.length === y.length && x.every((value, i) => value === y[i]);
  }
  const bytes = a.tensor.end - a.tensor.begin;
  if (bytes !== b.tensor.end - b.tensor.begin) return false;
  for (let at = 0; at < bytes; at += COMPARE_BYTES) {
    const [x, y] = [await a.file.readBytes(a.key, at, COMPARE_BYTES), await b.file.readBytes(b.key, at, COMPARE_BYTES)];
    if (Buffer.compare(x, y) !== 0) return false;
  }
  return true;
}

/** Finds the scales of 8-bit weights; null for unscaled weights. */
function scaleOf(place: Place, bytes: ByteWeights | null, find: (name: string) => Place | undefined): Place | null {
  const { file, key, tensor } = place;
  const scale = /\.weight$/.test(key) ? find(`${key}_scale_inv`) : undefined;
  if (scale === undefined) {
    if (bytes === null || !tensor.dtype.startsWith("F8_")) return null;
    throw new QuernError(`${file.path} has no ${key}_scale_inv for the ${tensor.dtype} weights ${key}`);
  }
  if (bytes === null) {
    throw new QuernError(
      `${scale.file.path} contains scales ${scale.key}, but config.json has no quantization_config to interpret them`,
    );
  }
  if (!tensor.dtype.startsWith("F8_") || tensor.shape.length !== 2) {
    throw new QuernError(`${scale.file.path} contains scales for ${key}, which is not a matrix of 8-bit floats`);
  }
  const { block } = bytes;
  const wanted = block === null ? [] : tensor.shape.map((size, i) => Math.ceil(size / block[i]));
  const found = scale.tensor.shape;
  // A single scale may have any number of dimensions of size 1.
  const fits = block === null ? found.every((size) => size === 1) : found.join() === wanted.join();
  if (!fits) {
    const shapes = `(${found.slice(0, 8).join(",")}), but the blocks of ${key} require (${wanted.join(",")})`;
    throw new QuernError(`the scales ${scale.key} in ${scale.file.path} have the shape ${shapes}`);
  }
  return scale;
}

/** Multiplies values (rows, columns) in place by scales, one per block of (blockRows, blockColumns). */
function applyScale(
  values: Float32Array,
  columns: number,
  scales: Float32Array,
  [blockRows, blockColumns]: readonly [number, number],
): void {
  const across = Math.ceil(columns / blockColumns);
  for (let i = 0; i < values.length; i++) {
    const [row, column] = [Math.floor(i / columns), i % columns];
    values[i] *= scales[Math.floor(row / blockRows) * across + Math.floor(column / blockColumns)];
  }
}

function storedShape({ shape, storedTransposed }: Parameter): readonly number[] {
  return storedTransposed ? shape.toReversed() : shape;
}

/** (rows, columns) → (columns, rows), in tiles that fit the CPU cache. */
function transpose(values: Float32Array, [rows, columns]: readonly number[]): Float32Array {
  const out = new Float32Array(values.length);
  const tile = 32;
  for (let r0 = 0; r0 < rows; r0 += tile) {
    for (let c0 = 0; c0 < columns; c0 += tile) {
      const [r1, c1] = [Math.min(rows, r0 + tile), Math.min(columns, c0 + tile)];
      for (let r = r0; r < r1; r++) for (let c = c0; c < c1; c++) out[c * rows + r] = values[r * columns + c];
    }
  }
  return out;
}

/** The contents of a folder's `config.json`. */
interface FolderConfig {
  readonly described: DescribedModel;
  /** Architecture of a sequence classifier; null for a language model. */
  readonly classifier: string | null;
  readonly padding: number | null;
}

async function readConfig(folder: string): Promise<FolderConfig> {
  const path = join(folder, "config.json");
  if (!(await exists(path))) {
    const why = (await exists(folder)) ? "it has no config.json" : "there is no such folder";
    throw new QuernError(`${folder} is not a model folder: ${why}`, { exitCode: 2 });
  }
  const json = await readJsonFile(path);
  const described = fromHuggingFaceConfig(json, path);
  const { pad_token_id: padding } = json as { readonly pad_token_id?: unknown };
  return {
    described,
    classifier: classifierOf(json, path),
    padding: Number.isSafeInteger(padding) && (padding as number) >= 0 ? (padding as number) : null,
  };
}

async function readGenerationEnds(folder: string): Promise<readonly number[]> {
  const path = join(folder, "generation_config.json");
  return (await exists(path)) ? fromHuggingFaceGenerationConfig(await readJsonFile(path), path) : [];
}

/** The weight file of each tensor, from the index of a split model. */
type WeightMap = ReadonlyMap<string, string>;

/** Finds the weight files of a model, and the index if they are split. */
async function weightFiles(folder: string): Promise<{ readonly files: readonly string[]; readonly map: WeightMap }> {
  const single = join(folder, SINGLE);
  if (await isFile(single)) return { files: [single], map: new Map() };
  const path = join(folder, INDEX);
  if (!(await exists(path))) {
    throw new QuernError(`${folder} is not a model folder: it has no ${SINGLE}`, { exitCode: 2 });
  }
  const index = (await readJsonFile(path)) as { readonly weight_map?: unknown } | null;
  const map = index?.weight_map;
  if (typeof map !== "object" || map === null || Array.isArray(map)) {
    throw new QuernError(`${path} has no weight_map, which names the file of each tensor`);
  }
  const entries = Object.entries(map).map(([tensor, name]): [string, string] => {
    // Weight files must be next to the index: refuses paths that leave the folder.
    if (typeof name !== "string" || !/^[\w.-]+\.safetensors$/.test(name)) {
      throw new QuernError(
        `${path} names ${quoted(JSON.stringify(name) ?? "nothing")}, which is not a weight file of this folder`,
      );
    }
    return [tensor, join(folder, name)];
  });
  const files = [...new Set(entries.map(([, file]) => file))];
  for (const file of files) {
    if (!(await isFile(file))) throw new QuernError(`${path} names ${basename(file)}, which is missing`);
  }
  return { files, map: new Map(entries) };
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw fileError(error, "read", path);
  }
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

export interface WriteModelOptions {
  readonly endOfText?: EndOfText;
  /** Id that begins a text; by default the one that ends it. */
  readonly beginOfText?: number | null;
  /** Id that pads a batch; by default not written. */
  readonly padding?: number;
  /** Dtype of the written weights; default F32. */
  readonly dtype?: "F32" | "F16" | "BF16";
  /** Maximum bytes of weights per file; more weights are split into several files with an index. */
  readonly shardBytes?: number;
  readonly signal?: AbortSignal;
  /** Reads the head (1,C) of a reward model, which is written as a sequence classifier. */
  readonly readScore?: () => Float32Array | Promise<Float32Array>;
}

/** Limit of transformers, which keeps downloads manageable. */
const SHARD_BYTES = 5e9;

/** Writes the files of a model to a folder. Reads the weights one at a time with `readParameter`. */
export async function writeModel(
  folder: string,
  config: ModelConfig,
  readParameter: (name: string) => Float32Array | Promise<Float32Array>,
  options: WriteModelOptions = {},
): Promise<void> {
  const {
    endOfText = null,
    beginOfText,
    padding,
    dtype = "F32",
    shardBytes = SHARD_BYTES,
    signal,
    readScore,
  } = options;
  const roles = {
    ...(beginOfText !== undefined && { bos_token_id: beginOfText }),
    ...(padding !== undefined && { pad_token_id: padding }),
  };
  const json = (value: object) => `${JSON.stringify(value, null, 2)}\n`;
  const own = readScore === undefined ? config : withoutHead(config);
  const score = readScore === undefined ? [] : [scoreParameter(config)];
  const tensors = [...parametersOf(own), ...score].map((parameter) => ({
    name: parameter.name,
    shape: storedShape(parameter),
    dtype,
    data: async () => {
      const values = await (readScore && parameter.name === SCORE ? readScore() : readParameter(parameter.name));
      return parameter.storedTransposed ? transpose(values, parameter.shape) : values;
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
  // Weights or an index left from an earlier model would be read instead of this one.
  await rm(join(folder, parts.length > 1 ? SINGLE : INDEX), { force: true });
  const generation = join(folder, "generation_config.json");
  if (readScore !== undefined) await rm(generation, { force: true });
  else await writeFileAtomic(generation, json({ ...toHuggingFaceGenerationConfig(endOfText), ...roles }));
  // Written last: a folder with config.json is complete.
  const classifier = readScore === undefined ? {} : classifierFields(config);
  const described = {
    ...toHuggingFaceConfig(own, endOfText),
    ...roles,
    ...classifier,
    torch_dtype: TORCH_NAMES[dtype],
  };
  await writeFileAtomic(join(folder, "config.json"), json(described));
}
