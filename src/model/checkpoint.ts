/**
 * @file Resolves and opens the models that a user can name:
 *
 *     runs/first                   a run: its newest checkpoint
 *     runs/first/checkpoints/100   a checkpoint, which is a Hugging Face folder
 *     models/gpt2                  a Hugging Face folder
 *     runs/lora, adapter/          a LoRA adapter, with the base model that it names
 *     smollm2.gguf                 a GGUF file
 *     hf://OWNER/NAME[@REVISION]   a model on the Hugging Face Hub, downloaded to the cache; with /FILE.gguf, one file of it
 */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileError, QuernError } from "../errors.js";
import { adapterBase, isAdapter, isRewardAdapter, openAdaptedModel } from "./adapter-folder.js";
import { openGgufModel } from "./gguf/model.js";
import { fetchHubModel, type HubOptions, isHubAddress } from "./hub.js";
import { openHuggingFaceFolder } from "./hugging-face-folder.js";
import { isRewardModel } from "./sequence-classifier.js";
import type { OpenModelOptions, StoredModel } from "./stored-model.js";

/** The folder of a run's checkpoints. */
export const checkpointsFolder = (run: string) => join(run, "checkpoints");

export const checkpointPath = (run: string, step: number) => join(checkpointsFolder(run), String(step));

/** Lists the steps at which a run was saved, ascending. */
export async function listCheckpoints(run: string): Promise<number[]> {
  const folder = checkpointsFolder(run);
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return [];
    throw fileError(error, "read", folder);
  });
  return names
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

/**
 * Opens a model by name. Its tokenizer can be loaded from the same `path` with `loadTokenizer`.
 * @throws QuernError for a path without a model, a damaged or unsupported model, or a reward model that the options do
 * not allow
 */
export async function openModel(name: string, options: HubOptions & OpenModelOptions = {}): Promise<StoredModel> {
  const path = await findModel(name, options);
  if (await isAdapter(path)) return withBase(path, options);
  return (await isFile(path)) ? openGgufModel(path) : openHuggingFaceFolder(path, options);
}

/** Opens an adapter together with its base model. */
async function withBase(folder: string, options: HubOptions & OpenModelOptions): Promise<StoredModel> {
  if (!options.classifier && (await isRewardAdapter(folder))) throw isRewardModel(folder, "an adapter for SEQ_CLS");
  const name = await adapterBase(folder);
  if (name === null)
    throw new QuernError(`${folder} is an adapter that names no base model; use quern merge`, { exitCode: 2 });
  const base = await openModel(name, options).catch((error: unknown) => {
    if (!(error instanceof QuernError)) throw error;
    const why = `${folder} is an adapter of ${name}, which cannot be opened: ${error.message}`;
    throw new QuernError(why, { exitCode: error.exitCode, cause: error });
  });
  try {
    return await openAdaptedModel(base, folder);
  } catch (error) {
    await base.close();
    throw error;
  }
}

/**
 * Returns the path of the Hugging Face folder or GGUF file of a model.
 * @throws QuernError for a path that is neither a model nor a run with a checkpoint
 */
export async function findModel(name: string, hub: HubOptions = {}): Promise<string> {
  if (isHubAddress(name)) return fetchHubModel(name, hub);
  if (await isFile(name)) return name;
  if ((await exists(join(name, "config.json"))) || (await isAdapter(name))) return name;
  const step = (await listCheckpoints(name)).at(-1);
  if (step !== undefined) return checkpointPath(name, step);
  if (!(await exists(name))) throw new QuernError(`${name}: there is no such folder or file`, { exitCode: 2 });
  const files = await readdir(name).catch(() => []);
  const gguf = files.filter((file) => /\.gguf$/i.test(file)).sort();
  const why = (await exists(join(name, "run.json")))
    ? "its run has saved no checkpoint yet"
    : gguf.length > 0
      ? `name a file in it, such as ${join(name, gguf[0])}`
      : "no config.json, no checkpoints/";
  throw new QuernError(`${name} is neither a model nor a run: ${why}`, { exitCode: 2 });
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );

const isFile = (path: string) =>
  stat(path).then(
    (found) => !found.isDirectory(),
    () => false,
  );
