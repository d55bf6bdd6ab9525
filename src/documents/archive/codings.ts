/**
 * @file A body's codings undone: chunks and content codings. Headers are wrong in archives: many unpack a body and keep its
 * header, and servers invent names. What is packed is unpacked, what is not stays as it is. RFC 9112, 7.1; RFC 9110, 8.4.
 */
import * as zlib from "node:zlib";
import { gunzipCut, gunzipMember, packingOf, unzstdCut, unzstdMember } from "./members.js";

/** Servers and archives that chunk what is chunked do so once or twice. */
const MOST_LAYERS = 4;

/** The body without its chunks' sizes; as it is where it has none. */
export function unchunk(body: Buffer, flaws: string[]): Buffer {
  let joined = joinChunks(body, flaws) ?? body;
  // Inner chunks that no header names must be sound to their end.
  for (let i = 1; i < MOST_LAYERS; i++) joined = joinChunks(joined) ?? joined;
  return joined;
}

/** The content of chunks; null where there are none, or, without `flaws`, where anything is wrong with them. */
function joinChunks(body: Buffer, flaws?: string[]): Buffer | null {
  const joined = Buffer.allocUnsafe(body.length);
  let length = 0;
  for (let at = 0; ; ) {
    const { line, start } = sizeLine(body, at);
    const size = line === null ? 0 : Number.parseInt(line[1], 16);
    const end = start + size;
    // What follows the last chunk does not matter where there were others.
    if (size === 0 && line !== null && at > 0 && flaws !== undefined) return joined.subarray(0, length);
    const isSound =
      line !== null && (size === 0 ? onlyTrailers(body, start) : end <= body.length && isLineEnd(body, end));
    if (!isSound) {
      // A first size is believed only if its chunk ends as it says, or the body ends before.
      if (flaws === undefined || (at === 0 && !(line?.[2] === "\r\n" && end >= body.length && size > 0))) return null;
      flaws.push(end > body.length || at >= body.length ? "cut short" : "damaged chunks");
      // What is behind the damage stays as it is.
      return Buffer.concat([joined.subarray(0, length), body.subarray(size > 0 ? start : at)]);
    }
    length += body.copy(joined, length, start, end);
    if (size === 0) return joined.subarray(0, length);
    at = end + (body[end] === 13 ? 2 : 1);
  }
}

/** A size is read in this many bytes, and extensions behind it may fill a line of as many as a head's. */
const SIZE_BYTES = 256;
const LONGEST_LINE = 64 * 1024;

/** The line of a chunk's size, its digits and line end, and where it ends; null and `at` where there is none. */
function sizeLine(body: Buffer, at: number): { readonly line: RegExpExecArray | null; readonly start: number } {
  const newline = body.subarray(at, at + LONGEST_LINE).indexOf(10);
  const end = at + newline;
  const shown = body.toString("latin1", at, Math.min(end, at + SIZE_BYTES));
  const ending = body[end - 1] === 13 ? "\r\n" : "\n";
  const text = (end > at + SIZE_BYTES ? shown : shown.replace(/\r$/, "")) + ending;
  const line = newline < 0 ? null : /^[ \t]*0*([0-9a-f]{1,8})[ \t]*(?:;[^\n]*)?(\r?\n)$/i.exec(text);
  return { line, start: line === null ? at : end + 1 };
}

const isLineEnd = (body: Buffer, at: number) => body[at] === 10 || (body[at] === 13 && body[at + 1] === 10);

/** True where nothing is left but the fields that may follow the last chunk. */
function onlyTrailers(body: Buffer, at: number): boolean {
  return /^(?:[\w-]+:[^\n]*\n|\r?\n)*$/.test(body.toString("latin1", at, at + 4096));
}

/**
 * Undoes the codings that a `Content-Encoding` lists, the last first. At most `limit` bytes from each.
 * @param isText whether the type of the body says that it is no packed file: what is packed all the same lacks its header
 */
export function decodeContent(body: Buffer, encoding: string, limit: number, flaws: string[], isText = false): Buffer {
  let unpacked = body;
  let unknown = "";
  for (const coding of encoding
    .toLowerCase()
    .split(/[\s,;]+/)
    .reverse()) {
    const name = coding.replace(/^["']+|["']+$/g, "").replace(/^x-/, "");
    const decode = CODINGS.get(name);
    if (decode !== undefined && unpacked.length > 0) unpacked = decode(unpacked, limit, flaws);
    else if (decode === undefined && name !== "" && name !== "identity") unknown = name;
  }
  // Compressed twice, or under an unknown coding name.
  if ((encoding !== "" || isText) && packingOf(unpacked) === "gzip") unpacked = gunzip(unpacked, limit, flaws);
  else if (isText && looksPacked(unpacked)) unpacked = misnamed(unpacked, limit) ?? unpacked;
  if (unknown === "" || !looksPacked(unpacked)) return unpacked;
  flaws.push("unknown coding");
  return Buffer.alloc(0);
}

type Decode = (body: Buffer, limit: number, flaws: string[]) => Buffer;

const CODINGS: ReadonlyMap<string, Decode> = new Map<string, Decode>([
  ["gzip", gunzip],
  ["deflate", (body, limit, flaws) => unpack(body, "deflate", limit, flaws, isZlib(body) ? inflate : inflateRaw)],
  ["br", (body, limit, flaws) => unpack(body, "br", limit, flaws, unbrotli)],
  ["zstd", (body, limit, flaws) => (packingOf(body) === "zstd" ? unzstd(body, limit, flaws) : body)],
  ["aws-chunked", (body) => joinChunks(body) ?? body],
]);

/** With zlib's header, as the standard says; some servers send it without. */
const isZlib = (body: Buffer) => body.length > 1 && (body[0] & 15) === 8 && body.readUInt16BE(0) % 31 === 0;

/** Unpacks all that is there, or, with `isCut`, as far as it goes. Throws zlib's errors. */
type Inflate = (body: Buffer, limit: number, isCut?: boolean) => Buffer;

const zlibOptions = (limit: number, isCut = false) => ({
  maxOutputLength: limit,
  ...(isCut ? { finishFlush: zlib.constants.Z_SYNC_FLUSH } : {}),
});
const inflate: Inflate = (body, limit, isCut) => zlib.inflateSync(body, zlibOptions(limit, isCut));
const inflateRaw: Inflate = (body, limit, isCut) => zlib.inflateRawSync(body, zlibOptions(limit, isCut));
const unbrotli: Inflate = (body, limit, isCut) =>
  zlib.brotliDecompressSync(body, {
    maxOutputLength: limit,
    ...(isCut ? { finishFlush: zlib.constants.BROTLI_OPERATION_FLUSH } : {}),
  });

function unpack(body: Buffer, name: string, limit: number, flaws: string[], decode: Inflate): Buffer {
  try {
    return decode(body, limit);
  } catch (error) {
    if (isTooLarge(error)) return tooLarge(flaws);
  }
  // The archive unpacked it and left the header, or it is another coding's.
  if (!looksPacked(body) || packingOf(body) !== "none") return body;
  return misnamed(body, limit) ?? soundPart(body, name, limit, flaws, decode);
}

/** What a body unpacks to that is packed as no header says; undefined where it is not. */
function misnamed(body: Buffer, limit: number): Buffer | undefined {
  for (const decode of [isZlib(body) ? inflate : inflateRaw, unbrotli]) {
    try {
      const found = decode(body, limit);
      if (found.length > 0 && !looksPacked(found)) return found;
    } catch {
      // Not packed so, or too large: then its type is wrong, which its bytes show.
    }
  }
  return undefined;
}

/** What comes before a cut or damage. */
function soundPart(body: Buffer, name: string, limit: number, flaws: string[], decode: Inflate): Buffer {
  try {
    const part = decode(body, limit, true);
    flaws.push("cut short");
    return part;
  } catch (error) {
    if (isTooLarge(error)) return tooLarge(flaws);
  }
  flaws.push(`damaged ${name}`);
  let part = Buffer.alloc(0);
  // zlib gives nothing of what fails, so the damage is found by halves, to a 64th.
  for (let sound = 0, step = body.length / 2, i = 0; i < 6; i++, step /= 2) {
    try {
      part = decode(body.subarray(0, sound + step), limit, true) as Buffer<ArrayBuffer>;
      sound += step;
    } catch {
      // The damage is before.
    }
  }
  return part;
}

const isTooLarge = (error: unknown) => (error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE";

function tooLarge(flaws: string[]): Buffer {
  flaws.push("too large");
  return Buffer.alloc(0);
}

/** One member or several; what comes behind the last is left out. */
function gunzip(body: Buffer, limit: number, flaws: string[]): Buffer {
  if (packingOf(body) !== "gzip") return (looksPacked(body) ? misnamed(body, limit) : undefined) ?? body;
  const parts: Buffer[] = [];
  for (let at = 0, room = limit; packingOf(body.subarray(at, at + 2)) === "gzip"; ) {
    const frame = body.subarray(at);
    const member = gunzipMember(frame, room);
    if (member === "more" || "problem" in member) {
      if (member !== "more" && member.problem === "too large") return tooLarge(flaws);
      const part = member === "more" ? gunzipCut(frame, room) : Buffer.alloc(0);
      if (at > 0 && part.length === 0) break; // no member, but begins like one
      parts.push(part);
      flaws.push(member === "more" ? "cut short" : member.problem);
      if (member !== "more") {
        parts.push(
          soundPart(frame, "gzip", limit, [], (bytes, most) => zlib.gunzipSync(bytes, zlibOptions(most, true))),
        );
      }
      break;
    }
    parts.push(member.bytes);
    at += member.length;
    room -= member.bytes.length;
  }
  return parts.length === 1 ? parts[0] : Buffer.concat(parts);
}

/** One Zstandard frame or several. */
function unzstd(body: Buffer, limit: number, flaws: string[]): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0, room = limit; packingOf(body.subarray(at, at + 4)) === "zstd"; ) {
    const frame = body.subarray(at);
    const member = unzstdMember(frame, room);
    if (member === "more" || "problem" in member) {
      if (member !== "more" && member.problem === "too large") return tooLarge(flaws);
      parts.push(unzstdCut(frame, room));
      flaws.push(member === "more" ? "cut short" : member.problem);
      break;
    }
    parts.push(member.bytes);
    at += member.length;
    room -= member.bytes.length;
  }
  return Buffer.concat(parts);
}

/** True where bytes are spread as in packed data, a tenth of them controls; zeros are also UTF-16's. */
export function looksPacked(body: Buffer): boolean {
  const head = body.subarray(0, 512);
  let controls = 0;
  for (const byte of head) if (byte < 32 && byte !== 0 && (byte < 9 || byte > 13) && byte !== 27) controls++;
  return controls * 33 > head.length;
}
