/** @file What an evaluation writes: `results.json` and one `samples_TASK.jsonl` per task, in lm-eval's layout. */
import type { DecontaminatedResults } from "./contamination.js";
import type { MetricResults } from "./groups.js";
import type { TaskDocument } from "./task-function.js";

/** One document under one filter, as in a line of `samples_TASK.jsonl`. Beside these keys it has each metric's value. */
export interface EvaluationSample {
  readonly doc_id: number;
  readonly doc: TaskDocument;
  readonly target: unknown;
  /** `gen_args_0` … : the arguments of each request, `arg_0` (context) and `arg_1` (continuation, or options). */
  readonly arguments: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Per request and repeat: a text, or log-likelihood and whether it is greedy, as text. */
  readonly resps: readonly (readonly unknown[])[];
  readonly filtered_resps: readonly unknown[];
  readonly filter: string;
  readonly metrics: readonly string[];
  readonly doc_hash: string;
  readonly prompt_hash: string;
  readonly target_hash: string;
  /** Quern's own: whether the training data of `--decontaminate` contains the document. */
  readonly contaminated?: boolean;
  readonly [metric: string]: unknown;
}

/** `results.json`. lm-eval's tools read the keys that it has too. */
export interface EvaluationResults {
  /** By task and group: `acc,none`, `acc_stderr,none` (a number or "N/A"), `alias`, `sample_len`. */
  readonly results: Readonly<Record<string, MetricResults>>;
  readonly groups?: Readonly<Record<string, MetricResults>>;
  readonly group_subtasks: Readonly<Record<string, readonly string[]>>;
  readonly configs: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly versions: Readonly<Record<string, unknown>>;
  readonly "n-shot": Readonly<Record<string, number>>;
  readonly higher_is_better: Readonly<Record<string, Readonly<Record<string, boolean | null>>>>;
  readonly "n-samples": Readonly<Record<string, { readonly original: number; readonly effective: number }>>;
  readonly config: Readonly<Record<string, unknown>>;
  /** The same without the documents that training data contains; Quern's own. */
  readonly decontaminate?: DecontaminatedResults;
  readonly [key: string]: unknown;
}
