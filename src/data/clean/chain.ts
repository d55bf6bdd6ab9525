/**
 * @file Runs one document through the steps of a recipe and counts each step. The counts do not rely on what the steps
 * report about themselves, so errors in either show up in the funnel's checks.
 */
import { QuernError } from "../../errors.js";
import { show } from "../../options.js";
import { quoted } from "../../printable.js";
import { userPlace } from "../../user-place.js";
import { isPromise } from "../filters/custom.js";
import type { Candidate, Edit, Step, StepResult } from "../filters/filter.js";
import { domainOf } from "../filters/url.js";
import { type Amount, addNamed, addTo, countNamed, flowOf, newCounts, type StepCounts } from "../funnel/counts.js";

export interface Dropped {
  readonly keep: false;
  readonly step: string;
  readonly reason: string;
}

export type Outcome = { readonly keep: true } | Dropped;

/** Called after each step with the document; collects samples. */
export type Watch = (step: number, document: Candidate, before: string, result: StepResult) => void;

export class Chain {
  readonly steps: readonly Step[];
  readonly counts: readonly StepCounts[];
  readonly #watch: Watch | undefined;

  constructor(steps: readonly Step[], watch?: Watch) {
    this.steps = steps;
    this.counts = steps.map(({ name }) => newCounts(name));
    this.#watch = watch;
  }

  async prepare(): Promise<void> {
    for (const step of this.steps) {
      try {
        await step.prepare?.();
      } catch (error) {
        throw stepFault(step, error);
      }
    }
  }

  /** Runs a document through all steps, which update its passage and language. */
  run(document: Candidate): Outcome {
    const domain = domainOf(document.url);
    for (let i = 0; i < this.steps.length; i++) {
      const step = this.steps[i];
      const counts = this.counts[i];
      const before = document.passage;
      const languageBefore = document.language ?? "und";
      const result = runStep(step, document);
      const amountIn: Amount = [1, before.bytes, before.wordCount];
      addTo(counts.in, amountIn);
      let amountOut: Amount | undefined;
      if (result.keep) {
        if ("text" in result && result.text !== before.text) {
          document.passage = before.edited(result.text, result.words);
          this.#countEdit(counts, result, before.bytes, document);
          const words = document.passage.wordCount - before.wordCount;
          if (words < 0) counts.cut[2] -= words;
          else counts.added[2] += words;
        }
        const found = "found" in result ? result.found : "edits" in result ? result.edits : undefined;
        for (const name in found) countNamed(counts.edits, name, found[name]);
        amountOut = [1, document.passage.bytes, document.passage.wordCount];
        addTo(counts.out, amountOut);
      } else {
        addTo(counts.dropped, amountIn);
        addNamed(counts.reasons, result.reason, amountIn);
      }
      const flows = [flowOf(counts.domains, domain), flowOf(counts.sources, document.source)];
      for (const flow of flows) addTo(flow.in, amountIn);
      addTo(flowOf(counts.languages, languageBefore).in, amountIn);
      if (amountOut !== undefined) {
        for (const flow of flows) addTo(flow.out, amountOut);
        addTo(flowOf(counts.languages, document.language ?? "und").out, amountOut);
      }
      this.#watch?.(i, document, before.text, result);
      if (!result.keep) return { keep: false, step: step.name, reason: result.reason };
    }
    return { keep: true };
  }

  #countEdit(counts: StepCounts, result: Edit, bytesBefore: number, { passage }: Candidate): void {
    counts.edited += 1;
    const net = passage.bytes - bytesBefore;
    const cut = result.cut ?? Math.max(0, -net);
    counts.cut[1] += cut;
    counts.added[1] += result.added ?? Math.max(0, net);
  }
}

/**
 * Runs a step and checks its result, since the step may be user code. @throws QuernError that names step and document
 */
function runStep(step: Step, document: Candidate): StepResult {
  let result: StepResult;
  try {
    result = step.judge(document);
  } catch (error) {
    throw stepFault(step, error, document.id);
  }
  const fault = faultOf(result);
  if (fault !== undefined) throw stepFault(step, new QuernError(fault, { exitCode: 2 }), document.id);
  return result;
}

function faultOf(result: StepResult): string | undefined {
  if (isPromise(result)) {
    result.catch(() => {});
    return "it returned a promise; a step must not be an async function";
  }
  if (typeof result !== "object" || result === null || typeof result.keep !== "boolean") {
    return `it returned ${show(result)}; it must return { keep: true } or { keep: false, reason }`;
  }
  if (!result.keep && typeof result.reason !== "string") return "it dropped the document without a reason";
  return result.keep && "text" in result && typeof result.text !== "string" ? "its text is not a string" : undefined;
}

/** Attributes an error to the step whose code threw it; Quern's own errors stay unchanged. */
function stepFault(step: Step, error: unknown, id?: string): unknown {
  const at = id === undefined ? "" : ` on the document ${quoted(id)}`;
  const place = userPlace(error);
  if (error instanceof QuernError) {
    if (id === undefined) return error;
    return new QuernError(`the step "${step.name}" of the recipe failed${at}: ${error.message}`, {
      exitCode: error.exitCode,
      cause: error,
    });
  }
  const isUsers = place !== undefined || "code" in (step.settings ?? {}) || !(error instanceof Error);
  if (!isUsers) return error;
  const reason = error instanceof Error ? error.message.split("\n")[0] : show(error);
  const where = place === undefined ? "" : ` (${place})`;
  return new QuernError(`the step "${step.name}" of the recipe failed${at}: ${quoted(reason)}${where}`, {
    exitCode: 1,
    cause: error,
  });
}
