/** @file lm-eval's tasks: task files, documents, prompts and requests; filters, aggregations and standard errors. */

export { AGGREGATIONS, type Aggregation, aggregationOf } from "./aggregations.js";
export { type ArithmeticProblem, arithmeticProblems } from "./built-in/arithmetic.js";
export {
  type CheckedFile,
  checkTaskFiles,
  describeTasks,
  openRegistry,
  type TaskDescription,
} from "./catalogue.js";
export { chatRendererOf } from "./chat-renderer.js";
export {
  type ContaminatedDocument,
  type Contamination,
  type ContaminationOptions,
  type DecontaminatedResults,
  findContamination,
  withoutDocuments,
} from "./contamination.js";
export type { ChatRenderer, ChatTurn, PromptOptions } from "./contexts.js";
export { type DataOptions, readTaskDocuments, type TaskDocuments } from "./documents.js";
export { type EvaluationCounts, evaluateTasks, type TaskEvaluation, type TaskRunOptions } from "./evaluate-tasks.js";
export type { EvaluationResults, EvaluationSample } from "./evaluation-results.js";
export { createFilter, createPipeline, defaultPipeline, type FilterPipeline } from "./filters.js";
export {
  type FunctionTable,
  TASK_FUNCTIONS,
  type TaskDocument,
  type TaskFunction,
  type TaskResult,
} from "./functions.js";
export { groupResults, type MetricResults, tasksOf } from "./groups.js";
export type { ListedGroup, ListedTag, ListedTask } from "./listed-lines.js";
export { type Answer, type AnswerOptions, answersOf, type ModelAnswers } from "./model-answers.js";
export { obstaclesOf } from "./obstacles.js";
export { pythonJson } from "./python-json.js";
export { FunctionReference, parsePythonYaml, type YamlValue } from "./python-yaml.js";
export { type LoadedTask, type TaskGroup, TaskRegistry, type TaskSelection } from "./registry.js";
export { openRequestCache, type RequestCache } from "./request-cache.js";
export { buildRequests, type EvalRequest, fewshotCount, type RequestOptions } from "./requests.js";
export { sampleLine } from "./samples.js";
export { standardError } from "./standard-errors.js";
export { OUTPUT_TYPES, type OutputType, type TaskConfig } from "./task-config.js";
export type { IndexOptions } from "./task-index.js";
export { type ListOptions, listTasks, listTasksAsJson, type TaskList } from "./task-list.js";
export * from "./typed/typed-task.js";
