/** @file The last stage: reads a part of the input again and writes what remains of it. */
import { join } from "node:path";
import { type Document, makeFolder, ReadLog } from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import type { TaskContext } from "../../executors/index.js";
import type { Task } from "../tasks.js";
import { type ChooseResult, type Member, MemberReader } from "./clusters.js";
import { DocumentTables, PieceWriter } from "./document-table.js";
import { EntryMerge } from "./entries.js";
import { type HeldText, TextHasher } from "./hasher.js";
import { asStrings, heldTexts } from "./index-part.js";
import { matchesPath, STAYS } from "./merge.js";
import { comparedText, spanOf, splitPieces } from "./pieces.js";
import {
  type DeduplicateConfig,
  type IndexedPart,
  type MergeResult,
  ofDocuments,
  type WriteResult,
  writeResult,
} from "./plan.js";
import { type ByteBounds, cutSpans, type Span, wholeCharacters } from "./substring/spans.js";
import { openUnits } from "./substring/units.js";

export const writtenPath = (work: string, kind: WrittenKind, part: string) => join(work, kind, `${part}.jsonl`);
/** `clusters` lists kept documents that have copies; `repeated` lists pieces that have copies. */
export type WrittenKind = "documents" | "removed" | "clusters" | "repeated";
export const writtenKinds = ({ by }: DeduplicateConfig): readonly WrittenKind[] => [
  "documents",
  "removed",
  ...(ofDocuments(by) ? (["clusters"] as const) : by === "substring" ? [] : (["repeated"] as const)),
];

export interface MergedRuns extends MergeResult {
  readonly name: string;
}

/** The text of a document, or a piece of it: a string if texts are cut as strings, else in the hasher's memory. */
type Text = string | HeldText;

/** What to write for a document. */
interface Outcome {
  /** The remaining text; undefined if the document is removed. */
  readonly text?: Text;
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly removed?: object;
  readonly cluster?: object;
  readonly repeated?: readonly { readonly text: Text; readonly count: number; readonly first: string }[];
  readonly pieces?: number;
}

const REASONS = { url: "same address", document: "same text", near: "nearly the same text" } as const;

export async function writePart(
  task: Task,
  config: DeduplicateConfig,
  parts: readonly IndexedPart[],
  merged: readonly MergedRuns[],
  chosen: ChooseResult,
  context: TaskContext = {},
): Promise<WriteResult> {
  const { work } = config;
  const part = parts.find(({ name }) => name === task.name) as IndexedPart;
  const tables = new DocumentTables(work, parts);
  const hasher = new TextHasher();
  const cutter = await openCutter(config, hasher, part, tables, merged, chosen);
  const files = new Map<WrittenKind, PieceWriter>();
  for (const kind of writtenKinds(config)) {
    await makeFolder(join(work, kind));
    files.set(kind, new PieceWriter(writtenPath(work, kind, task.name)));
  }
  const line = (kind: WrittenKind, value: object | undefined) => {
    if (value !== undefined) files.get(kind)?.write(`${JSON.stringify(value)}\n`);
  };
  /** Writes a line whose object has the fields of `before`, the text, and the fields of `after`. */
  const lineWith = (kind: WrittenKind, before: object, text: Text, after: object) => {
    const file = files.get(kind) as PieceWriter;
    const [head, tail] = [JSON.stringify(before).slice(0, -1), JSON.stringify(after).slice(1)];
    file.write(`${head}${head === "{" ? "" : ","}"text":`);
    if (typeof text === "string") file.write(JSON.stringify(text));
    else {
      file.write('"');
      for (const piece of hasher.escaped(text)) file.write(piece);
      file.write('"');
    }
    file.write(`${tail === "}" ? "" : ","}${tail}\n`);
  };
  await makeFolder(join(work, "write"));
  let [documents, kept, bytesKept, pieces] = [0, 0, 0, 0];
  try {
    for await (const { record, text } of heldTexts(task, config, hasher, context, new ReadLog())) {
      const outcome = cutter.cut(record, text, part.base + documents);
      documents += 1;
      pieces += outcome.pieces ?? 0;
      if (outcome.text !== undefined) {
        const { id, url, source, language, fields, origin } = record;
        const before = { id, url, source, language, origin, ...fields, ...outcome.fields };
        lineWith("documents", before, outcome.text, {});
        kept += 1;
        bytesKept += typeof outcome.text === "string" ? Buffer.byteLength(outcome.text) : outcome.text.length;
      }
      line("removed", outcome.removed);
      line("clusters", outcome.cluster);
      for (const { text, count, first } of outcome.repeated ?? []) lineWith("repeated", {}, text, { count, first });
      if (documents % 256 === 0) context.onProgress?.(documents);
    }
    if (documents !== part.documents) {
      throw new QuernError(`${task.part.location} changed during deduplication; run the command again`);
    }
    for (const file of files.values()) file.finish();
  } finally {
    for (const file of files.values()) file.close();
    cutter.close();
    tables.close();
  }
  return writeResult(work, "write", task.name, { kept, bytesKept, pieces });
}

interface Cutter {
  /** Decides what remains of a document. Calls must come in document order; `document` counts over all parts. */
  cut(record: Document, text: HeldText, document: number): Outcome;
  close(): void;
}

async function openCutter(
  config: DeduplicateConfig,
  hasher: TextHasher,
  part: IndexedPart,
  tables: DocumentTables,
  merged: readonly MergedRuns[],
  chosen: ChooseResult,
): Promise<Cutter> {
  const { by, work } = config;
  if (ofDocuments(by)) {
    const members = new MemberReader(work, chosen.members, part.base);
    return {
      cut: ({ id }, text, document) => keepOrRemove(id, text, REASONS[by], members.find(document), tables),
      close: () => members.close(),
    };
  }
  const matches = new MatchReader(config, part, merged);
  if (by === "substring") {
    const units = await openUnits(config);
    return {
      cut: ({ id, text }, _, document) =>
        cutRepeats(
          id,
          text,
          matches.of(document),
          config,
          () => units.bounds(text),
          (of) => tables.id(of),
        ),
      close: () => {},
    };
  }
  return {
    cut({ id, text: own }, held, document) {
      const found = matches.of(document);
      if (found.count === 0) return { text: asStrings(config) ? own : held };
      const cut = by === "sentence" ? cutSentences(own, found, config.sentences) : cutPieces(held, by, found, hasher);
      const repeated = cut.repeated.map(({ text, count }) => ({ text, count, first: id }));
      if (cut.pieces === 0) return { text: asStrings(config) ? own : held, repeated };
      const kept = new Set<string>();
      if (config.keep === "first") {
        // Consecutive matches often name the same document.
        for (let i = 0, last = -1; i < found.count; i++) {
          if (found.values[i] >= STAYS || found.others[i] === last) continue;
          last = found.others[i];
          kept.add(tables.id(last));
        }
      }
      const removed = { id, reason: "cut", pieces: cut.pieces, ...(kept.size > 0 ? { kept: [...kept] } : {}) };
      if (cut.blank) return { removed: { ...removed, reason: "nothing left" }, repeated, pieces: cut.pieces };
      return { text: cut.rest, removed, repeated, pieces: cut.pieces };
    },
    close: () => {},
  };
}

interface Cut {
  /** The remaining text. */
  readonly rest: Text;
  readonly blank: boolean;
  /** Pieces that were cut. */
  readonly pieces: number;
  /** Pieces that stay but occur again later, with their numbers of occurrences. */
  readonly repeated: readonly { readonly text: Text; readonly count: number }[];
}

function cutPieces(text: HeldText, by: "line" | "paragraph", found: Found, hasher: TextHasher): Cut {
  const marks = new Uint32Array(2 * found.count);
  for (let i = 0; i < found.count; i++) {
    marks[2 * i] = found.places[i];
    marks[2 * i + 1] = found.values[i] < STAYS ? 1 : 0;
  }
  const { rest, cut } = hasher.cutPieces(text, by, marks);
  const repeated: { text: HeldText; count: number }[] = [];
  for (let i = 0; i < found.count; i++) {
    if (found.values[i] < STAYS) continue;
    const [from, to] = [marks[2 * i], marks[2 * i + 1]];
    repeated.push({ text: { at: text.at + from, length: to - from }, count: found.values[i] - STAYS });
  }
  return { rest, blank: hasher.isBlank(rest), pieces: cut, repeated };
}

function cutSentences(text: string, found: Found, sentences: number): Cut {
  const pieces = splitPieces(text, "sentence");
  const removed = new Uint8Array(pieces.length);
  const repeated: { text: string; count: number }[] = [];
  for (let i = 0; i < found.count; i++) {
    const span = spanOf(pieces, sentences, found.places[i]);
    if (found.values[i] < STAYS) for (const piece of span) removed[piece] = 1;
    else repeated.push({ text: comparedText(span.map((piece) => pieces[piece])), count: found.values[i] - STAYS });
  }
  const left = pieces.filter((_, i) => removed[i] === 0);
  const rest = left.join("");
  return { rest, blank: rest.trim() === "", pieces: pieces.length - left.length, repeated };
}

function keepOrRemove(
  id: string,
  text: HeldText,
  reason: string,
  member: Member | undefined,
  tables: DocumentTables,
): Outcome {
  if (member === undefined) return { text };
  const { document, cluster, size, kept, copies } = member;
  if (kept === document) return { text, fields: { copies }, cluster: { cluster, size, copies, kept: id } };
  return { removed: { id, reason, kept: tables.id(kept), cluster, size } };
}

/** Cuts spans that occurred before out of a text, or only lists them when `mark` is set. */
function cutRepeats(
  id: string,
  text: string,
  found: Found,
  { keep, mark }: DeduplicateConfig,
  boundsOf: () => ByteBounds,
  idOf: (document: number) => string,
): Outcome {
  if (found.count === 0) return { text };
  const bytes = Buffer.from(text);
  const bounds = boundsOf();
  const spans: (Span & { kept: number })[] = [];
  for (let i = 0; i < found.count; i++) {
    const [place, other, value] = [found.places[i], found.others[i], found.values[i]];
    const [start, end] = [bounds.start(place), bounds.end(place + value)];
    if (start >= end) continue;
    const last = spans.at(-1);
    if (last !== undefined && start <= last.end) {
      last.end = Math.max(last.end, end);
      if (start === last.start) last.kept = Math.min(last.kept, other);
    } else spans.push({ start, end, kept: other });
  }
  const whole = wholeCharacters(bytes, spans);
  if (whole.length === 0) return { text };
  const ranges = whole.map(({ start, end, kept }) => (keep === "first" ? [start, end, idOf(kept)] : [start, end]));
  if (mark) return { text, fields: { repeated: ranges.map(([start, end]) => [start, end]) }, pieces: whole.length };
  const left = cutSpans(bytes, whole).toString("utf8");
  const removed = { id, reason: "cut", pieces: whole.length, spans: ranges };
  if (left.trim() === "") return { removed: { ...removed, reason: "nothing left" }, pieces: whole.length };
  return { text: left, removed, pieces: whole.length };
}

/** The matches of one document; the first `count` elements of each array are valid. */
interface Found {
  count: number;
  /** Place of the piece in the document, or of the span in units. */
  places: Uint32Array;
  /** Document with the first occurrence. */
  others: Uint32Array;
  /** Units of a span; for other pieces 0, or `STAYS` plus the number of occurrences. */
  values: Uint32Array;
}

/** Reads the matches of a part's documents, merged from all merge tasks. */
class MatchReader {
  readonly #merge: EntryMerge;
  readonly #found: Found = {
    count: 0,
    places: new Uint32Array(256),
    others: new Uint32Array(256),
    values: new Uint32Array(256),
  };
  #more: boolean;

  constructor({ work }: DeduplicateConfig, part: IndexedPart, merged: readonly MergedRuns[]) {
    const slices = merged.flatMap(({ name, runs }) =>
      runs.map(({ at, counts }) => ({ path: matchesPath(work, name), at, count: counts[0], base: 0 })),
    );
    this.#merge = new EntryMerge(slices, { from: part.base, to: part.base + part.documents });
    this.#more = this.#merge.next();
  }

  /** Returns a document's matches in order of place, valid until the next call. Calls must come in document order. */
  of(document: number): Found {
    const found = this.#found;
    const merge = this.#merge;
    found.count = 0;
    for (; this.#more && merge.keyHigh === document; found.count++) {
      if (found.count === found.places.length) {
        for (const list of ["places", "others", "values"] as const) {
          const longer = new Uint32Array(2 * found.count);
          longer.set(found[list]);
          found[list] = longer;
        }
      }
      found.places[found.count] = merge.keyLow;
      found.others[found.count] = merge.document;
      found.values[found.count] = merge.place;
      this.#more = merge.next();
    }
    return found;
  }
}
