/**
 * @file What a body is: by its `Content-Type` where that names a type, else by its first bytes, as browsers decide.
 * https://mimesniff.spec.whatwg.org, https://fetch.spec.whatwg.org/#concept-header-extract-mime-type
 */
import { looksPacked } from "./archive/codings.js";

/** Bytes that are looked at (mimesniff, 5.2). */
const HEAD = 1445;
const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const TYPE = new RegExp(`^(${TOKEN})/(${TOKEN})[ \\t\\r\\n]*(?:;|$)`);

/**
 * The type that a `Content-Type` header names, in lower case and without parameters: the last sound one of a list. Null where
 * none is sound or it says that it does not know (`text/html charset=utf-8`, `html`, a star, nothing): then the body decides.
 */
export function mediaTypeOf(contentType: string): string | null {
  let found: string | null = null;
  // Commas in quotes do not divide a list.
  for (const value of contentType.match(/(?:"(?:[^"\\]|\\.)*"?|[^,"])+/g) ?? []) {
    const parts = TYPE.exec(value.trim());
    if (parts !== null && parts[1] !== "*") found = `${parts[1]}/${parts[2]}`.toLowerCase();
  }
  return found !== null && UNKNOWN.has(found) ? null : found;
}

const UNKNOWN = new Set(["unknown/unknown", "application/unknown"]);
const HTML_TYPES = new Set(["text/html", "application/xhtml+xml", "application/vnd.wap.xhtml+xml"]);
const XML_TYPES = new Set(["text/xml", "application/xml"]);

/** `html` or `text` for what can become a document; else the type, by its header or its bytes. */
export function kindOfBody(contentType: string, body: Uint8Array): string {
  const named = mediaTypeOf(contentType);
  const head = Buffer.from(body.buffer, body.byteOffset, Math.min(body.length, HEAD));
  if (named !== null && HTML_TYPES.has(named)) return isNoPage(head, contentType) ? "application/octet-stream" : "html";
  if (named === null) return sniff(head);
  // XHTML is often sent so.
  if (XML_TYPES.has(named) && isXhtml(head)) return "html";
  if (named !== "text/plain") return named;
  // Servers send what they do not know as text (mimesniff, 7.2).
  return hasBinary(head) && !/charset\s*=\s*["']?utf-?16/i.test(contentType) ? "application/octet-stream" : "text";
}

/** True where a page is none but a file that its server took for one: a PDF, an image, a packed file. */
function isNoPage(head: Buffer, contentType: string): boolean {
  const text = head.toString("latin1");
  if (MAGIC.some(([magic]) => text.startsWith(magic))) return true;
  if (!hasBinary(head) || /utf-?16/i.test(contentType) || TAG.test(text) || WIDE_TAG.test(text)) return false;
  return looksPacked(head);
}

const TAG = /<(?:!--|(?:!doctype|html|head|body|title|meta|script|div|table|p|br|h1)[\s>])/i;
/** In UTF-16. */
const WIDE_TAG = /<\0[a-z!]\0|\0<\0[a-z!]/i;

/** Tags that begin a page (mimesniff, 7.1), and those that HTML has got since. */
const PAGE =
  /^(?:<!--|<(?:!doctype html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p|meta|link|main|header|nav|section|article|base|center|form|span|ul|noscript)[\s>])/i;
const isXhtml = (head: Buffer) =>
  /^\s*(?:<\?[^>]*>\s*|<!--[\s\S]*?-->\s*)*<(?:!doctype\s+html|html)[\s>]/i.test(withoutMark(head));

/**
 * What begins so and no header names. Beyond the standard, a page may begin with a byte order mark, and with text that
 * its server should have kept to itself.
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

/** What else begins with letters and so could be taken for text; the rest has bytes that no text has. */
const MAGIC: readonly (readonly [magic: string, type: string])[] = [
  ["%PDF-", "application/pdf"],
  ["%!PS-Adobe-", "application/postscript"],
  ["{\\rtf", "application/rtf"],
  ["GIF8", "image/gif"],
  ["RIFF", "application/riff"],
];

/** True where there are bytes that no text has (mimesniff, "binary data byte") and no byte order mark explains them. */
export function hasBinary(head: Uint8Array): boolean {
  if ((head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff)) return false;
  for (const byte of head) {
    if (byte < 32 && (byte <= 8 || byte === 11 || (byte >= 14 && byte !== 27))) return true;
  }
  return false;
}

/** Files at a site's root that tell programs something; they are no text to learn from, whatever they are sent as. */
const PROGRAM_FILES = /^\/+(?:robots|ads|app-ads|humans|security|sitemap|\.well-known\/[^?]*)\.txt$/i;

/** True where an address is one of a site's files for programs: robots.txt, ads.txt, security.txt and the like. */
export function isForPrograms(url: string): boolean {
  return URL.canParse(url) && PROGRAM_FILES.test(new URL(url).pathname);
}
