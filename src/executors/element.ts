/**
 * @file Runs the tasks of one element of a Slurm job array on the assigned machine, one after another or one per core.
 * Each task has a record and a log. A failing task does not stop the others.
 */
import { hostname } from "node:os";
import { QuernError } from "../errors.js";
import type { OnProgress } from "../progress.js";
import { version } from "../version.js";
import { ClusterFolder, readJson, type Submission } from "./cluster-folder.js";
import { runLocally } from "./local.js";
import { kindOf, type PlannedTask } from "./tasks.js";

export interface ElementOptions {
  /** A file `cluster/submissions/<n>.json`. */
  readonly submission: string;
  /** Index of the element. Default: SLURM_ARRAY_TASK_ID. */
  readonly element?: number;
  /** Concurrent tasks. Default 1. */
  readonly workers?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

export interface ElementResult {
  readonly stage: string;
  readonly finished: number;
  /** Tasks that an earlier attempt had finished. */
  readonly before: number;
}

/** Milliseconds between progress records of a running task. Each is a write to a shared disk. */
const RECORD_INTERVAL = 5_000;

/**
 * Runs an element's tasks.
 *
 * @throws QuernError that names the failed tasks, once the others have ended; with exit code 2 if another attempt would
 * fail too, because the call or the folder is wrong
 */
export async function runElement(options: ElementOptions): Promise<ElementResult> {
  const folder = ClusterFolder.ofSubmission(options.submission);
  const { number, run, stage, elements } = await readJson<Submission>(options.submission);
  const index = options.element ?? elementFromEnvironment();
  const names = elements[index];
  if (names === undefined) {
    throw new QuernError(
      `${options.submission} has no element ${index}; its elements are 0 to ${elements.length - 1}`,
      {
        exitCode: 2,
      },
    );
  }
  const shared = await folder.readPlan();
  if (shared.run !== run) {
    throw new QuernError(`${options.submission} belongs to a run that a newer one has replaced; no task was run`, {
      exitCode: 2,
    });
  }
  if (shared.version !== version) {
    throw new QuernError(
      `the run was planned by Quern ${shared.version}, but this machine has ${version}; install the same version`,
      {
        exitCode: 2,
      },
    );
  }
  const { plan } = shared;
  const byName = new Map(plan.stages.find(({ name }) => name === stage)?.tasks.map((task) => [task.name, task]));
  const kind = await kindOf(plan);
  const host = process.env.SLURMD_NODENAME ?? hostname();
  const tasks: PlannedTask[] = [];
  let before = 0;
  for (const name of names) {
    const task = byName.get(name);
    if (task === undefined) throw new QuernError(`the plan has no task ${name} in stage ${stage}`, { exitCode: 2 });
    if ((await kind.finished(plan, stage, task)) === undefined) tasks.push(task);
    else {
      before += 1;
      await folder.writeRecord(stage, name, number, { state: "finished", host, seconds: 0 });
    }
  }

  // Chains the writes of each task, so that its records and log lines are in order even if tasks run concurrently.
  const writes = new Map<string, Promise<void>>();
  let writeError: unknown;
  const write = (task: string, work: () => Promise<void>) => {
    const last = (writes.get(task) ?? Promise.resolve()).then(work).catch((error) => {
      writeError ??= error;
    });
    writes.set(task, last);
  };
  const started = new Map<string, number>();
  const recorded = new Map<string, number>();
  const failed: string[] = [];
  let finished = 0;
  const job = process.env.SLURM_ARRAY_JOB_ID === undefined ? "" : ` job ${process.env.SLURM_ARRAY_JOB_ID}_${index}`;
  const reportProgress = (count: number) =>
    options.onProgress?.({ task: stage, done: count, total: names.length, unit: "task" });
  reportProgress(before);
  await runLocally(plan, stage, tasks, {
    workers: options.workers ?? 1,
    signal: options.signal,
    events: {
      started(_, { name }) {
        started.set(name, Date.now());
        recorded.set(name, Date.now());
        write(name, async () => {
          await folder.log(stage, name, `started on ${host}, process ${process.pid},${job} submission ${number}`);
          await folder.writeRecord(stage, name, number, { state: "running", host, documents: 0 });
        });
      },
      progress(_, { name }, documents) {
        if (Date.now() - (recorded.get(name) ?? 0) < RECORD_INTERVAL) return;
        recorded.set(name, Date.now());
        write(name, () => folder.writeRecord(stage, name, number, { state: "running", host, documents }));
      },
      finished(_, { name }) {
        finished += 1;
        const seconds = (Date.now() - (started.get(name) ?? 0)) / 1000;
        write(name, async () => {
          await folder.log(stage, name, `finished in ${seconds.toFixed(1)} s on ${host}`);
          await folder.writeRecord(stage, name, number, { state: "finished", host, seconds });
        });
        reportProgress(before + finished);
      },
      failed(_, { name }, error) {
        failed.push(`${name}: ${error.message.split("\n")[0]}`);
        const final = error instanceof QuernError && error.exitCode === 2;
        write(name, async () => {
          const full = error instanceof QuernError ? error.message : (error.stack ?? error.message);
          await folder.log(stage, name, `failed on ${host}: ${full}`);
          await folder.writeRecord(stage, name, number, {
            state: "failed",
            host,
            error: error.message.split("\n")[0],
            final,
          });
        });
      },
    },
  }).finally(() => Promise.all(writes.values()));
  if (writeError !== undefined) throw writeError;
  if (failed.length > 0) {
    throw new QuernError(
      `${failed.length} of ${names.length} tasks of ${stage} failed on ${host}: ${failed.join("; ")}`,
    );
  }
  return { stage, finished, before };
}

/** Returns the index that Slurm gave this array element. */
function elementFromEnvironment(): number {
  const text = process.env.SLURM_ARRAY_TASK_ID;
  if (text === undefined || !/^\d+$/.test(text)) {
    throw new QuernError("the element is not given: use --element N (Slurm sets it in SLURM_ARRAY_TASK_ID)", {
      exitCode: 2,
    });
  }
  return Number(text);
}
