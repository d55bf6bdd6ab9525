/**
 * @file Sample documents for the report, a few for each step and outcome. They are chosen by a hash of their ids, so
 * the choice does not depend on the order of the input or its division into tasks.
 */
import type { Candidate, StepResult } from "../filters/filter.js";

export interface Sample {
  readonly step: string;
  readonly verdict: "kept" | "edited" | "dropped";
  readonly reason?: string;
  readonly id: string;
  readonly url?: string;
  /** The beginning of the text before the step; for an edit, from shortly before the first change. */
  readonly text: string;
  /** The text after an edit. */
  readonly edited?: string;
  /** HTML of a page from which text was extracted. */
  readonly html?: string;
}

/** Number of samples of one step and outcome or reason, per task and in the report. */
export const MOST_SAMPLES = 3;
/** Limit on combinations of step, outcome and reason with samples: a recipe may define many reasons. */
const MOST_KINDS = 600;
/** Length of an excerpt, of text and of HTML. Characters. */
const SHOWN = 1200;
const SHOWN_HTML = 30_000;

interface Ranked {
  readonly rank: number;
  readonly sample: Sample;
}

export class Samples {
  readonly #kinds = new Map<string, Ranked[]>();

  /** The current samples, by kind and then by hash. */
  get list(): Sample[] {
    return [...this.#kinds.values()].flatMap((ranked) => ranked.map(({ sample }) => sample));
  }

  /** Considers a document that a step kept, edited or dropped as a sample. */
  add(step: string, document: Candidate, before: string, verdict: StepResult): void {
    if (!verdict.keep) {
      this.#addSample(step, "dropped", verdict.reason, document.id, () => ({
        ...place(document),
        text: begin(before, 0),
      }));
    } else if ("text" in verdict && verdict.text !== before) {
      this.#addSample(step, "edited", undefined, document.id, () => {
        const from = Math.max(0, firstDifference(before, verdict.text) - 200);
        return { ...place(document), text: begin(before, from), edited: begin(verdict.text, from) };
      });
    } else {
      this.#addSample(step, "kept", undefined, document.id, () => ({ ...place(document), text: begin(before, 0) }));
    }
  }

  /** Considers a page and its extracted text as a sample. */
  addPage(step: string, id: string, url: string | undefined, shown: () => string, text: string, reason?: string): void {
    this.#addSample(step, reason === undefined ? "edited" : "dropped", reason, id, () => ({
      id,
      ...(url === undefined ? {} : { url }),
      text: "",
      edited: begin(text, 0),
      html: wellFormed(shown().slice(0, SHOWN_HTML)),
    }));
  }

  #addSample(
    step: string,
    verdict: Sample["verdict"],
    reason: string | undefined,
    id: string,
    make: () => Omit<Sample, "step" | "verdict" | "reason">,
  ): void {
    const key = kindOf(step, verdict, reason);
    let ranked = this.#kinds.get(key);
    if (ranked === undefined) {
      if (this.#kinds.size >= MOST_KINDS) return;
      ranked = [];
      this.#kinds.set(key, ranked);
    }
    const rank = rankOf(id);
    if (ranked.length === MOST_SAMPLES && rank >= ranked[MOST_SAMPLES - 1].rank) return;
    const sample = { step, verdict, ...(reason === undefined ? {} : { reason }), ...make() };
    const at = ranked.findIndex((other) => rank < other.rank);
    ranked.splice(at < 0 ? ranked.length : at, 0, { rank, sample });
    ranked.length = Math.min(ranked.length, MOST_SAMPLES);
  }
}

const kindOf = (step: string, verdict: Sample["verdict"], reason: string | undefined) =>
  `${step}\n${verdict}\n${reason ?? ""}`;

/** 32-bit FNV-1a hash of an id: cheap, and independent of the order of the input. */
function rankOf(id: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** Chooses samples from those of several tasks, as a single task would have done. */
export function chooseSamples(samples: readonly Sample[]): Sample[] {
  const kinds = new Map<string, Sample[]>();
  for (const sample of samples) {
    const key = kindOf(sample.step, sample.verdict, sample.reason);
    kinds.set(key, [...(kinds.get(key) ?? []), sample]);
  }
  return [...kinds.values()].flatMap((kind) => kind.sort((a, b) => rankOf(a.id) - rankOf(b.id)).slice(0, MOST_SAMPLES));
}

const place = ({ id, url }: Candidate) => ({ id, ...(url === undefined ? {} : { url }) });
const begin = (text: string, from: number) => wellFormed(text.slice(from, from + SHOWN));

/** Removes lone surrogates: a cut may have split a surrogate pair. */
const wellFormed = (text: string) => text.replace(/\p{Cs}/gu, "");

function firstDifference(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a.charCodeAt(i) !== b.charCodeAt(i)) return i;
  return length;
}
