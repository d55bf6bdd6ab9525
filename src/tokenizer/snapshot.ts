/** @file Serialises a tokenizer as plain data for encoding threads, which then neither parse files nor rebuild tables. */
import { MergeTable } from "./encode/merges.js";
import { normalizerFromJson, splitterFromJson } from "./formats/tokenizer-json.js";
import { TokenTable, type TokenTableData } from "./token-table.js";
import { Tokenizer, type TokenizerParts } from "./tokenizer.js";

export interface TokenizerSnapshot {
  readonly parts: Omit<TokenizerParts, "model" | "splitter" | "normalizer">;
  readonly tokens: TokenTableData;
  readonly byteIds: Int32Array;
  readonly wholeFirst: boolean;
  /** The merge table's slots and the number in use; undefined if merges follow from ranks. */
  readonly merges: { readonly entries: Int32Array<ArrayBuffer>; readonly count: number } | undefined;
}

export function snapshotOf({
  parts: { model, splitter: _, normalizer: _normalizer, ...parts },
}: Tokenizer): TokenizerSnapshot {
  const { tokens, byteIds, merges, wholeFirst } = model;
  return {
    parts,
    tokens: tokens.data(),
    byteIds,
    wholeFirst,
    merges: merges.lazy ? undefined : { entries: merges.entries, count: merges.count },
  };
}

export async function tokenizerFromSnapshot(snapshot: TokenizerSnapshot): Promise<Tokenizer> {
  const tokens = TokenTable.from(snapshot.tokens);
  const merges = new MergeTable(1 << 12, snapshot.merges === undefined ? tokens : undefined);
  if (snapshot.merges !== undefined) {
    merges.entries = snapshot.merges.entries;
    merges.mask = snapshot.merges.entries.length / 4 - 1;
    merges.count = snapshot.merges.count;
  }
  const { byteIds, wholeFirst } = snapshot;
  return new Tokenizer({
    ...snapshot.parts,
    model: { tokens, byteIds, merges, wholeFirst },
    splitter: await splitterFromJson(snapshot.parts.json),
    normalizer: await normalizerFromJson(snapshot.parts.json),
  });
}
