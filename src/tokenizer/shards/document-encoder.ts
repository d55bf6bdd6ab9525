/** @file Encoding a stream of documents, in this thread or in several, in order. */
import { isBuilt } from "../../built-module.js";
import type { ReadBytes } from "../../documents/index.js";
import { WorkerPool } from "../../executors/index.js";
import { IdBuffer } from "../encode/encoder.js";
import { snapshotOf } from "../snapshot.js";
import { TextRooms } from "../text-rooms.js";
import { buffersOf, sizeOf, textsIn, textsOfTask } from "../text-tasks.js";
import type { Tokenizer } from "../tokenizer.js";
import { Underway } from "../underway.js";
import type { EncodeOrder, EncodeResult, EncodeTask, IdRoom, Setup } from "../worker-tasks.js";

/** Texts shorter than this in all are not worth starting workers for. */
const WORTH_WORKERS = 8 << 20;

/** Ids that there is room for at least: of a task of the usual size. */
const LEAST_ROOM = 5 << 18;

/** Tasks for each thread that are begun, or done and waiting for one before them. */
const MOST_UNDERWAY = 8;

type EncodingPool = WorkerPool<EncodeOrder, EncodeResult>;

/** Encodes documents, each with the end-of-text token behind it; empty ones are left out. Close it when done. */
export class DocumentEncoder {
  readonly #tokenizer: Tokenizer;
  readonly #endOfText: number;
  readonly #threads: number;
  readonly #reading: ReadBytes | undefined;
  #pool: EncodingPool | undefined;
  #units = 0;
  /** Room for ids that nobody reads any more. */
  readonly #free: IdRoom[] = [];
  readonly #rooms = new TextRooms();

  /**
   * @param reading the reading of the files that the documents come from: whether they are many is known at once
   */
  constructor(tokenizer: Tokenizer, endOfText: number, threads: number, reading: ReadBytes | undefined) {
    this.#reading = reading;
    this.#tokenizer = tokenizer;
    this.#endOfText = endOfText;
    this.#threads = threads;
  }

  /** Tasks encoded, in their order; the ids are good until they are given to `release`. */
  async *encode(tasks: AsyncIterable<EncodeTask>): AsyncGenerator<EncodeResult> {
    const underway = new Underway<EncodeResult>();
    for await (const task of tasks) {
      this.#units += sizeOf(task);
      const worth = Math.max(this.#units, this.#reading?.bytesTotal ?? 0) > WORTH_WORKERS;
      if (this.#threads > 1 && this.#pool === undefined && worth && isBuilt()) {
        this.#pool = this.#start();
      }
      if (this.#pool === undefined) {
        yield encodeTask(this.#tokenizer, task, this.#endOfText, this.#room(task));
        continue;
      }
      const into = this.#room(task);
      const pool = this.#pool;
      if (pool.hasRoom()) {
        underway.add(this.#rooms.within(task, (safe) => pool.run({ task: safe, into }, buffersOf(safe))));
      } else {
        // In a promise, so that what fails is told in its turn.
        underway.add(new Promise((resolve) => resolve(encodeTask(this.#tokenizer, task, this.#endOfText, into))));
        // What other threads have done is heard of only between tasks.
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
      while (underway.isFirstSettled || underway.size > this.#threads * MOST_UNDERWAY) yield await underway.shift();
    }
    while (underway.size > 0) yield await underway.shift();
  }

  /** Gives back the ids of a task. */
  release({ buffer }: EncodeResult["ids"]): void {
    if (buffer instanceof SharedArrayBuffer) this.#free.push(new Uint32Array(buffer));
  }

  /** Room for the ids of a task. It is used again and shared by all threads, for fresh megabytes cost more than they hold. */
  #room(task: EncodeTask): IdRoom {
    // A token has a byte at least, or is the end of a text.
    const most = sizeOf(task) * (task.kind === "texts" ? 3 : 1) + (task.kind === "lines" ? 0 : textsIn(task)) + 1;
    const place = this.#free.findIndex((room) => room.length >= most);
    if (place >= 0) return this.#free.splice(place, 1)[0];
    return new Uint32Array(new SharedArrayBuffer(Math.max(most, LEAST_ROOM) * 4));
  }

  /** This thread encodes as well. */
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

/** Encodes a task. @param into where the ids go if they fit */
export function encodeTask(tokenizer: Tokenizer, task: EncodeTask, endOfText: number, into: IdRoom): EncodeResult {
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
  if (task.kind === "packed") {
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
