/**
 * @file The objects that a schema allows at one place. Property names fall into classes: each known name is one, and the other names
 * are split by the patterns that they match. Properties may come in any order; an object's state says which it has.
 */
import type { Expression } from "./expression.js";
import { JSON_COSTS, LABEL, type LexerStates, OPTIONAL, weightsOf } from "./lexer-states.js";
import type { ObjectLimits, PlannedName, PlannedProperty, PropertyClass, PropertyOption } from "./object-limits.js";
import type { PlacedValue } from "./placed-value.js";
import { cheapestProperties } from "./property-plan.js";

/** The properties that complete an object, one after the other. */
export interface ObjectPlan {
  readonly name: readonly number[];
  readonly node: PlacedValue;
  /** The object after this property, and what completes it. */
  readonly state: ObjectState;
  readonly rest: ObjectPlan | null;
}

const EMPTY_SET: ReadonlySet<string> = new Set();
const LABEL_DIGITS = 4;
const FIRST_LABEL_DIGIT = 0x61;
/** Most classes, since a label has four hexadecimal digits. */
export const MAX_PROPERTIES = 1 << (4 * LABEL_DIGITS);

export class ObjectShape {
  readonly limits: ObjectLimits;
  readonly lexer: LexerStates;
  readonly requiredClasses: readonly number[];
  /** Whether there are names outside the known ones that must be remembered, since each counts or proves something only once. */
  readonly tracksNames: boolean;
  readonly start: ObjectState;
  readonly #states = new Map<string, ObjectState>();
  readonly #labels = new Map<Expression, number>();
  readonly #cheapestNames: { readonly found: PlannedName[]; readonly more: Iterator<readonly number[], undefined> }[] =
    [];

  constructor(limits: ObjectLimits, lexer: LexerStates) {
    const { classes, min, witnesses } = limits;
    this.limits = limits;
    this.lexer = lexer;
    this.requiredClasses = classes.flatMap(({ required }, i) => (required ? [i] : []));
    this.tracksNames =
      (min > this.requiredClasses.length || witnesses !== 0) && classes.some(({ name }) => name === undefined);
    this.start = new ObjectState(this, {
      seen: 0n,
      count: 0,
      missing: this.requiredClasses.length,
      witnesses: 0,
      extra: EMPTY_SET,
    });
  }

  /** The state after one more property. `name` is needed if names are tracked. */
  after(state: ObjectState, index: number, option: PropertyOption, name: string): ObjectState {
    const { classes, min, max, witnesses: needed } = this.limits;
    const isKnown = classes[index].name !== undefined;
    const seen = isKnown ? state.seen | (1n << BigInt(index)) : state.seen;
    const count = max !== Number.POSITIVE_INFINITY ? state.count + 1 : Math.min(state.count + 1, min);
    const witnesses = state.witnesses | option.witnesses;
    const isTracked = this.tracksNames && (count < min || needed !== 0);
    const extra = !isTracked ? EMPTY_SET : isKnown ? state.extra : new Set(state.extra).add(name);
    const key = `${seen.toString(32)} ${count} ${witnesses} ${extra.size === 0 ? "" : JSON.stringify([...extra].sort())}`;
    const known = this.#states.get(key);
    if (known !== undefined) return known;
    const missing = state.missing - (classes[index].required ? 1 : 0);
    const made = new ObjectState(this, { seen, count, missing, witnesses, extra }, { state, index });
    this.#states.set(key, made);
    this.lexer.kept++;
    return made;
  }

  /** The names of a class of others that an object does not have yet. */
  freeNames({ extra }: ObjectState, index: number): Expression {
    const { pool } = this.lexer;
    const { names } = this.limits.classes[index];
    if (extra.size === 0) return names;
    const taken = [...extra].map((name) => ({ word: new TextEncoder().encode(name), tail: pool.epsilon }));
    return pool.and([names, pool.not(pool.literals(taken))]);
  }

  /** Of a class of other names, the shortest one after `position` shorter ones; undefined if there are no more. */
  shortName(index: number, position: number): PlannedName | undefined {
    const { pool } = this.lexer;
    this.#cheapestNames[index] ??= {
      found: [],
      more: pool.cheapestWords(this.limits.classes[index].names, JSON_COSTS),
    };
    const { found, more } = this.#cheapestNames[index];
    try {
      while (found.length <= position) {
        const { value } = more.next();
        if (value === undefined) return undefined;
        found.push({ bytes: value, text: textOf(value) });
      }
      return found[position];
    } catch (error) {
      // Too much work: a generator that threw would look like one without more names.
      delete this.#cheapestNames[index];
      throw error;
    }
  }

  /**
   * What follows a name in the language of names: the number of its class, and bytes that cost what the property costs an object that
   * is to be completed. A required property costs nothing, for it is to be written anyway.
   */
  label(index: number): Expression {
    const { classes, witnesses } = this.limits;
    const { required, options } = classes[index];
    const digits = Array.from({ length: LABEL_DIGITS }, (_, i) => FIRST_LABEL_DIGIT + ((index >> (4 * i)) & 15));
    const cost = options.reduce((least, { node }) => Math.min(least, node.cost), Number.POSITIVE_INFINITY);
    const weights = required || witnesses !== 0 ? [] : [OPTIONAL, ...weightsOf(cost)];
    return this.lexer.pool.literal([LABEL, ...digits, ...weights]);
  }

  /** The class of a name that ends in a state of the language of names; −1 if no name ends there. */
  classOf(expression: Expression): number {
    const known = this.#labels.get(expression);
    if (known !== undefined) return known;
    const { pool } = this.lexer;
    let state = pool.next(expression, LABEL);
    let index = state === pool.empty ? -1 : 0;
    for (let i = 0; i < LABEL_DIGITS && index >= 0; i++) {
      let digit = 0;
      while (digit < 15 && pool.next(state, FIRST_LABEL_DIGIT + digit) === pool.empty) digit++;
      state = pool.next(state, FIRST_LABEL_DIGIT + digit);
      index |= digit << (4 * i);
    }
    this.#labels.set(expression, index);
    return index;
  }

  /** The cost in bytes of the cheapest object, Infinity while no value of some property is known to exist. */
  cost(): number {
    const properties = cheapestProperties(this.start);
    return properties === undefined ? Number.POSITIVE_INFINITY : 2 + costOf(properties);
  }
}

/** What an object has so far. */
interface Progress {
  /** Bit i: class i is a known name and has been written. */
  readonly seen: bigint;
  readonly count: number;
  /** Required properties that are missing. */
  readonly missing: number;
  readonly witnesses: number;
  /** The names outside the known ones, if they are tracked. */
  readonly extra: ReadonlySet<string>;
}

/** How far an object has come. */
export class ObjectState implements Progress {
  readonly shape: ObjectShape;
  readonly seen: bigint;
  readonly count: number;
  readonly missing: number;
  readonly witnesses: number;
  readonly extra: ReadonlySet<string>;
  /** An earlier state, and the class of the property after it. */
  readonly #before: { readonly state: ObjectState; readonly index: number } | undefined;
  #names: Expression | undefined;
  #all: Expression | undefined;
  #required: Expression | undefined;
  #plan: ObjectPlan | null | undefined | false = false;

  constructor(
    shape: ObjectShape,
    { seen, count, missing, witnesses, extra }: Progress,
    before?: { readonly state: ObjectState; readonly index: number },
  ) {
    this.shape = shape;
    this.seen = seen;
    this.count = count;
    this.missing = missing;
    this.witnesses = witnesses;
    this.extra = extra;
    this.#before = before;
  }

  /** Whether a known name has been written. */
  has(index: number): boolean {
    return ((this.seen >> BigInt(index)) & 1n) === 1n;
  }

  /** The properties that complete the object with the fewest bytes; undefined if none do. */
  get plan(): ObjectPlan | null | undefined {
    if (this.#plan !== false) return this.#plan;
    const properties = cheapestProperties(this);
    if (properties === undefined) {
      this.#plan = undefined;
      return undefined;
    }
    const states: ObjectState[] = [this];
    for (const { index, option, name } of properties)
      states.push(this.shape.after(states[states.length - 1], index, option, textOf(name)));
    let rest: ObjectPlan | null = null;
    for (let i = properties.length - 1; i >= 0; i--) {
      const { name, option } = properties[i];
      states[i + 1].#plan = rest;
      rest = { name, node: option.node, state: states[i + 1], rest };
    }
    this.#plan = rest;
    return rest;
  }

  /** Whether the object may end here. */
  get closes(): boolean {
    const { min, witnesses } = this.shape.limits;
    return this.count >= min && this.missing === 0 && (witnesses & ~this.witnesses) === 0;
  }

  /** Whether the names outside the known ones are remembered from here on. */
  get tracksNames(): boolean {
    const { tracksNames, limits } = this.shape;
    return tracksNames && (this.count < limits.min || limits.witnesses !== 0);
  }

  /** Whether an object in this state can be completed. */
  get isFeasible(): boolean {
    const { max, witnesses } = this.shape.limits;
    return witnesses === 0 ? this.count + this.missing <= max : this.plan !== undefined;
  }

  /** The next states by a property of a class, with the node of its value. */
  options(index: number, name: string): readonly { readonly node: PlacedValue; readonly state: ObjectState }[] {
    return this.shape.limits.classes[index].options
      .map((option) => ({ node: option.node, state: this.shape.after(this, index, option, name) }))
      .filter(({ state }) => state.isFeasible);
  }

  /** The language of the next property's name, each followed by the label of its class; empty if no more may come. */
  get names(): Expression {
    this.#names ??= this.#nextNames();
    return this.#names;
  }

  /**
   * The names with which an object is completed after the beginning of a name; one of them is the best choice.
   * @param rest the language of what follows in the name
   */
  nameEnds(rest: Expression): readonly (readonly number[])[] {
    const { pool } = this.shape.lexer;
    // A label costs what its class does; but what proves witnesses is worth what these would cost otherwise.
    const languages = this.shape.limits.witnesses === 0 ? [rest] : languagesByLabel(rest, pool);
    return languages.map((language) => {
      const word = pool.cheapestWord(language, JSON_COSTS);
      return word.slice(0, word.indexOf(LABEL));
    });
  }

  #nextNames(): Expression {
    const { shape } = this;
    const { pool } = shape.lexer;
    const { classes, max, witnesses } = shape.limits;
    if (this.count >= max) return pool.empty;
    const isLast = this.count + this.missing >= max;
    if (witnesses === 0 && isLast) return this.#requiredNames();
    const others: Expression[] = [];
    const known: number[] = [];
    classes.forEach(({ name, options }, index) => {
      if (name !== undefined && witnesses === 0) return;
      if (options.length === 0 || (name !== undefined && this.has(index))) return;
      // A name that is not tracked yet never makes an object infeasible that its class does not.
      if (witnesses !== 0 && !options.some((option) => shape.after(this, index, option, "").isFeasible)) return;
      if (name !== undefined) known.push(index);
      else others.push(pool.concat(shape.freeNames(this, index), shape.label(index)));
    });
    if (witnesses === 0) return pool.or([this.#allNames(), ...others]);
    // No trie, so that each choice ends in one label.
    return pool.or([...known.map((index) => pool.literal(classes[index].name!, shape.label(index))), ...others]);
  }

  /** The known names that are left. */
  #allNames(): Expression {
    this.#all ??= this.#without((state) => state.#all) ?? this.#trie(this.#left(() => true));
    return this.#all;
  }

  /** The required names that are left. */
  #requiredNames(): Expression {
    this.#required ??= this.#without((state) => state.#required) ?? this.#trie(this.#left(({ required }) => required));
    return this.#required;
  }

  /** The names of an earlier state, if it has them, without those written since. */
  #without(namesOf: (state: ObjectState) => Expression | undefined): Expression | undefined {
    const { shape } = this;
    const taken: Uint8Array[] = [];
    for (let at: ObjectState = this; at.#before !== undefined; at = at.#before.state) {
      const { name } = shape.limits.classes[at.#before.index];
      if (name !== undefined) taken.push(name);
      const names = namesOf(at.#before.state);
      if (names !== undefined)
        return taken.reduce((rest, word) => shape.lexer.pool.withoutWord(rest, word, LABEL), names);
    }
    return undefined;
  }

  #left(fits: (entry: PropertyClass) => boolean): number[] {
    return this.shape.limits.classes.flatMap((entry, index) =>
      entry.name !== undefined && entry.options.length > 0 && fits(entry) && !this.has(index) ? [index] : [],
    );
  }

  #trie(indices: readonly number[]): Expression {
    const { shape } = this;
    return shape.lexer.pool.literals(
      indices.map((index) => ({ word: shape.limits.classes[index].name!, tail: shape.label(index) })),
    );
  }
}

function costOf(properties: readonly PlannedProperty[]): number {
  return properties.reduce((sum, { cost }) => sum + cost, properties.length > 0 ? -1 : 0);
}

export function textOf(utf8: readonly number[]): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(utf8));
}

/** The language of the names of each class that are left, if each choice in it ends in one label. */
function languagesByLabel(names: Expression, pool: LexerStates["pool"]): Expression[] {
  const groups = new Map<Expression, Expression[]>();
  for (const choice of names.kind === "or" ? names.parts : [names]) {
    let label = choice;
    while (label.kind === "concat" && !label.parts[0].set?.has(LABEL)) label = label.parts[1];
    groups.set(label, [...(groups.get(label) ?? []), choice]);
  }
  return [...groups.values()].map((choices) => pool.or(choices)).filter((language) => pool.isLive(language));
}
