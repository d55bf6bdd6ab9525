/**
 * @file Removing duplicates: whole documents with one address, one content or nearly one content (MinHash, Broder 1997;
 * bands as in Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, ch. 3), or lines and paragraphs that were seen
 * before (CCNet, Wenzek et al. 2019). The input is read twice; memory holds some numbers a document, never its text.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import type { z } from "zod";
import { createAtomicFile, makeFolder, writeFileAtomic } from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import { checkOptions } from "../../options.js";
import type { OnProgress } from "../../progress.js";
import { readRecords, type TextRecord } from "../clean/records.js";
import { normaliseUrl } from "../crawl/urls.js";
import { findParts } from "../pages.js";
import { BandFiles, Groups } from "./clusters.js";
import { deduplicateOptions } from "./deduplicate-options.js";
import { TextHasher } from "./hasher.js";
import { TextCounts } from "./repeated.js";

export interface DeduplicateOptions extends z.input<typeof deduplicateOptions> {
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

export interface DeduplicateResult {
  readonly documents: number;
  readonly kept: number;
  /** Documents with at least one copy, by which they hang together; of lines and paragraphs, those that repeat. */
  readonly clusters: number;
  /** Lines or paragraphs taken out. */
  readonly pieces: number;
  readonly bytes: number;
  readonly bytesKept: number;
  /** What could not be read as a document, by reason. */
  readonly skipped: Readonly<Record<string, number>>;
}

/** Probability that two documents of Jaccard similarity `similarity` share a band: 1 - (1 - s^rows)^bands. */
export function bandProbability(similarity: number, bands: number, rows: number): number {
  return 1 - (1 - similarity ** rows) ** bands;
}

/**
 * Writes what stays to `out/documents/00000.jsonl`, in order, and to `out/removed.jsonl` a line for each document that
 * was removed or cut: its id, why, and which document stayed instead.
 *
 * @throws QuernError for inputs that cannot be read, options that do not fit, a folder that cannot be written
 */
export async function deduplicate(options: DeduplicateOptions): Promise<DeduplicateResult> {
  const { signal, onProgress, ...rest } = options;
  const o = checkOptions(deduplicateOptions, rest);
  const pieces = o.by === "line" || o.by === "paragraph";
  const keep = o.keep ?? (pieces ? "first" : "longest");
  if (pieces && keep !== "first" && keep !== "none") {
    throw new QuernError(`of ${o.by}s the first copy is kept, or none; not the "${keep}"`, { exitCode: 2 });
  }
  if (!pieces && keep === "none") {
    throw new QuernError("of documents one copy is kept; --keep none is for lines and paragraphs", { exitCode: 2 });
  }
  const parts = await findParts(o.inputs, { signal });
  const skipped = new Map<string, number>();
  async function* read(count: boolean): AsyncGenerator<TextRecord> {
    const skip = (reason: string) => void (count && skipped.set(reason, (skipped.get(reason) ?? 0) + 1));
    for (const part of parts) {
      for await (const record of readRecords(part, { largest: 2 ** 28, signal, skip })) {
        if (record.content.kind === "text") yield record as TextRecord;
        else skip("not a text; extract it first");
      }
    }
  }
  await makeFolder(join(o.out, "documents"));
  const output = await Output.open(o.out);
  try {
    const note = (task: string, done: number, total?: number) =>
      onProgress?.({ task, done, unit: "document", ...(total === undefined ? {} : { total }) });
    const found = pieces
      ? await byPieces(read, o.by === "line" ? /\n/ : /\n[^\S\n]*\n\s*/, keep === "first", output, note)
      : await byDocuments(read, { ...o, keep, by: o.by as "url" | "document" | "near" }, output, note);
    const result = { ...output.counts, ...found, skipped: Object.fromEntries(skipped) };
    await output.commit(`${JSON.stringify({ options: o, ...result }, null, 2)}\n`);
    return result;
  } catch (error) {
    await output.discard();
    throw error;
  }
}

type Read = (count: boolean) => AsyncGenerator<TextRecord>;
type Note = (task: string, done: number, total?: number) => void;

interface Rule {
  readonly by: "url" | "document" | "near";
  readonly keep: string;
  readonly bands: number;
  readonly rows: number;
  readonly ngram: number;
  readonly out: string;
}

async function byDocuments(read: Read, rule: Rule, output: Output, note: Note) {
  const bands = rule.by === "near" ? rule.bands : 1;
  const hasher = new TextHasher(rule);
  const folder = await mkdtemp(join(rule.out, ".keys-"));
  const files = new BandFiles(folder, bands);
  // What decides which copy stays, and by which a tie is decided whatever the order of the input.
  const worth: number[] = [];
  const contents: bigint[] = [];
  try {
    for await (const record of read(true)) {
      const { text } = record.content;
      const number = worth.length;
      const content = hasher.hash(text);
      worth.push(rule.keep === "quality" ? qualityOf(record) : Buffer.byteLength(text));
      contents.push(content);
      const keys = keysOf(rule.by, record, content, hasher);
      if (keys !== null) await files.add(number, keys);
      if (number % 256 === 0) note("read", number);
    }
    const groups = new Groups(worth.length);
    await files.join(groups);
    const best = new Int32Array(worth.length).fill(-1);
    const sizes = new Int32Array(worth.length);
    for (let i = 0; i < worth.length; i++) {
      const root = groups.find(i);
      const other = best[root];
      sizes[root] += 1;
      const better =
        other < 0 ||
        (rule.keep !== "first" &&
          (worth[i] > worth[other] || (worth[i] === worth[other] && contents[i] < contents[other])));
      if (better) best[root] = i;
    }
    const ids = new Map<number, string>();
    let number = 0;
    const waiting: { root: number; id: string }[] = [];
    for await (const record of read(false)) {
      const root = groups.find(number);
      if (sizes[root] > 1 && best[root] === number) ids.set(root, record.id);
      if (best[root] === number) await output.keep(record, record.content.text);
      else {
        output.count(record.content.text);
        waiting.push({ root, id: record.id });
      }
      number += 1;
      if (number % 256 === 0) note("write", number, worth.length);
    }
    // After the documents: the one that stays may come after its copies.
    for (const { root, id } of waiting) {
      await output.remove({ id, reason: REASONS[rule.by], kept: ids.get(root), cluster: root, size: sizes[root] });
    }
    return { clusters: ids.size, pieces: 0 };
  } finally {
    await files.remove();
    await rm(folder, { recursive: true, force: true });
  }
}

const REASONS = { url: "same address", document: "same text", near: "nearly the same text" } as const;

function keysOf(by: Rule["by"], record: TextRecord, content: bigint, hasher: TextHasher): BigUint64Array | null {
  if (by === "document") return BigUint64Array.of(content);
  if (by === "near") return hasher.bandHashes(record.content.text);
  const url = record.url === undefined ? null : canonicalUrl(record.url);
  return url === null ? null : BigUint64Array.of(hasher.hash(url));
}

/** An address without what does not change the page: scheme, www, session and tracking parameters, a last slash. */
export function canonicalUrl(address: string): string | null {
  const url = normaliseUrl(address);
  return url === null ? null : url.replace(/^https?:\/\/(www\.)?/, "").replace(/\/(?=$|\?)/, "");
}

function qualityOf(record: TextRecord): number {
  const quality = record.fields?.quality;
  return typeof quality === "number" && Number.isFinite(quality) ? quality : Number.NEGATIVE_INFINITY;
}

async function byPieces(read: Read, separator: RegExp, keepFirst: boolean, output: Output, note: Note) {
  const seen = new TextCounts();
  const repeated = new TextCounts();
  let documents = 0;
  if (!keepFirst) {
    for await (const record of read(true)) {
      for (const piece of record.content.text.split(separator)) if (piece.trim() !== "") seen.add(piece);
      documents += 1;
      if (documents % 256 === 0) note("count", documents);
    }
  }
  let pieces = 0;
  let number = 0;
  const joint = separator.source === "\\n" ? "\n" : "\n\n";
  for await (const record of read(keepFirst)) {
    const { text } = record.content;
    let cut = 0;
    const left = text.split(separator).filter((piece) => {
      if (piece.trim() === "") return true;
      const copies = keepFirst ? seen.add(piece) : seen.count(piece) - 1;
      if (copies > 0) {
        cut += 1;
        repeated.add(piece);
      }
      return copies === 0;
    });
    pieces += cut;
    const rest = cut === 0 ? text : left.join(joint);
    if (rest.trim() === "") {
      output.count(text);
      await output.remove({ id: record.id, reason: "nothing left", pieces: cut });
    } else {
      await output.keep(record, rest);
      if (cut > 0) await output.remove({ id: record.id, reason: "cut", pieces: cut });
    }
    number += 1;
    if (number % 256 === 0) note("write", number, keepFirst ? undefined : documents);
  }
  return { clusters: repeated.size, pieces };
}

/** The files of a result, renamed into place together at the end. */
class Output {
  readonly counts = { documents: 0, kept: 0, bytes: 0, bytesKept: 0 };
  readonly #out: string;
  readonly #kept: Awaited<ReturnType<typeof createAtomicFile>>;
  readonly #removed: Awaited<ReturnType<typeof createAtomicFile>>;
  #lines: { kept: string; removed: string } = { kept: "", removed: "" };

  private constructor(
    out: string,
    kept: Awaited<ReturnType<typeof createAtomicFile>>,
    removed: Awaited<ReturnType<typeof createAtomicFile>>,
  ) {
    this.#out = out;
    this.#kept = kept;
    this.#removed = removed;
  }

  static async open(out: string): Promise<Output> {
    const kept = await createAtomicFile(join(out, "documents", "00000.jsonl"));
    try {
      return new Output(out, kept, await createAtomicFile(join(out, "removed.jsonl")));
    } catch (error) {
      await kept.discard();
      throw error;
    }
  }

  /** Counts a document that does not stay. */
  count(text: string): void {
    this.counts.documents += 1;
    this.counts.bytes += Buffer.byteLength(text);
  }

  async keep({ id, url, source, language, fields, content }: TextRecord, text: string): Promise<void> {
    this.count(content.text);
    this.counts.kept += 1;
    this.counts.bytesKept += Buffer.byteLength(text);
    this.#lines.kept += `${JSON.stringify({ id, url, source, language, ...fields, text })}\n`;
    if (this.#lines.kept.length > 2 ** 18) await this.#flush();
  }

  async remove(line: Readonly<Record<string, unknown>>): Promise<void> {
    this.#lines.removed += `${JSON.stringify(line)}\n`;
    if (this.#lines.removed.length > 2 ** 18) await this.#flush();
  }

  async #flush(): Promise<void> {
    const { kept, removed } = this.#lines;
    this.#lines = { kept: "", removed: "" };
    await this.#kept.write(kept);
    await this.#removed.write(removed);
  }

  async commit(summary: string): Promise<void> {
    await this.#flush();
    await this.#kept.commit();
    await this.#removed.commit();
    await writeFileAtomic(join(this.#out, "deduplicate.json"), summary);
  }

  async discard(): Promise<void> {
    await this.#kept.discard();
    await this.#removed.discard();
  }
}
