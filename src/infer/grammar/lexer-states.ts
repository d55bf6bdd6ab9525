/**
 * @file The lexer's automata, with their states numbered and their transitions in rows of 256, filled as they are visited.
 *
 * A JSON string is read by two automata in one: escapes are decoded, and what they stand for steps the automaton of the string's
 * value. So a length counts characters, not what they are written with, and `"\u0061"` is the same property name as `"a"`.
 */
import { ALL_CODE_POINTS, codePointExpression, utf8Bytes } from "./code-points.js";
import type { ByteCosts, Expression } from "./expression.js";
import { ExpressionPool } from "./expression-pool.js";

/** No word continues so. */
export const DEAD = -1;
/** The quote that ends a string. */
export const CLOSE = -2;
/** A transition that nothing has asked for yet. */
export const UNKNOWN = -3;
/** Never part of UTF-8: separates a property name from the number of its class. */
export const LABEL = 0xff;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SHORT_ESCAPES: ReadonlyMap<number, number> = new Map(
  [...'""\\\\//b\bf\fn\nr\rt\t'].reduce<[number, number][]>((pairs, unit, i, all) => {
    if (i % 2 === 0) pairs.push([unit.charCodeAt(0), all[i + 1].charCodeAt(0)]);
    return pairs;
  }, []),
);
const SHORT_ESCAPE_OF = new Map([...SHORT_ESCAPES].map(([letter, byte]) => [byte, letter]));
SHORT_ESCAPE_OF.delete(0x2f);
const HEX = "0123456789abcdef";

/** Letters come first where the choice is free. */
const PREFERENCE: readonly number[] = [
  ...new Set([
    ...Array.from({ length: 26 }, (_, i) => 0x61 + i),
    ...Array.from({ length: 10 }, (_, i) => 0x30 + i),
    ...Array.from({ length: 26 }, (_, i) => 0x41 + i),
    ...Array.from({ length: 256 }, (_, i) => i),
  ]),
];

/** Bytes that are never part of UTF-8 and stand for costs in the label of a property name: 1, 8, 64, 512 and 4096. */
const FIRST_WEIGHT = 0xf8;
const WEIGHTS = 5;
/** Costs more than any name. */
export const OPTIONAL = FIRST_WEIGHT + WEIGHTS;
const OPTIONAL_COST = 32_768;

/** Bytes that cost as much as a number below 32,768. */
export function weightsOf(cost: number): number[] {
  return Array.from({ length: WEIGHTS }, (_, i) => {
    const digit = (Math.min(cost, OPTIONAL_COST - 1) >> (3 * i)) & 7;
    return new Array<number>(digit).fill(FIRST_WEIGHT + i);
  }).flat();
}

/** What a byte of a string's value costs in JSON text. */
export const JSON_COSTS: ByteCosts = {
  preference: PREFERENCE,
  cost: Float64Array.from({ length: 256 }, (_, byte) => {
    if (byte >= FIRST_WEIGHT && byte < OPTIONAL) return 8 ** (byte - FIRST_WEIGHT);
    if (byte === OPTIONAL) return OPTIONAL_COST;
    // A label's mark costs the same for every name; the other bytes are never part of UTF-8.
    if (byte >= FIRST_WEIGHT) return byte === LABEL ? 1 : Number.POSITIVE_INFINITY;
    return SHORT_ESCAPE_OF.has(byte) ? 2 : byte < 0x20 ? 6 : 1;
  }),
};
export const RAW_COSTS: ByteCosts = { preference: PREFERENCE, cost: new Float64Array(256).fill(1) };

/** What one vocabulary's grammars share: expressions, lexer states, and later their masks. */
export class LexerStates {
  readonly pool = new ExpressionPool();
  readonly anyCodePoint = codePointExpression(this.pool, ALL_CODE_POINTS);
  /** All well-formed texts. */
  readonly text = this.pool.star(this.anyCodePoint);
  readonly strings = new StringStates(this.pool);
  readonly plain = new PlainStates(this.pool);
  /** Number of states of objects and arrays that grammars keep. */
  kept = 0;

  constructor() {
    this.pool.text = this.text;
  }
}

/** Automata whose words are written as they are: numbers, literals, and whole texts. */
export class PlainStates {
  readonly #pool: ExpressionPool;
  readonly #ids = new Map<Expression, number>();
  readonly expressions: Expression[] = [];
  readonly #rows: Int32Array[] = [];

  constructor(pool: ExpressionPool) {
    this.#pool = pool;
  }

  /** The number of a state, DEAD for the empty language. */
  state(expression: Expression): number {
    if (!this.#pool.isLive(expression)) return DEAD;
    const known = this.#ids.get(expression);
    if (known !== undefined) return known;
    const id = this.expressions.push(expression) - 1;
    this.#ids.set(expression, id);
    return id;
  }

  accepts(state: number): boolean {
    return this.expressions[state].nullable;
  }

  /** (256): the next state by byte, DEAD, or UNKNOWN until `step` was called. */
  row(state: number): Int32Array {
    this.#rows[state] ??= new Int32Array(256).fill(UNKNOWN);
    return this.#rows[state];
  }

  /** The next state, or DEAD. */
  step(state: number, byte: number): number {
    const row = this.row(state);
    if (row[byte] === UNKNOWN) row[byte] = this.state(this.#pool.next(this.expressions[state], byte));
    return row[byte];
  }
}

/** Automata of the bodies of JSON strings, after the opening quote. */
export class StringStates {
  readonly #pool: ExpressionPool;
  readonly #ids = new Map<Expression, number>();
  readonly #pendingIds = new Map<string, number>();
  /** By state: the language of the rest of the value. */
  readonly expressions: Expression[] = [];
  /** By state: the part of an escape read so far, such as `\u00`. */
  readonly pending: string[] = [];
  readonly #rows: Int32Array[] = [];

  constructor(pool: ExpressionPool) {
    this.#pool = pool;
  }

  state(expression: Expression, pending = ""): number {
    const known = pending === "" ? this.#ids.get(expression) : this.#pendingIds.get(`${expression.id}${pending}`);
    if (known !== undefined) return known;
    if (!this.#pool.isLive(expression)) return DEAD;
    const id = this.expressions.push(expression) - 1;
    this.pending.push(pending);
    if (pending === "") this.#ids.set(expression, id);
    else this.#pendingIds.set(`${expression.id}${pending}`, id);
    return id;
  }

  /** (256): the next state by byte, CLOSE, DEAD, or UNKNOWN until `step` was called. */
  row(state: number): Int32Array {
    this.#rows[state] ??= new Int32Array(256).fill(UNKNOWN);
    return this.#rows[state];
  }

  /** The next state, CLOSE or DEAD. */
  step(state: number, byte: number): number {
    const row = this.row(state);
    if (row[byte] === UNKNOWN) {
      const expression = this.expressions[state];
      const pending = this.pending[state];
      row[byte] = pending === "" ? this.#plain(expression, byte) : this.#escape(expression, pending, byte);
    }
    return row[byte];
  }

  #plain(expression: Expression, byte: number): number {
    const pool = this.#pool;
    if (byte === QUOTE) return expression.nullable || pool.next(expression, LABEL) !== pool.empty ? CLOSE : DEAD;
    if (byte === BACKSLASH) {
      const isEscaped = [...SHORT_ESCAPES.values()].some((each) => pool.next(expression, each) !== pool.empty);
      return isEscaped || this.#hasUnicode(expression, "\\u") ? this.state(expression, "\\") : DEAD;
    }
    return byte < 0x20 || byte >= 0xf8 ? DEAD : this.state(pool.next(expression, byte));
  }

  #escape(expression: Expression, pending: string, byte: number): number {
    const pool = this.#pool;
    if (pending.endsWith("\\")) {
      const short = pending.length === 1 ? SHORT_ESCAPES.get(byte) : undefined;
      if (short !== undefined) return this.state(pool.next(expression, short));
      const isUnicode = byte === 0x75 && this.#hasUnicode(expression, `${pending}u`);
      return isUnicode ? this.state(expression, `${pending}u`) : DEAD;
    }
    // A high surrogate must be followed by a low one.
    if (pending.length === 6) return byte === BACKSLASH ? this.state(expression, `${pending}\\`) : DEAD;
    const digit = HEX.indexOf(String.fromCharCode(byte).toLowerCase());
    return digit < 0 ? DEAD : this.#afterDigit(expression, pending + HEX[digit]);
  }

  #afterDigit(expression: Expression, pending: string): number {
    const pool = this.#pool;
    if (!this.#hasUnicode(expression, pending)) return DEAD;
    const range = escapedRange(pending);
    if (range.length !== 1 || range[0][0] !== range[0][1]) return this.state(expression, pending);
    return this.state(utf8Bytes(range[0][0]).reduce((state, byte) => pool.next(state, byte), expression));
  }

  /** Whether the value may continue with a character whose escape starts with `pending`. */
  #hasUnicode(expression: Expression, pending: string): boolean {
    return escapedRange(pending).some(([from, to]) => this.#hasBetween(expression, from, to));
  }

  #hasBetween(expression: Expression, from: number, to: number): boolean {
    for (const border of [0x80, 0x800, 0x10000]) {
      if (from < border && to >= border)
        return this.#hasBetween(expression, from, border - 1) || this.#hasBetween(expression, border, to);
    }
    return this.#hasBytes(expression, utf8Bytes(from), utf8Bytes(to), 0);
  }

  /** Whether a live state is reached by bytes between two sequences of equal length. A live state has a whole character. */
  #hasBytes(expression: Expression, from: readonly number[], to: readonly number[], depth: number): boolean {
    const pool = this.#pool;
    if (depth === from.length) return true;
    for (let byte = from[depth]; byte <= to[depth]; byte++) {
      const next = pool.next(expression, byte);
      if (next === pool.empty) continue;
      const low = byte === from[depth] ? from : from.map(() => 0x80);
      const high = byte === to[depth] ? to : to.map(() => 0xbf);
      if (low !== from && high !== to) return true;
      if (this.#hasBytes(next, low, high, depth + 1)) return true;
    }
    return false;
  }
}

/** The code points whose escape starts with a text such as `\u00` or `\ud83d\ude`; several ranges without surrogates. */
function escapedRange(pending: string): [number, number][] {
  const digits = (text: string): [number, number] => {
    const known = text === "" ? 0 : Number.parseInt(text, 16);
    const unknown = 16 ** (4 - text.length);
    return [known * unknown, known * unknown + unknown - 1];
  };
  const clip = (from: number, to: number, low: number, high: number): [number, number] => [
    Math.max(from, low),
    Math.min(to, high),
  ];
  const [from, to] = digits(pending.slice(2, 6));
  if (pending.length >= 6 && from >= 0xd800 && from < 0xdc00) {
    const base = 0x10000 + ((from - 0xd800) << 10);
    const [low, high] = clip(...digits(pending.slice(8)), 0xdc00, 0xdfff);
    return low <= high ? [[base + low - 0xdc00, base + high - 0xdc00]] : [];
  }
  const ranges: [number, number][] = [clip(from, to, 0, 0xd7ff), clip(from, to, 0xe000, 0xffff)];
  const [high, last] = clip(from, to, 0xd800, 0xdbff);
  if (high <= last) ranges.push([0x10000 + ((high - 0xd800) << 10), 0x10000 + ((last - 0xd800) << 10) + 0x3ff]);
  return ranges.filter(([low, most]) => low <= most);
}

/** The JSON text, without quotes, of a string's value given in UTF-8. */
export function escapedBytes(value: readonly number[]): number[] {
  return value.flatMap((byte) => {
    const letter = SHORT_ESCAPE_OF.get(byte);
    if (letter !== undefined) return [BACKSLASH, letter];
    if (byte >= 0x20) return [byte];
    const digits = byte.toString(16).padStart(4, "0");
    return [BACKSLASH, 0x75, ...Array.from(digits, (digit) => digit.charCodeAt(0))];
  });
}
