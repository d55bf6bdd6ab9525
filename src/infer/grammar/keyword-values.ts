/** @file Reads the values of JSON Schema's keywords and refuses malformed ones. */
import { quoted } from "../../printable.js";
import * as alternative from "./alternative.js";
import { scaledDecimal } from "./decimal.js";
import { MAX_DIVISOR } from "./number-language.js";
import { isObject, refuse, type Schema, type SchemaObject } from "./schema-document.js";

const TYPES: Readonly<Record<string, number>> = {
  null: alternative.NULL,
  boolean: alternative.TRUE | alternative.FALSE,
  integer: alternative.INTEGER,
  number: alternative.NUMBER,
  string: alternative.STRING,
  object: alternative.OBJECT,
  array: alternative.ARRAY,
};

/** The bits of the types that `type` names. */
export function typeBits(value: unknown): number {
  const names = Array.isArray(value) ? value : [value];
  return names.reduce<number>((bits, name) => {
    if (typeof name !== "string" || !Object.hasOwn(TYPES, name))
      throw refuse(`has an unknown type ${shown(name)}; the types are ${Object.keys(TYPES).join(", ")}`);
    return bits | TYPES[name];
  }, 0);
}

export function schemaOf(value: unknown, keyword: string): Schema {
  if (typeof value === "boolean" || isObject(value)) return value;
  throw refuse(`has ${shown(value)} in ${keyword}; a schema is an object or a boolean`);
}

export function schemaList(value: unknown, keyword: string): readonly Schema[] {
  if (!Array.isArray(value)) throw refuse(`has ${shown(value)} as ${keyword}; give a list of schemas`);
  return value.map((item) => schemaOf(item, keyword));
}

export function schemaMap(value: unknown, keyword: string): readonly (readonly [string, Schema])[] {
  if (!isObject(value)) throw refuse(`has ${shown(value)} as ${keyword}; give an object of schemas`);
  return Object.entries(value).map(([name, item]) => [name, schemaOf(item, keyword)]);
}

export function stringList(value: unknown, keyword: string): readonly string[] {
  if (!Array.isArray(value) || value.some((item) => typeof item !== "string"))
    throw refuse(`has ${shown(value)} as ${keyword}; give a list of strings`);
  return value;
}

export function numberOf(value: unknown, keyword: string): number {
  if (typeof value !== "number" || !Number.isFinite(value))
    throw refuse(`has ${shown(value)} as ${keyword}; give a number`);
  return value;
}

/** Largest minimum of a length or a number of items or properties: no model writes a longer text, and each is written in full. */
const MAX_MINIMUM = 10_000;

export function countOf(value: unknown, keyword: string): number {
  const count = numberOf(value, keyword);
  if (count < 0 || !Number.isInteger(count)) throw refuse(`has ${shown(value)} as ${keyword}; give a whole number`);
  if (keyword.startsWith("min") && count > MAX_MINIMUM)
    throw refuse(`has ${shown(value)} as ${keyword}, and more than ${MAX_MINIMUM} is not supported; lower it`);
  return count;
}

/** The divisor of `multipleOf`, which must be short enough for an exact automaton. */
export function divisorOf(value: unknown): number {
  const divisor = numberOf(value, "multipleOf");
  if (divisor <= 0) throw refuse(`has multipleOf ${divisor}; it must be positive`);
  const scaled = scaledDecimal(divisor);
  if (scaled === undefined || scaled.numerator > MAX_DIVISOR || scaled.scale > 12)
    throw refuse(`has multipleOf ${divisor}, whose digits are more than ${MAX_DIVISOR}; this is not supported`);
  return divisor;
}

/** The bounds of a schema object; in Draft 4 exclusiveMinimum and exclusiveMaximum are booleans. */
export function boundsOf(schema: SchemaObject): {
  readonly lower: readonly alternative.Bound[];
  readonly upper: readonly alternative.Bound[];
} {
  const bounds = (inclusive: string, exclusive: string): alternative.Bound[] => {
    const found: alternative.Bound[] = [];
    const isExclusive = schema[exclusive] === true;
    if (schema[inclusive] !== undefined)
      found.push({ value: numberOf(schema[inclusive], inclusive), exclusive: isExclusive });
    if (schema[exclusive] !== undefined && typeof schema[exclusive] !== "boolean")
      found.push({ value: numberOf(schema[exclusive], exclusive), exclusive: true });
    return found;
  };
  return { lower: bounds("minimum", "exclusiveMinimum"), upper: bounds("maximum", "exclusiveMaximum") };
}

export function shown(value: unknown): string {
  return quoted(JSON.stringify(value) ?? String(value));
}
