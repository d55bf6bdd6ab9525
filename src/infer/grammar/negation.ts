/** @file The opposite of a schema object: at least one of its keywords fails. */
import * as kinds from "./alternative.js";
import { type Alternative, type Fact, type Facts, withLower, withUpper } from "./alternative.js";
import type { Expression } from "./expression.js";
import { NUMBER_FORMATS } from "./formats.js";
import {
  boundsOf,
  countOf,
  divisorOf,
  schemaList,
  schemaMap,
  schemaOf,
  shown,
  stringList,
  typeBits,
} from "./keyword-values.js";
import type { LexerStates } from "./lexer-states.js";
import { searchedPattern } from "./pattern-language.js";
import { isObject, refuse, type Schema, type SchemaDocument, type SchemaObject } from "./schema-document.js";

/** What a negation needs of an `Expansion` (expansion.ts, which calls this file). */
interface Expansion {
  readonly document: SchemaDocument;
  readonly lexer: LexerStates;
  readonly facts: Facts;
  alternatives(facts: readonly Fact[]): readonly Alternative[];
  each(all: readonly Alternative[], extend: (one: Alternative) => readonly Alternative[]): readonly Alternative[];
  addSchema(one: Alternative, schema: Schema, negated?: boolean): readonly Alternative[];
  addAll(one: Alternative, facts: readonly Fact[]): readonly Alternative[];
  formatLanguage(name: string): Expression | undefined;
  withoutProperty(one: Alternative, name: string): Alternative;
  stringExpression(one: Alternative): Expression;
  word(text: string): { readonly word: Uint8Array; readonly tail: Expression };
}

/** How one keyword fails: the alternatives of a value that it does not allow. */
type Failure = (expansion: Expansion, one: Alternative, schema: SchemaObject) => readonly Alternative[];

/** The ways in which a value does not meet a schema object. */
export function negatedKeywords(expansion: Expansion, one: Alternative, schema: SchemaObject): readonly Alternative[] {
  const found: Alternative[] = [];
  for (const keyword of Object.keys(schema)) {
    if (schema[keyword] === undefined || !Object.hasOwn(FAILURES, keyword)) continue;
    found.push(...FAILURES[keyword](expansion, one, schema));
  }
  return found.filter((way) => way.types !== 0);
}

const only = (one: Alternative, types: number, changes: Partial<Alternative> = {}): Alternative => ({
  ...one,
  ...changes,
  types: one.types & types,
});

function opposites(expansion: Expansion, one: Alternative, schemas: readonly Schema[]): readonly Alternative[] {
  return expansion.addAll(
    one,
    schemas.map((schema) => expansion.facts.of(schema, true)),
  );
}

/** A string outside a language. */
function outside(expansion: Expansion, one: Alternative, language: Expression): Alternative {
  const { pool, text } = expansion.lexer;
  return only(one, kinds.STRING, { strings: [...one.strings, pool.and([text, pool.not(language)])] });
}

function unsupported(keyword: string): never {
  throw refuse(
    `negates ${keyword} (by not, oneOf, if or a dependency), which is not supported; write the alternatives out`,
  );
}

/** The property exists and its value does not meet a schema. */
function failingProperty(expansion: Expansion, one: Alternative, name: string, schema: Schema): Alternative {
  const properties = new Map([[name, expansion.facts.of(schema, true)]]);
  return only(one, kinds.OBJECT, {
    groups: [...one.groups, { properties, patterns: [], additional: undefined, evaluates: false }],
    required: new Set(one.required).add(name),
  });
}

const bounds: Failure = (_, one, schema) => {
  const { lower, upper } = boundsOf(schema);
  return [
    ...lower.map(({ value, exclusive }) => withUpper(only(one, kinds.NUMBER), { value, exclusive: !exclusive })),
    ...upper.map(({ value, exclusive }) => withLower(only(one, kinds.NUMBER), { value, exclusive: !exclusive })),
  ];
};

const items: Failure = ({ facts }, one, schema) => {
  const prefix = Array.isArray(schema.items) ? schema.items : (schema.prefixItems ?? []);
  const rest = Array.isArray(schema.items) ? schema.additionalItems : schema.items;
  const failing = schemaList(prefix, "prefixItems").map((item, i) => {
    const before = Array.from({ length: i }, () => facts.of(true));
    return only(one, kinds.ARRAY, {
      items: [...one.items, { prefix: [...before, facts.of(item, true)], rest: undefined }],
      minItems: Math.max(one.minItems, i + 1),
    });
  });
  if (rest !== undefined) {
    const fact = facts.of(schemaOf(rest, "items"), true);
    const contains = {
      fact,
      against: facts.opposite(fact),
      from: failing.length,
      min: 1,
      max: Number.POSITIVE_INFINITY,
    };
    failing.push(only(one, kinds.ARRAY, { contains: [...one.contains, contains] }));
  }
  return failing;
};

const reference: Failure = (expansion, one, schema) =>
  expansion.addSchema(one, expansion.document.resolve(schema.$ref ?? schema.$recursiveRef, schema), true);

const dependent =
  (keyword: string): Failure =>
  (expansion, one, schema) => {
    const value = schema[keyword];
    if (!isObject(value)) throw refuse(`has ${shown(value)} as ${keyword}; give an object`);
    return Object.entries(value).flatMap(([name, needed]) => {
      const present = only(one, kinds.OBJECT, { required: new Set(one.required).add(name) });
      if (!Array.isArray(needed)) return expansion.addSchema(present, schemaOf(needed, keyword), true);
      return stringList(needed, keyword).map((missing) => expansion.withoutProperty(present, missing));
    });
  };

/** By keyword. Keywords that are not here never fail. */
const FAILURES: Readonly<Record<string, Failure>> = {
  type: (_, one, { type }) => [only(one, ~typeBits(type))],
  const: (expansion, one, schema) => notAmong(expansion, one, [schema.const]),
  enum: (expansion, one, schema) => {
    if (!Array.isArray(schema.enum)) throw refuse(`has ${shown(schema.enum)} as enum; give a list of values`);
    return notAmong(expansion, one, schema.enum);
  },
  minimum: bounds,
  maximum: bounds,
  exclusiveMinimum: (expansion, one, schema) => (schema.minimum === undefined ? bounds(expansion, one, schema) : []),
  exclusiveMaximum: (expansion, one, schema) => (schema.maximum === undefined ? bounds(expansion, one, schema) : []),
  multipleOf: (_, one, { multipleOf }) => [
    only(one, kinds.NUMBER, {
      notMultiples: [...one.notMultiples, divisorOf(multipleOf)],
    }),
  ],
  minLength: (_, one, { minLength }) => [
    only(one, kinds.STRING, { maxLength: Math.min(one.maxLength, countOf(minLength, "minLength") - 1) }),
  ],
  maxLength: (_, one, { maxLength }) => [
    only(one, kinds.STRING, { minLength: Math.max(one.minLength, countOf(maxLength, "maxLength") + 1) }),
  ],
  pattern: (expansion, one, { pattern }) => {
    if (typeof pattern !== "string") throw refuse(`has ${shown(pattern)} as pattern; give a string`);
    return [outside(expansion, one, searchedPattern(expansion.lexer.pool, pattern, expansion.lexer.text))];
  },
  format: (expansion, one, { format }) => {
    if (typeof format !== "string" || Object.hasOwn(NUMBER_FORMATS, format))
      return unsupported(`format ${shown(format)}`);
    const language = expansion.formatLanguage(format);
    return language === undefined ? [] : [outside(expansion, one, language)];
  },
  required: (expansion, one, { required }) =>
    stringList(required, "required").map((name) => only(expansion.withoutProperty(one, name), kinds.OBJECT)),
  properties: (expansion, one, { properties }) =>
    schemaMap(properties, "properties").map(([name, schema]) => failingProperty(expansion, one, name, schema)),
  patternProperties: (expansion, one, { patternProperties }) => {
    const { pool, text } = expansion.lexer;
    return schemaMap(patternProperties, "patternProperties").map(([source, schema]) => {
      const names = searchedPattern(pool, source, text);
      const witness = { names, except: [], fact: expansion.facts.of(schema, true) };
      return only(one, kinds.OBJECT, { witnesses: [...one.witnesses, witness] });
    });
  },
  additionalProperties: (expansion, one, schema) => {
    const { pool, text } = expansion.lexer;
    const patterns = isObject(schema.patternProperties) ? Object.keys(schema.patternProperties) : [];
    const excluded = patterns.map((source) => pool.not(searchedPattern(pool, source, text)));
    const witness = {
      names: pool.and([text, ...excluded]),
      except: isObject(schema.properties) ? Object.keys(schema.properties) : [],
      fact: expansion.facts.of(schemaOf(schema.additionalProperties, "additionalProperties"), true),
    };
    return [only(one, kinds.OBJECT, { witnesses: [...one.witnesses, witness] })];
  },
  propertyNames: (expansion, one, { propertyNames }) => {
    const { pool } = expansion.lexer;
    const ways = expansion.alternatives([
      expansion.facts.of({ type: "string" }),
      expansion.facts.of(schemaOf(propertyNames, "propertyNames"), true),
    ]);
    const names = pool.or(ways.map((way) => expansion.stringExpression(way)));
    const witness = { names, except: [], fact: expansion.facts.of(true) };
    return [only(one, kinds.OBJECT, { witnesses: [...one.witnesses, witness] })];
  },
  minProperties: (_, one, { minProperties }) => {
    const count = countOf(minProperties, "minProperties");
    return count === 0 ? [] : [only(one, kinds.OBJECT, { maxProperties: Math.min(one.maxProperties, count - 1) })];
  },
  maxProperties: (_, one, { maxProperties }) => [
    only(one, kinds.OBJECT, {
      minProperties: Math.max(one.minProperties, countOf(maxProperties, "maxProperties") + 1),
    }),
  ],
  items,
  prefixItems: (expansion, one, schema) => (schema.items === undefined ? items(expansion, one, schema) : []),
  minItems: (_, one, { minItems }) => {
    const count = countOf(minItems, "minItems");
    return count === 0 ? [] : [only(one, kinds.ARRAY, { maxItems: Math.min(one.maxItems, count - 1) })];
  },
  maxItems: (_, one, { maxItems }) => [
    only(one, kinds.ARRAY, { minItems: Math.max(one.minItems, countOf(maxItems, "maxItems") + 1) }),
  ],
  contains: ({ facts }, one, schema) => {
    if (schema.minContains !== undefined || schema.maxContains !== undefined) unsupported("minContains or maxContains");
    const rest = facts.of(schemaOf(schema.contains, "contains"), true);
    return [only(one, kinds.ARRAY, { items: [...one.items, { prefix: [], rest }] })];
  },
  uniqueItems: (_, _one, { uniqueItems }) => (uniqueItems === true ? unsupported("uniqueItems") : []),
  allOf: (expansion, one, { allOf }) =>
    schemaList(allOf, "allOf").flatMap((schema) => expansion.addSchema(one, schema, true)),
  anyOf: (expansion, one, { anyOf }) => opposites(expansion, one, schemaList(anyOf, "anyOf")),
  oneOf: (expansion, one, { oneOf }) => {
    const branches = schemaList(oneOf, "oneOf");
    if (branches.length > 8) unsupported("a oneOf of more than 8");
    const found = [...opposites(expansion, one, branches)];
    for (let i = 0; i < branches.length; i++) {
      for (let j = i + 1; j < branches.length; j++)
        found.push(...expansion.addAll(one, [expansion.facts.of(branches[i]), expansion.facts.of(branches[j])]));
    }
    return found;
  },
  not: (expansion, one, { not }) => expansion.addSchema(one, schemaOf(not, "not")),
  if: (expansion, one, schema) => {
    const { facts } = expansion;
    const condition = facts.of(schemaOf(schema.if, "if"));
    const branch = (keyword: string) =>
      schema[keyword] === undefined ? facts.of(false) : facts.of(schemaOf(schema[keyword], keyword), true);
    return [
      ...expansion.addAll(one, [condition, branch("then")]),
      ...expansion.addAll(one, [facts.opposite(condition), branch("else")]),
    ];
  },
  $ref: reference,
  $recursiveRef: reference,
  $dynamicRef: (expansion, one, schema) =>
    expansion.addSchema(one, expansion.document.resolveDynamic(schema.$dynamicRef, schema), true),
  dependencies: dependent("dependencies"),
  dependentRequired: dependent("dependentRequired"),
  dependentSchemas: dependent("dependentSchemas"),
  unevaluatedProperties: () => unsupported("unevaluatedProperties"),
  unevaluatedItems: () => unsupported("unevaluatedItems"),
};

function notAmong(expansion: Expansion, one: Alternative, values: readonly unknown[]): readonly Alternative[] {
  const { pool, text } = expansion.lexer;
  const strings = values.filter((value) => typeof value === "string");
  const numbers = values.filter((value) => typeof value === "number");
  let types = one.types;
  if (values.includes(null)) types &= ~kinds.NULL;
  if (values.includes(true)) types &= ~kinds.TRUE;
  if (values.includes(false)) types &= ~kinds.FALSE;
  const others = pool.not(pool.literals(strings.map((value) => expansion.word(value))));
  const different: Alternative = {
    ...one,
    types,
    excluded: numbers.length === 0 ? one.excluded : [...one.excluded, ...numbers],
    strings: strings.length === 0 ? one.strings : [...one.strings, pool.and([text, others])],
  };
  const structures = values.filter((value) => Array.isArray(value) || isObject(value));
  return structures.reduce<readonly Alternative[]>(
    (all, value) => expansion.each(all, (way) => expansion.addSchema(way, expansion.facts.structure(value), true)),
    [different],
  );
}
