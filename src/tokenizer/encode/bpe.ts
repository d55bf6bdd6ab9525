/**
 * @file Byte-pair encoding of one pretoken: repeats the merge of lowest rank, leftmost first (Sennrich et al. 2016).
 * Short pretokens: scan an array for the lowest rank and shift the rest, which is fastest below a few dozen symbols. Long
 * pretokens: passes over the whole list while each shortens it enough, then a linked list with one bucket of candidate positions
 * per rank. A megabyte of one letter thus takes linear time.
 */
import { QuernError } from "../../errors.js";
import { type MergeTable, NO_MERGE } from "./merges.js";

/** Pretokens of at most this many bytes are scanned. */
const SCANNED = 64;

export class Merger {
  readonly #byteIds: Int32Array;
  readonly #merges: MergeTable;
  /** The result of the last `merge` is ids[0, count). */
  ids = new Int32Array(SCANNED);
  readonly #ranks = new Int32Array(SCANNED + 1);
  readonly #merged = new Int32Array(SCANNED + 1);
  #long: LongMerge | undefined;

  /** @param byteIds (256): the id of each byte's token, −1 if the vocabulary has none */
  constructor(byteIds: Int32Array, merges: MergeTable) {
    this.#byteIds = byteIds;
    this.#merges = merges;
  }

  /**
   * Encodes bytes[start, end), which must not be empty, into `ids`; returns the number of ids.
   * @param below applies only merges of lower rank
   * @throws QuernError if the vocabulary has no token for a byte
   */
  merge(bytes: Uint8Array, start: number, end: number, below = NO_MERGE): number {
    const length = end - start;
    if (length > SCANNED) return this.#mergeLong(bytes, start, end, below);
    const { ids } = this;
    const byteIds = this.#byteIds;
    for (let i = 0; i < length; i++) {
      const id = byteIds[bytes[start + i]];
      if (id < 0) throw missingByte(bytes[start + i]);
      ids[i] = id;
    }
    if (length === 1) return 1;
    const merges = this.#merges;
    const ranks = this.#ranks;
    const merged = this.#merged;
    let count = length;
    for (let i = 0; i + 1 < count; i++) {
      const at = merges.find(ids[i], ids[i + 1]);
      ranks[i] = at < 0 ? NO_MERGE : merges.entries[at + 2];
      merged[i] = at < 0 ? -1 : merges.entries[at + 3];
    }
    for (;;) {
      let best = below;
      let where = -1;
      for (let i = 0; i + 1 < count; i++) {
        if (ranks[i] < best) {
          best = ranks[i];
          where = i;
        }
      }
      if (where < 0) return count;
      ids[where] = merged[where];
      count--;
      for (let i = where + 1; i < count; i++) {
        ids[i] = ids[i + 1];
        ranks[i] = ranks[i + 1];
        merged[i] = merged[i + 1];
      }
      if (where + 1 < count) {
        const at = merges.find(ids[where], ids[where + 1]);
        ranks[where] = at < 0 ? NO_MERGE : merges.entries[at + 2];
        merged[where] = at < 0 ? -1 : merges.entries[at + 3];
      }
      if (where > 0) {
        const at = merges.find(ids[where - 1], ids[where]);
        ranks[where - 1] = at < 0 ? NO_MERGE : merges.entries[at + 2];
        merged[where - 1] = at < 0 ? -1 : merges.entries[at + 3];
      }
    }
  }

  #mergeLong(bytes: Uint8Array, start: number, end: number, below: number): number {
    const length = end - start;
    if (this.ids.length < length) this.ids = new Int32Array(Math.max(length, this.ids.length * 2));
    this.#long ??= new LongMerge(this.#byteIds, this.#merges);
    const count = this.#long.run(bytes, start, end, this.ids, below);
    // Free the memory of a huge pretoken.
    if (length > 1 << 16) {
      this.#long = undefined;
      const { ids } = this;
      this.ids = new Int32Array(SCANNED);
      if (count > SCANNED) this.ids = ids.slice(0, count);
      else this.ids.set(ids.subarray(0, count));
    }
    return count;
  }
}

function missingByte(byte: number): QuernError {
  return new QuernError(
    `the vocabulary has no token for byte 0x${byte.toString(16).padStart(2, "0")}, which the text contains; ` +
      "use a tokenizer whose vocabulary has all 256 bytes",
  );
}

/** The state of a long merge, reused for the next pretoken. */
class LongMerge {
  readonly #byteIds: Int32Array;
  readonly #merges: MergeTable;
  /** By position: the symbol, its neighbours, and the rank and result of the pair that starts there. */
  #symbols = new Int32Array(0);
  #next = new Int32Array(0);
  #previous = new Int32Array(0);
  #ranks = new Int32Array(0);
  #merged = new Int32Array(0);
  /** Candidates: one linked list of positions per rank. A candidate is stale if its position's rank has changed. */
  #heads = new Int32Array(1 << 14).fill(-1);
  #positions = new Int32Array(0);
  #links = new Int32Array(0);
  #candidates = 0;
  /** A cache of the last two pairs that were looked up, with their ranks and results. */
  #left = -1;
  #right = -1;
  #rank = NO_MERGE;
  #result = -1;
  #otherLeft = -1;
  #otherRight = -1;
  #otherRank = NO_MERGE;
  #otherResult = -1;
  /** Binary heap of the ranks that have candidates, lowest first. */
  readonly #heap: number[] = [];

  constructor(byteIds: Int32Array, merges: MergeTable) {
    this.#byteIds = byteIds;
    this.#merges = merges;
  }

  run(bytes: Uint8Array, start: number, end: number, ids: Int32Array, below: number): number {
    const length = end - start;
    this.#reserve(length);
    const symbols = this.#symbols;
    for (let i = 0; i < length; i++) {
      const id = this.#byteIds[bytes[start + i]];
      if (id < 0) throw missingByte(bytes[start + i]);
      symbols[i] = id;
    }
    const count = this.#sweep(length, below);
    return count < 0 ? this.#mergeLinked(-count, ids, below) : this.#copyOut(count, ids);
  }

  #copyOut(count: number, ids: Int32Array): number {
    ids.set(this.#symbols.subarray(0, count));
    return count;
  }

  /**
   * Applies all merges of the lowest rank in one pass, and repeats while a pass shortens the list by 1/16 or more. A run of one
   * character thus shrinks in a few passes. Returns the number of symbols left, negated if more merges remain.
   */
  #sweep(length: number, below: number): number {
    const symbols = this.#symbols;
    const ranks = this.#ranks;
    const merged = this.#merged;
    let count = length;
    let best = NO_MERGE;
    for (let i = 0; i < count; i++) best = Math.min(best, this.#lookUp(i, i + 1, count, i));
    for (;;) {
      if (best >= below) return count;
      let made = 0;
      let written = 0;
      let least = NO_MERGE;
      for (let i = 0; i < count; ) {
        if (ranks[i] === best && least > best) {
          symbols[written] = merged[i];
          i += 2;
          made++;
          // The new token may form a pair of lower rank than this merge. Then this pass merges no more.
          least = Math.min(least, this.#lookUp(written, i, count, written));
          if (written > 0) least = Math.min(least, this.#lookUp(written - 1, written, count, written - 1));
        } else {
          symbols[written] = symbols[i];
          ranks[written] = ranks[i];
          merged[written] = merged[i];
          i++;
        }
        written++;
      }
      const before = count;
      count = written;
      if (made * 16 < before) return -count;
      best = NO_MERGE;
      for (let i = 0; i < count; i++) if (ranks[i] < best) best = ranks[i];
    }
  }

  /** Stores the rank and result of the pair of symbols i and j at position `at`; returns the rank, NO_MERGE if j is the end. */
  #lookUp(i: number, j: number, end: number, at: number): number {
    if (j >= end) {
      this.#ranks[at] = NO_MERGE;
      return NO_MERGE;
    }
    this.#find(this.#symbols[i], this.#symbols[j]);
    this.#ranks[at] = this.#rank;
    this.#merged[at] = this.#result;
    return this.#rank;
  }

  /** Merges the first `length` symbols with the linked list; their ranks are already known. */
  #mergeLinked(length: number, ids: Int32Array, below: number): number {
    this.#reserveLinks(length);
    const symbols = this.#symbols;
    const next = this.#next;
    const previous = this.#previous;
    const ranks = this.#ranks;
    this.#candidates = 0;
    for (let i = length - 1; i >= 0; i--) {
      next[i] = i + 1;
      previous[i] = i - 1;
      if (ranks[i] !== NO_MERGE) this.#push(ranks[i], i);
    }
    while (this.#heap.length > 0) {
      const rank = this.#popRank();
      if (rank >= below) {
        this.#heads[rank] = -1;
        continue;
      }
      const here = this.#take(rank);
      for (let k = 0; k < here.length; k++) {
        const i = here[k];
        if (ranks[i] !== rank) continue;
        const j = next[i];
        symbols[i] = this.#merged[i];
        ranks[j] = NO_MERGE;
        next[i] = next[j];
        if (next[j] < length) previous[next[j]] = i;
        let least = this.#rate(i, length);
        if (i > 0) least = Math.min(least, this.#rate(previous[i], length));
        // As in `#sweep`, a new pair of lower rank merges first. Push the remaining positions back.
        if (least <= rank) {
          for (let rest = here.length - 1; rest > k; rest--) {
            if (ranks[here[rest]] === rank) this.#push(rank, here[rest]);
          }
          break;
        }
      }
    }
    let count = 0;
    for (let i = 0; i < length; i = next[i]) ids[count++] = symbols[i];
    return count;
  }

  /** Looks up the pair that starts at i, adds it to the candidates and returns its rank. */
  #rate(i: number, length: number): number {
    const rank = this.#lookUp(i, this.#next[i], length, i);
    if (rank !== NO_MERGE) this.#push(rank, i);
    return rank;
  }

  /** MergeTable.find with a cache of two pairs: long pretokens are mostly runs of one character. */
  #find(left: number, right: number): void {
    if (left === this.#left && right === this.#right) return;
    let rank = this.#otherRank;
    let result = this.#otherResult;
    if (left !== this.#otherLeft || right !== this.#otherRight) {
      const at = this.#merges.find(left, right);
      rank = at < 0 ? NO_MERGE : this.#merges.entries[at + 2];
      result = at < 0 ? -1 : this.#merges.entries[at + 3];
    }
    this.#otherLeft = this.#left;
    this.#otherRight = this.#right;
    this.#otherRank = this.#rank;
    this.#otherResult = this.#result;
    this.#left = left;
    this.#right = right;
    this.#rank = rank;
    this.#result = result;
  }

  #push(rank: number, i: number): void {
    if (rank >= this.#heads.length) this.#heads = grown(this.#heads, Math.max(rank + 1, this.#heads.length * 2), -1);
    if (this.#candidates === this.#positions.length) {
      this.#positions = grown(this.#positions, this.#positions.length * 2, 0);
      this.#links = grown(this.#links, this.#links.length * 2, 0);
    }
    const candidate = this.#candidates++;
    this.#positions[candidate] = i;
    this.#links[candidate] = this.#heads[rank];
    if (this.#heads[rank] < 0) this.#pushRank(rank);
    this.#heads[rank] = candidate;
  }

  /** Removes and returns the positions of a rank's list, from left to right. */
  #take(rank: number): Int32Array {
    let count = 0;
    for (let c = this.#heads[rank]; c >= 0; c = this.#links[c]) count++;
    const here = new Int32Array(count);
    count = 0;
    for (let c = this.#heads[rank]; c >= 0; c = this.#links[c]) here[count++] = this.#positions[c];
    this.#heads[rank] = -1;
    // Positions are mostly added in one direction, so the list or its reverse is usually sorted already.
    if (!ascending(here) && !ascending(here.reverse())) here.sort();
    return here;
  }

  #pushRank(rank: number): void {
    const heap = this.#heap;
    let at = heap.push(rank) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent] <= rank) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = rank;
  }

  #popRank(): number {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop()!;
    if (heap.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1] < heap[child]) child++;
      if (heap[child] >= last) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
    return top;
  }

  #reserve(length: number): void {
    if (this.#symbols.length >= length) return;
    const room = Math.max(length, 1024, this.#symbols.length * 2);
    this.#symbols = new Int32Array(room);
    this.#ranks = new Int32Array(room);
    this.#merged = new Int32Array(room);
  }

  #reserveLinks(length: number): void {
    if (this.#next.length >= length) return;
    const room = Math.max(length, 1024, this.#next.length * 2);
    this.#next = new Int32Array(room);
    this.#previous = new Int32Array(room);
    this.#positions = new Int32Array(room * 3);
    this.#links = new Int32Array(room * 3);
  }
}

function ascending(array: Int32Array): boolean {
  for (let i = 1; i < array.length; i++) if (array[i] < array[i - 1]) return false;
  return true;
}

function grown(array: Int32Array, length: number, fill: number): Int32Array<ArrayBuffer> {
  const copy = new Int32Array(length);
  copy.set(array);
  if (fill !== 0) copy.fill(fill, array.length);
  return copy;
}
