/**
 * @file Standard errors as lm-eval reports them: analytic where it has a formula, else by bootstrap; and those of groups of
 * tasks.
 */
import { QuernError } from "../../errors.js";
import { aggregationOf, numbersOf } from "./aggregations.js";
import { BOOTSTRAP_ITERATIONS, bootstrapError, sampleDeviation } from "./bootstrap.js";
import { questionsRight } from "./label-statistics.js";

export interface ErrorOptions {
  /** Bootstrap rounds; 0 computes no standard errors at all. Default 100,000. */
  readonly iterations?: number;
  /** The metric's name: those of generated text have at most 100 rounds in lm-eval. */
  readonly metric?: string;
}

const SLOW_METRICS: readonly string[] = ["bleu", "chrf", "chrf++", "ter"];
const SLOW_ITERATIONS = 100;

/**
 * Returns the standard error of an aggregated metric; null where lm-eval prints N/A: a single document, no rounds, or an
 * aggregation without an estimate.
 *
 * @throws QuernError for an unknown aggregation or values of another form
 */
export function standardError(
  aggregation: string,
  items: readonly unknown[],
  options: ErrorOptions = {},
): number | null {
  const { iterations = BOOTSTRAP_ITERATIONS, metric } = options;
  const { statistic, error } = aggregationOf(aggregation);
  if (items.length < 2 || iterations <= 0 || error === null) return null;
  if (error === "mean") return meanError(numbersOf(aggregation, items));
  if (error === "questions") return meanError(questionsRight(items, "question").map(Number));
  const isSlow = metric !== undefined && SLOW_METRICS.includes(metric);
  const rounds = isSlow ? Math.min(iterations, SLOW_ITERATIONS) : iterations;
  return bootstrapError(statistic(items), items.length, rounds);
}

/** Returns the standard error of a mean: the sample standard deviation by √n. */
export function meanError(values: ArrayLike<number>): number {
  return sampleDeviation(values) / Math.sqrt(values.length);
}

/** Returns the value of a group: the mean of its tasks' values, weighted by documents or not. */
export function groupValue(values: readonly number[], sizes: readonly number[], weighted: boolean): number {
  checkSizes(values, sizes);
  let sum = 0;
  let weight = 0;
  values.forEach((value, i) => {
    const size = weighted ? sizes[i]! : 1;
    sum += value * size;
    weight += size;
  });
  return sum / weight;
}

/** Returns the standard error of a group weighted by documents: the pooled variance of the tasks. */
export function pooledError(errors: readonly number[], sizes: readonly number[]): number {
  checkSizes(errors, sizes);
  let sum = 0;
  let documents = 0;
  errors.forEach((error, i) => {
    const size = sizes[i]!;
    sum += (size - 1) * error ** 2 * size;
    documents += size;
  });
  return Math.sqrt(sum / (documents - sizes.length) / documents);
}

/** Returns the standard error of the plain mean of independent tasks. */
export function unweightedError(errors: readonly number[]): number {
  if (errors.length === 0) throw new QuernError("a group has no tasks");
  return Math.sqrt(errors.reduce((sum, error) => sum + error ** 2, 0)) / errors.length;
}

/** Returns lm-eval's combined error, which also counts how far the tasks' values lie apart. lm-eval does not report it. */
export function combinedError(errors: readonly number[], sizes: readonly number[], values: readonly number[]): number {
  checkSizes(errors, sizes);
  checkSizes(values, sizes);
  let variance = errors[0]! ** 2;
  const size = sizes[0]!;
  let value = values[0]!;
  for (let i = 1; i < errors.length; i++) {
    const more = sizes[i]!;
    value = (value * size + values[i]! * more) / (size + more);
    const within = ((size - 1) * variance + (more - 1) * errors[i]! ** 2) / (size + more - 1);
    // lm-eval compares with the mean that already includes this task, and does not add its size.
    variance = within + ((size * more) / ((size + more) * (size + more - 1))) * (value - values[i]!) ** 2;
  }
  return Math.sqrt(variance);
}

function checkSizes(values: readonly unknown[], sizes: readonly number[]): void {
  if (values.length === sizes.length && values.length > 0) return;
  throw new QuernError(`a group has ${values.length} values for ${sizes.length} tasks`);
}
