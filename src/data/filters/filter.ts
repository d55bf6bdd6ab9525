/**
 * @file A step of a recipe: receives one document and keeps it, edits its text, or drops it with a reason. A step has no access
 * to files, workers or counts.
 */
import type { Document } from "../../documents/index.js";
import type { Passage } from "../text/passage.js";

/** A document on its way through the steps; its text is a passage with cached words and lines. */
export interface Candidate extends Pick<Document, "id" | "url" | "source"> {
  readonly origin?: Document["origin"];
  /** Declared by the input, or set by the language step. */
  language?: string;
  /** A step may add fields. */
  fields?: Document["fields"];
  passage: Passage;
}

/** A step's note on one document, written to `notes/<step>/`. */
export type Note = Readonly<Record<string, unknown>>;

/** Keeps a document with a new text. */
export interface Edit {
  readonly keep: true;
  readonly text: string;
  /**
   * Bytes removed and inserted, if the step counts them; otherwise the difference in length counts as removed or
   * inserted.
   */
  readonly cut?: number;
  readonly added?: number;
  /** Words of the new text, if the step counts them. */
  readonly words?: number;
  /** Number of edits by reason, such as C4's lines or e-mails of personal data. */
  readonly edits?: Readonly<Record<string, number>>;
  readonly note?: Note;
}

export type StepResult =
  | { readonly keep: true }
  | Edit
  | { readonly keep: true; readonly found: Readonly<Record<string, number>> }
  | { readonly keep: false; readonly reason: string; readonly note?: Note };

export const KEEP: StepResult = { keep: true };

/** Results are cached by reason, not created per document. */
const drops = new Map<string, StepResult & { readonly keep: false }>();

export function drop(reason: string): StepResult {
  let result = drops.get(reason);
  if (result === undefined) {
    result = { keep: false, reason };
    drops.set(reason, result);
  }
  return result;
}

export interface Step {
  /** In kebab-case, unique in its recipe. */
  readonly name: string;
  /** Settings as plain data: shown in the plan and part of a run's identity. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** False for a step that often changes nothing; otherwise the funnel warns when it changed nothing. */
  readonly expectsChange?: boolean;
  /** Called once in each worker before the first document: reads lists, loads models. */
  prepare?(): Promise<void>;
  judge(document: Candidate): StepResult;
}
