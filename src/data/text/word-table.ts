/**
 * @file Maps words to integer ids. Equal words have the same id, so that the filters compare and count integers instead of
 * substrings. Chunks (runs between whitespace) are cached with their words: most chunks have been seen before and need only
 * one lookup each.
 */
import { flagsOf, isSpace, SPACE } from "./characters.js";
import { HASH_BASE, hashOf, splitChunk, traitsOf } from "./word-splitter.js";

/** Longer chunks are not cached: they rarely recur. UTF-16 units. */
const LONGEST_CHUNK = 64;
/** Above these sizes, the table is reset before the next document. */
const MOST_STRINGS = 1 << 18;
const MOST_UNITS = 1 << 22;

/** Mixes a hash's high bits into its low bits, which choose the slot. */
export function mixBits(hash: number): number {
  const mixed = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (mixed ^ (mixed >>> 13)) >>> 0;
}

/** A hash table of strings of UTF-16 units. Distinct strings are numbered in order of insertion. */
class UnitStrings {
  /** All strings, concatenated. */
  units = new Uint16Array(1 << 14);
  used = 0;
  count = 0;
  /** Four integers per string: hash, offset in `units`, length, and a value of the owner. */
  records = new Int32Array(1 << 12);
  /** String number + 1, or 0 for an empty slot. */
  slots = new Int32Array(1 << 12);

  /** Returns the number of a string, or −1 − the slot into which `add` must put it. */
  find(units: Uint16Array, start: number, end: number, hash: number): number {
    const { slots, records, units: own } = this;
    const mask = slots.length - 1;
    const length = end - start;
    for (let slot = mixBits(hash) & mask; ; slot = (slot + 1) & mask) {
      const index = slots[slot] - 1;
      if (index < 0) return -1 - slot;
      const record = index << 2;
      if (records[record] !== hash || records[record + 2] !== length) continue;
      const from = records[record + 1];
      let at = 0;
      while (at < length && own[from + at] === units[start + at]) at += 1;
      if (at === length) return index;
    }
  }

  add(units: Uint16Array, start: number, end: number, hash: number, slot: number, kept: number): number {
    const length = end - start;
    if (this.used + length > this.units.length) {
      const larger = new Uint16Array(Math.max(this.units.length * 2, this.used + length));
      larger.set(this.units.subarray(0, this.used));
      this.units = larger;
    }
    if ((this.count + 1) * 4 > this.records.length) this.records = twice(this.records);
    this.units.set(units.subarray(start, end), this.used);
    this.records.set([hash, this.used, length, kept], this.count * 4);
    this.used += length;
    this.count += 1;
    this.slots[slot] = this.count;
    if (this.count * 2 > this.slots.length) this.#grow();
    return this.count - 1;
  }

  #grow(): void {
    this.slots = new Int32Array(this.slots.length * 2);
    const mask = this.slots.length - 1;
    for (let index = 0; index < this.count; index++) {
      let slot = mixBits(this.records[index * 4]) & mask;
      while (this.slots[slot] !== 0) slot = (slot + 1) & mask;
      this.slots[slot] = index + 1;
    }
  }
}

function twice(list: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(list.length * 2);
  larger.set(list);
  return larger;
}

/** The units of the text loaded last; every call of `load` overwrites them. */
let scratch = Buffer.allocUnsafeSlow(1 << 16);
let scratchUnits = new Uint16Array(scratch.buffer);

export class WordTable {
  #words = new UnitStrings();
  #chunks = new UnitStrings();
  /** For chunks of several words: the number of words, then their ids. */
  #lists = new Int32Array(1 << 12);
  #listsUsed = 0;
  /** Incremented when a reset invalidates all ids. */
  generation = 0;
  /** Result of the last `split`: the ids, the text, and the number of ids. */
  #found = new Int32Array(1 << 12);
  #last: string | undefined;
  #count = 0;

  /** Four integers per word: hash, offset in `units`, length, code points × 16 + traits. */
  get records(): Int32Array {
    return this.#words.records;
  }

  /** The UTF-16 units of all words, concatenated. */
  get units(): Uint16Array {
    return this.#words.units;
  }

  text(id: number): string {
    const start = this.records[id * 4 + 1];
    const units = this.units.slice(start, start + this.records[id * 4 + 2]);
    return Buffer.from(units.buffer).toString("utf16le");
  }

  /** Resets the table if it has become too large. Call it before each document. */
  resetIfFull(): void {
    const { count, used } = this.#words;
    if (count + this.#chunks.count < MOST_STRINGS && used + this.#chunks.used < MOST_UNITS) return;
    this.#words = new UnitStrings();
    this.#chunks = new UnitStrings();
    this.#lists = new Int32Array(1 << 12);
    this.#listsUsed = 0;
    this.#last = undefined;
    this.generation += 1;
  }

  /** Returns the ids of a text's words, in order; valid until the next call. */
  split(text: string): Int32Array {
    // One step often counts a document's words, and the next needs their ids.
    if (text !== this.#last) {
      this.#count = this.#splitNew(text);
      this.#last = text;
    }
    return this.#found.subarray(0, this.#count);
  }

  #splitNew(text: string): number {
    const length = load(text);
    const units = scratchUnits;
    let count = 0;
    for (let at = 0; at < length; ) {
      let unit = units[at];
      if (unit <= 32 ? isSpace(unit) : unit >= 0x85 && (flagsOf(unit) & SPACE) !== 0) {
        at += 1;
        continue;
      }
      const start = at;
      let hash = 0;
      do {
        hash = (Math.imul(hash, HASH_BASE) + unit + 1) | 0;
        at += 1;
        unit = at < length ? units[at] : 32;
      } while (unit <= 32 ? !isSpace(unit) : unit < 0x85 || (flagsOf(unit) & SPACE) === 0);
      // A chunk has at most as many words as units.
      while (count + at - start > this.#found.length) this.#found = twice(this.#found);
      if (at - start > LONGEST_CHUNK) {
        count = this.#splitLong(units, start, at, count);
        continue;
      }
      let chunk = this.#chunks.find(units, start, at, hash);
      if (chunk < 0) chunk = this.#addChunk(units, start, at, hash, -1 - chunk);
      const kept = this.#chunks.records[chunk * 4 + 3];
      if (kept >= 0) {
        this.#found[count] = kept;
        count += 1;
        continue;
      }
      const list = -1 - kept;
      const words = this.#lists[list];
      for (let word = 1; word <= words; word++) this.#found[count + word - 1] = this.#lists[list + word];
      count += words;
    }
    return count;
  }

  #splitLong(units: Uint16Array, start: number, end: number, count: number): number {
    let at = count;
    splitChunk(units, start, end, (from, to) => {
      this.#found[at] = this.#word(units, from, to);
      at += 1;
    });
    return at;
  }

  /** Splits a new chunk, caches it and returns its number. */
  #addChunk(units: Uint16Array, start: number, end: number, hash: number, slot: number): number {
    const list = this.#listsUsed;
    while (list + 1 + end - start > this.#lists.length) this.#lists = twice(this.#lists);
    let words = 0;
    splitChunk(units, start, end, (from, to) => {
      words += 1;
      this.#lists[list + words] = this.#word(units, from, to);
    });
    if (words === 1) return this.#chunks.add(units, start, end, hash, slot, this.#lists[list + 1]);
    this.#lists[list] = words;
    this.#listsUsed += words + 1;
    return this.#chunks.add(units, start, end, hash, slot, -1 - list);
  }

  /** Returns the id of a word; adds it if it is new. */
  #word(units: Uint16Array, start: number, end: number): number {
    const hash = hashOf(units, start, end);
    const found = this.#words.find(units, start, end, hash);
    if (found >= 0) return found;
    let points = end - start;
    for (let at = start; at + 1 < end; at++) {
      if (units[at] >= 0xd800 && units[at] < 0xdc00 && units[at + 1] >= 0xdc00 && units[at + 1] < 0xe000) points -= 1;
    }
    return this.#words.add(units, start, end, hash, -1 - found, points * 16 + traitsOf(units, start, end));
  }

  /** Returns the ids of words from a custom splitter. */
  idsOf(words: readonly string[]): Int32Array {
    return Int32Array.from(words, (word) => this.#word(scratchUnits, 0, load(word)));
  }

  /** Returns the id of a word, or −1 if it is not in the table. */
  find(word: string): number {
    const length = load(word);
    return Math.max(-1, this.#words.find(scratchUnits, 0, length, hashOf(scratchUnits, 0, length)));
  }
}

/** Counts the code points of a text; a lone surrogate counts as one. */
export function countPoints(text: string): number {
  const length = load(text);
  const units = scratchUnits;
  let pairs = 0;
  for (let at = 0; at < length - 1; at++) {
    if ((units[at] & 0xfc00) === 0xd800 && (units[at + 1] & 0xfc00) === 0xdc00) pairs += 1;
  }
  return length - pairs;
}

/** Copies a text into `scratchUnits` and returns its length in UTF-16 units. */
function load(text: string): number {
  if (text.length * 2 > scratch.length) {
    scratch = Buffer.allocUnsafeSlow(Math.max(scratch.length * 2, text.length * 2));
    scratchUnits = new Uint16Array(scratch.buffer);
  } else if (scratch.length > 1 << 24 && text.length * 2 < 1 << 20) {
    // Release the memory of a very large document.
    scratch = Buffer.allocUnsafeSlow(1 << 20);
    scratchUnits = new Uint16Array(scratch.buffer);
  }
  return scratch.write(text, 0, "utf16le") / 2;
}
