/** @file What a judge is: it sees two answers to one instruction, in an order, and prefers one. */
import { createHash } from "node:crypto";
import type { Completion } from "../parsers.js";
import type { Preference } from "../win-rate.js";

/** Two answers as a judge sees them. */
export interface ShownPair {
  readonly instruction: string;
  /** The answer shown first. */
  readonly first: string;
  readonly second: string;
  /** Further fields of the prompt, which templates may use. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** Where the prompt stands, for errors: `line 7 of prompts.jsonl`. */
  readonly place: string;
}

/** Why a judgement has no preference, such as `unreadable`, `too_long`, `status_429`; `detail` says more. */
export interface Drop {
  readonly reason: string;
  readonly detail: string;
}

/** Tokens and time that a judgement took. */
export interface JudgeCost {
  /** Null if the judge does not count. */
  readonly promptTokens: number | null;
  readonly completionTokens: number | null;
  readonly seconds: number;
  /** Whether the completion came from the cache. */
  readonly cached: boolean;
}

export interface Judgement extends JudgeCost {
  /** 1 prefers the answer shown first, 2 the second, 1.5 is a tie; null if there is none. */
  readonly preference: Preference;
  readonly drop: Drop | null;
  /** What the judge answered: a completion, or the two rewards. */
  readonly raw: Completion | { readonly rewards: readonly number[] } | null;
}

/** An open judge. */
export interface Judge {
  /** Its name in annotations. */
  readonly name: string;
  /** The judging model, to recognise its own answers; null if there is none. */
  readonly model: string | null;
  /** All that its judgements depend on beside the pair, as JSON. */
  readonly identity: unknown;
  /** Whether the order of two answers can matter to it. */
  readonly seesOrder: boolean;
  /** Pairs of one call of `judge`, and calls at the same time. */
  readonly group: number;
  readonly concurrency: number;
  /**
   * Judges pairs, in their order. A pair that it cannot judge has a reason; a judge that fails altogether throws.
   */
  judge(pairs: readonly ShownPair[], options?: { readonly signal?: AbortSignal }): Promise<readonly Judgement[]>;
  close(): Promise<void>;
}

export const FREE: JudgeCost = { promptTokens: 0, completionTokens: 0, seconds: 0, cached: false };

/** A judgement without a preference. */
export function dropped(
  reason: string,
  detail: string,
  cost: JudgeCost = FREE,
  raw: Judgement["raw"] = null,
): Judgement {
  return { preference: null, drop: { reason, detail }, raw, ...cost };
}

/** Returns the SHA-256 of a JSON value in hexadecimal. */
export const hashOf = (value: unknown) => createHash("sha256").update(JSON.stringify(value)).digest("hex");
