/** @file The tasks of a plan and how each stands. */
import type { Stage, WorkPlan, WorkTask } from "../work.js";
import type { Failure } from "./journal.js";

export interface TaskState {
  readonly stage: Stage;
  readonly task: WorkTask;
  /** `sent`: a job that is watched has it. `failed`: not to be tried again. */
  state: "waiting" | "sent" | "finished" | "failed" | "cancelled";
  failures: Failure[];
}

export class TaskStates {
  readonly #plan: WorkPlan;
  readonly #states = new Map<string, Map<string, TaskState>>();

  constructor(plan: WorkPlan, isFinished: (stage: string, task: WorkTask) => boolean) {
    this.#plan = plan;
    for (const stage of plan.stages) {
      const states = stage.tasks.map((task): [string, TaskState] => {
        const state = isFinished(stage.name, task) ? "finished" : "waiting";
        return [task.name, { stage, task, state, failures: [] }];
      });
      this.#states.set(stage.name, new Map(states));
    }
  }

  get(stage: string, task: string): TaskState | undefined {
    return this.#states.get(stage)?.get(task);
  }

  of(stage: string): TaskState[] {
    return [...(this.#states.get(stage)?.values() ?? [])];
  }

  all(): TaskState[] {
    return this.#plan.stages.flatMap(({ name }) => this.of(name));
  }

  /** Those of the named that a job has. */
  sent(stage: string, names: readonly string[]): TaskState[] {
    return names.flatMap((name) => this.get(stage, name) ?? []).filter(({ state }) => state === "sent");
  }

  /** The tasks of all stages that a stage comes after. */
  neededBy({ after }: Stage): TaskState[] {
    return after.flatMap((name) => this.of(name));
  }

  /** True when all that a stage needs is there. */
  isReleased(stage: Stage): boolean {
    return this.neededBy(stage).every(({ state }) => state === "finished");
  }

  /** True when something that a stage needs failed, at least once. */
  lacksNeeded(name: string): boolean {
    const stage = this.#plan.stages.find((each) => each.name === name) as Stage;
    return this.neededBy(stage).some(
      ({ state, failures }) => failures.length > 0 || (state !== "finished" && state !== "sent"),
    );
  }

  /** `3 of 7 tasks are finished`. */
  progress(): string {
    const all = this.all();
    return `${all.filter(({ state }) => state === "finished").length} of ${all.length} tasks are finished`;
  }
}

/** They are to be submitted again. */
export function takeBack(states: readonly TaskState[]): void {
  for (const state of states) state.state = "waiting";
}

/** `2 tasks of clean`. */
export const countOf = (tasks: readonly TaskState[]) =>
  `${tasks.length} task${tasks.length === 1 ? "" : "s"} of ${tasks[0].stage.name}`;
