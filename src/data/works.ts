/** @file The programs that executors run, by the kind of a plan. */
import { QuernError } from "../errors.js";
import type { RunTask, WorkPlan, WorkProgram } from "./executors/work.js";

const WORKS: Readonly<Record<string, () => Promise<WorkProgram>>> = {
  clean: async () => (await import("./clean/work.js")).cleanWork as WorkProgram,
  deduplicate: async () => (await import("./deduplicate/work.js")).deduplicateWork as WorkProgram,
};

/** The program of a kind of plan. Throws a `QuernError` for a kind that this version does not have. */
export async function workOf(kind: string): Promise<WorkProgram> {
  const load = WORKS[kind];
  if (load === undefined) throw new QuernError(`a plan of the kind "${kind}" is none that this version of Quern knows`);
  return load();
}

/** Makes this process ready for the tasks of a plan. */
export async function openWork(plan: WorkPlan): Promise<RunTask> {
  return (await workOf(plan.kind)).open(plan);
}
