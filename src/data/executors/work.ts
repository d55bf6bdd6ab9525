/**
 * @file What executors carry out. Work is a plan and a program: the plan is plain data, stages of tasks that any process on
 * any machine can take up from a file; the program, found by the plan's kind, knows how to do one of them. Tasks are pure
 * functions of the plan, so it does not matter who does them, how often, or in which order within a stage.
 */

export interface WorkTask {
  /** Unique in its stage; names its files. */
  readonly name: string;
  /** Bytes of input, for progress; 0 where that is not known. */
  readonly bytes: number;
}

export interface Stage {
  readonly name: string;
  /** The stages before it of which every task must be finished first. */
  readonly after: readonly string[];
  readonly tasks: readonly WorkTask[];
}

export interface WorkPlan<Config = unknown> {
  /** Which program does it: a key of `WORKS` in `../works.ts`. */
  readonly kind: string;
  /** The folder that everything is written to. */
  readonly out: string;
  readonly config: Config;
  /** In an order in which each comes after those that it needs. */
  readonly stages: readonly Stage[];
}

export interface TaskContext {
  readonly signal?: AbortSignal;
  /** Called now and then with the documents that the task has read. */
  readonly onProgress?: (documents: number) => void;
}

/** Does one task and gives its result, as plain data, when all that it writes is there whole. */
export type RunTask = (stage: string, task: WorkTask, context?: TaskContext) => Promise<unknown>;

export interface WorkProgram<Config = unknown> {
  /**
   * Makes a process ready for tasks: loads the recipe, say. Throws a `QuernError` when what it finds is not what was planned.
   */
  open(plan: WorkPlan<Config>): Promise<RunTask>;
  /** The result of a task that is finished, as its files have it; undefined for one that is not, or not whole. */
  finished(plan: WorkPlan<Config>, stage: string, task: WorkTask): Promise<unknown>;
}

/** How a run tells what its tasks come to. */
export interface TaskEvents {
  readonly started?: (stage: string, task: WorkTask) => void;
  readonly progress: (stage: string, task: WorkTask, documents: number) => void;
  readonly finished: (stage: string, task: WorkTask, result: unknown) => void;
  /** Where this is given, a task that fails does not end the others. */
  readonly failed?: (stage: string, task: WorkTask, error: Error) => void;
}
