/**
 * @file A task's configuration as lm-eval 0.4's task files write it: the keys, their defaults, and what may stand there.
 */
import { nearest, show } from "../../options.js";
import { PythonFloat } from "../../tokenizer/index.js";
import { FunctionReference, isMapping, type YamlMapping, type YamlValue } from "./python-yaml.js";

export const OUTPUT_TYPES = ["loglikelihood", "multiple_choice", "loglikelihood_rolling", "generate_until"] as const;
export type OutputType = (typeof OUTPUT_TYPES)[number];

/** How a document becomes text: a template or field name, an integer, a list, a mapping of choices, or a function. */
export type DocumentRule = string | number | readonly YamlValue[] | YamlMapping | ReadonlyMap<YamlValue, YamlValue>;
export type Rule = DocumentRule | FunctionReference | null;

/** How few-shot examples are chosen and written; null fields of the file are null here, missing ones inherit the task's. */
export interface FewShotConfig {
  readonly sampler: string | FunctionReference;
  readonly split: string | null;
  readonly processDocs: FunctionReference | null;
  readonly samples: readonly Readonly<Record<string, unknown>>[] | FunctionReference | null;
  readonly docToText: Rule;
  readonly docToChoice: Rule;
  readonly docToTarget: Rule;
  readonly genPrefix: string | null;
  readonly fewshotDelimiter: string;
  readonly targetDelimiter: string;
}

export interface MetricConfig {
  readonly metric: string | FunctionReference;
  readonly aggregation: string | FunctionReference | null;
  readonly higherIsBetter: boolean | null;
  /** Arguments of the metric, such as `ignore_case`. */
  readonly options: Readonly<Record<string, YamlValue>>;
}

/** A chain of filters and its name in the results. */
export interface FilterConfig {
  readonly name: string;
  readonly steps: readonly {
    readonly function: string | FunctionReference;
    readonly options: Readonly<Record<string, YamlValue>>;
  }[];
}

/** A task, with lm-eval's defaults filled in. */
export interface TaskConfig {
  readonly task: string;
  readonly alias: string | null;
  readonly tags: readonly string[];
  readonly datasetPath: string | null;
  readonly datasetName: string | null;
  readonly datasetOptions: Readonly<Record<string, YamlValue>>;
  readonly trainingSplit: string | null;
  readonly validationSplit: string | null;
  readonly testSplit: string | null;
  readonly processDocs: FunctionReference | null;
  readonly docToText: Rule;
  readonly docToTarget: Rule;
  readonly docToChoice: Rule;
  readonly processResults: FunctionReference | string | null;
  readonly description: Rule;
  readonly targetDelimiter: string;
  readonly fewshotDelimiter: string;
  readonly fewshot: FewShotConfig;
  readonly numFewshot: number | null;
  readonly outputType: OutputType;
  readonly metrics: readonly MetricConfig[] | null;
  /** In the order of the file; `until` and `temperature` filled in as lm-eval does. Null unless the task generates. */
  readonly generationOptions: Readonly<Record<string, YamlValue>> | null;
  readonly repeats: number;
  readonly filters: readonly FilterConfig[] | null;
  readonly genPrefix: string | null;
  readonly shouldDecontaminate: boolean;
  readonly decontaminationQuery: Rule;
  readonly metadata: Readonly<Record<string, YamlValue>>;
  /** Every key as the file has it, for `quern eval describe` and the results. */
  readonly keys: YamlMapping;
}

const TASK_KEYS = (
  "task task_alias tag custom_dataset dataset_path dataset_name dataset_kwargs training_split validation_split test_split " +
  "fewshot_split process_docs doc_to_text doc_to_target doc_to_image doc_to_audio unsafe_code doc_to_choice process_results " +
  "use_prompt description target_delimiter fewshot_delimiter fewshot_config num_fewshot metric_list output_type " +
  "generation_kwargs repeats filter_list should_decontaminate doc_to_decontamination_query gen_prefix metadata"
).split(" ");
/** Keys for the registry, which are no part of a task. */
const STRUCTURE_KEYS = ["group", "include", "task_list", "class"];
const FEWSHOT_KEYS = (
  "sampler split process_docs fewshot_indices samples doc_to_text doc_to_choice doc_to_target gen_prefix fewshot_delimiter " +
  "target_delimiter"
).split(" ");
export const GROUP_KEYS = ["group", "group_alias", "task", "aggregate_metric_list", "metadata"];
const AGGREGATE_KEYS = ["metric", "filter_list", "aggregation", "weight_by_size"];

/** A fault of a file: the top-level key, a sentence about it, and the key's line if it is nested. */
export interface ConfigFault {
  readonly key: string;
  readonly message: string;
  /** The mapping that holds a nested key, to find its line. */
  readonly within?: object;
  readonly nestedKey?: string;
}

function unknown(key: string, known: readonly string[], what: string): string {
  const near = nearest(key, known);
  return `unknown key ${key}${what}${near === undefined ? "" : `; did you mean ${near}?`}`;
}

type Kind = "text" | "text or null" | "integer" | "boolean" | "mapping or null" | "list or null";
const KINDS: Readonly<Record<string, Kind>> = {
  task: "text",
  dataset_path: "text or null",
  dataset_name: "text or null",
  dataset_kwargs: "mapping or null",
  training_split: "text or null",
  validation_split: "text or null",
  test_split: "text or null",
  fewshot_split: "text or null",
  target_delimiter: "text",
  fewshot_delimiter: "text",
  fewshot_config: "mapping or null",
  metric_list: "list or null",
  generation_kwargs: "mapping or null",
  repeats: "integer",
  filter_list: "list or null",
  gen_prefix: "text or null",
};

function isKind(value: YamlValue, kind: Kind): boolean {
  switch (kind) {
    case "text":
      return typeof value === "string";
    case "text or null":
      return value === null || typeof value === "string";
    case "integer":
      return typeof value === "number" && Number.isInteger(value);
    case "boolean":
      return typeof value === "boolean";
    case "mapping or null":
      return value === null || isMapping(value);
    case "list or null":
      return value === null || Array.isArray(value);
    default:
      return kind satisfies never;
  }
}

/** Returns what is wrong with the keys of a task; lm-eval would stop at each. */
export function faultsOfTask(keys: YamlMapping): ConfigFault[] {
  const faults: ConfigFault[] = [];
  const known = [...TASK_KEYS, ...STRUCTURE_KEYS];
  for (const key of Object.keys(keys)) {
    if (!known.includes(key)) faults.push({ key, message: unknown(key, known, "") });
  }
  for (const [key, kind] of Object.entries(KINDS)) {
    const value = keys[key];
    if (value !== undefined && !(value instanceof FunctionReference) && !isKind(value, kind)) {
      faults.push({ key, message: `${key} must be ${kind}, not ${show(value)}` });
    }
  }
  const output = keys.output_type;
  if (output !== undefined && !(OUTPUT_TYPES as readonly YamlValue[]).includes(output)) {
    faults.push({
      key: "output_type",
      message: `output_type must be one of ${OUTPUT_TYPES.join(", ")}, not ${show(output)}`,
    });
  }
  const shots = keys.num_fewshot;
  if (shots !== undefined && shots !== null && !(isKind(shots, "integer") && (shots as number) >= 0)) {
    faults.push({ key: "num_fewshot", message: `num_fewshot must be a whole number, not ${show(shots)}` });
  }
  const fewshot = keys.fewshot_config;
  if (isMapping(fewshot)) {
    for (const key of Object.keys(fewshot)) {
      if (FEWSHOT_KEYS.includes(key)) continue;
      const message = unknown(key, FEWSHOT_KEYS, " in fewshot_config");
      faults.push({ key: "fewshot_config", message, within: fewshot, nestedKey: key });
    }
  }
  if (Array.isArray(keys.metric_list)) {
    for (const entry of keys.metric_list as readonly YamlValue[]) {
      const isNamed =
        isMapping(entry) && (typeof entry.metric === "string" || entry.metric instanceof FunctionReference);
      if (!isNamed)
        faults.push({ key: "metric_list", message: `an entry of metric_list has no metric: ${show(entry)}` });
    }
  }
  if (Array.isArray(keys.filter_list)) faults.push(...faultsOfFilters(keys.filter_list as readonly YamlValue[]));
  return faults;
}

function faultsOfFilters(list: readonly YamlValue[]): ConfigFault[] {
  const key = "filter_list";
  return list.flatMap((entry): ConfigFault[] => {
    if (!isMapping(entry) || typeof entry.name !== "string" || !Array.isArray(entry.filter)) {
      return [{ key, message: `an entry of filter_list needs a name and a list filter: ${show(entry)}` }];
    }
    return (entry.filter as readonly YamlValue[])
      .filter((step) => !isMapping(step) || step.function === undefined)
      .map((step) => ({ key, message: `a step of the filter ${entry.name} has no function: ${show(step)}` }));
  });
}

/** Returns what is wrong with the keys of a group; keys that are no group's override those of its tasks. */
export function faultsOfGroup(keys: YamlMapping): ConfigFault[] {
  const faults: ConfigFault[] = [];
  const known = [...GROUP_KEYS, "include", "tag", "task_list", ...TASK_KEYS];
  for (const key of Object.keys(keys)) {
    if (!known.includes(key)) faults.push({ key, message: unknown(key, known, " in a group") });
  }
  const task = keys.task;
  if (task !== undefined && task !== null && typeof task !== "string" && !Array.isArray(task)) {
    faults.push({ key: "task", message: `task of a group must be a list of tasks, not ${show(task)}` });
  }
  const list = keys.aggregate_metric_list;
  const key = "aggregate_metric_list";
  for (const entry of list === undefined || list === null ? [] : Array.isArray(list) ? list : [list]) {
    if (!isMapping(entry as YamlValue) || typeof (entry as YamlMapping).metric !== "string") {
      faults.push({ key, message: `an entry of ${key} has no metric: ${show(entry)}` });
      continue;
    }
    const mapping = entry as YamlMapping;
    for (const nestedKey of Object.keys(mapping)) {
      if (AGGREGATE_KEYS.includes(nestedKey)) continue;
      faults.push({ key, message: unknown(nestedKey, AGGREGATE_KEYS, ` in ${key}`), within: mapping, nestedKey });
    }
    const how = mapping.aggregation ?? "mean";
    if (how !== "mean" && !(how instanceof FunctionReference)) {
      faults.push({
        key,
        message: `the only aggregation of a group is mean, not ${show(how)}`,
        within: mapping,
        nestedKey: "aggregation",
      });
    }
  }
  return faults;
}

/**
 * Fills in lm-eval's defaults.
 * @param keys of a task without faults
 */
export function taskConfigOf(keys: YamlMapping): TaskConfig {
  const or = <T>(key: string, fallback: T): T => (keys[key] === undefined ? fallback : (keys[key] as T));
  const outputType = or<OutputType>("output_type", "generate_until");
  const fewshotDelimiter = or("fewshot_delimiter", "\n\n");
  const targetDelimiter = or("target_delimiter", " ");
  const inherited = {
    processDocs: or<FunctionReference | null>("process_docs", null),
    docToText: or<Rule>("doc_to_text", null),
    docToTarget: or<Rule>("doc_to_target", null),
    docToChoice: or<Rule>("doc_to_choice", null),
    genPrefix: or<string | null>("gen_prefix", null),
  };
  const fewshot = or<YamlMapping | null>("fewshot_config", null) ?? {};
  const shot = <T>(key: string, fallback: T): T => (fewshot[key] === undefined ? fallback : (fewshot[key] as T));
  const metadata = keys.metadata;
  return {
    task: or("task", ""),
    alias: or("task_alias", null),
    tags: [or<string | readonly string[] | null>("tag", null) ?? []].flat() as readonly string[],
    datasetPath: or("dataset_path", null),
    datasetName: or("dataset_name", null),
    datasetOptions: or<YamlMapping | null>("dataset_kwargs", null) ?? {},
    trainingSplit: or("training_split", null),
    validationSplit: or("validation_split", null),
    testSplit: or("test_split", null),
    ...inherited,
    processResults: or("process_results", null),
    description: or<Rule>("description", ""),
    targetDelimiter,
    fewshotDelimiter,
    fewshot: {
      sampler: shot("sampler", "default"),
      split: shot("split", or<string | null>("fewshot_split", null)),
      samples: shot("samples", null),
      processDocs: shot("process_docs", inherited.processDocs),
      docToText: shot("doc_to_text", inherited.docToText),
      docToTarget: shot("doc_to_target", inherited.docToTarget),
      docToChoice: shot("doc_to_choice", inherited.docToChoice),
      genPrefix: shot("gen_prefix", inherited.genPrefix),
      fewshotDelimiter: shot("fewshot_delimiter", fewshotDelimiter),
      targetDelimiter: shot("target_delimiter", targetDelimiter),
    },
    numFewshot: or("num_fewshot", null),
    outputType,
    metrics: metricsOf(or<readonly YamlMapping[] | null>("metric_list", null)),
    generationOptions:
      outputType === "generate_until"
        ? generationOptionsOf(or<YamlMapping | null>("generation_kwargs", null), fewshotDelimiter)
        : null,
    repeats: or("repeats", 1),
    filters: filtersOf(or<readonly YamlMapping[] | null>("filter_list", null)),
    shouldDecontaminate: or("should_decontaminate", false),
    decontaminationQuery: or("doc_to_decontamination_query", null),
    metadata:
      metadata === undefined || metadata === null ? {} : isMapping(metadata) ? metadata : { _metadata: metadata },
    keys,
  };
}

function metricsOf(list: readonly YamlMapping[] | null): readonly MetricConfig[] | null {
  return (
    list?.map(({ metric, aggregation, higher_is_better, hf_evaluate: _, ...options }) => ({
      metric: metric as MetricConfig["metric"],
      aggregation: (aggregation ?? null) as MetricConfig["aggregation"],
      higherIsBetter: typeof higher_is_better === "boolean" ? higher_is_better : null,
      options,
    })) ?? null
  );
}

function filtersOf(list: readonly YamlMapping[] | null): readonly FilterConfig[] | null {
  return (
    list?.map(({ name, filter }) => ({
      name: name as string,
      steps: (filter as readonly YamlMapping[]).map(({ function: called, ...options }) => ({
        function: called as string | FunctionReference,
        options,
      })),
    })) ?? null
  );
}

function generationOptionsOf(given: YamlMapping | null, delimiter: string): Readonly<Record<string, YamlValue>> {
  if (given === null) {
    return { temperature: new PythonFloat(0), do_sample: false, max_gen_toks: 256, until: [delimiter] };
  }
  const options: Record<string, YamlValue> = { ...given };
  if (options.temperature !== undefined) options.temperature = floatOf(options.temperature);
  if (options.until === undefined) options.until = [delimiter];
  return options;
}

/** Python's float(), of a number or its text: `1e-3` is text in YAML 1.1. */
function floatOf(value: YamlValue): YamlValue {
  const number = typeof value === "string" ? Number(value) : typeof value === "number" ? value : Number.NaN;
  if (Number.isNaN(number)) return value;
  return Number.isInteger(number) ? new PythonFloat(number) : number;
}
