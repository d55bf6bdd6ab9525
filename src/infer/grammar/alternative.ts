/** @file One way to meet a schema: what it asks of a value, type by type. A schema without anyOf, oneOf, not and if has one. */
import type { Expression } from "./expression.js";
import type { Schema, SchemaObject } from "./schema-document.js";

export const NULL = 1;
export const TRUE = 2;
export const FALSE = 4;
/** Numbers without a fraction, and all others. */
export const INTEGER = 8;
export const FRACTION = 16;
export const STRING = 32;
export const OBJECT = 64;
export const ARRAY = 128;
export const NUMBER = INTEGER | FRACTION;
export const ALL_TYPES = 255;

/** A schema that a value must meet, or must not. */
export interface Fact {
  readonly id: number;
  readonly schema: Schema;
  readonly negated: boolean;
}

/** The properties, patterns and other properties of one schema object, which belong together. */
export interface PropertyGroup {
  readonly properties: ReadonlyMap<string, Fact>;
  readonly patterns: readonly { readonly source: string; readonly names: Expression; readonly fact: Fact }[];
  /** Of all other properties. */
  readonly additional: Fact | undefined;
  /** Whether the properties that it names count as evaluated. */
  readonly evaluates: boolean;
}

export interface ItemGroup {
  readonly prefix: readonly Fact[];
  readonly rest: Fact | undefined;
}

/** At least one property outside `except` whose name is in `names` has a value that meets `fact`. */
export interface PropertyWitness {
  readonly names: Expression;
  readonly except: readonly string[];
  readonly fact: Fact;
}

/** Between `min` and `max` items from position `from` on meet `fact`. */
export interface Contains {
  readonly fact: Fact;
  readonly against: Fact;
  readonly from: number;
  readonly min: number;
  readonly max: number;
}

export interface Bound {
  readonly value: number;
  readonly exclusive: boolean;
}

export interface Alternative {
  /** The types that are allowed. */
  readonly types: number;
  /** The facts that are included. */
  readonly facts: ReadonlySet<Fact>;
  // Numbers.
  readonly lower?: Bound;
  readonly upper?: Bound;
  readonly multiples: readonly number[];
  readonly notMultiples: readonly number[];
  readonly among?: readonly number[];
  readonly excluded: readonly number[];
  // Strings: lengths in code points, and languages.
  readonly minLength: number;
  readonly maxLength: number;
  readonly strings: readonly Expression[];
  // Objects.
  readonly groups: readonly PropertyGroup[];
  readonly required: ReadonlySet<string>;
  readonly minProperties: number;
  readonly maxProperties: number;
  readonly names: readonly Fact[];
  readonly witnesses: readonly PropertyWitness[];
  /** The schema objects with `unevaluatedProperties`, and what each asks of properties that nothing inside it names. */
  readonly unevaluated: readonly { readonly groups: readonly PropertyGroup[]; readonly fact: Fact }[];
  // Arrays.
  readonly items: readonly ItemGroup[];
  readonly minItems: number;
  readonly maxItems: number;
  readonly contains: readonly Contains[];
  readonly unique: boolean;
}

export const ANYTHING: Alternative = {
  types: ALL_TYPES,
  facts: new Set(),
  multiples: [],
  notMultiples: [],
  excluded: [],
  minLength: 0,
  maxLength: Number.POSITIVE_INFINITY,
  strings: [],
  groups: [],
  required: new Set(),
  minProperties: 0,
  maxProperties: Number.POSITIVE_INFINITY,
  names: [],
  witnesses: [],
  unevaluated: [],
  items: [],
  minItems: 0,
  maxItems: Number.POSITIVE_INFINITY,
  contains: [],
  unique: false,
};

export function withLower(alternative: Alternative, bound: Bound): Alternative {
  const { lower } = alternative;
  const isWeaker =
    lower !== undefined &&
    (lower.value > bound.value || (lower.value === bound.value && (lower.exclusive || !bound.exclusive)));
  return isWeaker ? alternative : { ...alternative, lower: bound };
}

export function withUpper(alternative: Alternative, bound: Bound): Alternative {
  const { upper } = alternative;
  const isWeaker =
    upper !== undefined &&
    (upper.value < bound.value || (upper.value === bound.value && (upper.exclusive || !bound.exclusive)));
  return isWeaker ? alternative : { ...alternative, upper: bound };
}

/** Interns facts, so that equal sets of them have equal ids. */
export class Facts {
  readonly #positive = new Map<Schema, Fact>();
  readonly #negative = new Map<Schema, Fact>();
  readonly #constants = new Map<string, SchemaObject>();
  #count = 0;

  of(schema: Schema, negated = false): Fact {
    if (typeof schema === "boolean" && negated) return this.of(!schema);
    const table = negated ? this.#negative : this.#positive;
    const known = table.get(schema);
    if (known !== undefined) return known;
    const fact = { id: this.#count++, schema, negated };
    table.set(schema, fact);
    return fact;
  }

  opposite(fact: Fact): Fact {
    return this.of(fact.schema, !fact.negated);
  }

  /** The schema of one value. */
  constant(value: unknown): SchemaObject {
    const key = JSON.stringify(value);
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const schema = { const: value };
    this.#constants.set(key, schema);
    return schema;
  }

  /** The schema of one object or array in other keywords than `const`. */
  structure(value: readonly unknown[] | SchemaObject): SchemaObject {
    const key = `=${JSON.stringify(value)}`;
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const schema: SchemaObject = Array.isArray(value)
      ? {
          type: "array",
          prefixItems: value.map((item) => this.constant(item)),
          minItems: value.length,
          maxItems: value.length,
        }
      : {
          type: "object",
          properties: Object.fromEntries(Object.entries(value).map(([name, item]) => [name, this.constant(item)])),
          required: Object.keys(value),
          additionalProperties: false,
        };
    this.#constants.set(key, schema);
    return schema;
  }
}
