/**
 * @file A few documents of each step and verdict to look at. They are chosen by a hash of their ids, so that neither the order
 * of the input nor its division into tasks decides, and a sorted input does not show only its beginning.
 */
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
/** Steps, verdicts and reasons that have samples: a recipe's own reasons may be many. */
const MOST_KINDS = 600;
const SHOWN = 1200;
const SHOWN_HTML = 30_000;

interface Ranked {
  readonly rank: number;
  readonly sample: Sample;
}

export class Samples {
  readonly #kinds = new Map<string, Ranked[]>();

  /** The samples so far, by kind and then by hash. */
  get list(): Sample[] {
    return [...this.#kinds.values()].flatMap((ranked) => ranked.map(({ sample }) => sample));
  }

  watch(step: string, document: Candidate, before: string, verdict: Verdict): void {
    if (!verdict.keep) {
      this.#add(step, "dropped", verdict.reason, document.id, () => ({ ...place(document), text: begin(before, 0) }));
    } else if ("text" in verdict && verdict.text !== before) {
      this.#add(step, "edited", undefined, document.id, () => {
        const from = Math.max(0, firstDifference(before, verdict.text) - 200);
        return { ...place(document), text: begin(before, from), edited: begin(verdict.text, from) };
      });
    } else {
      this.#add(step, "kept", undefined, document.id, () => ({ ...place(document), text: begin(before, 0) }));
    }
  }

  /** A page beside the text that was extracted from it. */
  page(step: string, id: string, url: string | undefined, shown: () => string, text: string, reason?: string): void {
    this.#add(step, reason === undefined ? "edited" : "dropped", reason, id, () => ({
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

/** FNV-1a of an id, 32 bits: cheap, and unrelated to the order of the input. */
function rankOf(id: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** The samples of several tasks as one task would have chosen them. */
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

/** A cut may have halved a surrogate pair, which is no text. */
const wellFormed = (text: string) => text.replace(/\p{Cs}/gu, "");

function firstDifference(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a.charCodeAt(i) !== b.charCodeAt(i)) return i;
  return length;
}
