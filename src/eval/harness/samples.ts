/** @file Writes what a document was asked and how it was scored in the form of lm-eval's samples, with its hashes. */
import { createHash } from "node:crypto";
import type { EvaluationSample } from "./evaluation-results.js";
import type { Answer } from "./model-answers.js";
import { pythonFloat, pythonJson } from "./python-json.js";
import { textOf } from "./python-values.js";
import type { EvalRequest } from "./requests.js";
import type { MetricValues } from "./task-scorer.js";

export interface SampleParts {
  /** All requests of the document, in order. */
  readonly requests: readonly EvalRequest[];
  /** Per request. */
  readonly answers: readonly (readonly Answer[])[];
  readonly filtered: readonly unknown[];
  readonly filter: string;
  readonly target: unknown;
  readonly values: MetricValues;
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/** Returns the sample of one document under one chain of filters. */
export function sampleOf({ requests, answers, filtered, filter, target, values }: SampleParts): EvaluationSample {
  const [first] = requests;
  const { document, position } = first!;
  return {
    doc_id: position,
    doc: document,
    target: textOf(target),
    arguments: Object.fromEntries(requests.map((request, i) => [`gen_args_${i}`, argumentsOf(request)])),
    resps: answers.map((repeats) => repeats.map(asText)),
    filtered_resps: filtered.map(asText),
    filter,
    metrics: Object.keys(values),
    doc_hash: sha256(pythonJson(document, { indent: 2, ensureAscii: false, fallback: textOf })),
    prompt_hash: sha256(promptOf(first!)),
    target_hash: sha256(textOf(target)),
    ...values,
  };
}

const promptOf = (request: EvalRequest): string =>
  request.type === "loglikelihood_rolling" ? request.text : request.context;

function argumentsOf(request: EvalRequest): Record<string, unknown> {
  switch (request.type) {
    case "loglikelihood":
      return { arg_0: request.context, arg_1: request.continuation };
    case "loglikelihood_rolling":
      return { arg_0: request.text };
    case "generate_until":
      return { arg_0: request.context, arg_1: request.options };
    default:
      return request satisfies never;
  }
}

/** Python's texts of answers, within lists. */
function asText(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(asText);
  if (typeof value === "number") return pythonFloat(value);
  if (typeof value === "object" && value !== null && "logLikelihood" in value && "isGreedy" in value) {
    return [pythonFloat(Number(value.logLikelihood)), value.isGreedy === true ? "True" : "False"];
  }
  return textOf(value);
}

/** Returns lm-eval's hash of a task: of the hashes of all its samples. */
export function taskHash(samples: readonly EvaluationSample[]): string {
  return sha256(samples.map((sample) => sample.doc_hash + sample.prompt_hash + sample.target_hash).join(""));
}

/** Returns a sample as a line of JSON. Values that JSON cannot hold, such as NaN, become null. */
export function sampleLine(sample: EvaluationSample): string {
  return `${pythonJson(finite(sample), { ensureAscii: false, fallback: textOf })}\n`;
}

function finite(value: unknown): unknown {
  if (typeof value === "number") return Number.isFinite(value) ? value : null;
  if (Array.isArray(value)) return value.map(finite);
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, finite(item)]));
}
