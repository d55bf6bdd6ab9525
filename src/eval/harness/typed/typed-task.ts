/**
 * @file A task written in TypeScript. `defineTask` checks its types; `--tasks my-task.ts` runs it as if it were a task file.
 *
 *     // my-task.ts
 *     import { defineTask } from "quern/eval";
 *
 *     export default defineTask({
 *       name: "colours",
 *       outputType: "multiple_choice",
 *       documents: [{ thing: "grass", colour: "green" }, { thing: "snow", colour: "white" }],
 *       docToText: ({ thing }) => `What colour is ${thing}?`,
 *       docToChoice: ["green", "white"],
 *       docToTarget: ({ colour }) => colour,
 *       metrics: ["acc"],
 *       chance: 0.5,
 *     });
 */
import type { TaskDocument, TaskResult } from "../task-function.js";

/** A list of documents, or a function that returns them; it is called once, when the task runs. */
export type DocumentSource<D> = readonly D[] | (() => Iterable<D> | AsyncIterable<D> | Promise<Iterable<D>>);

/** How a document becomes a text: a function, or the name of a field, or a Jinja template as in a task file. */
export type TextRule<D> = string | ((document: D) => string);

/** Documents of `--data DIR`, by split: `DIR/path/name/SPLIT.jsonl`. */
export interface TypedDataset<D> {
  readonly path: string;
  readonly name?: string;
  /** Default: `test`. */
  readonly split?: string;
  /** Split of the few-shot examples. Default: that of `split`, without the document itself. */
  readonly fewshotSplit?: string;
  /** Changes or drops documents of every split. */
  readonly process?: (documents: readonly TaskDocument[]) => readonly D[];
}

export interface TypedFewshot<D> {
  /** Number of examples unless `--num-fewshot` says otherwise. Default 0. */
  readonly count?: number;
  /** Default: the task's documents, without the one that is evaluated. */
  readonly documents?: DocumentSource<D>;
  /** `first_n` takes the first ones, in their order. Default: `default`, which draws at random. */
  readonly sampler?: "default" | "first_n";
  /** Text between examples. Default: an empty line. */
  readonly delimiter?: string;
}

export interface TypedMetric {
  /** Name in the results: one of lm-eval's metrics, or one that `processResults` returns. */
  readonly name: string;
  /** One number from the values of all documents: one of lm-eval's, or a function. Default: `mean`. */
  readonly aggregation?: string | ((values: readonly unknown[]) => number);
  /** Default true. */
  readonly higherIsBetter?: boolean;
  /** Arguments of the metric as in a task file, such as `ignore_case`. */
  readonly options?: Readonly<Record<string, string | number | boolean | readonly string[]>>;
}

/** A chain of filters: names with arguments as in a task file, or functions of one generated text. */
export interface TypedFilter {
  /** Stands after the comma in the results: `exact_match,NAME`. */
  readonly name: string;
  readonly steps: readonly (
    | { readonly function: string; readonly [argument: string]: unknown }
    | ((response: string) => string)
  )[];
}

interface CommonDefinition<D> {
  readonly name: string;
  /** Name in tables. */
  readonly alias?: string;
  readonly tags?: readonly string[];
  /** The documents themselves; or give `dataset`. */
  readonly documents?: DocumentSource<D>;
  /** Where `--data` has the documents. */
  readonly dataset?: TypedDataset<D>;
  /** Text before the examples and the question. */
  readonly description?: TextRule<D>;
  /** Between question and answer. Default: a space. */
  readonly targetDelimiter?: string;
  readonly fewshot?: TypedFewshot<D>;
  /** Default: lm-eval's for the output type. */
  readonly metrics?: readonly (string | TypedMetric)[];
  /** Computes a document's values by metric, in the place of the metrics' own rules. */
  readonly processResults?: (
    document: D,
    results: readonly TaskResult[],
  ) => Readonly<Record<string, unknown>> | Promise<Readonly<Record<string, unknown>>>;
  /** Accuracy of guessing in [0, 1); reports show it beside the result. */
  readonly chance?: number;
  /** Raise it when prompts or documents change, since results then are not comparable. Default 1. */
  readonly version?: number | string;
}

/** The likeliest of several answers. */
export interface MultipleChoiceDefinition<D> extends CommonDefinition<D> {
  readonly outputType: "multiple_choice";
  readonly docToText: TextRule<D>;
  readonly docToChoice: readonly string[] | string | ((document: D) => readonly string[]);
  /** Index of the right choice, or its text. */
  readonly docToTarget: number | string | ((document: D) => number | string);
}

/** The log-likelihood of one answer, and whether greedy decoding gives it. */
export interface LoglikelihoodDefinition<D> extends CommonDefinition<D> {
  readonly outputType: "loglikelihood";
  readonly docToText: TextRule<D>;
  readonly docToTarget: TextRule<D>;
}

/** The log-likelihood of a whole text. */
export interface RollingDefinition<D> extends CommonDefinition<D> {
  readonly outputType: "loglikelihood_rolling";
  readonly docToTarget: TextRule<D>;
}

/** A generated answer. */
export interface GenerateDefinition<D> extends CommonDefinition<D> {
  readonly outputType: "generate_until";
  readonly docToText: TextRule<D>;
  readonly docToTarget: TextRule<D>;
  readonly generation?: {
    /** Texts that end an answer. Default: the delimiter of examples. */
    readonly until?: readonly string[];
    /** Default 256. */
    readonly maxTokens?: number;
    /** Default 0: greedy. */
    readonly temperature?: number;
  };
  readonly filters?: readonly TypedFilter[];
  /** Answers per document. Default 1. */
  readonly repeats?: number;
}

export type TaskDefinition<D = TaskDocument> =
  | MultipleChoiceDefinition<D>
  | LoglikelihoodDefinition<D>
  | RollingDefinition<D>
  | GenerateDefinition<D>;

/** A checked definition; its documents' type no longer matters. */
export interface TypedTask {
  readonly kind: "task";
  readonly definition: TaskDefinition<never>;
}

export interface GroupDefinition {
  readonly name: string;
  readonly alias?: string;
  readonly tasks: readonly TypedTask[];
  /** Metrics to average over the tasks. Default: `acc`. */
  readonly metrics?: readonly string[];
  /** Whether each task counts by its number of documents. Default false: every task counts the same. */
  readonly weightBySize?: boolean;
}

export interface TypedGroup {
  readonly kind: "group";
  readonly definition: GroupDefinition;
}

/** Defines a task; a task file exports it as default. */
export function defineTask<D extends object>(definition: TaskDefinition<D>): TypedTask {
  // Only the task's own functions meet its documents.
  return { kind: "task", definition: definition as unknown as TaskDefinition<never> };
}

/** Defines tasks that are reported together, with the mean of their metrics. */
export function defineGroup(definition: GroupDefinition): TypedGroup {
  return { kind: "group", definition };
}
