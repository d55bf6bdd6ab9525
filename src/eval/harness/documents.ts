/**
 * @file Reads the documents of a task from `--data DIR`: `DIR/<dataset_path>/<dataset_name>/<split>.jsonl`, or .json, .csv,
 * .parquet, in one file or several; a null name has no folder. Without a folder they come from the hub.
 */
import { readdirSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { isRemote } from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";
import type { CsvOptions } from "../csv.js";
import { filePattern } from "./file-pattern.js";
import { type FunctionTable, requireFunction, type TaskDocument } from "./functions.js";
import { HubData } from "./hub-data.js";
import { FunctionReference } from "./python-yaml.js";
import type { LoadedTask } from "./registry.js";
import { readRowsOfFiles } from "./row-files.js";
import { rowFilesIn, splitFiles } from "./split-files.js";
import type { TaskConfig } from "./task-config.js";

export { parsePythonJson, readRowsOf } from "./row-files.js";

export interface DataOptions {
  /** Folder of `--data`; default the hub. */
  readonly data?: string;
  /** Data sets of the hub, so that tasks of one run look each up once. */
  readonly hub?: HubData;
  readonly functions?: FunctionTable;
  readonly signal?: AbortSignal;
}

/** The documents of a task. */
export interface TaskDocuments {
  /** Of the test split, or of the validation split if there is no test split. */
  readonly evaluated: readonly TaskDocument[];
  /** What few-shot examples are drawn from; null if none were read. */
  readonly fewshot: readonly TaskDocument[] | null;
}

/**
 * Reads the documents of a task, and runs its `process_docs`.
 * @param numFewshot few-shot examples are read only if this is above 0
 * @throws QuernError that names the missing file, split or function
 */
export async function readTaskDocuments(
  task: LoadedTask,
  numFewshot: number,
  options: DataOptions,
): Promise<TaskDocuments> {
  const { config } = task;
  const split = config.testSplit ?? config.validationSplit;
  if (split === null) {
    throw new QuernError(`${task.file}: the task ${task.name} has neither test_split nor validation_split to evaluate`);
  }
  const evaluated = processed(await readSplit(task, split, options), config.processDocs, options);
  if (evaluated.length === 0) throw new QuernError(`the split ${split} of the task ${task.name} has no documents`);
  return { evaluated, fewshot: numFewshot > 0 ? await readFewshot(task, split, evaluated, options) : null };
}

async function readFewshot(
  task: LoadedTask,
  evaluatedSplit: string,
  evaluated: readonly TaskDocument[],
  options: DataOptions,
): Promise<readonly TaskDocument[]> {
  const { config } = task;
  const { split, samples, processDocs } = config.fewshot;
  if (split !== null) return processed(await readSplit(task, split, options), processDocs, options);
  if (samples !== null) {
    if (Array.isArray(samples)) return samples as readonly TaskDocument[];
    const { run } = requireFunction(samples as FunctionReference, "nothing", options.functions);
    return (await run()) as readonly TaskDocument[];
  }
  const fallback = config.trainingSplit ?? config.validationSplit ?? config.testSplit!;
  if (fallback === evaluatedSplit) return evaluated;
  return processed(await readSplit(task, fallback, options), config.processDocs, options);
}

function processed(
  documents: readonly TaskDocument[],
  by: FunctionReference | null,
  { functions }: DataOptions,
): readonly TaskDocument[] {
  return by === null ? documents : requireFunction(by, "documents", functions).run(documents);
}

/** Formats that `dataset_path` may name to read the files of `dataset_kwargs.data_files`. */
const FILE_FORMATS = new Set(["json", "csv", "parquet"]);

async function readSplit(task: LoadedTask, split: string, options: DataOptions): Promise<readonly TaskDocument[]> {
  const { datasetPath, datasetName, datasetOptions, keys } = task.config;
  if (keys.custom_dataset instanceof FunctionReference) return readCustom(task, keys.custom_dataset, split, options);
  if (datasetPath === null) throw new QuernError(`${task.file}: the task ${task.name} has no dataset_path`);
  const { data } = options;
  const { data_files: listed } = datasetOptions;
  const rowOptions = { ...csvOptions(datasetOptions), signal: options.signal };
  if (listed !== undefined && listed !== null && FILE_FORMATS.has(datasetPath)) {
    return readRowsOfFiles(await listedFiles(task, listed, split, options), { ...rowOptions, format: datasetPath });
  }
  if (data === undefined || data === HUB) return readRowsOfFiles(await hubFiles(task, split, options), rowOptions);
  const folder = join(data, datasetPath, datasetName ?? "");
  if (listed !== undefined && listed !== null) {
    // The folder may have the files that the task names in the data set of the hub.
    const own = patternsOf(task, listed, split).map((path) => join(data, datasetPath, path));
    if (own.every(isFile)) return readRowsOfFiles(own, rowOptions);
  }
  const found = await splitFiles(folder, split);
  if (found !== undefined) return readRowsOfFiles(found, rowOptions);
  const there = await rowFilesIn(folder);
  throw new QuernError(
    `the split ${quoted(split)} of the task ${task.name} is missing: there is no ${join(folder, `${split}.jsonl`)}` +
      `${there.length > 0 ? `; the folder has ${there.join(", ")}` : ""} (also .json, .csv, .parquet)`,
  );
}

/** What `--data` may say instead of a folder. */
export const HUB = "hf://datasets";

async function hubFiles(task: LoadedTask, split: string, options: DataOptions): Promise<readonly string[]> {
  const { datasetPath, datasetName, datasetOptions } = task.config;
  const hub = options.hub ?? new HubData({ signal: options.signal });
  try {
    return await hub.filesOf({
      path: datasetPath!,
      name: datasetName,
      split,
      revision: textOrNothing(datasetOptions.revision),
      dataFiles: datasetOptions.data_files ?? undefined,
      dataDir: textOrNothing(datasetOptions.data_dir),
    });
  } catch (error) {
    if (!(error instanceof QuernError)) throw error;
    throw new QuernError(`the data of the task ${task.name}: ${error.message}; or give its folder with --data DIR`, {
      cause: error,
    });
  }
}

const textOrNothing = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

/** The arguments of pandas' reader that task files use. */
function csvOptions({ column_names: columns, delimiter, sep }: TaskConfig["datasetOptions"]): CsvOptions {
  const separator = textOrNothing(delimiter ?? sep);
  return {
    ...(Array.isArray(columns) && { columns: columns.map(String) }),
    ...(separator?.length === 1 && { separator }),
  };
}

/** A function returns the documents of all splits. */
async function readCustom(
  task: LoadedTask,
  source: FunctionReference,
  split: string,
  { functions }: DataOptions,
): Promise<readonly TaskDocument[]> {
  const splits = (await requireFunction(source, "nothing", functions).run()) as Readonly<
    Record<string, readonly TaskDocument[]>
  >;
  if (Object.hasOwn(splits, split)) return splits[split];
  throw new QuernError(`${task.file}: the documents of the task ${task.name} have no split ${quoted(split)}`);
}

/** Returns the patterns that `data_files` names for a split. */
function patternsOf(task: LoadedTask, listed: unknown, split: string): readonly string[] {
  const isPlain = typeof listed === "string" || Array.isArray(listed);
  const given = isPlain ? (split === "train" ? listed : []) : (listed as Readonly<Record<string, unknown>>)[split];
  const paths = [given ?? []].flat();
  if (paths.length === 0) throw new QuernError(`${task.file}: data_files has no split ${quoted(split)}`);
  if (!paths.every((path) => typeof path === "string"))
    throw new QuernError(`${task.file}: data_files must name files`);
  return paths;
}

/** Returns the files that `data_files` names for a split, in order. */
async function listedFiles(
  task: LoadedTask,
  listed: unknown,
  split: string,
  options: DataOptions,
): Promise<readonly string[]> {
  const found: string[] = [];
  const hub = options.hub ?? new HubData({ signal: options.signal });
  for (const path of patternsOf(task, listed, split)) {
    if (path.startsWith("hf://")) {
      const own = options.data === undefined ? undefined : join(options.data, path.slice(`${HUB}/`.length));
      found.push(own !== undefined && isFile(own) ? own : await hub.fileAt(path));
      continue;
    }
    if (isRemote(path)) {
      throw new QuernError(`${task.file}: data_files names ${quoted(path)}; download it, and name the file here`);
    }
    // datasets reads from the working directory; beside the task file, or its folder, is what a user means.
    const beside = dirname(task.file);
    const folders = [process.cwd(), beside, dirname(beside), ...(options.data === undefined ? [] : [options.data])];
    const files = folders.map((folder) => matchingFiles(folder, path)).find((each) => each.length > 0);
    if (files === undefined) {
      throw new QuernError(
        `${task.file}: data_files names ${path}, which is neither in the working directory nor beside the task file`,
      );
    }
    found.push(...files);
  }
  return found;
}

/** Returns the file of a path, or the files that match a pattern, sorted. */
function matchingFiles(folder: string, path: string): readonly string[] {
  const whole = resolve(folder, path);
  if (isFile(whole)) return [whole];
  const wild = path.search(/[*?[{]/);
  if (wild < 0) return [];
  const start = resolve(folder, path.slice(0, path.lastIndexOf("/", wild) + 1) || ".");
  if (!(statSync(start, { throwIfNoEntry: false })?.isDirectory() ?? false)) return [];
  const pattern = filePattern(path.slice(path.lastIndexOf("/", wild) + 1));
  const names = readdirSync(start, { recursive: true }).map((name) => String(name).replaceAll("\\", "/"));
  return names
    .filter((name) => pattern.test(name))
    .sort()
    .map((name) => join(start, name))
    .filter(isFile);
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}
