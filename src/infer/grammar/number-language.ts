/**
 * @file The JSON texts of the numbers that a schema allows, as exact automata over their digits.
 *
 * A reader parses to double precision. So texts never overflow, and where rounding could break a bound that excludes its own
 * value or a multiple, they have at most 15 significant digits, which doubles tell apart.
 */
import { ByteSet } from "./byte-set.js";
import { type Decimal, decimalOf, scaledDecimal } from "./decimal.js";
import type { Expression, Machine } from "./expression.js";
import type { ExpressionPool } from "./expression-pool.js";

/** All that a schema requires of a number. */
export interface NumberLimits {
  readonly integers: boolean;
  readonly fractions: boolean;
  readonly lower?: { readonly value: number; readonly exclusive: boolean };
  readonly upper?: { readonly value: number; readonly exclusive: boolean };
  /** Each must divide the number. */
  readonly multiples: readonly number[];
  readonly notMultiples: readonly number[];
  /** If given, the number is one of these. */
  readonly among?: readonly number[];
  readonly excluded: readonly number[];
}

/** Digits before the point that never overflow. */
const MAX_WHOLE = 308;
const MAX_SIGNIFICANT = 15;
/** Largest numerator of a `multipleOf`, whose remainders are the automaton's states. */
export const MAX_DIVISOR = 100_000;
/** Most multiples between two bounds that are listed one by one. */
const MAX_LISTED = 2000;
/** Digits before the exponent and largest exponent: together they never overflow. */
const EXPONENT_WHOLE = 17;

export class NumberLanguage {
  readonly #pool: ExpressionPool;
  readonly #digit: Expression;
  readonly #zeros: Expression;

  constructor(pool: ExpressionPool) {
    this.#pool = pool;
    this.#digit = pool.bytes(ByteSet.range(0x30, 0x39));
    this.#zeros = pool.star(pool.byte(0x30));
  }

  of(limits: NumberLimits): Expression {
    const pool = this.#pool;
    const { integers, fractions, lower, upper, multiples, notMultiples, among, excluded } = limits;
    if (!integers && !fractions) return pool.empty;
    const listed = among ?? multiplesBetween(limits);
    if (listed !== undefined) return this.#among(limits, listed);
    const isExact =
      lower?.exclusive || upper?.exclusive || multiples.length + notMultiples.length + excluded.length > 0;
    const isFree = !isExact && lower === undefined && upper === undefined;
    const parts: Expression[] = [];
    if (!fractions) parts.push(this.#integer(isExact ? MAX_SIGNIFICANT : MAX_WHOLE));
    else if (isFree && integers) return this.#anyNumber();
    else {
      parts.push(isExact ? this.#significant() : this.#decimal());
      if (!integers) parts.push(pool.not(this.#integerValue()));
    }
    if (lower !== undefined) parts.push(this.#atLeast(decimalOf(lower.value), lower.exclusive));
    if (upper !== undefined) parts.push(this.#atMost(decimalOf(upper.value), upper.exclusive));
    for (const divisor of multiples) parts.push(this.#multiple(divisor));
    for (const divisor of notMultiples) parts.push(pool.not(this.#multiple(divisor)));
    if (excluded.length > 0) parts.push(pool.not(pool.or(excluded.map((value) => this.#exactly(value, true)))));
    return pool.and(parts);
  }

  /** The numbers of a list that meet the limits. */
  #among(limits: NumberLimits, among: readonly number[]): Expression {
    const { integers, fractions, lower, upper, multiples, notMultiples, excluded } = limits;
    this.#pool.meter.spend("values", among.length * (1 + multiples.length + notMultiples.length));
    const isExcluded = new Set(excluded);
    const kept = among.filter(
      (value) =>
        (Number.isInteger(value) ? integers : fractions) &&
        (lower === undefined || (lower.exclusive ? value > lower.value : value >= lower.value)) &&
        (upper === undefined || (upper.exclusive ? value < upper.value : value <= upper.value)) &&
        multiples.every((divisor) => isMultiple(value, divisor)) &&
        !notMultiples.some((divisor) => isMultiple(value, divisor)) &&
        !isExcluded.has(value),
    );
    return this.#pool.or(kept.map((value) => this.#exactly(value, fractions)));
  }

  #text(text: string): Expression {
    return this.#pool.literal(Array.from(text, (unit) => unit.charCodeAt(0)));
  }

  #digitsBetween(from: number, to: number): Expression {
    return from > to ? this.#pool.empty : this.#pool.bytes(ByteSet.range(0x30 + from, 0x30 + to));
  }

  #digits(min: number, max: number): Expression {
    return this.#pool.repeat(this.#digit, min, max);
  }

  #signed(magnitude: Expression): Expression {
    return this.#pool.concat(this.#pool.optional(this.#text("-")), magnitude);
  }

  #whole(most: number): Expression {
    const pool = this.#pool;
    return pool.or([this.#text("0"), pool.concat(this.#digitsBetween(1, 9), this.#digits(0, most - 1))]);
  }

  #integer(most: number): Expression {
    return this.#signed(this.#whole(most));
  }

  /** A point and digits, or nothing. */
  #fraction(): Expression {
    return this.#pool.optional(this.#pool.concat(this.#text("."), this.#digits(1, Number.POSITIVE_INFINITY)));
  }

  #decimal(): Expression {
    return this.#signed(this.#pool.concat(this.#whole(MAX_WHOLE), this.#fraction()));
  }

  #anyNumber(): Expression {
    const pool = this.#pool;
    const e = pool.bytes(ByteSet.of([0x45, 0x65]));
    const sign = pool.optional(pool.bytes(ByteSet.of([0x2b, 0x2d])));
    const exponent = pool.sequence([e, sign, this.#digits(1, 2)]);
    const short = pool.sequence([this.#whole(EXPONENT_WHOLE), this.#fraction(), exponent]);
    return pool.or([this.#decimal(), this.#signed(short)]);
  }

  /** Decimals with at most 15 digits. */
  #significant(): Expression {
    const pool = this.#pool;
    const choices: Expression[] = [];
    for (let whole = 1; whole <= MAX_SIGNIFICANT; whole++) {
      const before =
        whole === 1 ? this.#digit : pool.concat(this.#digitsBetween(1, 9), this.#digits(whole - 1, whole - 1));
      const after =
        whole === MAX_SIGNIFICANT
          ? pool.epsilon
          : pool.optional(pool.concat(this.#text("."), this.#digits(1, MAX_SIGNIFICANT - whole)));
      choices.push(pool.concat(before, after));
    }
    return this.#signed(pool.or(choices));
  }

  /** Decimals whose digits after the point, if any, are zeros. */
  #integerValue(): Expression {
    const pool = this.#pool;
    const zeros = pool.optional(pool.sequence([this.#text("."), this.#text("0"), this.#zeros]));
    return pool.concat(this.#signed(this.#digits(1, Number.POSITIVE_INFINITY)), zeros);
  }

  #exactly(value: number, withFraction: boolean): Expression {
    const pool = this.#pool;
    const { negative, whole, fraction } = decimalOf(value);
    const zeros =
      fraction !== ""
        ? this.#zeros
        : withFraction
          ? pool.optional(pool.sequence([this.#text("."), this.#text("0"), this.#zeros]))
          : pool.epsilon;
    const sign = value === 0 ? pool.optional(this.#text("-")) : this.#text(negative ? "-" : "");
    return pool.sequence([sign, this.#text(fraction === "" ? whole : `${whole}.${fraction}`), zeros]);
  }

  #atLeast(bound: Decimal, exclusive: boolean): Expression {
    const pool = this.#pool;
    const isZero = bound.whole === "0" && bound.fraction === "";
    if (bound.negative) {
      const below = pool.concat(this.#text("-"), this.#magnitudeAtMost(bound, exclusive));
      return pool.or([this.#magnitude(), below]);
    }
    const above = this.#magnitudeAtLeast(bound, exclusive);
    return isZero && !exclusive
      ? pool.or([above, pool.concat(this.#text("-"), this.#magnitudeAtMost(bound, false))])
      : above;
  }

  #atMost(bound: Decimal, exclusive: boolean): Expression {
    const pool = this.#pool;
    const isZero = bound.whole === "0" && bound.fraction === "";
    const minus = this.#text("-");
    if (bound.negative) return pool.concat(minus, this.#magnitudeAtLeast(bound, exclusive));
    const below = this.#magnitudeAtMost(bound, exclusive);
    const negative = isZero && exclusive ? this.#magnitudeAtLeast(bound, true) : this.#magnitude();
    return pool.or([below, pool.concat(minus, negative)]);
  }

  #magnitude(): Expression {
    return this.#pool.concat(this.#whole(MAX_WHOLE), this.#fraction());
  }

  #magnitudeAtLeast({ whole, fraction }: Decimal, exclusive: boolean): Expression {
    const pool = this.#pool;
    const more: Expression[] = [];
    if (whole.length < MAX_WHOLE)
      more.push(pool.concat(this.#digitsBetween(1, 9), this.#digits(whole.length, MAX_WHOLE - 1)));
    for (let i = 0; i < whole.length; i++) {
      const greater = this.#digitsBetween(Number(whole[i]) + 1, 9);
      const rest = whole.length - i - 1;
      more.push(pool.sequence([this.#text(whole.slice(0, i)), greater, this.#digits(rest, rest)]));
    }
    const any = this.#digits(0, Number.POSITIVE_INFINITY);
    const anyAfter: Expression[] = [];
    for (let i = 0; i < fraction.length; i++) {
      const greater = this.#digitsBetween(Number(fraction[i]) + 1, 9);
      anyAfter.push(pool.sequence([this.#text(fraction.slice(0, i)), greater, any]));
    }
    const nonZero = pool.sequence([this.#zeros, this.#digitsBetween(1, 9), any]);
    anyAfter.push(
      pool.concat(
        this.#text(fraction),
        exclusive ? nonZero : fraction === "" ? this.#digits(1, Number.POSITIVE_INFINITY) : any,
      ),
    );
    const after = pool.concat(this.#text("."), pool.or(anyAfter));
    const same = pool.concat(this.#text(whole), exclusive || fraction !== "" ? after : pool.optional(after));
    return pool.or([pool.concat(pool.or(more), this.#fraction()), same]);
  }

  #magnitudeAtMost({ whole, fraction }: Decimal, exclusive: boolean): Expression {
    const pool = this.#pool;
    const less: Expression[] = [];
    if (whole.length > 1) less.push(this.#whole(whole.length - 1));
    for (let i = 0; i < whole.length; i++) {
      const lesser = this.#digitsBetween(i === 0 && whole.length > 1 ? 1 : 0, Number(whole[i]) - 1);
      const rest = whole.length - i - 1;
      less.push(pool.sequence([this.#text(whole.slice(0, i)), lesser, this.#digits(rest, rest)]));
    }
    const any = this.#digits(0, Number.POSITIVE_INFINITY);
    const after: Expression[] = [];
    for (let i = 0; i < fraction.length; i++) {
      const lesser = this.#digitsBetween(0, Number(fraction[i]) - 1);
      after.push(pool.sequence([this.#text(fraction.slice(0, i)), lesser, any]));
      if (i > 0) after.push(this.#text(fraction.slice(0, i)));
    }
    const zero = pool.concat(this.#text("0"), this.#zeros);
    if (!exclusive) after.push(fraction === "" ? zero : pool.concat(this.#text(fraction), this.#zeros));
    const point = pool.concat(this.#text("."), pool.or(after));
    const same = pool.concat(this.#text(whole), exclusive && fraction === "" ? pool.empty : pool.optional(point));
    return pool.or([pool.concat(pool.or(less), this.#fraction()), same]);
  }

  #multiple(divisor: number): Expression {
    return this.#pool.machine(multipleMachine(divisor), START);
  }
}

/** All numbers between two bounds that a step divides, if they are few. */
function multiplesBetween({ lower, upper, multiples, fractions }: NumberLimits): readonly number[] | undefined {
  if (lower === undefined || upper === undefined || multiples.length === 0) return undefined;
  const steps = [...multiples, ...(fractions ? [] : [1])].map((divisor) => scaledDecimal(divisor)!);
  const scale = Math.max(...steps.map((step) => step.scale));
  const least = steps
    .map((step) => BigInt(step.numerator) * 10n ** BigInt(scale - step.scale))
    .reduce((a, b) => (a / greatestDivisor(a, b)) * b);
  const step = Number(least) / 10 ** scale;
  const first = Math.ceil(lower.value / step) - 1;
  const last = Math.floor(upper.value / step) + 1;
  if (!(last - first <= MAX_LISTED) || !Number.isSafeInteger(first * Number(least))) return undefined;
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => {
    return Number(`${(first + i) * Number(least)}e-${scale}`);
  }).filter((value) => value >= lower.value && value <= upper.value);
}

function greatestDivisor(a: bigint, b: bigint): bigint {
  return b === 0n ? a : greatestDivisor(b, a % b);
}

const START = 0;
/** Digits that a machine counts before and after the point; only 15 are significant. */
const SIGN = 1;
const FIRST = 2;

/**
 * Reads decimal digits and keeps their remainder. States: 0 start, 1 after the sign, then 2 + remainder × (scale + 3) + place: the
 * place is 0 before the point, 1 + k after k of the digits after the point that count, scale + 2 beyond them, where only zeros are
 * allowed.
 */
function multipleMachine(divisor: number): Machine {
  const { numerator, scale } = scaledDecimal(divisor)!;
  const places = scale + 2;
  const pack = (remainder: number, place: number) => FIRST + remainder * places + place;
  return {
    key: `multiple ${numerator}/${scale}`,
    next(state, byte) {
      if (byte === 0x2d) return state === START ? SIGN : -1;
      const digit = byte - 0x30;
      const isDigit = digit >= 0 && digit <= 9;
      if (state < FIRST) return isDigit ? pack(digit % numerator, 0) : -1;
      const place = (state - FIRST) % places;
      const remainder = (state - FIRST - place) / places;
      if (byte === 0x2e) return place === 0 ? pack(remainder, 1) : -1;
      if (!isDigit) return -1;
      if (place === 0) return pack((remainder * 10 + digit) % numerator, 0);
      if (place <= scale) return pack((remainder * 10 + digit) % numerator, place + 1);
      return digit === 0 ? state : -1;
    },
    accepts(state) {
      if (state < FIRST) return false;
      const place = (state - FIRST) % places;
      let remainder = (state - FIRST - place) / places;
      // Digits that are missing are zeros.
      for (let missing = place === 0 ? scale : scale + 1 - place; missing > 0; missing--)
        remainder = (remainder * 10) % numerator;
      return remainder === 0;
    },
  };
}

/** Whether a number is a multiple in decimal arithmetic, or by division of doubles if it has too many digits. */
export function isMultiple(value: number, divisor: number): boolean {
  const { whole, fraction } = decimalOf(value);
  const { whole: divisorWhole, fraction: divisorFraction } = decimalOf(divisor);
  const scale = Math.max(fraction.length, divisorFraction.length);
  const numerator = BigInt(whole + fraction.padEnd(scale, "0"));
  const denominator = BigInt(divisorWhole + divisorFraction.padEnd(scale, "0"));
  return denominator !== 0n && numerator % denominator === 0n;
}
