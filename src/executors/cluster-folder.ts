/**
 * @file The folder through which the submitter and the cluster's machines communicate: `cluster/` in the output folder,
 * which all of them must see under the same path. Each file has one writer at a time and is written atomically.
 *
 *     plan.json                  the plan, with the run's name
 *     state.json                 the submitter's journal: jobs and failures
 *     submitter.json             the submitting process, and when it was last seen
 *     submissions/<n>.json       the tasks of each element of a job array; <n>.sh is the batch script
 *     tasks/<stage>/<task>.<n>.json   the outcome of a task in a submission
 *     logs/<stage>/<task>.log    a line for each event of a task, over all its attempts
 *     logs/<n>-<element>.out     the output of the element's process, including a crash
 */
import { createHash } from "node:crypto";
import { appendFile, readFile, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { makeFolder, writeFileAtomic } from "../documents/index.js";
import { fileError, QuernError } from "../errors.js";
import { version } from "../version.js";
import type { TaskPlan } from "./tasks.js";

/** The content of `plan.json`. */
export interface SharedPlan {
  /** Names the run: a hash of the plan. */
  readonly run: string;
  readonly version: string;
  readonly plan: TaskPlan;
}

/** The content of `submissions/<n>.json`. */
export interface Submission {
  readonly number: number;
  readonly run: string;
  readonly stage: string;
  /** Task names per array element. */
  readonly elements: readonly (readonly string[])[];
}

export type TaskRecord =
  | { readonly state: "running"; readonly host: string; readonly documents: number }
  | { readonly state: "finished"; readonly host: string; readonly seconds: number }
  /** `final`: another attempt would fail in the same way. */
  | { readonly state: "failed"; readonly host: string; readonly error: string; readonly final: boolean };

/** Hashes plan and version, so that the same plan has the same name. */
export function runName(plan: TaskPlan): string {
  return createHash("sha256")
    .update(JSON.stringify([version, plan]))
    .digest("hex")
    .slice(0, 10);
}

export class ClusterFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Returns the cluster folder in a run's output folder. */
  static of(out: string): ClusterFolder {
    return new ClusterFolder(resolve(out, "cluster"));
  }

  /** Returns the cluster folder that contains a submission. */
  static ofSubmission(file: string): ClusterFolder {
    return new ClusterFolder(dirname(dirname(resolve(file))));
  }

  submission(number: number): string {
    return join(this.path, "submissions", `${number}.json`);
  }

  script(number: number): string {
    return join(this.path, "submissions", `${number}.sh`);
  }

  taskLog(stage: string, task: string): string {
    return join(this.path, "logs", stage, `${task}.log`);
  }

  records(stage: string): string {
    return join(this.path, "tasks", stage);
  }

  async writePlan(plan: TaskPlan): Promise<string> {
    const run = runName(plan);
    await this.write("plan.json", { run, version, plan } satisfies SharedPlan);
    await makeFolder(join(this.path, "submissions"));
    for (const { name } of plan.stages) {
      await makeFolder(this.records(name));
      await makeFolder(join(this.path, "logs", name));
    }
    return run;
  }

  readPlan(): Promise<SharedPlan> {
    return readJson(join(this.path, "plan.json"));
  }

  write(name: string, value: unknown): Promise<void> {
    return writeFileAtomic(join(this.path, name), `${JSON.stringify(value)}\n`);
  }

  /** Reads a JSON file; returns undefined if it does not exist. */
  async read<T>(name: string): Promise<T | undefined> {
    try {
      return await readJson<T>(join(this.path, name));
    } catch (error) {
      if (((error as Error).cause as NodeJS.ErrnoException | undefined)?.code === "ENOENT") return undefined;
      throw error;
    }
  }

  writeRecord(stage: string, task: string, submission: number, record: TaskRecord): Promise<void> {
    return this.write(join("tasks", stage, `${task}.${submission}.json`), record);
  }

  readRecord(stage: string, task: string, submission: number): Promise<TaskRecord | undefined> {
    return this.read(join("tasks", stage, `${task}.${submission}.json`));
  }

  /** Appends a line to a task's log. */
  async log(stage: string, task: string, text: string): Promise<void> {
    await appendFile(this.taskLog(stage, task), `${new Date().toISOString()} ${text}\n`);
  }

  remove(name = ""): Promise<void> {
    // Retries, because a stopping machine may still write a last line.
    return rm(join(this.path, name), { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

export async function readJson<T>(path: string): Promise<T> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw fileError(error, "read", path);
  }
  try {
    return JSON.parse(text) as T;
  } catch (error) {
    throw new QuernError(`${path} is damaged: it does not contain what Quern wrote; start the run again`, {
      cause: error,
    });
  }
}
