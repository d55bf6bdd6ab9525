/**
 * @file A model on disk: a Hugging Face folder with `config.json`, `generation_config.json` and `model.safetensors`,
 * which transformers and vLLM load as it is. The tokenizer writes its own files beside them.
 */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../documents/index.js";
import { fileError, QuernError } from "../errors.js";
import type { ModelConfig } from "./config.js";
import { fromHuggingFaceConfig, toHuggingFaceConfig, toHuggingFaceGenerationConfig } from "./hugging-face-config.js";
import { type Parameter, parametersOf } from "./parameters.js";
import { openSafetensors, type SafetensorsFile, type StoredTensor, writeSafetensors } from "./safetensors.js";

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
 * Opens a model folder and checks that every parameter is there in its shape. Throws a `QuernError` for a folder that
 * holds no model, or one that is not the model its configuration says.
 */
export async function openModel(path: string): Promise<ModelFolder> {
  const { config, endOfText } = await readConfig(path);
  const single = join(path, "model.safetensors");
  const files = (await isFile(single)) ? [single] : await listParts(path);
  const open: SafetensorsFile[] = [];
  const close = async () => {
    await Promise.all(open.map((file) => file.close()));
  };
  try {
    for (const file of files) open.push(await openSafetensors(file));
    const holders = new Map<string, { file: SafetensorsFile; key: string; parameter: Parameter }>();
    for (const parameter of parametersOf(config)) {
      const { name } = parameter;
      // A model that was saved without its head has names without the first part: the published GPT-2 is one.
      const keys = [name, name.replace(/^(model|transformer)\./, "")];
      const [found] = keys.flatMap((key) =>
        open.filter((file) => file.tensors.has(key)).map((file) => ({ file, key })),
      );
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

/** The files of a model whose weights are split, from `model.safetensors.index.json`. */
async function listParts(folder: string): Promise<string[]> {
  const path = join(folder, "model.safetensors.index.json");
  let index: { readonly weight_map?: Readonly<Record<string, unknown>> };
  try {
    index = JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      throw new QuernError(`${folder} is not a model folder: it has no model.safetensors`, { exitCode: 2 });
    }
    if (error instanceof SyntaxError) throw new QuernError(`${path} is not JSON: ${error.message}`);
    throw fileError(error, "read", path);
  }
  const names = new Set(Object.values(index?.weight_map ?? {}));
  for (const name of names) {
    // The parts lie beside the index: a path that leaves the folder is no part of a model.
    if (typeof name !== "string" || !/^[\w.-]+\.safetensors$/.test(name)) {
      throw new QuernError(`${path} names ${JSON.stringify(name)}, which is no weight file of this folder`);
    }
  }
  return [...names].map((name) => join(folder, name as string));
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

/**
 * Writes the files of a model into a folder, float32. The weights come one at a time from `readParameter`.
 * @param endOfText the id that ends a text, or null
 */
export async function writeModel(
  folder: string,
  config: ModelConfig,
  readParameter: (name: string) => Float32Array | Promise<Float32Array>,
  { endOfText = null, signal }: { readonly endOfText?: number | null; readonly signal?: AbortSignal } = {},
): Promise<void> {
  const json = (value: object) => `${JSON.stringify(value, null, 2)}\n`;
  const tensors = parametersOf(config).map((parameter) => ({
    name: parameter.name,
    shape: storedShape(parameter),
    dtype: "F32" as const,
    data: async () => {
      const values = await readParameter(parameter.name);
      return parameter.storedTransposed ? transposed(values, parameter.shape) : values;
    },
  }));
  await writeSafetensors(join(folder, "model.safetensors"), tensors, { signal });
  await writeFileAtomic(join(folder, "generation_config.json"), json(toHuggingFaceGenerationConfig(endOfText)));
  // Last: a folder that has it has everything.
  await writeFileAtomic(join(folder, "config.json"), json(toHuggingFaceConfig(config, endOfText)));
}
