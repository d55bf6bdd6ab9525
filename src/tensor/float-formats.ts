/** @file Conversions between float32 and the number formats of weight files and tensors. */
import type { NumberDType } from "./tensor.js";

/** float64, float32, IEEE half precision, bfloat16. */
export const FLOAT_DTYPES = ["F64", "F32", "F16", "BF16"] as const;
export type FloatDType = (typeof FLOAT_DTYPES)[number];

const scratchFloat = new Float32Array(1);
const scratchBits = new Uint32Array(scratchFloat.buffer);

/** Converts half-precision bits to float32; exact. */
export function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24; // zero and subnormal
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Rounds a float32 to half-precision bits, to nearest, ties to even; values that are too large become infinite. */
export function floatToHalf(value: number): number {
  scratchFloat[0] = value;
  const bits = scratchBits[0];
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00; // NaN
  if (magnitude >= 0x47800000) return sign | 0x7c00; // 65536 and above
  if (magnitude < 0x38800000) {
    // Subnormal, a multiple of 2^-24: adding 1/2 rounds that multiple into the last bits of a float32.
    scratchFloat[0] = 0.5;
    const half = scratchBits[0];
    scratchBits[0] = magnitude;
    scratchFloat[0] += 0.5;
    return sign | (scratchBits[0] - half);
  }
  // Rounds away the last thirteen bits, ties to even; a carry correctly increments the exponent.
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}

/** Rounds float32 bits to bfloat16 bits, to nearest, ties to even. */
export function floatBitsToBfloat16(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40; // NaN stays NaN
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** Rounds a number to bfloat16 bits. */
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

/** Rounds a number to a dtype as `cast` does; f32 leaves it unchanged. */
export const castNumber: { readonly [D in NumberDType]: (value: number) => number } = {
  f32: (value) => value,
  bf16: (value) => bfloat16ToFloat(floatToBfloat16(value)),
  f16: (value) => halfToFloat(floatToHalf(value)),
  i32: (value) => toInteger(value, -(2 ** 31), 2 ** 31 - 1),
  u8: (value) => toInteger(value, 0, 255),
};

/** 8-bit formats: exponent bits, exponent bias, and the meaning of the largest bit patterns. */
const BYTE_FORMATS = {
  // Finite except for two NaNs, S.1111.111 (Micikevicius et al., arXiv:2209.05433)
  F8_E4M3: { exponentBits: 4, bias: 7, top: "one NaN" },
  F8_E5M2: { exponentBits: 5, bias: 15, top: "IEEE" },
  // No negative zero: its bits are the only NaN (Noune et al., arXiv:2206.02915)
  F8_E4M3FNUZ: { exponentBits: 4, bias: 8, top: "none" },
  F8_E5M2FNUZ: { exponentBits: 5, bias: 16, top: "none" },
} as const;

export const BYTE_FLOAT_DTYPES = ["F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F8_E8M0"] as const;
/** 8-bit floating-point types, which occur in files only. */
export type ByteFloatDType = (typeof BYTE_FLOAT_DTYPES)[number];

/** Converts the bits of an 8-bit float to float32; exact. */
function byteToFloat(bits: number, dtype: ByteFloatDType): number {
  // The scale of microscaling formats: an unsigned power of two (Rouhani et al., arXiv:2310.10537)
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

const LARGEST_E4M3 = 448;

/** Rounds a number to the bits of an e4m3 float, to nearest, ties to even; larger ones become ±448, and NaN stays NaN. */
export function floatToE4m3(value: number): number {
  if (Number.isNaN(value)) return 0x7f;
  const sign = value < 0 || Object.is(value, -0) ? 0x80 : 0;
  const size = Math.min(Math.abs(value), LARGEST_E4M3);
  const exponent = size < 2 ** -6 ? -6 : Math.floor(Math.log2(size));
  const steps = size / 2 ** (exponent - 3); // 8 to 16, or 0 to 8 for subnormal numbers
  const low = Math.floor(steps);
  const rounded = steps - low > 0.5 || (steps - low === 0.5 && low % 2 === 1) ? low + 1 : low;
  return sign | (8 * (exponent + 6) + rounded); // a carry correctly increments the exponent
}

export const e4m3ToFloat = (bits: number): number => byteToFloat(bits, "F8_E4M3");

/** The power of two that brings a tensor's largest element to between 224 and 448; NaN for one that is not finite. */
export function e4m3Scale(largest: number): number {
  if (!Number.isFinite(largest)) return Number.NaN;
  if (largest === 0) return 1;
  return 2 ** Math.max(-126, Math.min(126, Math.floor(Math.log2(LARGEST_E4M3 / largest))));
}

/** Converts stored bytes to float32 values; `bytes` must start at offset 0 of its buffer. */
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

/** Converts float32 values to their stored form. */
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
