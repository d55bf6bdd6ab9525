/** @file The tokenizer: byte-level BPE, trained, applied, read and written. */

export { type EncodeCorpusOptions, encodeCorpus } from "./encode-corpus.js";
export { type LoadTokenizerOptions, loadTokenizer, saveTokenizer } from "./folder.js";
export type { TieRule } from "./learn/pair-queue.js";
export { type LineageEntry, LineageWriter, lineageFiles, readLineage } from "./lineage.js";
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
export { isHeldOut } from "./text-tasks.js";
export { tokenizerHash } from "./tokenizer-hash.js";
export { type TrainTokenizerOptions, trainTokenizer } from "./train.js";
export { shardFiles, type WriteShardsOptions, writeShards, writeShardsInto } from "./write-shards.js";
