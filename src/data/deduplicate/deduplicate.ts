/**
 * @file Removes duplicates. Whole documents: same URL, same text, or nearly the same text (MinHash, Broder 1997; bands as
 * in Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, ch. 3). Pieces of text seen before: lines, paragraphs
 * (CCNet, Wenzek et al. 2019), spans of sentences (C4, Raffel et al. 2020) and of characters (Lee et al. 2022). The input
 * is read twice, with all intermediate state on disk. The result does not depend on how the work is distributed.
 */
import { createReadStream } from "node:fs";
import { readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { z } from "zod";
import {
  createAtomicFile,
  makeFolder,
  nothingRead,
  type OutputLayout,
  ReadLog,
  type ReadReport,
  replaceFolder,
  withOutput,
  writeFileAtomic,
} from "../../documents/index.js";
import { fileError, QuernError } from "../../errors.js";
import {
  type ExecutorInput,
  type ExecutorSettings,
  executorSettings,
  type PlannedTask,
  refuseLiveJobs,
  runLocally,
  runPlan,
  type TaskPool,
  taskPool,
} from "../../executors/index.js";
import { checkOptions } from "../../options.js";
import type { OnProgress } from "../../progress.js";
import type { ChooseResult } from "./clusters.js";
import { deduplicateOptions } from "./deduplicate-options.js";
import { deduplicateTasks, planDeduplicate, runDeduplication } from "./deduplicate-tasks.js";
import { skippedPath } from "./index-part.js";
import {
  type DeduplicateConfig,
  type DeduplicatePlan,
  type IndexResult,
  inputTasks,
  type MergeResult,
  mergeTasks,
  ofDocuments,
  readResult,
  type WriteResult,
} from "./plan.js";
import { type WrittenKind, writtenKinds, writtenPath } from "./write-part.js";

export interface DeduplicateOptions extends z.input<typeof deduplicateOptions> {
  /** Where tasks run, with the cluster's settings. Default: threads of this process. */
  readonly executor?: ExecutorInput;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  /** On a cluster: called with one line for each submitted job and each lost task. */
  readonly onNotice?: (line: string) => void;
  /** Bytes per task when a plain JSONL file is split. Default: 1/32 of the input, between 2 and 64 MiB. */
  readonly stretch?: number;
}

export interface DeduplicateResult extends ReadReport {
  readonly documents: number;
  readonly kept: number;
  /** Clusters of duplicate documents, or distinct pieces that repeat. */
  readonly clusters: number;
  /** Lines, paragraphs, sentences or spans that were cut or marked. */
  readonly pieces: number;
  readonly bytes: number;
  readonly bytesKept: number;
}

/** Returns the probability that two documents of Jaccard similarity s share a band: 1 - (1 - s^rows)^bands. */
export function bandProbability(similarity: number, bands: number, rows: number): number {
  return 1 - (1 - similarity ** rows) ** bands;
}

/** Bytes of input below which starting threads costs more time than they save. */
const WORTH_THREADS = 8 << 20;

/**
 * Removes duplicates and writes to `out`:
 *
 * - `documents/`: the remaining documents in input order, one file per part of the input
 * - `removed.jsonl`: each document that was removed or cut, with its id, the reason and the document kept instead
 * - `clusters.jsonl`: each kept document that has copies, with their number
 * - `repeated.jsonl`: each repeated piece, with its number of occurrences
 *
 * A killed run resumes where it stopped.
 *
 * @throws QuernError for unreadable inputs, conflicting options, or a folder that cannot be written
 */
export async function deduplicate(options: DeduplicateOptions): Promise<DeduplicateResult> {
  const { out, inputs, force } = checkOptions(deduplicateOptions, settingsOf(options));
  return withOutput({ verb: "data deduplicate", out, inputs, layout: deduplicateLayout, force }, () =>
    deduplicateInto(options),
  );
}

/** The files that `deduplicate` writes. */
export const deduplicateLayout: OutputLayout = {
  writes: (path) =>
    /^((removed|clusters|repeated)\.jsonl|deduplicate\.json|documents\/\d{5,}\.jsonl|(cluster|\.deduplicate)\/.+)$/.test(
      path,
    ),
  folders: /^(documents|cluster|\.deduplicate)$/,
};

const settingsOf = ({
  signal: _,
  onProgress: __,
  onNotice: ___,
  stretch: ____,
  executor: _____,
  ...rest
}: DeduplicateOptions) => rest;

/** Runs `deduplicate` in an output folder that the caller has already claimed. */
export async function deduplicateInto(options: DeduplicateOptions): Promise<DeduplicateResult> {
  const { signal, onProgress, onNotice, stretch, executor } = options;
  const rest = settingsOf(options);
  const o = checkOptions(deduplicateOptions, rest);
  const config = configOf(o);
  const settings = executorSettings(executor ?? {});
  const { plan, unread } = await planDeduplicate(o.inputs, o.out, config, { signal, stretch });
  const tasks = inputTasks(plan);
  if (tasks.length === 0) {
    throw nothingRead(o.inputs, unread);
  }
  const finish = async () => {
    const result = await gather(plan, unread);
    const { force: _, ...recorded } = rest;
    await assemble(plan, { options: recorded, ...result });
    return result;
  };
  if (settings.executor === "slurm") {
    await runOnCluster(plan, settings, { signal, onProgress, onNotice });
    const result = await finish();
    // The folder describes tasks whose files are now deleted. A later run must start from scratch.
    await rm(join(o.out, "cluster"), { recursive: true, force: true });
    return result;
  }
  await refuseLiveJobs(o.out);
  await prepareWork(plan);
  const pool = taskPool(plan);
  try {
    const bytes = tasks.reduce((sum, task) => sum + task.bytes, 0);
    const workers = bytes < WORTH_THREADS ? 1 : o.workers;
    for (const stage of plan.stages) {
      await runStage(plan, stage.name, stage.tasks, { workers, signal, onProgress, pool });
    }
    return await finish();
  } catch (error) {
    // An interrupted run resumes at the next call; a failed run would fail again, so its work folder is deleted.
    await pool.close();
    if (!signal?.aborted) await rm(config.work, { recursive: true, force: true });
    throw error;
  } finally {
    await pool.close();
  }
}

function configOf(o: z.output<typeof deduplicateOptions>): DeduplicateConfig {
  const documents = ofDocuments(o.by);
  const keep = o.keep ?? (documents ? "longest" : "first");
  if (!documents && keep !== "first" && keep !== "none") {
    throw new QuernError(`--by ${o.by} supports --keep first and --keep none, not --keep ${keep}`, { exitCode: 2 });
  }
  if (documents && keep === "none") {
    throw new QuernError(
      `--by ${o.by} compares whole documents and always keeps one copy; --keep none works only with --by line, paragraph, sentence or substring`,
      { exitCode: 2 },
    );
  }
  const { by, bands, rows, ngram, sentences, tokenizer, mark, part, textField, strict } = o;
  if (by !== "substring" && (tokenizer !== undefined || mark || o.length !== undefined)) {
    throw new QuernError("--tokenizer, --length and --mark require --by substring", { exitCode: 2 });
  }
  const length = o.length ?? (tokenizer === undefined ? 100 : 50);
  if (4 * length * (tokenizer === undefined ? 1 : 4) > part) {
    const unit = tokenizer === undefined ? "bytes" : "tokens";
    throw new QuernError(`--part ${part} is too small for spans of ${length} ${unit}; give a larger --part`, {
      exitCode: 2,
    });
  }
  const work = join(o.out, ".deduplicate");
  const named = tokenizer === undefined ? {} : { tokenizer };
  return { work, by, keep, bands, rows, ngram, sentences, length, ...named, mark, part, textField, strict };
}

const planPath = ({ config }: DeduplicatePlan) => join(config.work, "plan.json");

/** Whether the work folder was left by an interrupted run of the same plan. */
const isPrepared = async (plan: DeduplicatePlan) =>
  (await readFile(planPath(plan), "utf8").catch(() => "")) === JSON.stringify(plan);

/** Creates an empty work folder, unless an interrupted run of the same plan left one. */
async function prepareWork(plan: DeduplicatePlan): Promise<void> {
  const { work } = plan.config;
  if (await isPrepared(plan)) return;
  try {
    await rm(work, { recursive: true, force: true });
    await makeFolder(work);
    await writeFileAtomic(planPath(plan), JSON.stringify(plan));
  } catch (error) {
    throw fileError(error, "write", work);
  }
}

/** The name that progress shows for each stage. */
const STAGE_LABELS: Readonly<Record<string, string>> = {
  index: "read",
  merge: "compare",
  choose: "choose",
  write: "write",
};

/** Runs unfinished tasks on a cluster. If a task fails, finished results stay and the same call resumes from them. */
async function runOnCluster(
  plan: DeduplicatePlan,
  settings: ExecutorSettings,
  calls: Pick<DeduplicateOptions, "signal" | "onProgress" | "onNotice">,
): Promise<void> {
  const done = new Set<string>();
  const nameOf = (stage: string, { name }: PlannedTask) => `${stage} ${name}`;
  const prepared = await isPrepared(plan);
  let total = 0;
  for (const { name: stage, tasks } of plan.stages) {
    total += tasks.length;
    for (const task of tasks) {
      if (prepared && (await deduplicateTasks.finished(plan, stage, task))) done.add(nameOf(stage, task));
    }
  }
  let status = "";
  const report = () =>
    calls.onProgress?.({ task: "deduplicate", done: done.size, total, unit: "task", ...(status && { note: status }) });
  await runPlan(plan, {
    settings,
    isFinished: (stage, task) => done.has(nameOf(stage, task)),
    begin: () => prepareWork(plan),
    open: async () => runDeduplication(plan),
    events: {
      progress: report,
      finished(stage, task) {
        done.add(nameOf(stage, task));
        report();
      },
    },
    onStatus({ queued, running, retried }) {
      status = `${running} running, ${queued} queued${retried === 0 ? "" : `, ${retried} tried again`}`;
      report();
    },
    onNotice: calls.onNotice,
    signal: calls.signal,
  });
}

async function runStage(
  plan: DeduplicatePlan,
  stage: string,
  tasks: readonly PlannedTask[],
  how: {
    readonly workers?: number;
    readonly signal?: AbortSignal;
    readonly onProgress?: OnProgress;
    readonly pool: TaskPool;
  },
): Promise<void> {
  const waiting: PlannedTask[] = [];
  for (const task of tasks) {
    if ((await deduplicateTasks.finished(plan, stage, task)) === undefined) waiting.push(task);
  }
  const byBytes = stage === "index" || stage === "write";
  const size = (list: readonly PlannedTask[]) =>
    byBytes ? list.reduce((sum, { bytes }) => sum + bytes, 0) : list.length;
  const total = size(tasks);
  let done = total - size(waiting);
  const running = new Map<string, number>();
  let documents = 0;
  const report = () => {
    const now = documents + [...running.values()].reduce((sum, count) => sum + count, 0);
    const note = byBytes ? { note: `${now} documents` } : {};
    how.onProgress?.({ task: STAGE_LABELS[stage], done, total, unit: byBytes ? "byte" : "part", ...note });
  };
  await runLocally(plan, stage, waiting, {
    open: async () => runDeduplication(plan),
    workers: how.workers,
    signal: how.signal,
    pool: how.pool,
    // Suffix sorting runs in one uninterrupted call, which would block this thread.
    apart: plan.config.by === "substring" && stage === "merge",
    events: {
      progress: (_, { name }, count) => {
        running.set(name, count);
        report();
      },
      finished: (_, task, result) => {
        running.delete(task.name);
        documents += (result as Partial<IndexResult>).documents ?? 0;
        done += size([task]);
        report();
      },
    },
  });
}

/** Sums the results of all tasks. */
async function gather(plan: DeduplicatePlan, unread: ReadReport): Promise<DeduplicateResult> {
  const { work, by } = plan.config;
  const counts = { documents: 0, kept: 0, clusters: 0, pieces: 0, bytes: 0, bytesKept: 0 };
  const log = new ReadLog();
  log.merge(unread);
  for (const { name } of inputTasks(plan)) {
    const read = (await readResult<IndexResult>(work, "index", name)) as IndexResult;
    const written = (await readResult<WriteResult>(work, "write", name)) as WriteResult;
    counts.documents += read.documents;
    counts.bytes += read.bytes;
    counts.kept += written.kept;
    counts.bytesKept += written.bytesKept;
    counts.pieces += written.pieces;
    log.merge(read.report);
  }
  if (ofDocuments(by)) {
    counts.clusters = ((await readResult<ChooseResult>(work, "choose", "choose")) as ChooseResult).clusters;
  } else {
    for (const { name } of mergeTasks(plan)) {
      counts.clusters += ((await readResult<MergeResult>(work, "merge", name)) as MergeResult).repeated;
    }
  }
  return { ...counts, ...log.report };
}

/** Assembles the output from the tasks' files, moves it into place and deletes the work folder. */
async function assemble(plan: DeduplicatePlan, summary: object): Promise<void> {
  const { work } = plan.config;
  const names = inputTasks(plan).map(({ name }) => name);
  const joined = writtenKinds(plan.config).filter((kind) => kind !== "documents");
  for (const kind of joined) {
    const parts = names.flatMap((name) => [
      ...(kind === "removed" ? [skippedPath(work, name)] : []),
      writtenPath(work, kind, name),
    ]);
    await concatenate(parts, join(plan.out, `${kind}.jsonl`));
  }
  try {
    for (const kind of ["clusters", "repeated"] satisfies WrittenKind[]) {
      if (!joined.includes(kind)) await rm(join(plan.out, `${kind}.jsonl`), { force: true });
    }
    await replaceFolder(join(work, "documents"), join(plan.out, "documents"));
    await writeFileAtomic(join(plan.out, "deduplicate.json"), `${JSON.stringify(summary, null, 2)}\n`);
    await rm(work, { recursive: true, force: true });
  } catch (error) {
    throw fileError(error, "write", plan.out);
  }
}

async function concatenate(paths: readonly string[], path: string): Promise<void> {
  const file = await createAtomicFile(path);
  try {
    for (const part of paths) {
      if ((await stat(part).catch(() => undefined)) === undefined) continue;
      for await (const chunk of createReadStream(part, { highWaterMark: 2 ** 20 })) await file.write(chunk as Buffer);
    }
    await file.commit();
  } catch (error) {
    await file.discard();
    throw error;
  }
}
