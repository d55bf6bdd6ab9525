/** @file Builds the encoding tables from the tokens and merges of a file. */
import { QuernError } from "../../errors.js";
import { Merger } from "../encode/bpe.js";
import type { BpeModel } from "../encode/encoder.js";
import { MergeTable } from "../encode/merges.js";
import { TokenTable } from "../token-table.js";

/** Returns the id of each single-byte token (256); −1 if the byte has none. */
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
 * Builds the model of a rank file, where a token's id is its rank and two neighbours merge if their concatenation is a
 * token.
 * @throws QuernError if a byte has no token; tiktoken's vocabularies have all 256
 */
export function rankedModel(tokens: TokenTable): BpeModel {
  const byteIds = byteTokens(tokens);
  const missing = byteIds.indexOf(-1);
  if (missing >= 0)
    throw new QuernError(`the rank file has no token for byte 0x${missing.toString(16).padStart(2, "0")}`);
  return { tokens, byteIds, merges: new MergeTable(1 << 12, tokens), wholeFirst: true };
}

/** Merges by rank: the ids of the left part, the right part and the result. */
export interface MergeList {
  readonly left: Int32Array;
  readonly right: Int32Array;
  readonly merged: Int32Array;
}

export function listedModel(tokens: TokenTable, list: MergeList, wholeFirst: boolean): BpeModel {
  const merges = new MergeTable(list.left.length);
  for (let rank = 0; rank < list.left.length; rank++) {
    if (!merges.add(list.left[rank], list.right[rank], rank, list.merged[rank])) {
      throw new QuernError(`merge ${rank} repeats an earlier pair; each pair may occur once`);
    }
  }
  return { tokens, byteIds: byteTokens(tokens), merges, wholeFirst };
}

/**
 * Returns the merges of a model by rank. A rank file does not contain them, so each token is encoded with the ranks below
 * its own. If two parts remain, merging them is the only way to form the token.
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
    // A token that no merge can form has no entry; it can still match a whole pretoken.
    if (count !== 2) continue;
    left.push(merger.ids[0]);
    right.push(merger.ids[1]);
    merged.push(id);
  }
  return { left: Int32Array.from(left), right: Int32Array.from(right), merged: Int32Array.from(merged) };
}

/** Collects the tokens of a vocabulary by id and rejects invalid ones. */
export class VocabularyBuilder {
  readonly tokens: TokenTable;
  readonly #maxId: number;

  /** @param count tokens in the file; ids may have gaps, but at most 4 · count + 2^20 is allowed */
  constructor(count: number, bytes: number) {
    this.tokens = new TokenTable(count, bytes);
    this.#maxId = count * 4 + (1 << 20);
  }

  /**
   * Adds a token with the bytes [start, end).
   * @param name returns the token's name for errors
   */
  add(id: number, bytes: Uint8Array, start: number, end: number, searchable: boolean, name: () => string): void {
    if (!Number.isInteger(id) || id < 0 || id > this.#maxId) {
      throw new QuernError(`token ${name()} has id ${id}; ids must be integers from 0 without large gaps`);
    }
    if (start === end) throw new QuernError(`token ${name()} with id ${id} is empty`);
    if (this.tokens.has(id)) throw new QuernError(`two tokens have id ${id}; the second is ${name()}`);
    if (!this.tokens.add(id, bytes, start, end, searchable)) {
      throw new QuernError(`token ${name()} with id ${id} has the same bytes as another token`);
    }
  }
}
