/**
 * @file Reading pages: web archives, HTML files, and what holds documents already (text, JSONL, Parquet), from files,
 * folders and remote locations.
 */
import { readdir, stat } from "node:fs/promises";
import { basename, join, relative } from "node:path";
import { packingOf, readBytes } from "../documents/index.js";
import { fileError, QuernError } from "../errors.js";
import { parseHttpResponse } from "./archive/http-message.js";
import { type ArchiveRecord, readArchive } from "./archive/records.js";
import { documentRecords } from "./document-records.js";
import { decodePage } from "./extract/charset.js";
import { fetchedFile } from "./fetched.js";
import { expandLocation, isRemote, type LocationOptions, readLocation } from "./location.js";
import { isForPrograms, kindOfBody } from "./media-type.js";
import type { Page, PageReader } from "./page.js";

export interface PageOptions extends LocationOptions {
  /** Bytes that one page may have; larger ones are skipped. Default 64 MiB. */
  readonly largestPage?: number;
}

const LARGEST_PAGE = 64 * 2 ** 20;

/** One file, or remote file, to be read by itself: the unit that work is divided into. */
export interface Part {
  readonly location: string;
  readonly kind: "archive" | "html" | "documents";
  /** Of an HTML file: its path under the folder that was given, without .html or .gz. */
  readonly id: string;
  readonly source: string;
  /** Small files of one source that are read one after the other; the rest is then the first one's. */
  readonly files?: readonly Part[];
}

/**
 * The parts of what a user names, in a fixed order: files as given, folders by the order of their names, crawls by their
 * path list. Files of other kinds in folders are counted in `skipped` by their extension.
 *
 * @throws QuernError for a path that is not there, a named file of another kind, a location that cannot be listed
 */
export async function findParts(
  inputs: readonly string[],
  options: PageOptions & { readonly skipped?: Map<string, number> } = {},
): Promise<readonly Part[]> {
  const parts: Part[] = [];
  for (const input of inputs) {
    if (isRemote(input)) {
      for (const location of await expandLocation(input, options)) {
        const name = basename(new URL(location).pathname);
        // An address without a known ending is a page of the web.
        parts.push({ location, kind: kindOf(name) ?? "html", id: idOf(location), source: input });
      }
      continue;
    }
    let isFolder: boolean;
    try {
      isFolder = (await stat(input)).isDirectory();
    } catch (error) {
      throw fileError(error, "read", input);
    }
    if (isFolder) await findIn(input, input, parts, options.skipped ?? new Map());
    else {
      const kind = kindOf(input);
      if (kind === undefined) {
        throw new QuernError(`${input} is no page, archive or document file; its name must say what it is`, {
          exitCode: 2,
        });
      }
      parts.push({ location: input, kind, id: idOf(basename(input)), source: basename(input) });
    }
  }
  return parts;
}

async function findIn(folder: string, root: string, parts: Part[], skipped: Map<string, number>): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true });
  entries.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  for (const entry of entries) {
    if (entry.name.startsWith(".")) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await findIn(path, root, parts, skipped);
    else {
      const kind = entry.isFile() ? kindOf(entry.name) : undefined;
      if (kind !== undefined)
        parts.push({ location: path, kind, id: idOf(relative(root, path)), source: basename(root) });
      else {
        const extension = packingOf(entry.name).extension || "no extension";
        count(skipped, `a file of another kind (${extension})`);
      }
    }
  }
}

const KINDS: readonly [RegExp, Part["kind"]][] = [
  [/\.(warc|arc|wet|wat)(\.wet|\.wat)?(\.gz|\.zst)?$/i, "archive"],
  [/\.x?html?(\.gz|\.zst)?$/i, "html"],
  [/\.(txt|text|md|markdown|jsonl|ndjson)(\.gz|\.zst)?$|\.parquet$/i, "documents"],
];
const kindOf = (name: string) => KINDS.find(([pattern]) => pattern.test(name))?.[1];
const idOf = (path: string) => path.replace(/\.(gz|zst)$/i, "").replace(/\.x?html?$/i, "");
/** Reasons that are told apart; an archive may name any number of types. */
const MOST_REASONS = 200;
function count(counts: Map<string, number>, reason: string): void {
  const name = counts.has(reason) || counts.size < MOST_REASONS ? reason : "(others)";
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

/** The pages of all inputs, one part after the other. */
export function readPages(inputs: readonly string[], options: PageOptions = {}): PageReader {
  const skipped = new Map<string, number>();
  async function* read(): AsyncGenerator<Page> {
    const parts = await findParts(inputs, { ...options, skipped });
    for (const part of parts) {
      try {
        yield* pagesOf(part, skipped, options);
      } catch (error) {
        // One of several that cannot be read costs the others nothing.
        if (parts.length === 1 || !(error instanceof QuernError) || options.signal?.aborted) throw error;
        count(skipped, error.message);
      }
    }
  }
  return { skipped, [Symbol.asyncIterator]: read };
}

/** The pages of one part. */
export function readPart(part: Part, options: PageOptions = {}): PageReader {
  const skipped = new Map<string, number>();
  return { skipped, [Symbol.asyncIterator]: () => pagesOf(part, skipped, options) };
}

async function* pagesOf(part: Part, skipped: Map<string, number>, options: PageOptions): AsyncGenerator<Page> {
  options.signal?.throwIfAborted();
  if (part.kind === "archive") yield* archivePages(part, skipped, options);
  else if (part.kind === "html") yield* htmlPage(part, skipped, options);
  else yield* documentPages(part, skipped, options);
}

async function* archivePages(part: Part, skipped: Map<string, number>, options: PageOptions): AsyncGenerator<Page> {
  const limit = options.largestPage ?? LARGEST_PAGE;
  const bytes = readLocation(part.location, options);
  const reader = readArchive(bytes, { largestRecord: limit, signal: options.signal });
  let records = 0;
  for await (const record of reader) {
    records += 1;
    const page = pageOf(record, part, limit, (reason) => count(skipped, reason));
    if (page !== null) yield page;
  }
  for (const [reason, times] of reader.lost) {
    skipped.set(`archive: ${reason}`, (skipped.get(`archive: ${reason}`) ?? 0) + times);
  }
  if (records === 0) {
    const lost = [...reader.lost].map(([reason, times]) => `${times} ${reason}`).join(", ");
    throw new QuernError(`${part.location} holds no record of a web archive${lost === "" ? "" : ` (${lost})`}`);
  }
}

/** The page in a record; null where there is none. `skip` is told why, and of a page that is there only in part. */
function pageOf(record: ArchiveRecord, part: Part, limit: number, skip: (reason: string) => void): Page | null {
  const none = (reason: string) => {
    skip(reason);
    return null;
  };
  const url = printable(record.fields.get("warc-target-uri"));
  const time = printable(record.fields.get("warc-date"));
  const recordId = printable(record.fields.get("warc-record-id")?.replace(/^<|>$/g, ""));
  const origin = { archive: part.location, offset: record.offset, ...(time === undefined ? {} : { time }) };
  const id = recordId ?? `${part.id}:${record.offset}`;
  const place = { id, ...(url === undefined ? {} : { url }), source: part.source, origin };
  if (!READ_TYPES.has(record.type)) return none(`a ${OTHER_TYPES.has(record.type) ? record.type : "nameless"} record`);
  if (url !== undefined && isForPrograms(url)) return none("a file for programs, not a page");
  if (record.type === "conversion") {
    return { ...place, content: { kind: "text", text: record.content.toString("utf8") } };
  }
  let contentType = record.fields.get("content-type") ?? "";
  let bytes = record.content;
  if (record.type === "response") {
    const response = parseHttpResponse(record.content, limit);
    if (response === null) return none("a response that is not HTTP");
    if (response.status < 200 || response.status > 299) return none(`an answer with status ${response.status}`);
    for (const flaw of response.flaws) skip(`body: ${flaw}`);
    contentType = response.headers.get("content-type") ?? "";
    bytes = response.body;
    if (bytes.length === 0) return response.flaws.length > 0 ? null : none("no body");
  }
  const kind = kindOfBody(contentType, bytes);
  if (kind === "text") return { ...place, content: { kind, text: decodePage(bytes, contentType).text } };
  if (kind !== "html") return none(`a body of type ${kind.slice(0, 80)}`);
  return { ...place, content: { kind, bytes, ...(contentType === "" ? {} : { contentType }) } };
}

const READ_TYPES = new Set(["conversion", "response", "resource"]);
const OTHER_TYPES = new Set(["warcinfo", "request", "metadata", "revisit", "continuation", "filedesc"]);

/** Without the characters that would move a terminal's cursor or divide a line: percent-encoded, as an address has them. */
const printable = (text: string | undefined) =>
  text?.replace(/[\p{Cc}\s\u202a-\u202e\u2066-\u2069]/gu, encodeURIComponent);

async function* htmlPage(part: Part, skipped: Map<string, number>, options: PageOptions): AsyncGenerator<Page> {
  const limit = options.largestPage ?? LARGEST_PAGE;
  const { compression } = packingOf(part.location);
  const remote = isRemote(part.location);
  const source = remote ? readLocation(part.location, options) : readBytes(part.location, compression, options.signal);
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of source) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > limit) return void count(skipped, "a page larger than the limit");
  }
  const place = { id: part.id, source: part.source, origin: { archive: part.location } };
  yield {
    ...place,
    ...(remote ? { url: part.location } : {}),
    content: { kind: "html", bytes: Buffer.concat(chunks, length) },
  };
}

async function* documentPages(part: Part, skipped: Map<string, number>, options: PageOptions): AsyncGenerator<Page> {
  const path = isRemote(part.location) ? await fetchedFile(part.location, options) : part.location;
  const skip = (reason: string) => count(skipped, reason);
  const { signal, largestPage: largest = LARGEST_PAGE } = options;
  yield* documentRecords(part, path, { largest, signal, skip });
}
