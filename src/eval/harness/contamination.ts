/**
 * @file Finds evaluated documents that training data contains, by word n-grams: a document counts as contaminated if a
 * training document shares one of its n-grams (13 words, as Brown et al. 2020, appendix C), or a given share of them (Chowdhery
 * et al. 2022, section 8). The index is that of `quern data decontaminate`.
 */
import { type ReadReport, readDocuments } from "../../documents/index.js";
import type { OnProgress } from "../../progress.js";
import type { FunctionTable, TaskDocument } from "./functions.js";
import type { MetricResults } from "./groups.js";
import { textOf } from "./python-values.js";
import type { LoadedTask } from "./registry.js";
import { type DocumentRules, hasFunction } from "./templates.js";

export interface ContaminationOptions {
  /** Training data: text, JSONL, Parquet, folders or addresses. */
  readonly paths: readonly string[];
  /** Words per n-gram. Default 13. */
  readonly ngram?: number;
  /** Share of a document's n-grams that one training document must contain. Default 0: one n-gram is enough. */
  readonly threshold?: number;
  /** Key or column of the training data that contains the text. Default "text". */
  readonly textField?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

/** A document of a task as it is compared. */
export interface ComparedDocument {
  /** Position in the split. */
  readonly position: number;
  readonly texts: readonly string[];
}

/** A document that the training data contains. */
export interface ContaminatedDocument {
  readonly doc_id: number;
  /** Largest share of its n-grams that one training document contains, above 0 to 1. */
  readonly share: number;
  /** How many training documents overlap it. */
  readonly documents: number;
  /** Id of the training document with the largest share; the path of a text file. */
  readonly document: string;
  /** The first passage that both share. */
  readonly overlap: string;
}

export interface TaskContamination {
  /** Documents that were compared, and those too short to tell from chance (under 8 words, or under one n-gram). */
  readonly compared: number;
  readonly tooShort: number;
  /** By position in the split. */
  readonly contaminated: ReadonlyMap<number, ContaminatedDocument>;
}

export interface Contamination {
  readonly tasks: ReadonlyMap<string, TaskContamination>;
  /** Training documents read. */
  readonly trainingDocuments: number;
  readonly reading: ReadReport;
}

export const DEFAULT_NGRAM = 13;

/** UTF-16 units of a passage that are kept. */
const QUOTED = 200;

/**
 * Compares the documents of tasks with training data.
 * @throws QuernError if the training data cannot be read or has no documents
 */
export async function findContamination(
  tasks: ReadonlyMap<string, readonly ComparedDocument[]>,
  options: ContaminationOptions,
): Promise<Contamination> {
  const { paths, ngram = DEFAULT_NGRAM, threshold = 0, textField, signal, onProgress } = options;
  // Only here: the data stage takes long to load.
  const { BenchmarkGrams } = await import("../../data/index.js");
  const grams = new BenchmarkGrams(ngram);
  const counts = new Map<string, { compared: number; tooShort: number }>();
  const found = new Map<string, Map<number, ContaminatedDocument>>();
  for (const [task, documents] of tasks) {
    const count = { compared: 0, tooShort: 0 };
    for (const { position, texts } of documents) {
      if (grams.addExample({ benchmark: task, example: String(position) }, texts)) count.compared++;
      else count.tooShort++;
    }
    counts.set(task, count);
    found.set(task, new Map());
  }
  const reader = readDocuments(paths, { textField, signal });
  for await (const { text, id } of reader) {
    onProgress?.({ task: "read training data", done: reader.bytesRead, total: reader.bytesTotal, unit: "byte" });
    const { examples, firsts } = grams.find(text, threshold);
    examples.forEach(({ benchmark, example, share }, i) => {
      const known = found.get(benchmark)!;
      const position = Number(example);
      const before = known.get(position);
      const documents = (before?.documents ?? 0) + 1;
      if (before !== undefined && before.share >= share) known.set(position, { ...before, documents });
      else {
        const [start, end] = firsts[i]!;
        const overlap = text.slice(start, Math.min(end, start + QUOTED)).replace(/\p{Cs}/gu, "");
        known.set(position, { doc_id: position, share, documents, document: id, overlap });
      }
    });
  }
  return {
    tasks: new Map([...counts].map(([task, count]) => [task, { ...count, contaminated: found.get(task)! }])),
    trainingDocuments: reader.documents,
    reading: reader.report,
  };
}

/**
 * Returns the texts by which a document is compared: its `doc_to_decontamination_query`, else its `doc_to_text`. Where that is
 * empty or the number of a choice, its choices, else its target.
 * @throws QuernError if a rule fails on the document
 */
export function comparedTexts(
  task: LoadedTask,
  rules: DocumentRules,
  document: TaskDocument,
  functions?: FunctionTable,
): readonly string[] {
  const { decontaminationQuery, docToChoice } = task.config;
  if (decontaminationQuery !== null && hasFunction(decontaminationQuery, functions)) {
    const query = rules.field(document, decontaminationQuery, "doc_to_decontamination_query");
    const texts = [query].flat().filter((text) => typeof text === "string");
    if (texts.some((text) => text.trim() !== "")) return texts;
  }
  const text = rules.text(document);
  if (typeof text === "string" && text.trim() !== "") return [text];
  if (docToChoice !== null) return rules.choices(document).map(textOf);
  return [rules.target(document)].flat().map(textOf);
}

/** Values of a metric under a filter, one per document. */
export interface MetricItems {
  readonly metric: string;
  readonly filter: string;
  readonly items: readonly unknown[];
  /** Positions of the documents in the split. */
  readonly positions: readonly number[];
}

/** Returns the values of a task's metrics without some documents; metrics without any other document are left out. */
export function withoutDocuments(
  values: ReadonlyMap<string, MetricItems>,
  left: { has(position: number): boolean },
): ReadonlyMap<string, MetricItems> {
  const kept = new Map<string, MetricItems>();
  for (const [key, { metric, filter, items, positions }] of values) {
    const isKept = (_: unknown, i: number) => !left.has(positions[i]!);
    const rest = { metric, filter, items: items.filter(isKept), positions: positions.filter(isKept) };
    if (rest.items.length > 0) kept.set(key, rest);
  }
  return kept;
}

/** The key `decontaminate` of results.json. */
export interface DecontaminatedResults extends ReadReport {
  readonly data: readonly string[];
  readonly ngram: number;
  readonly threshold: number;
  readonly training_documents: number;
  /**
   * By task and group, as `results`, of the documents that the training data does not contain; also `contaminated` and
   * `too_short`, numbers of documents.
   */
  readonly results: Readonly<Record<string, MetricResults>>;
  /** By task, in the order of the split. */
  readonly documents: Readonly<Record<string, readonly ContaminatedDocument[]>>;
}
