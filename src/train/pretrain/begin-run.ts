/** @file How a run begins: its record and the state of its first step. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { examineMachine, type Written } from "../../backends/index.js";
import type { ReadReport } from "../../documents/index.js";
import { initialise, parametersOf } from "../../model/index.js";
import { packageFolder, version } from "../../version.js";
import type { RunRecord, RunResult } from "../report/report.js";
import { writeRunRecord } from "../run/run-folder.js";
import { resetOptimizer, type TrainingProgram } from "../trainer.js";
import type { PretrainPlan } from "./plan.js";
import { type PreparedRun, peakOf, type RunRequest } from "./prepare-run.js";

export async function beginRun(
  request: RunRequest,
  plan: PretrainPlan,
  samples: NonNullable<RunResult["samples"]>,
  report: ReadReport | null,
): Promise<RunRecord> {
  const { o } = request;
  const peak = peakOf(request, plan);
  const machine = await examineMachine({ measure: false });
  const record: RunRecord = {
    version,
    created: new Date().toISOString(),
    git: await gitRevision(),
    config: o,
    ...report,
    plan: { ...plan },
    seed: plan.seed,
    machine: {
      line: machine.line,
      processor: machine.processor,
      cores: machine.cores,
      compiler: machine.compiler?.version ?? machine.clang,
      peak_gflops: peak === null ? null : peak / 1e9,
    },
    result: { samples },
  };
  await writeRunRecord(o.out, record);
  return record;
}

/** The revision of Quern's own source, where it is a checkout. */
async function gitRevision(): Promise<string | undefined> {
  return promisify(execFile)("git", ["describe", "--always", "--dirty"], { cwd: packageFolder }).then(
    ({ stdout }) => stdout.trim(),
    () => undefined,
  );
}

type FirstValues = (name: string) => Written | Promise<Written>;

/** What a parameter holds before the first step: drawn by the seed, or the base model's. */
export function firstValuesOf({ sizes, base }: PreparedRun, seed: number): FirstValues {
  if (base !== null) return (name) => base.readParameter(name);
  const parameters = new Map(parametersOf(sizes.model).map((parameter) => [parameter.name, parameter]));
  return (name) => (values) => initialise(parameters.get(name)!, seed, values);
}

/** Writes the first values of the model's parameters, and those of the optimizer. */
export async function setFirstState(
  training: TrainingProgram,
  { sizes }: PreparedRun,
  firstValues: FirstValues,
): Promise<void> {
  for (const { name } of parametersOf(sizes.model)) training.program.write(name, await firstValues(name));
  resetOptimizer(training);
}
