/**
 * @file Encodes pretokens as ids, with a cache in front of the merges.
 * Natural text repeats its words, so one probe of an open-addressing table finds most pretokens. The cache contains pretokens,
 * never whole texts. Its size in bytes is bounded; when full, it is emptied.
 */

import type { TokenTable } from "../token-table.js";
import { Merger } from "./bpe.js";
import type { MergeTable } from "./merges.js";

/** The tables of a byte-level BPE vocabulary. */
export interface BpeModel {
  /** The vocabulary; tokens outside it (added tokens) are not searchable. */
  readonly tokens: TokenTable;
  /** (256): id of each byte's token, −1 if there is none. */
  readonly byteIds: Int32Array;
  readonly merges: MergeTable;
  /** Encodes a pretoken that equals a token as that token, regardless of merges (tiktoken; `ignore_merges`). */
  readonly wholeFirst: boolean;
}

/** A growing array of ids; `ids` is replaced when it grows. */
export class IdBuffer {
  ids: Uint32Array;
  length = 0;

  constructor(ids: Uint32Array = new Uint32Array(256)) {
    this.ids = ids;
  }

  /** Ensures room for `more` ids. */
  reserve(more: number): void {
    if (this.length + more <= this.ids.length) return;
    const grown = new Uint32Array(Math.max(this.ids.length * 2, this.length + more));
    grown.set(this.ids.subarray(0, this.length));
    this.ids = grown;
  }
}

/** Readable bytes required after the end of a text, because keys are read eight bytes at a time. */
export const PADDING = 8;

/** Pretokens longer than this many bytes are not cached: they hardly ever recur. */
const MAX_CACHED_LENGTH = 255;
/** Bytes of a cache slot: two key words, length, value. */
const SLOT_BYTES = 16;
const FIRST_SLOTS = 1 << 10;

// (9): masks that keep the first n bytes of an eight-byte little-endian key.
const lowMask = Int32Array.from({ length: 9 }, (_, n) => (n >= 4 ? -1 : (1 << (8 * n)) - 1));
const highMask = Int32Array.from({ length: 9 }, (_, n) => (n <= 4 ? 0 : n >= 8 ? -1 : (1 << (8 * (n - 4))) - 1));

export class Encoder {
  readonly #model: BpeModel;
  readonly #merger: Merger;
  readonly #maxSlots: number;
  /**
   * (slots, 4): low key, high key, length (0: empty), value. The bytes of a pretoken of up to 8 bytes are its key. The key of a
   * longer one is a 64-bit hash, and its bytes are compared in `#records`. The value is the id if the pretoken is one token of at
   * most 8 bytes, else the complement of its record's index.
   */
  #slots: Int32Array<ArrayBuffer>;
  #mask: number;
  #count = 0;
  /** Records: number of ids, ids, and, for pretokens of more than 8 bytes, their bytes padded to whole words. */
  #records = new Int32Array(1024);
  #recordsUsed = 0;
  readonly #maxRecords: number;

  /** @param cacheBytes the largest size of the cache, in bytes */
  constructor(model: BpeModel, cacheBytes: number) {
    this.#model = model;
    this.#merger = new Merger(model.byteIds, model.merges);
    let slots = FIRST_SLOTS;
    while (slots * 2 * SLOT_BYTES <= cacheBytes * 0.67) slots *= 2;
    this.#maxSlots = slots;
    this.#maxRecords = Math.max(1024, Math.floor((cacheBytes - slots * SLOT_BYTES) / 4));
    this.#slots = new Int32Array(FIRST_SLOTS * 4);
    this.#mask = FIRST_SLOTS - 1;
  }

  /**
   * Appends the ids of the pretokens that begin at `start` and end at bounds[0, count) to `out`. A negative bound is the
   * complement of the end of text that is skipped. `view` covers the same bytes; PADDING bytes after the last must be readable.
   * @throws QuernError if the vocabulary has no token for a byte
   */
  encode(bytes: Uint8Array, view: DataView, start: number, bounds: Int32Array, count: number, out: IdBuffer): void {
    if (count === 0) return;
    const last = bounds[count - 1];
    out.reserve((last < 0 ? ~last : last) - start);
    const ids = out.ids;
    let slots = this.#slots;
    let mask = this.#mask;
    let written = out.length;
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
        let slot = keyHash(low, high) & mask;
        let found = false;
        for (;;) {
          const at = slot * 4;
          const kept = slots[at + 2];
          if (kept === 0) break;
          if (slots[at] === low && slots[at + 1] === high && kept === length) {
            const value = slots[at + 3];
            if (value >= 0) ids[written++] = value;
            else written = this.#copyRecord(~value, ids, written);
            found = true;
            break;
          }
          slot = (slot + 1) & mask;
        }
        if (!found) {
          written = this.#miss(bytes, view, from, to, low, high, ids, written);
          slots = this.#slots;
          mask = this.#mask;
        }
      } else {
        written = this.#encodeLong(bytes, view, from, to, ids, written);
        slots = this.#slots;
        mask = this.#mask;
      }
      from = to;
    }
    out.length = written;
  }

  #copyRecord(record: number, ids: Uint32Array, written: number): number {
    const records = this.#records;
    const count = records[record];
    for (let i = 1; i <= count; i++) ids[written++] = records[record + i];
    return written;
  }

  #encodeLong(bytes: Uint8Array, view: DataView, from: number, to: number, ids: Uint32Array, written: number): number {
    const length = to - from;
    if (length > MAX_CACHED_LENGTH) return this.#miss(bytes, view, from, to, 0, 0, ids, written);
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
    const slots = this.#slots;
    const mask = this.#mask;
    let slot = keyHash(low, high) & mask;
    for (;;) {
      const at = slot * 4;
      const kept = slots[at + 2];
      if (kept === 0) break;
      if (kept === length && slots[at] === low && slots[at + 1] === high) {
        const records = this.#records;
        const record = ~slots[at + 3];
        let mine = record + 1 + records[record];
        let j = from;
        // Compare word by word; the last word may be partial.
        while (j + 4 <= to && records[mine] === view.getInt32(j, true)) {
          mine++;
          j += 4;
        }
        if (j + 4 > to && (j === to || records[mine] === (view.getInt32(j, true) & lowMask[to - j]))) {
          return this.#copyRecord(record, ids, written);
        }
      }
      slot = (slot + 1) & mask;
    }
    return this.#miss(bytes, view, from, to, low, high, ids, written);
  }

  /** Encodes a pretoken that is not cached, caches the result, and writes it to `ids`. */
  #miss(
    bytes: Uint8Array,
    view: DataView,
    from: number,
    to: number,
    low: number,
    high: number,
    ids: Uint32Array,
    written: number,
  ): number {
    const model = this.#model;
    const length = to - from;
    const merger = this.#merger;
    let count = 1;
    const whole = model.wholeFirst && length <= model.tokens.longest ? model.tokens.find(bytes, from, to) : -1;
    if (whole >= 0) merger.ids[0] = whole;
    else count = merger.merge(bytes, from, to);
    const result = merger.ids;
    for (let i = 0; i < count; i++) ids[written++] = result[i];
    if (length > MAX_CACHED_LENGTH) return written;

    const words = length <= 8 ? (count === 1 ? 0 : 1 + count) : 1 + count + ((length + 3) >> 2);
    this.#makeRoom(words);
    let value = result[0];
    if (words > 0) {
      const record = this.#recordsUsed;
      this.#recordsUsed += words;
      this.#records[record] = count;
      for (let i = 0; i < count; i++) this.#records[record + 1 + i] = result[i];
      if (length > 8) {
        let mine = record + 1 + count;
        for (let j = from; j < to; j += 4) {
          this.#records[mine++] = view.getInt32(j, true) & lowMask[Math.min(to - j, 4)];
        }
      }
      value = ~record;
    }
    this.#put(low, high, length, value);
    return written;
  }

  #put(low: number, high: number, length: number, value: number): void {
    const slots = this.#slots;
    let slot = keyHash(low, high) & this.#mask;
    while (slots[slot * 4 + 2] !== 0) slot = (slot + 1) & this.#mask;
    const at = slot * 4;
    slots[at] = low;
    slots[at + 1] = high;
    slots[at + 2] = length;
    slots[at + 3] = value;
    this.#count++;
  }

  /** Makes room for one more pretoken with a record of `words` words: grows within the bound, else empties the cache. */
  #makeRoom(words: number): void {
    const slots = this.#mask + 1;
    const slotsFull = this.#count * 2 >= slots;
    const recordsFull = this.#recordsUsed + words > this.#records.length;
    if ((slotsFull && slots >= this.#maxSlots) || (recordsFull && this.#recordsUsed + words > this.#maxRecords)) {
      this.#slots.fill(0);
      this.#count = 0;
      this.#recordsUsed = 0;
      return;
    }
    if (recordsFull) {
      const grown = new Int32Array(Math.min(this.#maxRecords, Math.max(this.#records.length * 2, 1024)));
      grown.set(this.#records.subarray(0, this.#recordsUsed));
      this.#records = grown;
    }
    if (slotsFull) {
      const old = this.#slots;
      this.#slots = new Int32Array(Math.min(old.length * 4, this.#maxSlots * 4));
      this.#mask = this.#slots.length / 4 - 1;
      this.#count = 0;
      for (let at = 0; at < old.length; at += 4) {
        if (old[at + 2] !== 0) this.#put(old[at], old[at + 1], old[at + 2], old[at + 3]);
      }
    }
  }
}

function keyHash(low: number, high: number): number {
  const hash = Math.imul(low, 0x9e3779b1 | 0) ^ Math.imul(high, 0x85ebca6b | 0);
  return hash ^ (hash >>> 15);
}
