/** @file Reads documents and pages from web archives (WARC, WET, ARC) and HTML files. */
import { QuernError } from "../errors.js";
import { parseHttpResponse } from "./archive/http-message.js";
import { type ArchiveRecord, readArchive } from "./archive/records.js";
import { decodePage } from "./charset/charset.js";
import { compressionByName, readBytes } from "./compression.js";
import type { Document, Page } from "./document.js";
import type { InputFile } from "./inputs.js";
import { isRemote, type LocationOptions, readLocation } from "./location.js";
import { isForPrograms, kindOfBody } from "./media-type.js";

export interface ArchiveReading extends LocationOptions {
  /** The largest page, in bytes. */
  readonly largest: number;
  /** Counts records that are not read as pages, by reason. */
  readonly count: (reason: string, times: number) => void;
}

/** Yields the documents and pages of a web archive. @throws QuernError if it contains no record */
export async function* archiveRecords(file: InputFile, options: ArchiveReading): AsyncGenerator<Document | Page> {
  const { count, largest, signal } = options;
  const reader = readArchive(readLocation(file.location, options), { largestRecord: largest, signal });
  let records = 0;
  for await (const record of reader) {
    records += 1;
    const page = recordFrom(record, file, largest, (reason) => count(reason, 1));
    if (page !== null) yield page;
  }
  for (const [reason, times] of reader.lost) count(`archive: ${reason}`, times);
  if (records === 0) {
    const lost = [...reader.lost].map(([reason, times]) => `${times} ${reason}`).join(", ");
    throw new QuernError(`${file.location} contains no web archive record${lost === "" ? "" : ` (${lost})`}`);
  }
}

/**
 * Returns the document or page in a record, or null.
 * @param skip called with the reason for null, and with each flaw of a page that was read in part
 */
function recordFrom(
  record: ArchiveRecord,
  file: InputFile,
  largest: number,
  skip: (reason: string) => void,
): Document | Page | null {
  const none = (reason: string) => {
    skip(reason);
    return null;
  };
  const url = printable(record.fields.get("warc-target-uri"));
  const time = printable(record.fields.get("warc-date"));
  const recordId = printable(record.fields.get("warc-record-id")?.replace(/^<|>$/g, ""));
  const origin = { archive: file.location, offset: record.offset, ...(time === undefined ? {} : { time }) };
  const id = recordId ?? `${file.id}:${record.offset}`;
  const place = { id, ...(url === undefined ? {} : { url }), source: file.source, origin };
  if (!READ_TYPES.has(record.type)) return none(`a ${OTHER_TYPES.has(record.type) ? record.type : "nameless"} record`);
  if (url !== undefined && isForPrograms(url)) return none("a file for programs, not a page");
  if (record.type === "conversion") return { ...place, text: record.content.toString("utf8") };
  let contentType = record.fields.get("content-type") ?? "";
  let bytes = record.content;
  if (record.type === "response") {
    const response = parseHttpResponse(record.content, largest);
    if (response === null) return none("a response that is not HTTP");
    if (response.status < 200 || response.status > 299) return none(`an answer with status ${response.status}`);
    for (const flaw of response.flaws) skip(`body: ${flaw}`);
    contentType = response.headers.get("content-type") ?? "";
    bytes = response.body;
    if (bytes.length === 0) return response.flaws.length > 0 ? null : none("no body");
  }
  const kind = kindOfBody(contentType, bytes);
  if (kind === "text") return { ...place, text: decodePage(bytes, contentType).text };
  if (kind !== "html") return none(`a body of type ${kind.slice(0, 80)}`);
  return { ...place, bytes, ...(contentType === "" ? {} : { contentType }) };
}

const READ_TYPES = new Set(["conversion", "response", "resource"]);
const OTHER_TYPES = new Set(["warcinfo", "request", "metadata", "revisit", "continuation", "filedesc"]);

/** Percent-encodes the characters that would move a terminal's cursor or break a line, as URLs do. */
const printable = (text: string | undefined) =>
  text?.replace(/[\p{Cc}\s\u202a-\u202e\u2066-\u2069]/gu, encodeURIComponent);

/** Reads an HTML file as a page; undefined if it is too large. */
export async function htmlPage(file: InputFile, options: ArchiveReading): Promise<Page | undefined> {
  const { location, id, source } = file;
  const remote = isRemote(location);
  const pieces = remote
    ? readLocation(location, options)
    : readBytes(location, compressionByName(location).compression, options.signal);
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of pieces) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > options.largest) {
      options.count("a page larger than the limit", 1);
      return undefined;
    }
  }
  const url = remote ? { url: location } : {};
  return { id, ...url, source, origin: { archive: location }, bytes: Buffer.concat(chunks, length) };
}
