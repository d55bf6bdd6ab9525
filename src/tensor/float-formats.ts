/** @file Formats in which numbers are stored, to and from float32: those of weights in files, and those of tensors. */
import type { DType } from "./tensor.js";

/** float64, float32, IEEE half precision, bfloat16. */
export const FLOAT_DTYPES = ["F64", "F32", "F16", "BF16"] as const;
export type FloatDType = (typeof FLOAT_DTYPES)[number];

const scratchFloat = new Float32Array(1);
const scratchBits = new Uint32Array(scratchFloat.buffer);

/** The float32 of half-precision bits; exact, as every half is a float32. */
export function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24; // zero and subnormal
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The half-precision bits nearest to a float32, ties to even; what is too large becomes infinite. */
export function floatToHalf(value: number): number {
  scratchFloat[0] = value;
  const bits = scratchBits[0];
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00; // not a number
  if (magnitude >= 0x47800000) return sign | 0x7c00; // 65536 and above
  if (magnitude < 0x38800000) {
    // Below 2^-14: a multiple of 2^-24. Adding 1/2 puts that multiple into the last bits of a float32, rounded.
    scratchFloat[0] = 0.5;
    const half = scratchBits[0];
    scratchBits[0] = magnitude;
    scratchFloat[0] += 0.5;
    return sign | (scratchBits[0] - half);
  }
  // The thirteen bits that go are rounded to even; a carry runs into the exponent as it should.
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}

/** The bfloat16 bits nearest to float32 bits, ties to even. */
export function floatBitsToBfloat16(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40; // not a number stays one
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** The bfloat16 bits nearest to a number. */
export function floatToBfloat16(value: number): number {
  scratchFloat[0] = value;
  return floatBitsToBfloat16(scratchBits[0]);
}

export function bfloat16ToFloat(bits: number): number {
  scratchBits[0] = bits << 16;
  return scratchFloat[0];
}

const toInteger = (value: number, least: number, most: number) =>
  Number.isNaN(value) ? 0 : Math.min(most, Math.max(least, Math.trunc(value))) + 0; // no −0

/** A number as a tensor of this type keeps it (`cast` says how); of f32 all digits that it has. */
export const castNumber: { readonly [D in DType]: (value: number) => number } = {
  f32: (value) => value,
  bf16: (value) => bfloat16ToFloat(floatToBfloat16(value)),
  f16: (value) => halfToFloat(floatToHalf(value)),
  i32: (value) => toInteger(value, -(2 ** 31), 2 ** 31 - 1),
  u8: (value) => toInteger(value, 0, 255),
};

/** Formats of one byte: exponent bits, how far below zero exponents go, and what the topmost values mean. */
const BYTE_FORMATS = {
  // 256 numbers but for two that are not: S.1111.111 (Micikevicius et al., arXiv:2209.05433)
  F8_E4M3: { exponentBits: 4, bias: 7, top: "one NaN" },
  F8_E5M2: { exponentBits: 5, bias: 15, top: "IEEE" },
  // No negative zero: its bits are the only NaN (Noune et al., arXiv:2206.02915)
  F8_E4M3FNUZ: { exponentBits: 4, bias: 8, top: "none" },
  F8_E5M2FNUZ: { exponentBits: 5, bias: 16, top: "none" },
} as const;

export const BYTE_FLOAT_DTYPES = ["F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F8_E8M0"] as const;
/** Floating-point types of one byte, which files hold and nothing computes with. */
export type ByteFloatDType = (typeof BYTE_FLOAT_DTYPES)[number];

/** The float32 of a one-byte float; exact. */
function byteToFloat(bits: number, dtype: ByteFloatDType): number {
  // A scale of microscaling formats: a power of two without a sign (Rouhani et al., arXiv:2310.10537)
  if (dtype === "F8_E8M0") return bits === 255 ? Number.NaN : 2 ** (bits - 127);
  const { exponentBits, bias, top } = BYTE_FORMATS[dtype];
  const fractionBits = 7 - exponentBits;
  const sign = bits & 0x80 ? -1 : 1;
  const exponent = (bits & 0x7f) >> fractionBits;
  const fraction = bits & ((1 << fractionBits) - 1);
  if (top === "none" && bits === 0x80) return Number.NaN;
  if (top === "one NaN" && (bits & 0x7f) === 0x7f) return Number.NaN;
  if (top === "IEEE" && exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** (1 - bias - fractionBits); // zero and subnormal
  return sign * (1 + fraction / (1 << fractionBits)) * 2 ** (exponent - bias);
}

/** Stored bytes as float32 values; `bytes` must start its buffer. */
export function convertToFloats(bytes: Uint8Array, dtype: FloatDType | ByteFloatDType): Float32Array {
  switch (dtype) {
    case "F8_E4M3":
    case "F8_E5M2":
    case "F8_E4M3FNUZ":
    case "F8_E5M2FNUZ":
    case "F8_E8M0": {
      const all = Float32Array.from({ length: 256 }, (_, bits) => byteToFloat(bits, dtype));
      const values = new Float32Array(bytes.length);
      for (let i = 0; i < bytes.length; i++) values[i] = all[bytes[i]];
      return values;
    }
    case "F32":
      return new Float32Array(bytes.buffer);
    case "F64":
      return Float32Array.from(new Float64Array(bytes.buffer));
    case "F16":
      return Float32Array.from(new Uint16Array(bytes.buffer), halfToFloat);
    case "BF16": {
      const stored = new Uint16Array(bytes.buffer);
      const bits = new Uint32Array(stored.length);
      for (let i = 0; i < stored.length; i++) bits[i] = stored[i] << 16;
      return new Float32Array(bits.buffer);
    }
    default:
      throw new Error(dtype satisfies never);
  }
}

/** float32 values as they are stored. */
export function convertFromFloats(values: Float32Array, dtype: FloatDType): NodeJS.ArrayBufferView {
  switch (dtype) {
    case "F32":
      return values;
    case "F64":
      return Float64Array.from(values);
    case "F16":
      return Uint16Array.from(values, floatToHalf);
    case "BF16": {
      const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
      return Uint16Array.from(bits, floatBitsToBfloat16);
    }
    default:
      throw new Error(dtype satisfies never);
  }
}
