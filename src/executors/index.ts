/**
 * @file Runs tasks in this process, in worker threads or on a Slurm cluster. Also exports the worker pool and the
 * sandbox for generated code.
 */
export { QuernError } from "../errors.js";
export { type ElementOptions, type ElementResult, runElement } from "./element.js";
export {
  checkExecutor,
  type ExecutorInput,
  type ExecutorSettings,
  executorOptions,
  executorSettings,
} from "./executor-options.js";
export { type LocalOptions, runLocally, type TaskPool, taskPool } from "./local.js";
export { type RunPlanOptions, runPlan } from "./run-plan.js";
export {
  requireIsolation,
  runInSandbox,
  SANDBOX_LANGUAGES,
  type SandboxLanguage,
  type SandboxOptions,
  type SandboxProgram,
  type SandboxResult,
} from "./sandbox.js";
export { type PlannedJob, planSlurm } from "./slurm/batch-script.js";
export { refuseLiveJobs } from "./slurm/journal.js";
export {
  checkMultiNode,
  chooseMpi,
  type MultiNodeSettings,
  multiNodeOptions,
  multiNodeScript,
  runMultiNodeJob,
} from "./slurm/multi-node-job.js";
export type { ClusterStatus } from "./slurm/slurm.js";
export {
  defineTasks,
  type PlannedTask,
  planOf,
  type RunTask,
  type Stage,
  type TaskContext,
  type TaskEvents,
  type TaskKind,
  type TaskPlan,
} from "./tasks.js";
export { type Answer, type Answered, WorkerPool, type WorkerPoolOptions } from "./worker-pool.js";
