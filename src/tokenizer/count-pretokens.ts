/** @file Counting the pretokens of a stream of documents, in this thread or in several. */
import type { DocumentReader, ReadBytes } from "../documents/index.js";
import { QuernError } from "../errors.js";
import type { OnProgress } from "../progress.js";
import { countTask } from "./count-task.js";
import { splitterFor } from "./patterns.js";
import { PretokenCounter, type PretokenCounts } from "./pretoken-counts.js";
import { partEnd, TextParts } from "./text-parts.js";
import { buffersOf, sizeOf, tasksOf } from "./text-tasks.js";
import { hasWorkers, WorkerPool } from "./worker-pool.js";
import type { CountResult, CountTask, Setup } from "./worker-tasks.js";

export interface CountPretokensOptions {
  readonly pattern: string;
  /** Threads that count; 1 is this one. */
  readonly threads: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  /** The reading of files that the documents come from: then progress tells bytes of all, and so the time left. */
  readonly reading?: ReadBytes;
  /** Distinct pretokens that a worker holds before it hands them over; a million by default. */
  readonly kept?: number;
  /** UTF-16 units beyond which workers are started; some millions by default. */
  readonly worthWorkers?: number;
}

/** Some 50 MB in each worker. */
const KEPT = 1 << 20;
/** UTF-16 units that a worker is given at a time. */
const BATCH = 1 << 20;
/**
 * Texts shorter than this in all are not worth starting workers for; where a regular expression cuts them, some ten times
 * slower, a sixth of it is.
 */
const WORTH_WORKERS = 24 << 20;
/** Milliseconds after which other work of the process has a turn. */
const TURN = 60;

/**
 * The pretokens of all documents with their counts; the same set whatever the number of threads.
 * @throws QuernError if the pattern is not valid or there is no text; the signal's reason when it aborts
 */
export async function countPretokens(
  documents: Iterable<string> | AsyncIterable<string> | DocumentReader,
  options: CountPretokensOptions,
): Promise<PretokenCounts> {
  const { pattern, threads, signal, onProgress, kept = KEPT } = options;
  const reading = isReader(documents) ? documents : options.reading;
  const splitter = await splitterFor(pattern);
  const worth = options.worthWorkers ?? (splitter.divisible ? WORTH_WORKERS : WORTH_WORKERS / 6);
  const counter = new PretokenCounter();
  const parts = new TextParts(splitter);
  let pool: WorkerPool<CountTask, CountResult> | undefined;
  let batch: string[] = [];
  let batchUnits = 0;
  let units = 0;
  let texts = 0;
  let turn = performance.now();

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
  const collect = ({ counts, documents: found }: CountResult): void => {
    if (isReader(documents)) documents.found(found);
    if (counts !== undefined) counter.merge(counts);
  };
  const send = async (): Promise<void> => {
    if (pool === undefined || batch.length === 0) return;
    await pool.ready();
    // What goes wrong is told by `take` below, or by the next `ready`.
    pool.run({ kind: "texts", texts: batch }).then(collect, () => {});
    batch = [];
    batchUnits = 0;
  };
  const startPool = () =>
    new WorkerPool<CountTask, CountResult>(threads, { work: "count", pattern, kept } satisfies Setup);
  const countBlocks = async (from: DocumentReader): Promise<void> => {
    const underway: Promise<void>[] = [];
    for await (const task of tasksOf(from.blocks(), { divisible: splitter.divisible })) {
      if (threads > 1 && from.bytesTotal > worth && hasWorkers()) pool ??= startPool();
      units += sizeOf(task);
      if (pool === undefined) from.found(countTask(task, parts, counter));
      else {
        await pool.ready();
        const counted = pool.run(task, buffersOf(task)).then(collect);
        // A line that is no document is told by the first that has one, when its turn comes.
        counted.catch(() => {});
        underway.push(counted);
        if (underway.length > threads * 2) await underway.shift();
      }
      await breathe();
    }
    for (const counted of underway) await counted;
    from.end();
  };
  const countTexts = async (from: Iterable<string> | AsyncIterable<string>): Promise<void> => {
    for await (const text of from) {
      if (typeof text !== "string") throw new QuernError("a document to train on is not a string");
      texts++;
      const expected = Math.max(units + text.length, reading?.bytesTotal ?? 0);
      if (threads > 1 && pool === undefined && expected > worth && hasWorkers()) {
        pool = startPool();
      }
      for (let start = 0; start < text.length; ) {
        const before = start;
        if (pool === undefined) {
          start = parts.load(text, start);
          counter.add(parts.bytes, parts.view, 0, parts.bounds, parts.count);
        } else {
          start = splitter.divisible && text.length - start > BATCH ? partEnd(text, start, start + BATCH) : text.length;
          batch.push(text.slice(before, start));
          batchUnits += start - before;
          if (batchUnits >= BATCH) await send();
        }
        units += start - before;
        await breathe();
      }
      parts.release();
    }
  };
  try {
    await (isReader(documents) ? countBlocks(documents) : countTexts(documents));
    signal?.throwIfAborted();
    if (units === 0) {
      throw new QuernError(`there is no text to train on: ${texts === 0 ? "no document" : "all documents are empty"}`);
    }
    if (pool !== undefined) {
      await send();
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

function isReader(documents: Iterable<string> | AsyncIterable<string> | DocumentReader): documents is DocumentReader {
  return typeof documents === "object" && "blocks" in documents;
}
