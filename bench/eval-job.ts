/** @file One measurement of bench/eval.ts in its own process: the job is JSON in argv, the output one JSON line. */
import { evaluateTasks, TaskRegistry } from "../src/eval/index.js";
import { openModel } from "../src/infer/index.js";

export interface EvalJob {
  readonly model: string;
  readonly folder: string;
  readonly tasks: readonly string[];
  readonly shots: number;
  readonly threads: number;
  /** lm-eval's batch size. */
  readonly batch: number;
}

export interface EvalMeasured {
  readonly seconds: number;
  readonly requests: number;
  readonly accuracies: Readonly<Record<string, number>>;
}

const { model: path, folder, tasks, shots, threads } = JSON.parse(process.argv[2]) as EvalJob;
const registry = new TaskRegistry();
registry.addFolder(folder);
const model = await openModel(path, { cpu: { threads } });
// The first call reads the weights and compiles, as lm-eval has done before its time starts.
await model.logLikelihood([{ context: "a", continuation: " b" }]);
const start = performance.now();
const { results, counts } = await evaluateTasks(model, registry.select(tasks), { numFewshot: shots, bootstrap: 0 });
const seconds = (performance.now() - start) / 1000;
await model.dispose();
const accuracies = Object.fromEntries(tasks.map((task) => [task, Number(results.results[task]["acc,none"])]));
console.log(JSON.stringify({ seconds, requests: counts.requests, accuracies } satisfies EvalMeasured));
