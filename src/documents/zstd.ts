/**
 * @file Decompresses Zstandard (RFC 8878) block by block. The output buffer grows with the output up to a limit, whatever
 * window a frame declares: `zstd --long=31` declares 2 GiB for a file of any size. Every length and distance is checked, so
 * that damage causes an error. For frames with usual windows, Node 22.15 and newer use zlib's zstd, which is faster.
 */
import { pipeline, Readable } from "node:stream";
import * as zlib from "node:zlib";
import { LARGEST_ZSTD_WINDOW } from "./limits.js";
import { XxHash64 } from "./xxhash64.js";

/** A damaged stream; `compression.ts` recognizes this error by its code. */
export class ZstdError extends Error {
  readonly code = "ZSTD_damaged";
}

const damaged = (what: string) => new ZstdError(what);
const cut = () => damaged("unexpected end of file");

/** Decompresses a Parquet page to `size` bytes. */
export function decompressZstdPage(compressed: Buffer, size: number): Buffer {
  const native = zlib as { zstdDecompressSync?: (bytes: Buffer, options: object) => Buffer };
  if (native.zstdDecompressSync !== undefined) {
    return native.zstdDecompressSync(compressed, { maxOutputLength: Math.max(1, size) });
  }
  const decoder = new ZstdDecoder();
  const parts: Buffer[] = [];
  let length = 0;
  for (const part of decoder.push(compressed)) {
    length += part.length;
    if (length > size) throw damaged(`more than ${size} bytes`);
    parts.push(part);
  }
  decoder.end();
  return parts.length === 1 ? parts[0] : Buffer.concat(parts);
}

/** Decompresses a stream of frames. */
export async function* decompressZstd(compressed: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const chunks = compressed[Symbol.asyncIterator]();
  const head: Buffer[] = [];
  let length = 0;
  // A header has at most 18 bytes.
  while (length < 18) {
    const next = await chunks.next();
    if (next.done) break;
    head.push(Buffer.from(next.value));
    length += next.value.length;
  }
  const first = Buffer.concat(head);
  async function* all(): AsyncGenerator<Uint8Array> {
    yield first;
    for (;;) {
      const next = await chunks.next();
      if (next.done) return;
      yield next.value;
    }
  }
  if ("createZstdDecompress" in zlib && windowOf(first) <= USUAL_WINDOW) {
    yield* through(all(), (zlib.createZstdDecompress as () => zlib.Gunzip)());
    return;
  }
  const decoder = new ZstdDecoder();
  for await (const chunk of all()) yield* decoder.push(chunk);
  decoder.end();
}

/** Pipes a stream of bytes through one of zlib's streams. */
export async function* through(
  compressed: AsyncIterable<Uint8Array>,
  decompressor: zlib.Gunzip,
): AsyncGenerator<Buffer> {
  // Errors of both streams are thrown where the result is read.
  pipeline(compressed instanceof Readable ? compressed : Readable.from(compressed), decompressor, () => {});
  yield* decompressor;
}

/** Largest window that zlib's zstd accepts by default. */
const USUAL_WINDOW = 2 ** 27;

function windowOf(bytes: Buffer): number {
  try {
    return headerOf(bytes)?.window ?? Number.POSITIVE_INFINITY;
  } catch {
    return 0;
  }
}

interface FrameHeader {
  /** Bytes of the header. */
  readonly length: number;
  readonly window: number;
  readonly checksum: boolean;
  /** Declared size of the content in bytes, if any. */
  readonly content: number | undefined;
}

/** Parses the header at the start of `bytes`; undefined if more bytes are needed. */
function headerOf(bytes: Buffer): FrameHeader | undefined {
  if (bytes.length < 6) return undefined;
  if (bytes.readUInt32LE(0) !== 0xfd2fb528) throw damaged("not a Zstandard frame");
  const flags = bytes[4];
  if ((flags & 8) !== 0) throw damaged("damaged frame header");
  const single = (flags & 32) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][flags & 3];
  const sizeBytes = flags >> 6 === 0 ? (single ? 1 : 0) : 1 << (flags >> 6);
  let at = single ? 5 : 6;
  const length = at + dictionaryBytes + sizeBytes;
  if (bytes.length < length) return undefined;
  if (dictionaryBytes > 0 && bytes.readUIntLE(at, dictionaryBytes) !== 0) {
    throw damaged("a frame needs a dictionary");
  }
  at += dictionaryBytes;
  const content =
    sizeBytes === 0
      ? undefined
      : sizeBytes === 8
        ? Number(bytes.readBigUInt64LE(at))
        : bytes.readUIntLE(at, sizeBytes) + (sizeBytes === 2 ? 256 : 0);
  const base = 2 ** (10 + (bytes[5] >> 3));
  const window = single ? (content ?? 0) : base + (base / 8) * (bytes[5] & 7);
  return { length, window, checksum: (flags & 4) !== 0, content };
}

/** Maximum bytes of a block's content. */
const BLOCK = 1 << 17;

class ZstdDecoder {
  #held: Buffer = Buffer.alloc(0);
  #frame: Frame | undefined;
  /** Remaining bytes of a skippable frame. */
  #skip = 0;

  /** Adds a chunk and yields the output that it completes; the caller owns each piece. */
  *push(chunk: Uint8Array): Generator<Buffer> {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    this.#held = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    let at = 0;
    for (;;) {
      const rest = this.#held.subarray(at);
      if (this.#skip > 0) {
        const gone = Math.min(this.#skip, rest.length);
        this.#skip -= gone;
        at += gone;
        if (this.#skip > 0) break;
        continue;
      }
      if (this.#frame === undefined) {
        if (rest.length >= 8 && (rest.readUInt32LE(0) & 0xfffffff0) >>> 0 === 0x184d2a50) {
          this.#skip = 8 + rest.readUInt32LE(4);
          continue;
        }
        const header = headerOf(rest);
        if (header === undefined) break;
        this.#frame = new Frame(header);
        at += header.length;
        continue;
      }
      const used = this.#frame.block(rest);
      if (used === 0) break;
      at += used;
      const piece = this.#frame.take();
      if (piece.length > 0) yield piece;
      if (this.#frame.done) this.#frame = undefined;
    }
    this.#held = Buffer.from(this.#held.subarray(at));
  }

  /** @throws ZstdError if the last frame is incomplete */
  end(): void {
    if (this.#frame !== undefined || this.#held.length > 0 || this.#skip > 0) throw cut();
  }
}

/** Decoding table, indexed by the state of the entropy coder. */
interface FseTable {
  readonly log: number;
  readonly symbols: Uint8Array;
  readonly bits: Uint8Array;
  readonly base: Uint16Array;
}

interface HuffmanTable {
  readonly log: number;
  readonly symbols: Uint8Array;
  readonly bits: Uint8Array;
}

class Frame {
  done = false;
  readonly #header: FrameHeader;
  readonly #window: number;
  /** The last window of output, and the current block. */
  #out: Buffer;
  #length = 0;
  /** End of the output that `take` returned, and length of all output. */
  #given = 0;
  #total = 0;
  #last = false;
  #huffman: HuffmanTable | undefined;
  #tables: (FseTable | undefined)[] = [undefined, undefined, undefined];
  readonly #repeat = [1, 4, 8];
  readonly #literals = Buffer.alloc(BLOCK + 8);
  /** A compressed block with padding, because reading beyond an array's end is slow. */
  readonly #block = Buffer.alloc(BLOCK + 8);
  readonly #hash: XxHash64 | undefined;

  constructor(header: FrameHeader) {
    this.#header = header;
    this.#window = Math.min(header.window, LARGEST_ZSTD_WINDOW);
    this.#out = Buffer.allocUnsafeSlow(2 * BLOCK);
    this.#hash = header.checksum ? new XxHash64() : undefined;
  }

  /** Reads the block at the start of `bytes`, or the frame's checksum. Returns its length; 0 if it is incomplete. */
  block(bytes: Buffer): number {
    if (this.#last) {
      if (bytes.length < 4) return 0;
      if (this.#hash !== undefined && this.#hash.digest() !== bytes.readUInt32LE(0)) throw damaged("wrong checksum");
      this.done = true;
      return 4;
    }
    if (bytes.length < 3) return 0;
    const head = bytes.readUIntLE(0, 3);
    const kind = (head >> 1) & 3;
    const size = head >> 3;
    const stored = kind === 1 ? 1 : size;
    if (size > BLOCK || kind === 3) throw damaged("damaged block header");
    if (bytes.length < 3 + stored) return 0;
    this.#room();
    const before = this.#length;
    if (kind === 0) bytes.copy(this.#out, this.#length, 3, 3 + size);
    else if (kind === 1) this.#out.fill(bytes[3], this.#length, this.#length + size);
    if (kind !== 2) this.#length += size;
    else this.#compressed(bytes.subarray(3, 3 + size));
    this.#total += this.#length - before;
    this.#hash?.update(this.#out.subarray(before, this.#length));
    if ((head & 1) === 1) this.#finish();
    return 3 + stored;
  }

  #finish(): void {
    const { content, checksum } = this.#header;
    if (content !== undefined && content !== this.#total) throw damaged("a frame does not have its declared length");
    if (checksum) this.#last = true;
    else this.done = true;
  }

  /** Returns a copy of the output since the last call. */
  take(): Buffer {
    const piece = Buffer.from(this.#out.subarray(this.#given, this.#length));
    this.#given = this.#length;
    return piece;
  }

  /** Makes room for one more block, and drops output from before the window. */
  #room(): void {
    if (this.#length + BLOCK <= this.#out.length) return;
    const most = this.#window + Math.max(8 * BLOCK, Math.min(this.#window, 32 << 20));
    let to = this.#out;
    // The last growth step is the largest, so that two buffers of nearly the final size never coexist.
    const next = 4 * this.#out.length > most ? most : 2 * this.#out.length;
    if (this.#out.length < most) to = Buffer.allocUnsafeSlow(next);
    const kept = to === this.#out ? Math.min(this.#window, this.#length) : Math.min(this.#length, to.length - BLOCK);
    this.#out.copy(to, 0, this.#length - kept, this.#length);
    this.#out = to;
    this.#length = kept;
    this.#given = kept;
  }

  #compressed(block: Buffer): void {
    const size = block.copy(this.#block);
    this.#block.fill(0, size, size + 8);
    const { literals, at } = this.#readLiterals(size);
    this.#sequences(size, at, literals);
  }

  /** Decodes a block's literals into `#literals`. Returns how many there are and where the sequences begin. */
  #readLiterals(length: number): { readonly literals: number; readonly at: number } {
    const block = this.#block;
    if (length < 2) throw cut();
    const kind = block[0] & 3;
    const format = (block[0] >> 2) & 3;
    const head = block.readUIntLE(0, 6);
    if (kind < 2) {
      const own = format === 1 ? 2 : format === 3 ? 3 : 1;
      const size =
        Math.floor(head / (format & 1 ? 16 : 8)) % (format === 1 ? 2 ** 12 : format === 3 ? 2 ** 20 : 2 ** 5);
      if (size > BLOCK) throw damaged("literals are too long");
      if (kind === 1) {
        if (own >= length) throw cut();
        this.#literals.fill(block[own], 0, size);
        return { literals: size, at: own + 1 };
      }
      if (own + size > length) throw cut();
      block.copy(this.#literals, 0, own, own + size);
      return { literals: size, at: own + size };
    }
    const width = format < 2 ? 10 : format === 2 ? 14 : 18;
    const own = format < 2 ? 3 : format + 2;
    const size = Math.floor(head / 16) % 2 ** width;
    const stored = Math.floor(head / 2 ** (4 + width)) % 2 ** width;
    if (size > BLOCK) throw damaged("literals are too long");
    if (own + stored > length) throw cut();
    let at = own;
    const end = own + stored;
    if (kind === 2) {
      const { table, length: described } = readHuffman(block.subarray(at, end));
      this.#huffman = table;
      at += described;
    }
    const table = this.#huffman;
    if (table === undefined) throw damaged("literals have no table");
    if (format === 0) decodeHuffman(block, at, end, this.#literals, 0, size, table);
    else {
      if (at + 6 > end) throw cut();
      const each = (size + 3) >> 2;
      const starts = [at + 6];
      for (let i = 0; i < 3; i++) starts.push(starts[i] + block.readUInt16LE(at + 2 * i));
      if (starts[3] > end || 3 * each > size) throw damaged("literals have wrong lengths");
      starts.push(end);
      for (let i = 0; i < 4; i++) {
        const to = i === 3 ? size : (i + 1) * each;
        decodeHuffman(block, starts[i], starts[i + 1], this.#literals, i * each, to, table);
      }
    }
    return { literals: size, at: end };
  }

  #sequences(length: number, start: number, literals: number): void {
    const block = this.#block;
    let at = start;
    const byte = (): number => {
      if (at >= length) throw cut();
      return block[at++];
    };
    let count = byte();
    if (count === 255) count = byte() + byte() * 256 + 0x7f00;
    else if (count >= 128) count = (count - 128) * 256 + byte();
    const first = this.#length;
    let literal = 0;
    if (count > 0) {
      const modes = byte();
      if ((modes & 3) !== 0) throw damaged("damaged sequences header");
      for (let i = 0; i < 3; i++) {
        const mode = (modes >> (6 - 2 * i)) & 3;
        if (mode === 0) this.#tables[i] = PREDEFINED[i];
        else if (mode === 1) this.#tables[i] = single(byte(), MOST_SYMBOL[i]);
        else if (mode === 2) {
          const { table, length: own } = readFse(block.subarray(at, length), MOST_LOG[i], MOST_SYMBOL[i]);
          this.#tables[i] = table;
          at += own;
        }
      }
      const [lengths, offsets, matches] = this.#tables;
      if (lengths === undefined || offsets === undefined || matches === undefined)
        throw damaged("sequences have no tables");
      literal = this.#copy(new BackwardBits(block, at, length), count, lengths, offsets, matches, literals, first);
    }
    const rest = literals - literal;
    if (rest < 0 || this.#length - first + rest > BLOCK) throw damaged("a block is too long");
    this.#literals.copy(this.#out, this.#length, literal, literals);
    this.#length += rest;
  }

  /** Executes sequences: each copies literals, then a match from earlier output. Returns the number of literals used. */
  #copy(
    bits: BackwardBits,
    count: number,
    lengths: FseTable,
    offsets: FseTable,
    matches: FseTable,
    literals: number,
    first: number,
  ): number {
    const out = this.#out;
    const from = this.#literals;
    const repeat = this.#repeat;
    const most = first + BLOCK;
    let to = this.#length;
    let literal = 0;
    let lengthState = bits.read(lengths.log);
    let offsetState = bits.read(offsets.log);
    let matchState = bits.read(matches.log);
    for (let left = count; left > 0; left--) {
      const offsetCode = offsets.symbols[offsetState];
      const value = ((1 << offsetCode) >>> 0) + bits.read(offsetCode);
      const matchCode = matches.symbols[matchState];
      const match = MATCH_BASE[matchCode] + bits.read(MATCH_BITS[matchCode]);
      const lengthCode = lengths.symbols[lengthState];
      const length = LENGTH_BASE[lengthCode] + bits.read(LENGTH_BITS[lengthCode]);
      let distance: number;
      if (value > 3) {
        distance = value - 3;
        repeat[2] = repeat[1];
        repeat[1] = repeat[0];
        repeat[0] = distance;
      } else {
        const index = value - (length === 0 ? 0 : 1);
        distance = index === 3 ? repeat[0] - 1 : repeat[index];
        if (index > 1) repeat[2] = repeat[1];
        if (index > 0) {
          repeat[1] = repeat[0];
          repeat[0] = distance;
        }
      }
      if (length > literals - literal || to + length + match > most) throw damaged("a sequence is too long");
      for (let i = 0; i < length; i++) out[to++] = from[literal++];
      if (distance > to || distance <= 0) throw this.#tooFar(distance, to - first);
      if (distance >= match && match > 64) {
        out.copyWithin(to, to - distance, to - distance + match);
        to += match;
      } else for (let end = to + match; to < end; to++) out[to] = out[to - distance];
      if (left > 1) {
        lengthState = lengths.base[lengthState] + bits.read(lengths.bits[lengthState]);
        matchState = matches.base[matchState] + bits.read(matches.bits[matchState]);
        offsetState = offsets.base[offsetState] + bits.read(offsets.bits[offsetState]);
      }
    }
    if (bits.left !== 0) throw damaged("sequences end in the wrong place");
    this.#length = to;
    return literal;
  }

  /** The error for a match beyond the kept output: either damage, or a window above the limit. */
  #tooFar(distance: number, inBlock: number): ZstdError {
    const { window } = this.#header;
    if (distance <= 0 || distance > window || distance > this.#total + inBlock) return damaged("a distance is too far");
    return damaged(
      `its window of ${Math.round(window / 2 ** 20)} MiB exceeds the limit of ${LARGEST_ZSTD_WINDOW / 2 ** 20} MiB ` +
        "(decompress it with zstd -d --long=31)",
    );
  }
}

/** Reads bits from the end of a byte range to its beginning, starting below the highest set bit of the last byte. */
class BackwardBits {
  readonly #bytes: Buffer;
  readonly #from: number;
  /** Remaining bits. */
  left: number;

  constructor(bytes: Buffer, from: number, to: number) {
    const last = to > from ? bytes[to - 1] : 0;
    if (last === 0) throw damaged("a bit stream has no end mark");
    this.#bytes = bytes;
    this.#from = from;
    this.left = (to - from) * 8 - 8 + (31 - Math.clz32(last));
  }

  /** Reads an integer of `count` bits, up to 32. */
  read(count: number): number {
    if (count > 24) return this.read(count - 16) * 65536 + this.read(16);
    this.left -= count;
    if (this.left < 0) throw cut();
    return this.#at(this.left, count);
  }

  /** Returns the next `count` bits (up to 24) without consuming them, padded with zeros. */
  peek(count: number): number {
    return this.left >= count ? this.#at(this.left - count, count) : this.#at(0, this.left) << (count - this.left);
  }

  #at(bit: number, count: number): number {
    const bytes = this.#bytes;
    const at = this.#from + (bit >>> 3);
    // Bytes after the end are undefined, and shifting undefined returns 0.
    const word = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
    return (word >>> (bit & 7)) & ((1 << count) - 1);
  }
}

function decodeHuffman(
  packed: Buffer,
  start: number,
  end: number,
  into: Buffer,
  from: number,
  to: number,
  { log, symbols, bits }: HuffmanTable,
): void {
  if (from === to && start === end) return;
  const stream = new BackwardBits(packed, start, end);
  for (let at = from; at < to; at++) {
    const index = stream.peek(log);
    into[at] = symbols[index];
    stream.left -= bits[index];
    if (stream.left < 0) throw cut();
  }
  if (stream.left !== 0) throw damaged("literals end in the wrong place");
}

const LONGEST_CODE = 11;

function readHuffman(bytes: Buffer): { readonly table: HuffmanTable; readonly length: number } {
  if (bytes.length === 0) throw cut();
  const head = bytes[0];
  const weights: number[] = [];
  let length = 1;
  if (head >= 128) {
    const count = head - 127;
    length += (count + 1) >> 1;
    if (length > bytes.length) throw cut();
    for (let i = 0; i < count; i++) weights.push(i % 2 === 0 ? bytes[1 + (i >> 1)] >> 4 : bytes[1 + (i >> 1)] & 15);
  } else {
    length += head;
    if (length > bytes.length) throw cut();
    const { table, length: own } = readFse(bytes.subarray(1, length), 6, 255);
    const stream = new BackwardBits(bytes, 1 + own, length);
    // Two states alternate until the bits run out; then the other state yields the last symbol.
    const states = [stream.read(table.log), stream.read(table.log)];
    for (let turn = 0; ; turn ^= 1) {
      const state = states[turn];
      weights.push(table.symbols[state]);
      if (weights.length > 255) throw damaged("a table of literals is too long");
      if (stream.left < table.bits[state]) {
        weights.push(table.symbols[states[turn ^ 1]]);
        break;
      }
      states[turn] = table.base[state] + stream.read(table.bits[state]);
    }
  }
  let sum = 0;
  for (const weight of weights) {
    if (weight > LONGEST_CODE + 1) throw damaged("damaged table of literals");
    sum += weight === 0 ? 0 : 2 ** (weight - 1);
  }
  if (sum === 0 || weights.length > 255) throw damaged("damaged table of literals");
  // The last weight completes the sum to a power of two.
  const log = 32 - Math.clz32(sum);
  const rest = 2 ** log - sum;
  if (log > LONGEST_CODE || (rest & (rest - 1)) !== 0) throw damaged("damaged table of literals");
  weights.push(32 - Math.clz32(rest));
  const symbols = new Uint8Array(2 ** log);
  const bits = new Uint8Array(2 ** log);
  let at = 0;
  for (let weight = 1; weight <= log; weight++) {
    weights.forEach((each, symbol) => {
      if (each !== weight) return;
      const next = at + 2 ** (weight - 1);
      symbols.fill(symbol, at, next);
      bits.fill(log + 1 - weight, at, next);
      at = next;
    });
  }
  return { table: { log, symbols, bits }, length };
}

/** Reads the probabilities of symbols, and builds their decoding table. */
function readFse(
  bytes: Buffer,
  mostLog: number,
  mostSymbol: number,
): { readonly table: FseTable; readonly length: number } {
  let bit = 0;
  const peek = (count: number) => {
    const at = bit >> 3;
    const word = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16);
    return (word >>> (bit & 7)) & ((1 << count) - 1);
  };
  if (bytes.length === 0) throw cut();
  const log = peek(4) + 5;
  bit = 4;
  if (log > mostLog) throw damaged("a table of probabilities is too large");
  const counts: number[] = [];
  let left = (1 << log) + 1;
  while (left > 1) {
    if (bit > bytes.length * 8 || counts.length > mostSymbol) throw damaged("damaged table of probabilities");
    // Values that are no longer possible free shorter codes for small values.
    const width = 32 - Math.clz32(left);
    const short = 2 ** width - 1 - left;
    let value = peek(width - 1);
    if (value < short) bit += width - 1;
    else {
      value = peek(width);
      bit += width;
      if (value >= 2 ** (width - 1)) value -= short;
    }
    const count = value - 1;
    counts.push(count);
    left -= Math.abs(count);
    if (count === 0) {
      for (let more = 3; more === 3; ) {
        more = peek(2);
        bit += 2;
        for (let i = 0; i < more; i++) counts.push(0);
        if (counts.length > mostSymbol + 1) throw damaged("damaged table of probabilities");
      }
    }
  }
  if (left !== 1 || counts.length > mostSymbol + 1 || bit > bytes.length * 8)
    throw damaged("damaged table of probabilities");
  return { table: makeTable(counts, log), length: (bit + 7) >> 3 };
}

function makeTable(counts: readonly number[], log: number): FseTable {
  const size = 1 << log;
  const symbols = new Uint8Array(size);
  const next = counts.map((count) => (count < 0 ? 1 : count));
  let high = size - 1;
  counts.forEach((count, symbol) => {
    if (count < 0) symbols[high--] = symbol;
  });
  const step = (size >> 1) + (size >> 3) + 3;
  let at = 0;
  counts.forEach((count, symbol) => {
    for (let i = 0; i < count; i++) {
      symbols[at] = symbol;
      do at = (at + step) & (size - 1);
      while (at > high);
    }
  });
  if (at !== 0) throw damaged("damaged table of probabilities");
  const bits = new Uint8Array(size);
  const base = new Uint16Array(size);
  for (let state = 0; state < size; state++) {
    const number = next[symbols[state]]++;
    bits[state] = log - (31 - Math.clz32(number));
    base[state] = (number << bits[state]) - size;
  }
  return { log, symbols, bits, base };
}

function single(symbol: number, most: number): FseTable {
  if (symbol > most) throw damaged("unknown symbol");
  return { log: 0, symbols: Uint8Array.of(symbol), bits: Uint8Array.of(0), base: Uint16Array.of(0) };
}

/** For literal lengths, offsets and match lengths, in this order. */
const MOST_LOG = [9, 8, 9];
const MOST_SYMBOL = [35, 31, 52];

function basesOf(bits: Uint8Array, first: number): Uint32Array {
  let base = first;
  return Uint32Array.from(bits, (each) => {
    const own = base;
    base += 2 ** each;
    return own;
  });
}
const zeros = (count: number) => new Uint8Array(count);
const LENGTH_BITS = Uint8Array.of(...zeros(16), 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
const LENGTH_BASE = basesOf(LENGTH_BITS, 0);
const MATCH_BITS = Uint8Array.of(...zeros(32), 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
const MATCH_BASE = basesOf(MATCH_BITS, 3);

/** RFC 8878, 3.1.1.3.2.2. */
const PREDEFINED: readonly FseTable[] = [
  makeTable(
    [4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1],
    6,
  ),
  makeTable([1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1], 5),
  makeTable(
    [
      1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
      1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
    ],
    6,
  ),
];
