/**
 * @file A schema as a graph of values: for each set of facts about a value, the languages of its scalars and strings, and the
 * shapes of its objects and arrays. The graph is finite, also for recursive schemas, and is built whole before use, so that what a
 * schema asks in vain is known: a value is possible if it has a cheapest text.
 */

import { quoted } from "../../printable.js";
import type { Alternative, Contains, Fact } from "./alternative.js";
import * as kinds from "./alternative.js";
import { ArrayShape, type ItemOption } from "./array-shape.js";
import { type Expansion, itemFacts } from "./expansion.js";
import type { Expression } from "./expression.js";
import { JSON_COSTS, RAW_COSTS } from "./lexer-states.js";
import type { PropertyClass, PropertyOption } from "./object-limits.js";
import { MAX_PROPERTIES, ObjectShape } from "./object-shape.js";
import { searchedPattern } from "./pattern-language.js";
import type { PlacedValue } from "./placed-value.js";
import { refuse } from "./schema-document.js";
import type { ValueNode } from "./value-node.js";

/** Most classes into which patterns split the names of properties, and most alternatives of one property or item. */
const MAX_CLASSES = 256;
const MAX_OPTIONS = 64;
/** A finite set of names up to this size is taken as known names. */
const MAX_LISTED_NAMES = 64;
/** Longest text that a value may need, since each token within it looks through all of its rest. */
const MAX_TEXT = 32_767;
/** Most values of unique items. */
const MAX_UNIQUE_VALUES = 64;

export class ValueGraph {
  readonly expansion: Expansion;
  readonly nodes: ValueNode[] = [];
  readonly #byFacts = new Map<string, ValueNode>();
  readonly #queue: { readonly node: ValueNode; readonly facts: readonly Fact[] }[] = [];
  readonly #encoder = new TextEncoder();
  /** The facts about the value that is worked on. */
  #current: readonly Fact[] = [];

  constructor(expansion: Expansion) {
    this.expansion = expansion;
  }

  /** Builds all nodes that `facts` need, drops what is impossible, and returns their node. */
  build(facts: readonly Fact[]): ValueNode {
    const root = this.#node(facts);
    for (let entry = this.#queue.pop(); entry !== undefined; entry = this.#queue.pop()) {
      this.#current = entry.facts;
      this.#fill(entry.node, entry.facts);
    }
    this.#current = [];
    this.#findCosts();
    return root;
  }

  /** Where the value is that is worked on, such as ` at #/properties/a`; empty if that is not known. */
  get place(): string {
    const places = this.#current.map(({ schema }) => this.expansion.document.placeOf(schema));
    const place = places.find((each) => each !== undefined && each !== "#");
    return place === undefined ? "" : ` at ${quoted(place)}`;
  }

  #node(facts: readonly Fact[]): ValueNode {
    const kept = [...new Set(facts.filter((fact) => fact.schema !== true))].sort((a, b) => a.id - b.id);
    const key = kept.map((fact) => fact.id).join();
    const known = this.#byFacts.get(key);
    if (known !== undefined) return known;
    this.expansion.lexer.pool.meter.spend("values", 16);
    const { empty } = this.expansion.lexer.pool;
    const node: ValueNode = {
      id: this.nodes.length,
      scalars: empty,
      strings: empty,
      objects: [],
      arrays: [],
      cost: Number.POSITIVE_INFINITY,
    };
    this.nodes.push(node);
    this.#byFacts.set(key, node);
    this.#queue.push({ node, facts: kept });
    return node;
  }

  #fill(node: ValueNode, facts: readonly Fact[]): void {
    const { expansion } = this;
    const { pool } = expansion.lexer;
    const scalars: Expression[] = [];
    const strings: Expression[] = [];
    const objects = new Map<string, ObjectShape>();
    const arrays = new Map<string, ArrayShape>();
    const ascii = (text: string) => pool.literal(Array.from(text, (unit) => unit.charCodeAt(0)));
    for (const one of expansion.alternatives(facts)) {
      if (one.types & kinds.NULL) scalars.push(ascii("null"));
      if (one.types & kinds.TRUE) scalars.push(ascii("true"));
      if (one.types & kinds.FALSE) scalars.push(ascii("false"));
      if (one.types & kinds.NUMBER) scalars.push(expansion.numberExpression(one));
      if (one.types & kinds.STRING) strings.push(expansion.stringExpression(one));
      if (one.types & kinds.OBJECT) this.#addObject(one, objects);
      if (one.types & kinds.ARRAY) this.#addArray(one, arrays);
    }
    node.scalars = pool.or(scalars);
    node.strings = pool.or(strings);
    node.objects = [...objects.values()];
    node.arrays = [...arrays.values()];
  }

  #addObject(one: Alternative, shapes: Map<string, ObjectShape>): void {
    const { minProperties, maxProperties, witnesses, required } = one;
    if (minProperties > maxProperties || required.size > maxProperties) return;
    if (witnesses.length > 6) throw refuse("negates properties (by not, oneOf or if) in too many ways for one value");
    const classes = this.#propertyClasses(one);
    const known = classes.filter(({ name }) => name !== undefined);
    if (classes.some((entry) => entry.required && entry.options.length === 0)) return;
    const max = known.length === classes.length ? Math.min(maxProperties, known.length) : maxProperties;
    if (classes.length > MAX_PROPERTIES) throw refuse(`has over ${MAX_PROPERTIES} properties in one object; split it`);
    const limits = {
      classes,
      min: minProperties,
      max: max >= classes.length && known.length === classes.length ? Number.POSITIVE_INFINITY : max,
      witnesses: (1 << witnesses.length) - 1,
    };
    const key = JSON.stringify([
      limits.min,
      limits.max === Number.POSITIVE_INFINITY ? null : limits.max,
      limits.witnesses,
      classes.map(({ names, options, required: needed }) => [
        names.id,
        needed,
        options.map((o) => [o.node.id, o.witnesses]),
      ]),
    ]);
    if (!shapes.has(key)) shapes.set(key, new ObjectShape(limits, this.expansion.lexer));
  }

  #propertyClasses(one: Alternative): PropertyClass[] {
    const { lexer } = this.expansion;
    const { pool, text } = lexer;
    const allowed = this.#allowedNames(one);
    const known = new Set<string>(one.required);
    for (const group of one.groups) for (const name of group.properties.keys()) known.add(name);
    for (const { except } of one.witnesses) for (const name of except) known.add(name);
    const classes: PropertyClass[] = [];
    const addKnown = (name: string) => {
      pool.meter.spend("values", 8);
      const word = this.#encoder.encode(name);
      const isAllowed = allowed === undefined || pool.accepts(allowed, word);
      const proves = one.witnesses.map(
        (witness) => !witness.except.includes(name) && pool.accepts(witness.names, word),
      );
      const options = isAllowed ? this.#propertyOptions(one, this.expansion.propertyFacts(one, name), proves) : [];
      if (options.length === 0 && !one.required.has(name)) return;
      classes.push({ name: word, names: pool.literal(word), options, required: one.required.has(name) });
    };
    for (const name of known) addKnown(name);

    const knownWords = pool.literals(
      [...known].map((name) => ({ word: this.#encoder.encode(name), tail: pool.epsilon })),
    );
    const limits = allowed === undefined ? [text] : [text, allowed];
    let others = [
      { names: pool.and([...limits, pool.not(knownWords)]), sources: new Set<string>(), proves: [] as boolean[] },
    ];
    const split = (
      language: Expression,
      mark: (entry: (typeof others)[number], inside: boolean) => (typeof others)[number],
    ) => {
      others = others.flatMap((entry) =>
        [
          mark({ ...entry, names: pool.and([entry.names, language]) }, true),
          mark({ ...entry, names: pool.and([entry.names, pool.not(language)]) }, false),
        ].filter(({ names }) => pool.isLive(names)),
      );
      if (others.length > MAX_CLASSES) throw refuse("has too many patternProperties that overlap");
    };
    const sources = new Set(
      [...one.groups, ...one.unevaluated.flatMap(({ groups }) => groups)].flatMap(({ patterns }) =>
        patterns.map(({ source }) => source),
      ),
    );
    for (const source of sources) {
      split(searchedPattern(pool, source, text), (entry, inside) =>
        inside ? { ...entry, sources: new Set(entry.sources).add(source) } : entry,
      );
    }
    for (const witness of one.witnesses)
      split(witness.names, (entry, inside) => ({ ...entry, proves: [...entry.proves, inside] }));
    for (const { names, sources: matched, proves } of others) {
      const facts = this.#otherFacts(one, matched);
      if (facts.some((fact) => fact.schema === false)) continue;
      const listed = names.finite ? words(pool, names, MAX_LISTED_NAMES) : undefined;
      if (listed !== undefined) for (const word of listed) addKnown(decoded(word));
      else {
        const options = this.#propertyOptions(one, facts, proves);
        if (options.length > 0) classes.push({ name: undefined, names, options, required: false });
      }
    }
    return classes;
  }

  /** The names that `propertyNames` allows; undefined for all. */
  #allowedNames(one: Alternative): Expression | undefined {
    if (one.names.length === 0) return undefined;
    const { expansion } = this;
    const ways = expansion.alternatives([expansion.facts.of({ type: "string" }), ...one.names]);
    return expansion.lexer.pool.or(ways.map((way) => expansion.stringExpression(way)));
  }

  /** The facts about properties that no group names and whose names match these patterns and no others. */
  #otherFacts(one: Alternative, matched: ReadonlySet<string>): readonly Fact[] {
    const factsOf = ({ patterns, additional }: (typeof one.groups)[number]) => {
      const found = patterns.filter(({ source }) => matched.has(source)).map(({ fact }) => fact);
      return found.length === 0 && additional !== undefined ? [additional] : found;
    };
    const facts = one.groups.flatMap(factsOf);
    for (const { groups, fact } of one.unevaluated) {
      if (!groups.some((group) => group.evaluates && factsOf(group).length > 0)) facts.push(fact);
    }
    return facts;
  }

  #propertyOptions(one: Alternative, facts: readonly Fact[], proves: readonly boolean[]): PropertyOption[] {
    if (facts.some((fact) => fact.schema === false)) return [];
    const options = [{ facts, witnesses: 0 }];
    proves.forEach((isProof, i) => {
      if (!isProof) return;
      const { fact } = one.witnesses[i];
      for (const option of [...options])
        options.push({ facts: [...option.facts, fact], witnesses: option.witnesses | (1 << i) });
    });
    if (options.length > MAX_OPTIONS)
      throw refuse("negates properties (by not, oneOf or if) in too many ways for one value");
    return options.map((option) => ({ node: this.#node(option.facts), witnesses: option.witnesses }));
  }

  #addArray(one: Alternative, shapes: Map<string, ArrayShape>): void {
    const { minItems, maxItems, contains } = one;
    if (minItems > maxItems) return;
    const first = Math.max(0, ...one.items.map(({ prefix }) => prefix.length), ...contains.map(({ from }) => from));
    const length = Math.min(first, maxItems);
    const isUnique = one.unique && maxItems > 1;
    const prefix: ItemOption[][] = [];
    for (let position = 0; position < length; position++) prefix.push(this.#itemOptions(one, position, contains));
    const rest = this.#itemOptions(one, length, contains);
    const limits = {
      prefix: isUnique ? this.#uniqueOptions(one, length) : prefix,
      rest: isUnique ? this.#uniqueRest(one, length) : rest,
      min: minItems,
      max: maxItems,
      contains: contains.map(({ min, max }) => ({ min, max })),
    };
    const key = JSON.stringify([
      minItems,
      maxItems === Number.POSITIVE_INFINITY ? null : maxItems,
      limits.contains.map(({ min, max }) => [min, max === Number.POSITIVE_INFINITY ? null : max]),
      [...limits.prefix, limits.rest].map((options) => options.map((o) => [o.node.id, o.counted, String(o.value)])),
    ]);
    if (!shapes.has(key)) shapes.set(key, new ArrayShape(limits, this.expansion.lexer));
  }

  #itemOptions(one: Alternative, position: number, contains: readonly Contains[]): ItemOption[] {
    let options: { readonly facts: readonly Fact[]; readonly counted: number }[] = [
      { facts: itemFacts(one, position), counted: 0 },
    ];
    contains.forEach(({ fact, against, from, max }, i) => {
      if (position < from) return;
      options = options.flatMap((option) => [
        { facts: [...option.facts, fact], counted: option.counted | (1 << i) },
        // Without a maximum, an item may be one that is not counted.
        { ...option, facts: max === Number.POSITIVE_INFINITY ? option.facts : [...option.facts, against] },
      ]);
      if (options.length > MAX_OPTIONS) throw refuse("has too many contains for one array");
    });
    return options
      .filter(({ facts }) => facts.every((fact) => fact.schema !== false))
      .map(({ facts, counted }) => ({ node: this.#node(facts), counted, value: 0n }));
  }

  #uniqueOptions(one: Alternative, length: number): ItemOption[][] {
    const values = this.#uniqueValues(one, length);
    return Array.from({ length }, (_, position) => this.#uniqueItem(one, position, values));
  }

  #uniqueRest(one: Alternative, length: number): ItemOption[] {
    return this.#uniqueItem(one, length, this.#uniqueValues(one, length));
  }

  #uniqueItem(one: Alternative, position: number, values: readonly string[]): ItemOption[] {
    const { facts } = this.expansion;
    return values.map((value, i) => ({
      node: this.#node([...itemFacts(one, position), facts.of(facts.constant(JSON.parse(value)))]),
      counted: 0,
      value: 1n << BigInt(i),
    }));
  }

  /** All values that unique items may have, as JSON, if they are few. */
  #uniqueValues(one: Alternative, length: number): readonly string[] {
    const { expansion } = this;
    const { pool } = expansion.lexer;
    const refused = () =>
      refuse(
        `has uniqueItems on items that are not up to ${MAX_UNIQUE_VALUES} constants, which is not supported; list them in enum`,
      );
    if (one.contains.length > 0) throw refused();
    const values = new Set<string>();
    for (let position = 0; position <= length; position++) {
      for (const way of expansion.alternatives(itemFacts(one, position))) {
        if (way.types & (kinds.OBJECT | kinds.ARRAY)) throw refused();
        if (way.types & kinds.NULL) values.add("null");
        if (way.types & kinds.TRUE) values.add("true");
        if (way.types & kinds.FALSE) values.add("false");
        if (way.types & kinds.NUMBER) {
          if (way.among === undefined) throw refused();
          for (const value of way.among) values.add(JSON.stringify(value));
        }
        if (way.types & kinds.STRING) {
          const language = expansion.stringExpression(way);
          const listed = language.finite ? words(pool, language, MAX_UNIQUE_VALUES) : undefined;
          if (listed === undefined) throw refused();
          for (const word of listed) values.add(JSON.stringify(decoded(word)));
        }
      }
    }
    if (values.size > MAX_UNIQUE_VALUES) throw refused();
    return [...values];
  }

  /** Lowers all costs from infinity until they no longer change, then drops what has none. */
  #findCosts(): void {
    const { pool } = this.expansion.lexer;
    const users = new Map<PlacedValue, Set<ValueNode>>();
    for (const user of this.nodes) {
      for (const { node } of optionsOf(user)) {
        const known = users.get(node);
        if (known === undefined) users.set(node, new Set([user]));
        else known.add(user);
      }
    }
    const scalarCost = this.nodes.map(({ scalars, strings }) =>
      Math.min(pool.distance(scalars, RAW_COSTS), 2 + pool.distance(strings, JSON_COSTS)),
    );
    // A set is walked in the order of insertion, so a node that is added again comes again. Parts mostly come after their wholes.
    const open = new Set([...this.nodes].reverse());
    for (const node of open) {
      open.delete(node);
      const cost = [...node.objects, ...node.arrays].reduce(
        (least, shape) => Math.min(least, shape.cost()),
        scalarCost[node.id],
      );
      if (cost >= node.cost) continue;
      node.cost = cost;
      for (const user of users.get(node) ?? []) open.add(user);
    }
    const longest = this.nodes.find(({ cost }) => cost > MAX_TEXT && cost !== Number.POSITIVE_INFINITY);
    if (longest !== undefined)
      throw refuse(
        `has a value of at least ${longest.cost} bytes, and more than ${MAX_TEXT} is not supported; lower its minimum of items, properties or length, or the counts of its pattern`,
      );
    const isPossible = ({ node }: { readonly node: PlacedValue }) => node.cost !== Number.POSITIVE_INFINITY;
    for (const node of this.nodes) {
      node.objects = node.objects.filter((shape) => shape.cost() !== Number.POSITIVE_INFINITY);
      node.arrays = node.arrays.filter((shape) => shape.cost() !== Number.POSITIVE_INFINITY);
      for (const { limits } of node.objects)
        for (const { options } of limits.classes) options.splice(0, options.length, ...options.filter(isPossible));
      for (const { limits } of node.arrays)
        for (const options of [...limits.prefix, limits.rest])
          options.splice(0, options.length, ...options.filter(isPossible));
    }
  }
}

function optionsOf({ objects, arrays }: ValueNode): readonly { readonly node: PlacedValue }[] {
  return [
    ...objects.flatMap(({ limits }) => limits.classes.flatMap(({ options }) => options)),
    ...arrays.flatMap(({ limits }) => [...limits.prefix, limits.rest].flat()),
  ];
}

/** All words of a finite language; undefined if there are more than `limit`. */
function words(pool: Expansion["lexer"]["pool"], language: Expression, limit: number): number[][] | undefined {
  const found: number[][] = [];
  const visit = (state: Expression, word: number[]): boolean => {
    if (state.nullable) found.push(word);
    if (found.length > limit) return false;
    for (let byte = 0; byte < 256; byte++) {
      const next = pool.next(state, byte);
      if (next !== pool.empty && !visit(next, [...word, byte])) return false;
    }
    return true;
  };
  return visit(language, []) ? found : undefined;
}

function decoded(word: readonly number[]): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(word));
}
