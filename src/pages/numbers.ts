/** @file Formats numbers. Values from files may have any type: a value that is not a number becomes NaN, never HTML. */

export const asNumber = (value: unknown): number => (typeof value === "number" ? value : Number.NaN);

/** `1,234,567`. */
export const count = (value: unknown): string => asNumber(value).toLocaleString("en-US", { maximumFractionDigits: 0 });

/** A share of 0 to 1 as `12.3 %`. */
export const percent = (share: unknown, digits = 1): string => `${(100 * asNumber(share)).toFixed(digits)} %`;

/** Bytes as `12.3 MB` (1 MB is 1e6 bytes). */
export function size(bytes: unknown): string {
  const value = asNumber(bytes);
  if (value >= 1e9) return `${(value / 1e9).toFixed(2)} GB`;
  if (value >= 1e6) return `${(value / 1e6).toFixed(value >= 1e8 ? 0 : 2)} MB`;
  return value >= 1e3 ? `${(value / 1e3).toFixed(1)} kB` : `${value} B`;
}

/** `1200`, `12k`, `3.4M`, `0.25`, `3e-4`. */
export function plainNumber(value: unknown): string {
  const number = asNumber(value);
  const magnitude = Math.abs(number);
  if (magnitude >= 1e6) return `${rounded(number / 1e6)}M`;
  if (magnitude >= 1e4) return `${rounded(number / 1e3)}k`;
  if (magnitude > 0 && magnitude < 1e-3) return number.toExponential(1).replace(".0e", "e");
  return rounded(number);
}

const rounded = (value: number) => String(Number(value.toPrecision(3 + (Math.abs(value) >= 1000 ? 1 : 0))));

/** Seconds as `41 s`, `6 min 12 s`, `2 h 5 min`. */
export function duration(seconds: unknown): string {
  const whole = Math.round(asNumber(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
