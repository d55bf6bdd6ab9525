/** @file Counts what readers read and skip: one list of reasons, and one log for all readers. */
import { counted } from "../counted.js";
import { QuernError } from "../errors.js";

/** What a verb read and skipped; printed with `--json`, and part of manifests and reports. */
export interface ReadReport {
  /** Number of files read, of documents in them, and of those that were lines of JSONL or rows of Parquet. */
  readonly read: { readonly files: number; readonly documents: number; readonly rows: number };
  /** Number of skipped files, lines, rows, columns or records, by reason. */
  readonly skipped: Readonly<Record<string, number>>;
  /** The places of the first few, by reason. */
  readonly skippedAt: Readonly<Record<string, readonly string[]>>;
}

/**
 * The reasons for which document readers skip something, with their meaning. `damage` marks lost text, for which `--strict`
 * stops.
 */
export const SKIP_REASONS: Readonly<Record<string, { readonly damage: boolean; readonly meaning: string }>> = {
  // Files.
  other_kind: { damage: false, meaning: "a file in a folder that is neither text, JSON lines nor Parquet" },
  own_output: { damage: false, meaning: "a folder that Quern wrote" },
  not_a_file: { damage: true, meaning: "a pipe, socket, device or link to a folder" },
  unreadable: { damage: true, meaning: "a file or folder that cannot be opened" },
  damaged_gzip: { damage: true, meaning: "a .gz file that is damaged or cut short; whole lines before that are read" },
  damaged_zstd: { damage: true, meaning: "a .zst file that is damaged or cut short; whole lines before that are read" },
  damaged_archive: { damage: true, meaning: "a web archive without a readable record" },
  damaged_parquet: { damage: true, meaning: "a Parquet file without a readable footer" },
  file_too_long: { damage: true, meaning: "a text file longer than the limit" },
  // Documents, lines and rows.
  empty: { damage: false, meaning: "a text that contains only white space" },
  not_utf8: { damage: true, meaning: "bytes that are not UTF-8" },
  nul_byte: { damage: true, meaning: "a NUL byte" },
  not_json: { damage: true, meaning: "a line that is not JSON" },
  not_an_object: { damage: true, meaning: "a line of JSON that is not an object" },
  no_text: { damage: true, meaning: "no text under the key or in the column (--text-field names another)" },
  too_large: { damage: true, meaning: "JSON with more values than the limit" },
  too_deep: { damage: true, meaning: "JSON that nests too deeply" },
  line_too_long: { damage: true, meaning: "a line longer than the limit" },
  text_too_long: { damage: true, meaning: "a text longer than the limit" },
  damaged_row: {
    damage: true,
    meaning: "a row of Parquet whose text cannot be decoded, or a row of CSV with a missing field or quotation mark",
  },
  damaged_column: {
    damage: true,
    meaning: "a column other than the text that cannot be decoded; the row is read without it",
  },
  no_label: { damage: false, meaning: "a line without a label in a classifier's training data" },
  not_sampled: { damage: false, meaning: "a document that --sample did not select" },
  no_rows: { damage: false, meaning: "a text file where JSON lines or rows of Parquet are expected" },
  not_extracted: { damage: false, meaning: "a web page where text is expected; extract its text first" },
};

/** Reasons of other readers (archives, pages) count as damage by their wording. */
const isDamage = (reason: string) =>
  SKIP_REASONS[reason]?.damage ?? /^(archive|body):|damage|truncat|cut short/.test(reason);

/** Places kept per reason. */
const PLACES = 3;

/** Called for each thing that is skipped. */
export type Skip = (reason: string, where: string, more?: SkipDetails) => void;
export interface SkipDetails {
  /** How many; default 1. */
  readonly count?: number;
  /** What is wrong, in words. */
  readonly detail?: string;
  /** The document's id, if it has one. */
  readonly id?: string;
  /** True if a whole file is skipped. */
  readonly isFile?: boolean;
}

/** Thrown with `strict` at the first damage. */
export class RefusedDamage extends QuernError {
  constructor(reason: string, place: string) {
    super(`${place} (${reason}); --strict stops at damaged input`);
  }
}

/** Counts what is read and skipped. With `strict`, the first damage is an error. */
export class ReadLog {
  files = 0;
  documents = 0;
  /** Documents that are not lines or rows: whole files, texts and pages of archives. */
  texts = 0;
  /** Files that were skipped completely or from some place on. */
  skippedFiles = 0;
  readonly #strict: boolean;
  readonly #onSkip: Skip | undefined;
  readonly #skipped = new Map<string, number>();
  readonly #places = new Map<string, string[]>();

  /** @param onSkip called for each thing that is skipped */
  constructor({ strict = false, onSkip }: { readonly strict?: boolean; readonly onSkip?: Skip } = {}) {
    this.#strict = strict;
    this.#onSkip = onSkip;
  }

  /** Counts something as skipped. @throws QuernError for damage, with `strict` */
  readonly skip: Skip = (reason, where, more = {}) => {
    const { count = 1, detail, isFile } = more;
    if (isFile) this.skippedFiles += 1;
    this.#onSkip?.(reason, where, more);
    const place = shown(detail === undefined ? where : `${where}: ${detail}`);
    this.#add(reason, count, [place]);
    if (this.#strict && isDamage(reason)) throw new RefusedDamage(reason, place);
  };

  #add(reason: string, count: number, places: readonly string[]): void {
    this.#skipped.set(reason, (this.#skipped.get(reason) ?? 0) + count);
    const known = this.#places.get(reason) ?? [];
    this.#places.set(reason, [...known, ...places].slice(0, PLACES));
  }

  /** Adds the counts of another reader, thread or task. @throws QuernError for damage, with `strict` */
  merge({ read, skipped, skippedAt }: ReadReport): void {
    this.files += read.files;
    this.documents += read.documents;
    this.texts += read.documents - read.rows;
    for (const [reason, count] of Object.entries(skipped)) {
      this.#add(reason, count, skippedAt[reason] ?? []);
      if (!this.#strict || !isDamage(reason)) continue;
      throw new RefusedDamage(reason, skippedAt[reason]?.[0] ?? "the input");
    }
  }

  get report(): ReadReport {
    const { files, documents, texts } = this;
    const sorted = [...this.#skipped].sort(([a], [b]) => (a < b ? -1 : 1));
    return {
      read: { files, documents, rows: documents - texts },
      skipped: Object.fromEntries(sorted),
      skippedAt: Object.fromEntries(sorted.map(([reason]) => [reason, this.#places.get(reason) ?? []])),
    };
  }
}

/** Escapes control characters: names and keys come from files, and would move a terminal's cursor. */
const shown = (text: string) =>
  text
    .slice(0, LONGEST_PLACE)
    .replace(
      /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
const LONGEST_PLACE = 500;

/** Formats a report for people: what was read, and a line for each reason. */
export function readLines({ read, skipped, skippedAt }: ReadReport): string[] {
  const rows = read.rows === 0 ? "" : ` (${counted(read.rows, "row")})`;
  return [
    `read ${counted(read.files, "file")}, ${counted(read.documents, "document")}${rows}`,
    ...Object.entries(skipped).map(([reason, count]) => skippedLine(reason, count, skippedAt[reason] ?? [])),
  ];
}

function skippedLine(reason: string, count: number, places: readonly string[]): string {
  const more = count > places.length && places.length > 0 ? "; …" : "";
  return `skipped ${count} ${reason}${places.length === 0 ? "" : `: ${places.join("; ")}${more}`}`;
}

/** The error when no document was found. */
export function nothingRead(paths: readonly string[], { skipped, skippedAt }: ReadReport): QuernError {
  const reasons = Object.entries(skipped).map(([reason, count]) => skippedLine(reason, count, skippedAt[reason] ?? []));
  const why = reasons.length === 0 ? "there is no text, JSON lines or Parquet file" : reasons.slice(0, 5).join("; ");
  const shownPaths = paths.slice(0, 5).join(", ") + (paths.length > 5 ? ` and ${paths.length - 5} more` : "");
  return new QuernError(`no text in ${shownPaths}: ${why}`);
}
