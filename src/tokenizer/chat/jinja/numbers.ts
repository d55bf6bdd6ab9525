/**
 * @file Python's numbers. An int is a bigint and a float is a number, so 2 and 2.0 stay different.
 * Rounding is exact: it works on the bits of a float, without multiplying it by powers of ten.
 */
import { fail, refuse } from "./failure.js";

/** Maximum bits of an int. Python has no limit, but a template could compute 2 ** 10 ** 9. */
const MAX_BITS = 1 << 16;
/** Python's limit of digits when printing an int. */
const MAX_DIGITS = 4300;

export function intText(value: bigint): string {
  const text = value.toString();
  if (text.length > MAX_DIGITS + 1) fail("an integer of more than 4,300 digits cannot be printed");
  return text;
}

/** Prints a float as Python does: `2.0`, `1e+16`, `1e-05`. */
export function floatText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  if (Object.is(value, -0)) return "-0.0";
  const [digits, exponent] = value.toExponential().split("e");
  const power = Number(exponent);
  if (value !== 0 && (power < -4 || power >= 16)) return `${digits}e${exponentText(power)}`;
  const text = String(value);
  return text.includes(".") ? text : `${text}.0`;
}

export function exponentText(power: number): string {
  return `${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
}

/** Returns |value| · 10^digits as an integer, rounded half to even. */
function scaled(value: number, digits: number): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, Math.abs(value));
  const bits = view.getBigUint64(0);
  const biased = Number(bits >> 52n);
  const fraction = bits & ((1n << 52n) - 1n);
  const mantissa = biased === 0 ? fraction : fraction | (1n << 52n);
  const power = (biased === 0 ? 1 : biased) - 1075;
  let above = mantissa;
  let below = 1n;
  if (power > 0) above <<= BigInt(power);
  else below <<= BigInt(-power);
  if (digits > 0) above *= 10n ** BigInt(digits);
  else below *= 10n ** BigInt(-digits);
  return halfEven(above, below);
}

function halfEven(above: bigint, below: bigint): bigint {
  const whole = above / below;
  const twice = (above % below) * 2n;
  return twice > below || (twice === below && whole % 2n === 1n) ? whole + 1n : whole;
}

/** @throws TemplateFailure for more than 400 digits after the decimal point, which no template needs */
function checkDigits(digits: number): void {
  if (digits > 400) refuse(`a precision of ${digits} digits`);
}

/** Writes a finite float without its sign, with `digits` digits after the decimal point. */
export function fixedDigits(value: number, digits: number): string {
  checkDigits(digits);
  const text = scaled(value, digits)
    .toString()
    .padStart(digits + 1, "0");
  return digits === 0 ? text : `${text.slice(0, -digits)}.${text.slice(-digits)}`;
}

/** Writes a finite float without its sign as one digit, `digits` digits after the point, and a power of ten. */
export function scientificDigits(value: number, digits: number): { readonly text: string; readonly power: number } {
  checkDigits(digits);
  if (value === 0) return { text: digits === 0 ? "0" : `0.${"0".repeat(digits)}`, power: 0 };
  let power = Number(value.toExponential().split("e")[1]);
  let text = scaled(value, digits - power).toString();
  if (text.length > digits + 1) {
    power++;
    text = scaled(value, digits - power).toString();
  }
  return { text: digits === 0 ? text : `${text[0]}.${text.slice(1)}`, power };
}

/** Python's round(value, digits) of a float. */
export function roundFloat(value: number, digits: number): number {
  if (!Number.isFinite(value) || digits > 323) return value;
  if (digits < -308) return value < 0 ? -0 : 0;
  const rounded = Number(`${scaled(value, digits)}e${-digits}`);
  if (!Number.isFinite(rounded)) fail("rounded value too large to represent");
  return value < 0 || Object.is(value, -0) ? -rounded : rounded;
}

/** Python's round(value, digits) of an int. */
export function roundInt(value: bigint, digits: number): bigint {
  if (digits >= 0) return value;
  if (digits < -MAX_DIGITS) return 0n;
  const unit = 10n ** BigInt(-digits);
  const rounded = halfEven(value < 0n ? -value : value, unit) * unit;
  return value < 0n ? -rounded : rounded;
}

/** Converts an int to a float. Python rounds half to even, as JavaScript does. */
export function toFloat(value: bigint): number {
  const float = Number(value);
  if (!Number.isFinite(float)) fail("int too large to convert to float");
  return float;
}

/** int / int. Python rounds it once, so integers beyond 2 ** 53 are refused. */
function divideInts(a: bigint, b: bigint): number {
  const [x, y] = [Number(a), Number(b)];
  if (!Number.isSafeInteger(x) || !Number.isSafeInteger(y)) refuse("the division of integers beyond 2 ** 53");
  return x / y;
}

function floorDivideInts(a: bigint, b: bigint): bigint {
  const quotient = a / b;
  return a % b !== 0n && a < 0n !== b < 0n ? quotient - 1n : quotient;
}

function floatDivmod(a: number, b: number): { readonly floor: number; readonly rest: number } {
  let rest = a % b;
  let quotient = (a - rest) / b;
  if (rest !== 0) {
    if (b < 0 !== rest < 0) {
      rest += b;
      quotient -= 1;
    }
  } else rest = b < 0 ? -0 : 0;
  if (quotient === 0) return { floor: a / b < 0 || Object.is(a / b, -0) ? -0 : 0, rest };
  let floor = Math.floor(quotient);
  if (quotient - floor > 0.5) floor += 1;
  return { floor, rest };
}

function powerOf(a: bigint | number, b: bigint | number): bigint | number {
  if (typeof a === "bigint" && typeof b === "bigint") {
    if (b >= 0n) {
      const size = BigInt(a.toString(2).length) * b;
      if (size > MAX_BITS && a !== 0n && a !== 1n && a !== -1n) refuse(`an integer of about ${size} bits`);
      return a ** b;
    }
    if (a === 0n) fail("0.0 cannot be raised to a negative power");
    const below = a ** -b > 1n << 53n ? refuse("a power beyond 2 ** 53") : a ** -b;
    return 1 / Number(below);
  }
  const [x, y] = [Number(a), Number(b)];
  // Only these powers are bit-identical in every math library.
  if (y === 0) return 1;
  if (y === 1) return x;
  if (y === 2) return x * x;
  if (y === -1 && x !== 0) return 1 / x;
  return refuse("a power of a float");
}

export type ArithmeticOperator = "+" | "-" | "*" | "/" | "//" | "%" | "**";

/** Computes a binary operation as Python does. Two ints give an int, except for `/`. */
export function calculate(operator: ArithmeticOperator, a: bigint | number, b: bigint | number): bigint | number {
  if (operator === "**") return powerOf(a, b);
  if ((operator === "/" || operator === "//" || operator === "%") && Number(b) === 0) fail("division by zero");
  if (typeof a === "bigint" && typeof b === "bigint") {
    if (operator === "+") return a + b;
    if (operator === "-") return a - b;
    if (operator === "*") {
      if (a.toString(16).length + b.toString(16).length > MAX_BITS / 4) refuse("a product of such large integers");
      return a * b;
    }
    if (operator === "/") return divideInts(a, b);
    return operator === "//" ? floorDivideInts(a, b) : a - floorDivideInts(a, b) * b;
  }
  const x = typeof a === "bigint" ? toFloat(a) : a;
  const y = typeof b === "bigint" ? toFloat(b) : b;
  if (operator === "+") return x + y;
  if (operator === "-") return x - y;
  if (operator === "*") return x * y;
  if (operator === "/") return x / y;
  const { floor, rest } = floatDivmod(x, y);
  return operator === "//" ? floor : rest;
}

const SPACE = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]*";
const INTEGER = new RegExp(`^${SPACE}([+-]?)(0[bBoOxX]_?)?([0-9a-zA-Z]+(?:_[0-9a-zA-Z]+)*)${SPACE}$`);
const FLOAT = new RegExp(
  `^${SPACE}([+-]?(?:\\d+(?:_\\d+)*\\.?(?:\\d+(?:_\\d+)*)?|\\.\\d+(?:_\\d+)*)(?:[eE][+-]?\\d+(?:_\\d+)*)?)${SPACE}$`,
);
const NAMED_FLOAT = new RegExp(`^${SPACE}([+-]?)(inf|infinity|nan)${SPACE}$`, "i");
const OTHER_DIGIT = /[^\0-\x7f]/;
const PREFIXES: Readonly<Record<string, number>> = { b: 2, o: 8, x: 16 };

/** Python's int(text, base), or undefined where it raises a ValueError. */
export function parseInteger(text: string, base: number): bigint | undefined {
  if (OTHER_DIGIT.test(text) && /\p{Nd}/u.test(text.replace(/[0-9]/g, ""))) refuse("non-ASCII digits in a number");
  const match = INTEGER.exec(text);
  if (match === null || text.length > MAX_DIGITS) return undefined;
  let [, sign, prefix = "", digits] = match;
  if (prefix !== "") {
    const own = PREFIXES[prefix[1].toLowerCase()];
    if (base === 0 || base === own) base = own;
    else {
      digits = prefix + digits;
      if (/__/.test(digits)) return undefined;
    }
  } else if (base === 0) {
    if (/^0[0_]*[1-9]/.test(digits)) return undefined;
    base = 10;
  }
  let value = 0n;
  for (const digit of digits.replaceAll("_", "")) {
    const one = Number.parseInt(digit, 36);
    if (!(one < base)) return undefined;
    value = value * BigInt(base) + BigInt(one);
  }
  return sign === "-" ? -value : value;
}

/** Python's float(text), or undefined where it raises a ValueError. */
export function parseFloatText(text: string): number | undefined {
  if (OTHER_DIGIT.test(text) && /\p{Nd}/u.test(text.replace(/[0-9]/g, ""))) refuse("non-ASCII digits in a number");
  const named = NAMED_FLOAT.exec(text);
  if (named !== null) {
    const value = named[2].toLowerCase() === "nan" ? Number.NaN : Number.POSITIVE_INFINITY;
    return named[1] === "-" ? -value : value;
  }
  const match = FLOAT.exec(text);
  return match === null ? undefined : Number(match[1].replaceAll("_", ""));
}
