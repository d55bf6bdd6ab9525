/**
 * @file The distinct pretokens laid out to be merged in, and the pairs of neighbours in them.
 *
 * The pretokens lie in one array, a slot a byte, each behind a border that holds its count. A token of n bytes at slot p has
 * its id in p and, if n > 1, the complement of its id in p + n − 1. So both neighbours of a token are found without links,
 * and an occurrence of a pair is one number, its slot.
 */
import { copied, PairTable, pairHash } from "./pair-table.js";
import type { PretokenCounts } from "./pretoken-counts.js";

/** Before each pretoken, and behind the last: BORDER + its count, at most LAST_BORDER. No id or complement is so small. */
export const BORDER = -0x80000000;
export const LAST_BORDER = -0x40000000;
/** A pretoken of more bytes has its count in a list: the walk back to its border would be too long. */
export const LONGEST_WALK = 200;
/** Pairs that are counted in one go over the text, unless the caller says otherwise. */
const SHARE = 1 << 24;

/** The pretokens laid out. */
export interface PretokenSlots {
  /** Pretokens one after the other, a slot a byte, each behind a border; one more border ends the last. */
  readonly slots: Int32Array;
  /** Borders of the pretokens that are too long, or too common, to be counted by their border, ascending, and their counts. */
  readonly listedBorders: readonly number[];
  readonly listedCounts: readonly number[];
}

/** Puts the pretokens into slots. */
export function layOut({ bytes, starts, counts, size }: PretokenCounts, byteIds: Int32Array): PretokenSlots {
  const slots = new Int32Array(starts[size] + size + 1);
  const listedBorders: number[] = [];
  const listedCounts: number[] = [];
  let at = 0;
  for (let word = 0; word < size; word++) {
    if (starts[word + 1] - starts[word] > LONGEST_WALK || counts[word] >= LAST_BORDER - BORDER) {
      listedBorders.push(at);
      listedCounts.push(counts[word]);
    }
    slots[at++] = BORDER + Math.min(counts[word], LAST_BORDER - BORDER);
    for (let i = starts[word]; i < starts[word + 1]; i++) slots[at++] = byteIds[bytes[i]];
  }
  slots[at] = BORDER;
  return { slots, listedBorders, listedCounts };
}

/** Pairs that occur in the text at least `least` times. */
export interface CountedPairs {
  readonly pairs: PairTable;
  /** By pair: at how many places it occurs, in each pretoken once for all its copies. */
  readonly places: Uint32Array;
}

/**
 * Counts the pairs of neighbours in the text; those that are rarer than `least` are left out. There may be hundreds of
 * millions of them, so they are dealt out by their hash, and each share has a go over the text.
 * @param share pairs that are counted in one go, at most
 */
export function countPairs(
  text: PretokenSlots,
  { lengths, size }: { readonly lengths: Uint32Array; readonly size: number },
  least: number,
  share = SHARE,
): CountedPairs {
  const { slots, listedCounts } = text;
  const shares = Math.ceil(Math.min(slots.length, size * size) / share);
  const pairs = new PairTable();
  let places = new Uint32Array(1 << 16);
  for (let turn = 0; turn < shares; turn++) {
    const found = new PairTable();
    let foundPlaces = new Uint32Array(1 << 16);
    let listed = 0;
    let times = 0;
    for (let at = 0; at + 1 < slots.length; ) {
      const left = slots[at];
      if (left < 0) {
        if (text.listedBorders[listed] === at) times = listedCounts[listed++];
        else times = left - BORDER;
        at++;
        continue;
      }
      at += lengths[left];
      const right = slots[at];
      if (right < 0 || (shares > 1 && (pairHash(left, right) >>> 8) % shares !== turn)) continue;
      const pair = found.number(left, right);
      if (pair >= foundPlaces.length) foundPlaces = copied(foundPlaces, new Uint32Array(pair * 2));
      found.counts[pair] += times;
      foundPlaces[pair]++;
    }
    for (let each = 0; each < found.size; each++) {
      if (found.counts[each] < least) continue;
      const pair = pairs.number(found.keys[each * 2], found.keys[each * 2 + 1]);
      if (pair >= places.length) places = copied(places, new Uint32Array(pair * 2));
      pairs.counts[pair] = found.counts[each];
      places[pair] = foundPlaces[each];
    }
  }
  return { pairs, places: places.subarray(0, pairs.size) };
}
