/** @file Lines of a file, plain or compressed, in blocks of some megabyte that begin and end with whole lines. */
import { type FileHandle, open } from "node:fs/promises";
import { fileError } from "../errors.js";
import { bufferOf } from "./utf8.js";

/** A stretch of a plain file: the lines that begin at these bytes. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** Whole lines, the last perhaps without its line feed. Their bytes are good until the next block is asked for. */
export interface Lines {
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  /** Byte of the first line, in the decompressed file. */
  readonly start: number;
  /** Its number, from 1; undefined where lines are not counted. */
  readonly firstLine: number | undefined;
}

/** Bytes in order. */
export interface ByteSource {
  /** Reads up to `into.length` of them and says how many; 0 at the end. */
  fill(into: Uint8Array): Promise<number>;
  close(): Promise<void>;
}

/** Bytes of a block, where a line is not longer. */
export const BLOCK = 1 << 20;

export interface LineOptions {
  readonly range?: ByteRange;
  /** No longer line is kept; whole lines in a block may be longer if it is less than a block. */
  readonly largest: number;
  /** Whether `firstLine` is wanted. */
  readonly counted?: boolean;
  /** Called for a line that is too long. */
  readonly tooLong: (start: number, line: number | undefined) => void;
  /** True once the bytes are known to be damaged: then the line that the end cuts is none. */
  readonly isDamaged?: () => boolean;
}

/** Blocks of lines. A line belongs to the range in which it begins. */
export async function* linesOf(source: ByteSource, options: LineOptions): AsyncGenerator<Lines> {
  const { range, tooLong, counted = false, isDamaged = () => false } = options;
  const largest = Math.max(options.largest, BLOCK);
  const end = range?.end ?? Number.POSITIVE_INFINITY;
  let bytes = new Uint8Array(new SharedArrayBuffer(BLOCK));
  /** Bytes of `bytes` that are filled, and where they lie in the file. */
  let length = 0;
  let start = range === undefined || range.start === 0 ? 0 : range.start - 1;
  let line: number | undefined = counted ? 1 : undefined;
  // Reading starts a byte early, at what may be the end of the line before.
  let isSkipping = range !== undefined && range.start > 0;
  const drop = (count: number): void => {
    bytes.copyWithin(0, count, length);
    start += count;
    length -= count;
  };
  const lines = (to: number): Lines => ({ bytes: bytes.subarray(0, to), start, firstLine: line });
  while (start < end) {
    // Little is read of what lies behind the range.
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
    // Small reads are gathered.
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
    // Room for one long line is given back.
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

/** Where the line ends that has the byte before `end`. */
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

/** A plain file's bytes from one on. `onOpen` is given what counts them. */
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

/** The same of pieces that come by themselves. */
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
