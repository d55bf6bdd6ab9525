/**
 * @file Reads files of rows (JSON, JSON lines, CSV, Parquet) with the types that Python has in Hugging Face's datasets: rows get
 * the same columns, a missing value is null, and a column with one float has only floats.
 */
import { compressionByName, readBytes, readParquetRows, type SchemaNode } from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";
import { PythonFloat } from "../../tokenizer/index.js";
import type { CsvOptions } from "../csv.js";
import { typedAsPython } from "./parquet-values.js";
import type { TaskDocument } from "./task-function.js";
import { typedRowsOfCsv } from "./typed-csv.js";

export interface RowFileOptions extends CsvOptions {
  /** `json`, `csv` or `parquet`, for files with another extension. */
  readonly format?: string;
  readonly signal?: AbortSignal;
}

/** Extensions of files that `readRowsOfFiles` reads; each may be followed by .gz or .zst. */
export const ROW_EXTENSIONS = [".jsonl", ".json", ".csv", ".parquet", ".ndjson", ".tsv"] as const;

type Format = "json" | "csv" | "parquet";

/**
 * Reads the rows of files of one format, one after the other.
 * @throws QuernError with the line of a row that is no object, or for a file of an unknown kind
 */
export async function readRowsOfFiles(
  paths: readonly string[],
  options: RowFileOptions = {},
): Promise<readonly TaskDocument[]> {
  const rows: TaskDocument[] = [];
  let hasJson = false;
  for (const path of paths) {
    const { format, separator } = kindOf(path, options.format);
    hasJson ||= format === "json";
    const { signal } = options;
    const read = format === "parquet" ? await rowsOfParquet(path, signal) : await textOfFile(path, signal);
    if (typeof read !== "string") for (const row of read) rows.push(row);
    else if (format === "csv") for (const row of typedRowsOfCsv(read, path, { separator, ...options })) rows.push(row);
    else
      for (const row of read.trimStart().startsWith("[") ? rowsOfArray(read, path) : rowsOfLines(read, path))
        rows.push(row);
  }
  // Only together: a float in one file makes the column one of floats.
  return hasJson ? unified(rows) : rows;
}

/** Reads the rows of one file; see `readRowsOfFiles`. */
export const readRowsOf = (path: string, options?: RowFileOptions): Promise<readonly TaskDocument[]> =>
  readRowsOfFiles([path], options);

function kindOf(path: string, given: string | undefined): { readonly format: Format; readonly separator?: string } {
  const { extension } = compressionByName(path);
  switch (extension) {
    case ".parquet":
      return { format: "parquet" };
    case ".csv":
      return { format: "csv" };
    case ".tsv":
      return { format: "csv", separator: "\t" };
    case ".json":
    case ".jsonl":
    case ".ndjson":
      return { format: "json" };
    default:
      if (given === "parquet" || given === "csv" || given === "json") return { format: given };
      throw new QuernError(`${path} is no file of rows; its name must end with one of ${ROW_EXTENSIONS.join(", ")}`);
  }
}

async function textOfFile(path: string, signal: AbortSignal | undefined): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of readBytes(path, compressionByName(path).compression, signal)) chunks.push(chunk);
  return Buffer.concat(chunks)
    .toString("utf8")
    .replace(/^\ufeff/, "");
}

async function rowsOfParquet(path: string, signal: AbortSignal | undefined): Promise<readonly TaskDocument[]> {
  let schema: readonly SchemaNode[] = [];
  const { compression } = compressionByName(path);
  const rows: TaskDocument[] = [];
  const onSchema = (found: readonly SchemaNode[]) => {
    schema = found;
  };
  for await (const row of readParquetRows(path, { required: null, compression, signal, onSchema })) rows.push(row);
  return typedAsPython(rows, schema);
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
