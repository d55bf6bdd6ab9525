/**
 * @file Sorts more lines than fit in memory: distributes them to buckets on disk by key, each small enough to be sorted
 * in memory. With random keys this is a shuffle that depends only on the keys.
 */
import { type FileHandle, mkdir, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { makeFolder, textOf } from "../../documents/index.js";
import { fileError } from "../../errors.js";

/** Approximate size of a bucket in bytes; sorting it takes a few times as much memory. */
const BUCKET = 32 << 20;
const MOST_BUCKETS = 512;
/** Characters buffered per bucket before they are written. */
const MOST_BUFFERED = 1 << 16;

export interface SortKey {
  /** Primary key, in [0, 1). */
  readonly position: number;
  /** Orders equal positions; equal ties are ordered by their lines. */
  readonly tie: string;
}

export class ExternalSort {
  readonly #folder: string;
  readonly #files: (FileHandle | undefined)[];
  readonly #buffers: string[][];
  readonly #lengths: number[];

  private constructor(folder: string, buckets: number) {
    this.#folder = folder;
    this.#files = new Array(buckets).fill(undefined);
    this.#buffers = Array.from({ length: buckets }, () => []);
    this.#lengths = new Array(buckets).fill(0);
  }

  /** Creates the sort with a temporary folder, which `remove` deletes; `bytes` is the approximate size of the input. */
  static async create(folder: string, bytes: number): Promise<ExternalSort> {
    await makeFolder(folder);
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder);
    return new ExternalSort(folder, Math.max(1, Math.min(MOST_BUCKETS, Math.ceil(bytes / BUCKET))));
  }

  /** Adds a line, which must not contain line breaks. */
  async add({ position, tie }: SortKey, line: string): Promise<void> {
    const bucket = Math.min(this.#files.length - 1, Math.floor(position * this.#files.length));
    const list = this.#buffers[bucket];
    list.push(`${JSON.stringify([position, tie])}\n${line}\n`);
    this.#lengths[bucket] += line.length;
    if (this.#lengths[bucket] > MOST_BUFFERED) await this.#flush(bucket);
  }

  async #flush(bucket: number): Promise<void> {
    const path = join(this.#folder, `bucket-${bucket}`);
    try {
      this.#files[bucket] ??= await open(path, "w");
      await this.#files[bucket].appendFile(this.#buffers[bucket].join(""));
    } catch (error) {
      throw fileError(error, "write", path);
    }
    this.#buffers[bucket] = [];
    this.#lengths[bucket] = 0;
  }

  /** Yields all lines in order. Can be called only once. */
  async *sorted(): AsyncGenerator<string> {
    for (let bucket = 0; bucket < this.#files.length; bucket++) {
      await this.#flush(bucket);
      await this.#files[bucket]?.close();
      this.#files[bucket] = undefined;
      const path = join(this.#folder, `bucket-${bucket}`);
      const bytes = await readFile(path);
      await rm(path);
      const entries: { readonly position: number; readonly tie: string; readonly from: number; readonly to: number }[] =
        [];
      for (let at = 0; at < bytes.length; ) {
        const head = bytes.indexOf(10, at);
        const end = bytes.indexOf(10, head + 1);
        const [position, tie] = JSON.parse(textOf(bytes.subarray(at, head))) as [number, string];
        entries.push({ position, tie, from: head + 1, to: end });
        at = end + 1;
      }
      const compare = (a: (typeof entries)[number], b: (typeof entries)[number]) =>
        a.position - b.position ||
        (a.tie < b.tie ? -1 : a.tie > b.tie ? 1 : bytes.compare(bytes, b.from, b.to, a.from, a.to));
      entries.sort(compare);
      for (const { from, to } of entries) yield textOf(bytes.subarray(from, to));
    }
  }

  async remove(): Promise<void> {
    for (const file of this.#files) await file?.close();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
