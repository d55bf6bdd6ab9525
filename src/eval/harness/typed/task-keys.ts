/** @file Turns a typed task into the keys of a task file, so that everything else knows one kind of task. */
import { z } from "zod";
import { QuernError } from "../../../errors.js";
import { checkOptions, show } from "../../../options.js";
import { type AggregationName, isAggregation } from "../aggregations.js";
import { metricOf } from "../metrics.js";
import type { YamlMapping, YamlValue } from "../python-yaml.js";
import { OUTPUT_TYPES } from "../task-config.js";
import type { TaskDocument, TaskFunction } from "../task-function.js";
import { guarded, TypedFunction } from "./typed-function.js";
import type { DocumentSource, GroupDefinition, TypedFilter, TypedMetric } from "./typed-task.js";

type AnyFunction = (...args: never[]) => unknown;
const isFunction = (value: unknown): value is AnyFunction => typeof value === "function";
const isTextOr = (value: unknown) => typeof value === "string" || isFunction(value);

const name = z.string().regex(/^[\w.:-]+$/, { error: () => "may have letters, digits and _ . : - only" });
const rule = z.custom<string | AnyFunction>(isTextOr, "must be a text or a function");
const called = z.custom<AnyFunction>(isFunction, "must be a function");
const source = z.custom<DocumentSource<TaskDocument>>(
  (value) => Array.isArray(value) || isFunction(value),
  "must be a list of documents or a function that returns them",
);
const choices = z.custom<string | readonly string[] | AnyFunction>(
  (value) => isTextOr(value) || (Array.isArray(value) && value.every((item) => typeof item === "string")),
  "must be a list of texts, a text or a function",
);
const target = z.custom<string | number | AnyFunction>(
  (value) => isTextOr(value) || Number.isInteger(value),
  "must be a text, a whole number or a function",
);

const taskSchema = z.strictObject({
  name,
  alias: z.string().optional(),
  tags: z.array(name).optional(),
  outputType: z.enum(OUTPUT_TYPES),
  documents: source.optional(),
  dataset: z
    .strictObject({
      path: z.string().min(1),
      name: z.string().optional(),
      split: z.string().optional(),
      fewshotSplit: z.string().optional(),
      process: called.optional(),
    })
    .optional(),
  description: rule.optional(),
  docToText: rule.optional(),
  docToTarget: target,
  docToChoice: choices.optional(),
  targetDelimiter: z.string().optional(),
  fewshot: z
    .strictObject({
      count: z.int().min(0).optional(),
      documents: source.optional(),
      sampler: z.enum(["default", "first_n"]).optional(),
      delimiter: z.string().optional(),
    })
    .optional(),
  metrics: z
    .array(
      z.union([
        z.string(),
        z.strictObject({
          name: z.string(),
          aggregation: rule.optional(),
          higherIsBetter: z.boolean().optional(),
          options: z.record(z.string(), z.unknown()).optional(),
        }),
      ]),
    )
    .optional(),
  processResults: called.optional(),
  generation: z
    .strictObject({
      until: z.array(z.string()).optional(),
      maxTokens: z.int().min(1).optional(),
      temperature: z.number().min(0).optional(),
    })
    .optional(),
  filters: z.array(z.strictObject({ name: z.string().min(1), steps: z.array(z.unknown()) })).optional(),
  repeats: z.int().min(1).optional(),
  chance: z.number().min(0).lt(1).optional(),
  version: z.union([z.number(), z.string()]).optional(),
});

const groupSchema = z.strictObject({
  name,
  alias: z.string().optional(),
  tasks: z.array(z.unknown()).min(1),
  metrics: z.array(z.string()).optional(),
  weightBySize: z.boolean().optional(),
});

/**
 * Returns the keys of a task.
 * @param file as errors name it
 * @throws QuernError that names the file and the wrong key
 */
export function keysOfTypedTask(definition: unknown, file: string): YamlMapping {
  const place = ` of the task ${show((definition as { name?: unknown } | null)?.name)} in ${file}`;
  const given = checkOptions(taskSchema, definition, undefined, place);
  const { outputType, documents, dataset, fewshot = {} } = given;
  const wrong = (what: string) => new QuernError(`${what}${place}`, { exitCode: 2 });
  if ((documents === undefined) === (dataset === undefined)) throw wrong("give either documents or dataset");
  if (outputType === "multiple_choice" && given.docToChoice === undefined) throw wrong("docToChoice is missing");
  if (outputType !== "multiple_choice" && given.docToChoice !== undefined) {
    throw wrong("docToChoice is for multiple_choice only; remove it or change outputType");
  }
  if (outputType !== "loglikelihood_rolling" && given.docToText === undefined) throw wrong("docToText is missing");
  for (const key of ["generation", "filters", "repeats"] as const) {
    if (given[key] !== undefined && outputType !== "generate_until") {
      throw wrong(`${key} is for generate_until only; remove it or change outputType`);
    }
  }
  const made = (key: string, implementation: TaskFunction) => new TypedFunction(file, key, implementation);
  const ofDocument = (key: string, value: string | number | readonly string[] | AnyFunction | undefined) =>
    isFunction(value)
      ? made(key, { takes: "document", run: guarded(file, key, value as (document: TaskDocument) => unknown) })
      : value;
  const read = (key: string, from: DocumentSource<TaskDocument>) => sourceReader(from, key, file);

  const keys: Record<string, YamlValue | undefined> = { task: given.name, task_alias: given.alias, tag: given.tags };
  if (documents !== undefined) {
    const all = read("documents", documents);
    const run = async () => ({ test: await all() });
    Object.assign(keys, { custom_dataset: made("documents", { takes: "nothing", run }), test_split: "test" });
  } else {
    const { path, name: subset, split = "test", process } = dataset!;
    Object.assign(keys, { dataset_path: path, dataset_name: subset, test_split: split });
    if (process !== undefined) {
      const run = guarded(file, "dataset.process", process as (all: readonly TaskDocument[]) => TaskDocument[]);
      keys.process_docs = made("dataset.process", { takes: "documents", run });
    }
  }
  if (fewshot.documents === undefined) keys.fewshot_split = dataset?.fewshotSplit ?? (keys.test_split as string);
  const samples =
    fewshot.documents === undefined
      ? undefined
      : made("fewshot.documents", { takes: "nothing", run: read("fewshot.documents", fewshot.documents) });
  return present({
    ...keys,
    output_type: outputType,
    description: ofDocument("description", given.description),
    doc_to_text: ofDocument("docToText", given.docToText) ?? "",
    doc_to_target: ofDocument("docToTarget", given.docToTarget),
    doc_to_choice: ofDocument("docToChoice", given.docToChoice),
    target_delimiter: given.targetDelimiter,
    num_fewshot: fewshot.count,
    fewshot_delimiter: fewshot.delimiter,
    fewshot_config: present({ sampler: fewshot.sampler, samples }),
    process_results:
      given.processResults === undefined
        ? undefined
        : made("processResults", {
            takes: "results",
            run: guarded(file, "processResults", given.processResults as never),
          }),
    metric_list: given.metrics?.map((metric) => metricKeys(metric as string | TypedMetric, made, file)),
    generation_kwargs: given.generation === undefined ? undefined : generationKeys(given.generation),
    filter_list: given.filters?.map((filter) => filterKeys(filter as TypedFilter, made, file)),
    repeats: given.repeats,
    metadata: present({ version: given.version ?? 1, chance: given.chance }),
  });
}

/** Returns the keys of a group; its tasks have entries of their own. */
export function keysOfTypedGroup(definition: GroupDefinition, tasks: readonly string[], file: string): YamlMapping {
  const given = checkOptions(groupSchema, definition, undefined, ` of the group ${show(definition.name)} in ${file}`);
  return present({
    group: given.name,
    group_alias: given.alias,
    task: tasks,
    aggregate_metric_list: (given.metrics ?? ["acc"]).map((metric) => ({
      metric,
      aggregation: "mean",
      weight_by_size: given.weightBySize ?? false,
    })),
    metadata: { version: 1 },
  });
}

type Made = (key: string, implementation: TaskFunction) => TypedFunction;

function metricKeys(metric: string | TypedMetric, made: Made, file: string): YamlMapping {
  const {
    name: metricName,
    aggregation,
    higherIsBetter,
    options = {},
  } = typeof metric === "string" ? { name: metric } : metric;
  const usual: AggregationName | undefined = metricOf(metricName)?.aggregation;
  if (typeof aggregation === "string" && !isAggregation(aggregation)) {
    throw new QuernError(`the aggregation ${show(aggregation)} of the metric ${metricName} in ${file} is unknown`);
  }
  const run = isFunction(aggregation)
    ? made(`metrics.${metricName}.aggregation`, {
        takes: "items",
        run: guarded(file, `the aggregation of ${metricName}`, aggregation),
      })
    : undefined;
  return present({
    ...(options as Record<string, YamlValue>),
    metric: metricName,
    aggregation: run ?? (aggregation as string | undefined) ?? usual ?? "mean",
    higher_is_better: higherIsBetter ?? metricOf(metricName)?.higherIsBetter ?? true,
  });
}

function generationKeys(given: { until?: readonly string[]; maxTokens?: number; temperature?: number }): YamlMapping {
  const { until, maxTokens, temperature = 0 } = given;
  return present({ until, max_gen_toks: maxTokens, temperature, do_sample: temperature > 0 });
}

function filterKeys({ name: filterName, steps }: TypedFilter, made: Made, file: string): YamlMapping {
  return {
    name: filterName,
    filter: steps.map((step, i) => {
      if (!isFunction(step)) return step as unknown as YamlMapping;
      const key = `filters.${filterName}[${i}]`;
      const one = guarded(file, key, step);
      const create = () => (responses: readonly unknown[]) =>
        responses.map((each) => (Array.isArray(each) ? each.map((text) => one(String(text))) : one(String(each))));
      return { function: made(key, { takes: "responses", create }) };
    }),
  };
}

/** Returns a function that reads the documents, once. */
function sourceReader(
  from: DocumentSource<TaskDocument>,
  key: string,
  file: string,
): () => Promise<readonly TaskDocument[]> {
  let read: Promise<readonly TaskDocument[]> | undefined;
  const all = async () => {
    const found: TaskDocument[] = [];
    const given = typeof from === "function" ? await from() : from;
    const isIterable =
      given !== null && typeof given === "object" && (Symbol.iterator in given || Symbol.asyncIterator in given);
    if (!isIterable) throw new QuernError(`${key} of ${file} returned no list of documents but ${show(given)}`);
    for await (const document of given) {
      if (typeof document !== "object" || document === null || Array.isArray(document)) {
        throw new QuernError(`document ${found.length} of ${key} in ${file} must be an object, not ${show(document)}`);
      }
      found.push(document);
    }
    return found;
  };
  return () => (read ??= guarded(file, key, all)());
}

/** Leaves out undefined values, whose keys a task file would not have. */
function present(keys: Readonly<Record<string, YamlValue | undefined>>): YamlMapping {
  return Object.fromEntries(Object.entries(keys).filter(([, value]) => value !== undefined)) as YamlMapping;
}
