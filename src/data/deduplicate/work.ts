/** @file The program that does a plan's tasks, in this process or wherever an executor runs them. */
import type { Task } from "../clean/tasks.js";
import type { RunTask, WorkProgram } from "../executors/work.js";
import { type ChooseResult, chooseCopies } from "./clusters.js";
import { indexPart } from "./index-part.js";
import { mergeKeys } from "./merge.js";
import {
  type DeduplicateConfig,
  type DeduplicatePlan,
  type IndexedPart,
  indexedParts,
  type MergeResult,
  type MergeTask,
  mergeTasks,
  readResult,
} from "./plan.js";
import { mergeAnchors } from "./substring/merge.js";
import { type MergedRuns, writePart } from "./write-part.js";

/** Does tasks; what earlier stages left is read once. */
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
  if (result === undefined) throw new Error(`merge ${name} was not done`);
  return { ...result, name };
}

export const deduplicateWork: WorkProgram<DeduplicateConfig> = {
  open: async (plan) => runDeduplication(plan),
  finished: (plan, stage, task) => readResult(plan.config.work, stage, task.name),
};
