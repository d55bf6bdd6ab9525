/** @file Trains a tokenizer: counts pretokens, learns merges, and orders the vocabulary as Hugging Face's trainer does. */
import { availableParallelism } from "node:os";
import type { DocumentReader, ReadBytes } from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import type { OnProgress } from "../../progress.js";
import { END_OF_TEXT } from "../encode/added-tokens.js";
import { byteToUnit } from "../encode/byte-level.js";
import { type PatternName, patternSource, splitterFor } from "../encode/patterns.js";
import { tokenizerJsonFrame } from "../formats/tokenizer-json.js";
import { listedModel } from "../formats/vocabulary.js";
import { TokenTable } from "../token-table.js";
import { Tokenizer } from "../tokenizer.js";
import { countPretokens } from "./count-pretokens.js";
import { learnMerges } from "./learn-merges.js";
import type { TieRule } from "./pair-queue.js";
import type { PretokenCounts } from "./pretoken-counts.js";

/** The pattern of new tokenizers. llama.cpp splits text by it exactly, which it does not by cl100k's or o200k's. */
export const DEFAULT_PATTERN: PatternName = "llama3";

export interface TrainTokenizerOptions {
  /** Size of the vocabulary, including special tokens and the 256 bytes. */
  readonly vocabSize: number;
  /** Pattern that splits texts into pretokens: a published name or a regular expression; default llama3. */
  readonly pattern?: PatternName | (string & {});
  /** Special tokens, which get the first ids; default `<|endoftext|>`. */
  readonly special?: readonly string[];
  /** Which of several pairs with equal counts merges first; default `id`. */
  readonly tie?: TieRule;
  /** Pairs that occur less often are not merged; default 0. */
  readonly minFrequency?: number;
  /** Threads that count pretokens; default all hardware threads. The result does not depend on it. */
  readonly threads?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  /** The reader of the documents' files (a `DocumentReader`), if any; with it, progress includes the time left. */
  readonly reading?: ReadBytes;
}

/**
 * Trains a byte-level BPE tokenizer. Documents are streamed once and never all in memory; the counting threads parse those of a
 * `DocumentReader`. The result depends only on the documents' text, not on their order. The vocabulary is smaller than
 * `vocabSize` if the text runs out of pairs.
 * @throws QuernError if an option is invalid or there is no text; the signal's reason when it aborts
 */
export async function trainTokenizer(
  documents: Iterable<string> | AsyncIterable<string> | DocumentReader,
  options: TrainTokenizerOptions,
): Promise<Tokenizer> {
  checkOptions(options);
  // An invalid pattern is a usage error (exit code 2), reported before anything is read.
  await splitterFor(options.pattern ?? DEFAULT_PATTERN).catch((error: unknown) => {
    throw error instanceof QuernError ? new QuernError(error.message, { exitCode: 2, cause: error }) : error;
  });
  const counts = await countPretokens(documents, {
    pattern: options.pattern ?? DEFAULT_PATTERN,
    threads: options.threads ?? availableParallelism(),
    signal: options.signal,
    onProgress: options.onProgress,
    reading: options.reading,
  });
  return tokenizerFromCounts(counts, options);
}

/** Learns merges from counted pretokens and builds the tokenizer. */
async function tokenizerFromCounts(words: PretokenCounts, options: TrainTokenizerOptions): Promise<Tokenizer> {
  const special = options.special ?? [END_OF_TEXT];
  const tokens = new TokenTable(options.vocabSize, options.vocabSize * 8);
  const utf8 = new TextEncoder();
  special.forEach((content, id) => {
    const bytes = utf8.encode(content);
    tokens.add(id, bytes, 0, bytes.length, true);
  });
  // Byte tokens are ordered by their characters in the byte-level alphabet, as in Hugging Face's trainer.
  const byteIds = new Int32Array(256);
  const order = Array.from({ length: 256 }, (_, byte) => byte).sort((a, b) => byteToUnit[a] - byteToUnit[b]);
  for (const byte of order) {
    byteIds[byte] = tokens.size;
    tokens.add(tokens.size, Uint8Array.of(byte), 0, 1, true);
  }
  const learned = await learnMerges(words, tokens, byteIds, {
    vocabSize: options.vocabSize,
    minFrequency: options.minFrequency ?? 0,
    tie: options.tie ?? "id",
    signal: options.signal,
    onProgress: options.onProgress,
  });
  const added = special.map((content, id) => ({
    ...{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
  }));
  const list = {
    left: Int32Array.from(learned.left),
    right: Int32Array.from(learned.right),
    merged: Int32Array.from(learned.merged),
  };
  const pattern = patternSource(options.pattern ?? DEFAULT_PATTERN);
  return new Tokenizer({
    model: listedModel(tokens, list, false),
    splitter: await splitterFor(pattern),
    added,
    json: tokenizerJsonFrame({ pattern, added, wholeFirst: false }),
    config: configOf(special),
    mergesAsPairs: true,
  });
}

function checkOptions({ vocabSize, special = [END_OF_TEXT], minFrequency = 0 }: TrainTokenizerOptions): void {
  const least = 256 + special.length;
  if (!Number.isInteger(vocabSize) || vocabSize < least) {
    throw new QuernError(
      `a vocabulary of ${vocabSize} is too small: the 256 bytes and ${special.length} special tokens need at least ${least}`,
      { exitCode: 2 },
    );
  }
  if (vocabSize > 1 << 20) {
    throw new QuernError(`a vocabulary of ${vocabSize} is too large: the maximum is ${1 << 20}`, {
      exitCode: 2,
    });
  }
  if (!(minFrequency >= 0))
    throw new QuernError(`the minimum frequency must be 0 or more, not ${minFrequency}`, { exitCode: 2 });
  const seen = new Set<string>();
  for (const content of special) {
    if (content === "") throw new QuernError("a special token is empty; give each some text", { exitCode: 2 });
    if (content.length === 1) {
      throw new QuernError(`the special token ${content} is a single character; give it a longer text`, {
        exitCode: 2,
      });
    }
    if (seen.has(content)) throw new QuernError(`the special token ${content} is given twice`, { exitCode: 2 });
    seen.add(content);
  }
}

/** Builds tokenizer_config.json, from which transformers reads the tokenizer's class and end-of-text token. */
function configOf(special: readonly string[]): Readonly<Record<string, unknown>> {
  const end = special.includes(END_OF_TEXT) ? END_OF_TEXT : undefined;
  return {
    tokenizer_class: "PreTrainedTokenizerFast",
    clean_up_tokenization_spaces: false,
    model_max_length: 1e30,
    added_tokens_decoder: Object.fromEntries(
      special.map((content, id) => [
        id,
        { content, lstrip: false, normalized: false, rstrip: false, single_word: false, special: true },
      ]),
    ),
    ...(end === undefined ? {} : { bos_token: end, eos_token: end, unk_token: end, pad_token: end }),
  };
}
