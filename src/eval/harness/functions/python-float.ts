/** @file Python's `float(text)`. */
import { stripped } from "../python-values.js";

const FLOAT = /^[+-]?(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:[eE][+-]?\d+(?:_\d+)*)?$/;
const SPECIAL = /^([+-]?)(inf(?:inity)?|nan)$/i;

/** Returns the number that a text spells in any script's decimal digits, or undefined where Python raises ValueError. */
export function parsePythonFloat(text: string): number | undefined {
  const plain = stripped(text).replace(/\p{Nd}/gu, digitValue);
  const [, sign, word] = SPECIAL.exec(plain) ?? [];
  if (word !== undefined) {
    if (word.toLowerCase() === "nan") return Number.NaN;
    return sign === "-" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  }
  return FLOAT.test(plain) ? Number(plain.replaceAll("_", "")) : undefined;
}

/** Unicode encodes the decimal digits of a script in order, in runs of ten from its zero. */
function digitValue(digit: string): string {
  const at = digit.codePointAt(0)!;
  let first = at;
  while (/^\p{Nd}$/u.test(String.fromCodePoint(first - 1))) first--;
  return String((at - first) % 10);
}
