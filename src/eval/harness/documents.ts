/**
 * @file Reads the documents of a task from `--data DIR`: `DIR/<dataset_path>/<dataset_name>/<split>.jsonl`, or .json, .csv,
 * .parquet; a null name has no folder. Rows get the same columns, as in Hugging Face's datasets: a missing value is null, and
 * a column with one float has only floats.
 */
import { readFileSync, statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { readParquetRows } from "../../documents/index.js";
import { fileError, QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";
import { PythonFloat } from "../../tokenizer/index.js";
import { type FunctionTable, requireFunction, type TaskDocument } from "./functions.js";
import { FunctionReference } from "./python-yaml.js";
import type { LoadedTask } from "./registry.js";
import { typedRowsOfCsv } from "./typed-csv.js";

export interface DataOptions {
  /** Folder of `--data`. */
  readonly data?: string;
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

const EXTENSIONS = [".jsonl", ".json", ".csv", ".parquet"] as const;

/** Formats that `dataset_path` may name to read the files of `dataset_kwargs.data_files`. */
const FILE_FORMATS = new Set(["json", "csv", "parquet"]);

async function readSplit(task: LoadedTask, split: string, options: DataOptions): Promise<readonly TaskDocument[]> {
  const { datasetPath, datasetName, datasetOptions, keys } = task.config;
  if (keys.custom_dataset instanceof FunctionReference) return readCustom(task, keys.custom_dataset, split, options);
  if (datasetPath === null) throw new QuernError(`${task.file}: the task ${task.name} has no dataset_path`);
  const listed = FILE_FORMATS.has(datasetPath) ? datasetOptions.data_files : undefined;
  if (listed !== undefined && listed !== null) return readListed(task, listed, split, datasetPath);
  if (options.data === undefined) {
    throw new QuernError(
      `the data of the task ${task.name} (${quoted(datasetPath)}) is not here; give its folder with --data DIR`,
      { exitCode: 2 },
    );
  }
  const folder = join(options.data, datasetPath, datasetName ?? "");
  for (const extension of EXTENSIONS) {
    const path = join(folder, split + extension);
    if (isFile(path)) return readRowsOf(path, options.signal);
  }
  const there = await splitsIn(folder);
  throw new QuernError(
    `the split ${quoted(split)} of the task ${task.name} is missing: there is no ${join(folder, `${split}.jsonl`)}` +
      `${there.length > 0 ? `; the folder has ${there.join(", ")}` : ""} (also .json, .csv, .parquet)`,
  );
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

async function readListed(
  task: LoadedTask,
  listed: unknown,
  split: string,
  format: string,
): Promise<readonly TaskDocument[]> {
  const isPlain = typeof listed === "string" || Array.isArray(listed);
  const given = isPlain
    ? split === "train"
      ? listed
      : undefined
    : (listed as Readonly<Record<string, unknown>>)[split];
  const paths = [given ?? []].flat();
  if (paths.length === 0) throw new QuernError(`${task.file}: data_files has no split ${quoted(split)}`);
  const rows: TaskDocument[] = [];
  for (const path of paths) {
    if (typeof path !== "string") throw new QuernError(`${task.file}: data_files must name files`);
    // datasets reads from the working directory; beside the task file is what a user means.
    const found = [resolve(path), resolve(dirname(task.file), path)].find(isFile);
    if (found === undefined) throw new QuernError(`${task.file}: data_files names ${path}, which is not there`);
    rows.push(...(await readRowsOf(found, undefined, format)));
  }
  return rows;
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

async function splitsIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => EXTENSIONS.some((extension) => name.endsWith(extension))).sort();
  } catch {
    return [];
  }
}

/**
 * Reads the rows of a file by its extension.
 * @param format `json`, `csv` or `parquet`, for a file with another extension
 * @throws QuernError with the line of a row that is no object
 */
export async function readRowsOf(
  path: string,
  signal?: AbortSignal,
  format?: string,
): Promise<readonly TaskDocument[]> {
  if (path.endsWith(".parquet") || format === "parquet") {
    const rows: TaskDocument[] = [];
    for await (const row of readParquetRows(path, { required: null, signal })) rows.push(row);
    return rows;
  }
  let text: string;
  try {
    text = readFileSync(path, "utf8").replace(/^\ufeff/, "");
  } catch (error) {
    throw fileError(error, "read", path);
  }
  if (path.endsWith(".csv") || format === "csv") return typedRowsOfCsv(text, path);
  return unified(text.trimStart().startsWith("[") ? rowsOfArray(text, path) : rowsOfLines(text, path));
}

function rowsOfLines(text: string, path: string): TaskDocument[] {
  const rows: TaskDocument[] = [];
  let line = 0;
  for (const source of text.split("\n")) {
    line++;
    if (source.trim() === "") continue;
    rows.push(asRow(parsePythonJson(source, `${path} line ${line}`), `${path} line ${line}`));
  }
  return rows;
}

function rowsOfArray(text: string, path: string): TaskDocument[] {
  const items = parsePythonJson(text, path);
  if (!Array.isArray(items)) throw new QuernError(`${path} is neither a list of objects nor one object per line`);
  return items.map((item, index) => asRow(item, `${path}: element ${index + 1}`));
}

function asRow(value: unknown, where: string): TaskDocument {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as TaskDocument;
  throw new QuernError(`${where} is no object with the fields of a document`);
}

/** What JavaScript's numbers cannot hold: a whole float, an integer beyond 2^53. */
const SPECIAL_NUMBER = /\d\.0*(?!\d)|\d[eE][-+\d]|\d{16}/;
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/g;
const MARK = "\0quern ";

/** Parses JSON as Python does: 2.0 stays a float (`PythonFloat`), an integer beyond 2^53 is a bigint. */
export function parsePythonJson(source: string, where: string): unknown {
  try {
    if (!SPECIAL_NUMBER.test(source)) return JSON.parse(source);
    let isMarked = false;
    const marked = source.replace(TOKEN, (token) => {
      if (token.startsWith('"')) return token;
      const value = Number(token);
      const isFloat = /[.eE]/.test(token);
      if (isFloat ? !Number.isInteger(value) : Number.isSafeInteger(value)) return token;
      isMarked = true;
      return JSON.stringify(MARK + token);
    });
    const parsed: unknown = JSON.parse(isMarked ? marked : source);
    return isMarked ? unmarked(parsed) : parsed;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new QuernError(`${where} is not JSON: ${quoted(error.message)}`, { cause: error });
  }
}

function unmarked(value: unknown): unknown {
  if (typeof value === "string" && value.startsWith(MARK)) {
    const token = value.slice(MARK.length);
    return /[.eE]/.test(token) ? new PythonFloat(Number(token)) : BigInt(token);
  }
  if (Array.isArray(value)) return value.map(unmarked);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unmarked(item)]));
}

/** Gives all rows the same fields, and makes integers among floats floats; nested objects of unlike fields stay as they are. */
function unified(rows: readonly TaskDocument[]): readonly TaskDocument[] {
  return unifiedFields(rows) as readonly TaskDocument[];
}

function unifiedValues(values: readonly unknown[]): readonly unknown[] {
  const present = values.filter((value) => value !== null && value !== undefined);
  if (present.length === 0) return values.map(() => null);
  if (present.every(isNumber)) {
    if (!present.some((value) => value instanceof PythonFloat || !Number.isInteger(Number(value))))
      return withNulls(values);
    return values.map((value) => {
      if (value === null || value === undefined) return null;
      return Number.isInteger(Number(value)) ? new PythonFloat(Number(value)) : value;
    });
  }
  if (present.every(Array.isArray)) {
    const lists = values as readonly (readonly unknown[] | null)[];
    const items = unifiedValues(lists.flatMap((list) => list ?? []));
    let from = 0;
    return lists.map((list) => {
      if (list === null || list === undefined) return null;
      from += list.length;
      return items.slice(from - list.length, from);
    });
  }
  if (!present.every(isObject)) return withNulls(values);
  const fields = Object.keys(present[0] as object);
  const isUniform = present.every((value) => {
    const own = value as object;
    return Object.keys(own).length === fields.length && fields.every((field) => Object.hasOwn(own, field));
  });
  return isUniform ? unifiedFields(values) : withNulls(values);
}

/** Unifies the values of each field of objects; null stays null. */
function unifiedFields(values: readonly unknown[]): readonly unknown[] {
  const present = values.filter((value) => value !== null && value !== undefined);
  const keys = new Set(present.flatMap((value) => Object.keys(value as object)));
  const columns = [...keys].map((key) => {
    const column = present.map((value) => (value as TaskDocument)[key]);
    return [key, unifiedValues(column)] as const;
  });
  let at = 0;
  return values.map((value) => {
    if (value === null || value === undefined) return null;
    const row = at++;
    return Object.fromEntries(columns.map(([key, column]) => [key, column[row]]));
  });
}

const withNulls = (values: readonly unknown[]): readonly unknown[] => values.map((value) => value ?? null);

function isNumber(value: unknown): boolean {
  return typeof value === "number" || typeof value === "bigint" || value instanceof PythonFloat;
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof PythonFloat);
}
