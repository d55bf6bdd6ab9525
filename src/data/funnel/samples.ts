/** @file A few documents of each step and verdict, the first of each task, to be looked at. */
import type { Candidate, Verdict } from "../filters/filter.js";

export interface Sample {
  readonly step: string;
  readonly verdict: "kept" | "edited" | "dropped";
  readonly reason?: string;
  readonly id: string;
  readonly url?: string;
  /** The text as it came to the step, its beginning; of an edit, from a little before where it was edited. */
  readonly text: string;
  /** After an edit. */
  readonly edited?: string;
  /** Of a page that was extracted: its HTML. */
  readonly html?: string;
}

/** Samples of one step and verdict or reason, in one task and in the report. */
export const MOST_SAMPLES = 3;
/** Reasons of one step that have samples. */
const MOST_REASONS = 30;
const SHOWN = 1200;
const SHOWN_HTML = 30_000;

export class Samples {
  readonly list: Sample[] = [];
  readonly #counts = new Map<string, number>();

  watch(step: string, document: Candidate, before: string, verdict: Verdict): void {
    if (!verdict.keep) {
      this.#add(step, "dropped", verdict.reason, () => ({ ...place(document), text: begin(before, 0) }));
    } else if ("text" in verdict && verdict.text !== before) {
      this.#add(step, "edited", undefined, () => {
        const from = Math.max(0, firstDifference(before, verdict.text) - 200);
        return { ...place(document), text: begin(before, from), edited: begin(verdict.text, from) };
      });
    } else {
      this.#add(step, "kept", undefined, () => ({ ...place(document), text: begin(before, 0) }));
    }
  }

  /** A page beside the text that was extracted from it. */
  page(step: string, id: string, url: string | undefined, shown: () => string, text: string, reason?: string): void {
    this.#add(step, reason === undefined ? "edited" : "dropped", reason, () => ({
      id,
      ...(url === undefined ? {} : { url }),
      text: "",
      edited: begin(text, 0),
      html: wellFormed(shown().slice(0, SHOWN_HTML)),
    }));
  }

  #add(
    step: string,
    verdict: Sample["verdict"],
    reason: string | undefined,
    make: () => Omit<Sample, "step" | "verdict" | "reason">,
  ): void {
    if (!take(this.#counts, step, verdict, reason)) return;
    this.list.push({ step, verdict, ...(reason === undefined ? {} : { reason }), ...make() });
  }
}

/** True when there is room for another sample of this kind, which is then counted. */
export function take(
  counts: Map<string, number>,
  step: string,
  verdict: Sample["verdict"],
  reason: string | undefined,
): boolean {
  const key = JSON.stringify([step, verdict, reason]);
  const count = counts.get(key) ?? 0;
  if (count >= MOST_SAMPLES || (count === 0 && counts.size >= MOST_REASONS * 20)) return false;
  counts.set(key, count + 1);
  return true;
}

const place = ({ id, url }: Candidate) => ({ id, ...(url === undefined ? {} : { url }) });
const begin = (text: string, from: number) => wellFormed(text.slice(from, from + SHOWN));

/** A cut may have halved a surrogate pair, which is no text. */
const wellFormed = (text: string) => text.replace(/\p{Cs}/gu, "");

function firstDifference(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a.charCodeAt(i) !== b.charCodeAt(i)) return i;
  return length;
}
