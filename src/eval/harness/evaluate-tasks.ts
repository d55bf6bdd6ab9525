/** @file Runs tasks on an open model: documents, requests, answers, metrics with standard errors, and groups. */
import { QuernError } from "../../errors.js";
import type { LanguageModel } from "../../infer/index.js";
import { printedConfig } from "./catalogue.js";
import { chatRendererOf } from "./chat-renderer.js";
import {
  type ComparedDocument,
  type Contamination,
  type ContaminationOptions,
  comparedTexts,
  DEFAULT_NGRAM,
  type DecontaminatedResults,
  findContamination,
  type MetricItems,
  type TaskContamination,
  withoutDocuments,
} from "./contamination.js";
import { type DataOptions, readTaskDocuments, type TaskDocuments } from "./documents.js";
import type { EvaluationResults, EvaluationSample } from "./evaluation-results.js";
import { groupResults, type MetricResults, tasksOf } from "./groups.js";
import { HubData } from "./hub-data.js";
import { type Answer, type AnswerOptions, answersOf, type ModelAnswers } from "./model-answers.js";
import { obstaclesOf } from "./obstacles.js";
import { textOf } from "./python-values.js";
import type { LoadedTask, TaskGroup, TaskSelection } from "./registry.js";
import { buildRequests, type EvalRequest, fewshotCount, type RequestOptions } from "./requests.js";
import { sampleOf, taskHash } from "./samples.js";
import { standardError } from "./standard-errors.js";
import { createTaskScorer, type MetricAggregation, type MetricValues, type TaskScorer } from "./task-scorer.js";
import { DocumentRules } from "./templates.js";

export interface TaskRunOptions
  extends Omit<RequestOptions, "chat" | "samples" | "seed">,
    Omit<AnswerOptions, "seed" | "turnsAsJson" | "onTruncated"> {
  /** Folder of data sets; default the hub. */
  readonly data?: string;
  /** Positions of the documents to evaluate, by task. */
  readonly samples?: Readonly<Record<string, readonly number[]>>;
  readonly applyChatTemplate?: boolean;
  /** Of the few-shot examples; default 1234. */
  readonly fewshotSeed?: number;
  /** Of sampled completions; default 1234. */
  readonly samplingSeed?: number;
  /** Rounds of bootstrapped standard errors; default 100,000, and 0 leaves out all standard errors. */
  readonly bootstrap?: number;
  /** Training data in which the documents are looked up; the scores without those found are reported too. */
  readonly decontaminate?: Omit<ContaminationOptions, "signal" | "onProgress">;
}

/** What lm-eval's results have no place for. */
export interface EvaluationCounts {
  /** Requests of all tasks, and those that the model and the cache answered; equal ones count once there. */
  readonly requests: number;
  readonly asked: number;
  readonly cached: number;
  /** Requests whose start was cut to fit the model, by task; only tasks with any. */
  readonly truncated: Readonly<Record<string, number>>;
  /** Documents whose right answer is none of the choices, by task; they count as wrong. */
  readonly missingGolds: Readonly<Record<string, number>>;
  /** Prompts whose system turn the chat template refused. */
  readonly systemDropped: number;
}

export interface TaskEvaluation {
  readonly results: EvaluationResults;
  /** By task: one per document and chain of filters. */
  readonly samples: ReadonlyMap<string, readonly EvaluationSample[]>;
  readonly counts: EvaluationCounts;
}

/** A task with its documents and requests. */
export interface PreparedTask {
  readonly task: LoadedTask;
  readonly documents: TaskDocuments;
  readonly requests: readonly EvalRequest[];
  readonly shots: number;
}

/**
 * Evaluates a model on tasks.
 * @throws QuernError if a task cannot run, its data is missing, or a rule of it fails on a document
 */
export async function evaluateTasks(
  model: LanguageModel,
  { tasks, groups }: TaskSelection,
  options: TaskRunOptions = {},
): Promise<TaskEvaluation> {
  const { signal } = options;
  refuseObstacles([...tasks.values()], options);
  let systemDropped = 0;
  const chat = options.applyChatTemplate === true ? chatRendererOf(model, () => systemDropped++) : undefined;
  const hub = new HubData({ signal, onProgress: options.onProgress });
  const prepared: PreparedTask[] = [];
  for (const task of tasks.values()) {
    signal?.throwIfAborted();
    prepared.push(
      await prepare(task, { ...options, hub, chat, seed: options.fewshotSeed, samples: options.samples?.[task.name] }),
    );
  }
  const contamination = await contaminationOf(prepared, options);
  const all = prepared.flatMap(({ requests }) => requests);
  const truncated = new Map<string, number>();
  const answered = await answersOf(model, all, {
    ...options,
    seed: options.samplingSeed,
    turnsAsJson: chat !== undefined && model.tokenizer === undefined,
    onTruncated: ({ task }) => truncated.set(task, (truncated.get(task) ?? 0) + 1),
  });
  const scored = new Map<string, ScoredTask>();
  let from = 0;
  for (const each of prepared) {
    signal?.throwIfAborted();
    const answers = answered.answers.slice(from, from + each.requests.length);
    from += each.requests.length;
    const { name } = each.task;
    scored.set(name, await scoreTask(each, answers, options, contamination?.tasks.get(name)));
  }
  const decontaminate = contamination && decontaminated(contamination, scored, groups, options.decontaminate!);
  return {
    results: { ...assembled(prepared, scored, groups), ...(decontaminate && { decontaminate }) },
    samples: new Map([...scored].map(([name, { samples }]) => [name, samples])),
    counts: countsOf(all, answered, truncated, scored, systemDropped),
  };
}

function countsOf(
  all: readonly EvalRequest[],
  { asked, cached }: ModelAnswers,
  truncated: ReadonlyMap<string, number>,
  scored: ReadonlyMap<string, ScoredTask>,
  systemDropped: number,
): EvaluationCounts {
  const missing = [...scored].flatMap(([name, { missingGolds }]) => (missingGolds > 0 ? [[name, missingGolds]] : []));
  return {
    requests: all.length,
    asked,
    cached,
    truncated: Object.fromEntries(truncated),
    missingGolds: Object.fromEntries(missing),
    systemDropped,
  };
}

/** Obstacles shown of a selection. */
const SHOWN = 5;

function refuseObstacles(tasks: readonly LoadedTask[], { functions }: TaskRunOptions): void {
  const stopped = tasks.flatMap((task) => {
    const [first] = obstaclesOf(task, functions);
    return first === undefined ? [] : [`${task.name} (${task.file}): ${first}`];
  });
  if (stopped.length === 0) return;
  const more = stopped.length > SHOWN ? `; and ${stopped.length - SHOWN} more` : "";
  throw new QuernError(
    `${stopped.length} of ${tasks.length} tasks cannot run: ${stopped.slice(0, SHOWN).join("; ")}${more}`,
    { exitCode: 2 },
  );
}

async function prepare(task: LoadedTask, options: RequestOptions & DataOptions): Promise<PreparedTask> {
  const shots = fewshotCount(task, options.numFewshot);
  const documents = await readTaskDocuments(task, shots, options);
  return { task, documents, shots, requests: await buildRequests(task, documents, options) };
}

/** Looks up the evaluated documents of all tasks in the training data; undefined without any. */
async function contaminationOf(
  prepared: readonly PreparedTask[],
  { decontaminate, functions, signal, onProgress }: TaskRunOptions,
): Promise<Contamination | undefined> {
  if (decontaminate === undefined) return undefined;
  const compared = prepared.map(({ task, documents, requests }): [string, readonly ComparedDocument[]] => {
    const rules = new DocumentRules(task, new Set(Object.keys(documents.evaluated[0]!)), functions);
    const evaluated = new Map(requests.map(({ position, document }) => [position, document]));
    const texts = [...evaluated].map(([position, document]) => {
      try {
        return { position, texts: comparedTexts(task, rules, document, functions) };
      } catch (error) {
        if (!(error instanceof QuernError)) throw error;
        throw new QuernError(`task ${task.name}, document ${position}: ${error.message}`, { cause: error });
      }
    });
    return [task.name, texts];
  });
  return findContamination(new Map(compared), { ...decontaminate, signal, onProgress });
}

function decontaminated(
  { tasks, trainingDocuments, reading }: Contamination,
  scored: ReadonlyMap<string, ScoredTask>,
  groups: ReadonlyMap<string, TaskGroup>,
  { paths, ngram = DEFAULT_NGRAM, threshold = 0 }: ContaminationOptions,
): DecontaminatedResults {
  const byTask = new Map([...scored].map(([name, { clean }]) => [name, clean!]));
  const results: Record<string, MetricResults> = {};
  for (const [name, { contaminated, tooShort }] of tasks) {
    results[name] = { ...byTask.get(name), contaminated: contaminated.size, too_short: tooShort };
  }
  for (const [name, group] of groups) {
    const own = tasksOf(group).flatMap((task) => tasks.get(task.name) ?? []);
    const sum = (count: (task: TaskContamination) => number) => own.reduce((total, task) => total + count(task), 0);
    results[name] = {
      ...groupResults(group, byTask),
      contaminated: sum(({ contaminated }) => contaminated.size),
      too_short: sum(({ tooShort }) => tooShort),
    };
  }
  const documents = [...tasks].map(([name, { contaminated }]) => {
    return [name, [...contaminated.values()].sort((a, b) => a.doc_id - b.doc_id)];
  });
  return {
    data: paths,
    ngram,
    threshold,
    training_documents: trainingDocuments,
    results,
    documents: Object.fromEntries(documents),
    ...reading,
  };
}

interface ScoredTask {
  readonly metrics: MetricResults;
  /** Without contaminated documents, if they were looked up. */
  readonly clean?: MetricResults;
  readonly samples: readonly EvaluationSample[];
  readonly higherIsBetter: Readonly<Record<string, boolean | null>>;
  readonly effective: number;
  readonly missingGolds: number;
}

async function scoreTask(
  { task, documents, requests }: PreparedTask,
  answers: readonly (readonly Answer[])[],
  { functions, bootstrap }: TaskRunOptions,
  contamination?: TaskContamination,
): Promise<ScoredTask> {
  const first = documents.evaluated[0]!;
  const rules = new DocumentRules(task, new Set(Object.keys(first)), functions);
  const scorer = createTaskScorer(task, rules, first, functions);
  const byDocument = new Map<number, number[]>();
  for (const [i, { documentIndex }] of requests.entries()) {
    const own = byDocument.get(documentIndex);
    if (own === undefined) byDocument.set(documentIndex, [i]);
    else own.push(i);
  }
  const samples: EvaluationSample[] = [];
  const values = new Map<string, MetricItems & { readonly items: unknown[]; readonly positions: number[] }>();
  for (const { name: filter, apply } of scorer.pipelines) {
    const filtered = apply(
      answers,
      requests.map(({ document }) => document),
    );
    for (const own of byDocument.values()) {
      const { document, position } = requests[own[0]!]!;
      const results = own.map((i) => filtered[i]);
      let scores: MetricValues;
      let target: unknown;
      try {
        scores = await scorer.score(document, results);
        target = rules.target(document);
      } catch (error) {
        if (!(error instanceof QuernError)) throw error;
        throw new QuernError(`task ${task.name}, document ${position}: ${error.message}`, { cause: error });
      }
      for (const [metric, value] of Object.entries(scores)) {
        const key = `${metric},${filter}`;
        const entry = values.get(key) ?? { metric, filter, items: [], positions: [] };
        values.set(key, entry);
        entry.items.push(value);
        entry.positions.push(position);
      }
      const parts = { requests: own.map((i) => requests[i]!), answers: own.map((i) => answers[i]!) };
      const sample = sampleOf({ ...parts, filtered: results, filter, target, values: scores });
      samples.push(contamination ? { ...sample, contaminated: contamination.contaminated.has(position) } : sample);
    }
  }
  const metrics = metricsOf(task, scorer, values, bootstrap);
  const clean =
    contamination && metricsOf(task, scorer, withoutDocuments(values, contamination.contaminated), bootstrap);
  const { higherIsBetter, missingGolds } = scorer;
  return { metrics, clean, samples, higherIsBetter, effective: metrics.sample_len, missingGolds };
}

/** Aggregates the values of a task's documents. */
function metricsOf(
  task: LoadedTask,
  scorer: TaskScorer,
  values: ReadonlyMap<string, MetricItems>,
  bootstrap: number | undefined,
): MetricResults & { readonly sample_len: number } {
  const metrics: Record<string, unknown> = {};
  let effective = 0;
  for (const [key, { metric, filter, items }] of values) {
    effective = Math.max(effective, items.length);
    const aggregation = scorer.aggregationOf(metric);
    metrics[key] = aggregated(task, metric, aggregation, items);
    metrics[`${metric}_stderr,${filter}`] = errorOf(metric, aggregation, items, bootstrap) ?? "N/A";
  }
  return { name: task.name, alias: task.config.alias ?? task.name, sample_len: effective, ...metrics };
}

function aggregated(
  task: LoadedTask,
  metric: string,
  { compute }: MetricAggregation,
  items: readonly unknown[],
): number {
  try {
    return compute(items);
  } catch (error) {
    if (!(error instanceof QuernError)) throw error;
    throw new QuernError(`task ${task.name}, metric ${metric}: ${error.message}`, { cause: error });
  }
}

function errorOf(
  metric: string,
  { name, error }: MetricAggregation,
  items: readonly unknown[],
  iterations: number | undefined,
): number | null {
  return name === null || error === null ? null : standardError(name, items, { metric, iterations });
}

function assembled(
  prepared: readonly PreparedTask[],
  scored: ReadonlyMap<string, ScoredTask>,
  groups: ReadonlyMap<string, TaskGroup>,
): EvaluationResults {
  const byTask = new Map([...scored].map(([name, { metrics }]) => [name, metrics]));
  const results: Record<string, MetricResults> = Object.fromEntries(byTask);
  const aggregates: Record<string, MetricResults> = {};
  const shots: Record<string, number> = {};
  const better: Record<string, Readonly<Record<string, boolean | null>>> = {};
  for (const { task, shots: count } of prepared) {
    shots[task.name] = count;
    better[task.name] = scored.get(task.name)!.higherIsBetter;
  }
  const versions = prepared.map(({ task }): [string, unknown] => [task.name, task.config.metadata.version ?? "Yaml"]);
  for (const [name, group] of [...groups].reverse()) {
    results[name] = groupResults(group, byTask);
    if (group.aggregates.length > 0) aggregates[name] = results[name];
    versions.push([name, textOf(group.metadata.version ?? "N/A")]);
  }
  // In lm-eval's order, outer groups first: they do not see what inner groups get here.
  for (const [name, group] of groups) {
    const children = group.children.map((child) => child.name);
    const counts = new Set(children.flatMap((child) => shots[child] ?? []));
    if (counts.size === 1) shots[name] = [...counts][0]!;
    const merged: Record<string, boolean | null> = {};
    for (const child of children) {
      for (const [metric, isHigher] of Object.entries(better[child] ?? {})) {
        merged[metric] = metric in merged && merged[metric] !== isHigher ? null : isHigher;
      }
    }
    if (Object.keys(merged).length > 0) better[name] = merged;
  }
  const sizes = prepared.map(({ task, documents }) => {
    const { effective } = scored.get(task.name)!;
    return [task.name, { original: documents.evaluated.length, effective }] as const;
  });
  return {
    results,
    ...(Object.keys(aggregates).length > 0 && { groups: aggregates }),
    group_subtasks: Object.fromEntries(
      [...groups].map(([name, { children }]) => [name, children.map((child) => child.name)]),
    ),
    configs: sorted(prepared.map(({ task, shots }) => [task.name, { ...printedConfig(task), num_fewshot: shots }])),
    versions: sorted(versions),
    "n-shot": sorted(Object.entries(shots)),
    higher_is_better: sorted(Object.entries(better)),
    "n-samples": Object.fromEntries(sizes),
    task_hashes: Object.fromEntries([...scored].map(([name, { samples }]) => [name, taskHash(samples)])),
    config: {},
  };
}

function sorted<T>(entries: readonly (readonly [string, T])[]): Record<string, T> {
  return Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}
