/** @file The tokenizer: byte-level BPE, trained, applied, read and written. */

export { documentShardFiles, type WriteDocumentShardsOptions, writeDocumentShards } from "./document-shards.js";
export { type EncodeCorpusOptions, encodeCorpus } from "./encode-corpus.js";
export { type LoadTokenizerOptions, loadTokenizer, saveTokenizer } from "./folder.js";
export { type HeldOutSource, readHeldOutSources } from "./held-out-sources.js";
export type { TieRule } from "./learn/pair-queue.js";
export { type LineageEntry, LineageWriter, readLineage } from "./lineage.js";
export * from "./portable.js";
export {
  openTokenizer,
  PUBLISHED_NAMES,
  type PublishedName,
  type PublishedOptions,
  publishedTokenizer,
} from "./published.js";
export {
  openShards,
  type ShardsHeader,
  type TokenShards,
  type TokenSplit,
} from "./shards.js";
export { END_OF_TEXT } from "./special-names.js";
export { tokenizerHash } from "./tokenizer-hash.js";
export { type TrainTokenizerOptions, trainTokenizer } from "./train.js";
export { shardFiles, type WriteShardsOptions, writeShards, writeShardsInto } from "./write-shards.js";
