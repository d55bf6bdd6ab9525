/**
 * @file The pretokens while merges are learned: merges are made in them, and the neighbours that they had are told. No
 * pretoken is looked at unless the pair is in it.
 *
 * Layout: the pretokens lie in one array, a slot a byte, each behind a border that holds its count. A token of n bytes at slot p has its id
 * in p and, if n > 1, the complement of its id in p + n − 1. So both neighbours of a token are found without links, and an
 * occurrence of a pair is one number, its slot. Lists of occurrences are not corrected when a merge destroys some; an
 * occurrence is checked when its list is used.
 */
import { OccurrenceLists } from "./occurrence-lists.js";
import { copied, type PairTable } from "./pair-table.js";
import type { PretokenCounts } from "./pretoken-counts.js";

/** Before each pretoken, and behind the last: BORDER + its count, at most LAST_BORDER. No id or complement is so small. */
const BORDER = -0x80000000;
const LAST_BORDER = -0x40000000;
/** In a token of three bytes or more, between its two ends. */
const INSIDE = LAST_BORDER + 1;
/** A pretoken of more bytes has its count in a list: the walk back to its border would be too long. */
const LONGEST_WALK = 200;
/** Occurrences of new pairs for which room is kept from merge to merge. */
const KEPT_ROOM = 1 << 22;

/** The pretokens laid out. */
export interface PretokenSlots {
  /** Pretokens one after the other, a slot a byte, each behind a border; one more border ends the last. */
  readonly slots: Int32Array;
  /** Borders of the pretokens that are too long, or too common, to be counted by their border, ascending, and their counts. */
  readonly listedBorders: readonly number[];
  readonly listedCounts: readonly number[];
}

/** The alphabet that they are written in. */
export interface Alphabet {
  /** Bytes of each token that there is before the first merge. */
  readonly lengths: Uint32Array;
  /** The least id of a byte's token; their ids are this and the next 255. */
  readonly firstByte: number;
  /** Left and right token of each pair of bytes, by the pair's number: those that there are before the first merge. */
  readonly bytePairs: Int32Array;
  /** Occurrences of pairs of bytes that are gathered in one go over the text; fewer take less memory and more passes. */
  readonly gathered: number;
}

/** The neighbours of a merge, each token once a side. */
export interface MergeNeighbours {
  size: number;
  /** The token before, or the complement of the token after. */
  ids: Int32Array;
  /** How often it is there. */
  times: Float64Array;
  /** The number of the pair that it now forms: whoever counts the pairs writes it. */
  numbers: Int32Array;
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

export class MergedText {
  readonly neighbours: MergeNeighbours;
  readonly #slots: Int32Array;
  readonly #text: PretokenSlots;
  readonly #alphabet: Alphabet;
  #lengths: Uint32Array;
  readonly #occurrences: OccurrenceLists;
  readonly #pairs: PairTable;
  /** By pair of bytes: how often it occurs at the start, each pretoken once. */
  readonly #byteOccurrences: Uint32Array;

  /** By token twice, as the neighbour before and after: the merge's stamp, and its place among the neighbours. */
  #memo = new Int32Array(4 * 512);
  #stamp = 0;
  /** By neighbour: occurrences of the pair that it now forms. */
  #many = new Int32Array(1 << 12);
  /** Each occurrence of those pairs: the neighbour and the slot. */
  #newNeighbours = new Int32Array(1 << 12);
  #newSlots = new Uint32Array(1 << 12);
  #newCount = 0;

  /**
   * @param pairs whoever counts the pairs numbers them in it
   * @param most tokens that there can be
   */
  constructor(text: PretokenSlots, alphabet: Alphabet, pairs: PairTable, most: number) {
    this.neighbours = {
      size: 0,
      ids: new Int32Array(most * 2),
      times: new Float64Array(most * 2),
      numbers: new Int32Array(most * 2),
    };
    this.#text = text;
    this.#slots = text.slots;
    this.#alphabet = alphabet;
    this.#lengths = alphabet.lengths;
    this.#pairs = pairs;
    const isThere = (pair: number, slot: number): boolean => {
      const { keys } = this.#pairs;
      const left = keys[pair * 2];
      return this.#slots[slot] === left && this.#slots[slot + this.#lengths[left]] === keys[pair * 2 + 1];
    };
    this.#occurrences = new OccurrenceLists(isThere, text.slots.length, alphabet.gathered >> 1);
    this.#byteOccurrences = this.#countBytePairs();
  }

  /** Makes a pair one token wherever it occurs; `neighbours` then tells what was beside it. */
  merge(pair: number, left: number, right: number, token: number): void {
    if (token >= this.#lengths.length) {
      this.#lengths = copied(this.#lengths, new Uint32Array(Math.max(token + 1, this.#lengths.length * 2)));
    }
    if ((token + 1) * 4 > this.#memo.length) {
      this.#memo = copied(this.#memo, new Int32Array(Math.max((token + 1) * 4, this.#memo.length * 2)));
    }
    const lengths = this.#lengths;
    const slots = this.#slots;
    const leftLength = lengths[left];
    const rightLength = lengths[right];
    lengths[token] = leftLength + rightLength;
    if (this.#byteOccurrences[pair] > 0 && !this.#occurrences.isListed(pair)) this.#gatherBytePairs(pair);
    const at = this.#occurrences.take(pair);
    this.#reserve(at.length * 2);
    const { ids, times } = this.neighbours;
    const memo = this.#memo;
    const many = this.#many;
    const newNeighbours = this.#newNeighbours;
    const newSlots = this.#newSlots;
    const stamp = ++this.#stamp;
    let size = 0;
    let made = 0;
    for (let k = 0; k < at.length; k++) {
      const start = at[k];
      const middle = start + leftLength;
      if (slots[start] !== left || slots[middle] !== right) continue;
      const end = middle + rightLength;
      const count = this.#countAt(start, lengths);
      slots[middle - 1] = INSIDE;
      slots[middle] = INSIDE;
      slots[end - 1] = ~token;
      slots[start] = token;
      for (let side = 0; side < 2; side++) {
        const mark = side === 0 ? slots[start - 1] : slots[end];
        if (mark <= LAST_BORDER) continue;
        const id = mark >= 0 ? mark : ~mark;
        const known = id * 4 + side * 2;
        let place = memo[known + 1];
        if (memo[known] !== stamp) {
          place = size++;
          memo[known] = stamp;
          memo[known + 1] = place;
          ids[place] = side === 0 ? id : ~id;
          times[place] = 0;
          many[place] = 0;
        }
        times[place] += count;
        many[place]++;
        newNeighbours[made] = place;
        newSlots[made++] = side === 0 ? start - lengths[id] : start;
      }
    }
    this.neighbours.size = size;
    this.#newCount = made;
  }

  /** Lists the pairs that the last merge made, by the numbers that they were given. */
  list(): void {
    const { size, numbers } = this.neighbours;
    this.#occurrences.add(numbers, this.#many, size, (entries, places) => {
      for (let k = 0; k < this.#newCount; k++) entries[places[this.#newNeighbours[k]]++] = this.#newSlots[k];
    });
    // The commonest pairs merge first, and none needs so much again.
    if (this.#newSlots.length > KEPT_ROOM) {
      this.#newNeighbours = new Int32Array(0);
      this.#newSlots = new Uint32Array(0);
    }
  }

  /** Makes room for so many occurrences of new pairs. */
  #reserve(most: number): void {
    if (this.#newSlots.length >= most) return;
    this.#newNeighbours = new Int32Array(most * 2);
    this.#newSlots = new Uint32Array(most * 2);
    this.#many = new Int32Array(Math.min(most * 2, this.neighbours.ids.length));
  }

  /** The count of the pretoken in which a token starts at a slot. */
  #countAt(slot: number, lengths: Uint32Array): number {
    const slots = this.#slots;
    for (let at = slot, steps = 0; steps < LONGEST_WALK; steps++) {
      const mark = slots[at - 1];
      if (mark < LAST_BORDER) return mark - BORDER;
      if (mark === LAST_BORDER) break;
      at -= mark >= 0 ? 1 : lengths[~mark];
    }
    // A long pretoken, or a count that a border cannot hold: the last of the list that begins before the slot.
    const { listedBorders, listedCounts } = this.#text;
    let low = 0;
    let high = listedBorders.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (listedBorders[middle] < slot) low = middle;
      else high = middle - 1;
    }
    return listedCounts[low];
  }

  #countBytePairs(): Uint32Array {
    const { bytePairs, firstByte } = this.#alphabet;
    const slots = this.#slots;
    const found = new Uint32Array(65536);
    for (let at = 1; at + 1 < slots.length; at++) {
      if (slots[at] >= 0 && slots[at + 1] >= 0) found[((slots[at] - firstByte) << 8) | (slots[at + 1] - firstByte)]++;
    }
    const occurrences = new Uint32Array(bytePairs.length / 2);
    for (let pair = 0; pair < occurrences.length; pair++) {
      occurrences[pair] = found[((bytePairs[pair * 2] - firstByte) << 8) | (bytePairs[pair * 2 + 1] - firstByte)];
    }
    return occurrences;
  }

  /**
   * Lists the occurrences of a pair of bytes and of the commonest others, as many as there is room for: so a huge text is
   * read a few times, and its occurrences are never all in memory.
   */
  #gatherBytePairs(pair: number): void {
    const { bytePairs, firstByte, gathered } = this.#alphabet;
    const slots = this.#slots;
    const sizes = this.#byteOccurrences;
    const chosen = [pair];
    let room = gathered - sizes[pair];
    const others = Array.from(sizes.keys()).filter(
      (other) => sizes[other] > 0 && other !== pair && !this.#occurrences.isListed(other),
    );
    for (const other of others.sort((a, b) => sizes[b] - sizes[a])) {
      room -= sizes[other];
      if (room < 0) break;
      chosen.push(other);
    }
    // From the two bytes to the pair's place among the chosen.
    const wanted = new Int32Array(65536).fill(-1);
    chosen.forEach((other, place) => {
      wanted[((bytePairs[other * 2] - firstByte) << 8) | (bytePairs[other * 2 + 1] - firstByte)] = place;
    });
    const expected = chosen.map((other) => sizes[other]);
    this.#occurrences.add(chosen, expected, chosen.length, (entries, places) => {
      for (let at = 0; at + 1 < slots.length; ) {
        const left = slots[at];
        if (left < 0) {
          at++;
          continue;
        }
        const start = at;
        at += this.#lengths[left];
        const right = slots[at];
        if ((left - firstByte) >>> 0 >= 256 || (right - firstByte) >>> 0 >= 256) continue;
        const place = wanted[((left - firstByte) << 8) | (right - firstByte)];
        if (place >= 0) entries[places[place]++] = start;
      }
    });
  }
}
