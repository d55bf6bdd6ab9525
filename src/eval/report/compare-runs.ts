/**
 * @file What changed between two runs: a paired test per task and metric, the documents that flipped, and those that cannot be
 * compared because their prompts differ.
 */
import { QuernError } from "../../errors.js";
import { aggregationOf, isAggregation } from "../harness/aggregations.js";
import { bootstrapValues } from "../harness/bootstrap.js";
import { metricOf } from "../harness/metrics.js";
import { type PairedDifference, pairedShares, pairedT, quantile } from "../statistics/index.js";
import { areBinary, type EvaluationRun, isMissing, metricsOf } from "./evaluation-run.js";
import { type Obstacle, type PairedSamples, pairSamples, type SamplePair } from "./paired-samples.js";
import { leavesOf } from "./result-rows.js";

/** One metric of one task or group in both runs, over the documents that both ran with the same prompts. */
export interface MetricComparison {
  readonly task: string;
  /** As in `results.json`: `acc,none`. */
  readonly metric: string;
  readonly documents: number;
  readonly value: number;
  readonly against: number;
  readonly difference: number;
  /** The interval of the difference. */
  readonly lower: number;
  readonly upper: number;
  /** Two-sided. */
  readonly p_value: number;
  readonly test: "McNemar exact" | "paired t" | "paired bootstrap";
  /** Documents whose value rose and fell. */
  readonly rose: number;
  readonly fell: number;
  readonly higher_is_better: boolean | null;
}

/** Documents by id whose value changed between 0 and 1. */
export interface FlippedDocuments {
  readonly gained: readonly number[];
  readonly lost: readonly number[];
}

export interface RunComparison {
  /** The names of both runs. */
  readonly run: string;
  readonly against: string;
  readonly confidence: number;
  readonly tests: readonly MetricComparison[];
  /** Metrics without a test, and why. */
  readonly untested: readonly { readonly task: string; readonly metric: string; readonly reason: string }[];
  /** By task and metric. */
  readonly flipped: Readonly<Record<string, Readonly<Record<string, FlippedDocuments>>>>;
  /** By task: the documents that no test counts, by reason. */
  readonly not_comparable: Readonly<Record<string, Readonly<Partial<Record<Obstacle, readonly number[]>>>>>;
  /** By task: documents of only one run. Tasks of only one run, or without samples, are listed beside. */
  readonly unmatched: Readonly<Record<string, { readonly run: number; readonly against: number }>>;
  readonly only_in_run: readonly string[];
  readonly only_in_against: readonly string[];
}

export interface CompareOptions {
  /** Of the intervals. Default .95. */
  readonly confidence?: number;
}

/**
 * Compares two runs over the documents that both evaluated with the same prompts. Values of 0 and 1 are compared by McNemar's
 * exact test, other means by the paired t test, and metrics that are no means by a paired bootstrap over documents.
 */
export function compareRuns(
  run: EvaluationRun,
  against: EvaluationRun,
  { confidence = 0.95 }: CompareOptions = {},
): RunComparison {
  const tests: MetricComparison[] = [];
  const untested: { task: string; metric: string; reason: string }[] = [];
  const flipped: Record<string, Record<string, FlippedDocuments>> = {};
  const notComparable: Record<string, Partial<Record<Obstacle, readonly number[]>>> = {};
  const unmatched: Record<string, { run: number; against: number }> = {};
  const pairsOfTask = new Map<string, readonly MetricPairs[]>();
  for (const [task, samples] of run.samples) {
    const theirs = against.samples.get(task);
    if (theirs === undefined) continue;
    const paired = pairSamples(samples, theirs);
    const obstacles = obstaclesOf(paired);
    if (Object.keys(obstacles).length > 0) notComparable[task] = obstacles;
    const only = { run: countDocuments(paired.onlyOurs), against: countDocuments(paired.onlyTheirs) };
    if (only.run + only.against > 0) unmatched[task] = only;
    const byMetric = metricPairs(paired);
    pairsOfTask.set(task, byMetric);
    for (const { key, metric, pairs } of byMetric) {
      const flips = flipsOf(metric, pairs);
      if (flips !== undefined) flipped[task] = { ...flipped[task], [key]: flips };
      const tested = testMetric(run, task, metric, pairs, confidence);
      if ("reason" in tested) untested.push({ task, metric: key, ...tested });
      else tests.push({ task, metric: key, ...tested });
    }
  }
  tests.unshift(...testGroups(run, pairsOfTask, confidence));
  const missing = (from: EvaluationRun, to: EvaluationRun) =>
    [...from.samples.keys()].filter((task) => !to.samples.has(task));
  return {
    run: run.name,
    against: against.name,
    confidence,
    tests,
    untested,
    flipped,
    not_comparable: notComparable,
    unmatched,
    only_in_run: missing(run, against),
    only_in_against: missing(against, run),
  };
}

const countDocuments = (samples: readonly { readonly doc_id: number }[]) =>
  new Set(samples.map(({ doc_id }) => doc_id)).size;

function obstaclesOf({ pairs }: PairedSamples): Partial<Record<Obstacle, readonly number[]>> {
  const having = pairs.filter(({ obstacle }) => obstacle !== null);
  const reasons = new Set(having.map(({ obstacle }) => obstacle as Obstacle));
  // A document is listed once, whatever the number of its filters.
  const ids = (reason: Obstacle) => [
    ...new Set(having.filter(({ obstacle }) => obstacle === reason).map(({ ours }) => ours.doc_id)),
  ];
  return Object.fromEntries([...reasons].map((reason) => [reason, ids(reason)]));
}

interface MetricPairs {
  readonly key: string;
  readonly metric: string;
  readonly pairs: readonly SamplePair[];
}

/** Returns the comparable pairs of each metric and filter that both runs have. */
function metricPairs({ pairs }: PairedSamples): readonly MetricPairs[] {
  const byKey = new Map<string, { metric: string; pairs: SamplePair[] }>();
  for (const pair of pairs) {
    const theirs = metricsOf(pair.theirs);
    for (const metric of metricsOf(pair.ours)) {
      if (!theirs.includes(metric)) continue;
      const key = `${metric},${pair.ours.filter}`;
      const entry = byKey.get(key) ?? { metric, pairs: [] };
      byKey.set(key, entry);
      const isWhole = !isMissing(pair.ours[metric]) && !isMissing(pair.theirs[metric]);
      if (pair.obstacle === null && isWhole) entry.pairs.push(pair);
    }
  }
  return [...byKey].map(([key, { metric, pairs }]) => ({ key, metric, pairs }));
}

function flipsOf(metric: string, pairs: readonly SamplePair[]): FlippedDocuments | undefined {
  if (!areBinary(pairs.flatMap(({ ours, theirs }) => [ours[metric], theirs[metric]]))) return undefined;
  const changed = pairs.filter(({ ours, theirs }) => Number(ours[metric]) !== Number(theirs[metric]));
  const ids = (value: number) =>
    changed.filter(({ ours }) => Number(ours[metric]) === value).map(({ ours }) => ours.doc_id);
  return { gained: ids(1), lost: ids(0) };
}

/** Tests each group whose value is the mean over the documents of its tasks, over all these documents together. */
function testGroups(
  run: EvaluationRun,
  pairsOfTask: ReadonlyMap<string, readonly MetricPairs[]>,
  confidence: number,
): readonly MetricComparison[] {
  const { group_subtasks: groups, results } = run.results;
  return Object.keys(results).flatMap((group): MetricComparison[] => {
    const leaves = leavesOf(group, groups);
    if (leaves.length === 1 && leaves[0] === group) return [];
    return Object.keys(results[group]).flatMap((key): MetricComparison[] => {
      const having = leaves.filter((leaf) => typeof results[leaf]?.[key] === "number");
      const found = having.map((leaf) => pairsOfTask.get(leaf)?.find((each) => each.key === key));
      if (!isDocumentMean(run, group, key, having) || found.some((each) => each === undefined)) return [];
      const metrics = found as readonly MetricPairs[];
      const [{ metric }] = metrics;
      if (having.some((leaf) => aggregationFor(run, leaf, metric) !== "mean")) return [];
      const tested = testMetric(
        run,
        having[0],
        metric,
        metrics.flatMap(({ pairs }) => pairs),
        confidence,
      );
      return "reason" in tested ? [] : [{ task: group, metric: key, ...tested }];
    });
  });
}

function isDocumentMean(
  { results: { results } }: EvaluationRun,
  group: string,
  key: string,
  leaves: readonly string[],
) {
  let [sum, documents] = [0, 0];
  for (const leaf of leaves) {
    const size = Number(results[leaf].sample_len);
    sum += size * (results[leaf][key] as number);
    documents += size;
  }
  return Math.abs(sum / documents - Number(results[group][key])) < 1e-9;
}

type Tested = Omit<MetricComparison, "task" | "metric">;

function testMetric(
  run: EvaluationRun,
  task: string,
  metric: string,
  pairs: readonly SamplePair[],
  confidence: number,
): Tested | { readonly reason: string } {
  if (pairs.length === 0) return { reason: "no document has the same prompt in both runs" };
  const ours = pairs.map(({ ours }) => ours[metric]);
  const theirs = pairs.map(({ theirs }) => theirs[metric]);
  const aggregation = aggregationFor(run, task, metric);
  const shared = { documents: pairs.length, higher_is_better: direction(run, task, metric) };
  const isMean = aggregation === "mean" || !isAggregation(aggregation);
  if (isMean) {
    if (!areNumbers(ours) || !areNumbers(theirs)) {
      return { reason: isAggregation(aggregation) ? "its values are no numbers" : `${aggregation} is not known here` };
    }
    const differences = Float64Array.from(ours, (value, i) => Number(value) - Number(theirs[i]));
    const counts = countChanges(differences);
    const values = { value: mean(ours), against: mean(theirs) };
    if (areBinary(ours) && areBinary(theirs)) {
      const made = pairedShares(counts.rose, counts.fell, pairs.length, confidence);
      return { ...shared, ...values, ...counts, ...named(made), test: "McNemar exact" };
    }
    if (pairs.length < 2) return { reason: "one document has no spread" };
    return { ...shared, ...values, ...counts, ...named(pairedT(differences, confidence)), test: "paired t" };
  }
  if (pairs.length < 2) return { reason: "one document has no spread" };
  try {
    return { ...shared, ...bootstrapComparison(aggregation, ours, theirs, confidence), test: "paired bootstrap" };
  } catch (error) {
    if (error instanceof QuernError) return { reason: error.message };
    throw error;
  }
}

const named = ({ difference, lower, upper, pValue }: PairedDifference) => ({
  difference,
  lower,
  upper,
  p_value: pValue,
});

const areNumbers = (values: readonly unknown[]) =>
  values.every((value) => typeof value === "number" || typeof value === "boolean");

function mean(values: readonly unknown[]): number {
  return values.reduce<number>((sum, value) => sum + Number(value), 0) / values.length;
}

function countChanges(differences: Float64Array): { readonly rose: number; readonly fell: number } {
  let [rose, fell] = [0, 0];
  for (const difference of differences) {
    if (difference > 0) rose += 1;
    else if (difference < 0) fell += 1;
  }
  return { rose, fell };
}

/** Draws of documents in all rounds together: about a second. */
const MOST_DRAWS = 1e7;
/** Scores of segments cost more per draw. */
const SEGMENT_DRAWS = 1e6;

/**
 * Percentile interval and p-value of the difference of two aggregates over the same resampled documents (Efron and Tibshirani
 * 1993). The p-value is twice the share of rounds on the other side of 0.
 */
function bootstrapComparison(
  aggregation: string,
  ours: readonly unknown[],
  theirs: readonly unknown[],
  confidence: number,
): Omit<Tested, "documents" | "higher_is_better" | "test"> {
  const n = ours.length;
  const { statistic } = aggregationOf(aggregation);
  const [first, second] = [statistic(ours), statistic(theirs)];
  const difference = (positions: Uint32Array) => first(positions) - second(positions);
  const draws = ["bleu", "chrf", "chrf++", "ter", "acc_all"].includes(aggregation) ? SEGMENT_DRAWS : MOST_DRAWS;
  const rounds = 1000 * Math.max(1, Math.min(10, Math.floor(draws / n / 1000)));
  const values = bootstrapValues(difference, n, rounds)
    .filter((value) => !Number.isNaN(value))
    .sort();
  const all = Uint32Array.from({ length: n }, (_, i) => i);
  const [value, against] = [first(all), second(all)];
  const below = values.filter((each) => each <= 0).length;
  const above = values.filter((each) => each >= 0).length;
  const each = Float64Array.from({ length: n }, (_, i) => difference(Uint32Array.of(i)));
  return {
    value,
    against,
    difference: value - against,
    lower: quantile(values, (1 - confidence) / 2),
    upper: quantile(values, (1 + confidence) / 2),
    p_value: Math.min(1, (2 * (Math.min(below, above) + 1)) / (values.length + 1)),
    ...countChanges(each),
  };
}

/** Returns how a task aggregates a metric: by its configuration, else by the metric's name, else as a mean. */
function aggregationFor({ results }: EvaluationRun, task: string, metric: string): string {
  const list = results.configs[task]?.metric_list;
  const entry: unknown = Array.isArray(list)
    ? list.find((item: { readonly metric?: unknown } | null) => item?.metric === metric)
    : undefined;
  const given = (entry as { readonly aggregation?: unknown } | undefined)?.aggregation;
  return typeof given === "string" ? given : (metricOf(metric)?.aggregation ?? "mean");
}

function direction({ results }: EvaluationRun, task: string, metric: string): boolean | null {
  return results.higher_is_better[task]?.[metric] ?? metricOf(metric)?.higherIsBetter ?? null;
}
