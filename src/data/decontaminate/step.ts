/** @file The step that takes evaluation examples out of training text. */
import { z } from "zod";
import { QuernError } from "../../errors.js";
import { KEEP, type Step } from "../filters/filter.js";
import { stepOptions, words } from "../filters/step-options.js";
import { BenchmarkGrams } from "./benchmarks.js";

export interface DecontaminationOptions {
  /** JSONL files, an evaluation set each. */
  readonly against: readonly string[];
  /** Words in an n-gram. Default 13. */
  readonly ngram?: number;
  /** Share of an example's n-grams that a document must have, from 0 to 1. By default one n-gram is enough. */
  readonly threshold?: number;
  /** What goes: the document, or the stretches that overlap. Default the document. */
  readonly remove?: "document" | "span";
}

const SHOWN = 200;

/** Leaves a note on each document that it finds something in: the examples, and the first stretch of text. */
export function decontamination(given: DecontaminationOptions): Step {
  const options = stepOptions(
    "decontaminate",
    given,
    {},
    {
      against: words,
      ngram: z.int().min(1).max(1000).optional(),
      threshold: z.number().min(0).max(1).optional(),
      remove: z.enum(["document", "span"]).optional(),
    },
  );
  const { against, ngram = 13, threshold = 0, remove = "document" } = options;
  if (against.length === 0)
    throw new QuernError("decontamination() needs an evaluation set in `against`", { exitCode: 2 });
  const grams = new BenchmarkGrams(ngram);
  let ready: Promise<void> | undefined;
  return {
    name: "decontaminate",
    settings: { against: against.map((file) => ({ file })), ngram, threshold, remove },
    expectsChange: false,
    prepare() {
      ready ??= (async () => {
        for (const file of against) await grams.add(file);
      })();
      return ready;
    },
    judge({ passage }) {
      const { text } = passage;
      const { examples, spans } = grams.find(text, threshold);
      if (examples.length === 0) return KEEP;
      const named = [...examples].sort((a, b) => b.share - a.share);
      const [start, end] = spans[0];
      const overlap = text.slice(start, Math.min(end, start + SHOWN)).replace(/\p{Cs}/gu, "");
      const note = { examples: named, spans: spans.length, overlap };
      const reason = `overlaps ${named[0].benchmark}`;
      if (remove === "document") return { keep: false, reason, note };
      const rest = withoutSpans(text, spans);
      if (rest.trim() === "") return { keep: false, reason, note };
      return { keep: true, text: rest, edits: { [reason]: spans.length }, note };
    },
  };
}

/** A text without some stretches; what stood on their two sides is parted by the white space that was there. */
function withoutSpans(text: string, spans: readonly (readonly [number, number])[]): string {
  let rest = "";
  let from = 0;
  for (const [start, end] of spans) {
    rest += text.slice(from, start);
    from = end;
    // One of the two spaces around what was cut goes with it.
    if (text[from] === " " && (rest === "" || /\s$/.test(rest))) from += 1;
  }
  return rest + text.slice(from);
}
