/** @file Encodes a stream of documents, in one thread or several; results keep the order of the documents. */
import { isBuilt } from "../../built-module.js";
import type { ReadBytes } from "../../documents/index.js";
import { WorkerPool } from "../../executors/index.js";
import { IdBuffer } from "../encode/encoder.js";
import { ResultQueue } from "../result-queue.js";
import { snapshotOf } from "../snapshot.js";
import { TextBuffers } from "../text-buffers.js";
import { buffersOf, sizeOf, textsIn, textsOfTask } from "../text-tasks.js";
import type { Tokenizer } from "../tokenizer.js";
import type { EncodeRequest, EncodeResult, EncodeTask, Setup, SharedIds } from "../worker-tasks.js";

/** Size of all texts above which workers pay off, in UTF-16 units or bytes. */
const WORKER_THRESHOLD = 8 << 20;

/** Smallest buffer of ids: enough for a task of the usual size (1 MiB). */
const SMALLEST_BUFFER = 5 << 18;

/** Most tasks per thread that are running, or done and waiting for an earlier one. */
const MOST_PENDING = 8;

type EncodingPool = WorkerPool<EncodeRequest, EncodeResult>;

/** Encodes documents and appends the end-of-text token to each; skips empty ones. Close it when done. */
export class DocumentEncoder {
  readonly #tokenizer: Tokenizer;
  readonly #endOfText: number;
  readonly #threads: number;
  readonly #reading: ReadBytes | undefined;
  #pool: EncodingPool | undefined;
  #units = 0;
  /** Released buffers of ids. */
  readonly #free: SharedIds[] = [];
  readonly #buffers = new TextBuffers();

  /** @param reading the reader of the documents' files, if any: its total size decides early whether workers pay off */
  constructor(tokenizer: Tokenizer, endOfText: number, threads: number, reading: ReadBytes | undefined) {
    this.#reading = reading;
    this.#tokenizer = tokenizer;
    this.#endOfText = endOfText;
    this.#threads = threads;
  }

  /** Encodes tasks and yields results in the same order. Their ids are valid until they are passed to `release`. */
  async *encode(tasks: AsyncIterable<EncodeTask>): AsyncGenerator<EncodeResult> {
    const pending = new ResultQueue<EncodeResult>();
    for await (const task of tasks) {
      this.#units += sizeOf(task);
      const isLarge = Math.max(this.#units, this.#reading?.bytesTotal ?? 0) > WORKER_THRESHOLD;
      if (this.#threads > 1 && this.#pool === undefined && isLarge && isBuilt()) {
        this.#pool = this.#start();
      }
      if (this.#pool === undefined) {
        yield encodeTask(this.#tokenizer, task, this.#endOfText, this.#takeBuffer(task));
        continue;
      }
      const into = this.#takeBuffer(task);
      const pool = this.#pool;
      if (pool.hasRoom()) {
        pending.add(this.#buffers.runOnCopy(task, (copy) => pool.run({ task: copy, into }, buffersOf(copy))));
      } else {
        // In a promise, so that an error is reported in the order of the tasks.
        pending.add(new Promise((resolve) => resolve(encodeTask(this.#tokenizer, task, this.#endOfText, into))));
        // Messages from workers arrive only while this thread yields.
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
      while (pending.isFirstSettled || pending.size > this.#threads * MOST_PENDING) yield await pending.shift();
    }
    while (pending.size > 0) yield await pending.shift();
  }

  /** Releases the ids of a result for reuse. */
  release({ buffer }: EncodeResult["ids"]): void {
    if (buffer instanceof SharedArrayBuffer) this.#free.push(new Uint32Array(buffer));
  }

  /** Takes a buffer for the ids of a task. Buffers are shared by all threads and reused, because fresh megabytes are expensive. */
  #takeBuffer(task: EncodeTask): SharedIds {
    // Every token has at least one byte, except a text's end-of-text token. A UTF-16 unit is at most 3 bytes of UTF-8.
    const most = sizeOf(task) * (task.kind === "texts" ? 3 : 1) + (task.kind === "lines" ? 0 : textsIn(task)) + 1;
    const place = this.#free.findIndex((buffer) => buffer.length >= most);
    if (place >= 0) return this.#free.splice(place, 1)[0];
    return new Uint32Array(new SharedArrayBuffer(Math.max(most, SMALLEST_BUFFER) * 4));
  }

  /** Starts one worker less than `threads`, because this thread encodes too. */
  #start(): EncodingPool {
    return new WorkerPool({
      module: new URL("../text-worker.js", import.meta.url),
      setup: {
        work: "encode",
        tokenizer: snapshotOf(this.#tokenizer),
        endOfText: this.#endOfText,
      } satisfies Setup,
      threads: this.#threads - 1,
    });
  }

  async close(): Promise<void> {
    await this.#pool?.close();
  }
}

/** Encodes a task. @param into receives the ids if they fit */
export function encodeTask(tokenizer: Tokenizer, task: EncodeTask, endOfText: number, into: SharedIds): EncodeResult {
  const out = new IdBuffer(into);
  let ends: Uint32Array<ArrayBuffer>;
  let bytes = 0;
  let others = 0;
  let unread: EncodeResult["unread"];
  const endText = (index: number): void => {
    out.reserve(1);
    out.ids[out.length++] = endOfText;
    ends[index] = out.length;
  };
  if (task.kind === "bytes") {
    ends = new Uint32Array(task.ends.length);
    let from = task.start;
    task.ends.forEach((end, index) => {
      tokenizer.encodeBytesTo(task.bytes, from, end, out);
      endText(index);
      from = end;
    });
    if (from < task.end) tokenizer.encodeBytesTo(task.bytes, from, task.end, out);
    bytes = task.end - task.start;
  } else {
    const found = textsOfTask(task);
    const { texts } = found;
    ({ others, unread } = found);
    ends = new Uint32Array(texts.length);
    texts.forEach((text, index) => {
      tokenizer.encodeTo(text, out);
      endText(index);
      bytes += Buffer.byteLength(text, "utf8");
    });
  }
  return { ids: out.ids.subarray(0, out.length), ends, bytes, others, unread };
}
