/** @file The interface of scorers: what they are given, and what they report per window. */
import type { Window } from "./windows.js";

/** The processes among which a call is divided. All make the same call, and all get the whole result, with the bits of one. */
export interface Division {
  /** This process's number, from 0. */
  readonly rank: number;
  readonly size: number;
  /** Returns every process's message, by rank. */
  gather<T>(own: T): Promise<readonly T[]>;
}

/**
 * Called with one value per scored token of a window, from `window.from` on; the arrays are valid during the call.
 * `greedy` is 1 for targets that are the likeliest token, and empty without the scorer's option of that name.
 */
export type OnWindow<W extends Window> = (window: W, nats: Float32Array, greedy: Float32Array) => void;

export interface ScoreOptions<W extends Window> {
  readonly signal?: AbortSignal;
  readonly onWindow: OnWindow<W>;
  /** Called after each batch with its number of scored tokens. */
  readonly onScored?: (tokens: number) => void;
  /** Only scorers with `greedy` can divide. */
  readonly division?: Division;
}

export interface Scorer {
  /**
   * Scores windows of any length up to the model's context, with a bounded number of compiled shapes.
   * @throws QuernError if this machine cannot compile a shape or has too little memory for it
   */
  score<W extends Window>(windows: Iterable<W>, options: ScoreOptions<W>): Promise<void>;
  dispose(): void;
}
