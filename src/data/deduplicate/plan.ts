/**
 * @file Deduplication as work for an executor, in four stages: `index` reads each part of the input and writes what is
 * compared as keys (index-part.ts), `merge` brings equal keys together (merge-documents.ts, merge-pieces.ts,
 * substring/merge.ts), `choose` joins documents that hang together and chooses the copy that stays (clusters.ts), `write`
 * reads each part again and writes what stays (write-part.ts). What one stage tells the next lies in the work folder.
 */
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ReadReport } from "../../documents/index.js";
import { fileError } from "../../errors.js";
import type { PlannedTask, TaskPlan } from "../../executors/index.js";
import { openSealed, sealed } from "../../json-file.js";
import type { Task } from "../tasks.js";
import type { Run } from "./entries.js";

/** `url`, `document` and `near` choose among documents; the others cut pieces out of them. */
export type By = "url" | "document" | "near" | "line" | "paragraph" | "sentence" | "substring";
export const ofDocuments = (by: By): by is "url" | "document" | "near" =>
  by === "url" || by === "document" || by === "near";

export interface DeduplicateConfig {
  /** The folder of what lies between the stages; the result is put together in it and then renamed. */
  readonly work: string;
  readonly by: By;
  readonly keep: "longest" | "first" | "quality" | "none";
  readonly bands: number;
  readonly rows: number;
  readonly ngram: number;
  readonly sentences: number;
  /** Of a repeated span, in units. */
  readonly length: number;
  readonly tokenizer?: string;
  readonly mark: boolean;
  readonly part: number;
  readonly textField?: string;
  readonly strict?: boolean;
}

export type DeduplicatePlan = TaskPlan<DeduplicateConfig>;

/** Keys whose upper half lies in one of these ranges are merged by themselves; a band by itself as well. */
export interface MergeTask extends PlannedTask {
  readonly shelf: number;
  readonly from: number;
  readonly to: number;
}

/** Longer documents cannot be strings. */
export const LARGEST_DOCUMENT = 2 ** 28;

/** Keys of near-duplicates are sorted by band; all others lie on one shelf. */
export const shelvesOf = ({ by, bands }: DeduplicateConfig) => (by === "near" ? bands : 1);

export const inputTasks = (plan: DeduplicatePlan) => plan.stages[0].tasks as readonly Task[];
export const mergeTasks = (plan: DeduplicatePlan) => plan.stages[1].tasks as readonly MergeTask[];

/** What indexing a part came to. */
export interface IndexResult {
  readonly documents: number;
  readonly bytes: number;
  readonly runs: readonly Run[];
  /** Units of the part's texts, which `substring` keeps. */
  readonly units: number;
  readonly report: ReadReport;
}

/** What a task of the merge stage came to: runs of verdicts, for pieces. */
export interface MergeResult {
  readonly runs: readonly Run[];
  /** Different lines, paragraphs or spans that repeat. */
  readonly repeated: number;
}

/** What writing a part came to. */
export interface WriteResult {
  readonly kept: number;
  readonly bytesKept: number;
  readonly pieces: number;
}

const resultPath = (work: string, stage: string, name: string) => join(work, stage, `${name}.json`);

/**
 * The last thing that a task writes: its presence says that the rest is whole. Not flushed to the disk, as nothing that
 * lies between the stages is: there are many, and what a power failure takes is only done again.
 */
export async function writeResult<T extends object>(work: string, stage: string, name: string, result: T): Promise<T> {
  const path = resultPath(work, stage, name);
  try {
    await writeFile(`${path}.tmp`, sealed(result));
    await rename(`${path}.tmp`, path);
  } catch (error) {
    throw fileError(error, "write", path);
  }
  return result;
}

/** The result of a task; undefined where it is not finished. */
export async function readResult<T extends object>(work: string, stage: string, name: string): Promise<T | undefined> {
  try {
    return openSealed<T>(await readFile(resultPath(work, stage, name), "utf8"));
  } catch {
    return undefined;
  }
}

/** A part of the input as it was indexed; `base` is the number of its first document among all. */
export interface IndexedPart extends IndexResult {
  readonly name: string;
  readonly base: number;
}

/** All parts, once they are indexed. */
export async function indexedParts(plan: DeduplicatePlan): Promise<readonly IndexedPart[]> {
  const parts: IndexedPart[] = [];
  let base = 0;
  for (const { name } of inputTasks(plan)) {
    const result = await readResult<IndexResult>(plan.config.work, "index", name);
    if (result === undefined) throw new Error(`part ${name} was not indexed`);
    parts.push({ ...result, name, base });
    base += result.documents;
  }
  return parts;
}
