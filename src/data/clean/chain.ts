/**
 * @file One document through the steps of a recipe, each step counted. The counts are taken apart from the steps' own
 * accounts of what they did, so that the funnel's sums can be wrong and are checked.
 */
import { parse } from "tldts";
import type { Candidate, Edit, Step, Verdict } from "../filters/filter.js";
import { type Amount, addNamed, addTo, countNamed, flowOf, newCounts, type StepCounts } from "../funnel/counts.js";

export interface Dropped {
  readonly keep: false;
  readonly step: string;
  readonly reason: string;
}

export type Outcome = { readonly keep: true } | Dropped;

/** Told of every document that a step saw: for samples. */
export type Watch = (step: number, document: Candidate, before: string, verdict: Verdict) => void;

export class Chain {
  readonly steps: readonly Step[];
  readonly counts: readonly StepCounts[];
  readonly #watch: Watch | undefined;

  constructor(steps: readonly Step[], watch?: Watch) {
    this.steps = steps;
    this.counts = steps.map(({ name }) => newCounts(name));
    this.#watch = watch;
  }

  /** Reads lists and loads models. */
  async prepare(): Promise<void> {
    for (const step of this.steps) await step.prepare?.();
  }

  /** Sends a document through; its passage and language are then what the steps made of them. */
  judge(document: Candidate): Outcome {
    const domain = domainOf(document.url);
    for (let i = 0; i < this.steps.length; i++) {
      const step = this.steps[i];
      const counts = this.counts[i];
      const before = document.passage;
      const languageBefore = document.language ?? "und";
      const verdict = step.judge(document);
      const amountIn: Amount = [1, before.bytes, before.wordCount];
      addTo(counts.in, amountIn);
      let amountOut: Amount | undefined;
      if (verdict.keep) {
        if ("text" in verdict && verdict.text !== before.text) {
          document.passage = before.edited(verdict.text, verdict.words);
          this.#countEdit(counts, verdict, before.bytes, document);
          const words = document.passage.wordCount - before.wordCount;
          if (words < 0) counts.cut[2] -= words;
          else counts.added[2] += words;
        }
        const found = "found" in verdict ? verdict.found : "edits" in verdict ? verdict.edits : undefined;
        for (const name in found) countNamed(counts.edits, name, found[name]);
        amountOut = [1, document.passage.bytes, document.passage.wordCount];
        addTo(counts.out, amountOut);
      } else {
        addTo(counts.dropped, amountIn);
        addNamed(counts.reasons, verdict.reason, amountIn);
      }
      const flows = [flowOf(counts.domains, domain), flowOf(counts.sources, document.source)];
      for (const flow of flows) addTo(flow.in, amountIn);
      addTo(flowOf(counts.languages, languageBefore).in, amountIn);
      if (amountOut !== undefined) {
        for (const flow of flows) addTo(flow.out, amountOut);
        addTo(flowOf(counts.languages, document.language ?? "und").out, amountOut);
      }
      this.#watch?.(i, document, before.text, verdict);
      if (!verdict.keep) return { keep: false, step: step.name, reason: verdict.reason };
    }
    return { keep: true };
  }

  #countEdit(counts: StepCounts, verdict: Edit, bytesBefore: number, { passage }: Candidate): void {
    counts.edited += 1;
    const net = passage.bytes - bytesBefore;
    const cut = verdict.cut ?? Math.max(0, -net);
    counts.cut[1] += cut;
    counts.added[1] += verdict.added ?? Math.max(0, net);
  }
}

/** The registered domain of an address, its host where it has none, `(none)` without an address. */
export function domainOf(url: string | undefined): string {
  if (url === undefined) return "(none)";
  const { domain, hostname } = parse(url);
  return domain ?? hostname ?? "(none)";
}
