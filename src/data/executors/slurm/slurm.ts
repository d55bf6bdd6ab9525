/**
 * @file A plan on a Slurm cluster: job arrays are written and submitted, watched, and what failed or was lost is submitted
 * again. Everything that is known lies in the cluster folder, so that this process may die and another go on.
 *
 * The round of it: look at the queue and at what tasks recorded, judge the elements that ended (outcomes.ts), submit what
 * waits (submitter.ts).
 */
import { setTimeout as sleep } from "node:timers/promises";
import { QuernError } from "../../../errors.js";
import { workOf } from "../../works.js";
import { type ClusterFolder, readJson, type Submission } from "../cluster-folder.js";
import type { WorkPlan, WorkProgram } from "../work.js";
import { cancel, DEFAULT_ARRAY_SIZE, largestArray, SlurmBusy } from "./commands.js";
import { endEarlierJobs, jobList } from "./earlier-jobs.js";
import { lastSeen, markSubmitter, readJournal, refuseSecondSubmitter, unmarkSubmitter } from "./journal.js";
import { Outcomes } from "./outcomes.js";
import { RunState, type SlurmOptions } from "./run-state.js";
import { Submitter } from "./submitter.js";
import { countOf } from "./tasks.js";

/** How long Slurm may give no answer before a run gives up waiting for it, in milliseconds. */
const PATIENCE = 10 * 60_000;
/** The first look at the queue comes early, in milliseconds; later ones each later. */
const FIRST_POLL = 500;

/**
 * Runs all tasks of a plan that are not finished. Throws a `QuernError` when tasks failed for good or were cancelled, after
 * all others; when Slurm refuses a job; when another process runs this plan; and when the signal aborts, saying what goes
 * on running. The same call goes on from there.
 */
export async function runOnSlurm(plan: WorkPlan, options: SlurmOptions): Promise<void> {
  const run = new SlurmRun(plan, options, await workOf(plan.kind));
  await run.open();
  try {
    await run.watch();
  } finally {
    await unmarkSubmitter(run.folder);
  }
}

class SlurmRun {
  readonly #run: RunState;
  readonly #outcomes: Outcomes;
  /** Made by `open`, which asks the cluster how large an array may be. */
  #submitter!: Submitter;
  /** Since when Slurm has given no answer. */
  #silentSince: number | undefined;

  constructor(plan: WorkPlan, options: SlurmOptions, program: WorkProgram) {
    this.#run = new RunState(plan, options, program);
    this.#outcomes = new Outcomes(this.#run);
  }

  get folder(): ClusterFolder {
    return this.#run.folder;
  }

  /** Takes up an earlier submitter's jobs, or begins anew. */
  async open(): Promise<void> {
    const { settings } = this.#run.options;
    await refuseSecondSubmitter(this.#run.folder, Math.max(60, 5 * settings.poll) * 1000);
    const seen = await lastSeen(this.#run.folder);
    const journal = await readJournal(this.#run.folder);
    if (journal !== undefined && journal.run === this.#run.journal.run) {
      await markSubmitter(this.#run.folder);
      this.#run.journal = journal;
      await this.#resume(seen ?? Date.now());
    } else {
      if (journal !== undefined) await endEarlierJobs(journal, this.#run.options);
      await this.#run.folder.remove();
      await this.#run.options.begin?.();
      await this.#run.folder.writePlan(this.#run.plan);
      await markSubmitter(this.#run.folder);
    }
    const arraySize = Math.min(
      settings.arraySize ?? Number.POSITIVE_INFINITY,
      (await largestArray()) ?? DEFAULT_ARRAY_SIZE,
    );
    this.#submitter = new Submitter(this.#run, arraySize);
    await this.#run.save();
  }

  async #resume(seen: number): Promise<void> {
    if (this.#run.journal.ended) {
      this.#run.journal.ended = false;
      for (const stage of Object.keys(this.#run.journal.failures)) delete this.#run.journal.failures[stage];
    }
    for (const [stage, failures] of Object.entries(this.#run.journal.failures)) {
      for (const [task, list] of Object.entries(failures)) {
        const state = this.#run.tasks.get(stage, task);
        if (state === undefined || state.state === "finished") continue;
        state.failures = list;
        if (list.length > this.#run.options.settings.retries) state.state = "failed";
      }
    }
    for (const job of this.#run.journal.jobs.filter(({ closed }) => !closed)) {
      const { elements } = await readJson<Submission>(this.#run.folder.submission(job.number));
      this.#run.watch(job, elements, seen);
      if (job.job !== undefined) this.#run.notice(`${job.stage}: takes up job ${job.job} again`);
    }
  }

  async watch(): Promise<void> {
    const { settings, signal } = this.#run.options;
    let pause = Math.min(FIRST_POLL, settings.poll * 1000);
    for (;;) {
      if (signal?.aborted) await this.#interrupted();
      try {
        for (const live of [...this.#run.live]) await this.#submitter.findSubmitted(live);
        await this.#outcomes.look();
        await this.#submitter.submitWaiting();
        this.#silentSince = undefined;
      } catch (error) {
        if (error instanceof SlurmBusy) this.#wait(error);
        else if (error instanceof QuernError) throw this.#withJobs(error);
        else throw error;
      }
      this.#run.tellStatus();
      if (this.#run.live.length === 0 && this.#silentSince === undefined) break;
      await markSubmitter(this.#run.folder);
      await sleep(pause, undefined, { signal }).catch(() => {});
      pause = Math.min(pause * 1.5, settings.poll * 1000);
    }
    await this.#end();
  }

  /** Slurm gives no answer for now. */
  #wait(error: SlurmBusy): void {
    this.#silentSince ??= Date.now();
    if (Date.now() - this.#silentSince < PATIENCE) return;
    const minutes = PATIENCE / 60_000;
    throw new QuernError(`Slurm has not done its part for ${minutes} minutes: ${error.message}; ${this.#howToGoOn()}`, {
      cause: error,
    });
  }

  /** An error that ends this process must not hide that jobs go on. */
  #withJobs(error: QuernError): QuernError {
    if (this.#run.live.every(({ journal }) => journal.job === undefined)) return error;
    return new QuernError(`${error.message}; ${this.#howToGoOn()}`, { exitCode: error.exitCode, cause: error });
  }

  #howToGoOn(): string {
    const jobs = this.#run.live.flatMap(({ journal }) => journal.job ?? []);
    const still = jobs.length === 0 ? "" : `${jobList(jobs)} go on running; `;
    const end = jobs.length === 0 ? "" : `, scancel ${jobs.join(" ")} ends them`;
    return `${still}${this.#run.tasks.progress()}; the same command goes on from there${end}`;
  }

  async #interrupted(): Promise<never> {
    const jobs = this.#run.live.flatMap(({ journal }) => journal.job ?? []);
    let message = `interrupted: ${this.#howToGoOn()}`;
    if (this.#run.options.settings.cancelOnInterrupt) {
      await cancel(jobs);
      for (const live of [...this.#run.live]) this.#run.close(live);
      message = `interrupted: ${jobList(jobs)} cancelled; ${this.#howToGoOn()}`;
    }
    await this.#run.save();
    throw new QuernError(message, { cause: this.#run.options.signal?.reason });
  }

  /** Returns when all is done; else tells what is not, and why. */
  async #end(): Promise<void> {
    const all = this.#run.tasks.all();
    if (all.every(({ state }) => state === "finished")) return;
    const failed = all.filter(({ state }) => state === "failed");
    const cancelled = all.filter(({ state }) => state === "cancelled");
    if (failed.length === 0 && cancelled.length === 0) throw new Error("tasks are left, and nothing holds them up");
    this.#run.journal.ended = true;
    await this.#run.save();
    const parts: string[] = [];
    if (cancelled.length > 0) parts.push(`${countOf(cancelled)} cancelled in the queue`);
    if (failed.length > 0) {
      const [{ stage, task, failures }] = failed;
      const { reason, submission } = failures[failures.length - 1];
      const times = failures.length === 1 ? "once" : `${failures.length} times`;
      parts.push(
        `${countOf(failed)} failed, ${failed.length > 1 ? "the first " : ""}${times}: ${task.name}, at last ${reason} ` +
          `(${this.#run.folder.taskLog(stage.name, task.name)}, what its process printed in logs/${submission}-*.out)`,
      );
    }
    throw new QuernError(`${parts.join("; ")}; ${this.#howToGoOn()}`);
  }
}
