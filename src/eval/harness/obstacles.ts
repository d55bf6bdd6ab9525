/** @file Says what stops a task from running here: Python that Quern does not have, unknown metrics, filters or templates. */
import { QuernError } from "../../errors.js";
import { TemplateFailure } from "../../tokenizer/index.js";
import { isAggregation } from "./aggregations.js";
import { createFilter } from "./filters.js";
import { type FunctionTable, findFunction, type TaskFunction } from "./functions.js";
import { FunctionReference } from "./python-yaml.js";
import type { LoadedTask } from "./registry.js";
import { SAMPLERS } from "./samplers.js";
import type { OutputType } from "./task-config.js";
import { compileTaskTemplate } from "./templates.js";

/** The metrics that each kind of task may have; a custom `process_results` defines its own. */
export const METRIC_NAMES: Readonly<Record<OutputType, readonly string[]>> = {
  loglikelihood: ["acc", "perplexity"],
  multiple_choice: "acc acc_norm acc_bytes acc_mutual_info exact_match f1 mcc brier_score likelihood".split(" "),
  loglikelihood_rolling: ["word_perplexity", "byte_perplexity", "bits_per_byte"],
  generate_until: ["exact_match", "bleu", "chrf", "chrf++", "ter", "acc", "f1", "mcc"],
};

/** Results of compiling, by source: thousands of tasks share a template. */
const compiled = new Map<string, string | null>();

/** Returns what stops a task, one sentence each; none if it can run as soon as its data is there. */
export function obstaclesOf(task: LoadedTask, functions?: FunctionTable): readonly string[] {
  if (task.isPython) return ["class: the task is a class in Python"];
  const { config } = task;
  const { keys, fewshot } = config;
  const found: string[] = [];
  if (config.datasetPath === null && keys.custom_dataset === undefined) found.push("dataset_path is missing");
  if (config.testSplit === null && config.validationSplit === null)
    found.push("test_split or validation_split is missing");
  if (keys.use_prompt !== undefined && keys.use_prompt !== null) found.push("use_prompt: prompts of promptsource");
  for (const key of ["doc_to_image", "doc_to_audio"]) {
    if (keys[key] !== undefined && keys[key] !== null) found.push(`${key}: a model of text cannot use it`);
  }
  for (const [name, value] of namedFunctions(task)) {
    const takes = findFunction(value, functions)?.takes;
    if (takes === undefined || takes !== takenBy(name)) found.push(`${name}: !function ${value.name}`);
  }
  if (config.docToText === null) found.push("doc_to_text is missing");
  if (config.docToTarget === null) found.push("doc_to_target is missing");
  if (config.outputType === "multiple_choice" && config.docToChoice === null) found.push("doc_to_choice is missing");
  if (typeof fewshot.sampler === "string" && !(SAMPLERS as readonly string[]).includes(fewshot.sampler)) {
    found.push(`fewshot_config.sampler: ${fewshot.sampler} is unknown`);
  }
  if (config.processResults === null) {
    for (const { metric } of config.metrics ?? []) {
      if (typeof metric === "string" && !METRIC_NAMES[config.outputType].includes(metric)) {
        found.push(`metric_list: ${metric} is no metric of ${config.outputType}`);
      }
    }
  }
  for (const { aggregation } of config.metrics ?? []) {
    if (typeof aggregation === "string" && !isAggregation(aggregation)) {
      found.push(`metric_list: the aggregation ${aggregation} is unknown`);
    }
  }
  found.push(...filterObstacles(task), ...templateObstacles(task));
  return [...new Set(found)];
}

/** What the function of a key takes; undefined for a key that no function of Quern serves. */
function takenBy(name: string): TaskFunction["takes"] | undefined {
  const key = name.replace(/^fewshot_config\./, "");
  if (key.startsWith("filter_list.")) return "responses";
  if (key.startsWith("doc_to_")) return "document";
  switch (key) {
    case "process_docs":
      return "documents";
    case "process_results":
      return "results";
    case "custom_dataset":
    case "samples":
      return "nothing";
    case "description":
      return "document";
    case "metric_list.metric":
      return "predictions";
    case "metric_list.aggregation":
      return "items";
    default:
      return undefined;
  }
}

/** The functions that a task names, each with its key. */
function* namedFunctions({ config }: LoadedTask): Generator<readonly [string, FunctionReference]> {
  const { keys } = config;
  for (const [key, value] of Object.entries(keys)) {
    // Only needed to find overlaps with training data.
    if (key === "doc_to_decontamination_query") continue;
    if (value instanceof FunctionReference) yield [key, value];
  }
  const shot = keys.fewshot_config;
  if (shot !== null && shot !== undefined) {
    for (const [key, value] of Object.entries(shot)) {
      if (value instanceof FunctionReference) yield [`fewshot_config.${key}`, value];
    }
  }
  for (const { metric, aggregation } of config.metrics ?? []) {
    if (metric instanceof FunctionReference) yield ["metric_list.metric", metric];
    if (aggregation instanceof FunctionReference) yield ["metric_list.aggregation", aggregation];
  }
  for (const { name, steps } of config.filters ?? []) {
    for (const step of steps) {
      for (const value of [step.function, ...Object.values(step.options)]) {
        if (value instanceof FunctionReference) yield [`filter_list.${name}`, value];
      }
    }
  }
}

function filterObstacles({ config }: LoadedTask): string[] {
  return (config.filters ?? []).flatMap(({ name, steps }) =>
    steps.flatMap((step) => {
      if (typeof step.function !== "string") return [];
      if (Object.values(step.options).some((value) => value instanceof FunctionReference)) return [];
      try {
        createFilter(step.function, step.options);
        return [];
      } catch (error) {
        if (!(error instanceof QuernError)) throw error;
        return [`filter_list.${name}: ${error.message}`];
      }
    }),
  );
}

function templateObstacles({ config }: LoadedTask): string[] {
  const { fewshot } = config;
  const rules: readonly (readonly [string, unknown])[] = [
    ["doc_to_text", config.docToText],
    ["doc_to_target", config.docToTarget],
    ["doc_to_choice", config.docToChoice],
    ["description", config.description],
    ["gen_prefix", config.genPrefix],
    ["fewshot_config.doc_to_text", fewshot.docToText],
    ["fewshot_config.doc_to_target", fewshot.docToTarget],
    ["fewshot_config.doc_to_choice", fewshot.docToChoice],
    ["fewshot_config.gen_prefix", fewshot.genPrefix],
  ];
  const seen = new Set<unknown>();
  return rules.flatMap(([key, rule]) => {
    // Text without braces needs no compiler.
    if (typeof rule !== "string" || !rule.includes("{") || seen.has(rule)) return [];
    seen.add(rule);
    const failure = templateFailure(rule);
    return failure === null ? [] : [`${key}: ${failure}`];
  });
}

function templateFailure(source: string): string | null {
  const known = compiled.get(source);
  if (known !== undefined) return known;
  let failure: string | null = null;
  try {
    compileTaskTemplate(source);
  } catch (error) {
    if (!(error instanceof TemplateFailure)) throw error;
    failure = `line ${error.line ?? 1} of the template: ${error.message}`;
  }
  if (compiled.size > 20_000) compiled.clear();
  compiled.set(source, failure);
  return failure;
}
