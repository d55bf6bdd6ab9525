/** @file The messages between the tokenizer's worker threads and the thread that started them. */
import type { LinesBlock, ReadReport } from "../documents/index.js";
import type { PretokenCounts } from "./learn/pretoken-counts.js";
import type { TokenizerSnapshot } from "./snapshot.js";

/** What a worker starts with. */
export type Setup =
  | {
      readonly work: "count";
      readonly pattern: string;
      /** Distinct pretokens after which a worker hands over what it has counted. */
      readonly kept: number;
    }
  | { readonly work: "encode"; readonly tokenizer: TokenizerSnapshot; readonly endOfText: number };

/** Documents in what form they come: whole, or as bytes that nobody has made strings of. */
export type TextTask =
  | { readonly kind: "texts"; readonly texts: readonly string[] }
  | PackedTask
  | { readonly kind: "lines"; readonly lines: LinesBlock; readonly share: Share | undefined };

/**
 * Texts as valid UTF-8 one behind the other, from `start` to `end`. What lies behind the last of `ends` is a stretch of a
 * text that goes on.
 */
export interface PackedTask {
  readonly kind: "packed";
  /**
   * With PADDING bytes behind the last text; whole, that is, all of its buffer. If that is shared memory, it is good until
   * the next task is asked for (`TextRooms`).
   */
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  /** Where a text ends. */
  readonly ends: readonly number[];
}

/** The share of the documents that is held out, and whether those are wanted or the others. */
export interface Share {
  readonly heldout: number;
  readonly held: boolean;
}

/** Texts to count, or the question for what was counted and not handed over. */
export type CountTask = TextTask | "take";
export interface CountResult {
  /** Counts that the worker has given up, if any. */
  readonly counts: PretokenCounts | undefined;
  readonly documents: number;
  /** What was no text. */
  readonly unread: ReadReport | undefined;
}

export type EncodeTask = TextTask;
/** Room for ids in memory that all threads share. */
export type IdRoom = Uint32Array<SharedArrayBuffer>;
/** A task, and where its ids go. */
export interface EncodeOrder {
  readonly task: EncodeTask;
  readonly into: IdRoom;
}
/**
 * The ids of the texts one after the other, each with its end-of-text token, and where each ends; behind the last end, ids
 * of a text that goes on.
 */
export interface EncodeResult {
  readonly ids: Uint32Array;
  readonly ends: Uint32Array<ArrayBuffer>;
  /** UTF-8 bytes of the texts. */
  readonly bytes: number;
  /** Documents that are not of the share that is wanted. */
  readonly others: number;
  /** What was no text. */
  readonly unread: ReadReport | undefined;
}
