/**
 * @file Cleaning as work for an executor: a stage of tasks, a part of the input each, and after it a stage of one task that
 * adds up what they came to.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ReadReport } from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import type { RunTask, WorkPlan, WorkProgram } from "../executors/work.js";
import { loadRecipe, recipeIdentity } from "./load-recipe.js";
import type { Recipe } from "./recipe.js";
import { runTask, writtenTask } from "./run-task.js";
import type { Task, TaskConfig } from "./tasks.js";
import { readFunnel, writeFunnel } from "./write-funnel.js";

export interface CleanConfig {
  readonly task: TaskConfig;
  readonly inputs: readonly string[];
  readonly unread: ReadReport;
}

export type CleanPlanData = WorkPlan<CleanConfig>;

export function cleanPlanData(tasks: readonly Task[], config: CleanConfig): CleanPlanData {
  const stages = [
    { name: "clean", after: [], tasks },
    { name: "funnel", after: ["clean"], tasks: [{ name: "funnel", bytes: 0 }] },
  ];
  return { kind: "clean", out: config.task.out, config, stages };
}

const tasksOf = ({ stages }: CleanPlanData) => stages[0].tasks as readonly Task[];

/** Does tasks with a recipe that is loaded. */
export function runWith(recipe: Recipe, plan: CleanPlanData): RunTask {
  const { task: config, inputs, unread } = plan.config;
  return (stage, task, context) => {
    if (stage === "clean") return runTask(task as Task, config, recipe, context);
    const name = recipe.name ?? config.recipe ?? "recipe";
    return writeFunnel(tasksOf(plan), recipe, { out: config.out, recipe: name, inputs, unread });
  };
}

export const cleanWork: WorkProgram<CleanConfig> = {
  async open(plan) {
    const { recipe: file, identity } = plan.config.task;
    const recipe = await loadRecipe(file);
    if ((await recipeIdentity(recipe, file)) !== identity) {
      throw new QuernError(
        `the recipe ${file ?? "fineweb"} is not the one that the run was planned with: it, a word list or Quern's version has ` +
          "changed, or differs on this machine; start the run again",
      );
    }
    return runWith(recipe, plan);
  },

  async finished(plan, stage, task) {
    const { out } = plan.config.task;
    if (stage === "clean") return writtenTask(task as Task, out);
    // funnel.json is written last, so it is of the manifest beside it.
    try {
      const { tasks } = JSON.parse(await readFile(join(out, "manifest.json"), "utf8")) as { tasks: { key: string }[] };
      const keys = tasksOf(plan).map(({ key }) => key);
      return JSON.stringify(tasks.map(({ key }) => key)) === JSON.stringify(keys) ? await readFunnel(out) : undefined;
    } catch {
      return undefined;
    }
  },
};
