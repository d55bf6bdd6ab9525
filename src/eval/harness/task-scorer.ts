/**
 * @file From a document's answers to the values of its metrics: by the kind of task, or by its own `process_results`. Also how
 * the values of all documents become one number.
 */
import { QuernError } from "../../errors.js";
import { PythonFloat } from "../../tokenizer/index.js";
import { type Aggregation, aggregationOf } from "./aggregations.js";
import { type ChoiceOutcome, choiceValues, type ScoredContinuation } from "./choice-metrics.js";
import { createFilter, defaultPipeline, type Filter, type FilterPipeline } from "./filters.js";
import { type FunctionTable, requireFunction, type TaskDocument } from "./functions.js";
import { GENERATION_METRICS, generationScorer } from "./generation-metrics.js";
import { DEFAULT_METRICS, likelihoodValues, metricOf, rollingValues } from "./metrics.js";
import { isInteger, itemAt, textOf } from "./python-values.js";
import { FunctionReference } from "./python-yaml.js";
import type { LoadedTask } from "./registry.js";
import type { MetricConfig } from "./task-config.js";
import type { DocumentRules } from "./templates.js";

/** Values of one document, by metric. */
export type MetricValues = Readonly<Record<string, unknown>>;

export interface TaskScorer {
  /** The chains of filters, each scored by itself. */
  readonly pipelines: readonly FilterPipeline[];
  /**
   * Returns the values of a document.
   * @param results one per request of the document, after a chain of filters
   */
  score(document: TaskDocument, results: readonly unknown[]): Promise<MetricValues>;
  /** Returns how a metric's values become one number. A metric that the task does not name is averaged. */
  aggregationOf(metric: string): MetricAggregation;
  readonly higherIsBetter: Readonly<Record<string, boolean | null>>;
  /** Documents so far whose right answer is none of the choices; they count as wrong. */
  readonly missingGolds: number;
}

/** An aggregation with its name; that of a Python function has no standard error. */
export interface MetricAggregation extends Pick<Aggregation, "error"> {
  readonly name: string | null;
  readonly compute: (items: readonly unknown[]) => number;
}

/**
 * @param first the first evaluated document: lm-eval decides by it what the task's answers look like
 * @throws QuernError for a function, filter or metric that Quern does not have
 */
export function createTaskScorer(
  task: LoadedTask,
  rules: DocumentRules,
  first: TaskDocument,
  functions?: FunctionTable,
): TaskScorer {
  const { config } = task;
  const metrics = config.metrics ?? DEFAULT_METRICS[config.outputType].map(plainMetric);
  const target = config.docToTarget === null ? null : rules.target(first);
  const shape: Shape = {
    hasManyInputs: config.docToChoice !== null && isInteger(rules.text(first)),
    hasSeveralGolds: Array.isArray(target) && target.length > 0,
  };
  const counts = { missingGolds: 0 };
  const aggregations = new Map(metrics.map((metric) => [nameOf(metric), aggregationFor(metric, functions)]));
  const higherIsBetter: Record<string, boolean | null> = {};
  for (const metric of metrics) {
    higherIsBetter[nameOf(metric)] = metric.higherIsBetter ?? metricOf(nameOf(metric))?.higherIsBetter ?? null;
  }
  const score = scoreOf(task, rules, metrics, shape, counts, functions, (source, made) => {
    // A metric function may give several metrics; they are aggregated as the one that gave them.
    for (const name of made) {
      if (aggregations.has(name)) continue;
      aggregations.set(name, aggregations.get(source)!);
      higherIsBetter[name] = higherIsBetter[source] ?? null;
    }
  });
  return {
    pipelines: pipelinesOf(task, functions),
    score,
    aggregationOf: (metric) => aggregations.get(metric) ?? MEAN,
    higherIsBetter,
    get missingGolds() {
      return counts.missingGolds;
    },
  };
}

interface Shape {
  readonly hasManyInputs: boolean;
  readonly hasSeveralGolds: boolean;
}

const plainMetric = (metric: string): MetricConfig => ({
  metric,
  aggregation: null,
  higherIsBetter: null,
  options: {},
});

/** A Python function's metric has the function's name. */
function nameOf({ metric }: MetricConfig): string {
  return metric instanceof FunctionReference ? metric.name.slice(metric.name.lastIndexOf(".") + 1) : metric;
}

function aggregationFor({ metric, aggregation }: MetricConfig, functions?: FunctionTable): MetricAggregation {
  if (aggregation instanceof FunctionReference) {
    return { name: null, error: null, compute: requireFunction(aggregation, "items", functions).run };
  }
  const own = typeof metric === "string" ? metricOf(metric)?.aggregation : undefined;
  return named(aggregation ?? own ?? "mean");
}

function named(name: string): MetricAggregation {
  const { error, statistic } = aggregationOf(name);
  return { name, error, compute: (items) => statistic(items)(Uint32Array.from(items.keys())) };
}

const MEAN = named("mean");

function pipelinesOf({ config }: LoadedTask, functions?: FunctionTable): readonly FilterPipeline[] {
  if (config.filters === null) return [defaultPipeline()];
  return config.filters.map(({ name, steps }) => {
    const filters = steps.map(({ function: called, options }): Filter => {
      if (called instanceof FunctionReference) return requireFunction(called, "responses", functions).create(options);
      const custom = options.filter_fn;
      if (called === "custom" && custom instanceof FunctionReference) {
        return requireFunction(custom, "responses", functions).create({});
      }
      return createFilter(called, options);
    });
    return {
      name,
      apply: (responses, documents) =>
        filters.reduce<unknown[]>((values, filter) => filter(values, documents), [...responses]),
    };
  });
}

function scoreOf(
  task: LoadedTask,
  rules: DocumentRules,
  metrics: readonly MetricConfig[],
  shape: Shape,
  counts: { missingGolds: number },
  functions: FunctionTable | undefined,
  onMade: (source: string, made: readonly string[]) => void,
): TaskScorer["score"] {
  const { config } = task;
  if (config.processResults !== null) {
    if (!(config.processResults instanceof FunctionReference)) {
      throw new QuernError(`${task.file}: process_results must be a function`);
    }
    const { run } = requireFunction(config.processResults, "results", functions);
    return async (document, results) => run(document, results as Parameters<typeof run>[1]);
  }
  const wanted = metrics.map(nameOf);
  const { outputType } = config;
  switch (outputType) {
    case "loglikelihood":
      return async (_, results) => likelihoodValues(results[0] as ScoredContinuation, wanted);
    case "loglikelihood_rolling":
      return async (document, results) => rollingValues(results[0] as number, textOf(rules.target(document)), wanted);
    case "multiple_choice":
      return async (document, results) => {
        const gold = shape.hasManyInputs ? rules.text(document) : rules.target(document);
        const outcome: ChoiceOutcome = {
          results: results as readonly ScoredContinuation[],
          choices: rules.choices(document).map(textOf),
          gold: goldOf(gold),
        };
        const { values, isGoldMissing } = choiceValues(outcome, wanted);
        if (isGoldMissing) counts.missingGolds += 1;
        return values;
      };
    case "generate_until":
      return generatedScore(rules, metrics, config.docToChoice !== null, shape, functions, onMade);
    default:
      return outputType satisfies never;
  }
}

function goldOf(gold: unknown): ChoiceOutcome["gold"] {
  if (Array.isArray(gold)) return gold.map((each) => (isInteger(each) ? Number(each) : -100));
  if (typeof gold === "string") return gold;
  if (isInteger(gold)) return Number(gold);
  if (gold instanceof PythonFloat) return gold.value;
  throw new QuernError(`the right choice must be the index or the text of a choice, not ${textOf(gold)}`);
}

function generatedScore(
  rules: DocumentRules,
  metrics: readonly MetricConfig[],
  hasChoices: boolean,
  { hasSeveralGolds }: Shape,
  functions: FunctionTable | undefined,
  onMade: (source: string, made: readonly string[]) => void,
): TaskScorer["score"] {
  const scorers = metrics.map((each) => {
    const { metric, options } = each;
    if (metric instanceof FunctionReference) {
      const { run } = requireFunction(metric, "predictions", functions);
      return async (result: unknown, gold: unknown): Promise<Record<string, unknown>> => {
        const one = (right: unknown) => run({ references: [right], predictions: [result], options });
        if (hasSeveralGolds) {
          const scores = await Promise.all([gold].flat().map(one));
          const isRight = (score: unknown) =>
            Boolean(typeof score === "object" && score !== null ? (score as MetricValues)[nameOf(each)] : score);
          return { [nameOf(each)]: Number(scores.some(isRight)) };
        }
        const made = await one(gold);
        // A list is one value, such as the pair that the aggregation reads.
        if (typeof made === "number" || Array.isArray(made)) return { [nameOf(each)]: made };
        onMade(nameOf(each), Object.keys(made));
        return { ...made };
      };
    }
    if (!GENERATION_METRICS.includes(metric)) {
      // acc, f1 and mcc of generated text compare pairs of texts once all are there.
      return async (result: unknown, gold: unknown) => ({ [metric]: [gold, result] });
    }
    const score = generationScorer([{ metric, options }]);
    return async (result: unknown, gold: unknown) => score({ result, gold, hasSeveralGolds });
  });
  return async (document, results) => {
    let gold = rules.target(document);
    if (hasChoices) {
      const choices = rules.choices(document);
      const right = isInteger(gold) ? itemAt(choices, gold) : undefined;
      if (right === undefined) {
        throw new QuernError(
          `doc_to_target must give the index of one of ${choices.length} choices, not ${textOf(gold)}`,
        );
      }
      gold = right;
    }
    const values: Record<string, unknown> = {};
    for (const score of scorers) Object.assign(values, await score(results[0], gold));
    return values;
  };
}
