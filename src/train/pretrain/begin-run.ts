/** @file Starts a run: writes its record and sets the state of the first step. */
import { execFile } from "node:child_process";
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { promisify } from "node:util";
import { examineMachine, type Written } from "../../backends/index.js";
import { findInputs, type ReadReport } from "../../documents/index.js";
import { initialise, parametersOf } from "../../model/index.js";
import { size } from "../../pages/index.js";
import { packageFolder, version } from "../../version.js";
import type { Dataset } from "../data/dataset.js";
import type { RunRecord, RunResult } from "../report/report.js";
import { writeRunRecord } from "../run/run-folder.js";
import { resetOptimizer, type TrainingProgram } from "../trainer.js";
import type { PretrainPlan } from "./plan.js";
import { type PreparedRun, peakOf, type RunRequest } from "./prepare-run.js";

/** Writes and returns the record of a new run, `run.json`. */
export async function beginRun(
  request: RunRequest,
  plan: PretrainPlan,
  samples: NonNullable<RunResult["samples"]>,
  report: Partial<ReadReport> & Pick<RunRecord, "data">,
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
      instruction_set: plan.target,
      compiler: machine.compiler?.version ?? machine.clang,
      peak_gflops: peak === null ? null : peak / 1e9,
    },
    result: { samples },
  };
  await writeRunRecord(o.out, record);
  return record;
}

/** Returns the git revision of Quern's source, or undefined if it is not a checkout. */
async function gitRevision(): Promise<string | undefined> {
  return promisify(execFile)("git", ["describe", "--always", "--dirty"], { cwd: packageFolder }).then(
    ({ stdout }) => stdout.trim(),
    () => undefined,
  );
}

type FirstValues = (name: string) => Written | Promise<Written>;

/** Returns the initial values of parameters: the base model's, or random ones from the seed. */
export function firstValuesOf({ sizes, base }: PreparedRun, seed: number): FirstValues {
  if (base !== null) return (name) => base.readParameter(name);
  const parameters = new Map(parametersOf(sizes.model).map((parameter) => [parameter.name, parameter]));
  return (name) => (values) => initialise(parameters.get(name)!, seed, values);
}

/** Writes the initial values of the model's parameters and of the optimizer state. */
export async function setFirstState(
  training: TrainingProgram,
  { sizes }: PreparedRun,
  firstValues: FirstValues,
): Promise<void> {
  for (const { name } of parametersOf(sizes.model)) training.program.write(name, await firstValues(name));
  resetOptimizer(training);
}

/** Returns the sizes of a dataset and its largest file, for the report. */
export async function describeData(
  { train, heldout }: Dataset,
  text: readonly string[] | undefined,
): Promise<RunRecord["data"]> {
  const largest = await largestFile(text ?? []);
  return {
    documents: train.documents + heldout.documents,
    training_text: size(train.bytes),
    "held-out_text": size(heldout.bytes),
    training_tokens: train.tokens,
    "held-out_tokens": heldout.tokens,
    ...(largest === null ? {} : { largest_file: `${largest.name}, ${size(largest.bytes)}` }),
  };
}

/** Returns the largest local file; null if there are only remote ones, whose sizes are unknown. */
async function largestFile(
  inputs: readonly string[],
): Promise<{ readonly name: string; readonly bytes: number } | null> {
  let largest: { readonly name: string; readonly bytes: number } | null = null;
  for (const { location } of await findInputs(inputs.filter((input) => !/^\w+:\/\//.test(input)))) {
    const bytes = (await stat(location)).size;
    if (bytes > (largest?.bytes ?? 0)) largest = { name: basename(location), bytes };
  }
  return largest;
}
