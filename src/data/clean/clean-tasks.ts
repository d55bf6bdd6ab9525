/**
 * @file Cleaning as tasks: a stage with one task per part of the input, then a single task that adds up the results.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { ReadReport } from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import { defineTasks, planOf, type RunTask, type TaskKind, type TaskPlan } from "../../executors/index.js";
import { loadRecipe, recipeIdentity } from "../recipes/load-recipe.js";
import type { Recipe } from "../recipes/recipe.js";
import type { Task, TaskConfig } from "../tasks.js";
import { runTask, writtenTask } from "./run-task.js";
import { readFunnel, writeFunnel } from "./write-funnel.js";

export interface CleanConfig {
  readonly task: TaskConfig;
  readonly inputs: readonly string[];
  readonly unread: ReadReport;
}

export type CleanPlanData = TaskPlan<CleanConfig>;

export function cleanPlanData(tasks: readonly Task[], config: CleanConfig): CleanPlanData {
  const stages = [
    { name: "clean", after: [], tasks },
    { name: "funnel", after: ["clean"], tasks: [{ name: "funnel", bytes: 0 }] },
  ];
  return planOf(cleanTasks, { out: config.task.out, config, stages });
}

const tasksOf = ({ stages }: CleanPlanData) => stages[0].tasks as readonly Task[];

/** Runs tasks with a loaded recipe. */
export function runWith(recipe: Recipe, plan: CleanPlanData): RunTask {
  const { task: config, inputs, unread } = plan.config;
  return (stage, task, context) => {
    if (stage === "clean") return runTask(task as Task, config, recipe, context);
    const name = recipe.name ?? config.recipe ?? "recipe";
    return writeFunnel(tasksOf(plan), recipe, { out: config.out, recipe: name, inputs, unread });
  };
}

const config: z.ZodType<CleanConfig> = z.looseObject({
  task: z.looseObject({
    recipe: z.string().optional(),
    identity: z.string(),
    out: z.string(),
    keepDropped: z.boolean(),
    sample: z.number().optional(),
    limit: z.number().optional(),
    largest: z.number(),
  }),
  inputs: z.array(z.string()),
  unread: z.looseObject({
    read: z.object({ files: z.number(), documents: z.number(), rows: z.number() }),
    skipped: z.record(z.string(), z.number()),
    skippedAt: z.record(z.string(), z.array(z.string())),
  }),
});

export const cleanTasks: TaskKind<CleanConfig> = defineTasks({
  name: "clean",
  module: import.meta.url,
  config,

  async open(plan) {
    const { recipe: file, identity } = plan.config.task;
    const recipe = await loadRecipe(file);
    if ((await recipeIdentity(recipe, file)) !== identity) {
      throw new QuernError(
        `the recipe ${file ?? "fineweb"} differs from the one the run was planned with: the recipe, a word list or Quern's version has ` +
          "changed, or differs on this machine; start the run again",
      );
    }
    return runWith(recipe, plan);
  },

  async finished(plan, stage, task) {
    const { out } = plan.config.task;
    if (stage === "clean") return writtenTask(task as Task, out);
    // funnel.json is written last, so it always belongs to the manifest in the same folder.
    try {
      const { tasks } = JSON.parse(await readFile(join(out, "manifest.json"), "utf8")) as { tasks: { key: string }[] };
      const keys = tasksOf(plan).map(({ key }) => key);
      return JSON.stringify(tasks.map(({ key }) => key)) === JSON.stringify(keys) ? await readFunnel(out) : undefined;
    } catch {
      return undefined;
    }
  },
});
