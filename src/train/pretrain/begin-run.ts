/** @file How a run begins: its record, the identity that its checkpoints carry, and the state of its first step. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { examineMachine, type Program, type Written } from "../../backends/index.js";
import type { ReadReport } from "../../documents/index.js";
import { initialise, parametersOf } from "../../model/index.js";
import { packageFolder, version } from "../../version.js";
import { optimizerState } from "../optimizer/optimizer.js";
import type { RunRecord, RunResult } from "../report/report.js";
import { writeRunRecord } from "../run/run-folder.js";
import type { RunPlan } from "./plan.js";
import { type Begun, type Call, peakOf } from "./prepare-run.js";

export async function beginRun(
  call: Call,
  plan: RunPlan,
  samples: NonNullable<RunResult["samples"]>,
  report: ReadReport | null,
): Promise<RunRecord> {
  const { o } = call;
  const peak = peakOf(call, plan);
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

/** A name for what a plan trains: its checkpoints carry it. Cuts come later and are no part of it. */
export function identityOf({
  model,
  batch,
  sequence,
  accumulate,
  steps,
  schedule,
  optimizer,
  seed,
  order,
  dataset,
}: RunPlan): string {
  // A text that is shuffled goes without saying.
  const said = order === "given" ? [order] : [];
  const deciding = [model, batch, sequence, accumulate, steps, schedule, optimizer, seed, dataset, ...said];
  return createHash("sha256").update(JSON.stringify(deciding)).digest("hex");
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
export function firstValuesOf({ sizes, base }: Begun, seed: number): FirstValues {
  if (base !== null) return (name) => base.readParameter(name);
  const parameters = new Map(parametersOf(sizes.model).map((parameter) => [parameter.name, parameter]));
  return (name) => (values) => initialise(parameters.get(name)!, seed, values);
}

export async function setFirstState(
  program: Program,
  { sizes }: Begun,
  firstValues: FirstValues,
  { optimizer }: RunPlan,
): Promise<void> {
  for (const { name } of parametersOf(sizes.model)) program.write(name, await firstValues(name));
  for (const { name } of optimizerState(sizes.model, optimizer)) program.write(name, (values) => void values.fill(0));
}
