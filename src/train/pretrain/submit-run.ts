/**
 * @file Pretraining as a Slurm job of several nodes: `quern pretrain --executor slurm`. The job runs the same verb with
 * --resume, so that Slurm can start it again; this process shows its progress.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { claimOutput, writeFileAtomic } from "../../documents/index.js";
import { InterruptedError, QuernError } from "../../errors.js";
import { chooseMpi, type MultiNodeSettings, multiNodeScript, runMultiNodeJob } from "../../executors/index.js";
import { checkpointPath, listCheckpoints } from "../../model/index.js";
import { endOf } from "../run/plan.js";
import { readRunRecord, runPaths } from "../run/run-folder.js";
import type { MetricsLine } from "../run/run-record.js";
import type { PretrainPlan } from "./plan.js";
import { checkBudgets } from "./plan-file.js";
import { type PretrainOptions, runOutput, settingsOf } from "./prepare-run.js";
import type { PretrainResult } from "./pretrain.js";

export interface SubmitOptions {
  readonly settings: MultiNodeSettings;
  /** Called with one line for the user: the submitted job, and each change of its state. */
  readonly onNotice?: (line: string) => void;
}

/** Folder of the job's files in a run. */
const JOB_FOLDER = "job";

/**
 * Trains as a job of a Slurm cluster, and returns its result. A second call with `resume` follows the same job.
 * @throws QuernError if the folder contains a run and `resume` is not given, if Slurm rejects the job, or with the job's error
 * @throws InterruptedError after an abort, which cancels the job
 */
export async function submitPretraining(
  options: PretrainOptions,
  { settings, onNotice }: SubmitOptions,
): Promise<PretrainResult> {
  const { signal, onProgress } = options;
  const o = settingsOf(options);
  checkBudgets(o);
  const before = await readRunRecord(o.out);
  if (before !== null && !o.resume && !o.force) {
    throw new QuernError(`${o.out} already contains a run; resume it with --resume, or choose another folder`, {
      exitCode: 2,
    });
  }
  const job = jobOf(o.out);
  const claim = await claimOutput(runOutput(options));
  try {
    await writeFileAtomic(configOf(o.out), `${JSON.stringify(configFor(o), null, 2)}\n`);
  } finally {
    await claim.release(); // the job claims the folder itself
  }
  try {
    const printed = await runMultiNodeJob(job, settings, {
      ...{ signal, onNotice },
      onPoll: async () => {
        const progress = await progressOf(o.out);
        if (progress !== null) onProgress?.({ task: "train", unit: "step", ...progress });
      },
    });
    return JSON.parse(printed.trim().split("\n").at(-1) as string) as PretrainResult;
  } catch (error) {
    if (!signal?.aborted || error instanceof QuernError) throw error;
    const last = (await listCheckpoints(o.out)).at(-1);
    const saved = last === undefined ? "no checkpoint was saved" : `saved ${checkpointPath(o.out, last)}`;
    throw new InterruptedError(`interrupted; the job was cancelled; ${saved}; continue with --resume`, o.out, {
      cause: error,
    });
  }
}

/** Returns the script that `submitPretraining` would submit; writes nothing. */
export async function planSubmission(options: PretrainOptions, settings: MultiNodeSettings): Promise<string> {
  const o = settingsOf(options);
  checkBudgets(o);
  return multiNodeScript(jobOf(o.out), settings, await chooseMpi(settings));
}

const configOf = (out: string) => join(resolve(out), JOB_FOLDER, "options.json");

const jobOf = (out: string) => ({
  name: `quern-pretrain-${createHash("sha256").update(resolve(out)).digest("hex").slice(0, 8)}`,
  folder: join(resolve(out), JOB_FOLDER),
  directory: process.cwd(),
  args: ["pretrain", "--config", configOf(out), "--json"],
});

/** The options of the job: those given, except that it always continues what there is. */
const configFor = (o: ReturnType<typeof settingsOf>) => ({ ...o, out: resolve(o.out), force: false, resume: true });

/** Reads how far the run is; null before its first step. */
async function progressOf(out: string): Promise<{ done: number; total: number; note: string } | null> {
  const record = await readRunRecord(out).catch(() => null);
  const text = await readFile(runPaths(out).metrics, "utf8").catch(() => "");
  const line = text.trimEnd().split("\n").at(-1);
  if (record?.plan === undefined || !line) return null;
  try {
    const { step, loss, tokens_per_second: speed, slow_node: slow } = JSON.parse(line) as MetricsLine;
    const notes = [
      ...(loss === undefined ? [] : [`loss ${loss.toFixed(3)}`]),
      ...(speed === undefined ? [] : [`${Math.round(speed)} tokens/s`]),
      ...(slow === undefined ? [] : [`slow: ${slow}`]),
    ];
    return { done: step, total: endOf(record.plan as unknown as PretrainPlan), note: notes.join(", ") };
  } catch {
    return null; // a line that is being written
  }
}
