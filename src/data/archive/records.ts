/**
 * @file Records of web archives: WARC (ISO 28500, versions 0.17 to 1.1, WET files among them) and ARC, plain, each record
 * packed by itself with gzip or Zstandard, or packed as one. Damaged records are counted by reason, and what is sound
 * after them is read.
 */

import { Readable } from "node:stream";
import { damageOf, unpack } from "../../documents/index.js";
import {
  gunzipCut,
  gunzipMember,
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
/** A record's head is far smaller; where none ends within this, there is none. */
const LARGEST_HEAD = 64 * 1024;
const CHUNK = 2 ** 20;

/** Reads an archive from its bytes as they come. Iterate once. */
export function readArchive(source: AsyncIterable<Uint8Array>, options: ArchiveOptions = {}): ArchiveReader {
  const lost = new Map<string, number>();
  const lose = (reason: string) => lost.set(reason, (lost.get(reason) ?? 0) + 1);
  const limit = options.largestRecord ?? LARGEST_RECORD;
  async function* read(): AsyncGenerator<ArchiveRecord> {
    const window = new Window(source);
    try {
      await window.grow(CHUNK);
      let packing = packingOf(window.bytes);
      if (packing === "none" && parseHead(window.bytes.subarray(0, LARGEST_HEAD)) === null) {
        // Damage at the very start hides how the rest is packed.
        if (memberIn(window.bytes) >= 0) packing = "gzip";
      }
      if (packing === "none") yield* readPlain(window, limit, lose, options.signal);
      else yield* readPacked(window, packing, limit, lose, options.signal);
    } finally {
      await window.close();
    }
  }
  return { lost, [Symbol.asyncIterator]: read };
}

type Lose = (reason: string) => void;

async function* readPacked(
  window: Window,
  packing: Exclude<Packing, "none">,
  limit: number,
  lose: Lose,
  signal?: AbortSignal,
): AsyncGenerator<ArchiveRecord> {
  // Room for the record's head: the limit is on what the record holds.
  const most = limit + LARGEST_HEAD;
  const beginning = packing === "gzip" ? gunzipCut : unzstdCut;
  for (let first = true; ; ) {
    signal?.throwIfAborted();
    const found = await nextMember(window, packing, most);
    if (found === undefined) return;
    if ("bytes" in found) {
      const { bytes, length } = found;
      if (first && endsInside(bytes)) {
        await window.grow(length + LARGEST_HEAD);
        const rest = window.bytes.subarray(length);
        const next = beginning(rest, CHUNK).toString("latin1", 0, 512);
        if (rest.length > 0 && !RECORD_START.test(next)) {
          // Members that begin wherever the one before was full, as bgzip makes them: one stream in pieces.
          return yield* readPlain(new Window(joined(window, packing, most, lose)), limit, lose, signal);
        }
      }
      yield* recordsOf(bytes, window.offset, lose);
      window.drop(length);
      // A frame of zstd that is to be skipped tells nothing.
      if (bytes.length > 0) first = false;
      continue;
    }
    const { problem } = found;
    if (first && (problem === "too large" || problem === "cut short") && isStream(window.bytes, packing)) {
      // Perhaps all records packed as one: a stream like any other. Of a cut one the bytes stay, to look for members in.
      const packed = problem === "too large" ? rest(window) : Readable.from([Buffer.from(window.bytes)]);
      yield* readPlain(new Window(soundPart(packed, packing, lose)), limit, lose, signal);
      if (problem === "too large") return;
    } else {
      lose(problem);
      if (problem === "cut short") yield* recordsOf(beginning(window.bytes, most), window.offset, lose, true);
    }
    first = false;
    if (problem === "zstd with a dictionary") return;
    await findMember(window, packing);
  }
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

/** True where the last record of a member goes on behind it. */
function endsInside(bytes: Buffer): boolean {
  for (let at = skipBlank(bytes, 0); at < bytes.length; at = skipBlank(bytes, at)) {
    const head = parseHead(bytes.subarray(at, at + LARGEST_HEAD));
    if (head === null) return at > 0;
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

/** Where a gzip member begins whose text begins as a record does, or as `expected` says; -1 if nowhere. */
function memberIn(bytes: Buffer, expected = RECORD_START): number {
  let at = bytes.indexOf(GZIP_START);
  while (at >= 0 && !startsMember(bytes.subarray(at), expected)) at = bytes.indexOf(GZIP_START, at + 1);
  return at;
}

/** Drops what lies before the next member that begins as a record does, or as `expected` says. */
async function findMember(window: Window, packing: Packing, expected = RECORD_START): Promise<void> {
  window.drop(1);
  for (;;) {
    await window.grow(CHUNK);
    const { bytes } = window;
    const at = packing === "gzip" ? memberIn(bytes, expected) : bytes.indexOf(ZSTD_START);
    if (at >= 0) return window.drop(at);
    if (window.ended) return window.drop(bytes.length);
    window.drop(Math.max(0, bytes.length - 1024)); // a member may begin in the last bytes
  }
}

/** The records inside one member: one, where the archive is made as it should be. */
function* recordsOf(bytes: Buffer, offset: number, lose: Lose, cut = false): Generator<ArchiveRecord> {
  for (let at = skipBlank(bytes, 0); at < bytes.length; at = skipBlank(bytes, at)) {
    const head = parseHead(bytes.subarray(at, at + LARGEST_HEAD));
    if (head === null) {
      if (!cut) lose("no record");
      return;
    }
    const start = at + head.length;
    // A record that says nothing of its length has all that is left of its member.
    const end = head.contentLength === null ? bytes.length : start + head.contentLength;
    if (end > bytes.length && !cut) lose("cut short");
    yield {
      type: head.type,
      fields: head.fields,
      offset,
      content: bytes.subarray(start, end),
      cut: end > bytes.length,
    };
    at = end;
  }
}

async function* readPlain(
  window: Window,
  limit: number,
  lose: Lose,
  signal?: AbortSignal,
): AsyncGenerator<ArchiveRecord> {
  for (;;) {
    signal?.throwIfAborted();
    await window.grow(CHUNK);
    window.drop(skipBlank(window.bytes, 0));
    await window.grow(LARGEST_HEAD);
    if (window.bytes.length === 0) return;
    const head = parseHead(window.bytes.subarray(0, LARGEST_HEAD));
    if (head === null || head.contentLength === null) {
      lose("no record");
      await findRecord(window);
      continue;
    }
    const { type, fields, contentLength, length } = head;
    const { offset } = window;
    if (contentLength > limit) {
      lose("too large");
      await skip(window, length + contentLength);
      continue;
    }
    await window.grow(length + contentLength);
    const content = Buffer.from(window.bytes.subarray(length, length + contentLength));
    if (content.length < contentLength) {
      lose("cut short");
      yield { type, fields, offset, content, cut: true };
      // The length may be wrong rather than the end: records may follow within.
      await findRecord(window);
      continue;
    }
    window.drop(length + contentLength);
    const next = window.bytes.subarray(0, 16);
    if (next.length >= 4 && skipBlank(next, 0) === 0 && !RECORD_START.test(next.toString("latin1"))) {
      lose("wrong length");
      await findRecord(window);
      continue;
    }
    yield { type, fields, offset, content, cut: false };
  }
}

async function skip(window: Window, count: number): Promise<void> {
  for (let left = count; left > 0; ) {
    await window.grow(Math.min(left, CHUNK));
    const step = Math.min(left, window.bytes.length);
    if (step === 0) return;
    window.drop(step);
    left -= step;
  }
}

/** Drops what lies before the next line that begins a WARC record, at least one byte. */
async function findRecord(window: Window): Promise<void> {
  window.drop(1);
  for (;;) {
    await window.grow(CHUNK);
    const at = window.bytes.indexOf("\nWARC/");
    if (at >= 0) return window.drop(at + 1);
    if (window.ended) return window.drop(window.bytes.length);
    window.drop(Math.max(0, window.bytes.length - 5));
  }
}

function skipBlank(bytes: Buffer, at: number): number {
  while (bytes[at] === 13 || bytes[at] === 10) at += 1;
  return at;
}

/** How a record begins: WARC's version, or ARC's line of URL, address, date, type and length. */
const RECORD_START = /^(WARC\/[01]\.\d|\w[\w+.-]*:\S* \S+ \d{8,14} \S+ )/;
const ARC_HEAD = /^(\w[\w+.-]*:\S*) (\S+) (\d{8,14}) (\S+) (?:.* )?(\d+)\r?\n/;

interface Head {
  readonly type: string;
  readonly fields: ReadonlyMap<string, string>;
  /** Bytes of the head, its empty line among them. */
  readonly length: number;
  readonly contentLength: number | null;
}

function parseHead(bytes: Buffer): Head | null {
  if (bytes.length >= 8 && bytes.toString("latin1", 0, 5) === "WARC/") return parseWarcHead(bytes);
  const line = bytes.indexOf(10);
  const arc = line < 0 ? null : ARC_HEAD.exec(bytes.toString("latin1", 0, line + 1));
  if (arc === null) return null;
  const [, url, address, date, contentType, length] = arc;
  const type = url.startsWith("filedesc:") ? "filedesc" : "response";
  const fields = new Map([
    ["warc-target-uri", url],
    ["warc-ip-address", address],
    ["warc-date", arcDate(date)],
    ["content-type", contentType],
    ["content-length", length],
  ]);
  return { type, fields, length: line + 1, contentLength: Number(length) };
}

/** yyyymmddhhmmss as ISO 8601 writes it. */
function arcDate(date: string): string {
  const [, year, month, day, rest] = /^(\d{4})(\d\d)(\d\d)(\d*)$/.exec(date.padEnd(8, "0")) ?? [];
  const [hour, minute, second] = [0, 2, 4].map((i) => rest.slice(i, i + 2).padEnd(2, "0"));
  return `${year}-${month}-${day}T${hour}:${minute}:${second}Z`;
}

function parseWarcHead(bytes: Buffer): Head | null {
  const fields = new Map<string, string>();
  let name = "";
  for (let at = bytes.indexOf(10) + 1; at > 0; ) {
    const end = bytes.indexOf(10, at);
    if (end < 0) return null;
    const line = bytes.toString("utf8", at, end > at && bytes[end - 1] === 13 ? end - 1 : end);
    at = end + 1;
    if (line === "") return headOf(fields, at);
    const colon = line.indexOf(":");
    if (/^[ \t]/.test(line)) fields.set(name, `${fields.get(name) ?? ""} ${line.trim()}`);
    else if (colon > 0) {
      name = line.slice(0, colon).trim().toLowerCase();
      if (!fields.has(name)) fields.set(name, line.slice(colon + 1).trim());
    }
  }
  return null;
}

function headOf(fields: Map<string, string>, length: number): Head {
  const uri = fields.get("warc-target-uri");
  // WARC 1.0's grammar put the address into <>, and some tools write it so.
  if (uri?.startsWith("<") && uri.endsWith(">")) fields.set("warc-target-uri", uri.slice(1, -1));
  const given = fields.get("content-length") ?? "";
  const contentLength = /^\d{1,15}$/.test(given) ? Number(given) : null;
  return { type: (fields.get("warc-type") ?? "").toLowerCase(), fields, length, contentLength };
}
