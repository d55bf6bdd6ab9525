/** @file Gives values of Parquet, which are read as in JSON, the types that Python has: 2.0 stays a float, large integers exact. */
import type { SchemaNode } from "../../documents/index.js";
import { PythonFloat } from "../../tokenizer/index.js";
import type { TaskDocument } from "./task-function.js";

type Typed = (value: unknown) => unknown;

/** Returns the rows with whole floats as `PythonFloat`, and integers beyond 2^53 as bigint. */
export function typedAsPython(rows: readonly TaskDocument[], schema: readonly SchemaNode[]): readonly TaskDocument[] {
  const columns = schema.flatMap((node) => {
    const typed = typedOf(node);
    return typed === undefined ? [] : [[node.name, typed] as const];
  });
  if (columns.length === 0) return rows;
  return rows.map((row) => {
    const made: Record<string, unknown> = { ...row };
    for (const [name, typed] of columns) made[name] = typed(row[name]);
    return made;
  });
}

/** Returns how the values of a column are converted; undefined if they stay. */
function typedOf(node: SchemaNode): Typed | undefined {
  const inner = bodyOf(node);
  if (inner === undefined) return undefined;
  return node.repetition === "repeated" ? listOf(inner) : inner;
}

function bodyOf({ type, meaning, children }: SchemaNode): Typed | undefined {
  const [first] = children;
  if (first === undefined) {
    if (type === "FLOAT" || type === "DOUBLE" || meaning?.kind === "float16") return wholeFloat;
    // A string of digits is an integer that a number cannot hold.
    return type === "INT64" && (meaning === undefined || meaning.kind === "unsigned") ? largeInteger : undefined;
  }
  const wraps = children.length === 1 && first.repetition === "repeated";
  if (wraps && meaning?.kind === "list") {
    const element = first.children.length === 1 ? typedOf(first.children[0]!) : bodyOf(first);
    return element === undefined ? undefined : listOf(element);
  }
  if (wraps && meaning?.kind === "map" && first.children.length === 2) {
    const typed = typedOf(first.children[1]!);
    return typed === undefined ? undefined : objectOf(() => typed);
  }
  const fields = new Map(children.map((child) => [child.name, typedOf(child)]));
  return [...fields.values()].some(Boolean) ? objectOf((name) => fields.get(name)) : undefined;
}

const wholeFloat: Typed = (value) =>
  typeof value === "number" && Number.isInteger(value) ? new PythonFloat(value) : value;

const largeInteger: Typed = (value) => (typeof value === "string" ? BigInt(value) : value);

const listOf =
  (element: Typed): Typed =>
  (value) =>
    Array.isArray(value) ? value.map(element) : value;

const objectOf =
  (of: (name: string) => Typed | undefined): Typed =>
  (value) => {
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, of(name)?.(field) ?? field]));
  };
