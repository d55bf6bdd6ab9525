/**
 * @file Writes GGUF files, version 3. The header needs only names, shapes and types; then each tensor is requested in turn, so
 * that only one is in memory. Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
import { createAtomicFile } from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import { TENSOR_TYPES } from "./blocks.js";

/** A metadata entry: its key, the type of its value, and the value. */
export type GgufEntry =
  | readonly [key: string, type: "u32" | "i32" | "f32" | "f64", value: number]
  | readonly [key: string, type: "bool", value: boolean]
  | readonly [key: string, type: "string", value: string]
  | readonly [key: string, type: "strings", value: readonly string[]]
  | readonly [key: string, type: "i32s", value: Int32Array];

export interface GgufTensorToWrite {
  readonly name: string;
  /** Outermost dimension first; matrices are (out, in). */
  readonly shape: readonly number[];
  /** Name of a type, such as F32 or Q8_0. */
  readonly type: string;
  /** Returns the tensor's bytes in that type. */
  readonly data: () => Promise<NodeJS.ArrayBufferView>;
}

const VERSION = 3;
const ALIGNMENT = 32;
/** Numbers of the value types in the file. */
const NUMBERS = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, list: 9, f64: 12 } as const;

const types = new Map([...TENSOR_TYPES].map(([number, type]) => [type.name, { number, ...type }] as const));

/** Returns the values and bytes per block of a type, and its number in the file. */
export function tensorTypeOf(name: string) {
  const type = types.get(name);
  if (type === undefined) throw new Error(`${name} is not a type of GGUF tensors`);
  return type;
}

/**
 * Writes a file atomically.
 * @throws QuernError if the file cannot be written, or a row is not a whole number of its type's blocks
 */
export async function writeGguf(
  path: string,
  metadata: readonly GgufEntry[],
  tensors: readonly GgufTensorToWrite[],
  signal?: AbortSignal,
): Promise<void> {
  const header = new ByteList();
  header.text("GGUF", "bare");
  header.u32(VERSION);
  header.u64(tensors.length);
  header.u64(metadata.length);
  for (const entry of metadata) writeEntry(header, entry);
  let offset = 0;
  for (const { name, shape, type } of tensors) {
    header.text(name);
    header.u32(shape.length);
    for (const dimension of shape.toReversed()) header.u64(dimension);
    header.u32(tensorTypeOf(type).number);
    header.u64(offset);
    offset = aligned(offset + bytesOf(name, shape, type));
  }
  const file = await createAtomicFile(path);
  const pad = async (length: number) => {
    if (aligned(length) > length) await file.write(new Uint8Array(aligned(length) - length));
  };
  try {
    await file.write(header.bytes());
    await pad(header.length);
    for (const { name, shape, type, data } of tensors) {
      signal?.throwIfAborted();
      const bytes = await data();
      const wanted = bytesOf(name, shape, type);
      if (bytes.byteLength !== wanted) throw new Error(`${name} has ${bytes.byteLength} bytes instead of ${wanted}`);
      await file.write(bytes);
      await pad(wanted);
    }
    await file.commit();
  } catch (error) {
    await file.discard();
    throw error;
  }
}

const aligned = (length: number) => Math.ceil(length / ALIGNMENT) * ALIGNMENT;

function bytesOf(name: string, shape: readonly number[], typeName: string): number {
  const { block, bytes } = tensorTypeOf(typeName);
  const row = shape.at(-1) ?? 1;
  if (row % block !== 0) {
    throw new QuernError(
      `the tensor ${name} has rows of ${row} values, and ${typeName} stores blocks of ${block}; choose another type`,
      { exitCode: 2 },
    );
  }
  return (shape.reduce((product, dimension) => product * dimension, 1) / block) * bytes;
}

function writeEntry(out: ByteList, [key, type, value]: GgufEntry): void {
  out.text(key);
  switch (type) {
    case "strings":
      out.u32(NUMBERS.list);
      out.u32(NUMBERS.string);
      out.u64(value.length);
      for (const each of value) out.text(each);
      return;
    case "i32s":
      out.u32(NUMBERS.list);
      out.u32(NUMBERS.i32);
      out.u64(value.length);
      out.append(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
      return;
    case "string":
      out.u32(NUMBERS.string);
      out.text(value);
      return;
    case "bool":
      out.u32(NUMBERS.bool);
      out.append(Uint8Array.of(value ? 1 : 0));
      return;
    case "f32":
    case "f64":
      out.u32(NUMBERS[type]);
      out.append(new Uint8Array((type === "f32" ? Float32Array : Float64Array).of(value).buffer));
      return;
    case "u32":
    case "i32":
      out.u32(NUMBERS[type]);
      out.u32(value);
      return;
    default:
      throw new Error(type satisfies never);
  }
}

/** A growing list of bytes. A vocabulary has hundreds of thousands of short texts, so they share one buffer. */
class ByteList {
  #buffer = Buffer.alloc(1 << 16);
  length = 0;

  #reserve(bytes: number): void {
    if (this.length + bytes <= this.#buffer.length) return;
    const larger = Buffer.alloc(Math.max(this.length + bytes, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.length);
    this.#buffer = larger;
  }

  append(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.length);
    this.length += bytes.length;
  }

  u32(value: number): void {
    this.#reserve(4);
    this.length = this.#buffer.writeUInt32LE(value >>> 0, this.length);
  }

  u64(value: number): void {
    this.#reserve(8);
    this.length = this.#buffer.writeBigUInt64LE(BigInt(value), this.length);
  }

  /** Appends UTF-8, after its length unless it is bare. */
  text(value: string, form: "counted" | "bare" = "counted"): void {
    const bytes = Buffer.byteLength(value);
    if (form === "counted") this.u64(bytes);
    this.#reserve(bytes);
    this.length += this.#buffer.write(value, this.length);
  }

  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.length);
  }
}
