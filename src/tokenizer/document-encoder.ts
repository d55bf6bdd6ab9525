/** @file Encoding a stream of documents, in this thread or in several, in order. */
import type { ReadBytes } from "../documents/index.js";
import { QuernError } from "../errors.js";
import { IdBuffer } from "./encoder.js";
import { snapshotOf } from "./snapshot.js";
import type { Tokenizer } from "./tokenizer.js";
import { hasWorkers, WorkerPool } from "./worker-pool.js";
import type { EncodeResult, EncodeTask, Setup } from "./worker-tasks.js";

/** UTF-16 units that are encoded at a time. */
const BATCH = 1 << 20;
/** Texts shorter than this in all are not worth starting workers for. */
const WORTH_WORKERS = 8 << 20;

/** Encodes documents, each with the end-of-text token behind it; empty ones are left out. Close it when done. */
export class DocumentEncoder {
  readonly #tokenizer: Tokenizer;
  readonly #endOfText: number;
  readonly #threads: number;
  readonly #reading: ReadBytes | undefined;
  #pool: WorkerPool<EncodeTask, EncodeResult> | undefined;
  #units = 0;

  /** @param reading the reading of the files that the documents come from: whether they are many is known at once */
  constructor(tokenizer: Tokenizer, endOfText: number, threads: number, reading?: ReadBytes) {
    this.#reading = reading;
    this.#tokenizer = tokenizer;
    this.#endOfText = endOfText;
    this.#threads = threads;
  }

  /** Batches of encoded documents, in the order of the documents. */
  async *encode(texts: Iterable<string> | AsyncIterable<string>): AsyncGenerator<EncodeResult> {
    const underway: Promise<EncodeResult>[] = [];
    for await (const batch of batches(texts)) {
      this.#units += batch.reduce((sum, text) => sum + text.length, 0);
      const worth = Math.max(this.#units, this.#reading?.bytesTotal ?? 0) > WORTH_WORKERS;
      if (this.#threads > 1 && this.#pool === undefined && worth && hasWorkers()) {
        this.#pool = new WorkerPool<EncodeTask, EncodeResult>(this.#threads, {
          work: "encode",
          tokenizer: snapshotOf(this.#tokenizer),
          endOfText: this.#endOfText,
        } satisfies Setup);
      }
      if (this.#pool === undefined) {
        yield encodeDocuments(this.#tokenizer, batch, this.#endOfText);
        continue;
      }
      await this.#pool.ready();
      underway.push(this.#pool.run({ texts: batch }));
      // Results leave in order, so a slow batch holds back at most a few that are done.
      if (underway.length > this.#threads * 2) yield await underway.shift()!;
    }
    for (const result of underway) yield await result;
  }

  async close(): Promise<void> {
    await this.#pool?.close();
  }
}

/** Used again for every batch: fresh megabytes of memory would cost more than they hold. */
const batchIds = new IdBuffer();

/** The ids of the texts one after the other, each with its end-of-text token, and where each ends. */
export function encodeDocuments(tokenizer: Tokenizer, texts: readonly string[], endOfText: number): EncodeResult {
  const out = batchIds;
  out.length = 0;
  const ends = new Uint32Array(texts.length);
  let bytes = 0;
  texts.forEach((text, index) => {
    tokenizer.encodeTo(text, out);
    out.reserve(1);
    out.ids[out.length++] = endOfText;
    ends[index] = out.length;
    bytes += Buffer.byteLength(text, "utf8");
  });
  return { ids: out.ids.slice(0, out.length), ends, bytes };
}

async function* batches(texts: Iterable<string> | AsyncIterable<string>): AsyncGenerator<string[]> {
  let batch: string[] = [];
  let units = 0;
  for await (const text of texts) {
    if (typeof text !== "string") throw new QuernError("a document to encode is not a string");
    if (text === "") continue;
    batch.push(text);
    units += text.length;
    if (units >= BATCH) {
      yield batch;
      batch = [];
      units = 0;
    }
  }
  if (batch.length > 0) yield batch;
}
