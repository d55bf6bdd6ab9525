/** @file A finished evaluation in memory: its results and the samples of each task. */
import type { EvaluationResults, EvaluationSample } from "../harness/evaluation-results.js";

export interface EvaluationRun {
  /** Its folder, or another name for the report. */
  readonly name: string;
  readonly results: EvaluationResults;
  /** By task; a task whose samples were not saved is missing. */
  readonly samples: ReadonlyMap<string, readonly EvaluationSample[]>;
}

/** The keys of a sample that are no metrics. */
const SAMPLE_KEYS: readonly string[] = [
  ...["doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics"],
  ...["doc_hash", "prompt_hash", "target_hash"],
];

/** Returns the metrics of a sample; old versions of lm-eval do not list them. */
export function metricsOf(sample: EvaluationSample): readonly string[] {
  return sample.metrics ?? Object.keys(sample).filter((key) => !SAMPLE_KEYS.includes(key));
}

/** Splits a key of `results.json`, such as `acc,none`, or a standard error's `acc_stderr,none`; undefined for other keys. */
export function parseMetricKey(
  key: string,
): { readonly metric: string; readonly filter: string; readonly isError: boolean } | undefined {
  const comma = key.indexOf(",");
  if (comma <= 0) return undefined;
  const metric = key.slice(0, comma);
  const isError = metric.endsWith("_stderr");
  return { metric: isError ? metric.slice(0, -"_stderr".length) : metric, filter: key.slice(comma + 1), isError };
}

/** Returns whether a metric has no value for a document: nothing, or NaN, which JSON writes as null. */
export const isMissing = (value: unknown): boolean => value === undefined || value === null || Number.isNaN(value);

/** Returns whether every value is 0 or 1 (or false or true), and there is one. */
export function areBinary(values: readonly unknown[]): boolean {
  return values.length > 0 && values.every((value) => value === 0 || value === 1 || typeof value === "boolean");
}

/** The name of the evaluated model, as the results have it. */
export function modelNameOf({ name, results }: EvaluationRun): string {
  const { model_name, config } = results;
  for (const given of [model_name, config.model_name, pretrainedOf(config.model_args), config.model]) {
    if (typeof given === "string" && given !== "") return given;
  }
  return name;
}

/** lm-eval keeps the model within `model_args`: a mapping, or `pretrained=NAME,dtype=…`. */
function pretrainedOf(value: unknown): unknown {
  if (typeof value === "string") return /(?:^|,)(?:pretrained|model)=([^,]+)/.exec(value)?.[1];
  if (typeof value !== "object" || value === null) return undefined;
  const { pretrained, model } = value as Readonly<Record<string, unknown>>;
  return pretrained ?? model;
}
