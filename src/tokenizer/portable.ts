/**
 * @file What of the tokenizer runs anywhere: encoding, decoding, counting, and reading files that are in memory. Nothing
 * here, nor in what it imports, needs Node; bundlers take `quern/tokenizer` to mean this file where there is none.
 */
export { QuernError } from "../errors.js";
export type { AddedToken, SpecialHandling } from "./added-tokens.js";
export { type ChatMessage, type ChatOptions, type EncodedChat, encodeChat, renderChat } from "./chat.js";
export { type ComparedText, type CompareOptions, type Comparison, compareTokenizers, mistype } from "./compare.js";
export { IdBuffer } from "./encoder.js";
export { type PatternName, patterns } from "./patterns.js";
export {
  type RankOptions,
  tokenizerFromGpt2,
  tokenizerFromRanks,
  tokenizerToGpt2,
  tokenizerToRanks,
} from "./rank-files.js";
export { hexBytes, type ShownToken, showTokens, tokensAsHtml, tokensAsText } from "./show.js";
export {
  type DecodeOptions,
  type EncodeOptions,
  type Encoding,
  type JsonObject,
  type OffsetOptions,
  Tokenizer,
} from "./tokenizer.js";
export { tokenizerFromJson, tokenizerToJson } from "./tokenizer-json.js";
export { UNICODE_VERSION } from "./unicode-classes.js";
