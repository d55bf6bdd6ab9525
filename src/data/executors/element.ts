/**
 * @file What one element of a job array does on the machine that it is given: its tasks of a submission, one after the other
 * or on its cores, each with a record and a log. A task that fails does not end the others.
 */
import { hostname } from "node:os";
import { QuernError } from "../../errors.js";
import type { OnProgress } from "../../progress.js";
import { version } from "../../version.js";
import { openWork, workOf } from "../works.js";
import { ClusterFolder, readJson, type Submission } from "./cluster-folder.js";
import { runLocally } from "./local.js";
import type { WorkTask } from "./work.js";

export interface ElementOptions {
  /** A file `cluster/submissions/<n>.json`. */
  readonly submission: string;
  /** Which element. Default: what Slurm or Kubernetes says in the environment. */
  readonly element?: number;
  /** Tasks at once. Default 1. */
  readonly workers?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

export interface ElementResult {
  readonly stage: string;
  readonly finished: number;
  /** Finished before, by another attempt. */
  readonly before: number;
}

/** A record is told anew at most this often, in milliseconds: it is a file on a shared disk. */
const TELL = 5_000;

/**
 * Does an element's tasks. Throws a `QuernError` that says which tasks failed, after the others; exit code 2 where the
 * call or the folder is wrong, so that another attempt would be in vain.
 */
export async function runElement(options: ElementOptions): Promise<ElementResult> {
  const folder = ClusterFolder.ofSubmission(options.submission);
  const { number, run, stage, elements } = await readJson<Submission>(options.submission);
  const index = options.element ?? elementFromEnvironment();
  const names = elements[index];
  if (names === undefined) {
    throw new QuernError(`${options.submission} has no element ${index}, only 0 to ${elements.length - 1}`, {
      exitCode: 2,
    });
  }
  const shared = await folder.readPlan();
  if (shared.run !== run) {
    throw new QuernError(`${options.submission} belongs to a run that another one has replaced; nothing was done`, {
      exitCode: 2,
    });
  }
  if (shared.version !== version) {
    throw new QuernError(`the run was planned by Quern ${shared.version}, and here is ${version}; install the same`, {
      exitCode: 2,
    });
  }
  const { plan } = shared;
  const byName = new Map(plan.stages.find(({ name }) => name === stage)?.tasks.map((task) => [task.name, task]));
  const program = await workOf(plan.kind);
  const host = process.env.SLURMD_NODENAME ?? hostname();
  const tasks: WorkTask[] = [];
  let before = 0;
  for (const name of names) {
    const task = byName.get(name);
    if (task === undefined) throw new QuernError(`the plan has no task ${name} in its stage ${stage}`, { exitCode: 2 });
    if ((await program.finished(plan, stage, task)) === undefined) tasks.push(task);
    else {
      before += 1;
      await folder.writeRecord(stage, name, number, { state: "finished", host, seconds: 0 });
    }
  }

  // Records and log lines of one task follow one another, whatever the tasks at once.
  const writes = new Map<string, Promise<void>>();
  let broken: unknown;
  const write = (task: string, work: () => Promise<void>) => {
    const last = (writes.get(task) ?? Promise.resolve()).then(work).catch((error) => {
      broken ??= error;
    });
    writes.set(task, last);
  };
  const begun = new Map<string, number>();
  const told = new Map<string, number>();
  const failed: string[] = [];
  let finished = 0;
  const job = process.env.SLURM_ARRAY_JOB_ID === undefined ? "" : ` job ${process.env.SLURM_ARRAY_JOB_ID}_${index}`;
  const tell = (count: number) => options.onProgress?.({ task: stage, done: count, total: names.length, unit: "task" });
  tell(before);
  await runLocally(plan, stage, tasks, {
    open: () => openWork(plan),
    workers: options.workers ?? 1,
    signal: options.signal,
    events: {
      started(_, { name }) {
        begun.set(name, Date.now());
        told.set(name, Date.now());
        write(name, async () => {
          await folder.log(stage, name, `begins on ${host}, process ${process.pid},${job} submission ${number}`);
          await folder.writeRecord(stage, name, number, { state: "running", host, documents: 0 });
        });
      },
      progress(_, { name }, documents) {
        if (Date.now() - (told.get(name) ?? 0) < TELL) return;
        told.set(name, Date.now());
        write(name, () => folder.writeRecord(stage, name, number, { state: "running", host, documents }));
      },
      finished(_, { name }) {
        finished += 1;
        const seconds = (Date.now() - (begun.get(name) ?? 0)) / 1000;
        write(name, async () => {
          await folder.log(stage, name, `finished in ${seconds.toFixed(1)} s on ${host}`);
          await folder.writeRecord(stage, name, number, { state: "finished", host, seconds });
        });
        tell(before + finished);
      },
      failed(_, { name }, error) {
        failed.push(`${name}: ${error.message.split("\n")[0]}`);
        const final = error instanceof QuernError && error.exitCode === 2;
        write(name, async () => {
          const told = error instanceof QuernError ? error.message : (error.stack ?? error.message);
          await folder.log(stage, name, `failed on ${host}: ${told}`);
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
  if (broken !== undefined) throw broken;
  if (failed.length > 0) {
    throw new QuernError(
      `${failed.length} of ${names.length} tasks of ${stage} failed on ${host}: ${failed.join("; ")}`,
    );
  }
  return { stage, finished, before };
}

/** Slurm's number of the array element, or Kubernetes' of the completion. */
function elementFromEnvironment(): number {
  const text = process.env.SLURM_ARRAY_TASK_ID ?? process.env.JOB_COMPLETION_INDEX;
  if (text === undefined || !/^\d+$/.test(text)) {
    throw new QuernError(
      "which element? give --element N; Slurm says it in SLURM_ARRAY_TASK_ID, Kubernetes in JOB_COMPLETION_INDEX",
      { exitCode: 2 },
    );
  }
  return Number(text);
}
