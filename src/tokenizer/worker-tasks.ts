/** @file The messages between the tokenizer's worker threads and the thread that started them. */
import type { LinesBlock, ReadReport } from "../documents/index.js";
import type { PretokenCounts } from "./learn/pretoken-counts.js";
import type { TokenizerSnapshot } from "./snapshot.js";

/** The setup message of a worker. */
export type Setup =
  | {
      readonly work: "count";
      readonly pattern: string;
      /** Distinct pretokens after which a worker hands over its counts. */
      readonly maxDistinct: number;
    }
  | { readonly work: "encode"; readonly tokenizer: TokenizerSnapshot; readonly endOfText: number };

/** Documents to process: strings, UTF-8 bytes, or lines that are not parsed yet. */
export type TextTask =
  | { readonly kind: "texts"; readonly texts: readonly string[] }
  | BytesTask
  | { readonly kind: "lines"; readonly lines: LinesBlock; readonly split: SplitFilter | undefined };

/**
 * Texts as valid UTF-8, concatenated in bytes[start, end). Bytes after the last of `ends` are part of a text that continues in
 * the next task.
 */
export interface BytesTask {
  readonly kind: "bytes";
  /**
   * The whole of its buffer, with PADDING readable bytes after the last text. A shared buffer is overwritten when the next task
   * is read (see `TextBuffers`).
   */
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  /** Offset in `bytes` at which each text ends. */
  readonly ends: readonly number[];
}

/** Selects the documents of one split. */
export interface SplitFilter {
  /** Share of the documents that is held out, from 0 to 1. */
  readonly heldoutShare: number;
  /** Whether the held-out documents are selected, or all others. */
  readonly selectHeldout: boolean;
}

/** Texts to count, or "take", which requests all counts not handed over yet. */
export type CountTask = TextTask | "take";
export interface CountResult {
  /** Counts that the worker hands over, if any. */
  readonly counts: PretokenCounts | undefined;
  readonly documents: number;
  /** Reports the records that were skipped because they contain no text. */
  readonly unread: ReadReport | undefined;
}

export type EncodeTask = TextTask;
/** A buffer of ids in memory that all threads share. */
export type SharedIds = Uint32Array<SharedArrayBuffer>;
export interface EncodeRequest {
  readonly task: EncodeTask;
  /** Receives the ids. */
  readonly into: SharedIds;
}
export interface EncodeResult {
  /** The ids of all texts, each followed by its end-of-text token. Ids after the last end are part of a text that continues. */
  readonly ids: Uint32Array;
  /** Index in `ids` after each text's end-of-text token. */
  readonly ends: Uint32Array<ArrayBuffer>;
  /** UTF-8 bytes of the texts. */
  readonly bytes: number;
  /** Documents that belong to the other split. */
  readonly others: number;
  /** Reports the records that were skipped because they contain no text. */
  readonly unread: ReadReport | undefined;
}
