/** @file What a Python function of a task file is in TypeScript. */
import type { ScoredContinuation } from "./choice-metrics.js";
import type { Filter } from "./filters.js";

/** A row of a data set. Integral floats are `PythonFloat`. */
export type TaskDocument = Readonly<Record<string, unknown>>;

/** The answer to one request, after the filters: of a `loglikelihood`, of a rolling one, or what a filter made of a text. */
export type TaskResult = ScoredContinuation | number | string | null | readonly unknown[];

/** What a metric gives for one document: a value, or values by name. */
export type MetricValue = number | readonly unknown[] | Readonly<Record<string, unknown>>;

/** A function of a task file, by what lm-eval calls it with. */
export type TaskFunction =
  | { readonly takes: "documents"; readonly run: (documents: readonly TaskDocument[]) => readonly TaskDocument[] }
  | { readonly takes: "document"; readonly run: (document: TaskDocument) => unknown }
  | { readonly takes: "nothing"; readonly run: () => unknown }
  /** `process_results`: the values of one document, by metric. */
  | {
      readonly takes: "results";
      readonly run: (
        document: TaskDocument,
        results: readonly TaskResult[],
      ) => Readonly<Record<string, unknown>> | Promise<Readonly<Record<string, unknown>>>;
    }
  /** An aggregation: one number from the values of all documents. */
  | { readonly takes: "items"; readonly run: (items: readonly unknown[]) => number }
  /**
   * A metric of `generate_until`: lm-eval calls it once per document with lists of one right answer and one result. It
   * returns a number, several by name, or a list: one value for the aggregation, such as the pair of answer and reference.
   */
  | {
      readonly takes: "predictions";
      readonly run: (given: {
        readonly references: readonly unknown[];
        readonly predictions: readonly unknown[];
        /** The other keys of the metric's entry in the task file. */
        readonly options: Readonly<Record<string, unknown>>;
      }) => MetricValue | Promise<MetricValue>;
    }
  /** A class of filter; `options` are the other keys of its step. */
  | {
      readonly takes: "responses";
      readonly create: (options: Readonly<Record<string, unknown>>) => Filter;
    };

/** By `folder/module.function`, such as `hellaswag/utils.process_docs`. */
export type FunctionTable = ReadonlyMap<string, TaskFunction>;
