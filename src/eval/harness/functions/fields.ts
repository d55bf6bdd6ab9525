/** @file Reads the fields of a document for the task functions, and maps documents as the `datasets` library does. */
import { QuernError } from "../../../errors.js";
import { PythonFloat } from "../../../tokenizer/index.js";
import type { TaskDocument, TaskFunction } from "../task-function.js";

/** Rows of a function table. */
export type NamedFunctions = readonly (readonly [string, TaskFunction])[];

/** @throws QuernError if the field is missing or no text */
export function textIn(document: TaskDocument, key: string): string {
  const value = document[key];
  if (typeof value === "string") return value;
  throw new QuernError(`the document has no text ${key}`);
}

/** @throws QuernError if the field is missing or not a list of texts */
export function textsIn(document: TaskDocument, key: string): readonly string[] {
  const value = document[key];
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value as readonly string[];
  throw new QuernError(`the document has no list of texts ${key}`);
}

/** @throws QuernError if the field is missing; null is a value */
export function valueIn(document: TaskDocument, key: string): unknown {
  const value = document[key];
  if (value !== undefined) return value;
  throw new QuernError(`the document has no field ${key}`);
}

/** Python's `bool(value)`. */
export function isTruthy(value: unknown): boolean {
  if (typeof value === "number" || typeof value === "bigint") return value !== 0 && value !== 0n;
  if (value instanceof PythonFloat) return value.value !== 0;
  if (Array.isArray(value)) return value.length > 0;
  if (value instanceof Map) return value.size > 0;
  if (typeof value === "object" && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}

/** `dataset.map`: each document keeps its fields, and those of `make` replace or follow them. */
export function mapped(make: (document: TaskDocument) => TaskDocument): TaskFunction {
  return {
    takes: "documents",
    run: (documents) => documents.map((document) => ({ ...document, ...make(document) })),
  };
}

/** `dataset.filter` by the value of one field. */
export function selected(key: string, wanted: string): TaskFunction {
  return {
    takes: "documents",
    run: (documents) => documents.filter((document) => valueIn(document, key) === wanted),
  };
}

/** A function of one document, for text, target or choices. */
export function ofDocument(run: (document: TaskDocument) => unknown): TaskFunction {
  return { takes: "document", run };
}
