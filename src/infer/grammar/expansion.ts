/**
 * @file Expands facts about a value into alternatives: allOf and $ref add facts, anyOf, oneOf, if and not make alternatives.
 */
import * as kinds from "./alternative.js";
import {
  type Alternative,
  ANYTHING,
  type Fact,
  Facts,
  type PropertyGroup,
  withLower,
  withUpper,
} from "./alternative.js";
import type { Expression } from "./expression.js";
import { NUMBER_FORMATS, REFUSED_FORMATS, STRING_FORMATS } from "./formats.js";
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
import { negatedKeywords } from "./negation.js";
import { NumberLanguage } from "./number-language.js";
import { searchedPattern, wholePattern } from "./pattern-language.js";
import { isObject, refuse, type Schema, type SchemaDocument, type SchemaObject } from "./schema-document.js";

/** Most alternatives of one value. */
const MAX_ALTERNATIVES = 512;
/** How deep the search for a contradiction between two branches of oneOf looks. */
const CONTRADICTION_DEPTH = 4;
const MAX_DEPTH = 100;

export class Expansion {
  readonly document: SchemaDocument;
  readonly lexer: LexerStates;
  readonly facts = new Facts();
  readonly numbers: NumberLanguage;
  readonly #encoder = new TextEncoder();
  readonly #disjoint = new Map<string, boolean>();
  #depth = 0;
  /** While a contradiction is looked for: how much deeper the search may go. */
  #looking: number | undefined;

  constructor(document: SchemaDocument, lexer: LexerStates) {
    this.document = document;
    this.lexer = lexer;
    this.numbers = new NumberLanguage(lexer.pool);
  }

  /** The ways to meet all facts; none if they contradict each other at once. */
  alternatives(facts: readonly Fact[]): readonly Alternative[] {
    return facts.reduce<readonly Alternative[]>(
      (all, fact) => this.each(all, (one) => this.add(one, fact)),
      [ANYTHING],
    );
  }

  /** Extends each alternative, and leaves out those without a type. */
  each(all: readonly Alternative[], extend: (one: Alternative) => readonly Alternative[]): readonly Alternative[] {
    const extended: Alternative[] = [];
    for (const one of all) {
      for (const way of extend(one)) if (way.types !== 0) extended.push(way);
      if (extended.length > MAX_ALTERNATIVES)
        throw refuse(`has over ${MAX_ALTERNATIVES} combinations of anyOf, oneOf, if or not for one value; split it`);
    }
    return extended;
  }

  add(alternative: Alternative, fact: Fact): readonly Alternative[] {
    if (alternative.facts.has(fact)) return [alternative];
    const { schema, negated } = fact;
    this.lexer.pool.meter.spend("cases", 16 + alternative.facts.size);
    const known = { ...alternative, facts: new Set(alternative.facts).add(fact) };
    if (typeof schema === "boolean") return schema ? [known] : [];
    if (this.#depth > MAX_DEPTH) throw refuse("nests or refers to itself too deeply");
    this.#depth++;
    try {
      return negated ? negatedKeywords(this, known, schema) : this.#keywords(known, schema);
    } finally {
      this.#depth--;
    }
  }

  /** Adds a schema, or its opposite. */
  addSchema(alternative: Alternative, schema: Schema, negated = false): readonly Alternative[] {
    return this.add(alternative, this.facts.of(schema, negated));
  }

  /** Adds all facts of a list. */
  addAll(alternative: Alternative, facts: readonly Fact[]): readonly Alternative[] {
    return facts.reduce<readonly Alternative[]>(
      (all, fact) => this.each(all, (one) => this.add(one, fact)),
      [alternative],
    );
  }

  #keywords(known: Alternative, schema: SchemaObject): readonly Alternative[] {
    const { facts, document } = this;
    let all: readonly Alternative[] = this.each([known], (one) => [this.#limits(one, schema)]);
    const then = (extend: (one: Alternative) => readonly Alternative[]) => {
      all = this.each(all, extend);
    };
    const before = known.groups.length;
    const has = (keyword: string) => schema[keyword] !== undefined && Object.hasOwn(schema, keyword);
    if (has("const")) then((one) => this.among(one, [schema.const]));
    if (has("enum")) {
      if (!Array.isArray(schema.enum)) throw refuse(`has ${shown(schema.enum)} as enum; give a list of values`);
      const values: readonly unknown[] = schema.enum;
      then((one) => this.among(one, values));
    }
    if (has("$ref")) then((one) => this.addSchema(one, document.resolve(schema.$ref, schema)));
    if (has("$recursiveRef")) then((one) => this.addSchema(one, document.resolve(schema.$recursiveRef, schema)));
    if (has("$dynamicRef")) then((one) => this.addSchema(one, document.resolveDynamic(schema.$dynamicRef, schema)));
    if (has("allOf")) for (const part of schemaList(schema.allOf, "allOf")) then((one) => this.addSchema(one, part));
    if (has("anyOf")) {
      const branches = schemaList(schema.anyOf, "anyOf").map((branch) => facts.of(branch));
      const isCounted = has("unevaluatedProperties");
      then((one) => (isCounted ? this.#subsets(one, branches) : branches.flatMap((branch) => this.add(one, branch))));
    }
    if (has("oneOf")) {
      const branches = schemaList(schema.oneOf, "oneOf").map((branch) => facts.of(branch));
      then((one) => this.#exactlyOne(one, branches));
    }
    if (has("not")) then((one) => this.addSchema(one, schemaOf(schema.not, "not"), true));
    if (has("if") && (has("then") || has("else"))) {
      const condition = facts.of(schemaOf(schema.if, "if"));
      const consequence = facts.of(has("then") ? schemaOf(schema.then, "then") : true);
      const otherwise = facts.of(has("else") ? schemaOf(schema.else, "else") : true);
      then((one) => [
        ...this.addAll(one, [condition, consequence]),
        ...this.addAll(one, [facts.opposite(condition), otherwise]),
      ]);
    }
    for (const keyword of ["dependencies", "dependentRequired", "dependentSchemas"]) {
      if (!has(keyword)) continue;
      if (!isObject(schema[keyword])) throw refuse(`has ${shown(schema[keyword])} as ${keyword}; give an object`);
      for (const [name, value] of Object.entries(schema[keyword]))
        then((one) => this.#dependent(one, name, value, keyword));
    }
    if (has("unevaluatedProperties")) {
      const fact = facts.of(schemaOf(schema.unevaluatedProperties, "unevaluatedProperties"));
      then((one) => [{ ...one, unevaluated: [...one.unevaluated, { groups: one.groups.slice(before), fact }] }]);
    }
    if (has("unevaluatedItems")) {
      const inPlace = ["$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "if", "contains", "dependentSchemas"];
      const beside = inPlace.find(has);
      if (beside !== undefined)
        throw refuse(`has unevaluatedItems beside ${beside}, which is not supported; use items`);
    }
    return all;
  }

  /** Type, and the keywords of numbers, strings, objects and arrays, which make no alternatives. */
  #limits(known: Alternative, schema: SchemaObject): Alternative {
    const { facts } = this;
    const { pool, text } = this.lexer;
    let one = known;
    const change = (changes: Partial<Alternative>) => {
      one = { ...one, ...changes };
    };
    const value = (keyword: string): unknown => (Object.hasOwn(schema, keyword) ? schema[keyword] : undefined);
    if (value("type") !== undefined) change({ types: one.types & typeBits(schema.type) });
    const { lower, upper } = boundsOf(schema);
    for (const bound of lower) one = withLower(one, bound);
    for (const bound of upper) one = withUpper(one, bound);
    if (value("multipleOf") !== undefined) {
      const divisor = divisorOf(schema.multipleOf);
      change({ multiples: [...one.multiples, divisor] });
    }
    if (value("minLength") !== undefined)
      change({ minLength: Math.max(one.minLength, countOf(schema.minLength, "minLength")) });
    if (value("maxLength") !== undefined)
      change({ maxLength: Math.min(one.maxLength, countOf(schema.maxLength, "maxLength")) });
    if (value("pattern") !== undefined) {
      if (typeof schema.pattern !== "string") throw refuse(`has ${shown(schema.pattern)} as pattern; give a string`);
      change({ strings: [...one.strings, searchedPattern(pool, schema.pattern, text)] });
    }
    if (value("format") !== undefined) one = this.#format(one, schema.format);
    const group = this.#group(schema);
    if (group !== undefined) change({ groups: [...one.groups, group] });
    if (value("required") !== undefined)
      change({ required: new Set([...one.required, ...stringList(schema.required, "required")]) });
    if (value("minProperties") !== undefined)
      change({ minProperties: Math.max(one.minProperties, countOf(schema.minProperties, "minProperties")) });
    if (value("maxProperties") !== undefined)
      change({ maxProperties: Math.min(one.maxProperties, countOf(schema.maxProperties, "maxProperties")) });
    if (value("propertyNames") !== undefined)
      change({ names: [...one.names, facts.of(schemaOf(schema.propertyNames, "propertyNames"))] });
    const items = this.#items(schema);
    if (items !== undefined) change({ items: [...one.items, items] });
    if (value("minItems") !== undefined)
      change({ minItems: Math.max(one.minItems, countOf(schema.minItems, "minItems")) });
    if (value("maxItems") !== undefined)
      change({ maxItems: Math.min(one.maxItems, countOf(schema.maxItems, "maxItems")) });
    if (value("uniqueItems") === true) change({ unique: true });
    if (value("contains") !== undefined) {
      const fact = facts.of(schemaOf(schema.contains, "contains"));
      const min = value("minContains") === undefined ? 1 : countOf(schema.minContains, "minContains");
      const max =
        value("maxContains") === undefined ? Number.POSITIVE_INFINITY : countOf(schema.maxContains, "maxContains");
      change({ contains: [...one.contains, { fact, against: facts.opposite(fact), from: 0, min, max }] });
    }
    return one;
  }

  #format(one: Alternative, name: unknown): Alternative {
    if (typeof name !== "string") throw refuse(`has ${shown(name)} as format; give a string`);
    const limits = Object.hasOwn(NUMBER_FORMATS, name) ? NUMBER_FORMATS[name] : undefined;
    if (limits !== undefined) {
      let limited = one;
      if (limits.integer) limited = { ...limited, types: limited.types & ~kinds.FRACTION };
      if (limits.lower !== undefined) limited = withLower(limited, { value: limits.lower, exclusive: false });
      if (limits.upper !== undefined) limited = withUpper(limited, { value: limits.upper, exclusive: false });
      return limited;
    }
    const language = this.formatLanguage(name);
    return language === undefined ? one : { ...one, strings: [...one.strings, language] };
  }

  /** The strings of a format; undefined for names that no standard defines, which say nothing about validity. */
  formatLanguage(name: string): Expression | undefined {
    if (REFUSED_FORMATS.has(name))
      throw refuse(`has format "${name}", which is not supported; leave it out, or use pattern`);
    if (!Object.hasOwn(STRING_FORMATS, name)) return undefined;
    return wholePattern(this.lexer.pool, STRING_FORMATS[name], this.lexer.text);
  }

  #group(schema: SchemaObject): PropertyGroup | undefined {
    const { facts } = this;
    const has = (keyword: string) => Object.hasOwn(schema, keyword) && schema[keyword] !== undefined;
    if (!has("properties") && !has("patternProperties") && !has("additionalProperties")) return undefined;
    const properties = has("properties") ? schemaMap(schema.properties, "properties") : [];
    const patterns = has("patternProperties") ? schemaMap(schema.patternProperties, "patternProperties") : [];
    return {
      properties: new Map(properties.map(([name, value]) => [name, facts.of(value)])),
      patterns: patterns.map(([source, value]) => ({
        source,
        names: searchedPattern(this.lexer.pool, source, this.lexer.text),
        fact: facts.of(value),
      })),
      additional: has("additionalProperties")
        ? facts.of(schemaOf(schema.additionalProperties, "additionalProperties"))
        : undefined,
      evaluates: true,
    };
  }

  #items(schema: SchemaObject): kinds.ItemGroup | undefined {
    const { facts } = this;
    const { items } = schema;
    // Before 2020-12, `items` may be the list of the first items and `additionalItems` the schema of the rest.
    const isList = Array.isArray(items);
    const prefix = isList ? items : schema.prefixItems;
    const rest = (isList ? schema.additionalItems : items) ?? schema.unevaluatedItems;
    if (prefix === undefined && rest === undefined) return undefined;
    return {
      prefix: prefix === undefined ? [] : schemaList(prefix, "prefixItems").map((item) => facts.of(item)),
      rest: rest === undefined ? undefined : facts.of(schemaOf(rest, "items")),
    };
  }

  /** The value is one of a list. */
  among(one: Alternative, values: readonly unknown[]): readonly Alternative[] {
    const { pool } = this.lexer;
    const scalars = values.filter((value) => typeof value !== "object" || value === null);
    const strings = scalars.filter((value) => typeof value === "string");
    const numbers = scalars.filter((value) => typeof value === "number");
    const isListed = new Set(numbers);
    let types = 0;
    if (scalars.includes(null)) types |= kinds.NULL;
    if (scalars.includes(true)) types |= kinds.TRUE;
    if (scalars.includes(false)) types |= kinds.FALSE;
    if (numbers.length > 0) types |= kinds.NUMBER;
    if (strings.length > 0) types |= kinds.STRING;
    const scalar: Alternative = {
      ...one,
      types: one.types & types,
      among: one.among === undefined ? numbers : one.among.filter((value) => isListed.has(value)),
      strings:
        types & kinds.STRING ? [...one.strings, pool.literals(strings.map((value) => this.word(value)))] : one.strings,
    };
    const structures = values.filter((value) => Array.isArray(value) || isObject(value));
    return [scalar, ...structures.flatMap((value) => this.addSchema(one, this.facts.structure(value)))];
  }

  word(text: string) {
    return { word: this.#encoder.encode(text), tail: this.lexer.pool.epsilon };
  }

  /** Each non-empty set of branches that hold, so that `unevaluatedProperties` knows what all of them name. */
  #subsets(one: Alternative, branches: readonly Fact[]): readonly Alternative[] {
    if (branches.length > 6)
      throw refuse("has unevaluatedProperties beside an anyOf of more than 6, which is not supported");
    const found: Alternative[] = [];
    for (let subset = 1; subset < 1 << branches.length; subset++)
      found.push(
        ...this.addAll(
          one,
          branches.filter((_, i) => subset & (1 << i)),
        ),
      );
    return found;
  }

  #exactlyOne(one: Alternative, branches: readonly Fact[]): readonly Alternative[] {
    const { facts } = this;
    // A schema that is listed twice cannot be met exactly once.
    const unique = branches.filter((branch) => branches.indexOf(branch) === branches.lastIndexOf(branch));
    // At the end of a search for contradictions, any branch will do: if nothing meets one of them, nothing meets exactly one.
    const depth = this.#looking ?? CONTRADICTION_DEPTH;
    if (depth <= 0) return branches.flatMap((branch) => this.add(one, branch));
    return unique.flatMap((branch) => {
      let ways = this.each([one], (way) => this.add(way, branch));
      for (const other of branches) {
        if (other === branch) continue;
        if (this.#areDisjoint(branch, other, depth)) continue;
        const isDisjoint = (way: Alternative) =>
          this.add(way, other).every((both) => both.types === 0 || this.isContradiction(both, depth));
        ways = this.each(ways, (way) => (isDisjoint(way) ? [way] : this.#without(way, facts.opposite(other))));
      }
      return ways;
    });
  }

  /** Whether two facts alone contradict each other, whatever else is known. */
  #areDisjoint(first: Fact, second: Fact, depth: number): boolean {
    const key = `${Math.min(first.id, second.id)} ${Math.max(first.id, second.id)} ${depth}`;
    const known = this.#disjoint.get(key);
    if (known !== undefined) return known;
    const areDisjoint = this.#isImpossible([first, second], depth - 1);
    this.#disjoint.set(key, areDisjoint);
    return areDisjoint;
  }

  #without(way: Alternative, opposite: Fact): readonly Alternative[] {
    return this.add(way, opposite).filter((one) => one.types !== 0 && !this.isContradiction(one, 1));
  }

  #dependent(one: Alternative, name: string, value: unknown, keyword: string): readonly Alternative[] {
    const present = { ...one, required: new Set(one.required).add(name) };
    const met = Array.isArray(value)
      ? [{ ...present, required: new Set([...present.required, ...stringList(value, keyword)]) }]
      : this.addSchema(present, schemaOf(value, keyword));
    if (one.required.has(name)) return met;
    return [this.withoutProperty(one, name), ...met];
  }

  /** No property has this name. */
  withoutProperty(one: Alternative, name: string): Alternative {
    const properties = new Map([[name, this.facts.of(false)]]);
    return { ...one, groups: [...one.groups, { properties, patterns: [], additional: undefined, evaluates: false }] };
  }

  numberExpression(one: Alternative): Expression {
    const integers = (one.types & kinds.INTEGER) !== 0;
    return this.numbers.of({ ...one, integers, fractions: (one.types & kinds.FRACTION) !== 0 });
  }

  stringExpression(one: Alternative): Expression {
    const { pool, text, anyCodePoint } = this.lexer;
    if ((one.types & kinds.STRING) === 0 || one.minLength > one.maxLength) return pool.empty;
    const parts = [...one.strings];
    if (one.minLength > 0 || one.maxLength !== Number.POSITIVE_INFINITY)
      parts.push(pool.repeat(anyCodePoint, one.minLength, one.maxLength));
    return parts.length === 0 ? text : pool.and(parts);
  }

  /** The facts about the property `name`. */
  propertyFacts(one: Alternative, name: string): readonly Fact[] {
    const word = this.#encoder.encode(name);
    const found = one.groups.flatMap((group) => this.#groupFacts(group, name, word));
    for (const { groups, fact } of one.unevaluated) {
      const isEvaluated = groups.some((group) => group.evaluates && this.#groupFacts(group, name, word).length > 0);
      if (!isEvaluated) found.push(fact);
    }
    return found;
  }

  /** What a group asks of the property `name`: of its own schema and the patterns, else of the other properties. */
  #groupFacts({ properties, patterns, additional }: PropertyGroup, name: string, word: Uint8Array): readonly Fact[] {
    const { pool } = this.lexer;
    pool.meter.spend("values", 1);
    const found = patterns.filter(({ names }) => pool.accepts(names, word)).map(({ fact }) => fact);
    const own = properties.get(name);
    if (own !== undefined) found.push(own);
    return found.length === 0 && additional !== undefined ? [additional] : found;
  }

  /** Whether no value meets an alternative, as far as a short search tells. */
  isContradiction(one: Alternative, depth: number): boolean {
    const { pool } = this.lexer;
    if (one.types & (kinds.NULL | kinds.TRUE | kinds.FALSE)) return false;
    if (one.types & kinds.NUMBER && pool.isLive(this.numberExpression(one))) return false;
    if (one.types & kinds.STRING && pool.isLive(this.stringExpression(one))) return false;
    if (one.types & kinds.OBJECT && !this.#isObjectContradiction(one, depth)) return false;
    return !(one.types & kinds.ARRAY && !this.#isArrayContradiction(one, depth));
  }

  #isObjectContradiction(one: Alternative, depth: number): boolean {
    if (one.required.size > one.maxProperties || one.minProperties > one.maxProperties) return true;
    return [...one.required].some((name) => {
      const facts = this.propertyFacts(one, name);
      return facts.length > 0 && this.#isImpossible(facts, depth - 1);
    });
  }

  #isArrayContradiction(one: Alternative, depth: number): boolean {
    if (one.minItems > one.maxItems) return true;
    for (let i = 0; i < Math.min(one.minItems, 16); i++) {
      const facts = itemFacts(one, i);
      if (facts.length > 0 && this.#isImpossible(facts, depth - 1)) return true;
    }
    return false;
  }

  #isImpossible(facts: readonly Fact[], depth: number): boolean {
    if (facts.some((fact) => fact.schema === false)) return true;
    if (depth < 0) return false;
    const before = this.#looking;
    this.#looking = depth;
    try {
      return this.alternatives(facts).every((one) => this.isContradiction(one, depth));
    } finally {
      this.#looking = before;
    }
  }
}

/** What all groups ask of the item at a position. */
export function itemFacts(one: Alternative, position: number): readonly Fact[] {
  return one.items.flatMap(({ prefix, rest }) => {
    const fact = prefix[position] ?? rest;
    return fact === undefined ? [] : [fact];
  });
}
