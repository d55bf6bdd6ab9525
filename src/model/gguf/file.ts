/**
 * @file Reads GGUF files: metadata by key, and tensors by offset.
 *
 * A file may come from an untrusted source, so every count and length is checked against the remaining bytes before anything
 * is allocated. Only the metadata and the requested tensors are read into memory.
 * Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
import { type FileHandle, open, stat } from "node:fs/promises";
import { fileError, QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";
import { TENSOR_TYPES, type TensorType } from "./blocks.js";

export type GgufNumbers =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array;

/** A metadata value. 64-bit integers are numbers if exactly representable, otherwise bigints. */
export type GgufValue = string | number | bigint | boolean | GgufNumbers | readonly GgufValue[];

export interface GgufTensor {
  readonly name: string;
  /** Outermost dimension first, so matrices are (out, in); the file stores dimensions in reverse order. */
  readonly shape: readonly number[];
  readonly type: TensorType;
  /** Bytes from the start of the file. */
  readonly begin: number;
  readonly end: number;
}

export interface GgufFile {
  readonly path: string;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  /** Reads bytes [begin, end) of the file. */
  readBytes(begin: number, end: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

const MAGIC = "GGUF";
/** Magic numbers of GGUF's predecessors. */
const OLD_MAGICS = ["lmgg", "fmgg", "tjgg", "algg"];
const VERSIONS = [2, 3];
/** Ten times the metadata of models with the largest vocabularies. */
const MOST_HEADER_BYTES = 256 << 20;
const LONGEST_KEY = 65_535;
const LONGEST_TENSOR_NAME = 64;
const MOST_DIMENSIONS = 4;
/** Limit of nested lists; the format has none, but no known file nests them. */
const DEEPEST_LIST = 4;
const DEFAULT_ALIGNMENT = 32;
const WINDOW = 1 << 20;

const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** Returns whether a file starts with GGUF's magic number; false if it cannot be read. */
export async function isGguf(path: string): Promise<boolean> {
  // Opening a pipe would block until another process writes to it.
  const handle = (await isRegular(path)) ? await open(path, "r").catch(() => null) : null;
  if (handle === null) return false;
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0);
    return buffer.toString("latin1", 0, bytesRead) === MAGIC;
  } finally {
    await handle.close();
  }
}

const isRegular = (path: string) =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );

/** Opens a file and checks its header. @throws QuernError for a file that is missing, truncated, malformed or too old */
export async function openGguf(path: string): Promise<GgufFile> {
  if (!littleEndian) throw new QuernError("GGUF files are little-endian; this machine is not supported");
  let handle: FileHandle;
  try {
    if (!(await stat(path)).isFile()) throw malformed(path, "it is not a regular file");
    handle = await open(path, "r");
  } catch (error) {
    throw fileError(error, "read", path);
  }
  try {
    const { size } = await handle.stat();
    const header = await readHeader(new HeaderReader(handle, path, size));
    return {
      path,
      ...header,
      readBytes: async (begin, end) => {
        try {
          return await readRange(handle, path, begin, end - begin);
        } catch (error) {
          throw fileError(error, "read", path);
        }
      },
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw fileError(error, "read", path);
  }
}

async function readRange(
  handle: FileHandle,
  path: string,
  position: number,
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length); // starts at offset 0 of its own buffer, so that wider views are aligned
  for (let done = 0; done < length; ) {
    const { bytesRead } = await handle.read(bytes, done, Math.min(length - done, 1 << 30), position + done);
    if (bytesRead === 0) throw malformed(path, `it ends at byte ${position + done}; it may be cut short`);
    done += bytesRead;
  }
  return bytes;
}

function malformed(path: string, why: string): QuernError {
  return new QuernError(`${path} is not a valid GGUF file: ${why}`);
}

/** Reads a header sequentially through a window over the file. */
class HeaderReader {
  readonly path: string;
  readonly size: number;
  readonly #handle: FileHandle;
  #window: Buffer<ArrayBufferLike> = Buffer.alloc(0);
  /** Start of the window in the file, and the read position in the window. */
  #start = 0;
  #at = 0;

  constructor(handle: FileHandle, path: string, size: number) {
    this.#handle = handle;
    this.path = path;
    this.size = size;
  }

  get position(): number {
    return this.#start + this.#at;
  }

  get left(): number {
    return this.size - this.position;
  }

  /** Returns whether the next bytes are in the window; if not, call `load` before reading them. */
  has(bytes: number): boolean {
    return this.#window.length - this.#at >= bytes;
  }

  /** Loads the next bytes into the window. @throws QuernError if the file has fewer bytes */
  async load(bytes: number, what: string): Promise<void> {
    if (this.has(bytes)) return;
    const position = this.position;
    if (bytes > this.left) {
      throw malformed(
        this.path,
        `${what} at byte ${position} needs ${bytes} bytes, but only ${this.left} are left; it may be cut short`,
      );
    }
    if (position + bytes > MOST_HEADER_BYTES) {
      throw malformed(this.path, `its metadata is larger than ${MOST_HEADER_BYTES >> 20} MiB`);
    }
    const length = Math.min(this.left, Math.max(bytes, WINDOW));
    this.#window = Buffer.from((await readRange(this.#handle, this.path, position, length)).buffer);
    this.#start = position;
    this.#at = 0;
  }

  /** Returns the next bytes as a view that is valid until the next `load`. */
  take(bytes: number): Buffer {
    const taken = this.#window.subarray(this.#at, this.#at + bytes);
    this.#at += bytes;
    return taken;
  }

  async unsigned32(what: string): Promise<number> {
    if (!this.has(4)) await this.load(4, what);
    return this.take(4).readUInt32LE();
  }

  /** Reads a 64-bit length or count. Rounding above 2^53 does not matter, since such a count is rejected. */
  async unsigned64(what: string): Promise<number> {
    if (!this.has(8)) await this.load(8, what);
    return Number(this.take(8).readBigUInt64LE());
  }

  /** Returns the next text if it is completely in the window; otherwise undefined, without moving the position. */
  textInWindow(): string | undefined {
    if (!this.has(8)) return undefined;
    const length = Number(this.#window.readBigUInt64LE(this.#at));
    if (!this.has(8 + length)) return undefined;
    const begin = this.#at + 8;
    this.#at = begin + length;
    return this.#window.toString("utf8", begin, this.#at);
  }

  async text(what: string, longest = MOST_HEADER_BYTES): Promise<string> {
    const length = await this.unsigned64(what);
    if (length > longest) throw malformed(this.path, `${what} claims ${length} bytes; at most ${longest} are allowed`);
    if (!this.has(length)) await this.load(length, what);
    return this.take(length).toString("utf8");
  }
}

async function readHeader(reader: HeaderReader): Promise<Pick<GgufFile, "metadata" | "tensors">> {
  const { path } = reader;
  await reader.load(Math.min(4, reader.size), "its magic number");
  const magic = reader.take(4).toString("latin1");
  if (OLD_MAGICS.includes(magic)) {
    throw new QuernError(`${path} is a GGML file from before GGUF; convert the model again with a current llama.cpp`);
  }
  if (magic !== MAGIC) throw malformed(path, `it starts with ${quoted(JSON.stringify(magic))} instead of "${MAGIC}"`);
  const version = await reader.unsigned32("its version");
  if (version > 0xffff && (version & 0xffff) === 0) {
    throw new QuernError(`${path} is a big-endian GGUF file; convert the model again for little-endian machines`);
  }
  if (!VERSIONS.includes(version)) {
    throw new QuernError(
      `${path} is GGUF version ${version}; Quern reads versions ${VERSIONS.join(" and ")}, so convert the model again`,
    );
  }
  const tensorCount = await reader.unsigned64("the number of tensors");
  const entryCount = await reader.unsigned64("the number of metadata entries");
  // Minimum bytes: an entry has a key length, a type and one byte; a tensor has two counts, a type and an offset.
  checkCount(reader, entryCount, 13, "metadata entries");
  checkCount(reader, tensorCount, 24, "tensors");
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < entryCount; i++) {
    const key = await reader.text(`the key of metadata entry ${i}`, LONGEST_KEY);
    if (metadata.has(key)) throw malformed(path, `its metadata has the key ${quoted(key)} twice`);
    const type = await reader.unsigned32(`the type of ${quoted(key)}`);
    metadata.set(key, await readValue(reader, key, type, 0));
  }
  const infos: Omit<GgufTensor, "end">[] = [];
  for (let i = 0; i < tensorCount; i++) infos.push(await readTensorInfo(reader, i));
  const alignment = metadata.get("general.alignment") ?? DEFAULT_ALIGNMENT;
  if (typeof alignment !== "number" || !(alignment >= 1) || !Number.isInteger(Math.log2(alignment))) {
    throw malformed(path, `its general.alignment is ${quoted(String(alignment))}, not a power of two`);
  }
  const dataStart = Math.ceil(reader.position / alignment) * alignment;
  return { metadata, tensors: placeTensors(path, infos, { dataStart, alignment, size: reader.size }) };
}

function checkCount(reader: HeaderReader, count: number, least: number, what: string): void {
  if (count * least <= reader.left) return;
  throw malformed(
    reader.path,
    `it claims ${count} ${what}, more than its ${reader.size} bytes can contain; it may be cut short`,
  );
}

interface NumberType {
  readonly bytes: number;
  readonly make: (buffer: ArrayBuffer) => GgufNumbers;
}

/** Value types by their number in the file; 7 is boolean, 8 string, 9 list. */
const NUMBERS: Readonly<Record<number, NumberType>> = {
  0: { bytes: 1, make: (buffer) => new Uint8Array(buffer) },
  1: { bytes: 1, make: (buffer) => new Int8Array(buffer) },
  2: { bytes: 2, make: (buffer) => new Uint16Array(buffer) },
  3: { bytes: 2, make: (buffer) => new Int16Array(buffer) },
  4: { bytes: 4, make: (buffer) => new Uint32Array(buffer) },
  5: { bytes: 4, make: (buffer) => new Int32Array(buffer) },
  6: { bytes: 4, make: (buffer) => new Float32Array(buffer) },
  12: { bytes: 8, make: (buffer) => new Float64Array(buffer) },
};
const [BOOLEAN, TEXT, LIST, UNSIGNED_64, SIGNED_64] = [7, 8, 9, 10, 11];

async function readValue(reader: HeaderReader, key: string, type: number, depth: number): Promise<GgufValue> {
  const what = `the value of ${quoted(key)}`;
  const number = NUMBERS[type];
  if (number !== undefined) return (await readNumbers(reader, number, 1, what))[0];
  switch (type) {
    case BOOLEAN: {
      if (!reader.has(1)) await reader.load(1, what);
      const byte = reader.take(1)[0];
      if (byte > 1) throw malformed(reader.path, `${what} is ${byte}, neither true nor false`);
      return byte === 1;
    }
    case TEXT:
      return reader.text(what);
    case UNSIGNED_64:
    case SIGNED_64: {
      if (!reader.has(8)) await reader.load(8, what);
      const bytes = reader.take(8);
      const value = type === UNSIGNED_64 ? bytes.readBigUInt64LE() : bytes.readBigInt64LE();
      const plain = Number(value);
      return Number.isSafeInteger(plain) ? plain : value;
    }
    case LIST:
      return readList(reader, key, depth);
    default:
      throw malformed(reader.path, `${what} has the unknown type ${type}`);
  }
}

async function readList(reader: HeaderReader, key: string, depth: number): Promise<GgufValue> {
  const what = `the list ${quoted(key)}`;
  if (depth >= DEEPEST_LIST) throw malformed(reader.path, `${what} nests lists more than ${DEEPEST_LIST} deep`);
  const type = await reader.unsigned32(`the type of ${what}`);
  const count = await reader.unsigned64(`the length of ${what}`);
  const number = NUMBERS[type];
  const least = number?.bytes ?? (type === BOOLEAN ? 1 : type === LIST ? 12 : 8);
  checkCount(reader, count, least, `values in ${what}`);
  if (number !== undefined) return readNumbers(reader, number, count, what);
  const values: GgufValue[] = [];
  // Vocabularies and merges are hundreds of thousands of short texts: an await per text would take longer than reading it.
  if (type === TEXT) for (let i = 0; i < count; i++) values.push(reader.textInWindow() ?? (await reader.text(what)));
  else for (let i = 0; i < count; i++) values.push(await readValue(reader, key, type, depth + 1));
  return values;
}

async function readNumbers(
  reader: HeaderReader,
  { bytes, make }: NumberType,
  count: number,
  what: string,
): Promise<GgufNumbers> {
  if (!reader.has(bytes * count)) await reader.load(bytes * count, what);
  const copy = new Uint8Array(bytes * count); // aligned
  copy.set(reader.take(bytes * count));
  return make(copy.buffer);
}

/** Reads a tensor's header entry; `begin` is relative to the start of the data. */
async function readTensorInfo(reader: HeaderReader, index: number): Promise<Omit<GgufTensor, "end">> {
  const name = await reader.text(`the name of tensor ${index}`, LONGEST_TENSOR_NAME);
  const tensor = `tensor ${quoted(name)}`;
  const dimensions = await reader.unsigned32(`the dimensions of ${tensor}`);
  if (dimensions > MOST_DIMENSIONS) {
    throw malformed(reader.path, `${tensor} has ${dimensions} dimensions; at most ${MOST_DIMENSIONS} are allowed`);
  }
  const shape: number[] = [];
  for (let d = 0; d < dimensions; d++) shape.unshift(await reader.unsigned64(`the shape of ${tensor}`));
  const number = await reader.unsigned32(`the type of ${tensor}`);
  const type = TENSOR_TYPES.get(number);
  if (type === undefined) throw malformed(reader.path, `${tensor} has the unknown type ${number}`);
  return { name, shape, type, begin: await reader.unsigned64(`the offset of ${tensor}`) };
}

/** Checks what the header says about tensors, then that the file contains their bytes. */
function placeTensors(
  path: string,
  infos: readonly Omit<GgufTensor, "end">[],
  { dataStart, alignment, size }: { readonly dataStart: number; readonly alignment: number; readonly size: number },
): Map<string, GgufTensor> {
  const tensors = new Map<string, GgufTensor>();
  for (const info of infos) {
    const { name, shape, type } = info;
    const tensor = `tensor ${quoted(name)}`;
    if (tensors.has(name)) throw malformed(path, `it has ${tensor} twice`);
    const values = shape.reduce((product, dimension) => product * dimension, 1);
    const row = shape.at(-1) ?? 1;
    if (!Number.isSafeInteger(values)) {
      throw malformed(path, `${tensor} has the impossible shape (${shape.join(",")})`);
    }
    if (row % type.block !== 0) {
      throw malformed(
        path,
        `${tensor} has rows of ${row} values, not a multiple of the ${type.block} in a block of ${type.name}`,
      );
    }
    if (info.begin % alignment !== 0) throw malformed(path, `${tensor} is not aligned to ${alignment} bytes`);
    const begin = dataStart + info.begin;
    tensors.set(name, { ...info, begin, end: begin + (values / type.block) * type.bytes });
  }
  for (const { name, end } of tensors.values()) {
    if (end <= size) continue;
    throw malformed(
      path,
      `tensor ${quoted(name)} ends at byte ${end}, but the file has ${size} bytes; it may be cut short`,
    );
  }
  let before: GgufTensor | undefined;
  for (const tensor of [...tensors.values()].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (before !== undefined && tensor.begin < before.end) {
      throw malformed(path, `tensor ${quoted(tensor.name)} overlaps ${quoted(before.name)}`);
    }
    before = tensor;
  }
  return tensors;
}
