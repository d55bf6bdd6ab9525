/** @file Byte-level BPE tokenizers: training, encoding, decoding, file formats and token shards. */

export {
  compileTemplate,
  PythonFloat,
  pythonText,
  type Template,
  TemplateFailure,
  type TemplateOptions,
  type TextFilter,
} from "./chat/jinja/index.js";
export { END_OF_TEXT } from "./encode/added-tokens.js";
export { type LoadTokenizerOptions, loadTokenizer, saveTokenizer } from "./formats/folder.js";
export { type GgufTokenizer, type GgufTokenizerOptions, tokenizerToGguf } from "./formats/gguf-writer.js";
export {
  openTokenizer,
  PUBLISHED_NAMES,
  type PublishedName,
  type PublishedOptions,
  publishedTokenizer,
} from "./formats/published.js";
export type { TieRule } from "./learn/pair-queue.js";
export { type TrainTokenizerOptions, trainTokenizer } from "./learn/train.js";
export * from "./portable.js";
export { documentShardFiles, type WriteDocumentShardsOptions, writeDocumentShards } from "./shards/document-shards.js";
export { type EncodeCorpusOptions, encodeCorpus } from "./shards/encode-corpus.js";
export { type HeldOutSource, readHeldOutSources } from "./shards/held-out-sources.js";
export { type LineageEntry, LineageWriter, readLineage } from "./shards/lineage.js";
export {
  openShards,
  type ShardsHeader,
  type TokenShards,
  type TokenSplit,
} from "./shards/shards.js";
export { shardFiles, type WriteShardsOptions, writeShards, writeShardsInto } from "./shards/write-shards.js";
export { tokenizerHash } from "./tokenizer-hash.js";
