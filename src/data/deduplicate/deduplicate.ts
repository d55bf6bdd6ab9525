/**
 * @file Removing duplicates: whole documents with one address, one content or nearly one content (MinHash, Broder 1997;
 * bands as in Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, ch. 3), or lines, paragraphs (CCNet, Wenzek et
 * al. 2019), spans of sentences (C4, Raffel et al. 2020) and of characters (Lee et al. 2022) that were seen before. The
 * input is read twice; in between all lies on the disk, and the result does not depend on who does which part of the work.
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
  /** Who does the tasks, and what is asked of a cluster; by default threads here. */
  readonly executor?: ExecutorInput;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  /** On a cluster: a line for each job that was submitted and each task that was lost. */
  readonly onNotice?: (line: string) => void;
  /** Bytes of a plain JSONL file that are one task. Default: a 32nd of the input, 2 to 64 MiB. */
  readonly stretch?: number;
}

export interface DeduplicateResult extends ReadReport {
  readonly documents: number;
  readonly kept: number;
  /** Groups of documents that hang together; different pieces that repeat. */
  readonly clusters: number;
  /** Lines, paragraphs, sentences or spans taken out (or marked). */
  readonly pieces: number;
  readonly bytes: number;
  readonly bytesKept: number;
}

/** Probability that two documents of Jaccard similarity `similarity` share a band: 1 - (1 - s^rows)^bands. */
export function bandProbability(similarity: number, bands: number, rows: number): number {
  return 1 - (1 - similarity ** rows) ** bands;
}

/** Below this much input, threads take longer to start than they save. */
const WORTH_THREADS = 8 << 20;

/**
 * Writes what stays, in order, to `out/documents/` (a file a part of the input), and to `out/removed.jsonl` a line for
 * each document that was removed or cut: its id, why, and which document stayed instead. `out/clusters.jsonl` has the
 * documents that stand for others, with how many; `out/repeated.jsonl` the pieces that repeat, with how often they were
 * seen. A run that was killed goes on where it ended.
 *
 * @throws QuernError for inputs that cannot be read, options that do not fit, a folder that cannot be written
 */
export async function deduplicate(options: DeduplicateOptions): Promise<DeduplicateResult> {
  const { out, inputs, force } = checkOptions(deduplicateOptions, settingsOf(options));
  return withOutput({ verb: "data deduplicate", out, inputs, layout: deduplicateLayout, force }, () =>
    deduplicateInto(options),
  );
}

/** What removing duplicates writes. */
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

/** `deduplicate` into a folder that the caller has claimed. */
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
    const { force: _, ...asked } = rest;
    await assemble(plan, { options: asked, ...result });
    return result;
  };
  if (settings.executor === "slurm") {
    await runOnCluster(plan, settings, { signal, onProgress, onNotice });
    const result = await finish();
    // It tells of tasks whose files have gone; another run begins anew.
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
    // What was interrupted goes on at the next call; what failed would fail again.
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
    throw new QuernError(`of ${o.by}s the first copy is kept, or none; not the "${keep}"`, { exitCode: 2 });
  }
  if (documents && keep === "none") {
    throw new QuernError("of documents one copy is kept; --keep none is for what is smaller", { exitCode: 2 });
  }
  const { by, bands, rows, ngram, sentences, tokenizer, mark, part, textField, strict } = o;
  if (by !== "substring" && (tokenizer !== undefined || mark || o.length !== undefined)) {
    throw new QuernError("tokenizer, length and mark are for --by substring", { exitCode: 2 });
  }
  const length = o.length ?? (tokenizer === undefined ? 100 : 50);
  if (4 * length * (tokenizer === undefined ? 1 : 4) > part) {
    throw new QuernError(`a part of ${part} bytes is too small for spans of ${length}`, { exitCode: 2 });
  }
  const work = join(o.out, ".deduplicate");
  const named = tokenizer === undefined ? {} : { tokenizer };
  return { work, by, keep, bands, rows, ngram, sentences, length, ...named, mark, part, textField, strict };
}

const planPath = ({ config }: DeduplicatePlan) => join(config.work, "plan.json");

/** Whether the work folder is that of a run of the same plan, which was interrupted. */
const isPrepared = async (plan: DeduplicatePlan) =>
  (await readFile(planPath(plan), "utf8").catch(() => "")) === JSON.stringify(plan);

/** An empty work folder, unless it is prepared. */
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

const TELLS: Readonly<Record<string, string>> = {
  index: "read",
  merge: "compare",
  choose: "choose",
  write: "write",
};

/** Has a cluster do what is not finished. What it did stays when a task fails, so that the same call goes on from there. */
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
  const tell = () =>
    calls.onProgress?.({ task: "deduplicate", done: done.size, total, unit: "task", ...(status && { note: status }) });
  await runPlan(plan, {
    settings,
    isFinished: (stage, task) => done.has(nameOf(stage, task)),
    begin: () => prepareWork(plan),
    open: async () => runDeduplication(plan),
    events: {
      progress: tell,
      finished(stage, task) {
        done.add(nameOf(stage, task));
        tell();
      },
    },
    onStatus({ queued, running, retried }) {
      status = `${running} running, ${queued} queued${retried === 0 ? "" : `, ${retried} tried again`}`;
      tell();
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
  const tell = () => {
    const now = documents + [...running.values()].reduce((sum, count) => sum + count, 0);
    const note = byBytes ? { note: `${now} documents` } : {};
    how.onProgress?.({ task: TELLS[stage], done, total, unit: byBytes ? "byte" : "part", ...note });
  };
  await runLocally(plan, stage, waiting, {
    open: async () => runDeduplication(plan),
    workers: how.workers,
    signal: how.signal,
    pool: how.pool,
    // Suffixes are sorted in one go.
    apart: plan.config.by === "substring" && stage === "merge",
    events: {
      progress: (_, { name }, count) => {
        running.set(name, count);
        tell();
      },
      finished: (_, task, result) => {
        running.delete(task.name);
        documents += (result as Partial<IndexResult>).documents ?? 0;
        done += size([task]);
        tell();
      },
    },
  });
}

/** What all tasks came to. */
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

/** Puts the result together in the work folder and gives it its name; the work folder goes. */
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
