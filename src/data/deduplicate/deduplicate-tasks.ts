/** @file Deduplication as tasks: plans them, and runs them in this process or under an executor. */
import { z } from "zod";
import type { ReadReport } from "../../documents/index.js";
import { defineTasks, planOf, type RunTask, type TaskKind } from "../../executors/index.js";
import { planTasks, type Task } from "../tasks.js";
import { type ChooseResult, chooseCopies } from "./clusters.js";
import { indexPart } from "./index-part.js";
import { mergeKeys } from "./merge.js";
import {
  type DeduplicateConfig,
  type DeduplicatePlan,
  type IndexedPart,
  indexedParts,
  LARGEST_DOCUMENT,
  type MergeResult,
  type MergeTask,
  mergeTasks,
  readResult,
  shelvesOf,
} from "./plan.js";
import { mergeAnchors } from "./substring/merge.js";
import { type MergedRuns, writePart } from "./write-part.js";

/** Key ranges; each is one merge task. */
const RANGES = 16;

/**
 * Plans a run; also reports files that were skipped while listing the inputs.
 *
 * @throws QuernError for an input that does not exist
 */
export async function planDeduplicate(
  inputs: readonly string[],
  out: string,
  config: DeduplicateConfig,
  options: { readonly signal?: AbortSignal; readonly stretch?: number } = {},
): Promise<{ readonly plan: DeduplicatePlan; readonly unread: ReadReport }> {
  const { textField, strict } = config;
  const settings = {
    textField,
    strict,
    out,
    identity: JSON.stringify(config),
    keepDropped: false,
    largest: LARGEST_DOCUMENT,
  };
  const { tasks, unread } = await planTasks(inputs, settings, options);
  const shelves = shelvesOf(config);
  const merges: MergeTask[] = [];
  const ranges = shelves > 1 ? 1 : RANGES;
  for (let shelf = 0; shelf < shelves; shelf++) {
    for (let range = 0; range < ranges; range++) {
      const [from, to] = [range, range + 1].map((n) => (n * 2 ** 32) / ranges);
      merges.push({ name: String(merges.length).padStart(3, "0"), bytes: 0, shelf, from, to });
    }
  }
  const stages = [
    { name: "index", after: [], tasks },
    { name: "merge", after: ["index"], tasks: merges },
    { name: "choose", after: ["merge"], tasks: [{ name: "choose", bytes: 0 }] },
    { name: "write", after: ["choose"], tasks },
  ];
  return { plan: planOf(deduplicateTasks, { out, config, stages }), unread };
}

/** Returns a function that runs tasks. It reads the results of earlier stages once and caches them. */
export function runDeduplication(plan: DeduplicatePlan): RunTask {
  const { config } = plan;
  let indexed: Promise<readonly IndexedPart[]> | undefined;
  let merged: Promise<readonly MergedRuns[]> | undefined;
  const allIndexed = () => {
    indexed ??= indexedParts(plan);
    return indexed;
  };
  const allMerged = () => {
    merged ??= Promise.all(mergeTasks(plan).map(({ name }) => mergedRuns(config, name)));
    return merged;
  };
  return async (stage, task, context = {}) => {
    if (stage === "index") return indexPart(task as Task, config, context);
    const parts = await allIndexed();
    if (stage === "merge") {
      const merge = config.by === "substring" ? mergeAnchors : mergeKeys;
      return merge(task as MergeTask, config, parts, context.signal);
    }
    if (stage === "choose") return chooseCopies(config, parts, mergeTasks(plan), context.signal);
    const chosen = (await readResult<ChooseResult>(config.work, "choose", "choose")) ?? { clusters: 0, members: 0 };
    return writePart(task as Task, config, parts, await allMerged(), chosen, context);
  };
}

async function mergedRuns({ work }: DeduplicateConfig, name: string): Promise<MergedRuns> {
  const result = await readResult<MergeResult>(work, "merge", name);
  if (result === undefined) throw new Error(`merge task ${name} has no result`);
  return { ...result, name };
}

export const deduplicateTasks: TaskKind<DeduplicateConfig> = defineTasks({
  name: "deduplicate",
  module: import.meta.url,
  config: z.looseObject({
    work: z.string(),
    by: z.enum(["url", "document", "near", "line", "paragraph", "sentence", "substring"]),
    keep: z.enum(["longest", "first", "quality", "none"]),
    bands: z.int(),
    rows: z.int(),
    ngram: z.int(),
    sentences: z.int(),
    length: z.int(),
    tokenizer: z.string().optional(),
    mark: z.boolean(),
    part: z.int(),
  }),
  open: async (plan) => runDeduplication(plan),
  finished: (plan, stage, task) => readResult(plan.config.work, stage, task.name),
});
