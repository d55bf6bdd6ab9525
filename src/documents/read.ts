/**
 * @file The reader of documents: files, folders and addresses in, documents out. What cannot be read is left out, counted by
 * its reason, and named.
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

/** How far the reading of files has come, in bytes as they lie on the disk: what a time left is reckoned by. */
export interface ReadBytes {
  readonly bytesRead: number;
  /** Of all files together; known once the reading has begun. */
  readonly bytesTotal: number;
}

export interface ReadDocumentsOptions extends LocationOptions {
  /** The key or column of the text; `a.b` is b in a. Default "text". */
  readonly textField?: string;
  /** The first damage is an error. */
  readonly strict?: boolean;
  /** UTF-16 units; a document that is longer comes in pieces, cut at line ends or spaces. Default: documents are whole. */
  readonly longest?: number;
}

/** Documents one at a time, in the order of the paths given and of the names in folders. Iterate once. */
export interface DocumentReader extends AsyncIterable<Document>, ReadBytes {
  /** What was read and what was left out; complete when the iteration has ended. */
  readonly report: ReadReport;
  /** Documents given so far. */
  readonly documents: number;
  /**
   * The same documents in blocks, instead of the iteration. Whoever parses a block tells how many documents it had by
   * `found`, and what it left out by `skip`; in the end it calls `end`, which throws if there was no document.
   */
  blocks(): AsyncGenerator<Block>;
  found(documents: number): void;
  readonly skip: Skip;
  /** Adds what another thread left out. */
  merge(report: ReadReport): void;
  end(): void;
}

/**
 * Reads files, folders and addresses. A text or Markdown file is one document; a line of JSONL, an element of a JSON array, a
 * row of Parquet or a text of a web archive is one (`text`, or what `textField` names, and `id`, `url`, `source`, `origin`
 * where it has them). The iteration throws a `QuernError` for a path that is not there, for damage with `strict`, and when
 * there is no document at all; it throws the signal's reason when that aborts.
 */
export function readDocuments(paths: readonly string[], options: ReadDocumentsOptions = {}): DocumentReader {
  const { strict, signal, ...others } = options;
  const { longest = Number.POSITIVE_INFINITY } = others;
  const log = new ReadLog({ strict });
  let bytesTotal = 0;
  /** Bytes of the files before the one that is open, and what counts those of that one. */
  let bytesBefore = 0;
  let opened: { readonly bytesRead: number } | undefined;

  async function* blocks(): AsyncGenerator<Block> {
    if (paths.length === 0) throw new QuernError("no text was given; name a file or a folder", { exitCode: 2 });
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

/** Milliseconds after which whatever else the thread has to do gets its turn. */
const PAUSE = 25;

export interface ReadPartOptions extends ReadOptions {
  /** Is offered the lines of JSONL files; what it took is the text of the document that comes next. */
  readonly take?: TakeText;
}

/** The documents and pages of a part of some input, in order, with all that they say. Never throws for what is wrong with the input. */
export async function* readPart(part: InputPart, options: ReadPartOptions): AsyncGenerator<TakenDocument | Page> {
  const { log, signal, take } = options;
  let last = performance.now();
  for (const file of part.files ?? [part]) {
    for await (const block of blocksOf(file, { pages: true, fields: true, ...options })) {
      for (const record of recordsOf(block, log.skip, take)) {
        yield record;
        // Counted when the next one is asked for: whoever has enough takes no more.
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
  /** Bytes that one page or document may have; larger ones are left out. Default 64 MiB for pages. */
  readonly largest?: number;
}

/** A reader of documents and pages. Iterate once; what it counts is complete when the iteration has ended. */
export interface PageReader extends AsyncIterable<Document | Page> {
  readonly report: ReadReport;
}

/** The documents and pages of all inputs, one file after the other. @throws QuernError where there is none at all */
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
  /** Where it is, for messages: `pairs.jsonl, line 7`. */
  readonly place: string;
}

export interface ReadRowsOptions extends LocationOptions {
  /** The first damage is an error. */
  readonly strict?: boolean;
}

/** A reader of rows. Iterate once; the report is complete when the iteration has ended. */
export interface RowReader extends AsyncIterable<Row> {
  readonly report: ReadReport;
}

/** Reads the rows of JSONL, JSON and Parquet files, folders and addresses. @throws QuernError where there is none at all */
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
  /** Counts what is read and left out. */
  readonly log?: ReadLog;
}

/** No document of a stage is longer, in bytes. */
const LARGEST_STAGED = 2 ** 28;

/** What an earlier stage wrote, with all that its lines say; pages are left out. */
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
