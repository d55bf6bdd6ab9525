/** @file Parses the HTTP response in a record: status, headers and decoded body (RFC 9112, RFC 9110). */
import { mediaTypeOf } from "../media-type.js";
import { decodeContent, unchunk } from "./codings.js";

export interface HttpResponse {
  readonly status: number;
  /** Keys are lower case. Of repeated headers the first counts; lists are joined by commas, X-Robots-Tag by line ends. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
  /** Errors that did not stop the parser; the body is what could be read of it. */
  readonly flaws: readonly string[];
}

/** Browsers read no larger head. If the head does not end within this, its end cannot be found. */
const LARGEST_HEAD = 256 * 1024;
const STATUS_LINE = /^HTTP\/\d(?:\.\d)? +(\d{3})/i;
/** Interim responses before the final one. */
const MOST_INTERIM = 100;
/** Repeated lines of these headers form one list (RFC 9110, 5.3). */
const LISTS = new Set(["content-type", "content-encoding", "transfer-encoding"]);

/** Parses a response with a body of at most `limit` bytes; null if the content does not begin with a status line. */
export function parseHttpResponse(record: Buffer, limit: number): HttpResponse | null {
  const content = record.subarray(finalStart(record));
  const statusLine = STATUS_LINE.exec(content.toString("latin1", 0, 32));
  if (statusLine === null) return null;
  const status = Number(statusLine[1]);
  const headers = new Map<string, string>();
  let name = "";
  let at = content.indexOf(10) + 1;
  if (at === 0) at = content.length;
  while (at < content.length) {
    const newline = content.indexOf(10, at);
    const end = newline < 0 ? content.length : newline;
    if (end > LARGEST_HEAD) return { status, headers, body: Buffer.alloc(0), flaws: ["head too large"] };
    const line = content.toString("latin1", at, end).replace(/\r{1,2}$/, "");
    at = end + 1;
    if (line === "") break;
    const colon = line.indexOf(":");
    if (/^[ \t]/.test(line)) {
      if (name !== "") headers.set(name, `${headers.get(name) ?? ""} ${line.trim()}`);
    } else if (colon > 0) {
      name = line.slice(0, colon).trim().toLowerCase();
      const value = line.slice(colon + 1).trim();
      const before = headers.get(name);
      if (before === undefined) headers.set(name, value);
      else if (LISTS.has(name)) headers.set(name, `${before}, ${value}`);
      // Each line may be for another crawler.
      else if (name === "x-robots-tag") headers.set(name, `${before}\n${value}`);
    }
  }
  const flaws: string[] = [];
  let body = content.subarray(Math.min(at, content.length));
  const transfer = headers.get("transfer-encoding") ?? "";
  if (/\bchunked\b/i.test(transfer)) body = unchunk(body, flaws);
  const isText = /^(?:text\/|application\/xhtml|$)/.test(mediaTypeOf(headers.get("content-type") ?? "") ?? "");
  // A transfer may be compressed too (RFC 9112, 7.2); unknown names are ignored there.
  const codings = [headers.get("content-encoding"), ...(transfer.match(/\b(?:x-)?(?:gzip|deflate)\b/gi) ?? [])];
  body = decodeContent(body, codings.filter((coding) => coding !== undefined).join(", "), limit, flaws, isText);
  if (body.length > limit) {
    flaws.push("too large");
    body = body.subarray(0, limit);
  }
  return { status, headers, body, flaws };
}

/** Finds the final response, after interim ones such as `100 Continue` and `103 Early Hints` (RFC 9110, 15.2). */
function finalStart(record: Buffer): number {
  let start = 0;
  for (let i = 0; i < MOST_INTERIM; i++) {
    if (!/^HTTP\/\d(?:\.\d)? +1\d\d/i.test(record.toString("latin1", start, start + 32))) break;
    const head = record.toString("latin1", start, start + LARGEST_HEAD);
    const end = head.search(/\n\r?\n/);
    const next = start + end + (head[end + 1] === "\r" ? 3 : 2);
    if (end < 0 || !STATUS_LINE.test(record.toString("latin1", next, next + 32))) break;
    start = next;
  }
  return start;
}
