/**
 * @file Reads the fields of documents and the answers of requests for the task functions, and maps documents as the `datasets`
 * library does.
 */
import { QuernError } from "../../../errors.js";
import { PythonFloat } from "../../../tokenizer/index.js";
import { stripped, textOf, typeOf } from "../python-values.js";
import type { TaskDocument, TaskFunction, TaskResult } from "../task-function.js";

/** A `process_docs`. */
export type DocumentsFunction = Extract<TaskFunction, { readonly takes: "documents" }>;

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
export function mapped(make: (document: TaskDocument) => TaskDocument): DocumentsFunction {
  return {
    takes: "documents",
    run: (documents) => documents.map((document, i) => ({ ...document, ...inDocument(i, () => make(document)) })),
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

/** @throws QuernError if the field is no list */
export function listIn(document: TaskDocument, key: string): readonly unknown[] {
  const value = document[key];
  if (Array.isArray(value)) return value as readonly unknown[];
  throw new QuernError(`the document has no list ${key}`);
}

/** @throws QuernError if the field is no object; a dict that was read from a Python literal is a `Map` */
export function objectIn(document: TaskDocument, key: string): TaskDocument {
  const value = document[key];
  if (value instanceof Map) return Object.fromEntries(value as ReadonlyMap<string, unknown>);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as TaskDocument;
  throw new QuernError(`the document has no object ${key}`);
}

/** @throws QuernError if the field is neither a number nor text that spells one */
export function numberIn(document: TaskDocument, key: string): number {
  const value = document[key];
  const isGiven = value !== null && value !== undefined && !(typeof value === "string" && stripped(value) === "");
  const number = isGiven && !Array.isArray(value) ? Number(value) : Number.NaN;
  if (Number.isFinite(number)) return number;
  throw new QuernError(`the document has no number ${key}`);
}

/** Returns what a field means, by a table. */
export function choiceIn<T>(choices: Readonly<Record<string, T>>, document: TaskDocument, key: string): T {
  const value = textOf(document[key]);
  if (Object.hasOwn(choices, value)) return choices[value]!;
  throw new QuernError(`${key} of the document must be ${Object.keys(choices).join(" or ")}, not ${value}`);
}

/** Python's `items[index]`. @throws QuernError beyond the ends */
export function requiredAt<T>(items: readonly T[], index: number, what: string): T {
  const at = index < 0 ? index + items.length : index;
  if (Number.isInteger(at) && at >= 0 && at < items.length) return items[at]!;
  throw new QuernError(`${what} has no item ${index}; it has ${items.length}`);
}

/** The text that the model generated. @throws QuernError if there is none */
export function answerOf(results: readonly TaskResult[]): string {
  const [answer] = results;
  if (typeof answer === "string") return answer;
  throw new QuernError(`the answer is ${typeOf(answer)}, not text; end the filters with take_first`);
}

/** The log-likelihoods of the requests of a document, in order. @throws QuernError for other results */
export function likelihoodsOf(results: readonly TaskResult[]): number[] {
  return results.map((result) => {
    if (typeof result === "object" && result !== null && "logLikelihood" in result) return result.logLikelihood;
    throw new QuernError("the result is no log-likelihood");
  });
}

/** Returns a `process_docs` that makes any number of documents of each. */
export function flatMapping(map: (document: TaskDocument) => readonly TaskDocument[]): DocumentsFunction {
  return {
    takes: "documents",
    run: (documents) => documents.flatMap((document, i) => inDocument(i, () => map(document))),
  };
}

/** Returns a `process_docs` that keeps some documents. */
export function keeping(keep: (document: TaskDocument) => boolean): DocumentsFunction {
  return {
    takes: "documents",
    run: (documents) => documents.filter((document, i) => inDocument(i, () => keep(document))),
  };
}

function inDocument<T>(index: number, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof QuernError)) throw error;
    throw new QuernError(`process_docs, document ${index}: ${error.message}`, { cause: error });
  }
}

/** The choice with its first letter in lower case. @throws QuernError if it is empty */
export function lowered(choice: string): string {
  const [first] = choice;
  if (first === undefined) throw new QuernError("a choice of the document is empty");
  return first.toLowerCase() + choice.slice(first.length);
}

/** The text without its last character, as Python's `text[:-1]`. */
export const withoutLast = (text: string): string => Array.from(text).slice(0, -1).join("");
