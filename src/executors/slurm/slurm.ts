/**
 * @file Runs a plan on a Slurm cluster as one state machine. Each round reads the queue and the tasks' records, settles the
 * tasks of elements that ended, and submits waiting tasks as job arrays. All state is in the cluster folder, so this process
 * may be killed and another can resume.
 *
 *     task:   waiting → sent → finished | cancelled
 *                 ↑       ↓
 *                 └─ failed or lost ─→ failed, after the last retry
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { writeFileAtomic } from "../../documents/index.js";
import { fileError, QuernError } from "../../errors.js";
import { ClusterFolder, readJson, runName, type Submission } from "../cluster-folder.js";
import type { ExecutorSettings } from "../executor-options.js";
import { kindOf, type PlannedTask, type Stage, type TaskEvents, type TaskKind, type TaskPlan } from "../tasks.js";
import { arraySize, batchScript, divide, jobName, scriptPlaces } from "./batch-script.js";
import {
  accounting,
  cancel,
  type ElementState,
  findJob,
  isDependencyLost,
  isOfNode,
  lossOf,
  NoSuchNode,
  queue,
  SlurmBusy,
  statesByElement,
  submit,
} from "./commands.js";
import {
  endEarlierJobs,
  type Failure,
  type Journal,
  jobList,
  lastSeen,
  markSubmitter,
  newJournal,
  readJournal,
  refuseSecondSubmitter,
  type SubmittedJob,
  unmarkSubmitter,
  writeJournal,
} from "./journal.js";

export interface ClusterStatus {
  readonly queued: number;
  readonly running: number;
  /** Failed attempts that were or will be retried. */
  readonly retried: number;
}

export interface SlurmOptions {
  readonly settings: ExecutorSettings;
  /** Whether a task is already finished and needs no job. */
  readonly isFinished: (stage: string, task: PlannedTask) => boolean;
  /** Called before the first job of a run that starts from scratch, after all earlier jobs have stopped writing. */
  readonly begin?: () => Promise<void>;
  readonly events?: TaskEvents;
  readonly onStatus?: (status: ClusterStatus) => void;
  /** Called with one line for the user, such as a submitted job, or a lost task with the reason. */
  readonly onNotice?: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** Minutes without a response from Slurm after which a run gives up. */
const PATIENCE = 10;
/** Milliseconds before the second check of the queue; later pauses are longer. */
const FIRST_POLL = 500;

/**
 * Runs all unfinished tasks of a plan. The same call resumes a run that was stopped.
 *
 * @throws QuernError if tasks failed permanently or were cancelled (after all other tasks), if Slurm rejects a job, if another
 * process runs this plan, or when the signal aborts; the message names the jobs that keep running
 */
export async function runOnSlurm(plan: TaskPlan, options: SlurmOptions): Promise<void> {
  const run = new SlurmRun(plan, options, await kindOf(plan));
  await run.open();
  try {
    await run.watch();
  } finally {
    await unmarkSubmitter(run.folder);
  }
}

interface TaskState {
  readonly stage: Stage;
  readonly task: PlannedTask;
  /** `sent`: assigned to a watched job. `failed`: no more retries. */
  state: "waiting" | "sent" | "finished" | "failed" | "cancelled";
  failures: Failure[];
}

/** A job that has not ended. */
interface LiveJob {
  readonly entry: SubmittedJob;
  /** Task names per element. */
  readonly elements: readonly (readonly string[])[];
  /** Elements that have not ended. */
  readonly open: Set<number>;
  /** Elements that the queue last listed as waiting. */
  readonly waiting: Set<number>;
  /** When the queue last listed each element, in milliseconds since 1970. */
  readonly lastListed: Map<number, number>;
  /** Whether an element failed; then `afterok` on this array is never satisfied. */
  faulty: boolean;
}

class SlurmRun {
  readonly folder: ClusterFolder;
  readonly #plan: TaskPlan;
  readonly #options: SlurmOptions;
  readonly #kind: TaskKind;
  /** By stage name, then task name. */
  readonly #tasks: ReadonlyMap<string, ReadonlyMap<string, TaskState>>;
  readonly #live: LiveJob[] = [];
  #journal: Journal;
  #retried = 0;
  #hasAccounting = true;
  /** When Slurm stopped answering, in milliseconds since 1970. */
  #silentSince: number | undefined;
  #arraySize = 1;

  constructor(plan: TaskPlan, options: SlurmOptions, kind: TaskKind) {
    this.#plan = plan;
    this.#options = options;
    this.#kind = kind;
    this.folder = ClusterFolder.of(plan.out);
    this.#journal = newJournal(runName(plan));
    this.#tasks = new Map(
      plan.stages.map((stage) => {
        const states = stage.tasks.map((task): [string, TaskState] => {
          const state = options.isFinished(stage.name, task) ? "finished" : "waiting";
          return [task.name, { stage, task, state, failures: [] }];
        });
        return [stage.name, new Map(states)];
      }),
    );
  }

  /** Resumes an earlier submitter's run of this plan, or starts from scratch. */
  async open(): Promise<void> {
    const { settings } = this.#options;
    await refuseSecondSubmitter(this.folder, Math.max(60, 5 * settings.poll) * 1000);
    const seen = await lastSeen(this.folder);
    const journal = await readJournal(this.folder);
    if (journal !== undefined && journal.run === this.#journal.run) {
      await markSubmitter(this.folder);
      this.#journal = journal;
      await this.#resume(seen ?? Date.now());
    } else {
      if (journal !== undefined) await endEarlierJobs(journal, this.#options);
      await this.folder.remove();
      await this.#options.begin?.();
      await this.folder.writePlan(this.#plan);
      await markSubmitter(this.folder);
    }
    this.#arraySize = await arraySize(settings);
    await this.#save();
  }

  async #resume(seen: number): Promise<void> {
    if (this.#journal.ended) {
      this.#journal.ended = false;
      for (const stage of Object.keys(this.#journal.failures)) delete this.#journal.failures[stage];
    }
    for (const [stage, failures] of Object.entries(this.#journal.failures)) {
      for (const [task, list] of Object.entries(failures)) {
        const state = this.#tasks.get(stage)?.get(task);
        if (state === undefined || state.state === "finished") continue;
        state.failures = list;
        if (list.length > this.#options.settings.retries) state.state = "failed";
      }
    }
    for (const entry of this.#journal.jobs.filter(({ closed }) => !closed)) {
      const { elements } = await readJson<Submission>(this.folder.submission(entry.number));
      this.#watchJob(entry, elements, seen);
      if (entry.job !== undefined) this.#notice(`${entry.stage}: resuming job ${entry.job}`);
    }
  }

  async watch(): Promise<void> {
    const { settings, signal } = this.#options;
    let pause = Math.min(FIRST_POLL, settings.poll * 1000);
    for (;;) {
      if (signal?.aborted) await this.#interrupted();
      try {
        for (const live of [...this.#live]) await this.#findSubmitted(live);
        await this.#checkQueue();
        await this.#submitWaiting();
        this.#silentSince = undefined;
      } catch (error) {
        if (error instanceof SlurmBusy) this.#onSilence(error);
        else if (error instanceof QuernError) throw this.#withJobs(error);
        else throw error;
      }
      this.#reportStatus();
      if (this.#live.length === 0 && this.#silentSince === undefined) break;
      await markSubmitter(this.folder);
      await sleep(pause, undefined, { signal }).catch(() => {});
      pause = Math.min(pause * 1.5, settings.poll * 1000);
    }
    await this.#end();
  }

  // Jobs

  /** Starts watching a job and marks its waiting tasks as sent. @param seen when the queue last listed the job */
  #watchJob(entry: SubmittedJob, elements: LiveJob["elements"], seen: number): void {
    const open = new Set<number>();
    const lastListed = new Map<number, number>();
    for (const [element, names] of elements.entries()) {
      lastListed.set(element, seen);
      for (const name of names) {
        const state = this.#tasks.get(entry.stage)?.get(name);
        if (state === undefined || state.state !== "waiting") continue;
        state.state = "sent";
        open.add(element);
      }
    }
    this.#live.push({ entry, elements, open, lastListed, waiting: new Set(), faulty: false });
  }

  #close(live: LiveJob): void {
    live.entry.closed = true;
    this.#live.splice(this.#live.indexOf(live), 1);
  }

  /** Closes a job and returns its unfinished tasks to the waiting ones. */
  #giveUp(live: LiveJob): void {
    takeBack(live.elements.flatMap((names) => this.#sent(live.entry.stage, names)));
    this.#close(live);
  }

  /** Finds the number of a journaled job that has none: either Slurm accepted it, or it was never submitted. */
  async #findSubmitted(live: LiveJob): Promise<void> {
    const { entry } = live;
    if (entry.job !== undefined) return;
    entry.job = await findJob(entry.name);
    if (entry.job === undefined) this.#giveUp(live);
    else this.#notice(`${entry.stage}: resuming job ${entry.job}`);
  }

  /** Submits every stage's waiting tasks. Slurm's dependencies make later stages wait. */
  async #submitWaiting(): Promise<void> {
    for (const stage of this.#plan.stages) {
      const waiting = this.#of(stage.name).filter(({ state }) => state === "waiting");
      if (waiting.length === 0) continue;
      if (this.#neededBy(stage).some(({ state }) => state !== "finished" && state !== "sent")) continue;
      await this.#withdrawAfter(stage);
      const number = this.#journal.jobs.length;
      const run = this.#journal.run;
      const elements = divide(
        waiting.map(({ task }) => task.name),
        this.#arraySize,
      );
      const submission: Submission = { number, run, stage: stage.name, elements };
      await this.folder.write(join("submissions", `${number}.json`), submission);
      const entry: SubmittedJob = { number, stage: stage.name, name: jobName(stage.name, run, number), closed: false };
      const failed = waiting.flatMap(({ failures }) => failures.slice(-1));
      const exclude = [...new Set(failed.flatMap(({ reason, host }) => (isOfNode(reason) ? (host ?? []) : [])))];
      const writeScript = (nodes: readonly string[]) => this.#writeScript(stage, entry, elements.length, nodes);
      await writeScript(exclude);
      this.#journal.jobs.push(entry);
      await this.#save();
      this.#watchJob(entry, elements, Date.now());
      const script = this.folder.script(number);
      try {
        entry.job = await submit(script);
      } catch (error) {
        if (!(error instanceof NoSuchNode)) throw error;
        // The excluded nodes may be the cause, so try without.
        await writeScript([]);
        entry.job = await submit(script);
      }
      await this.#save();
      const parts = elements.length === waiting.length ? "" : `, ${elements.length} elements`;
      const tasks = `${waiting.length} task${waiting.length === 1 ? "" : "s"}`;
      this.#notice(`${stage.name}: job ${entry.job} submitted, ${tasks}${parts}`);
    }
  }

  async #writeScript(
    stage: Stage,
    { number, name }: SubmittedJob,
    elements: number,
    exclude: readonly string[],
  ): Promise<void> {
    const dependency = this.#live
      .filter(({ entry }) => stage.after.includes(entry.stage) && entry.job !== undefined)
      // If an element failed, its tasks are in another job, so wait for this job's end instead of its success.
      .map(({ entry, faulty }) => `${faulty ? "afterany" : "afterok"}:${entry.job}`)
      .join(",");
    const places = scriptPlaces(this.folder, number);
    const script = batchScript(
      { ...places, name, elements, exclude, ...(dependency === "" ? {} : { dependency }) },
      this.#options.settings,
    );
    await writeFileAtomic(this.folder.script(number), script);
  }

  /** Cancels jobs of later stages when a stage gets another job, because they would start too early or never. */
  async #withdrawAfter({ name }: Stage): Promise<void> {
    for (const stage of this.#plan.stages) {
      if (!stage.after.includes(name)) continue;
      const live = this.#live.filter(({ entry }) => entry.stage === stage.name);
      if (live.length === 0) continue;
      await cancel(live.flatMap(({ entry }) => entry.job ?? []));
      for (const each of live) this.#giveUp(each);
      await this.#withdrawAfter(stage);
    }
  }

  // Outcomes

  /** Reads the queue and the records of all sent tasks, and settles the elements that ended. */
  async #checkQueue(): Promise<void> {
    const known = this.#live.filter(({ entry }) => entry.job !== undefined);
    const states = statesByElement(await queue(known.map(({ entry }) => entry.job as string)));
    const records = new Map<string, ReadonlySet<string>>();
    for (const live of known) {
      const { stage, job } = live.entry;
      const names = records.get(stage) ?? (await this.#recordNames(stage));
      records.set(stage, names);
      for (const element of live.open) {
        const state = states.get(`${job}_${element}`) ?? states.get(`${job}_`);
        if (state !== undefined) live.lastListed.set(element, Date.now());
        if (state?.phase === "waiting") live.waiting.add(element);
        else {
          await this.#readRecords(live, element, names);
          await this.#settle(live, element, state);
          if (state !== undefined) live.waiting.delete(element);
        }
      }
    }
    for (const live of [...this.#live]) if (live.open.size === 0) this.#close(live);
    await this.#save();
  }

  async #recordNames(stage: string): Promise<ReadonlySet<string>> {
    try {
      return new Set(await readdir(this.folder.records(stage)));
    } catch (error) {
      throw fileError(error, "read", this.folder.records(stage));
    }
  }

  async #readRecords({ entry, elements }: LiveJob, element: number, names: ReadonlySet<string>): Promise<void> {
    const { stage, number } = entry;
    for (const state of this.#sent(stage, elements[element])) {
      const { task } = state;
      if (!names.has(`${task.name}.${number}.json`)) continue;
      const record = await this.folder.readRecord(stage, task.name, number);
      if (record?.state === "running") this.#options.events?.progress?.(stage, task, record.documents);
      else if (record?.state === "finished") {
        // A record may become visible before the task's files. Then the task counts as unfinished for now.
        await this.#finish(state);
      } else if (record?.state === "failed") {
        this.#fail(state, { reason: record.error, host: record.host, submission: number }, record.final);
      }
    }
  }

  /** Marks a task as finished if its files are complete. */
  async #finish(state: TaskState): Promise<void> {
    const { stage, task } = state;
    const result = await this.#kind.finished(this.#plan, stage.name, task);
    if (result === undefined) return;
    state.state = "finished";
    this.#options.events?.finished?.(stage.name, task, result);
  }

  /** Decides what happens to the tasks that an ended element left unfinished. */
  async #settle(live: LiveJob, element: number, seen: ElementState | undefined): Promise<void> {
    const { stage, number, job } = live.entry;
    if (seen?.phase === "running") return;
    if (seen !== undefined && seen.phase !== "completed") live.faulty = true;
    let left = this.#sent(stage, live.elements[element]);
    if (left.length === 0) {
      live.open.delete(element);
      return;
    }
    let state = seen;
    if (state === undefined || state.phase === "completed") {
      // Its files may not be visible in the shared folder yet.
      if (Date.now() - (live.lastListed.get(element) as number) < this.#options.settings.settle * 1000) return;
      if (state === undefined) state = await this.#fromAccounting(job as string, element);
      live.faulty = true;
    }
    live.open.delete(element);
    // A machine may have died after writing a task's last file but before its record.
    for (const each of left) await this.#finish(each);
    left = left.filter((each) => each.state === "sent");
    if (left.length === 0) return;
    // Slurm keeps elements in the queue that it could not or will never start.
    if (state?.state === "PENDING") await cancel([`${job}_${element}`]);
    if (state !== undefined && isDependencyLost(state)) return takeBack(left);
    // When Slurm cancels an element because of a failed dependency, it does not always give that reason.
    if (state?.phase === "cancelled" && this.#lacksNeeded(stage)) return takeBack(left);
    const started: TaskState[] = [];
    let host = state?.node;
    for (const each of left) {
      const record = await this.folder.readRecord(stage, each.task.name, number);
      if (record === undefined) continue;
      host ??= record.host;
      started.push(each);
    }
    // A waiting element that disappears from all lists was cancelled: Slurm forgets those at once.
    if (state?.phase === "cancelled" || (state === undefined && live.waiting.has(element) && started.length === 0)) {
      for (const each of left) each.state = "cancelled";
      this.#notice(`${stage}: element ${element} of job ${job} was cancelled`);
      return;
    }
    // Counts the failure against the tasks that had started, or if none had, against all of the element's tasks.
    const blamed = started.length > 0 ? started : left;
    const reason = lossOf(state, host);
    for (const each of blamed) this.#fail(each, { reason, ...(host && { host }), submission: number }, false);
    takeBack(left.filter((each) => !blamed.includes(each)));
  }

  async #fromAccounting(job: string, element: number): Promise<ElementState | undefined> {
    if (!this.#hasAccounting) return undefined;
    const states = await accounting([job]);
    this.#hasAccounting = states !== undefined;
    const state = statesByElement(states ?? []).get(`${job}_${element}`);
    return state?.phase === "running" || state?.phase === "waiting" ? undefined : state;
  }

  #fail(state: TaskState, failure: Failure, final: boolean): void {
    const { stage, task } = state;
    if (!this.#neededBy(stage).every((needed) => needed.state === "finished")) {
      // The task started before the stages that it needs were complete, so the failure is not its own.
      state.state = "waiting";
      return;
    }
    state.failures.push(failure);
    this.#journal.failures[stage.name] ??= {};
    this.#journal.failures[stage.name][task.name] = state.failures;
    const attempts = this.#options.settings.retries + 1;
    const isLast = final || state.failures.length >= attempts;
    state.state = isLast ? "failed" : "waiting";
    if (!isLast) this.#retried += 1;
    const next = isLast ? "no retries left" : `retrying (attempt ${state.failures.length + 1} of ${attempts})`;
    this.#notice(`${stage.name} ${task.name}: ${failure.reason}; ${final ? "not retried" : next}`);
  }

  // Tasks

  #of(stage: string): TaskState[] {
    return [...(this.#tasks.get(stage)?.values() ?? [])];
  }

  /** Returns those of the named tasks that are assigned to a job. */
  #sent(stage: string, names: readonly string[]): TaskState[] {
    const states = this.#tasks.get(stage);
    return names.flatMap((name) => states?.get(name) ?? []).filter(({ state }) => state === "sent");
  }

  /** Returns the tasks of all stages that a stage depends on. */
  #neededBy({ after }: Stage): TaskState[] {
    return after.flatMap((name) => this.#of(name));
  }

  /** Whether a task that a stage depends on has failed at least once. */
  #lacksNeeded(name: string): boolean {
    const stage = this.#plan.stages.find((each) => each.name === name) as Stage;
    return this.#neededBy(stage).some(
      ({ state, failures }) => failures.length > 0 || (state !== "finished" && state !== "sent"),
    );
  }

  #save(): Promise<void> {
    return writeJournal(this.folder, this.#journal);
  }

  #notice(line: string): void {
    this.#options.onNotice?.(line);
  }

  #reportStatus(): void {
    let queued = 0;
    let running = 0;
    for (const { open, waiting } of this.#live) {
      queued += waiting.size;
      running += open.size - waiting.size;
    }
    this.#options.onStatus?.({ queued, running, retried: this.#retried });
  }

  // The end

  /** Gives up if Slurm has not answered for too long. */
  #onSilence(error: SlurmBusy): void {
    this.#silentSince ??= Date.now();
    if (Date.now() - this.#silentSince < PATIENCE * 60_000) return;
    throw new QuernError(`Slurm has not answered for ${PATIENCE} minutes: ${error.message}; ${this.#howToResume()}`, {
      cause: error,
    });
  }

  /** Adds the jobs that keep running to the message of an error that ends this process. */
  #withJobs(error: QuernError): QuernError {
    if (this.#live.every(({ entry }) => entry.job === undefined)) return error;
    return new QuernError(`${error.message}; ${this.#howToResume()}`, { exitCode: error.exitCode, cause: error });
  }

  #howToResume(): string {
    const jobs = this.#live.flatMap(({ entry }) => entry.job ?? []);
    const all = this.#plan.stages.flatMap(({ name }) => this.#of(name));
    const finished = all.filter(({ state }) => state === "finished").length;
    const still = jobs.length === 0 ? "" : `${jobList(jobs)} keep${jobs.length === 1 ? "s" : ""} running; `;
    const end = jobs.length === 0 ? "" : `, \`scancel ${jobs.join(" ")}\` ends them`;
    return `${still}${finished} of ${all.length} tasks are finished; the same command resumes${end}`;
  }

  async #interrupted(): Promise<never> {
    const jobs = this.#live.flatMap(({ entry }) => entry.job ?? []);
    let message = `interrupted: ${this.#howToResume()}`;
    if (this.#options.settings.cancelOnInterrupt) {
      await cancel(jobs);
      for (const live of [...this.#live]) this.#close(live);
      message = `interrupted: ${jobList(jobs)} cancelled; ${this.#howToResume()}`;
    }
    await this.#save();
    throw new QuernError(message, { cause: this.#options.signal?.reason });
  }

  /** Returns if all tasks are finished; else throws an error that says which are not, and why. */
  async #end(): Promise<void> {
    const all = this.#plan.stages.flatMap(({ name }) => this.#of(name));
    if (all.every(({ state }) => state === "finished")) return;
    const failed = all.filter(({ state }) => state === "failed");
    const cancelled = all.filter(({ state }) => state === "cancelled");
    if (failed.length === 0 && cancelled.length === 0)
      throw new Error("unfinished tasks remain, but none is waiting, sent, failed or cancelled");
    this.#journal.ended = true;
    await this.#save();
    const parts: string[] = [];
    if (cancelled.length > 0) parts.push(`${countOf(cancelled)} cancelled in the queue`);
    if (failed.length > 0) {
      const [{ stage, task, failures }] = failed;
      const { reason, submission } = failures[failures.length - 1];
      const times = failures.length === 1 ? "once" : `${failures.length} times`;
      parts.push(
        `${countOf(failed)} failed, ${failed.length > 1 ? "the first " : ""}${times}: ${task.name}, the last time: ${reason} ` +
          `(see ${this.folder.taskLog(stage.name, task.name)}; process output in logs/${submission}-*.out)`,
      );
    }
    throw new QuernError(`${parts.join("; ")}; ${this.#howToResume()}`);
  }
}

/** Returns tasks to the waiting ones, to be submitted again. */
function takeBack(states: readonly TaskState[]): void {
  for (const state of states) state.state = "waiting";
}

/** Formats a count: `2 tasks of clean`. */
const countOf = (tasks: readonly TaskState[]) =>
  `${tasks.length} task${tasks.length === 1 ? "" : "s"} of ${tasks[0].stage.name}`;
