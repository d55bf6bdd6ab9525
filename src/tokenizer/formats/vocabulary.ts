/** @file From a list of tokens and merges, as files have them, to the tables that encode. */
import { QuernError } from "../../errors.js";
import { Merger } from "../encode/bpe.js";
import type { BpeModel } from "../encode/encoder.js";
import { MergeTable } from "../encode/merges.js";
import { TokenTable } from "../token-table.js";

/** The id of each byte's own token, −1 where there is none. */
export function byteTokens(tokens: TokenTable): Int32Array {
  const byteIds = new Int32Array(256);
  const byte = new Uint8Array(1);
  for (let value = 0; value < 256; value++) {
    byte[0] = value;
    byteIds[value] = tokens.find(byte, 0, 1);
  }
  return byteIds;
}

/**
 * The model of a rank file: the id of a token is its rank, and two neighbours merge when together they are a token.
 * @throws QuernError if a byte has no token, since tiktoken's vocabularies have all
 */
export function rankedModel(tokens: TokenTable): BpeModel {
  const byteIds = byteTokens(tokens);
  const missing = byteIds.indexOf(-1);
  if (missing >= 0) throw new QuernError(`the ranks have no token for byte 0x${missing.toString(16).padStart(2, "0")}`);
  return { tokens, byteIds, merges: new MergeTable(1 << 12, tokens), wholeFirst: true };
}

/** Merges in order: the ids of the left and the right part and of the result. */
export interface MergeList {
  readonly left: Int32Array;
  readonly right: Int32Array;
  readonly merged: Int32Array;
}

export function listedModel(tokens: TokenTable, list: MergeList, wholeFirst: boolean): BpeModel {
  const merges = new MergeTable(list.left.length);
  for (let rank = 0; rank < list.left.length; rank++) {
    if (!merges.add(list.left[rank], list.right[rank], rank, list.merged[rank])) {
      throw new QuernError(`merge ${rank} is the same pair as an earlier one; each pair merges once`);
    }
  }
  return { tokens, byteIds: byteTokens(tokens), merges, wholeFirst };
}

/**
 * The merges of a model in order. For a rank file they are found by splitting each token with the ranks below its own: the
 * last pair is the only one by which the token can ever be made.
 */
export function listMerges(model: BpeModel): MergeList {
  if (!model.merges.lazy) {
    const { entries, count } = model.merges;
    const list = { left: new Int32Array(count), right: new Int32Array(count), merged: new Int32Array(count) };
    for (let at = 0; at < entries.length; at += 4) {
      if (entries[at] === 0) continue;
      list.left[entries[at + 2]] = entries[at] - 1;
      list.right[entries[at + 2]] = entries[at + 1];
      list.merged[entries[at + 2]] = entries[at + 3];
    }
    return list;
  }
  const left: number[] = [];
  const right: number[] = [];
  const merged: number[] = [];
  const { bytes, starts, lengths, size } = model.tokens;
  const merger = new Merger(model.byteIds, model.merges);
  for (let id = 0; id < size; id++) {
    if (lengths[id] < 2) continue;
    const count = merger.merge(bytes, starts[id], starts[id] + lengths[id], id);
    // A token that its own merges never make can still stand for a whole pretoken; it has no merge.
    if (count !== 2) continue;
    left.push(merger.ids[0]);
    right.push(merger.ids[1]);
    merged.push(id);
  }
  return { left: Int32Array.from(left), right: Int32Array.from(right), merged: Int32Array.from(merged) };
}

/** Collects tokens by id and refuses what no vocabulary can be. */
export class VocabularyBuilder {
  readonly tokens: TokenTable;
  readonly #most: number;

  /** @param count how many tokens the file has; ids may leave holes, but not be out of all proportion */
  constructor(count: number, bytes: number) {
    this.tokens = new TokenTable(count, bytes);
    this.#most = count * 4 + (1 << 20);
  }

  /** Adds a token; `name` is how an error calls it. */
  add(id: number, bytes: Uint8Array, start: number, end: number, searchable: boolean, name: () => string): void {
    if (!Number.isInteger(id) || id < 0 || id > this.#most) {
      throw new QuernError(`token ${name()} has id ${id}; ids are whole numbers from 0, without wide gaps`);
    }
    if (start === end) throw new QuernError(`token ${name()} with id ${id} is empty`);
    if (this.tokens.has(id)) throw new QuernError(`id ${id} is given to two tokens, the second is ${name()}`);
    if (!this.tokens.add(id, bytes, start, end, searchable)) {
      throw new QuernError(`token ${name()} with id ${id} has the same bytes as another`);
    }
  }
}
