/**
 * @file The pretokens while merges are learned: merges are made in them, and the neighbours that they had are told. No
 * pretoken is looked at unless the pair is in it. Lists of occurrences are not corrected when a merge destroys some; an occurrence is checked when its list is used.
 */
import { OccurrenceLists } from "./occurrence-lists.js";
import type { PairTable } from "./pair-table.js";
import { BORDER, type CountedPairs, LAST_BORDER, LONGEST_WALK, type PretokenSlots } from "./pretoken-slots.js";

/** In a token of three bytes or more, between its two ends. */
const INSIDE = LAST_BORDER + 1;
/** Slots that are looked at before any of them is merged. */
const LOOKED_AT = 256;
/** Occurrences of new pairs for which room is kept from merge to merge. */
const KEPT_ROOM = 1 << 22;

/** The neighbours of a merge, each token once a side. */
export interface MergeNeighbours {
  size: number;
  /** The token before, or the complement of the token after. */
  ids: Int32Array;
  /** How often it is there. */
  times: Float64Array;
  /** The number of the pair that it now forms, or −1 if it need not be listed: whoever counts the pairs writes it. */
  numbers: Int32Array;
}

export class MergedText {
  readonly neighbours: MergeNeighbours;
  readonly #slots: Int32Array;
  readonly #text: PretokenSlots;
  readonly #tokens: { readonly lengths: Uint32Array };
  readonly #occurrences: OccurrenceLists;
  readonly #pairs: PairTable;
  /** By pair that was counted beforehand: at how many places it occurs at most, until they are listed. */
  readonly #places: Uint32Array;
  readonly #gathered: number;

  /** By token twice, as the neighbour before and after: the merge's stamp, and its place among the neighbours. */
  #memo: Int32Array;
  #stamp = 0;
  /** By neighbour: occurrences of the pair that it now forms. */
  #many = new Int32Array(1 << 12);
  /** By neighbour: its place among those whose pairs are listed, or −1. */
  #listed = new Int32Array(1 << 12);
  /** Each occurrence of those pairs: the neighbour and the slot. */
  #newNeighbours = new Int32Array(1 << 12);
  #newSlots = new Uint32Array(1 << 12);
  #newCount = 0;
  readonly #gone = new Int32Array(LOOKED_AT);

  /**
   * @param counted the pairs that there are; whoever counts them numbers more in the table
   * @param tokens bytes of each token, of those too that are still to be made
   * @param most tokens that there can be
   * @param gathered places of counted pairs that are listed in one go over the text; fewer take less memory and more goes
   */
  constructor(
    text: PretokenSlots,
    { pairs, places }: CountedPairs,
    tokens: { readonly lengths: Uint32Array },
    most: number,
    gathered: number,
  ) {
    this.neighbours = {
      size: 0,
      ids: new Int32Array(most * 2),
      times: new Float64Array(most * 2),
      numbers: new Int32Array(most * 2),
    };
    this.#memo = new Int32Array(most * 4);
    this.#text = text;
    this.#slots = text.slots;
    this.#tokens = tokens;
    this.#gathered = gathered;
    this.#pairs = pairs;
    this.#places = places;
    const isThere = (pair: number, slot: number): boolean => {
      const { keys } = this.#pairs;
      const left = keys[pair * 2];
      return this.#slots[slot] === left && this.#slots[slot + this.#tokens.lengths[left]] === keys[pair * 2 + 1];
    };
    this.#occurrences = new OccurrenceLists(isThere, text.slots.length, gathered >> 1);
  }

  /** Makes a pair one token wherever it occurs; `neighbours` then tells what was beside it. */
  merge(pair: number, left: number, right: number, token: number): void {
    const { lengths } = this.#tokens;
    const slots = this.#slots;
    const leftLength = lengths[left];
    const rightLength = lengths[right];
    if (this.#places[pair] > 0) this.#gather(pair);
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
    const gone = this.#gone;
    for (let from = 0; from < at.length; from += LOOKED_AT) {
      const few = at.subarray(from, from + LOOKED_AT);
      this.#look(few, left, right);
      for (let k = 0; k < few.length; k++) {
        const start = few[k];
        // A pair of equal tokens may have lost its first to the place before.
        if (gone[k] !== 0 || slots[start] !== left) continue;
        const middle = start + leftLength;
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
    }
    this.neighbours.size = size;
    this.#newCount = made;
  }

  /**
   * Writes into #gone for each of a few slots a number other than 0 unless a pair is still there. A merge mostly waits for
   * memory: here, without branches, many slots are asked for at once.
   */
  #look(at: Uint32Array, left: number, right: number): void {
    const slots = this.#slots;
    const gone = this.#gone;
    const length = this.#tokens.lengths[left];
    for (let k = 0; k < at.length; k++) gone[k] = (slots[at[k]] ^ left) | (slots[at[k] + length] ^ right);
  }

  /** Lists the pairs that the last merge made, by the numbers that they were given. */
  list(): void {
    const { size, numbers } = this.neighbours;
    const many = this.#many;
    const listed = this.#listed;
    let count = 0;
    for (let i = 0; i < size; i++) {
      listed[i] = numbers[i] < 0 ? -1 : count;
      if (numbers[i] < 0) continue;
      numbers[count] = numbers[i];
      many[count++] = many[i];
    }
    this.#occurrences.add(numbers, many, count, (entries, places) => {
      for (let k = 0; k < this.#newCount; k++) {
        const place = listed[this.#newNeighbours[k]];
        if (place >= 0) entries[places[place]++] = this.#newSlots[k];
      }
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
    this.#listed = new Int32Array(this.#many.length);
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

  /**
   * Lists the places of a counted pair and of the commonest others, as many as there is room for: so a huge text is read a
   * few times, and its occurrences are never all in memory.
   */
  #gather(pair: number): void {
    const slots = this.#slots;
    const sizes = this.#places;
    const pairs = this.#pairs;
    const { lengths } = this.#tokens;
    const chosen = [pair];
    let room = this.#gathered - sizes[pair];
    const others = Array.from(sizes.keys()).filter((other) => sizes[other] > 0 && other !== pair);
    for (const other of others.sort((a, b) => sizes[b] - sizes[a])) {
      room -= sizes[other];
      if (room < 0) break;
      chosen.push(other);
    }
    const placeOf = new Int32Array(sizes.length).fill(-1);
    chosen.forEach((other, place) => {
      placeOf[other] = place;
    });
    const expected = chosen.map((other) => sizes[other]);
    this.#occurrences.add(chosen, expected, chosen.length, (entries, places) => {
      for (let at = 0; at + 1 < slots.length; ) {
        const start = at;
        const left = slots[at];
        at += left < 0 ? 1 : lengths[left];
        if (left < 0 || slots[at] < 0) continue;
        const found = pairs.find(left, slots[at]);
        if (found < 0 || found >= placeOf.length) continue;
        const place = placeOf[found];
        if (place >= 0) entries[places[place]++] = start;
      }
    });
    for (const other of chosen) sizes[other] = 0;
  }
}
