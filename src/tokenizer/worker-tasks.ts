/** @file What is said between the tokenizer's worker threads and the thread that started them. */
import type { PretokenCounts } from "./pretoken-counts.js";
import type { TokenizerSnapshot } from "./snapshot.js";

/** What a worker is told when it starts. */
export type Setup =
  | {
      readonly work: "count";
      readonly pattern: string;
      /** Distinct pretokens after which a worker hands over what it has counted. */
      readonly kept: number;
    }
  | { readonly work: "encode"; readonly tokenizer: TokenizerSnapshot; readonly endOfText: number };

/** Texts to count, or the question for what was counted and not handed over. */
export type CountTask = { readonly texts: readonly string[] } | "take";
/** Counts that the worker has given up, if any. */
export type CountResult = PretokenCounts | undefined;

export interface EncodeTask {
  readonly texts: readonly string[];
}
/** The ids of the texts one after the other, each with its end-of-text token, and where each ends. */
export interface EncodeResult {
  readonly ids: Uint32Array<ArrayBuffer>;
  readonly ends: Uint32Array<ArrayBuffer>;
  /** UTF-8 bytes of the texts. */
  readonly bytes: number;
}

/** What a worker sends back for each task. */
export type Reply = { readonly result: unknown } | { readonly error: string; readonly refused: boolean };
