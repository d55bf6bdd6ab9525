/**
 * @file Converts values of a Parquet column to JSON: integers beyond 2^53 become strings of digits, times ISO 8601, bytes
 * base64.
 */
import { isUtf8 } from "node:buffer";
import type { SchemaNode, TimeUnit } from "./metadata.js";

/** Marks a string that is not UTF-8. */
export const NOT_UTF8 = Symbol("not UTF-8");

export interface ValueMaker {
  readonly ofBytes: (bytes: Buffer, from: number, to: number) => unknown;
  readonly ofNumber: (value: number) => unknown;
  readonly ofBigint: (value: bigint) => unknown;
}

/**
 * Returns the functions that convert a leaf's values to JSON.
 * @param strict whether a string that is not UTF-8 becomes NOT_UTF8, instead of a text with U+FFFD
 */
export function valueMaker({ meaning, type }: SchemaNode, strict: boolean): ValueMaker {
  const text = (bytes: Buffer, from: number, to: number) => {
    const string = bytes.toString("utf8", from, to);
    return strict && string.includes("\ufffd") && !isUtf8(bytes.subarray(from, to)) ? NOT_UTF8 : string;
  };
  const base64 = (bytes: Buffer, from: number, to: number) => bytes.toString("base64", from, to);
  const plain: ValueMaker = { ofBytes: base64, ofNumber: finite, ofBigint: integer };
  switch (meaning?.kind) {
    case "text":
      return { ...plain, ofBytes: text };
    case "json":
      return { ...plain, ofBytes: (...of) => jsonOf(text(...of)) };
    case "uuid":
      return { ...plain, ofBytes: (...[bytes, from, to]) => dashed(bytes.toString("hex", from, to)) };
    case "float16":
      return { ...plain, ofBytes: (bytes, from, to) => (to - from === 2 ? half(bytes.readUInt16LE(from)) : null) };
    case "date":
      return { ...plain, ofNumber: (days) => isoOf(days * 86_400_000) };
    case "timestamp": {
      const { unit } = meaning;
      return { ...plain, ofNumber: (n) => isoIn(BigInt(n), unit), ofBigint: (n) => isoIn(n, unit) };
    }
    case "decimal": {
      const { scale } = meaning;
      return {
        ofBytes: (bytes, from, to) => decimal(signed(bytes.subarray(from, to)), scale),
        ofNumber: (n) => decimal(BigInt(n), scale),
        ofBigint: (n) => decimal(n, scale),
      };
    }
    case "unsigned": {
      const { bits } = meaning;
      return {
        ...plain,
        ofNumber: (n) => (bits >= 32 ? n >>> 0 : n & (2 ** bits - 1)),
        ofBigint: (n) => integer(BigInt.asUintN(64, n)),
      };
    }
    default:
      // A timestamp as nanoseconds of the day and Julian day, written by Impala and Spark.
      return type === "INT96" ? { ...plain, ofBytes: (bytes, from) => julian(bytes, from) } : plain;
  }
}

/** Returns an integer as a number if that is exact, else as a string of digits. */
export function integer(value: bigint): number | string {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
}

const finite = (value: number) => (Number.isFinite(value) ? value : null);

function isoOf(milliseconds: number): string | null {
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}

const PER_MILLISECOND: Readonly<Record<TimeUnit, bigint>> = { ms: 1n, us: 1000n, ns: 1_000_000n };
const isoIn = (value: bigint, unit: TimeUnit) => isoOf(Number(value / PER_MILLISECOND[unit]));

function julian(bytes: Buffer, from: number): string | null {
  const days = bytes.readInt32LE(from + 8) - 2_440_588;
  return isoOf(days * 86_400_000 + Number(bytes.readBigInt64LE(from) / 1_000_000n));
}

/** Returns a decimal as a number if that prints the same digits, else as a string. */
function decimal(value: bigint, scale: number): number | string | null {
  if (scale < 0 || scale > 100) return null;
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, "0");
  const written =
    (value < 0n ? "-" : "") +
    (scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`.replace(/\.?0+$/, ""));
  const number = Number(written);
  return String(number) === written ? number : written;
}

function signed(bytes: Buffer): bigint {
  if (bytes.length === 0 || bytes.length > 64) return 0n;
  return BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString("hex")}`));
}

function half(bits: number): number | null {
  const sign = bits >> 15 === 0 ? 1 : -1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return null;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
}

const dashed = (hex: string) => hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.*)$/, "$1-$2-$3-$4-$5");

function jsonOf(text: string | symbol): unknown {
  try {
    return typeof text === "string" ? JSON.parse(text) : text;
  } catch {
    return text;
  }
}
