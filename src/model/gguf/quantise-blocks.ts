/**
 * @file Encodes blocks of 32 values with one float16 scale, as ggml does: the value of largest magnitude, or the range from
 * least to greatest, fixes the scale. The layouts are described in blocks.ts.
 */
import { QuernError } from "../../errors.js";
import { floatToHalf } from "../../tensor/index.js";

const { fround } = Math;

/** Writes a scale as float16. @throws QuernError for a scale too large for float16, which would decode to infinity */
export function writeHalf(value: number, stored: Uint8Array, at: number): void {
  const bits = floatToHalf(value);
  if ((bits & 0x7fff) === 0x7c00) {
    throw new QuernError(`a block needs the scale ${value}, but quantised types store scales up to 65504`);
  }
  stored[at] = bits;
  stored[at + 1] = bits >> 8;
}

/** 1/d, or 0 for 0 */
const inverse = (d: number) => (d === 0 ? 0 : fround(1 / d));

/** Returns the value of largest magnitude among 32; the first one if several are equal. */
function extreme(values: Float32Array, from: number): number {
  let [most, found] = [0, 0];
  for (let i = from; i < from + 32; i++) {
    const magnitude = Math.abs(values[i]);
    if (magnitude > most) {
      most = magnitude;
      found = values[i];
    }
  }
  return found;
}

export function encodeQ8_0(values: Float32Array, stored: Uint8Array): void {
  for (let from = 0, at = 0; from < values.length; from += 32, at += 34) {
    const d = fround(Math.abs(extreme(values, from)) / 127);
    const id = inverse(d);
    writeHalf(d, stored, at);
    for (let i = 0; i < 32; i++) {
      const scaled = fround(values[from + i] * id);
      stored[at + 2 + i] = scaled < 0 ? -Math.floor(0.5 - scaled) : Math.floor(scaled + 0.5); // halves away from 0
    }
  }
}

export function encodeQ4_0(values: Float32Array, stored: Uint8Array): void {
  for (let from = 0, at = 0; from < values.length; from += 32, at += 18) {
    const d = fround(extreme(values, from) / -8);
    const id = inverse(d);
    writeHalf(d, stored, at);
    for (let i = 0; i < 16; i++) {
      const low = level(fround(values[from + i] * id), 8.5, 15);
      const high = level(fround(values[from + 16 + i] * id), 8.5, 15);
      stored[at + 2 + i] = low | (high << 4);
    }
  }
}

export function encodeQ5_0(values: Float32Array, stored: Uint8Array): void {
  for (let from = 0, at = 0; from < values.length; from += 32, at += 22) {
    const d = fround(extreme(values, from) / -16);
    const id = inverse(d);
    writeHalf(d, stored, at);
    let fifth = 0;
    for (let i = 0; i < 16; i++) {
      const low = level(fround(values[from + i] * id), 16.5, 31);
      const high = level(fround(values[from + 16 + i] * id), 16.5, 31);
      stored[at + 6 + i] = (low & 15) | (high << 4);
      fifth |= ((low >> 4) << i) | ((high >> 4) << (16 + i));
    }
    writeWord(fifth, stored, at + 2);
  }
}

export function encodeQ4_1(values: Float32Array, stored: Uint8Array): void {
  for (let from = 0, at = 0; from < values.length; from += 32, at += 20) {
    const { least, id } = writeRange(values, from, 15, stored, at);
    for (let i = 0; i < 16; i++) {
      const low = level(fround(fround(values[from + i] - least) * id), 0.5, 15);
      const high = level(fround(fround(values[from + 16 + i] - least) * id), 0.5, 15);
      stored[at + 4 + i] = low | (high << 4);
    }
  }
}

export function encodeQ5_1(values: Float32Array, stored: Uint8Array): void {
  for (let from = 0, at = 0; from < values.length; from += 32, at += 24) {
    const { least, id } = writeRange(values, from, 31, stored, at);
    let fifth = 0;
    for (let i = 0; i < 16; i++) {
      const low = level(fround(fround(values[from + i] - least) * id), 0.5, 255);
      const high = level(fround(fround(values[from + 16 + i] - least) * id), 0.5, 255);
      stored[at + 8 + i] = (low & 15) | (high << 4);
      fifth |= (((low >> 4) & 1) << i) | (((high >> 4) & 1) << (16 + i));
    }
    writeWord(fifth, stored, at + 4);
  }
}

/** Writes scale and minimum of a block whose range has `levels` steps. */
function writeRange(values: Float32Array, from: number, levels: number, stored: Uint8Array, at: number) {
  let [least, most] = [values[from], values[from]];
  for (let i = from + 1; i < from + 32; i++) {
    if (values[i] < least) least = values[i];
    if (values[i] > most) most = values[i];
  }
  const d = fround(fround(most - least) / levels);
  writeHalf(d, stored, at);
  writeHalf(least, stored, at + 2);
  return { least, id: inverse(d) };
}

/**
 * Truncates a scaled value plus its offset to a level. The byte wraps around as in C, which matters for scales so small
 * that their inverse is infinite.
 */
function level(scaled: number, offset: number, most: number): number {
  const byte = (fround(scaled + offset) << 24) >> 24;
  return byte > most ? most : byte;
}

function writeWord(word: number, stored: Uint8Array, at: number): void {
  for (let i = 0; i < 4; i++) stored[at + i] = word >>> (8 * i);
}
