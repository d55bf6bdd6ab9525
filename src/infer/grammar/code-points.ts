/** @file Sets of Unicode code points as regular expressions over the bytes of UTF-8. */
import { ByteSet } from "./byte-set.js";
import type { Expression } from "./expression.js";
import type { ExpressionPool } from "./expression-pool.js";

/** Sorted, disjoint ranges of code points, both ends included. */
export type CodePointRanges = readonly (readonly [number, number])[];

export const MAX_CODE_POINT = 0x10ffff;
const FIRST_SURROGATE = 0xd800;
const LAST_SURROGATE = 0xdfff;
export const ALL_CODE_POINTS: CodePointRanges = [[0, MAX_CODE_POINT]];

/** Sorts and joins ranges. */
export function normalRanges(ranges: CodePointRanges): CodePointRanges {
  const sorted = [...ranges].filter(([from, to]) => from <= to).sort((a, b) => a[0] - b[0]);
  const joined: [number, number][] = [];
  for (const [from, to] of sorted) {
    const last = joined.at(-1);
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else joined.push([from, to]);
  }
  return joined;
}

/** The code points that are in none of the ranges. */
export function complementRanges(ranges: CodePointRanges): CodePointRanges {
  const result: [number, number][] = [];
  let next = 0;
  for (const [from, to] of normalRanges(ranges)) {
    if (from > next) result.push([next, from - 1]);
    next = to + 1;
  }
  if (next <= MAX_CODE_POINT) result.push([next, MAX_CODE_POINT]);
  return result;
}

/** The UTF-8 encoding of a code point that is no surrogate. */
export function utf8Bytes(codePoint: number): number[] {
  if (codePoint < 0x80) return [codePoint];
  if (codePoint < 0x800) return [0xc0 | (codePoint >> 6), 0x80 | (codePoint & 63)];
  if (codePoint < 0x10000) return [0xe0 | (codePoint >> 12), 0x80 | ((codePoint >> 6) & 63), 0x80 | (codePoint & 63)];
  return [
    0xf0 | (codePoint >> 18),
    0x80 | ((codePoint >> 12) & 63),
    0x80 | ((codePoint >> 6) & 63),
    0x80 | (codePoint & 63),
  ];
}

/** By pool and by the object of the ranges: many patterns share `.`, `\w` and the Unicode properties. */
const expressions = new WeakMap<ExpressionPool, WeakMap<CodePointRanges, Expression>>();

/** The language of one code point out of `ranges`; surrogates are left out. */
export function codePointExpression(pool: ExpressionPool, ranges: CodePointRanges): Expression {
  let known = expressions.get(pool);
  if (known === undefined) {
    known = new WeakMap();
    expressions.set(pool, known);
  }
  const expression = known.get(ranges) ?? newExpression(pool, ranges);
  known.set(ranges, expression);
  return expression;
}

function newExpression(pool: ExpressionPool, ranges: CodePointRanges): Expression {
  const choices: Expression[] = [];
  const addSameLength = (low: readonly number[], high: readonly number[]): Expression => {
    if (low.length === 1) return pool.bytes(ByteSet.range(low[0], high[0]));
    const [first, ...rest] = low;
    const [last, ...end] = high;
    const step = (byte: Expression, from: readonly number[], to: readonly number[]) =>
      pool.concat(byte, addSameLength(from, to));
    const least = rest.map(() => 0x80);
    const most = rest.map(() => 0xbf);
    if (first === last) return step(pool.byte(first), rest, end);
    const startsFull = rest.every((byte) => byte === 0x80);
    const endsFull = end.every((byte) => byte === 0xbf);
    const parts: Expression[] = [];
    if (!startsFull) parts.push(step(pool.byte(first), rest, most));
    const from = startsFull ? first : first + 1;
    const to = endsFull ? last : last - 1;
    if (from <= to) parts.push(step(pool.bytes(ByteSet.range(from, to)), least, most));
    if (!endsFull) parts.push(step(pool.byte(last), least, end));
    return pool.or(parts);
  };
  const borders = [0, 0x80, 0x800, FIRST_SURROGATE, LAST_SURROGATE + 1, 0x10000, MAX_CODE_POINT + 1];
  for (const [from, to] of normalRanges(ranges)) {
    for (let i = 0; i + 1 < borders.length; i++) {
      if (borders[i] === FIRST_SURROGATE) continue;
      const low = Math.max(from, borders[i]);
      const high = Math.min(to, borders[i + 1] - 1);
      if (low <= high) choices.push(addSameLength(utf8Bytes(low), utf8Bytes(high)));
    }
  }
  return pool.or(choices);
}
