/** @file The HTTP response inside a record: its status, headers and body, unchunked and unpacked. RFC 9112, RFC 9110. */
import * as zlib from "node:zlib";
import { packingOf, unzstdCut, unzstdMember } from "./members.js";

export interface HttpResponse {
  readonly status: number;
  /** Names in lower case; the first of several, but every line of X-Robots-Tag. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
  /** What was wrong and could be got over: the body is what there is of it. */
  readonly flaws: readonly string[];
}

/** Reads a response; null where the content does not begin with a status line. At most `limit` bytes of body. */
export function parseHttpResponse(content: Buffer, limit: number): HttpResponse | null {
  const statusLine = /^HTTP\/\d(?:\.\d)? +(\d{3})/.exec(content.toString("latin1", 0, 32));
  if (statusLine === null) return null;
  const headers = new Map<string, string>();
  let name = "";
  let at = content.indexOf(10) + 1;
  if (at === 0) at = content.length;
  while (at < content.length) {
    const newline = content.indexOf(10, at);
    const end = newline < 0 ? content.length : newline;
    const line = content.toString("latin1", at, end > at && content[end - 1] === 13 ? end - 1 : end);
    at = end + 1;
    if (line === "") break;
    const colon = line.indexOf(":");
    if (/^[ \t]/.test(line)) headers.set(name, `${headers.get(name) ?? ""} ${line.trim()}`);
    else if (colon > 0) {
      name = line.slice(0, colon).trim().toLowerCase();
      const value = line.slice(colon + 1).trim();
      const before = headers.get(name);
      if (before === undefined) headers.set(name, value);
      // Each line may be for another crawler.
      else if (name === "x-robots-tag") headers.set(name, `${before}\n${value}`);
    }
  }
  const flaws: string[] = [];
  let body = content.subarray(Math.min(at, content.length));
  if (/\bchunked\b/i.test(headers.get("transfer-encoding") ?? "")) body = unchunk(body, flaws);
  for (const coding of (headers.get("content-encoding") ?? "").toLowerCase().split(",").reverse()) {
    body = unpack(body, coding.trim(), limit, flaws);
  }
  if (body.length > limit) {
    flaws.push("cut at the limit");
    body = body.subarray(0, limit);
  }
  return { status: Number(statusLine[1]), headers, body, flaws };
}

/** The body without its chunks' sizes; as it is where it has none (some archives keep the header and drop the chunks). */
function unchunk(body: Buffer, flaws: string[]): Buffer {
  const chunks: Buffer[] = [];
  for (let at = 0; at < body.length; ) {
    const newline = body.indexOf(10, at);
    const size = /^\s*([0-9a-f]{1,8})\s*(?:;.*)?\r?$/i.exec(body.toString("latin1", at, newline < 0 ? at : newline));
    if (size === null) {
      if (chunks.length === 0) return body;
      flaws.push("damaged chunks");
      break;
    }
    const length = Number.parseInt(size[1], 16);
    if (length === 0) return Buffer.concat(chunks);
    const start = newline + 1;
    chunks.push(body.subarray(start, start + length));
    if (start + length > body.length) flaws.push("cut short");
    at = start + length;
    if (body[at] === 13) at += 1;
    if (body[at] === 10) at += 1;
  }
  return Buffer.concat(chunks);
}

/** One Zstandard frame or several. */
function unzstdBody(body: Buffer, limit: number, flaws: string[]): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0, room = limit; at < body.length; ) {
    const frame = body.subarray(at);
    const member = unzstdMember(frame, room);
    if (member === "more" || "problem" in member) {
      const isCut = member === "more";
      if (isCut) parts.push(unzstdCut(frame, room));
      flaws.push(
        isCut ? "cut short" : member.problem === "too large" ? "unpacks to more than the limit" : "damaged zstd",
      );
      break;
    }
    parts.push(member.bytes);
    at += member.length;
    room -= member.bytes.length;
  }
  return Buffer.concat(parts);
}

function unpack(body: Buffer, coding: string, limit: number, flaws: string[]): Buffer {
  if (coding === "" || coding === "identity" || body.length === 0) return body;
  const flush = { maxOutputLength: limit, finishFlush: zlib.constants.Z_SYNC_FLUSH }; // keeps what came before a cut
  try {
    switch (coding) {
      case "gzip":
      case "x-gzip":
        // Some archives unpack the body and leave the header.
        return body[0] === 0x1f && body[1] === 0x8b ? zlib.gunzipSync(body, flush) : body;
      case "deflate":
        // With zlib's header, as the standard says, or without, as some servers send it.
        return (body[0] & 15) === 8 && body.readUInt16BE(0) % 31 === 0
          ? zlib.inflateSync(body, flush)
          : zlib.inflateRawSync(body, flush);
      case "br":
        return zlib.brotliDecompressSync(body, {
          maxOutputLength: limit,
          finishFlush: zlib.constants.BROTLI_OPERATION_FLUSH,
        });
      case "zstd":
        return packingOf(body) === "zstd" ? unzstdBody(body, limit, flaws) : body;
    }
  } catch (error) {
    const large = (error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE";
    flaws.push(large ? "unpacks to more than the limit" : `damaged ${coding}`);
    return Buffer.alloc(0);
  }
  flaws.push(`unknown coding ${coding}`);
  return Buffer.alloc(0);
}
