/** @file Reads the pages of one column in one row group as values and levels (Melnik et al. 2010, "Dremel"). */
import { crc32 } from "node:zlib";
import { LARGEST_PAGE_HEADER, LARGEST_PARQUET_PAGE, MOST_PAGE_VALUES } from "../limits.js";
import { decompressPage } from "./codecs.js";
import {
  joinStreams,
  readDeltas,
  readHybrid,
  readLengthStrings,
  readPlainStrings,
  readPrefixStrings,
} from "./encodings.js";
import { type ColumnChunk, numberOf, type PhysicalType, type ReadAt, type SchemaNode, structOf } from "./metadata.js";
import { CutShort, readStruct, type ThriftStruct } from "./thrift.js";
import { type ValueMaker, valueMaker } from "./values.js";

export interface Page {
  /** Number of values, including nulls. */
  readonly count: number;
  /** Definition levels; undefined if no value is null. */
  readonly definitions?: Uint32Array;
  readonly repetitions?: Uint32Array;
  /** The non-null values. */
  readonly values: readonly unknown[];
}

/** A page that cannot be decoded; the following ones may be readable. */
export interface DamagedPage {
  readonly count: number;
  readonly damage: string;
}

/** Bytes read at once. */
const READ = 1 << 20;

/**
 * Yields the pages of a column chunk.
 * @param strict see `valueMaker`
 * @throws Error at a damaged page header, because the next page cannot be found
 */
export async function* pagesOf(
  readAt: ReadAt,
  chunk: ColumnChunk,
  leaf: SchemaNode,
  strict: boolean,
): AsyncGenerator<Page | DamagedPage> {
  const source = new Source(readAt, chunk.start, chunk.bytes);
  const maker = valueMaker(leaf, strict);
  let dictionary: readonly unknown[] | undefined;
  let lost = "";
  for (let left = chunk.values; left > 0 && source.left > 0; ) {
    const header = await source.header();
    const compressed = numberOf(header[3]) ?? -1;
    const size = numberOf(header[2]) ?? -1;
    if (compressed < 0 || compressed > source.left || size < 0) throw new Error("a page's header is damaged");
    const kind = numberOf(header[1]);
    if (kind === 1) {
      await source.take(compressed);
      continue;
    }
    const own = structOf(header[kind === 0 ? 5 : kind === 2 ? 7 : 8]);
    const count = numberOf(own[1]) ?? -1;
    const tooMuch =
      size > LARGEST_PARQUET_PAGE || compressed > LARGEST_PARQUET_PAGE
        ? `a page has ${Math.max(size, compressed)} bytes; up to ${LARGEST_PARQUET_PAGE} are read`
        : count > MOST_PAGE_VALUES
          ? `a page has ${count} values; up to ${MOST_PAGE_VALUES} are read`
          : "";
    if (count < 0 || (kind !== 2 && count > left)) throw new Error("a page's header is damaged");
    if (tooMuch !== "") source.skip(compressed);
    const bytes = tooMuch === "" ? await source.take(compressed) : Buffer.alloc(0);
    const checksum = numberOf(header[4]);
    const check = () => {
      if (tooMuch !== "") throw new Error(tooMuch);
      if (checksum !== undefined && crc32(bytes) !== checksum >>> 0) throw new Error("a page has a wrong checksum");
    };
    if (kind === 2) {
      try {
        check();
        dictionary = readValues(decompressPage(bytes, size, chunk.codec), 0, count, 0, leaf, maker);
      } catch (error) {
        lost = (error as Error).message;
      }
      continue;
    }
    left -= count;
    try {
      check();
      const layout =
        kind === 3
          ? layoutOfV2(bytes, size, own, chunk.codec, leaf)
          : layoutOf(decompressPage(bytes, size, chunk.codec), own, leaf);
      const { page, start, definitions, repetitions, encoding } = layout;
      const there = definitions === undefined ? count : countOf(definitions, leaf.definition);
      // PLAIN_DICTIONARY and RLE_DICTIONARY are one encoding.
      const indexed = encoding === 2 || encoding === 8;
      if (indexed && dictionary === undefined) throw new Error(lost || "a page's dictionary is missing");
      const values = indexed
        ? lookUp(page, start, there, dictionary as readonly unknown[])
        : readValues(page, start, there, encoding, leaf, maker);
      yield { count, values, ...(there === count ? {} : { definitions }), ...(repetitions && { repetitions }) };
    } catch (error) {
      yield { count, damage: (error as Error).message };
    }
  }
}

interface Layout {
  readonly page: Buffer;
  /** Where the values begin. */
  readonly start: number;
  readonly definitions?: Uint32Array;
  readonly repetitions?: Uint32Array;
  readonly encoding: number;
}

const widthOf = (level: number) => 32 - Math.clz32(level);

function layoutOf(page: Buffer, header: ThriftStruct, leaf: SchemaNode): Layout {
  const count = numberOf(header[1]) as number;
  let start = 0;
  const levels = (most: number, encoding: number | undefined): Uint32Array | undefined => {
    if (most === 0) return undefined;
    if (encoding !== 3) throw new Error(`a page has levels in encoding ${encoding}, which is not supported`);
    if (start + 4 > page.length) throw new Error("a page is cut short");
    const from = start + 4;
    start = from + page.readUInt32LE(start);
    if (start > page.length) throw new Error("a page is cut short");
    return readHybrid(page, from, start, widthOf(most), count);
  };
  const repetitions = levels(leaf.repeats, numberOf(header[4]));
  const definitions = levels(leaf.definition, numberOf(header[3]));
  return { page, start, definitions, repetitions, encoding: numberOf(header[2]) ?? 0 };
}

function layoutOfV2(bytes: Buffer, size: number, header: ThriftStruct, codec: number, leaf: SchemaNode): Layout {
  const count = numberOf(header[1]) as number;
  const defined = numberOf(header[5]) ?? 0;
  const repeated = numberOf(header[6]) ?? 0;
  const start = defined + repeated;
  if (defined < 0 || repeated < 0 || start > bytes.length || start > size) throw new Error("a page is cut short");
  const repetitions = leaf.repeats === 0 ? undefined : readHybrid(bytes, 0, repeated, widthOf(leaf.repeats), count);
  const definitions =
    leaf.definition === 0 ? undefined : readHybrid(bytes, repeated, start, widthOf(leaf.definition), count);
  // Compressed unless the header says otherwise; empty bytes are not compressed.
  const compressed = bytes.subarray(start);
  const page =
    header[7] === false || compressed.length === 0 ? compressed : decompressPage(compressed, size - start, codec);
  return { page, start: 0, definitions, repetitions, encoding: numberOf(header[4]) ?? 0 };
}

function countOf(levels: Uint32Array, level: number): number {
  let count = 0;
  for (const each of levels) if (each === level) count++;
  return count;
}

function lookUp(page: Buffer, start: number, count: number, dictionary: readonly unknown[]): unknown[] {
  const values: unknown[] = new Array(count);
  if (count === 0) return values;
  if (start >= page.length) throw new Error("a page is cut short");
  const indices = readHybrid(page, start + 1, page.length, page[start], count);
  for (let i = 0; i < count; i++) {
    if (indices[i] >= dictionary.length) throw new Error("a page refers to a value outside its dictionary");
    values[i] = dictionary[indices[i]];
  }
  return values;
}

const WIDTHS: Readonly<Partial<Record<PhysicalType, number>>> = { INT32: 4, FLOAT: 4, INT64: 8, DOUBLE: 8, INT96: 12 };

function readValues(
  page: Buffer,
  start: number,
  count: number,
  encoding: number,
  { type, length }: SchemaNode,
  maker: ValueMaker,
): unknown[] {
  const values: unknown[] = [];
  if (count === 0) return values;
  const take = (bytes: Buffer, from: number, to: number) => values.push(maker.ofBytes(bytes, from, to));
  const isBytes = type === "BYTE_ARRAY" || type === "FIXED_LEN_BYTE_ARRAY";
  if (encoding === 5 && (type === "INT32" || type === "INT64")) {
    const { values: deltas } = readDeltas(page, start, count, type === "INT64");
    for (const value of deltas) values.push(typeof value === "bigint" ? maker.ofBigint(value) : maker.ofNumber(value));
  } else if (encoding === 6 && isBytes) readLengthStrings(page, start, count, take);
  else if (encoding === 7 && isBytes) readPrefixStrings(page, start, count, LARGEST_PARQUET_PAGE, take);
  else if (encoding === 3 && type === "BOOLEAN") {
    if (start + 4 > page.length) throw new Error("a page is cut short");
    for (const bit of readHybrid(page, start + 4, page.length, 1, count)) values.push(bit === 1);
  } else if (encoding === 0 && type === "BOOLEAN") {
    if (start + Math.ceil(count / 8) > page.length) throw new Error("a page is cut short");
    for (let i = 0; i < count; i++) values.push(((page[start + (i >> 3)] >> (i & 7)) & 1) === 1);
  } else if (encoding === 0 && type === "BYTE_ARRAY") readPlainStrings(page, start, count, take);
  else if (encoding === 0 || encoding === 9) {
    const width = type === "FIXED_LEN_BYTE_ARRAY" ? length : type === undefined ? undefined : WIDTHS[type];
    if (width === undefined || width <= 0) throw new Error("a page has values of unknown width");
    const bytes = encoding === 9 ? joinStreams(page, start, count, width) : page.subarray(start);
    if (bytes.length < count * width) throw new Error("a page is cut short");
    for (let at = 0; at < count * width; at += width) {
      if (type === "INT32") values.push(maker.ofNumber(bytes.readInt32LE(at)));
      else if (type === "INT64") values.push(maker.ofBigint(bytes.readBigInt64LE(at)));
      else if (type === "FLOAT") values.push(maker.ofNumber(bytes.readFloatLE(at)));
      else if (type === "DOUBLE") values.push(maker.ofNumber(bytes.readDoubleLE(at)));
      else take(bytes, at, at + width);
    }
  } else throw new Error(`a page has encoding ${encoding}, which is not supported`);
  return values;
}

/** Reads the bytes of a column chunk piece by piece, with read-ahead. */
class Source {
  readonly #readAt: ReadAt;
  readonly #end: number;
  #at: number;
  #held: Buffer = Buffer.alloc(0);

  constructor(readAt: ReadAt, start: number, bytes: number) {
    this.#readAt = readAt;
    this.#at = start;
    this.#end = start + bytes;
  }

  /** Remaining bytes. */
  get left(): number {
    return this.#end - this.#at;
  }

  async header(): Promise<ThriftStruct> {
    for (let wanted = 256; ; wanted *= 8) {
      await this.#hold(wanted);
      try {
        const { fields, end } = readStruct(this.#held, 0);
        this.#drop(end);
        return fields;
      } catch (error) {
        if (!(error instanceof CutShort) || this.#held.length >= this.left || wanted > LARGEST_PAGE_HEADER) throw error;
      }
    }
  }

  async take(length: number): Promise<Buffer> {
    await this.#hold(length);
    const bytes = this.#held.subarray(0, length);
    this.#drop(length);
    return bytes;
  }

  skip(length: number): void {
    this.#at += length;
    this.#held = this.#held.subarray(Math.min(length, this.#held.length));
  }

  #drop(length: number): void {
    this.#at += length;
    this.#held = this.#held.subarray(length);
  }

  /** Buffers at least `length` bytes, or all that remain. */
  async #hold(length: number): Promise<void> {
    const wanted = Math.min(length, this.left);
    if (this.#held.length >= wanted) return;
    const from = this.#at + this.#held.length;
    const more = await this.#readAt(from, Math.min(Math.max(wanted - this.#held.length, READ), this.#end - from));
    this.#held = this.#held.length === 0 ? more : Buffer.concat([this.#held, more]);
  }
}
