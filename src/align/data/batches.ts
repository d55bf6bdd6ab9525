/**
 * @file Batches of encoded texts. A row is a text with padding after it, or several packed texts that do not see each other.
 * Which examples a batch has depends on its number alone, so that a resumed run continues exactly.
 */
import type { TrainingBatch } from "../../train/index.js";
import { permute } from "../../train/index.js";
import type { EncodedText } from "./encode.js";

/** Tokens of the longest text. */
export const longestOf = (texts: readonly Pick<EncodedText, "ids">[]): number =>
  texts.reduce((longest, { ids }) => Math.max(longest, ids.length), 0);

/** The target of a token that is not learned. */
export const IGNORED = -100;

/** Rows of tokens, (rows, sequence) each. */
export interface Rows extends TrainingBatch {
  readonly ids: Int32Array;
  /** The next token where it is learned, else −100. */
  readonly targets: Int32Array;
}

/** Rows with one text each; ids and targets after its end are 0 and −100. */
export function rowsOf(texts: readonly EncodedText[], sequence: number): Rows {
  const ids = new Int32Array(texts.length * sequence);
  const targets = new Int32Array(texts.length * sequence).fill(IGNORED);
  for (const [row, text] of texts.entries()) put(text, { ids, targets }, row * sequence);
  return { ids, targets };
}

/**
 * Rows of packed texts, with the number of each token's text in its row, and its place in that text. Padding has a number
 * of its own.
 */
export function packedRowsOf(rows: readonly (readonly EncodedText[])[], sequence: number): Rows {
  const ids = new Int32Array(rows.length * sequence);
  const targets = new Int32Array(rows.length * sequence).fill(IGNORED);
  const segments = new Int32Array(rows.length * sequence);
  const places = new Int32Array(rows.length * sequence);
  for (const [row, texts] of rows.entries()) {
    let at = row * sequence;
    for (const [number, text] of texts.entries()) {
      put(text, { ids, targets }, at);
      segments.fill(number, at, at + text.ids.length);
      for (let t = 0; t < text.ids.length; t++) places[at + t] = t;
      at += text.ids.length;
    }
    segments.fill(texts.length, at, (row + 1) * sequence);
  }
  return { ids, targets, segments, places };
}

function put({ ids: from, learned }: EncodedText, { ids, targets }: Rows, at: number): void {
  for (let t = 0; t < from.length; t++) {
    ids[at + t] = from[t];
    // The first token of a text has nothing to be predicted from.
    if (t > 0 && learned[t] === 1) targets[at + t - 1] = from[t];
  }
}

/**
 * Packs texts into rows of at most `sequence` tokens by best fit decreasing (Ding et al., arXiv:2404.10830): each text goes
 * into the row with the least room that holds it. Texts are whole; none may be longer than a row.
 * @returns numbers of texts, row by row
 */
export function packTexts(lengths: readonly number[], sequence: number): number[][] {
  const order = lengths.map((_, i) => i).sort((a, b) => lengths[b] - lengths[a] || a - b);
  const rows: number[][] = [];
  /** Rows by their room, each list in the order in which they came to have it. */
  const byRoom = new Map<number, number[]>();
  /** Bit r of word r >> 5 is set where some row has r tokens of room. */
  const bits = new Uint32Array((sequence >> 5) + 1);
  const roomFor = (length: number): number => {
    let word = length >> 5;
    let set = bits[word] & (0xffffffff << (length & 31));
    while (set === 0 && ++word < bits.length) set = bits[word];
    return set === 0 ? -1 : 32 * word + 31 - Math.clz32(set & -set);
  };
  const place = (row: number, room: number) => {
    const list = byRoom.get(room) ?? [];
    list.push(row);
    byRoom.set(room, list);
    bits[room >> 5] |= 1 << (room & 31);
  };
  for (const text of order) {
    const length = lengths[text];
    const room = roomFor(length);
    if (room < 0) {
      rows.push([text]);
      place(rows.length - 1, sequence - length);
      continue;
    }
    const list = byRoom.get(room) as number[];
    const row = list.shift() as number;
    if (list.length === 0) bits[room >> 5] &= ~(1 << (room & 31));
    rows[row].push(text);
    place(row, room - length);
  }
  return rows;
}

/** The order in which a run takes its examples. */
export interface ExampleOrder {
  readonly order: "shuffled" | "given";
  readonly seed: number;
}

/** The numbers of the examples of batch `index`: each once in an epoch, before the next one begins. */
export function examplesOf(index: number, batch: number, count: number, { order, seed }: ExampleOrder): number[] {
  return Array.from({ length: batch }, (_, i) => {
    const drawn = index * batch + i;
    const at = drawn % count;
    return order === "given" ? at : permute(at, count, seed, Math.floor(drawn / count));
  });
}
