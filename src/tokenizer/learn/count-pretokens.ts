/** @file Counting the pretokens of a stream of documents, in this thread or in several. */
import { isBuilt } from "../../built-module.js";
import type { DocumentReader, ReadBytes } from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import { WorkerPool } from "../../executors/index.js";
import type { OnProgress } from "../../progress.js";
import { splitterFor } from "../encode/patterns.js";
import { partEnd, TextParts } from "../encode/text-parts.js";
import { TextRooms } from "../text-rooms.js";
import { buffersOf, sizeOf, tasksOf } from "../text-tasks.js";
import { Underway } from "../underway.js";
import type { CountResult, CountTask, Setup, TextTask } from "../worker-tasks.js";
import { countTask } from "./count-task.js";
import { PretokenCounter, type PretokenCounts } from "./pretoken-counts.js";

export interface CountPretokensOptions {
  readonly pattern: string;
  /** Threads that count, this one among them. */
  readonly threads: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  /** The reading of files that the documents come from: then progress tells bytes of all, and so the time left. */
  readonly reading?: ReadBytes;
  /** Distinct pretokens that a worker holds before it hands them over; some hundred thousand by default. */
  readonly kept?: number;
  /** UTF-16 units beyond which workers are started; some millions by default. */
  readonly worthWorkers?: number;
}

/** Few: what workers still hold at the end is added up while they have nothing to do. */
const KEPT = 1 << 17;
/** UTF-16 units that a worker is given at a time. */
const BATCH = 1 << 20;
/**
 * Texts shorter than this in all are not worth starting workers for; where a regular expression cuts them, some ten times
 * slower, a sixth of it is.
 */
const WORTH_WORKERS = 24 << 20;
/** Milliseconds after which other work of the process has a turn. */
const TURN = 60;

type Documents = Iterable<string> | AsyncIterable<string> | DocumentReader;
type CountingPool = WorkerPool<CountTask, CountResult>;

/**
 * The pretokens of all documents with their counts; the same set whatever the number of threads.
 * @throws QuernError if the pattern is not valid or there is no text; the signal's reason when it aborts
 */
export async function countPretokens(documents: Documents, options: CountPretokensOptions): Promise<PretokenCounts> {
  const { pattern, threads, signal, onProgress, kept = KEPT } = options;
  const reading = isReader(documents) ? documents : options.reading;
  const splitter = await splitterFor(pattern);
  const worth = options.worthWorkers ?? (splitter.divisible ? WORTH_WORKERS : WORTH_WORKERS / 6);
  const counter = new PretokenCounter();
  const parts = new TextParts(splitter);
  let pool: CountingPool | undefined;
  let units = 0;
  let texts = 0;
  let turn = performance.now();

  const underway = new Underway();
  const rooms = new TextRooms();

  const breathe = async (): Promise<void> => {
    if (performance.now() - turn < TURN) return;
    onProgress?.(
      reading === undefined
        ? { task: "count pretokens", done: units, unit: "character" }
        : { task: "count pretokens", done: reading.bytesRead, total: reading.bytesTotal, unit: "byte" },
    );
    await new Promise<void>((resolve) => setTimeout(resolve, 0));
    signal?.throwIfAborted();
    turn = performance.now();
  };
  const hear = ({ documents: found, unread }: Pick<CountResult, "documents" | "unread">): void => {
    if (!isReader(documents)) return;
    documents.found(found);
    if (unread !== undefined) documents.merge(unread);
  };
  const collect = ({ counts, ...result }: CountResult): void => {
    hear(result);
    if (counts !== undefined) counter.merge(counts);
  };
  const startPool = () =>
    new WorkerPool<CountTask, CountResult>({
      module: new URL("../text-worker.js", import.meta.url),
      setup: { work: "count", pattern, kept } satisfies Setup,
      threads: threads - 1,
      signal,
    });
  /** Counts a task here or in another thread, whichever is free. */
  const count = async (task: TextTask): Promise<void> => {
    const free = pool?.hasRoom() ? pool : undefined;
    if (free !== undefined) {
      underway.add(rooms.within(task, (safe) => free.run(safe, buffersOf(safe))).then(collect));
    } else {
      try {
        hear(countTask(task, parts, counter));
      } catch (error) {
        underway.add(Promise.reject(error));
      }
      // What other threads have done is heard of only between tasks.
      if (pool !== undefined) await new Promise<void>((resolve) => setImmediate(resolve));
    }
    // A line that is no document is told by the first that has one, when its turn comes.
    if (underway.failed) await underway.end();
    await breathe();
  };
  const countBlocks = async (from: DocumentReader): Promise<void> => {
    for await (const task of tasksOf(from.blocks(), { divisible: splitter.divisible })) {
      if (threads > 1 && from.bytesTotal > worth && isBuilt()) pool ??= startPool();
      units += sizeOf(task);
      await count(task);
    }
    await underway.end();
    from.end();
  };
  const countTexts = async (from: Iterable<string> | AsyncIterable<string>): Promise<void> => {
    let batch: string[] = [];
    let batchUnits = 0;
    const send = async (): Promise<void> => {
      const task = { kind: "texts", texts: batch } as const;
      batch = [];
      batchUnits = 0;
      await count(task);
    };
    for await (const text of from) {
      if (typeof text !== "string") throw new QuernError("a document to train on is not a string");
      texts++;
      const expected = Math.max(units + text.length, reading?.bytesTotal ?? 0);
      if (threads > 1 && expected > worth && isBuilt()) pool ??= startPool();
      for (let start = 0; start < text.length; ) {
        const end =
          splitter.divisible && text.length - start > BATCH ? partEnd(text, start, start + BATCH) : text.length;
        batch.push(start === 0 && end === text.length ? text : text.slice(start, end));
        batchUnits += end - start;
        units += end - start;
        start = end;
        if (batchUnits >= BATCH) await send();
      }
    }
    await send();
    await underway.end();
  };
  try {
    await (isReader(documents) ? countBlocks(documents) : countTexts(documents));
    signal?.throwIfAborted();
    if (units === 0) {
      throw new QuernError(`there is no text to train on: ${texts === 0 ? "no document" : "all documents are empty"}`);
    }
    if (pool !== undefined) {
      for (const counts of await pool.runOnEach("take")) {
        collect(counts);
        signal?.throwIfAborted();
      }
    }
    if (reading === undefined) onProgress?.({ task: "count pretokens", done: units, total: units, unit: "character" });
    else {
      const { bytesTotal: total } = reading;
      onProgress?.({ task: "count pretokens", done: total, total, unit: "byte" });
    }
    return counter.take();
  } finally {
    await pool?.close();
  }
}

function isReader(documents: Documents): documents is DocumentReader {
  return typeof documents === "object" && "blocks" in documents;
}
