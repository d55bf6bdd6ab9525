/**
 * @file Records of web archives: WARC (ISO 28500, versions 0.17 to 1.1, WET files among them) and ARC, plain, each record
 * packed by itself with gzip or Zstandard, or packed as one. Damaged records are counted by reason, and what is sound
 * after them is read.
 */

import { pipeline, Readable } from "node:stream";
import * as zlib from "node:zlib";
import { damageOf, unpack } from "../compression.js";
import { type Head, isArcHead, LARGEST_HEAD, nextHead, parseHead, RECORD_START } from "./heads.js";
import {
  gunzipCut,
  gunzipMember,
  gzipHeaderLength,
  isStream,
  type Member,
  type Packing,
  packingOf,
  startsMember,
  unzstdCut,
  unzstdMember,
} from "./members.js";
import { Window } from "./window.js";

export interface ArchiveRecord {
  /** What WARC-Type says; of an ARC file `response` or `filedesc`. */
  readonly type: string;
  /** The record's own fields, their names in lower case. */
  readonly fields: ReadonlyMap<string, string>;
  /** The first byte of the (packed) record in the archive; of an archive packed as one, in what it unpacks to. */
  readonly offset: number;
  readonly content: Buffer;
  /** True where the archive ends inside the record: the content is what there is of it. */
  readonly cut: boolean;
}

export interface ArchiveReader extends AsyncIterable<ArchiveRecord> {
  /** Records, or stretches of the file, that were left out or cut: how many, by reason. */
  readonly lost: ReadonlyMap<string, number>;
}

export interface ArchiveOptions {
  /** Bytes that a record may have unpacked; larger ones are left out. Default 64 MiB. */
  readonly largestRecord?: number;
  readonly signal?: AbortSignal;
}

const LARGEST_RECORD = 64 * 2 ** 20;
const CHUNK = 2 ** 20;
/** Bytes that are unpacked at a time from a stream. */
const PIECE = 2 ** 16;

/** Reads an archive from its bytes as they come. Iterate once. */
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
  /** Bytes that the content of a record may have. */
  readonly limit: number;
  readonly lose: Lose;
  readonly signal?: AbortSignal;
  /** What was found so far: damage is searched for what the file is made of. */
  readonly seen: Set<Packing | "warc" | "arc">;
  /** Of what was unpacked, in which nothing packed is looked for: its member's offset, where it is one, and whether that was cut. */
  readonly inner?: { readonly offset?: number; readonly cut?: boolean };
}

/** Records, packed and plain ones in any order, as files are that others were appended to. */
async function* readRecords(reading: Reading): AsyncGenerator<ArchiveRecord> {
  const { window, lose, signal, seen } = reading;
  for (;;) {
    signal?.throwIfAborted();
    await window.grow(CHUNK);
    window.drop(skipBlank(window.bytes, 0));
    await window.grow(LARGEST_HEAD);
    if (window.bytes.length === 0) return;
    const packing = reading.inner === undefined ? packingOf(window.bytes) : "none";
    if (packing !== "none") {
      if (yield* readMember(reading, packing)) return;
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

/** The records of the member that the window begins with; true where nothing can be read behind it. */
async function* readMember(
  reading: Reading,
  packing: Exclude<Packing, "none">,
): AsyncGenerator<ArchiveRecord, boolean> {
  const { window, limit, lose, seen } = reading;
  // Room for the record's head: the limit is on what the record holds.
  const most = limit + LARGEST_HEAD;
  const beginning = packing === "gzip" ? gunzipCut : unzstdCut;
  const first = seen.size === 0;
  const found = await nextMember(window, packing, most);
  if (found === undefined) return true;
  if ("bytes" in found) {
    const { bytes, length } = found;
    if (first && endsInside(bytes)) {
      await window.grow(length + LARGEST_HEAD);
      const rest = window.bytes.subarray(length);
      const next = beginning(rest, CHUNK).toString("latin1", 0, 512);
      if (packingOf(rest) === packing && !RECORD_START.test(next)) {
        // Members that begin wherever the one before was full, as bgzip makes them: one stream in pieces.
        yield* readRecords({
          ...reading,
          window: new Window(joined(window, packing, most, lose)),
          inner: { cut: true },
        });
        return true;
      }
    }
    yield* recordsOf(reading, bytes, false);
    window.drop(length);
    // A frame of zstd that is to be skipped tells nothing.
    if (bytes.length > 0) seen.add(packing);
    return false;
  }
  const { problem } = found;
  const isCut = problem === "cut short";
  // Perhaps all records packed as one: a stream like any other. Of a cut one the bytes stay, to look for members in.
  const copy = isCut ? new Window(Readable.from([Buffer.from(window.bytes)])) : window;
  await copy.grow(1);
  if (packing === "gzip" && (problem === "too large" || (first && isCut)) && beginsWithHead(window.bytes)) {
    yield* readRecords({ ...reading, window: new Window(streamed(copy, lose)), inner: {} });
    seen.add(packing);
    if (!isCut) return false;
  } else if (packing === "zstd" && first && (problem === "too large" || isCut) && isStream(window.bytes)) {
    yield* readRecords({ ...reading, window: new Window(soundPart(rest(copy), packing, lose)), inner: {} });
    seen.add(packing);
    if (!isCut) return true;
  } else {
    lose(problem);
    if (isCut) yield* recordsOf(reading, beginning(window.bytes, most), true);
  }
  if (problem === "zstd with a dictionary") return true;
  // Not for plain records in a packed archive: what is packed may hold them as they are, and was read.
  if (seen.has(packing) || isCut) await findMember(window, packing);
  else await findStart(reading);
  return false;
}

/** The member at the start of the window, or what is wrong with it; undefined at the end. */
async function nextMember(
  window: Window,
  packing: Exclude<Packing, "none">,
  most: number,
): Promise<Exclude<Member, "more"> | undefined> {
  const member = packing === "gzip" ? gunzipMember : unzstdMember;
  await window.grow(CHUNK);
  if (window.bytes.length === 0) return undefined;
  let found = member(window.bytes, most);
  while (found === "more" && !window.ended) {
    await window.grow(2 * window.bytes.length);
    found = member(window.bytes, most);
    // A member that does not end: its beginning would be unpacked again and again.
    if (found === "more" && window.bytes.length > most) break;
  }
  if (found !== "more") return found;
  return { problem: window.ended ? "cut short" : "too large" };
}

/** The records inside one member: one, where the archive is made as it should be. */
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
 * The record with this head, which the window begins with. Its length is believed where another record or the archive's end
 * follows; else it ends where the next record is found, so that no wrong length hides another record.
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
      // What a whole member holds is not cut: its length is wrong.
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
      yield record(end); // and damage behind it
      return window.drop(end);
    }
    from = end;
  }
  const next = await nextStart(reading, from, most);
  if (next < 0 && window.bytes.length > most) {
    lose("too large");
    return findStart(reading);
  }
  // A record that says nothing of its length has all that is left of its member.
  if (contentLength !== null) lose("wrong length");
  else if (next >= 0 || inner === undefined) lose("no length");
  const last = next < 0 ? window.bytes.length : next;
  yield record(trimEnd(window.bytes, start, last));
  window.drop(last);
}

/** True where the archive ends at `end`, or another record begins there. */
function followedByRecord(window: Window, end: number): boolean {
  const { bytes, ended } = window;
  const at = skipBlank(bytes, end);
  if (at >= bytes.length) return ended ? end <= bytes.length : true;
  // Behind no line end it may be the middle of a line that looks like the start of ARC's.
  if (at === end && bytes[end - 1] !== 10 && bytes[end] !== 0x57) return isArcHead(bytes.subarray(at));
  const start = bytes.subarray(at, at + 1024);
  return packingOf(start) !== "none" || RECORD_START.test(start.toString("latin1"));
}

/** The first place from `from` to before `to` at which a plain record begins; -1 where none does. The window reaches as far. */
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

/** Drops what lies before the next record or member, at least one byte, and at most up to `until` in the archive. */
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

/** Drops what lies before the next member that begins as a record does, or as `expected` says; at least one byte. */
async function findMember(window: Window, packing: Packing, expected = RECORD_START): Promise<void> {
  window.drop(1);
  for (;;) {
    await window.grow(CHUNK);
    const { bytes } = window;
    const at = packing === "zstd" ? bytes.indexOf(ZSTD_START) : memberIn(bytes, false, expected);
    if (at >= 0) return window.drop(at);
    if (window.ended) return window.drop(bytes.length);
    window.drop(Math.max(0, bytes.length - 1024)); // a member may begin in the last bytes
  }
}

/** Line ends and the zeros with which files are filled up. */
function skipBlank(bytes: Buffer, at: number): number {
  while (bytes[at] === 13 || bytes[at] === 10 || bytes[at] === 0) at += 1;
  return at;
}

/** The end without the empty lines that close a record. */
function trimEnd(bytes: Buffer, start: number, end: number): number {
  const ends = /(?:\r?\n){1,2}$/.exec(bytes.toString("latin1", Math.max(start, end - 4), end));
  return end - (ends?.[0].length ?? 0);
}

/** True where the last record of a member goes on behind it. */
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

/** What all members unpack to, one behind the other; where one is damaged, the next that can be read follows. */
async function* joined(
  window: Window,
  packing: Exclude<Packing, "none">,
  most: number,
  lose: Lose,
): AsyncGenerator<Buffer> {
  const start = window.offset;
  let given = 0;
  for (;;) {
    const found = await nextMember(window, packing, most);
    if (found === undefined) return;
    if ("bytes" in found) {
      given += found.bytes.length;
      if (isBomb(given, window.offset + found.length - start)) return lose("too large");
      yield found.bytes;
      window.drop(found.length);
    } else {
      lose(found.problem);
      await findMember(window, packing, /./s);
    }
  }
}

/** An archive unpacks to so many times its bytes at most, beyond a size at which that does no harm: text to some tens. */
const LARGEST_RATIO = 200;
const HARMLESS = 64 * 2 ** 20;
const isBomb = (unpacked: number, packed: number) => unpacked > HARMLESS + LARGEST_RATIO * packed;

/** True where a gzip member's text begins with a record's head. */
function beginsWithHead(bytes: Buffer): boolean {
  return parseHead(gunzipCut(bytes.subarray(0, LARGEST_HEAD), CHUNK)) !== null;
}

/** What the gzip member at the start of the window unpacks to, piece by piece; the window is left behind it, or at damage. */
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
  async function* packed() {
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
  const source = Readable.from(packed(), { highWaterMark: 1 });
  // Its errors come out where the result is read.
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

/** What a stream unpacks to, up to where it is damaged or unpacks to too much. */
async function* soundPart(
  packed: AsyncIterable<Uint8Array>,
  packing: Exclude<Packing, "none">,
  lose: Lose,
): AsyncGenerator<Buffer> {
  let taken = 0;
  let given = 0;
  async function* counted() {
    for await (const bytes of packed) {
      taken += bytes.length;
      yield bytes;
    }
  }
  try {
    for await (const bytes of unpack(counted(), packing)) {
      given += bytes.length;
      if (isBomb(given, taken)) return lose("too large");
      yield bytes;
    }
  } catch (error) {
    if (damageOf(error) === undefined) throw error;
    lose(`damaged ${packing}`);
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

/** Bytes for each start that turns out to be none: trying one costs as much as reading many, and no sound file has more. */
const BYTES_PER_TRIAL = 256;

/** Where a gzip member begins whose text begins as a record does, or, where `zstd` says so, a frame; -1 if nowhere. */
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
