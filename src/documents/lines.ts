/** @file Reads the lines of a plain or compressed file, in blocks of about a megabyte that contain whole lines. */
import { type FileHandle, open } from "node:fs/promises";
import { fileError } from "../errors.js";
import { bufferOf } from "./utf8.js";

/** A part of a plain file: the lines that begin in this byte range. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** Whole lines; the last may lack its line feed. The bytes are valid until the next block is requested. */
export interface Lines {
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  /** Byte of the first line, in the decompressed file. */
  readonly start: number;
  /** Its number, from 1; undefined if lines are not counted. */
  readonly firstLine: number | undefined;
}

/** A sequential source of bytes. */
export interface ByteSource {
  /** Reads up to `into.length` bytes and returns how many; 0 at the end. */
  fill(into: Uint8Array): Promise<number>;
  close(): Promise<void>;
}

/** Bytes of a block, unless a line is longer. */
export const BLOCK = 1 << 20;

export interface LineOptions {
  readonly range?: ByteRange;
  /** Longest line in bytes; longer ones are dropped, except lines that fit into a block. */
  readonly largest: number;
  /** Whether to count lines, for `firstLine`. */
  readonly counted?: boolean;
  /** Called for a line that is too long. */
  readonly tooLong: (start: number, line: number | undefined) => void;
  /** True once the bytes are known to be damaged; then the incomplete last line is dropped. */
  readonly isDamaged?: () => boolean;
}

/** Yields blocks of lines. A line belongs to the range in which it begins. */
export async function* linesOf(source: ByteSource, options: LineOptions): AsyncGenerator<Lines> {
  const { range, tooLong, counted = false, isDamaged = () => false } = options;
  const largest = Math.max(options.largest, BLOCK);
  const end = range?.end ?? Number.POSITIVE_INFINITY;
  let bytes = new Uint8Array(new SharedArrayBuffer(BLOCK));
  /** How many bytes of `bytes` are filled, and their offset in the file. */
  let length = 0;
  let start = range === undefined || range.start === 0 ? 0 : range.start - 1;
  let line: number | undefined = counted ? 1 : undefined;
  // Reading starts one byte early, which may be the end of the previous line.
  let isSkipping = range !== undefined && range.start > 0;
  const drop = (count: number): void => {
    bytes.copyWithin(0, count, length);
    start += count;
    length -= count;
  };
  const lines = (to: number): Lines => ({ bytes: bytes.subarray(0, to), start, firstLine: line });
  while (start < end) {
    // Reads little beyond the range.
    const room = Math.min(bytes.length, Math.max(length + 2 ** 16, end - start));
    const read = await source.fill(bytes.subarray(length, room));
    if (read === 0) break;
    length += read;
    if (isSkipping) {
      const stop = bufferOf(bytes.subarray(0, length)).indexOf(10) + 1;
      drop(stop === 0 ? length : stop);
      if (stop === 0) continue;
      isSkipping = false;
      if (start >= end) return;
    }
    const filled = bufferOf(bytes.subarray(0, length));
    const isLast = start + length >= end && filled.indexOf(10, end - start - 1) >= 0;
    // Gathers small reads.
    if (length < bytes.length && !isLast) continue;
    let stop = filled.lastIndexOf(10) + 1;
    if (stop === 0) {
      if (length > largest) {
        tooLong(start, line);
        if (line !== undefined) line += 1;
        isSkipping = true;
        drop(length);
        bytes = new Uint8Array(new SharedArrayBuffer(BLOCK));
      } else {
        const grown = new Uint8Array(new SharedArrayBuffer(Math.min(bytes.length * 2, largest + 1)));
        grown.set(bytes);
        bytes = grown;
      }
      continue;
    }
    if (start + stop > end) stop = endOfRange(filled, stop, end - start);
    const more = line === undefined ? 0 : lineFeeds(bytes.subarray(0, stop));
    yield lines(stop);
    if (line !== undefined) line += more;
    drop(stop);
    // Frees the buffer that grew for one long line.
    if (bytes.length > BLOCK && length < BLOCK) {
      const own = new Uint8Array(new SharedArrayBuffer(BLOCK));
      own.set(bytes.subarray(0, length));
      bytes = own;
    }
  }
  if (isSkipping || start >= end) return;
  const whole = isDamaged() ? bufferOf(bytes.subarray(0, length)).lastIndexOf(10) + 1 : length;
  const stop = start + whole > end ? endOfRange(bytes.subarray(0, whole), whole, end - start) : whole;
  if (stop > 0) yield lines(stop);
}

/** Returns the end of the line that contains the byte before `end`. */
function endOfRange(bytes: Uint8Array, length: number, end: number): number {
  const stop = bufferOf(bytes).indexOf(10, end - 1);
  return stop < 0 ? length : stop + 1;
}

function lineFeeds(block: Uint8Array): number {
  const bytes = bufferOf(block);
  let count = 0;
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) count++;
  return count;
}

/** Opens a plain file at byte `from`. @param onOpen called with a counter of the bytes read */
export async function openPlain(
  path: string,
  from: number,
  signal?: AbortSignal,
  onOpen?: (counter: { readonly bytesRead: number }) => void,
): Promise<ByteSource> {
  let handle: FileHandle;
  try {
    handle = await open(path);
  } catch (error) {
    throw fileError(error, "read", path);
  }
  const counter = { bytesRead: 0 };
  onOpen?.(counter);
  return {
    async fill(into) {
      signal?.throwIfAborted();
      try {
        const { bytesRead } = await handle.read(into, 0, into.length, from + counter.bytesRead);
        counter.bytesRead += bytesRead;
        return bytesRead;
      } catch (error) {
        throw fileError(error, "read", path);
      }
    },
    close: () => handle.close(),
  };
}

/** Makes a `ByteSource` of a stream of pieces. */
export function sourceOf(pieces: AsyncIterable<Uint8Array>): ByteSource {
  const iterator = pieces[Symbol.asyncIterator]();
  let rest: Uint8Array = new Uint8Array(0);
  return {
    async fill(into) {
      while (rest.length === 0) {
        const { value, done } = await iterator.next();
        if (done) return 0;
        rest = value;
      }
      const count = Math.min(into.length, rest.length);
      into.set(rest.subarray(0, count));
      rest = rest.subarray(count);
      return count;
    },
    close: async () => void (await iterator.return?.()),
  };
}
