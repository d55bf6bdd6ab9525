/**
 * @file What a step of a recipe is: it looks at one document and keeps it, edits its text, or drops it with a reason. A step
 * knows nothing of files, workers or counts.
 */
import type { Document } from "../../documents/index.js";
import type { Passage } from "../text/passage.js";

/** A document on its way through the steps, its text as a passage that knows words and lines. */
export interface Candidate extends Pick<Document, "id" | "url" | "source"> {
  readonly origin?: Document["origin"];
  /** As the input declares it, or as the language step found it. */
  language?: string;
  /** A step may add to them. */
  fields?: Document["fields"];
  passage: Passage;
}

/** What a step has to say of one document, kept beside the run's documents: `notes/<step>/`. */
export type Note = Readonly<Record<string, unknown>>;

/** A document is kept with another text. */
export interface Edit {
  readonly keep: true;
  readonly text: string;
  /** Bytes taken out and put in, where the step knows; else the difference counts as one of them. */
  readonly cut?: number;
  readonly added?: number;
  /** Words of the new text, where the step knows them. */
  readonly words?: number;
  /** What was edited, by reason: lines of C4, e-mails of personal data. */
  readonly edits?: Readonly<Record<string, number>>;
  readonly note?: Note;
}

export type Verdict =
  | { readonly keep: true }
  | Edit
  | { readonly keep: true; readonly found: Readonly<Record<string, number>> }
  | { readonly keep: false; readonly reason: string; readonly note?: Note };

export const KEEP: Verdict = { keep: true };

/** A verdict's reason is made once, not once a document. */
const drops = new Map<string, Verdict & { readonly keep: false }>();

export function drop(reason: string): Verdict {
  let verdict = drops.get(reason);
  if (verdict === undefined) {
    verdict = { keep: false, reason };
    drops.set(reason, verdict);
  }
  return verdict;
}

export interface Step {
  /** In kebab-case, unique in its recipe. */
  readonly name: string;
  /** What it is set to, as plain data: shown in the plan and part of a run's identity. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** False for a step that may well find nothing to do; otherwise the funnel says so when it changed nothing. */
  readonly expectsChange?: boolean;
  /** Called once in each worker before the first document: reads lists, loads models. */
  prepare?(): Promise<void>;
  judge(document: Candidate): Verdict;
}
