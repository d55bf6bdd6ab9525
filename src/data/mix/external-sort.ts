/**
 * @file Sorting more lines than memory holds: lines wait on disk in buckets by the beginning of their keys; a bucket is
 * small enough to be sorted at once. A random key makes it a shuffle that depends on nothing but the keys.
 */
import { type FileHandle, mkdir, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { makeFolder, textOf } from "../../documents/index.js";
import { fileError } from "../../errors.js";

/** Bytes of a bucket, about; a few times as much is in memory when it is sorted. */
const BUCKET = 32 << 20;
const MOST_BUCKETS = 512;
const WAITING = 1 << 16;

export interface SortKey {
  /** 0 to 1, exclusive: the order, roughly. */
  readonly place: number;
  /** Equal places are put in order by this, and by their lines. */
  readonly tie: string;
}

export class ExternalSort {
  readonly #folder: string;
  readonly #files: (FileHandle | undefined)[];
  readonly #waiting: string[][];
  readonly #lengths: number[];

  private constructor(folder: string, buckets: number) {
    this.#folder = folder;
    this.#files = new Array(buckets).fill(undefined);
    this.#waiting = Array.from({ length: buckets }, () => []);
    this.#lengths = new Array(buckets).fill(0);
  }

  /** In a folder of its own, which `remove` takes away; `bytes` is about what will be added. */
  static async create(folder: string, bytes: number): Promise<ExternalSort> {
    await makeFolder(folder);
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder);
    return new ExternalSort(folder, Math.max(1, Math.min(MOST_BUCKETS, Math.ceil(bytes / BUCKET))));
  }

  /** A line without line breaks. */
  async add({ place, tie }: SortKey, line: string): Promise<void> {
    const bucket = Math.min(this.#files.length - 1, Math.floor(place * this.#files.length));
    const list = this.#waiting[bucket];
    list.push(`${JSON.stringify([place, tie])}\n${line}\n`);
    this.#lengths[bucket] += line.length;
    if (this.#lengths[bucket] > WAITING) await this.#flush(bucket);
  }

  async #flush(bucket: number): Promise<void> {
    const path = join(this.#folder, `bucket-${bucket}`);
    try {
      this.#files[bucket] ??= await open(path, "w");
      await this.#files[bucket].appendFile(this.#waiting[bucket].join(""));
    } catch (error) {
      throw fileError(error, "write", path);
    }
    this.#waiting[bucket] = [];
    this.#lengths[bucket] = 0;
  }

  /** All lines in order; once. */
  async *sorted(): AsyncGenerator<string> {
    for (let bucket = 0; bucket < this.#files.length; bucket++) {
      await this.#flush(bucket);
      await this.#files[bucket]?.close();
      this.#files[bucket] = undefined;
      const path = join(this.#folder, `bucket-${bucket}`);
      const bytes = await readFile(path);
      await rm(path);
      const entries: { readonly place: number; readonly tie: string; readonly from: number; readonly to: number }[] =
        [];
      for (let at = 0; at < bytes.length; ) {
        const head = bytes.indexOf(10, at);
        const end = bytes.indexOf(10, head + 1);
        const [place, tie] = JSON.parse(textOf(bytes.subarray(at, head))) as [number, string];
        entries.push({ place, tie, from: head + 1, to: end });
        at = end + 1;
      }
      const compare = (a: (typeof entries)[number], b: (typeof entries)[number]) =>
        a.place - b.place ||
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
