/**
 * @file Reads the records of web archives: WARC (ISO 28500, versions 0.17 to 1.1, including WET files) and ARC. The file may
 * be plain, or compressed by gzip or Zstandard, record by record or as a whole. Damaged records are counted by reason;
 * reading resumes at the next intact record.
 */

import { pipeline, Readable } from "node:stream";
import * as zlib from "node:zlib";
import { damageOf, decompress } from "../compression.js";
import { type Head, isArcHead, LARGEST_HEAD, nextHead, parseHead, RECORD_START } from "./heads.js";
import {
  compressionByMagic,
  gunzipCut,
  gunzipMember,
  gzipHeaderLength,
  isStream,
  type Member,
  type MemberCompression,
  startsMember,
  unzstdCut,
  unzstdMember,
} from "./members.js";
import { Window } from "./window.js";

export interface ArchiveRecord {
  /** The value of WARC-Type; in an ARC file `response` or `filedesc`. */
  readonly type: string;
  /** The record's header fields, with lower-case names. */
  readonly fields: ReadonlyMap<string, string>;
  /**
   * First byte of the record, as compressed, in the archive. If the archive is compressed as a whole: first byte in the
   * decompressed archive.
   */
  readonly offset: number;
  readonly content: Buffer;
  /** True if the archive ends inside the record; then `content` is incomplete. */
  readonly cut: boolean;
}

export interface ArchiveReader extends AsyncIterable<ArchiveRecord> {
  /** Number of records or byte ranges that were skipped or cut, by reason. */
  readonly lost: ReadonlyMap<string, number>;
}

export interface ArchiveOptions {
  /** Largest decompressed record in bytes; larger ones are skipped. Default 64 MiB. */
  readonly largestRecord?: number;
  readonly signal?: AbortSignal;
}

const LARGEST_RECORD = 64 * 2 ** 20;
const CHUNK = 2 ** 20;
/** Bytes that are decompressed at a time from a stream. */
const PIECE = 2 ** 16;

/** Reads an archive from a stream of bytes. Can be iterated once. */
export function readArchive(source: AsyncIterable<Uint8Array>, options: ArchiveOptions = {}): ArchiveReader {
  const lost = new Map<string, number>();
  const lose = (reason: string) => lost.set(reason, (lost.get(reason) ?? 0) + 1);
  const { largestRecord: limit = LARGEST_RECORD, signal } = options;
  async function* read(): AsyncGenerator<ArchiveRecord> {
    const window = new Window(source);
    try {
      yield* readRecords({ window, limit, lose, signal, seen: new Set() });
    } finally {
      await window.close();
    }
  }
  return { lost, [Symbol.asyncIterator]: read };
}

type Lose = (reason: string) => void;

interface Reading {
  readonly window: Window;
  /** Maximum size of a record's content, in bytes. */
  readonly limit: number;
  readonly lose: Lose;
  readonly signal?: AbortSignal;
  /** Formats found so far. After damage, the search for the next record looks for these. */
  readonly seen: Set<MemberCompression | "warc" | "arc">;
  /**
   * Set while reading decompressed bytes, in which no compressed members are searched for. For a single member: its offset,
   * and whether it was cut.
   */
  readonly inner?: { readonly offset?: number; readonly cut?: boolean };
}

/** Reads compressed and plain records in any order, because archives of both kinds get appended to one another. */
async function* readRecords(reading: Reading): AsyncGenerator<ArchiveRecord> {
  const { window, lose, signal, seen } = reading;
  for (;;) {
    signal?.throwIfAborted();
    await window.grow(CHUNK);
    window.drop(skipBlank(window.bytes, 0));
    await window.grow(LARGEST_HEAD);
    if (window.bytes.length === 0) return;
    const compression = reading.inner === undefined ? compressionByMagic(window.bytes) : "none";
    if (compression !== "none") {
      if (yield* readMember(reading, compression)) return;
      continue;
    }
    const head = parseHead(window.bytes);
    if (head !== null && head !== "too large") {
      seen.add(head.format);
      yield* readPlain(reading, head);
    } else {
      if (reading.inner?.cut !== true) lose(head === null ? "no record" : "head too large");
      await findStart(reading);
    }
  }
}

/** Reads the records of the member at the start of the window; returns true if nothing after it can be read. */
async function* readMember(
  reading: Reading,
  compression: Exclude<MemberCompression, "none">,
): AsyncGenerator<ArchiveRecord, boolean> {
  const { window, limit, lose, seen } = reading;
  // The limit is on the record's content, so the head gets extra room.
  const most = limit + LARGEST_HEAD;
  const beginning = compression === "gzip" ? gunzipCut : unzstdCut;
  const first = seen.size === 0;
  const found = await nextMember(window, compression, most);
  if (found === undefined) return true;
  if ("bytes" in found) {
    const { bytes, length } = found;
    if (first && endsInside(bytes)) {
      await window.grow(length + LARGEST_HEAD);
      const rest = window.bytes.subarray(length);
      const next = beginning(rest, CHUNK).toString("latin1", 0, 512);
      if (compressionByMagic(rest) === compression && !RECORD_START.test(next)) {
        // bgzip starts a new member whenever one is full, even inside a record: the members form one stream.
        yield* readRecords({
          ...reading,
          window: new Window(joined(window, compression, most, lose)),
          inner: { cut: true },
        });
        return true;
      }
    }
    yield* recordsOf(reading, bytes, false);
    window.drop(length);
    // A skippable zstd frame says nothing about the format.
    if (bytes.length > 0) seen.add(compression);
    return false;
  }
  const { problem } = found;
  const isCut = problem === "cut short";
  // The archive may be compressed as a whole. If it is cut, its bytes are kept, to search them for members.
  const copy = isCut ? new Window(Readable.from([Buffer.from(window.bytes)])) : window;
  await copy.grow(1);
  if (compression === "gzip" && (problem === "too large" || (first && isCut)) && beginsWithHead(window.bytes)) {
    yield* readRecords({ ...reading, window: new Window(streamed(copy, lose)), inner: {} });
    seen.add(compression);
    if (!isCut) return false;
  } else if (compression === "zstd" && first && (problem === "too large" || isCut) && isStream(window.bytes)) {
    yield* readRecords({ ...reading, window: new Window(soundPart(rest(copy), compression, lose)), inner: {} });
    seen.add(compression);
    if (!isCut) return true;
  } else {
    lose(problem);
    if (isCut) yield* recordsOf(reading, beginning(window.bytes, most), true);
  }
  if (problem === "zstd with a dictionary") return true;
  // Plain records are not searched for in a compressed archive: compressed bytes may contain them literally.
  if (seen.has(compression) || isCut) await findMember(window, compression);
  else await findStart(reading);
  return false;
}

/** Returns the member at the start of the window, or what is wrong with it; undefined at the end. */
async function nextMember(
  window: Window,
  compression: Exclude<MemberCompression, "none">,
  most: number,
): Promise<Exclude<Member, "more"> | undefined> {
  const member = compression === "gzip" ? gunzipMember : unzstdMember;
  await window.grow(CHUNK);
  if (window.bytes.length === 0) return undefined;
  let found = member(window.bytes, most);
  while (found === "more" && !window.ended) {
    await window.grow(2 * window.bytes.length);
    found = member(window.bytes, most);
    // A member that does not end would be decompressed from its start again and again.
    if (found === "more" && window.bytes.length > most) break;
  }
  if (found !== "more") return found;
  return { problem: window.ended ? "cut short" : "too large" };
}

/** Reads the records of one member; a correct archive has one record per member. */
async function* recordsOf(reading: Reading, bytes: Buffer, cut: boolean): AsyncGenerator<ArchiveRecord> {
  const { offset } = reading.window;
  const head = parseHead(bytes);
  if (head !== null && head !== "too large" && head.contentLength !== null) {
    const { type, fields, length, contentLength } = head;
    const end = length + contentLength;
    if (end <= bytes.length && skipBlank(bytes, end) === bytes.length) {
      yield { type, fields, offset, content: bytes.subarray(length, end), cut: false };
      return;
    }
  }
  const window = new Window(Readable.from([bytes]));
  yield* readRecords({ ...reading, window, inner: { offset, cut } });
}

/**
 * Reads the record with this head at the start of the window. Its declared length counts if another record or the archive's
 * end follows. Otherwise it ends where the next record is found, so that a wrong length hides no other record.
 */
async function* readPlain(reading: Reading, head: Head): AsyncGenerator<ArchiveRecord> {
  const { window, limit, lose, inner } = reading;
  const { type, fields, length: start, contentLength } = head;
  const record = (end: number, cut = false): ArchiveRecord => {
    const offset = inner?.offset ?? window.offset;
    return { type, fields, offset, content: Buffer.from(window.bytes.subarray(start, end)), cut };
  };
  const most = start + limit;
  const end = start + (contentLength ?? 0);
  let from = start;
  if (contentLength !== null) {
    await window.grow(Math.min(end, most) + LARGEST_HEAD);
    if (end <= most && followedByRecord(window, end)) {
      yield record(end);
      return window.drop(end);
    }
    const inside = await nextStart(reading, start, Math.min(end, most));
    if (inside >= 0) {
      lose("wrong length");
      yield record(trimEnd(window.bytes, start, inside));
      return window.drop(inside);
    }
    if (window.ended && window.bytes.length < Math.min(end, most)) {
      // A complete member is not cut, so its declared length is wrong.
      const cut = inner?.cut ?? true;
      if (inner?.cut !== true) lose(cut ? "cut short" : "wrong length");
      yield record(cut ? window.bytes.length : trimEnd(window.bytes, start, window.bytes.length), cut);
      return window.drop(window.bytes.length);
    }
    if (end > most) {
      lose("too large");
      return findStart(reading, window.offset + end);
    }
    if (head.format === "warc" && /^\r?\n\r?\n/.test(window.bytes.toString("latin1", end, end + 4))) {
      yield record(end); // damage follows it
      return window.drop(end);
    }
    from = end;
  }
  const next = await nextStart(reading, from, most);
  if (next < 0 && window.bytes.length > most) {
    lose("too large");
    return findStart(reading);
  }
  // A record without a length extends to the end of its member.
  if (contentLength !== null) lose("wrong length");
  else if (next >= 0 || inner === undefined) lose("no length");
  const last = next < 0 ? window.bytes.length : next;
  yield record(trimEnd(window.bytes, start, last));
  window.drop(last);
}

/** True if the archive ends at `end` or another record begins there. */
function followedByRecord(window: Window, end: number): boolean {
  const { bytes, ended } = window;
  const at = skipBlank(bytes, end);
  if (at >= bytes.length) return ended ? end <= bytes.length : true;
  // Without a line end before it, this may be the middle of a line that merely looks like an ARC head.
  if (at === end && bytes[end - 1] !== 10 && bytes[end] !== 0x57) return isArcHead(bytes.subarray(at));
  const start = bytes.subarray(at, at + 1024);
  return compressionByMagic(start) !== "none" || RECORD_START.test(start.toString("latin1"));
}

/** Finds the first plain record that begins in [`from`, `to`), growing the window as needed; -1 if there is none. */
async function nextStart({ window, seen }: Reading, from: number, to: number): Promise<number> {
  for (let at = from; ; ) {
    await window.grow(Math.min(at + CHUNK, to) + LARGEST_HEAD);
    const bytes = window.bytes.subarray(0, to + LARGEST_HEAD);
    const found = nextHead(bytes, at, seen.has("arc"));
    if (found >= 0) return found < to ? found : -1;
    if (window.ended || bytes.length >= to + LARGEST_HEAD) return -1;
    at = Math.max(at, bytes.length - LARGEST_HEAD);
  }
}

/** Drops the bytes before the next record or member: at least one byte, and none after offset `until` of the archive. */
async function findStart({ window, seen, inner }: Reading, until = Number.POSITIVE_INFINITY): Promise<void> {
  window.drop(1);
  for (;;) {
    await window.grow(CHUNK);
    const { bytes } = window;
    const plain = nextHead(bytes, 0, seen.has("arc") || !seen.has("warc"));
    const member = inner === undefined ? memberIn(plain < 0 ? bytes : bytes.subarray(0, plain), seen.has("zstd")) : -1;
    const found = member < 0 ? plain : member;
    const most = until - window.offset;
    if (found >= 0 && found < most) return window.drop(found);
    if (bytes.length >= most) return window.drop(most);
    if (window.ended) return window.drop(bytes.length);
    // A head or a member may begin in the last bytes.
    window.drop(Math.max(0, bytes.length - LARGEST_HEAD));
  }
}

/** Drops at least one byte, up to the next member whose text begins like a record, or matches `expected`. */
async function findMember(window: Window, compression: MemberCompression, expected = RECORD_START): Promise<void> {
  window.drop(1);
  for (;;) {
    await window.grow(CHUNK);
    const { bytes } = window;
    const at = compression === "zstd" ? bytes.indexOf(ZSTD_START) : memberIn(bytes, false, expected);
    if (at >= 0) return window.drop(at);
    if (window.ended) return window.drop(bytes.length);
    window.drop(Math.max(0, bytes.length - 1024)); // a member may begin in the last bytes
  }
}

/** Skips line ends and the zeros that pad files. */
function skipBlank(bytes: Buffer, at: number): number {
  while (bytes[at] === 13 || bytes[at] === 10 || bytes[at] === 0) at += 1;
  return at;
}

/** Returns the end of the content, before the empty lines that close a record. */
function trimEnd(bytes: Buffer, start: number, end: number): number {
  const ends = /(?:\r?\n){1,2}$/.exec(bytes.toString("latin1", Math.max(start, end - 4), end));
  return end - (ends?.[0].length ?? 0);
}

/** True if the last record of a member continues after it. */
function endsInside(bytes: Buffer): boolean {
  for (let at = skipBlank(bytes, 0); at < bytes.length; at = skipBlank(bytes, at)) {
    const head = parseHead(bytes.subarray(at, at + LARGEST_HEAD));
    if (head === null || head === "too large") return at > 0;
    if (head.contentLength === null) return false;
    at += head.length + head.contentLength;
    if (at > bytes.length) return true;
  }
  return false;
}

/** Decompresses and joins all members; a damaged one is skipped. */
async function* joined(
  window: Window,
  compression: Exclude<MemberCompression, "none">,
  most: number,
  lose: Lose,
): AsyncGenerator<Buffer> {
  const start = window.offset;
  let given = 0;
  for (;;) {
    const found = await nextMember(window, compression, most);
    if (found === undefined) return;
    if ("bytes" in found) {
      given += found.bytes.length;
      if (isBomb(given, window.offset + found.length - start)) return lose("too large");
      yield found.bytes;
      window.drop(found.length);
    } else {
      lose(found.problem);
      await findMember(window, compression, /./s);
    }
  }
}

/** Limit on the compression ratio, against decompression bombs, beyond a harmless size. Text reaches some tens. */
const LARGEST_RATIO = 200;
const HARMLESS = 64 * 2 ** 20;
const isBomb = (decompressed: number, compressed: number) => decompressed > HARMLESS + LARGEST_RATIO * compressed;

/** True if a gzip member's text begins with a record head. */
function beginsWithHead(bytes: Buffer): boolean {
  return parseHead(gunzipCut(bytes.subarray(0, LARGEST_HEAD), CHUNK)) !== null;
}

/** Decompresses the gzip member at the start of the window piece by piece. Afterwards the window begins after it, or at the damage. */
async function* streamed(window: Window, lose: Lose): AsyncGenerator<Buffer> {
  const header = gzipHeaderLength(window.bytes);
  if (typeof header !== "number") return;
  window.drop(header);
  const inflate = zlib.createInflateRaw();
  let dropped = 0;
  const dropRead = () => {
    window.drop(inflate.bytesWritten - dropped);
    dropped = inflate.bytesWritten;
  };
  async function* compressed() {
    for (let given = 0; ; ) {
      dropRead();
      await window.grow(given - dropped + 1);
      const bytes = Buffer.from(window.bytes.subarray(given - dropped).subarray(0, PIECE));
      if (bytes.length === 0) return;
      given += bytes.length;
      yield bytes;
    }
  }
  let given = 0;
  let checksum = 0;
  let problem: string | undefined;
  const source = Readable.from(compressed(), { highWaterMark: 1 });
  // Errors are thrown where the result is read, below.
  const ended = new Promise<void>((resolve) => pipeline(source, inflate, () => resolve()));
  try {
    for await (const bytes of inflate) {
      given += bytes.length;
      checksum = zlib.crc32(bytes, checksum);
      if (isBomb(given, inflate.bytesWritten)) {
        problem = "too large";
        break;
      }
      yield bytes;
    }
  } catch (error) {
    if (damageOf(error) === undefined) throw error;
    problem = (error as NodeJS.ErrnoException).code === "Z_BUF_ERROR" ? "cut short" : "damaged gzip";
  } finally {
    source.destroy();
    inflate.destroy();
    await ended;
  }
  dropRead();
  if (problem === undefined) {
    await window.grow(8);
    if (window.bytes.length >= 8 && window.bytes.readUInt32LE() !== checksum) problem = "wrong checksum";
    window.drop(Math.min(8, window.bytes.length));
  } else if (problem !== "cut short") await findMember(window, "gzip");
  if (problem !== undefined) lose(problem);
}

/** Decompresses a stream, up to damage or the size limit. */
async function* soundPart(
  compressed: AsyncIterable<Uint8Array>,
  compression: Exclude<MemberCompression, "none">,
  lose: Lose,
): AsyncGenerator<Buffer> {
  let taken = 0;
  let given = 0;
  async function* counted() {
    for await (const bytes of compressed) {
      taken += bytes.length;
      yield bytes;
    }
  }
  try {
    for await (const bytes of decompress(counted(), compression)) {
      given += bytes.length;
      if (isBomb(given, taken)) return lose("too large");
      yield bytes;
    }
  } catch (error) {
    if (damageOf(error) === undefined) throw error;
    lose(`damaged ${compression}`);
  }
}

async function* rest(window: Window): AsyncGenerator<Buffer> {
  for (; window.bytes.length > 0; await window.grow(CHUNK)) {
    const bytes = Buffer.from(window.bytes);
    window.drop(bytes.length);
    yield bytes;
  }
}

const GZIP_START = Buffer.from([0x1f, 0x8b, 8]);
const ZSTD_START = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

/** One false start is tried per this many bytes: a try costs as much as scanning many, and intact files have fewer. */
const BYTES_PER_TRIAL = 256;

/** Finds a gzip member whose text begins like a record or, with `zstd`, a Zstandard frame; -1 if there is none. */
function memberIn(bytes: Buffer, zstd: boolean, expected = RECORD_START): number {
  const frame = zstd ? bytes.indexOf(ZSTD_START) : -1;
  const before = frame < 0 ? bytes : bytes.subarray(0, frame);
  let trials = -64;
  for (let at = before.indexOf(GZIP_START); at >= 0; at = before.indexOf(GZIP_START, at + 1)) {
    if (trials * BYTES_PER_TRIAL > at) continue;
    if (startsMember(bytes.subarray(at), expected)) return at;
    trials += 1;
  }
  return frame;
}
