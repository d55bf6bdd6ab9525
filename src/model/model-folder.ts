/** @file Which folder holds the model that a person names: a model folder, a run's newest checkpoint, or one on the hub. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileError, QuernError } from "../errors.js";
import { fetchHubModel, type HubOptions, isHubAddress } from "./hub.js";

/** The folder of a run's checkpoints. */
export const checkpointsFolder = (run: string) => join(run, "checkpoints");

export const checkpointPath = (run: string, step: number) => join(checkpointsFolder(run), String(step));

/** Steps at which a run was saved, ascending. */
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

/** @throws QuernError for a path that is neither a model folder nor a run with a checkpoint */
export async function findModelFolder(path: string, hub: HubOptions = {}): Promise<string> {
  if (isHubAddress(path)) return fetchHubModel(path, hub);
  const exists = (file: string) =>
    stat(file).then(
      () => true,
      () => false,
    );
  if (await exists(join(path, "config.json"))) return path;
  const step = (await listCheckpoints(path)).at(-1);
  if (step !== undefined) return checkpointPath(path, step);
  if (!(await exists(path))) throw new QuernError(`${path}: there is no such folder`, { exitCode: 2 });
  const why = (await exists(join(path, "run.json")))
    ? "its run has saved no checkpoint yet"
    : "no config.json, no checkpoints/";
  throw new QuernError(`${path} is neither a model nor a run: ${why}`, { exitCode: 2 });
}
