/**
 * @file The metrics of lm-eval by name: for which requests they are, how documents are aggregated, and in which direction they
 * improve.
 */
import { QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";
import type { AggregationName } from "./aggregations.js";
import type { ScoredContinuation } from "./choice-metrics.js";
import { PythonRegex } from "./python-regex.js";
import { utf8Bytes } from "./python-text.js";

export type OutputType = "loglikelihood" | "loglikelihood_rolling" | "multiple_choice" | "generate_until";

export interface Metric {
  readonly outputTypes: readonly OutputType[];
  readonly aggregation: AggregationName;
  readonly higherIsBetter: boolean;
}

const CHOICES: readonly OutputType[] = ["loglikelihood", "multiple_choice"];
const ONE_CHOICE: readonly OutputType[] = ["multiple_choice"];
const ROLLING: readonly OutputType[] = ["loglikelihood_rolling"];
const GENERATED: readonly OutputType[] = ["generate_until"];

const METRICS: Readonly<Record<string, Metric>> = {
  acc: { outputTypes: CHOICES, aggregation: "mean", higherIsBetter: true },
  acc_norm: { outputTypes: CHOICES, aggregation: "mean", higherIsBetter: true },
  acc_bytes: { outputTypes: CHOICES, aggregation: "mean", higherIsBetter: true },
  acc_mutual_info: { outputTypes: ONE_CHOICE, aggregation: "mean", higherIsBetter: true },
  acc_all: { outputTypes: ["loglikelihood"], aggregation: "acc_all", higherIsBetter: true },
  brier_score: { outputTypes: ONE_CHOICE, aggregation: "brier_score", higherIsBetter: false },
  f1: { outputTypes: ONE_CHOICE, aggregation: "f1", higherIsBetter: true },
  mcc: { outputTypes: ONE_CHOICE, aggregation: "matthews_corrcoef", higherIsBetter: true },
  likelihood: { outputTypes: ONE_CHOICE, aggregation: "mean", higherIsBetter: true },
  perplexity: { outputTypes: ["loglikelihood"], aggregation: "perplexity", higherIsBetter: false },
  word_perplexity: { outputTypes: ROLLING, aggregation: "weighted_perplexity", higherIsBetter: false },
  byte_perplexity: { outputTypes: ROLLING, aggregation: "weighted_perplexity", higherIsBetter: false },
  bits_per_byte: { outputTypes: ROLLING, aggregation: "bits_per_byte", higherIsBetter: false },
  exact_match: { outputTypes: ["generate_until", "multiple_choice"], aggregation: "mean", higherIsBetter: true },
  bleu: { outputTypes: GENERATED, aggregation: "bleu", higherIsBetter: true },
  chrf: { outputTypes: GENERATED, aggregation: "chrf", higherIsBetter: true },
  "chrf++": { outputTypes: GENERATED, aggregation: "chrf++", higherIsBetter: true },
  ter: { outputTypes: GENERATED, aggregation: "ter", higherIsBetter: false },
  bypass: {
    outputTypes: ["loglikelihood", "multiple_choice", "generate_until"],
    aggregation: "bypass",
    higherIsBetter: true,
  },
};

/** The metrics of a task without `metric_list`. */
export const DEFAULT_METRICS: Readonly<Record<OutputType, readonly string[]>> = {
  loglikelihood: ["perplexity", "acc"],
  loglikelihood_rolling: ["word_perplexity", "byte_perplexity", "bits_per_byte"],
  multiple_choice: ["acc", "acc_norm"],
  generate_until: ["exact_match"],
};

/** Returns the metric called `name`, or undefined; a task's own `process_results` may use names that lm-eval lacks. */
export function metricOf(name: string): Metric | undefined {
  return Object.hasOwn(METRICS, name) ? METRICS[name] : undefined;
}

/** @throws QuernError for a metric that requests of this type do not have */
export function checkMetric(name: string, outputType: OutputType): Metric {
  const metric = metricOf(name);
  if (metric?.outputTypes.includes(outputType)) return metric;
  const known = Object.keys(METRICS).filter((key) => METRICS[key]!.outputTypes.includes(outputType));
  throw new QuernError(`the metric ${quoted(name)} is not one of ${outputType}; use ${known.join(", ")}`);
}

/** Returns what a document of a `loglikelihood` task gives: its log-likelihood, and whether greedy decoding agrees. */
export function likelihoodValues(result: ScoredContinuation, wanted: readonly string[]): Record<string, number> {
  const values: Record<string, number> = {};
  if (wanted.includes("perplexity")) values.perplexity = result.logLikelihood;
  if (wanted.includes("acc")) values.acc = Number(result.isGreedy);
  return values;
}

/** Returns what a document of a `loglikelihood_rolling` task gives: pairs of log-likelihood and length of the target. */
export function rollingValues(
  logLikelihood: number,
  target: string,
  wanted: readonly string[],
): Record<string, readonly [logLikelihood: number, length: number]> {
  const values: Record<string, readonly [number, number]> = {};
  const bytes = utf8Bytes(target);
  if (wanted.includes("word_perplexity")) values.word_perplexity = [logLikelihood, countWords(target)];
  if (wanted.includes("byte_perplexity")) values.byte_perplexity = [logLikelihood, bytes];
  if (wanted.includes("bits_per_byte")) values.bits_per_byte = [logLikelihood, bytes];
  return values;
}

const SPACES = new PythonRegex("\\s+");

/** Returns the words of a text as lm-eval counts them; white space at an end adds an empty word. */
export function countWords(text: string): number {
  return SPACES.split(text).length;
}
