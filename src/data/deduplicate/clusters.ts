/**
 * @file Which documents belong together: those that share a key (a band of a MinHash signature, an address, a content)
 * and, through others, all that hang together. Keys wait on disk, a file a band, so that memory holds a number a document.
 */
import { type FileHandle, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileError } from "../../errors.js";

/** Entries of one table in memory: two words of a hash and a document's number each. */
const MOST_ENTRIES = 2 ** 22;
const ENTRY_BYTES = 12;
const ENTRIES_AT_ONCE = 2 ** 15;

/** Keys of documents by band, appended to files in a folder. */
export class BandFiles {
  readonly #paths: readonly string[];
  readonly #files: FileHandle[] = [];
  readonly #buffers: Buffer[];
  readonly #filled: number[];

  constructor(folder: string, bands: number) {
    this.#paths = Array.from({ length: bands }, (_, band) => join(folder, `band-${band}`));
    this.#buffers = this.#paths.map(() => Buffer.alloc(ENTRY_BYTES * ENTRIES_AT_ONCE));
    this.#filled = this.#paths.map(() => 0);
  }

  /** `keys` has one for each band. */
  async add(document: number, keys: BigUint64Array): Promise<void> {
    for (let band = 0; band < this.#paths.length; band++) {
      const buffer = this.#buffers[band];
      buffer.writeBigUInt64LE(keys[band], this.#filled[band]);
      buffer.writeUInt32LE(document, this.#filled[band] + 8);
      this.#filled[band] += ENTRY_BYTES;
      if (this.#filled[band] === buffer.length) await this.#flush(band);
    }
  }

  async #flush(band: number): Promise<void> {
    try {
      this.#files[band] ??= await open(this.#paths[band], "w+");
      await this.#files[band].appendFile(this.#buffers[band].subarray(0, this.#filled[band]));
      this.#filled[band] = 0;
    } catch (error) {
      throw fileError(error, "write", this.#paths[band]);
    }
  }

  /** Joins in `groups` all documents that share a key. */
  async join(groups: Groups): Promise<void> {
    for (let band = 0; band < this.#paths.length; band++) {
      await this.#flush(band);
      const { size } = await this.#files[band].stat();
      // A band of more documents than one table takes is read several times, each time for a part of its keys.
      const parts = Math.max(1, Math.ceil(size / ENTRY_BYTES / MOST_ENTRIES));
      for (let part = 0; part < parts; part++) await joinPart(this.#files[band], size, part, parts, groups);
    }
  }

  /** Closes and removes the files. */
  async remove(): Promise<void> {
    for (const file of this.#files) await file?.close();
    for (const path of this.#paths) await rm(path, { force: true });
  }
}

async function joinPart(file: FileHandle, size: number, part: number, parts: number, groups: Groups): Promise<void> {
  const entries = Math.ceil(size / ENTRY_BYTES / parts);
  // Parts are by a hash, so they are not quite equal: room for a half more, and half of the table stays empty.
  const slots = 2 ** Math.ceil(Math.log2(3 * entries + 64));
  const keys = new Uint32Array(2 * slots);
  const firsts = new Int32Array(slots).fill(-1);
  const buffer = Buffer.alloc(ENTRY_BYTES * ENTRIES_AT_ONCE);
  for (let at = 0; at < size; at += buffer.length) {
    const length = Math.min(buffer.length, size - at);
    await file.read(buffer, 0, length, at);
    for (let i = 0; i < length; i += ENTRY_BYTES) {
      const [low, high] = [buffer.readUInt32LE(i), buffer.readUInt32LE(i + 4)];
      if (parts > 1 && high % parts !== part) continue;
      const document = buffer.readUInt32LE(i + 8);
      let slot = low & (slots - 1);
      while (firsts[slot] >= 0 && (keys[2 * slot] !== low || keys[2 * slot + 1] !== high))
        slot = (slot + 1) & (slots - 1);
      if (firsts[slot] >= 0) groups.join(firsts[slot], document);
      else {
        keys[2 * slot] = low;
        keys[2 * slot + 1] = high;
        firsts[slot] = document;
      }
    }
  }
}

/** Disjoint sets of documents (Tarjan 1975); a set is called by its smallest number, so order does not matter. */
export class Groups {
  readonly #parent: Int32Array;

  constructor(documents: number) {
    this.#parent = Int32Array.from({ length: documents }, (_, i) => i);
  }

  /** The smallest number of the set. */
  find(document: number): number {
    const parent = this.#parent;
    let at = document;
    while (parent[at] !== at) {
      parent[at] = parent[parent[at]];
      at = parent[at];
    }
    return at;
  }

  join(a: number, b: number): void {
    const [x, y] = [this.find(a), this.find(b)];
    this.#parent[Math.max(x, y)] = Math.min(x, y);
  }
}
