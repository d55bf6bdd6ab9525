/** @file The HTTP response inside a record: its status, headers and body, unchunked and unpacked. RFC 9112, RFC 9110. */
import { decodeContent, unchunk } from "./codings.js";

export interface HttpResponse {
  readonly status: number;
  /** Names in lower case; the first of several, but lists joined, those of X-Robots-Tag by line ends. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
  /** What was wrong and could be got over: the body is what there is of it. */
  readonly flaws: readonly string[];
}

/** Browsers read no larger head; where none ends within this, the body cannot be told from it. */
const LARGEST_HEAD = 256 * 1024;
/** Several lines of these are one list (RFC 9110, 5.3). */
const LISTS = new Set(["content-type", "content-encoding", "transfer-encoding"]);

/** Reads a response; null where the content does not begin with a status line. At most `limit` bytes of body. */
export function parseHttpResponse(content: Buffer, limit: number): HttpResponse | null {
  const statusLine = /^HTTP\/\d(?:\.\d)? +(\d{3})/.exec(content.toString("latin1", 0, 32));
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
    const line = content.toString("latin1", at, end > at && content[end - 1] === 13 ? end - 1 : end);
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
  if (/\bchunked\b/i.test(headers.get("transfer-encoding") ?? "")) body = unchunk(body, flaws);
  body = decodeContent(body, headers.get("content-encoding") ?? "", limit, flaws);
  if (body.length > limit) {
    flaws.push("too large");
    body = body.subarray(0, limit);
  }
  return { status, headers, body, flaws };
}
