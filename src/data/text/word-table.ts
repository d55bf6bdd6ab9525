/**
 * @file Words as numbers. Every word gets an id, equal words the same, so that the filters compare and count integers and
 * no text is cut out of the document. Runs between white space are remembered with their words: most of a text has been
 * seen before, and then splitting it is one look-up a run.
 */
import { flagsOf, isSpace, SPACE } from "./characters.js";
import { HASH_BASE, hashOf, splitChunk, traitsOf } from "./word-splitter.js";

/** Longer runs are not remembered: they do not come again. */
const LONGEST_CHUNK = 64;
/** Beyond these the table begins anew with the next document. */
const MOST_STRINGS = 1 << 18;
const MOST_UNITS = 1 << 22;

/** Mixes a hash's high bits into its low ones, by which slots are chosen. */
export function spread(hash: number): number {
  const mixed = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (mixed ^ (mixed >>> 13)) >>> 0;
}

/** Runs of units by content: each different one has a number, given in order. */
class UnitStrings {
  /** All of them, one after the other. */
  units = new Uint16Array(1 << 14);
  used = 0;
  count = 0;
  /** Four integers each: hash, first unit, number of units, and what the owner keeps with it. */
  records = new Int32Array(1 << 12);
  slots = new Int32Array(1 << 12);

  /** Its number, or −1 − the slot that `add` puts it into. */
  find(units: Uint16Array, start: number, end: number, hash: number): number {
    const { slots, records, units: own } = this;
    const mask = slots.length - 1;
    const length = end - start;
    for (let slot = spread(hash) & mask; ; slot = (slot + 1) & mask) {
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
      let slot = spread(this.records[index * 4]) & mask;
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

/** The units of a text, in memory that the next call uses again. */
let scratch = Buffer.allocUnsafeSlow(1 << 16);
let scratchUnits = new Uint16Array(scratch.buffer);

export class WordTable {
  #words = new UnitStrings();
  #chunks = new UnitStrings();
  /** The words of chunks that are several: their number, then their ids. */
  #lists = new Int32Array(1 << 12);
  #listsUsed = 0;
  /** Changes when the ids begin anew. */
  generation = 0;
  /** The ids found last, in what text, and how many; the next call overwrites them. */
  #found = new Int32Array(1 << 12);
  #last: string | undefined;
  #count = 0;

  /** Four integers a word: hash of its units, where they begin in `units`, their number, code points × 16 + traits. */
  get records(): Int32Array {
    return this.#words.records;
  }

  /** All words' units. */
  get units(): Uint16Array {
    return this.#words.units;
  }

  text(id: number): string {
    const start = this.records[id * 4 + 1];
    const units = this.units.slice(start, start + this.records[id * 4 + 2]);
    return Buffer.from(units.buffer).toString("utf16le");
  }

  /** Call before a new document: forgets everything when the table has become too large. */
  settle(): void {
    const { count, used } = this.#words;
    if (count + this.#chunks.count < MOST_STRINGS && used + this.#chunks.used < MOST_UNITS) return;
    this.#words = new UnitStrings();
    this.#chunks = new UnitStrings();
    this.#lists = new Int32Array(1 << 12);
    this.#listsUsed = 0;
    this.#last = undefined;
    this.generation += 1;
  }

  /** The ids of a text's words, in order; valid until the next call. */
  split(text: string): Int32Array {
    // A document's words are often counted by one step and asked for by the next.
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
      // Every unit is one word at most, so this is room enough.
      while (count + at - start > this.#found.length) this.#found = twice(this.#found);
      if (at - start > LONGEST_CHUNK) {
        count = this.#splitLong(units, start, at, count);
        continue;
      }
      let chunk = this.#chunks.find(units, start, at, hash);
      if (chunk < 0) chunk = this.#learn(units, start, at, hash, -1 - chunk);
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

  /** Splits a chunk that was never seen; gives its number. */
  #learn(units: Uint16Array, start: number, end: number, hash: number, slot: number): number {
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

  /** The ids of words that somebody else split. */
  idsOf(words: readonly string[]): Int32Array {
    return Int32Array.from(words, (word) => this.#word(scratchUnits, 0, load(word)));
  }

  /** The id of a word; −1 for one that was never seen. */
  find(word: string): number {
    const length = load(word);
    return Math.max(-1, this.#words.find(scratchUnits, 0, length, hashOf(scratchUnits, 0, length)));
  }
}

/** Code points of a text; half a surrogate pair alone is one. */
export function countPoints(text: string): number {
  const length = load(text);
  const units = scratchUnits;
  let pairs = 0;
  for (let at = 0; at < length - 1; at++) {
    if ((units[at] & 0xfc00) === 0xd800 && (units[at + 1] & 0xfc00) === 0xdc00) pairs += 1;
  }
  return length - pairs;
}

function load(text: string): number {
  if (text.length * 2 > scratch.length) {
    scratch = Buffer.allocUnsafeSlow(Math.max(scratch.length * 2, text.length * 2));
    scratchUnits = new Uint16Array(scratch.buffer);
  } else if (scratch.length > 1 << 24 && text.length * 2 < 1 << 20) {
    // One giant document must not keep its memory.
    scratch = Buffer.allocUnsafeSlow(1 << 20);
    scratchUnits = new Uint16Array(scratch.buffer);
  }
  return scratch.write(text, 0, "utf16le") / 2;
}
