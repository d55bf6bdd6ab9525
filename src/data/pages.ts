/**
 * @file Reading pages: web archives, HTML files, and what holds documents already (text, JSONL, Parquet), from files,
 * folders and remote locations.
 */
import { basename, relative } from "node:path";
import {
  filesUnder,
  isFolder,
  kindOfFile,
  mayHoldDocuments,
  nothingRead,
  packingOf,
  ReadLog,
  type ReadReport,
  RefusedDamage,
  readBytes,
  type Skip,
  skipFile,
} from "../documents/index.js";
import { QuernError } from "../errors.js";
import { parseHttpResponse } from "./archive/http-message.js";
import { type ArchiveRecord, readArchive } from "./archive/records.js";
import { documentRecords, type ReadOptions, type TextRecord } from "./document-records.js";
import { decodePage } from "./extract/charset.js";
import { fetchedFile } from "./fetched.js";
import { expandLocation, isRemote, type LocationOptions, readLocation } from "./location.js";
import { isForPrograms, kindOfBody } from "./media-type.js";
import type { Page } from "./page.js";

export interface PageOptions extends LocationOptions {
  /** Bytes that one page may have; larger ones are skipped. Default 64 MiB. */
  readonly largestPage?: number;
  /** The key or column of the text in files of documents. Default "text". */
  readonly textField?: string;
  /** The first damage is an error. */
  readonly strict?: boolean;
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
 * path list. `skip` hears of what is left out in folders.
 *
 * @throws QuernError for a path that is not there, a named file of another kind, a location that cannot be listed
 */
export async function findParts(
  inputs: readonly string[],
  options: PageOptions & { readonly skip?: Skip } = {},
): Promise<readonly Part[]> {
  const { skip = () => {}, signal } = options;
  const key = options.textField ?? "text";
  const parts: Part[] = [];
  for (const input of inputs) {
    if (isRemote(input)) {
      for (const location of await expandLocation(input, options)) {
        const name = basename(new URL(location).pathname);
        // An address without a known ending is a page of the web.
        const kind = kindOf(name) ?? (/\.json(\.gz|\.zst|\.zstd)?$|\.zstd?$/i.test(name) ? "documents" : "html");
        parts.push({ location, kind, id: idOf(location), source: input });
      }
      continue;
    }
    if (!(await isFolder(input))) {
      const kind = kindOf(input) ?? (await sniffed(input, undefined, signal));
      if (kind === undefined) {
        throw new QuernError(`${input} is no page, archive or document file; its name must say what it is`, {
          exitCode: 2,
        });
      }
      parts.push({ location: input, kind, id: idOf(basename(input)), source: basename(input) });
      continue;
    }
    for await (const path of filesUnder(input, skip)) {
      signal?.throwIfAborted();
      // A name that does not say what is in a file: settings are JSON as well.
      const looksIn = mayHoldDocuments(basename(path));
      const kind = kindOf(path) ?? (looksIn ? await sniffed(path, key, signal) : undefined);
      if (kind === undefined) skip("other_kind", path);
      else parts.push({ location: path, kind, id: idOf(relative(input, path)), source: basename(input) });
    }
  }
  return parts;
}

/** What the content of a file says that it is. */
async function sniffed(
  path: string,
  key: string | undefined,
  signal: AbortSignal | undefined,
): Promise<Part["kind"] | undefined> {
  try {
    const { format, other } = await kindOfFile(path, { key, signal });
    return other ?? (format === undefined ? undefined : "documents");
  } catch (error) {
    signal?.throwIfAborted();
    // Who reads it tells what is wrong.
    if (error instanceof Error && "syscall" in error) return "documents";
    throw error;
  }
}

const KINDS: readonly [RegExp, Part["kind"]][] = [
  [/\.(warc|arc|wet|wat)(\.wet|\.wat)?(\.gz|\.zst)?$/i, "archive"],
  [/\.x?html?(\.gz|\.zst)?$/i, "html"],
  [/\.(txt|text|md|markdown|jsonl|ndjson|parquet)(\.gz|\.zst|\.zstd)?$/i, "documents"],
];
const kindOf = (name: string) => KINDS.find(([pattern]) => pattern.test(name))?.[1];
const idOf = (path: string) => path.replace(/\.(gz|zst)$/i, "").replace(/\.x?html?$/i, "");
/** Reasons that are told apart; an archive may name any number of types. */
const MOST_REASONS = 200;
function count(counts: Map<string, number>, reason: string): void {
  const name = counts.has(reason) || counts.size < MOST_REASONS ? reason : "(others)";
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

/** A document that its file holds, or a page. */
export type InputRecord = (Page & { readonly language?: undefined; readonly fields?: undefined }) | TextRecord;

/** A reader of pages. Iterate once; what it counts is complete when the iteration has ended. */
export interface PageReader extends AsyncIterable<InputRecord> {
  readonly report: ReadReport;
  /** What was not read as a page, by reason. */
  readonly skipped: ReadonlyMap<string, number>;
}

/** The pages of all inputs, one part after the other. @throws QuernError where there is none at all */
export function readPages(inputs: readonly string[], options: PageOptions = {}): PageReader {
  const log = new ReadLog(options);
  async function* read(): AsyncGenerator<InputRecord> {
    const { largestPage: largest = LARGEST_PAGE, ...others } = options;
    for (const part of await findParts(inputs, { ...options, skip: log.skip })) {
      yield* recordsOf(part, { ...others, largest, log });
    }
    if (log.documents === 0) throw nothingRead(inputs, log.report);
  }
  return {
    get report() {
      return log.report;
    },
    get skipped() {
      return new Map(Object.entries(log.report.skipped));
    },
    [Symbol.asyncIterator]: read,
  };
}

/** The documents and pages of one part, counted. Never throws for what is wrong with the input. */
export async function* recordsOf(part: Part, options: ReadOptions & LocationOptions): AsyncGenerator<InputRecord> {
  const { log, signal, range } = options;
  signal?.throwIfAborted();
  const { location, kind } = part;
  // A file that is read in stretches is counted with its first.
  let isCounted = range !== undefined && range.start > 0;
  const skipped = new Map<string, number>();
  const pages = { ...options, largestPage: options.largest };
  const before = log.skippedFiles;
  try {
    const records =
      kind === "documents"
        ? documentRecords(part, isRemote(location) ? await fetchedFile(location, options) : location, options)
        : kind === "html"
          ? htmlPage(part, skipped, pages)
          : archivePages(part, skipped, pages);
    for await (const record of records) {
      if (!isCounted) log.files += 1;
      isCounted = true;
      yield record;
      // Counted when the next one is asked for: whoever has enough takes no more.
      log.documents += 1;
      if (kind !== "documents") log.texts += 1;
    }
    // A file without any document was read all the same.
    if (!isCounted && kind === "documents" && log.skippedFiles === before) log.files += 1;
  } catch (error) {
    signal?.throwIfAborted();
    if (!(error instanceof QuernError) || error instanceof RefusedDamage) throw error;
    if (kind === "archive" && !isRemote(location))
      log.skip("damaged_archive", location, { detail: error.message.replace(location, "").trim() });
    else skipFile(location, packingOf(location), error, log.skip);
  } finally {
    for (const [reason, count] of skipped) log.skip(reason, location, { count });
  }
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
