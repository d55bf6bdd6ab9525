/** @file What a generated answer gives to each metric: exact_match at once, or the pair that a corpus metric needs. */
import { QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";
import { exactMatcher } from "./exact-match.js";
import { PythonFloat, pythonFloat } from "./python-json.js";

export interface GenerationMetric {
  readonly metric: string;
  /** The other keys of its entry in `metric_list`. */
  readonly options?: Readonly<Record<string, unknown>>;
}

/** Metrics of a whole corpus: a document gives the pair of gold and answer. */
const PAIRED: readonly string[] = ["bleu", "chrf", "chrf++", "ter"];

export const GENERATION_METRICS: readonly string[] = ["exact_match", ...PAIRED, "bypass"];

export interface GenerationOutcome {
  /** The answer after the filters. */
  readonly result: unknown;
  /** The right answer; a list if the task has several. */
  readonly gold: unknown;
  readonly hasSeveralGolds: boolean;
}

/**
 * Compiles the metrics of a `generate_until` task; the returned function gives the values of one document. With several right
 * answers, exact_match is 1 if one of them matches.
 *
 * @throws QuernError for a metric or option that is not known; later for answers or references that are not text
 */
export function generationScorer(
  metrics: readonly GenerationMetric[],
): (outcome: GenerationOutcome) => Record<string, unknown> {
  const scorers = metrics.map(({ metric, options = {} }) => [metric, scorerOf(metric, options)] as const);
  return (outcome) => Object.fromEntries(scorers.map(([metric, score]) => [metric, score(outcome)]));
}

function scorerOf(metric: string, options: Readonly<Record<string, unknown>>): (outcome: GenerationOutcome) => unknown {
  if (metric === "exact_match") {
    const matches = exactMatcher(options);
    return ({ result, gold, hasSeveralGolds }) => {
      const text = textOf(result, "answer");
      const golds = hasSeveralGolds && Array.isArray(gold) ? (gold as unknown[]) : [gold];
      const found = matches(
        golds.map(() => text),
        golds.map(pythonText),
      );
      return Number(found.includes(true));
    };
  }
  if (metric === "bypass") return () => null;
  if (!PAIRED.includes(metric)) {
    throw new QuernError(
      `the metric ${quoted(metric)} is not one of generate_until; use ${GENERATION_METRICS.join(", ")}`,
    );
  }
  return ({ result, gold, hasSeveralGolds }) => {
    if (hasSeveralGolds) {
      throw new QuernError(
        `the metric ${metric} does not take several right answers; lm-eval only counts them as true`,
      );
    }
    return [Array.isArray(gold) ? gold : pythonText(gold), Array.isArray(result) ? result : textOf(result, "answer")];
  };
}

function textOf(value: unknown, what: string): string {
  if (typeof value === "string") return value;
  throw new QuernError(`the ${what} ${quoted(String(value))} is not text; end the filters with take_first`);
}

/** Returns `str(value)` of a plain value: lm-eval turns a reference into text like the answer. */
function pythonText(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "boolean") return value ? "True" : "False";
  if (value === null || value === undefined) return "None";
  if (typeof value === "bigint" || value instanceof PythonFloat) return value.toString();
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : pythonFloat(value);
  throw new QuernError("a right answer is neither text nor a number; doc_to_target must give one of them");
}
