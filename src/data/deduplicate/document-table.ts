/**
 * @file The on-disk table of input documents. A row has the values that decide which copy is kept, the place of the id, and
 * where the text starts. Each part of the input has one file of fixed-length rows and one file of ids.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { fileError } from "../../errors.js";
import { readWhole, writeWhole } from "./entries.js";

export interface DocumentRow {
  /** The copy with the greatest value stays: length in bytes, or quality. */
  readonly worth: number;
  /** Documents that this one already represents, from earlier deduplication. */
  readonly copies: number;
  /** Hash of the text; breaks ties. */
  readonly content: bigint;
  /** Hash of the document's other fields; breaks ties between equal texts. */
  readonly rest: bigint;
  /** Where its text starts, in units (bytes or tokens) of the part's texts. */
  readonly textStart: number;
}

/** Bytes per row: f64 worth, f64 copies, u64 content, u64 rest, f64 offset of the id, f64 textStart. */
const ROW = 48;
const PIECE = 2 ** 18;

export const tablePath = (work: string, part: string) => join(work, "index", `${part}.table`);
export const idsPath = (work: string, part: string) => join(work, "index", `${part}.ids`);

/** A buffered file writer whose errors name the file. */
export class PieceWriter {
  readonly #path: string;
  readonly #buffer = Buffer.alloc(PIECE);
  #file: number | undefined;
  #filled = 0;
  /** Bytes written so far. */
  bytes = 0;

  constructor(path: string) {
    this.#path = path;
  }

  write(data: Uint8Array | string): void {
    if (typeof data === "string" && 3 * data.length <= PIECE) {
      // UTF-8 needs up to three bytes per UTF-16 unit.
      if (this.#filled + 3 * data.length > PIECE) this.#flush();
      const written = this.#buffer.write(data, this.#filled);
      this.#filled += written;
      this.bytes += written;
      return;
    }
    const bytes = typeof data === "string" ? Buffer.from(data) : data;
    if (this.#filled + bytes.length > PIECE) this.#flush();
    if (bytes.length > PIECE) this.#append(bytes);
    else {
      this.#buffer.set(bytes, this.#filled);
      this.#filled += bytes.length;
    }
    this.bytes += bytes.length;
  }

  #append(bytes: Uint8Array): void {
    try {
      this.#file ??= openSync(this.#path, "w");
      writeWhole(this.#file, bytes);
    } catch (error) {
      throw fileError(error, "write", this.#path);
    }
  }

  #flush(): void {
    this.#append(this.#buffer.subarray(0, this.#filled));
    this.#filled = 0;
  }

  finish(): void {
    this.#flush();
    this.close();
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}

export class DocumentTableWriter {
  readonly #rows: PieceWriter;
  readonly #ids: PieceWriter;
  readonly #row = Buffer.alloc(ROW);

  constructor(work: string, part: string) {
    this.#rows = new PieceWriter(tablePath(work, part));
    this.#ids = new PieceWriter(idsPath(work, part));
  }

  add(id: string, { worth, copies, content, rest, textStart }: DocumentRow): void {
    const row = this.#row;
    row.writeDoubleLE(worth, 0);
    row.writeDoubleLE(copies, 8);
    row.writeBigUInt64LE(content, 16);
    row.writeBigUInt64LE(rest, 24);
    row.writeDoubleLE(this.#ids.bytes, 32);
    row.writeDoubleLE(textStart, 40);
    this.#rows.write(row);
    // JSON escapes line breaks and lone surrogates, so each id is exactly one line.
    this.#ids.write(`${JSON.stringify(id)}\n`);
  }

  finish(): void {
    this.#rows.finish();
    this.#ids.finish();
  }

  close(): void {
    this.#rows.close();
    this.#ids.close();
  }
}

/** Reads rows and ids by the document's number, counted over all parts. */
export class DocumentTables {
  readonly #work: string;
  readonly #parts: readonly { readonly name: string; readonly base: number }[];
  /** Open files by part: rows and ids. At most 64 parts are open; the one opened first is closed first. */
  readonly #open = new Map<number, readonly [rows: number, ids: number]>();
  readonly #row = Buffer.alloc(ROW);
  readonly #ids = new Map<number, string>();

  /** @param parts in order; `base` is the number of the part's first document */
  constructor(work: string, parts: readonly { readonly name: string; readonly base: number }[]) {
    this.#work = work;
    this.#parts = parts;
  }

  /** Returns the index of the part that contains a document. */
  partOf(document: number): number {
    let low = 0;
    let high = this.#parts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.#parts[middle].base <= document) low = middle;
      else high = middle;
    }
    return low;
  }

  row(document: number): DocumentRow {
    const row = this.#readRow(document);
    return {
      worth: row.readDoubleLE(0),
      copies: row.readDoubleLE(8),
      content: row.readBigUInt64LE(16),
      rest: row.readBigUInt64LE(24),
      textStart: row.readDoubleLE(40),
    };
  }

  id(document: number): string {
    const known = this.#ids.get(document);
    if (known !== undefined) return known;
    const at = this.#readRow(document).readDoubleLE(32);
    const [, ids] = this.#files(this.partOf(document));
    let buffer = Buffer.alloc(256);
    for (;;) {
      const read = readSync(ids, buffer, 0, buffer.length, at);
      const end = buffer.subarray(0, read).indexOf(10);
      if (end >= 0) {
        const id = JSON.parse(buffer.toString("utf8", 0, end)) as string;
        // Caches ids, because the same few are read repeatedly.
        if (this.#ids.size >= 4096) this.#ids.clear();
        this.#ids.set(document, id);
        return id;
      }
      if (read < buffer.length) throw new Error("a work file is shorter than expected");
      buffer = Buffer.alloc(4 * buffer.length);
    }
  }

  #readRow(document: number): Buffer {
    const part = this.partOf(document);
    readWhole(this.#files(part)[0], this.#row, ROW * (document - this.#parts[part].base));
    return this.#row;
  }

  #files(part: number): readonly [number, number] {
    const have = this.#open.get(part);
    if (have !== undefined) return have;
    const { name } = this.#parts[part];
    if (this.#open.size >= 64) this.#close(this.#open.keys().next().value as number);
    const rows = openSync(tablePath(this.#work, name), "r");
    const files = [rows, openSync(idsPath(this.#work, name), "r")] as const;
    this.#open.set(part, files);
    return files;
  }

  #close(part: number): void {
    for (const file of this.#open.get(part) ?? []) closeSync(file);
    this.#open.delete(part);
  }

  close(): void {
    for (const part of [...this.#open.keys()]) this.#close(part);
  }
}
