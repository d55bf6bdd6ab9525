/** @file The last stage: a part of the input is read again, and what stays of it is written. */
import { join } from "node:path";
import { makeFolder } from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import type { TextRecord } from "../clean/records.js";
import type { Task } from "../clean/tasks.js";
import type { TaskContext } from "../executors/work.js";
import { type ChooseResult, type Member, MemberReader } from "./clusters.js";
import { DocumentTables, PieceWriter } from "./document-table.js";
import { EntryMerge } from "./entries.js";
import { textRecords } from "./index-part.js";
import { STAYS, verdictsPath } from "./merge.js";
import { comparedText, joinPieces, spanOf, splitPieces } from "./pieces.js";
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
/** `clusters` and `repeated` are lines of what has copies: of documents, and of pieces. */
export type WrittenKind = "documents" | "removed" | "clusters" | "repeated";
export const writtenKinds = ({ by }: DeduplicateConfig): readonly WrittenKind[] => [
  "documents",
  "removed",
  ...(ofDocuments(by) ? (["clusters"] as const) : by === "substring" ? [] : (["repeated"] as const)),
];

export interface MergedRuns extends MergeResult {
  readonly name: string;
}

/** What is to be done with a document: its lines for the files; `text` where one stays. */
interface Verdict {
  readonly text?: string;
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly removed?: object;
  readonly cluster?: object;
  readonly repeated?: readonly object[];
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
  const judge = await judgeOf(config, part, tables, merged, chosen);
  const files = new Map<WrittenKind, PieceWriter>();
  for (const kind of writtenKinds(config)) {
    await makeFolder(join(work, kind));
    files.set(kind, new PieceWriter(writtenPath(work, kind, task.name)));
  }
  const line = (kind: WrittenKind, value: object | undefined) => {
    if (value !== undefined) files.get(kind)?.write(`${JSON.stringify(value)}\n`);
  };
  await makeFolder(join(work, "write"));
  let [documents, kept, bytesKept, pieces] = [0, 0, 0, 0];
  try {
    for await (const record of textRecords(task, context, () => {})) {
      const verdict = judge.judge(record, part.base + documents);
      documents += 1;
      pieces += verdict.pieces ?? 0;
      if (verdict.text !== undefined) {
        const { id, url, source, language, fields, origin } = record;
        // Where it comes from: in the line already, if an earlier stage wrote it.
        line("documents", {
          id,
          url,
          source,
          language,
          origin,
          ...fields,
          ...verdict.fields,
          text: verdict.text,
        });
        kept += 1;
        bytesKept += Buffer.byteLength(verdict.text);
      }
      line("removed", verdict.removed);
      line("clusters", verdict.cluster);
      for (const repeated of verdict.repeated ?? []) line("repeated", repeated);
      if (documents % 256 === 0) context.onProgress?.(documents);
    }
    if (documents !== part.documents) {
      throw new QuernError(`${task.part.location} changed while duplicates were looked for; run it again`);
    }
    for (const file of files.values()) file.finish();
  } finally {
    for (const file of files.values()) file.close();
    judge.close();
    tables.close();
  }
  return writeResult(work, "write", task.name, { kept, bytesKept, pieces });
}

interface Judge {
  /** Documents come in order, by their numbers over all parts. */
  judge(record: TextRecord, document: number): Verdict;
  close(): void;
}

async function judgeOf(
  config: DeduplicateConfig,
  part: IndexedPart,
  tables: DocumentTables,
  merged: readonly MergedRuns[],
  chosen: ChooseResult,
): Promise<Judge> {
  const { by, work } = config;
  if (ofDocuments(by)) {
    const members = new MemberReader(work, chosen.members, part.base);
    return {
      judge: ({ id, content }, document) =>
        judgeDocument(id, content.text, REASONS[by], members.find(document), tables),
      close: () => members.close(),
    };
  }
  const verdicts = new VerdictReader(config, part, merged);
  if (by === "substring") {
    const units = await openUnits(config);
    return {
      judge: ({ id, content: { text } }, document) =>
        judgeSpans(
          id,
          text,
          verdicts.of(document),
          config,
          () => units.bounds(text),
          (of) => tables.id(of),
        ),
      close: () => {},
    };
  }
  return {
    judge({ id, content: { text } }, document) {
      const found = verdicts.of(document);
      if (found.length === 0) return { text };
      const pieces = splitPieces(text, by);
      const gone = new Uint8Array(pieces.length);
      const kept = new Set<string>();
      const counts = new Map<number, number>();
      for (const { place, other, value } of found) {
        if (value >= STAYS) {
          counts.set(place, value - STAYS);
          continue;
        }
        for (const piece of spanOf(pieces, by, config.sentences, place)) gone[piece] = 1;
        if (config.keep === "first") kept.add(tables.id(other));
      }
      const repeated = [...counts].map(([place, count]) => {
        const span = spanOf(pieces, by, config.sentences, place).map((piece) => pieces[piece]);
        return { text: comparedText(span, by), count, first: id };
      });
      const left = pieces.filter((_, i) => gone[i] === 0);
      const cut = pieces.length - left.length;
      if (cut === 0) return { text, repeated };
      const removed = { id, reason: "cut", pieces: cut, ...(kept.size > 0 ? { kept: [...kept] } : {}) };
      const rest = joinPieces(left, by);
      if (rest.trim() === "") return { removed: { ...removed, reason: "nothing left" }, repeated, pieces: cut };
      return { text: rest, removed, repeated, pieces: cut };
    },
    close: () => {},
  };
}

function judgeDocument(
  id: string,
  text: string,
  reason: string,
  member: Member | undefined,
  tables: DocumentTables,
): Verdict {
  if (member === undefined) return { text };
  const { document, cluster, size, kept, copies } = member;
  if (kept === document) return { text, fields: { copies }, cluster: { cluster, size, copies, kept: id } };
  return { removed: { id, reason, kept: tables.id(kept), cluster, size } };
}

/** Spans of a text, in units, that were seen before: cut out, or only listed. */
function judgeSpans(
  id: string,
  text: string,
  found: readonly Found[],
  { keep, mark }: DeduplicateConfig,
  boundsOf: () => ByteBounds,
  idOf: (document: number) => string,
): Verdict {
  if (found.length === 0) return { text };
  const bytes = Buffer.from(text);
  const bounds = boundsOf();
  const spans: (Span & { kept: number })[] = [];
  for (const { place, other, value } of found) {
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

/** One verdict on a document: at its place; `other` is the document that had the same before. */
interface Found {
  readonly place: number;
  readonly other: number;
  readonly value: number;
}

/** The verdicts on a part's documents, brought together from all tasks of the merge. */
class VerdictReader {
  readonly #merge: EntryMerge;
  #more: boolean;

  constructor({ work }: DeduplicateConfig, part: IndexedPart, merged: readonly MergedRuns[]) {
    const stretches = merged.flatMap(({ name, runs }) =>
      runs.map(({ at, counts }) => ({ path: verdictsPath(work, name), at, count: counts[0], base: 0 })),
    );
    this.#merge = new EntryMerge(stretches, { from: part.base, to: part.base + part.documents });
    this.#more = this.#merge.next();
  }

  /** Of a document, by place. Numbers must grow from call to call. */
  of(document: number): readonly Found[] {
    const found: Found[] = [];
    const merge = this.#merge;
    while (this.#more && merge.keyHigh === document) {
      found.push({ place: merge.keyLow, other: merge.document, value: merge.place });
      this.#more = merge.next();
    }
    return found;
  }
}
