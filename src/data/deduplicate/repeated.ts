/** @file How often each text was seen: a table of hashes in the kernel's memory, 12 bytes a text. */
import { QuernError } from "../../errors.js";
import { growTo, instantiateKernel, kernelMemory } from "../kernel.js";

interface Kernel {
  count_text(text: number, length: number, keys: number, counts: number, mask: number, add: number): number;
  rehash(keys: number, counts: number, size: number, newKeys: number, newCounts: number, mask: number): void;
}

/** Two texts with one 64-bit hash count as equal: among a billion texts that happens with probability .03. */
export class TextCounts {
  readonly #memory = kernelMemory();
  readonly #kernel = instantiateKernel<Kernel>(new URL("./kernel.wasm", import.meta.url), this.#memory);
  readonly #text: number;
  #room = 2 ** 16;
  #slots = 2 ** 16;
  #keys: number;
  #counts: number;
  #top: number;
  #used = 0;

  constructor() {
    this.#text = Math.ceil(this.#kernel.__heap_base.value / 64) * 64;
    this.#keys = this.#text + this.#room;
    this.#counts = this.#keys + 8 * this.#slots;
    this.#top = this.#counts + 4 * this.#slots;
    growTo(this.#memory, this.#top);
  }

  /** Different texts that were added. */
  get size(): number {
    return this.#used;
  }

  /** Counts a text once more; gives how often it was added before. */
  add(text: string): number {
    return this.#count(text, 1);
  }

  /** How often a text was added. */
  count(text: string): number {
    return this.#count(text, 0);
  }

  #count(text: string, add: number): number {
    if (3 * text.length > this.#room) this.#moveTables(this.#slots, 3 * text.length);
    if (2 * this.#used >= this.#slots) this.#moveTables(2 * this.#slots, this.#room);
    const length = Buffer.from(this.#memory.buffer).write(text, this.#text, "utf8");
    const before = this.#kernel.count_text(this.#text, length, this.#keys, this.#counts, this.#slots - 1, add);
    if (before === 0) this.#used += add;
    return before;
  }

  /** New tables above the old ones, or where those were before, when that has room. */
  #moveTables(slots: number, room: number): void {
    const keys = Math.ceil(Math.max(this.#top, this.#text + room) / 64) * 64;
    const counts = keys + 8 * slots;
    const top = counts + 4 * slots;
    if (slots > 2 ** 28) throw new QuernError("there are more than 130 million different texts; deduplicate by parts");
    try {
      growTo(this.#memory, top);
    } catch (error) {
      throw new QuernError(`${this.#used} different texts need more than 4 GiB; deduplicate by parts`, {
        cause: error,
      });
    }
    // What lies there may be of older tables.
    new Uint8Array(this.#memory.buffer, keys, top - keys).fill(0);
    this.#kernel.rehash(this.#keys, this.#counts, this.#slots, keys, counts, slots - 1);
    [this.#keys, this.#counts, this.#slots, this.#top, this.#room] = [keys, counts, slots, top, room];
  }
}
