/**
 * @file Finds the media type of a body, as browsers do: from its `Content-Type` or, if that names none, its first bytes.
 * https://mimesniff.spec.whatwg.org, https://fetch.spec.whatwg.org/#concept-header-extract-mime-type
 */
import { looksCompressed } from "./archive/codings.js";

/** Bytes inspected (mimesniff, 5.2). */
const HEAD = 1445;
const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const TYPE = new RegExp(`^(${TOKEN})/(${TOKEN})[ \\t\\r\\n]*(?:;|$)`);

/**
 * Returns the media type of a `Content-Type` header in lower case, without parameters; of a list, the last valid one.
 * Returns null if none is valid or the type is unknown (`text/html charset=utf-8`, `html`, a star, empty); then the body
 * decides.
 */
export function mediaTypeOf(contentType: string): string | null {
  let found: string | null = null;
  // Commas in quotes do not separate list items.
  for (const value of contentType.match(/(?:"(?:[^"\\]|\\.)*"?|[^,"])+/g) ?? []) {
    const parts = TYPE.exec(value.trim());
    if (parts !== null && parts[1] !== "*") found = `${parts[1]}/${parts[2]}`.toLowerCase();
  }
  return found !== null && UNKNOWN.has(found) ? null : found;
}

const UNKNOWN = new Set(["unknown/unknown", "application/unknown"]);
const HTML_TYPES = new Set(["text/html", "application/xhtml+xml", "application/vnd.wap.xhtml+xml"]);
const XML_TYPES = new Set(["text/xml", "application/xml"]);

/** Returns `html` or `text` for a body that can become a document, else its media type. */
export function kindOfBody(contentType: string, body: Uint8Array): string {
  const named = mediaTypeOf(contentType);
  const head = Buffer.from(body.buffer, body.byteOffset, Math.min(body.length, HEAD));
  if (named !== null && HTML_TYPES.has(named)) return isNoPage(head, contentType) ? "application/octet-stream" : "html";
  if (named === null) return sniff(head);
  // XHTML is often sent as XML.
  if (XML_TYPES.has(named) && isXhtml(head)) return "html";
  if (named !== "text/plain") return named;
  // Servers send files of unknown type as text (mimesniff, 7.2).
  return hasBinary(head) && !/charset\s*=\s*["']?utf-?16/i.test(contentType) ? "application/octet-stream" : "text";
}

/** True for a file that the server wrongly declared as HTML: a PDF, an image, a compressed file. */
function isNoPage(head: Buffer, contentType: string): boolean {
  const text = head.toString("latin1");
  if (MAGIC.some(([magic]) => text.startsWith(magic))) return true;
  if (!hasBinary(head) || /utf-?16/i.test(contentType) || TAG.test(text) || WIDE_TAG.test(text)) return false;
  return looksCompressed(head);
}

const TAG = /<(?:!--|(?:!doctype|html|head|body|title|meta|script|div|table|p|br|h1)[\s>])/i;
/** In UTF-16. */
const WIDE_TAG = /<\0[a-z!]\0|\0<\0[a-z!]/i;

/** Tags that begin a page (mimesniff, 7.1), and tags added to HTML since. */
const PAGE =
  /^(?:<!--|<(?:!doctype html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p|meta|link|main|header|nav|section|article|base|center|form|span|ul|noscript)[\s>])/i;
const isXhtml = (head: Buffer) =>
  /^\s*(?:<\?[^>]*>\s*|<!--[\s\S]*?-->\s*)*<(?:!doctype\s+html|html)[\s>]/i.test(withoutMark(head));

/**
 * Returns the type of a body by its first bytes. More lenient than the standard: a page may begin with a byte order mark,
 * or with stray text from its server.
 */
function sniff(head: Buffer): string {
  const text = withoutMark(head);
  if (PAGE.test(text.trimStart()) || isXhtml(head) || /<(?:!doctype html|html|head|body)[\s>]/i.test(text))
    return "html";
  if (/^\s*<\?xml/.test(text)) return "text/xml";
  for (const [magic, type] of MAGIC) if (text.startsWith(magic)) return type;
  return hasBinary(head) ? "application/octet-stream" : "text";
}

const withoutMark = (head: Buffer) => head.toString("latin1").replace(/^\u00ef\u00bb\u00bf/, "");

/** Binary formats that begin with letters and so look like text; the others contain bytes that text never has. */
const MAGIC: readonly (readonly [magic: string, type: string])[] = [
  ["%PDF-", "application/pdf"],
  ["%!PS-Adobe-", "application/postscript"],
  ["{\\rtf", "application/rtf"],
  ["GIF8", "image/gif"],
  ["RIFF", "application/riff"],
];

/** True if there are bytes that text never has (mimesniff, "binary data byte") and no UTF-16 byte order mark. */
export function hasBinary(head: Uint8Array): boolean {
  if ((head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff)) return false;
  for (const byte of head) {
    if (byte < 32 && (byte <= 8 || byte === 11 || (byte >= 14 && byte !== 27))) return true;
  }
  return false;
}

/** Files at a site's root for programs. They are not training text, whatever their media type. */
const PROGRAM_FILES = /^\/+(?:robots|ads|app-ads|humans|security|sitemap|\.well-known\/[^?]*)\.txt$/i;

/** True if a URL is a file for programs: robots.txt, ads.txt, security.txt and the like. */
export function isForPrograms(url: string): boolean {
  return URL.canParse(url) && PROGRAM_FILES.test(new URL(url).pathname);
}
