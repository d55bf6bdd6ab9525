/** @file Decimal numbers as digits, exactly as JavaScript prints them. */

/** Without leading zeros before the point (but "0" if there are no others) or trailing ones after it. */
export interface Decimal {
  readonly negative: boolean;
  readonly whole: string;
  readonly fraction: string;
}

/** The shortest decimal that reads as a finite number; 0 is never negative. */
export function decimalOf(value: number): Decimal {
  const [, sign, whole, fraction = "", exponent = "0"] = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(value))!;
  const digits = whole + fraction;
  const point = whole.length + Number(exponent);
  const padded = point > digits.length ? digits.padEnd(point, "0") : digits;
  const before = point > 0 ? padded.slice(0, point) : "";
  const after = point > 0 ? padded.slice(point) : "0".repeat(-point) + padded;
  const result = { whole: before.replace(/^0+/, "") || "0", fraction: after.replace(/0+$/, "") };
  return { ...result, negative: sign === "-" && (result.whole !== "0" || result.fraction !== "") };
}

/** A positive number as numerator / 10^scale, the numerator as an integer; undefined if it has over 15 digits. */
export function scaledDecimal(value: number): { readonly numerator: number; readonly scale: number } | undefined {
  const { whole, fraction } = decimalOf(value);
  const digits = (whole + fraction).replace(/^0+/, "");
  return digits.length > 15 ? undefined : { numerator: Number(digits), scale: fraction.length };
}
