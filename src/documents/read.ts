/**
 * @file Reads documents from files, folders and URLs. Unreadable parts are skipped, counted by reason, and reported with
 * their place.
 */
import { setImmediate as turn } from "node:timers/promises";
import { QuernError } from "../errors.js";
import { type Block, documentsOf, recordsOf, type TakenDocument, type TakeText } from "./blocks.js";
import { cutDocument } from "./cut.js";
import { type Document, isPage, type Page } from "./document.js";
import { findInputs, type InputPart, listFiles } from "./inputs.js";
import type { LocationOptions } from "./location.js";
import { blocksOf, type ReadOptions } from "./read-file.js";
import { nothingRead, ReadLog, type ReadReport, type Skip } from "./read-report.js";

/** Progress in bytes as stored on disk, to estimate the time left. */
export interface ReadBytes {
  readonly bytesRead: number;
  /** Size of all files; known once reading has begun. */
  readonly bytesTotal: number;
}

export interface ReadDocumentsOptions extends LocationOptions {
  /** Key or column that contains the text; `a.b` is b in a. Default "text". */
  readonly textField?: string;
  /** Whether the first damage is an error. */
  readonly strict?: boolean;
  /** UTF-16 units. Longer documents are cut into pieces at line ends or spaces. Default: documents are not cut. */
  readonly longest?: number;
}

/** Yields documents in the order of the paths and, in folders, of names. Can be iterated once. */
export interface DocumentReader extends AsyncIterable<Document>, ReadBytes {
  /** What was read and skipped; complete when the iteration has ended. */
  readonly report: ReadReport;
  /** Documents read so far. */
  readonly documents: number;
  /**
   * Yields blocks of documents, as an alternative to the iteration. The caller parses them and reports the number of
   * documents with `found` and skipped ones with `skip`. At the end it calls `end`, which throws if there was no document.
   */
  blocks(): AsyncGenerator<Block>;
  found(documents: number): void;
  readonly skip: Skip;
  /** Adds the counts of another thread. */
  merge(report: ReadReport): void;
  end(): void;
}

/**
 * Reads files, folders and URLs. A document is a text or Markdown file, a JSONL line, a JSON array element, a Parquet
 * row, or a text record of a web archive. Lines and rows have `text` (or `textField`), and optionally `id`, `url`,
 * `source` and `origin`.
 *
 * The iteration throws a `QuernError` if a path does not exist, at damage with `strict`, and if there is no document. It
 * throws the signal's reason when that aborts.
 */
export function readDocuments(paths: readonly string[], options: ReadDocumentsOptions = {}): DocumentReader {
  const { strict, signal, ...others } = options;
  const { longest = Number.POSITIVE_INFINITY } = others;
  const log = new ReadLog({ strict });
  let bytesTotal = 0;
  /** Bytes of the files before the open one, and the counter of the open one. */
  let bytesBefore = 0;
  let opened: { readonly bytesRead: number } | undefined;

  async function* blocks(): AsyncGenerator<Block> {
    if (paths.length === 0) throw new QuernError("no input; give a file or folder", { exitCode: 2 });
    const files = await listFiles(paths, { ...others, signal, skip: log.skip });
    for (const { size } of files) bytesTotal += size;
    const memory = { last: undefined };
    const onOpen = (counter: { readonly bytesRead: number }) => {
      opened = counter;
    };
    for (const file of files) {
      for await (const block of blocksOf(file, { ...others, signal, log, countLines: true, onOpen, memory })) {
        if (block.kind === "text") log.texts += 1;
        else if (block.kind === "records" && !block.isRows && !block.isContinued) log.texts += block.records.length;
        yield block;
      }
      bytesBefore += opened?.bytesRead ?? 0;
      opened = undefined;
    }
  }
  function end(): void {
    if (log.documents === 0) throw nothingRead(paths, log.report);
  }
  async function* read(): AsyncGenerator<Document> {
    for await (const block of blocks()) {
      for (const document of documentsOf(block, log.skip)) {
        signal?.throwIfAborted();
        if (block.kind !== "records" || !block.isContinued) log.documents += 1;
        yield* cutDocument(document, longest, { offsets: block.kind === "text" });
      }
    }
    end();
  }
  return {
    get report() {
      return log.report;
    },
    get documents() {
      return log.documents;
    },
    get bytesRead() {
      return bytesBefore + (opened?.bytesRead ?? 0);
    },
    get bytesTotal() {
      return bytesTotal;
    },
    blocks,
    found(more) {
      log.documents += more;
    },
    skip: log.skip,
    merge: (report) => log.merge(report),
    end,
    [Symbol.asyncIterator]: read,
  };
}

/** Milliseconds after which the reader yields to the event loop. */
const PAUSE = 25;

export interface ReadPartOptions extends ReadOptions {
  /** Called with each line of JSONL; if it extracts the text, the next document has `taken`. */
  readonly take?: TakeText;
}

/** Yields the documents and pages of a part in order, with all their fields. Never throws for faulty input. */
export async function* readPart(part: InputPart, options: ReadPartOptions): AsyncGenerator<TakenDocument | Page> {
  const { log, signal, take } = options;
  let last = performance.now();
  for (const file of part.files ?? [part]) {
    for await (const block of blocksOf(file, { pages: true, fields: true, ...options })) {
      for (const record of recordsOf(block, log.skip, take)) {
        yield record;
        // Counts a record only when the next is requested: a caller that stops early does not count the last one.
        log.documents += 1;
        if (block.kind === "text" || (block.kind === "records" && !block.isRows)) log.texts += 1;
        if (performance.now() - last < PAUSE) continue;
        await turn(undefined, { signal });
        last = performance.now();
      }
    }
  }
}

export interface ReadPagesOptions extends ReadDocumentsOptions {
  /** Largest page or document in bytes; larger ones are skipped. Default 64 MiB for pages. */
  readonly largest?: number;
}

/** Yields documents and pages. Can be iterated once; the report is complete when the iteration has ended. */
export interface PageReader extends AsyncIterable<Document | Page> {
  readonly report: ReadReport;
}

/** Reads the documents and pages of all inputs, file by file. @throws QuernError if there are none */
export function readPages(inputs: readonly string[], options: ReadPagesOptions = {}): PageReader {
  const { strict, ...others } = options;
  const log = new ReadLog({ strict });
  async function* read(): AsyncGenerator<Document | Page> {
    for (const file of await findInputs(inputs, { ...others, pages: true, skip: log.skip })) {
      yield* readPart(file, { ...others, log });
    }
    if (log.documents === 0) throw nothingRead(inputs, log.report);
  }
  return {
    get report() {
      return log.report;
    },
    [Symbol.asyncIterator]: read,
  };
}

/** A line of JSONL, an element of a JSON array or a row of Parquet, with all its keys. */
export interface Row {
  readonly fields: Readonly<Record<string, unknown>>;
  /** Its place, for messages: `pairs.jsonl, line 7`. */
  readonly place: string;
}

export interface ReadRowsOptions extends LocationOptions {
  /** Whether the first damage is an error. */
  readonly strict?: boolean;
}

/** Yields rows. Can be iterated once; the report is complete when the iteration has ended. */
export interface RowReader extends AsyncIterable<Row> {
  readonly report: ReadReport;
}

/** Reads the rows of JSONL, JSON and Parquet files, folders and URLs. @throws QuernError if there are none */
export function readRows(paths: readonly string[], { strict, ...options }: ReadRowsOptions = {}): RowReader {
  const log = new ReadLog({ strict });
  async function* read(): AsyncGenerator<Row> {
    const textField = null;
    for (const file of await listFiles(paths, { ...options, textField, skip: log.skip })) {
      const reading = { ...options, log, textField, fields: true, countLines: true };
      for await (const block of blocksOf(file, reading)) {
        if (block.kind === "text") {
          log.skip("no_rows", file.location, { detail: "plain text", isFile: true });
          continue;
        }
        for (const { fields, id } of documentsOf(block, log.skip)) {
          if (fields === undefined) continue;
          log.documents += 1;
          yield { fields, place: id };
        }
      }
    }
    if (log.documents === 0) throw nothingRead(paths, log.report);
  }
  return {
    get report() {
      return log.report;
    },
    [Symbol.asyncIterator]: read,
  };
}

export interface ReadTextsOptions {
  readonly textField?: string;
  readonly signal?: AbortSignal;
  /** Counts what is read and skipped. */
  readonly log?: ReadLog;
}

/** Longest document that a stage writes, in bytes. */
const LARGEST_STAGED = 2 ** 28;

/** Yields the documents that an earlier stage wrote, with all their fields; pages are skipped. */
export async function* readTexts(
  inputs: readonly string[],
  { textField, signal, log = new ReadLog() }: ReadTextsOptions = {},
): AsyncGenerator<Document> {
  for (const part of await findInputs(inputs, { textField, signal, pages: true, skip: log.skip })) {
    for await (const record of readPart(part, { largest: LARGEST_STAGED, textField, signal, log })) {
      if (!isPage(record)) yield record;
      else log.skip("not_extracted", part.location);
    }
  }
}
