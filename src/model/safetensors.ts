/**
 * @file Reads and writes safetensors files: eight bytes of header length, a JSON header, the data.
 *
 * A file may come from an untrusted source, so everything that the format requires is checked. The header must fit the
 * file and have unique keys and valid types; tensors must match their shapes and neither overlap nor leave gaps. Reads
 * only the header and the requested tensors into memory; writing streams one tensor at a time. Format:
 * https://github.com/huggingface/safetensors (README, "Format").
 */
import { type FileHandle, open } from "node:fs/promises";
import { createAtomicFile } from "../documents/index.js";
import { fileError, QuernError } from "../errors.js";
import { parseJson } from "../json-file.js";
import { quoted } from "../printable.js";
import { BYTE_FLOAT_DTYPES, convertFromFloats, convertToFloats, FLOAT_DTYPES } from "../tensor/index.js";

/** Element types of the format, with bits per element. */
const DTYPE_BITS = {
  F64: 64,
  F32: 32,
  F16: 16,
  BF16: 16,
  F8_E4M3: 8,
  F8_E5M2: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  F8_E8M0: 8,
  F6_E2M3: 6,
  F6_E3M2: 6,
  F4: 4,
  C64: 64,
  I64: 64,
  I32: 32,
  I16: 16,
  I8: 8,
  U64: 64,
  U32: 32,
  U16: 16,
  U8: 8,
  BOOL: 8,
} as const;

/** A known element type, or the name of one added to the format later, whose tensors can only be read as bytes. */
export type StoredDType = keyof typeof DTYPE_BITS | (string & {});

/** Types that can be read as float32. */
const READABLE = [...FLOAT_DTYPES, ...BYTE_FLOAT_DTYPES] as const;

/** A tensor in the header; `begin` and `end` are byte offsets in the file. */
export interface StoredTensor {
  readonly name: string;
  readonly dtype: StoredDType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

export interface SafetensorsFile {
  readonly path: string;
  /** Free-form strings of the header. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Reads the stored bytes of a tensor, or `length` of them from `begin`. */
  readBytes(name: string, begin?: number, length?: number): Promise<Uint8Array>;
  /** Reads a floating-point tensor (F64, F32, F16, BF16, or 8-bit: F8_E4M3, F8_E5M2 …) as float32. */
  readFloats(name: string): Promise<Float32Array>;
  /** Reads an I32 tensor. */
  readIntegers(name: string): Promise<Int32Array>;
  close(): Promise<void>;
}

/** Limit of the reference implementation; a header with 100,000 tensors takes a tenth of it. */
const MAX_HEADER_BYTES = 100_000_000;
/** Limit of JSON nesting; a valid header has objects that contain lists. */
const HEADER_DEPTH = 8;

const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** Opens a file and checks its header. @throws QuernError for a file that is missing, truncated or malformed */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  if (!littleEndian) throw new QuernError("safetensors files are little-endian; this machine is not supported");
  let handle: FileHandle;
  try {
    handle = await open(path, "r");
  } catch (error) {
    throw fileError(error, "read", path);
  }
  try {
    const found = await handle.stat();
    const { size } = found;
    if (!found.isFile()) throw malformed(path, "it is not a regular file");
    if (size < 8) throw malformed(path, `it has ${size} bytes, too few for the header length`);
    const prefix = await readRange(handle, path, 0, 8);
    const headerBytes = Number(new DataView(prefix.buffer).getBigUint64(0, true));
    if (headerBytes > MAX_HEADER_BYTES || headerBytes < 2) {
      throw malformed(path, `it claims a header of ${headerBytes} bytes`);
    }
    if (8 + headerBytes > size) {
      throw malformed(path, `it claims a header of ${headerBytes} bytes, but has only ${size}; it may be cut short`);
    }
    const header = parseHeader(path, await readRange(handle, path, 8, headerBytes));
    return openFile(handle, path, checkHeader(path, header, 8 + headerBytes, size));
  } catch (error) {
    await handle.close();
    throw fileError(error, "read", path);
  }
}

function openFile(handle: FileHandle, path: string, header: Pick<SafetensorsFile, "metadata" | "tensors">) {
  const find = (name: string, dtypes?: readonly StoredDType[]): StoredTensor => {
    const tensor = header.tensors.get(name);
    if (tensor === undefined) throw new QuernError(`${path} contains no tensor ${quoted(name)}`);
    if (dtypes !== undefined && !dtypes.includes(tensor.dtype)) {
      throw new QuernError(
        `tensor ${quoted(name)} in ${path} is ${tensor.dtype}; only ${dtypes.join(", ")} can be read here`,
      );
    }
    return tensor;
  };
  const read = async ({ begin, end }: Pick<StoredTensor, "begin" | "end">) => {
    try {
      return await readRange(handle, path, begin, end - begin);
    } catch (error) {
      throw fileError(error, "read", path);
    }
  };
  return {
    path,
    ...header,
    readBytes: async (name: string, begin = 0, length?: number) => {
      const tensor = find(name);
      const first = tensor.begin + begin;
      return read({ begin: first, end: length === undefined ? tensor.end : Math.min(tensor.end, first + length) });
    },
    readFloats: async (name: string) => {
      const tensor = find(name, READABLE);
      return convertToFloats(await read(tensor), tensor.dtype as (typeof READABLE)[number]);
    },
    readIntegers: async (name: string) => new Int32Array((await read(find(name, ["I32"]))).buffer),
    close: () => handle.close(),
  };
}

async function readRange(handle: FileHandle, path: string, position: number, length: number) {
  const bytes = new Uint8Array(length); // starts at offset 0 of its own buffer, so that wider views are aligned
  for (let done = 0; done < length; ) {
    const want = Math.min(length - done, 1 << 30);
    const { bytesRead } = await handle.read(bytes, done, want, position + done);
    if (bytesRead === 0) throw malformed(path, `it ends at byte ${position + done}; it may be cut short`);
    done += bytesRead;
  }
  return bytes;
}

function malformed(path: string, why: string): QuernError {
  return new QuernError(`${path} is not a valid safetensors file: ${why}`);
}

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

function parseHeader(path: string, bytes: Uint8Array): { readonly [key: string]: Json } {
  if (bytes[0] !== 0x7b) throw malformed(path, "its header is not a JSON object");
  let text: string;
  let header: Json;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    header = parseJson(text, `the header of ${path}`, { depth: HEADER_DEPTH }) as Json;
  } catch (cause) {
    if (cause instanceof QuernError) throw cause;
    throw malformed(path, `its header is not JSON (${(cause as Error).message})`);
  }
  if (typeof header !== "object" || header === null || Array.isArray(header)) {
    throw malformed(path, "its header is not a JSON object");
  }
  // JSON.parse keeps the last of two equal keys, so another reader could see different content.
  const twice = firstRepeatedKey(text);
  if (twice !== null) throw malformed(path, `its header has the key ${quoted(twice)} twice`);
  return header as { readonly [key: string]: Json };
}

/** Returns the first duplicate key in any object of a valid JSON text, or null. */
function firstRepeatedKey(text: string): string | null {
  const open: (Set<string> | null)[] = []; // the keys of each open object, null for an array
  let string = ""; // the last string; it is a key if a colon follows
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (character === "{") open.push(new Set());
    else if (character === "[") open.push(null);
    else if (character === "}" || character === "]") open.pop();
    else if (character === '"') {
      const begin = i++;
      while (text[i] !== '"') i += text[i] === "\\" ? 2 : 1;
      string = text.slice(begin, i + 1);
    } else if (character === ":") {
      const key = JSON.parse(string) as string;
      const keys = open[open.length - 1];
      if (keys?.has(key)) return key;
      keys?.add(key);
    }
  }
  return null;
}

function checkHeader(path: string, header: { readonly [key: string]: Json }, dataStart: number, size: number) {
  const metadata: Record<string, string> = {};
  const tensors = new Map<string, StoredTensor>();
  for (const [name, value] of Object.entries(header)) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw malformed(path, `${quoted(name)} in its header is not an object`);
    }
    const fields = value as { readonly [key: string]: Json };
    if (name === "__metadata__") {
      for (const [key, entry] of Object.entries(fields)) {
        if (typeof entry !== "string") throw malformed(path, `the metadata ${quoted(key)} is not a string`);
        metadata[key] = entry;
      }
    } else {
      tensors.set(name, checkTensor(path, name, fields, dataStart));
    }
  }
  // By offset, every tensor must begin where the previous one ends, and the last must end with the file.
  let end = dataStart;
  for (const tensor of [...tensors.values()].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (tensor.begin !== end) {
      const what = tensor.begin < end ? "overlaps another" : "leaves a gap before it";
      throw malformed(path, `tensor ${quoted(tensor.name)} ${what}`);
    }
    end = tensor.end;
  }
  if (end !== size) {
    const what = end > size ? "it may be cut short" : "the rest belongs to no tensor";
    throw malformed(path, `its tensors end at byte ${end}, but the file has ${size} bytes; ${what}`);
  }
  return { metadata, tensors };
}

function checkTensor(path: string, name: string, fields: { readonly [key: string]: Json }, dataStart: number) {
  const { dtype, shape, data_offsets: offsets, ...rest } = fields;
  const unknown = Object.keys(rest);
  const tensor = `tensor ${quoted(name)}`;
  if (unknown.length > 0) throw malformed(path, `${tensor} has an unknown field ${quoted(unknown[0])}`);
  // The format may get new types; tensors of unknown types are measured by their offsets alone.
  if (typeof dtype !== "string" || !/^[A-Z][A-Z0-9_]{0,31}$/.test(dtype)) {
    throw malformed(path, `${tensor} has the invalid element type ${quoted(JSON.stringify(dtype) ?? "nothing")}`);
  }
  if (!isCounts(shape)) throw malformed(path, `${tensor} has no valid shape`);
  if (!isCounts(offsets) || offsets.length !== 2 || offsets[1] < offsets[0]) {
    throw malformed(path, `${tensor} has no valid data_offsets`);
  }
  if (Object.hasOwn(DTYPE_BITS, dtype)) {
    const bits = DTYPE_BITS[dtype as keyof typeof DTYPE_BITS];
    const bytes = shape.reduce((product, dimension) => product * dimension, bits) / 8;
    if (bytes !== offsets[1] - offsets[0]) {
      const claim = `${offsets[1] - offsets[0]} bytes`;
      const dimensions = `(${shape.slice(0, 8).join(",")}${shape.length > 8 ? ",…" : ""})`;
      throw malformed(path, `${tensor} has ${claim}, but its shape ${dimensions} of ${dtype} needs ${bytes}`);
    }
  }
  return { name, dtype, shape, begin: dataStart + offsets[0], end: dataStart + offsets[1] };
}

function isCounts(value: Json | undefined): value is readonly number[] {
  return Array.isArray(value) && value.every((count) => Number.isSafeInteger(count) && (count as number) >= 0);
}

/** A tensor to write. Floats are rounded to `dtype` (nearest, ties to even). */
export type TensorToWrite = { readonly name: string; readonly shape: readonly number[] } & (
  | { readonly dtype: (typeof FLOAT_DTYPES)[number]; readonly data: () => Float32Array | Promise<Float32Array> }
  | { readonly dtype: "I32"; readonly data: () => Int32Array | Promise<Int32Array> }
);

/**
 * Writes a file atomically. The header needs only names and shapes; then the tensors' data is requested in turn, so that
 * only one is in memory.
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly TensorToWrite[],
  {
    metadata = {},
    signal,
  }: { readonly metadata?: Readonly<Record<string, string>>; readonly signal?: AbortSignal } = {},
): Promise<void> {
  const header: Record<string, unknown> = { __metadata__: { format: "pt", ...metadata } };
  let offset = 0;
  for (const { name, dtype, shape } of tensors) {
    if (Object.hasOwn(header, name)) throw new QuernError(`cannot write two tensors named ${name} to ${path}`);
    const bytes = shape.reduce((product, dimension) => product * dimension, DTYPE_BITS[dtype] / 8);
    header[name] = { dtype, shape, data_offsets: [offset, offset + bytes] };
    offset += bytes;
  }
  const json = Buffer.from(JSON.stringify(header), "utf8");
  const padding = (8 - (json.length % 8)) % 8; // the data starts aligned
  const head = Buffer.alloc(8 + json.length + padding, " ");
  head.writeBigUInt64LE(BigInt(json.length + padding), 0);
  json.copy(head, 8);

  const file = await createAtomicFile(path);
  try {
    await file.write(head);
    for (const tensor of tensors) {
      signal?.throwIfAborted();
      const data = await tensor.data();
      const count = tensor.shape.reduce((product, dimension) => product * dimension, 1);
      if (data.length !== count) {
        throw new Error(`${tensor.name} has ${data.length} values for the shape (${tensor.shape.join(",")})`);
      }
      await file.write(tensor.dtype === "I32" ? data : convertFromFloats(data as Float32Array, tensor.dtype));
    }
    await file.commit();
  } catch (error) {
    await file.discard();
    throw error;
  }
}
