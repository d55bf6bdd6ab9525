/**
 * @file Reads CSV (RFC 4180) and TSV files row by row. A quoted field may contain separators, line ends and doubled quotation
 * marks. The first row names the columns.
 */
import { compressionByName, readBytes } from "./compression.js";
import { LONGEST_LINE } from "./limits.js";
import type { Row } from "./read.js";
import { skipFile } from "./read-file.js";
import type { ReadLog } from "./read-report.js";

export interface CsvOptions {
  /** Counts what is read and skipped. */
  readonly log: ReadLog;
  /** One character; default: a tab for .tsv, else a comma. */
  readonly separator?: string;
  readonly signal?: AbortSignal;
}

/** True for the name of a CSV or TSV file, plain or compressed. */
export const isCsv = (path: string): boolean => /^\.(csv|tsv)$/.test(compressionByName(path).extension);

/** A row: its fields, and the line in which it starts. */
interface Cells {
  readonly cells: readonly string[];
  readonly line: number;
}

/**
 * Yields the rows of a file; every value is a string. A row with another number of fields than the first, or whose
 * quotation mark is not closed, is skipped as `damaged_row`. Damaged compression ends the file and is counted.
 */
export async function* readCsv(path: string, { log, separator, signal }: CsvOptions): AsyncGenerator<Row> {
  const { compression, extension } = compressionByName(path);
  const parser = new CsvParser(separator ?? (extension === ".tsv" ? "\t" : ","));
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let names: readonly string[] | undefined;
  const rowsOf = function* (rows: Iterable<Cells>): Generator<Row> {
    for (const { cells, line } of rows) {
      if (names === undefined) {
        names = cells;
        continue;
      }
      const place = `${path}, line ${line}`;
      if (cells.length !== names.length) {
        const detail = `${cells.length} fields where the first line names ${names.length} columns`;
        log.skip("damaged_row", place, { detail });
        continue;
      }
      log.documents += 1;
      yield { fields: Object.fromEntries(names.map((name, i) => [name, cells[i]])), place };
    }
  };
  log.files += 1;
  try {
    for await (const bytes of readBytes(path, compression, signal)) {
      let text: string;
      try {
        text = decoder.decode(bytes, { stream: true });
      } catch {
        log.skip("not_utf8", path, { detail: `after line ${parser.line}`, isFile: true });
        return;
      }
      yield* rowsOf(parser.push(text));
      if (parser.length <= LONGEST_LINE) continue;
      log.skip("line_too_long", `${path}, line ${parser.firstLine}`, {
        detail: `more than ${LONGEST_LINE} characters; a quotation mark may not be closed`,
        isFile: true,
      });
      return;
    }
    if (parser.isQuoted) {
      log.skip("damaged_row", `${path}, line ${parser.firstLine}`, { detail: "a quotation mark is not closed" });
    } else yield* rowsOf(parser.end());
  } catch (error) {
    signal?.throwIfAborted();
    skipFile(path, { compression }, error, log.skip);
  }
}

const [QUOTE, LINE_FEED] = [0x22, 10];

/** Splits pieces of text into rows. */
class CsvParser {
  readonly #separator: number;
  /** The line that is being read, and the one in which the unfinished row starts. */
  line = 1;
  firstLine = 1;
  #cells: string[] = [];
  #field = "";
  /** Characters of the finished cells. */
  #held = 0;
  isQuoted = false;
  /** After a quotation mark inside quotes: the end of the quotes, or the first of two. */
  #afterQuote = false;
  /** Whether the field has begun, so that a quotation mark is an ordinary character. */
  #begun = false;
  /** Whether the field ends with an unquoted carriage return. */
  #endsWithReturn = false;

  constructor(separator: string) {
    this.#separator = separator.charCodeAt(0);
  }

  /** Characters of the unfinished row. */
  get length(): number {
    return this.#held + this.#field.length;
  }

  *push(text: string): Generator<Cells> {
    for (let at = 0; at < text.length; ) {
      if (this.isQuoted) {
        const quote = text.indexOf('"', at);
        const stop = quote < 0 ? text.length : quote;
        const part = text.slice(at, stop);
        this.#field += part;
        for (let feed = part.indexOf("\n"); feed >= 0; feed = part.indexOf("\n", feed + 1)) this.line += 1;
        at = stop + 1;
        if (quote >= 0) [this.isQuoted, this.#afterQuote] = [false, true];
        continue;
      }
      const unit = text.charCodeAt(at);
      if (unit === QUOTE && (this.#afterQuote || !this.#begun)) {
        if (this.#afterQuote) this.#field += '"';
        [this.isQuoted, this.#afterQuote, this.#begun, this.#endsWithReturn] = [true, false, true, false];
        at += 1;
        continue;
      }
      this.#afterQuote = false;
      let stop = at;
      for (; stop < text.length; stop++) {
        const each = text.charCodeAt(stop);
        if (each === this.#separator || each === LINE_FEED) break;
      }
      if (stop > at) {
        this.#field += text.slice(at, stop);
        this.#begun = true;
        this.#endsWithReturn = text.charCodeAt(stop - 1) === 13;
      }
      if (stop === text.length) return;
      at = stop + 1;
      if (text.charCodeAt(stop) === LINE_FEED) {
        yield* this.end();
        this.line += 1;
        this.firstLine = this.line;
      } else this.#endCell();
    }
  }

  /** Ends the row; a blank line is none. */
  *end(): Generator<Cells> {
    if (this.#endsWithReturn) this.#field = this.#field.slice(0, -1);
    const isBlank = this.#cells.length === 0 && this.#field === "";
    this.#endCell();
    const cells = this.#cells;
    this.#cells = [];
    this.#held = 0;
    if (!isBlank) yield { cells, line: this.firstLine };
  }

  #endCell(): void {
    this.#cells.push(this.#field);
    this.#held += this.#field.length;
    this.#field = "";
    this.#afterQuote = false;
    this.#begun = false;
    this.#endsWithReturn = false;
  }
}
