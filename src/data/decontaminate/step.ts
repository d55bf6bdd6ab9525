/** @file The cleaning step that removes evaluation examples from training text. */
import { z } from "zod";
import { QuernError } from "../../errors.js";
import { KEEP, type Step } from "../filters/filter.js";
import { stepOptions, words } from "../filters/step-options.js";
import { BenchmarkGrams } from "./benchmarks.js";

export interface DecontaminationOptions {
  /** Evaluation sets, one JSONL file each. */
  readonly against: readonly string[];
  /** Words per n-gram. Default 13. */
  readonly ngram?: number;
  /** Share of an example's n-grams, 0 to 1, that a document must contain to match. Default 0: one n-gram is enough. */
  readonly threshold?: number;
  /** What to remove: the whole document, or only the overlapping spans. Default: the document. */
  readonly remove?: "document" | "span";
}

/** UTF-16 units of the overlap that a note quotes. */
const QUOTED = 200;

/** Creates the step. It adds a note to each document that overlaps: the examples found and the first overlapping passage. */
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
    throw new QuernError("decontamination() needs at least one evaluation set in `against`", { exitCode: 2 });
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
      const overlap = text.slice(start, Math.min(end, start + QUOTED)).replace(/\p{Cs}/gu, "");
      const note = { examples: named, spans: spans.length, overlap };
      const reason = `overlaps ${named[0].benchmark}`;
      if (remove === "document") return { keep: false, reason, note };
      const rest = withoutSpans(text, spans);
      if (rest.trim() === "") return { keep: false, reason, note };
      return { keep: true, text: rest, edits: { [reason]: spans.length }, note };
    },
  };
}

/** Cuts spans out of a text. The texts on either side keep one of the spaces that separated them from the span. */
function withoutSpans(text: string, spans: readonly (readonly [number, number])[]): string {
  let rest = "";
  let from = 0;
  for (const [start, end] of spans) {
    rest += text.slice(from, start);
    from = end;
    // Drops one of the two spaces around the cut span.
    if (text[from] === " " && (rest === "" || /\s$/.test(rest))) from += 1;
  }
  return rest + text.slice(from);
}
