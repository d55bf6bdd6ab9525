/**
 * @file Undoes the transfer and content codings of an HTTP body (RFC 9112, 7.1; RFC 9110, 8.4). Headers in archives are often
 * wrong: many crawlers decompress a body but keep its header, and servers invent coding names. So the bytes decide: compressed
 * bodies are decompressed, all others stay unchanged.
 */
import * as zlib from "node:zlib";
import { compressionByMagic, gunzipCut, gunzipMember, unzstdCut, unzstdMember } from "./members.js";

/** Some servers and archives chunk a chunked body again, once or twice. */
const MOST_LAYERS = 4;

/** Removes the chunk sizes from a body. A body without chunks is returned unchanged. */
export function unchunk(body: Buffer, flaws: string[]): Buffer {
  let joined = joinChunks(body, flaws) ?? body;
  // No header names the inner layers, so they count only if they are intact to the end.
  for (let i = 1; i < MOST_LAYERS; i++) joined = joinChunks(joined) ?? joined;
  return joined;
}

/** Returns the content of the chunks; null if there are none or, without `flaws`, if any is damaged. */
function joinChunks(body: Buffer, flaws?: string[]): Buffer | null {
  const joined = Buffer.allocUnsafe(body.length);
  let length = 0;
  for (let at = 0; ; ) {
    const { line, start } = sizeLine(body, at);
    const size = line === null ? 0 : Number.parseInt(line[1], 16);
    const end = start + size;
    // After at least one chunk, bytes after the last one do not matter.
    if (size === 0 && line !== null && at > 0 && flaws !== undefined) return joined.subarray(0, length);
    const isSound =
      line !== null && (size === 0 ? onlyTrailers(body, start) : end <= body.length && isLineEnd(body, end));
    if (!isSound) {
      // A first size counts only if its chunk ends where it says, or the body ends before that.
      if (flaws === undefined || (at === 0 && !(line?.[2] === "\r\n" && end >= body.length && size > 0))) return null;
      flaws.push(end > body.length || at >= body.length ? "cut short" : "damaged chunks");
      // Bytes after the damage are kept unchanged.
      return Buffer.concat([joined.subarray(0, length), body.subarray(size > 0 ? start : at)]);
    }
    length += body.copy(joined, length, start, end);
    if (size === 0) return joined.subarray(0, length);
    at = end + (body[end] === 13 ? 2 : 1);
  }
}

/** A chunk size must fit in this many bytes; extensions may make its line as long as a header line. */
const SIZE_BYTES = 256;
const LONGEST_LINE = 64 * 1024;

/** Matches the line of a chunk size (digits, line end) and returns where it ends; null and `at` if there is none. */
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

/** True if only the trailer fields that may follow the last chunk are left. */
function onlyTrailers(body: Buffer, at: number): boolean {
  return /^(?:[\w-]+:[^\n]*\n|\r?\n)*$/.test(body.toString("latin1", at, at + 4096));
}

/**
 * Undoes the codings that a `Content-Encoding` lists, the last first. Each may produce at most `limit` bytes.
 * @param isText whether the media type rules out a compressed file; then a compressed body only lacks its header
 */
export function decodeContent(body: Buffer, encoding: string, limit: number, flaws: string[], isText = false): Buffer {
  let decoded = body;
  let unknown = "";
  for (const coding of encoding
    .toLowerCase()
    .split(/[\s,;]+/)
    .reverse()) {
    const name = coding.replace(/^["']+|["']+$/g, "").replace(/^x-/, "");
    const decode = CODINGS.get(name);
    if (decode !== undefined && decoded.length > 0) decoded = decode(decoded, limit, flaws);
    else if (decode === undefined && name !== "" && name !== "identity") unknown = name;
  }
  // Compressed twice, or under an unknown coding name.
  if ((encoding !== "" || isText) && compressionByMagic(decoded) === "gzip") decoded = gunzip(decoded, limit, flaws);
  else if (isText && looksCompressed(decoded)) decoded = decodeUndeclared(decoded, limit) ?? decoded;
  if (unknown === "" || !looksCompressed(decoded)) return decoded;
  flaws.push("unknown coding");
  return Buffer.alloc(0);
}

type Decode = (body: Buffer, limit: number, flaws: string[]) => Buffer;

const CODINGS: ReadonlyMap<string, Decode> = new Map<string, Decode>([
  ["gzip", gunzip],
  ["deflate", (body, limit, flaws) => decodeNamed(body, "deflate", limit, flaws, isZlib(body) ? inflate : inflateRaw)],
  ["br", (body, limit, flaws) => decodeNamed(body, "br", limit, flaws, unbrotli)],
  ["zstd", (body, limit, flaws) => (compressionByMagic(body) === "zstd" ? unzstd(body, limit, flaws) : body)],
  ["aws-chunked", (body) => joinChunks(body) ?? body],
]);

/** True if the body has zlib's header, as the standard requires; some servers omit it. */
const isZlib = (body: Buffer) => body.length > 1 && (body[0] & 15) === 8 && body.readUInt16BE(0) % 31 === 0;

/** Decompresses a body; with `isCut` it returns as much as a truncated body contains. Throws zlib's errors. */
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

function decodeNamed(body: Buffer, name: string, limit: number, flaws: string[], decode: Inflate): Buffer {
  try {
    return decode(body, limit);
  } catch (error) {
    if (isTooLarge(error)) return tooLarge(flaws);
  }
  // The crawler decompressed it and kept the header, or the body has another coding.
  if (!looksCompressed(body) || compressionByMagic(body) !== "none") return body;
  return decodeUndeclared(body, limit) ?? soundPart(body, name, limit, flaws, decode);
}

/** Decompresses a body whose coding no header names; undefined if it is not compressed. */
function decodeUndeclared(body: Buffer, limit: number): Buffer | undefined {
  for (const decode of [isZlib(body) ? inflate : inflateRaw, unbrotli]) {
    try {
      const found = decode(body, limit);
      if (found.length > 0 && !looksCompressed(found)) return found;
    } catch {
      // It has another coding, or is too large; either way its bytes show that its type is wrong.
    }
  }
  return undefined;
}

/** Returns the output before a cut or damage. */
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
  // zlib returns no output when it fails, so bisection finds the damage, to 1/64 of the body.
  for (let sound = 0, step = body.length / 2, i = 0; i < 6; i++, step /= 2) {
    try {
      part = decode(body.subarray(0, sound + step), limit, true) as Buffer<ArrayBuffer>;
      sound += step;
    } catch {
      // The damage is in this half.
    }
  }
  return part;
}

const isTooLarge = (error: unknown) => (error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE";

function tooLarge(flaws: string[]): Buffer {
  flaws.push("too large");
  return Buffer.alloc(0);
}

/** Decompresses one or more gzip members; bytes after the last are dropped. */
function gunzip(body: Buffer, limit: number, flaws: string[]): Buffer {
  if (compressionByMagic(body) !== "gzip")
    return (looksCompressed(body) ? decodeUndeclared(body, limit) : undefined) ?? body;
  const parts: Buffer[] = [];
  for (let at = 0, room = limit; compressionByMagic(body.subarray(at, at + 2)) === "gzip"; ) {
    const frame = body.subarray(at);
    const member = gunzipMember(frame, room);
    if (member === "more" || "problem" in member) {
      if (member !== "more" && member.problem === "too large") return tooLarge(flaws);
      const part = member === "more" ? gunzipCut(frame, room) : Buffer.alloc(0);
      if (at > 0 && part.length === 0) break; // not a member, although it begins like one
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

/** Decompresses one or more Zstandard frames. */
function unzstd(body: Buffer, limit: number, flaws: string[]): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0, room = limit; compressionByMagic(body.subarray(at, at + 4)) === "zstd"; ) {
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

/**
 * True if more than 1 in 33 of the first bytes is a control character. In compressed data a tenth are. Zeros do not count,
 * because UTF-16 has them too.
 */
export function looksCompressed(body: Buffer): boolean {
  const head = body.subarray(0, 512);
  let controls = 0;
  for (const byte of head) if (byte < 32 && byte !== 0 && (byte < 9 || byte > 13) && byte !== 27) controls++;
  return controls * 33 > head.length;
}
