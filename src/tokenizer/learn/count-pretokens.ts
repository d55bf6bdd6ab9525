/** @file Counts the pretokens of a stream of documents, in one thread or several. */
import { isBuilt } from "../../built-module.js";
import type { DocumentReader, ReadBytes } from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import { WorkerPool } from "../../executors/index.js";
import type { OnProgress } from "../../progress.js";
import { splitterFor } from "../encode/patterns.js";
import { partEnd, TextParts } from "../encode/text-parts.js";
import { ResultQueue } from "../result-queue.js";
import { TextBuffers } from "../text-buffers.js";
import { buffersOf, sizeOf, tasksOf } from "../text-tasks.js";
import type { CountResult, CountTask, Setup, TextTask } from "../worker-tasks.js";
import { countTask } from "./count-task.js";
import { PretokenCounter, type PretokenCounts } from "./pretoken-counts.js";

export interface CountPretokensOptions {
  readonly pattern: string;
  /** Threads that count, including this one. */
  readonly threads: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  /** The reader of the documents' files, if any; with it, progress counts bytes out of a total. */
  readonly reading?: ReadBytes;
  /** Distinct pretokens after which a worker hands over its counts; default 2^17. */
  readonly maxDistinct?: number;
  /** Size of the text, in UTF-16 units or bytes, above which workers are started; default 24 Mi, or 4 Mi for regular expressions. */
  readonly workerThreshold?: number;
}

/** Small, because workers are idle at the end while this thread adds up their remaining counts. */
const MAX_DISTINCT = 1 << 17;
/** UTF-16 units of a worker's task. */
const BATCH = 1 << 20;
/**
 * Workers do not pay off for less text than this. With a regular expression, which is about ten times slower than a hand-written
 * lexer, a sixth is enough.
 */
const WORKER_THRESHOLD = 24 << 20;
/** Milliseconds between two yields to the event loop. */
const YIELD_MS = 60;

type Documents = Iterable<string> | AsyncIterable<string> | DocumentReader;
type CountingPool = WorkerPool<CountTask, CountResult>;

/**
 * Counts the pretokens of all documents. The counts do not depend on the number of threads.
 * @throws QuernError if the pattern is invalid or there is no text; the signal's reason when it aborts
 */
export async function countPretokens(documents: Documents, options: CountPretokensOptions): Promise<PretokenCounts> {
  const { pattern, threads, signal, onProgress, maxDistinct = MAX_DISTINCT } = options;
  const reading = isReader(documents) ? documents : options.reading;
  const splitter = await splitterFor(pattern);
  const threshold = options.workerThreshold ?? (splitter.divisible ? WORKER_THRESHOLD : WORKER_THRESHOLD / 6);
  const counter = new PretokenCounter();
  const parts = new TextParts(splitter);
  let pool: CountingPool | undefined;
  let units = 0;
  let texts = 0;
  let lastYield = performance.now();

  const pending = new ResultQueue();
  const buffers = new TextBuffers();

  const reportAndYield = async (): Promise<void> => {
    if (performance.now() - lastYield < YIELD_MS) return;
    onProgress?.(
      reading === undefined
        ? { task: "count pretokens", done: units, unit: "character" }
        : { task: "count pretokens", done: reading.bytesRead, total: reading.bytesTotal, unit: "byte" },
    );
    await new Promise<void>((resolve) => setTimeout(resolve, 0));
    signal?.throwIfAborted();
    lastYield = performance.now();
  };
  const addRead = ({ documents: found, unread }: Pick<CountResult, "documents" | "unread">): void => {
    if (!isReader(documents)) return;
    documents.found(found);
    if (unread !== undefined) documents.merge(unread);
  };
  const collect = ({ counts, ...result }: CountResult): void => {
    addRead(result);
    if (counts !== undefined) counter.merge(counts);
  };
  const startPool = () =>
    new WorkerPool<CountTask, CountResult>({
      module: new URL("../text-worker.js", import.meta.url),
      setup: { work: "count", pattern, maxDistinct } satisfies Setup,
      threads: threads - 1,
      signal,
    });
  /** Counts a task in a free worker, or in this thread if none is free. */
  const count = async (task: TextTask): Promise<void> => {
    const free = pool?.hasRoom() ? pool : undefined;
    if (free !== undefined) {
      pending.add(buffers.runOnCopy(task, (copy) => free.run(copy, buffersOf(copy))).then(collect));
    } else {
      try {
        addRead(countTask(task, parts, counter));
      } catch (error) {
        pending.add(Promise.reject(error));
      }
      // Messages from workers arrive only while this thread yields.
      if (pool !== undefined) await new Promise<void>((resolve) => setImmediate(resolve));
    }
    // `end` waits for earlier tasks first, so that the error reported is the first in document order.
    if (pending.failed) await pending.end();
    await reportAndYield();
  };
  const countBlocks = async (from: DocumentReader): Promise<void> => {
    for await (const task of tasksOf(from.blocks(), { divisible: splitter.divisible })) {
      if (threads > 1 && from.bytesTotal > threshold && isBuilt()) pool ??= startPool();
      units += sizeOf(task);
      await count(task);
    }
    await pending.end();
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
      if (threads > 1 && expected > threshold && isBuilt()) pool ??= startPool();
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
    await pending.end();
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
