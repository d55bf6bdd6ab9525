/** @file Counts how often each distinct pretoken occurs; training needs nothing else from its texts. */
import { PADDING } from "../encode/encoder.js";

/** The distinct pretokens, concatenated in one arena, with their counts. `learnMerges` empties it. */
export interface PretokenCounts {
  readonly size: number;
  /** Pretoken i is bytes[starts[i], starts[i + 1]). */
  bytes: Uint8Array<ArrayBuffer>;
  /** (size + 1) */
  starts: Float64Array<ArrayBuffer>;
  /** (size) */
  counts: Float64Array<ArrayBuffer>;
}

const FRONT_SLOTS = 1 << 14;
const lowMask = Int32Array.from({ length: 9 }, (_, n) => (n >= 4 ? -1 : (1 << (8 * n)) - 1));
const highMask = Int32Array.from({ length: 9 }, (_, n) => (n <= 4 ? 0 : n >= 8 ? -1 : (1 << (8 * (n - 4))) - 1));

/**
 * Counts pretokens in an open-addressing hash table over an arena, because a V8 `Map` has at most 16.7 million entries. A
 * direct-mapped cache in front of it handles the most frequent short pretokens.
 */
export class PretokenCounter {
  size = 0;
  #bytes = new Uint8Array(1 << 16);
  #view = new DataView(this.#bytes.buffer);
  #starts = new Float64Array(1 << 12);
  #counts = new Float64Array(1 << 12);
  /** (slots, 2): the pretoken's hash, and its index + 1, or 0 if empty. Adjacent, so that a probe touches one cache line. */
  #slots = new Int32Array(1 << 14);
  /** (FRONT_SLOTS, 4): low key, high key, length, index of the pretoken. */
  readonly #front = new Int32Array(FRONT_SLOTS * 4);

  /**
   * Counts the pretokens that begin at `start` and end at bounds[0, count). PADDING bytes after the last must be readable.
   * A negative bound is the complement of the end of text that is skipped.
   */
  add(bytes: Uint8Array, view: DataView, start: number, bounds: Int32Array, count: number): void {
    const front = this.#front;
    let from = start;
    for (let k = 0; k < count; k++) {
      const to = bounds[k];
      if (to < 0) {
        from = ~to;
        continue;
      }
      const length = to - from;
      if (length <= 8) {
        const low = view.getInt32(from, true) & lowMask[length];
        const high = view.getInt32(from + 4, true) & highMask[length];
        const hash = mix(low, high);
        const at = (hash & (FRONT_SLOTS - 1)) * 4;
        if (front[at] === low && front[at + 1] === high && front[at + 2] === length) this.#counts[front[at + 3]] += 1;
        else {
          const word = this.#count(bytes, view, from, to, hash, 1);
          front[at] = low;
          front[at + 1] = high;
          front[at + 2] = length;
          front[at + 3] = word;
        }
      } else this.#count(bytes, view, from, to, hashOf(view, from, to), 1);
      from = to;
    }
  }

  /** Adds the counts of another counter. */
  merge(other: PretokenCounts): void {
    const padded = new Uint8Array(other.bytes.length + PADDING);
    padded.set(other.bytes);
    const view = new DataView(padded.buffer);
    for (let i = 0; i < other.size; i++) {
      const from = other.starts[i];
      const to = other.starts[i + 1];
      this.#count(padded, view, from, to, hashOf(view, from, to), other.counts[i]);
    }
  }

  /** Returns the counts in order of first occurrence, and empties the counter. */
  take(): PretokenCounts {
    const counts = {
      size: this.size,
      // Not copied: millions of pretokens might not fit into memory twice.
      bytes: this.#bytes.subarray(0, this.#starts[this.size]),
      starts: this.#starts.subarray(0, this.size + 1),
      counts: this.#counts.subarray(0, this.size),
    };
    this.size = 0;
    this.#bytes = new Uint8Array(1 << 16);
    this.#view = new DataView(this.#bytes.buffer);
    this.#starts = new Float64Array(1 << 12);
    this.#counts = new Float64Array(1 << 12);
    this.#slots = new Int32Array(1 << 14);
    this.#front.fill(0);
    return counts;
  }

  #count(bytes: Uint8Array, view: DataView, from: number, to: number, hash: number, times: number): number {
    const length = to - from;
    const slots = this.#slots;
    const mask = slots.length - 2;
    const mine = this.#view;
    const starts = this.#starts;
    let slot = (hash << 1) & mask;
    for (;;) {
      const word = slots[slot + 1] - 1;
      if (word < 0) break;
      if (slots[slot] === hash && starts[word + 1] - starts[word] === length) {
        const start = starts[word];
        let i = 0;
        while (i + 4 <= length && mine.getInt32(start + i, true) === view.getInt32(from + i, true)) i += 4;
        while (i < length && mine.getUint8(start + i) === view.getUint8(from + i)) i++;
        if (i === length) {
          this.#counts[word] += times;
          return word;
        }
      }
      slot = (slot + 2) & mask;
    }
    const word = this.size++;
    slots[slot] = hash;
    slots[slot + 1] = word + 1;
    if (word + 2 > this.#starts.length) this.#growWords();
    const start = this.#starts[word];
    if (start + length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(Math.floor(this.#bytes.length * 1.6), start + length));
      grown.set(this.#bytes.subarray(0, start));
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    for (let i = 0; i < length; i++) this.#bytes[start + i] = bytes[from + i];
    this.#starts[word + 1] = start + length;
    this.#counts[word] = times;
    if (this.size > slots.length * 0.35) this.#rehash();
    return word;
  }

  #growWords(): void {
    const room = Math.floor(this.#starts.length * 1.6);
    this.#starts = widened(this.#starts, new Float64Array(room));
    this.#counts = widened(this.#counts, new Float64Array(room));
  }

  #rehash(): void {
    const old = this.#slots;
    const slots = new Int32Array(old.length * 2);
    const mask = slots.length - 2;
    for (let at = 0; at < old.length; at += 2) {
      if (old[at + 1] === 0) continue;
      let slot = (old[at] << 1) & mask;
      while (slots[slot + 1] !== 0) slot = (slot + 2) & mask;
      slots[slot] = old[at];
      slots[slot + 1] = old[at + 1];
    }
    this.#slots = slots;
  }
}

function widened(old: Float64Array, fresh: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  fresh.set(old);
  return fresh;
}

function hashOf(view: DataView, from: number, to: number): number {
  const length = to - from;
  if (length <= 8) {
    return mix(view.getInt32(from, true) & lowMask[length], view.getInt32(from + 4, true) & highMask[length]);
  }
  let low = length;
  let high = 0x2545f491;
  let i = from;
  for (; i + 8 <= to; i += 8) {
    low = Math.imul(low ^ view.getInt32(i, true), 0x9e3779b1 | 0);
    high = Math.imul(high ^ view.getInt32(i + 4, true), 0x85ebca6b | 0);
    low ^= high >>> 13;
    high ^= low >>> 17;
  }
  low = Math.imul(low ^ (view.getInt32(i, true) & lowMask[to - i]), 0x9e3779b1 | 0);
  high = Math.imul(high ^ (view.getInt32(i + 4, true) & highMask[to - i]), 0x85ebca6b | 0);
  return mix(low, high);
}

function mix(low: number, high: number): number {
  let hash = Math.imul(low, 0x9e3779b1 | 0) ^ Math.imul(high, 0x85ebca6b | 0);
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
  return hash ^ (hash >>> 15);
}
