/**
 * @file The plan of deduplication and the results that its stages exchange through the work folder:
 *
 * 1. `index` reads each part of the input and writes keys (index-part.ts).
 * 2. `merge` brings equal keys together (merge.ts, substring/merge.ts).
 * 3. `choose` clusters the documents and chooses the copy to keep (clusters.ts).
 * 4. `write` reads each part again and writes what remains (write-part.ts).
 */
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ReadReport } from "../../documents/index.js";
import { fileError } from "../../errors.js";
import type { PlannedTask, TaskPlan } from "../../executors/index.js";
import { openSealed, sealed } from "../../json-file.js";
import type { Task } from "../tasks.js";
import type { Run } from "./entries.js";

/** `url`, `document` and `near` remove whole documents; the others cut pieces out of documents. */
export type By = "url" | "document" | "near" | "line" | "paragraph" | "sentence" | "substring";
export const ofDocuments = (by: By): by is "url" | "document" | "near" =>
  by === "url" || by === "document" || by === "near";

export interface DeduplicateConfig {
  /** Folder for intermediate files. The result is assembled there and then moved to the output folder. */
  readonly work: string;
  readonly by: By;
  readonly keep: "longest" | "first" | "quality" | "none";
  readonly bands: number;
  readonly rows: number;
  readonly ngram: number;
  readonly sentences: number;
  /** Shortest repeated span, in units (bytes or tokens). */
  readonly length: number;
  readonly tokenizer?: string;
  readonly mark: boolean;
  readonly part: number;
  readonly textField?: string;
  readonly strict?: boolean;
}

export type DeduplicatePlan = TaskPlan<DeduplicateConfig>;

/** Merges the keys of one shelf whose upper 32 bits are at least `from` and less than `to`. */
export interface MergeTask extends PlannedTask {
  readonly shelf: number;
  readonly from: number;
  readonly to: number;
}

/** Bytes; a longer document might not fit into a JavaScript string. */
export const LARGEST_DOCUMENT = 2 ** 28;

/** Shelves on which keys are sorted separately: one per band for near-duplicates, else one. */
export const shelvesOf = ({ by, bands }: DeduplicateConfig) => (by === "near" ? bands : 1);

export const inputTasks = (plan: DeduplicatePlan) => plan.stages[0].tasks as readonly Task[];
export const mergeTasks = (plan: DeduplicatePlan) => plan.stages[1].tasks as readonly MergeTask[];

/** The result of indexing a part. */
export interface IndexResult {
  readonly documents: number;
  readonly bytes: number;
  readonly runs: readonly Run[];
  /** Units (bytes or tokens) of the part's texts; 0 unless `by` is `substring`, which keeps them. */
  readonly units: number;
  readonly report: ReadReport;
}

/** The result of a merge task. */
export interface MergeResult {
  /** Runs of matches; empty when whole documents are compared. */
  readonly runs: readonly Run[];
  /** Distinct lines, paragraphs or spans that repeat. */
  readonly repeated: number;
}

/** The result of writing a part. */
export interface WriteResult {
  readonly kept: number;
  readonly bytesKept: number;
  readonly pieces: number;
}

const resultPath = (work: string, stage: string, name: string) => join(work, stage, `${name}.json`);

/**
 * Writes the result of a task. It is the task's last write, so its presence means that the other files are complete. Like
 * all intermediate files it is not flushed to disk: there are many, and a power failure only costs repeated work.
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

/** Returns the result of a task, or undefined if it has not finished. */
export async function readResult<T extends object>(work: string, stage: string, name: string): Promise<T | undefined> {
  try {
    return openSealed<T>(await readFile(resultPath(work, stage, name), "utf8"));
  } catch {
    return undefined;
  }
}

/** An indexed part of the input; `base` is the number of its first document over all parts. */
export interface IndexedPart extends IndexResult {
  readonly name: string;
  readonly base: number;
}

/** Reads the results of the index stage. @throws Error if a part was not indexed */
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
