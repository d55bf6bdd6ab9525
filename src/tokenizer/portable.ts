/**
 * @file The part of the tokenizer that runs without Node: encoding, decoding, counting, and reading files from memory. Neither this
 * file nor its imports may need Node. Outside Node, bundlers resolve `quern/tokenizer` to this file.
 */
export { QuernError } from "../errors.js";
export {
  type ChatMessage,
  type ChatOptions,
  chatTemplateSource,
  type EncodedChat,
  encodeChat,
  renderChat,
} from "./chat/chat.js";
export { type ComparedText, type CompareOptions, type Comparison, compareTokenizers, mistype } from "./compare.js";
export type { AddedToken, SpecialHandling } from "./encode/added-tokens.js";
export { IdBuffer } from "./encode/encoder.js";
export { type PatternName, patterns } from "./encode/patterns.js";
export { UNICODE_VERSION } from "./encode/unicode-classes.js";
export {
  type RankOptions,
  tokenizerFromGpt2,
  tokenizerFromRanks,
  tokenizerToGpt2,
  tokenizerToRanks,
} from "./formats/rank-files.js";
export { tokenizerFromJson, tokenizerToJson } from "./formats/tokenizer-json.js";
export { hexBytes, type ShownToken, showTokens, tokensAsHtml, tokensAsText } from "./show.js";
export {
  type DecodeOptions,
  type EncodeOptions,
  type Encoding,
  type JsonObject,
  type OffsetOptions,
  Tokenizer,
} from "./tokenizer.js";
