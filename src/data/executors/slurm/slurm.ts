/**
 * @file A plan on a Slurm cluster: job arrays are written and submitted, watched, and what failed or was lost is submitted
 * again. Everything that is known lies in the cluster folder, so that this process may die and another go on.
 *
 * The round of it: look at the queue, read what tasks recorded, judge the elements that ended, submit what waits.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { writeFileAtomic } from "../../../documents/index.js";
import { fileError, QuernError } from "../../../errors.js";
import { workOf } from "../../works.js";
import { ClusterFolder, readJson, runName, type Submission } from "../cluster-folder.js";
import { divide } from "../divide.js";
import type { ExecutorSettings } from "../executor-options.js";
import type { Stage, TaskEvents, WorkPlan, WorkProgram, WorkTask } from "../work.js";
import {
  accounting,
  cancel,
  DEFAULT_ARRAY_SIZE,
  findJob,
  largestArray,
  NoSuchNode,
  queue,
  SlurmBusy,
  submit,
} from "./commands.js";
import {
  type Failure,
  type Journal,
  lastSeen,
  markSubmitter,
  newJournal,
  readJournal,
  refuseSecondSubmitter,
  type SubmittedJob,
  unmarkSubmitter,
  writeJournal,
} from "./journal.js";
import { type ElementState, isDependencyLost } from "./queue.js";
import { batchScript } from "./script.js";

export interface ClusterStatus {
  readonly queued: number;
  readonly running: number;
  /** Attempts that came to nothing and were followed by another. */
  readonly retried: number;
}

export interface SlurmOptions {
  readonly settings: ExecutorSettings;
  /** Tasks known to be finished need no job. */
  readonly isFinished: (stage: string, task: WorkTask) => boolean;
  /** Called before the first job of a run that begins anew, when no older job writes to the folder any more. */
  readonly begin?: () => Promise<void>;
  readonly events: TaskEvents;
  readonly onStatus?: (status: ClusterStatus) => void;
  /** A line for a person: a job was submitted, a task was lost and why. */
  readonly onNotice?: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** How long Slurm may give no answer before a run gives up waiting for it, in milliseconds. */
const PATIENCE = 10 * 60_000;
/** The first look at the queue comes early, in milliseconds; later ones each later. */
const FIRST_POLL = 500;

interface TaskState {
  readonly stage: Stage;
  readonly task: WorkTask;
  state: "waiting" | "sent" | "finished" | "failed" | "cancelled";
  failures: Failure[];
}

interface LiveJob {
  readonly journal: SubmittedJob;
  readonly elements: readonly (readonly string[])[];
  /** Elements of which something is still expected. */
  readonly open: Set<number>;
  /** Elements of which the queue last said that they wait. */
  readonly waiting: Set<number>;
  /** When the queue last knew an element, in milliseconds since 1970. */
  readonly known: Map<number, number>;
  /** An element ended otherwise than well: Slurm will not take the array as done. */
  faulty: boolean;
}

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

export interface PlannedJob {
  readonly stage: string;
  readonly tasks: number;
  readonly script: string;
}

/** The scripts that a run would submit first. Writes nothing. */
export async function planSlurm(
  plan: WorkPlan,
  settings: ExecutorSettings,
  isFinished: SlurmOptions["isFinished"],
): Promise<PlannedJob[]> {
  const folder = ClusterFolder.of(plan.out);
  const size = Math.min(settings.arraySize ?? Number.POSITIVE_INFINITY, (await arrayLimit()) ?? DEFAULT_ARRAY_SIZE);
  const jobs = new Map<string, string>();
  const planned: PlannedJob[] = [];
  for (const stage of plan.stages) {
    const tasks = stage.tasks.filter((task) => !isFinished(stage.name, task));
    if (tasks.length === 0) continue;
    const after = stage.after.flatMap((name) => jobs.get(name) ?? []);
    const script = batchScript(
      {
        ...scriptPlaces(folder, jobs.size),
        name: jobName(stage.name, runName(plan), jobs.size),
        elements: Math.min(size, tasks.length),
        ...(after.length > 0 ? { dependency: after.map((job) => `afterok:${job}`).join(",") } : {}),
      },
      settings,
    );
    planned.push({ stage: stage.name, tasks: tasks.length, script });
    jobs.set(stage.name, `<job of ${stage.name}>`);
  }
  return planned;
}

/** Undefined where there is no Slurm to ask. */
const arrayLimit = () => largestArray().catch(() => undefined);
const jobName = (stage: string, run: string, number: number) => `quern-${stage}-${run}-${number}`;
const scriptPlaces = (folder: ClusterFolder, number: number) => ({
  submission: folder.submission(number),
  folder: process.cwd(),
  logs: join(folder.path, "logs", String(number)),
});

/** Refuses when jobs of a Slurm run may still write to a folder that something else is about to write to. */
export async function refuseLiveJobs(out: string): Promise<void> {
  const journal = await readJournal(ClusterFolder.of(out));
  const ids = journal?.jobs.flatMap(({ job, closed }) => (closed ? [] : (job ?? []))) ?? [];
  if (ids.length === 0) return;
  const live = (await queue(ids)).filter(({ phase }) => phase === "waiting" || phase === "running");
  if (live.length === 0) return;
  throw new QuernError(
    `${jobList(ids)} in Slurm's queue write to ${out}; go on with the executor "slurm", or cancel them first`,
  );
}

class SlurmRun {
  readonly folder: ClusterFolder;
  readonly #plan: WorkPlan;
  readonly #options: SlurmOptions;
  readonly #program: WorkProgram;
  readonly #tasks = new Map<string, Map<string, TaskState>>();
  readonly #live: LiveJob[] = [];
  #journal: Journal;
  #hasAccounting = true;
  #retried = 0;
  #arraySize = DEFAULT_ARRAY_SIZE;
  /** Since when Slurm has given no answer. */
  #silentSince: number | undefined;

  constructor(plan: WorkPlan, options: SlurmOptions, program: WorkProgram) {
    this.#plan = plan;
    this.#options = options;
    this.#program = program;
    this.folder = ClusterFolder.of(plan.out);
    this.#journal = newJournal(runName(plan));
    for (const stage of plan.stages) {
      const states = stage.tasks.map((task): [string, TaskState] => {
        const state = options.isFinished(stage.name, task) ? "finished" : "waiting";
        return [task.name, { stage, task, state, failures: [] }];
      });
      this.#tasks.set(stage.name, new Map(states));
    }
  }

  /** Takes up an earlier submitter's jobs, or begins anew. */
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
      if (journal !== undefined) await this.#endOlderRun(journal);
      await this.folder.remove();
      await this.#options.begin?.();
      await this.folder.writePlan(this.#plan);
      await markSubmitter(this.folder);
    }
    this.#arraySize = Math.min(
      settings.arraySize ?? Number.POSITIVE_INFINITY,
      (await largestArray()) ?? DEFAULT_ARRAY_SIZE,
    );
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
    for (const job of this.#journal.jobs.filter(({ closed }) => !closed)) {
      const { elements } = await readJson<Submission>(this.folder.submission(job.number));
      this.#watchJob(job, elements, seen);
      if (job.job !== undefined) this.#notice(`${job.stage}: takes up job ${job.job} again`);
    }
  }

  /** Jobs of a run with another recipe or input would write to the same files. */
  async #endOlderRun({ jobs }: Journal): Promise<void> {
    const ids: string[] = [];
    for (const { job, name, closed } of jobs) {
      const id = closed ? undefined : (job ?? (await findJob(name)));
      if (id !== undefined) ids.push(id);
    }
    if (ids.length === 0) return;
    this.#notice(`cancels ${jobList(ids)} of an older run with another recipe, input or option`);
    await cancel(ids);
    for (let attempt = 0; ; attempt++) {
      const busy = (await queue(ids)).filter(({ phase }) => phase === "waiting" || phase === "running");
      if (busy.length === 0) return;
      if (attempt === 60) {
        throw new QuernError(`${jobList(ids)} of an older run cannot be cancelled; cancel by hand, then run again`);
      }
      await sleep(1000, undefined, { signal: this.#options.signal });
    }
  }

  async watch(): Promise<void> {
    const { settings, signal } = this.#options;
    let pause = Math.min(FIRST_POLL, settings.poll * 1000);
    for (;;) {
      if (signal?.aborted) await this.#interrupted();
      try {
        await this.#look();
        await this.#submitWaiting();
        this.#silentSince = undefined;
      } catch (error) {
        if (error instanceof SlurmBusy) this.#wait(error);
        else if (error instanceof QuernError) throw this.#withJobs(error);
        else throw error;
      }
      this.#tellStatus();
      if (this.#live.length === 0 && this.#silentSince === undefined) break;
      await markSubmitter(this.folder);
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

  /** What became of every task that was sent. */
  async #look(): Promise<void> {
    for (const live of [...this.#live]) await this.#findSubmitted(live);
    const known = this.#live.filter(({ journal }) => journal.job !== undefined);
    const states = statesByElement(await queue(known.map(({ journal }) => journal.job as string)));
    const records = new Map<string, ReadonlySet<string>>();
    for (const live of known) {
      const { stage, job } = live.journal;
      if (!records.has(stage)) records.set(stage, await this.#recordNames(stage));
      const told = records.get(stage) as ReadonlySet<string>;
      for (const element of live.open) {
        const state = states.get(`${job}_${element}`) ?? states.get(`${job}_`);
        if (state !== undefined) live.known.set(element, Date.now());
        if (state?.phase === "waiting") live.waiting.add(element);
        else {
          await this.#readRecords(live, element, told);
          await this.#judge(live, element, state);
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

  async #readRecords({ journal, elements }: LiveJob, element: number, told: ReadonlySet<string>): Promise<void> {
    const { stage, number } = journal;
    for (const state of this.#sent(stage, elements[element])) {
      const { task } = state;
      if (!told.has(`${task.name}.${number}.json`)) continue;
      const record = await this.folder.readRecord(stage, task.name, number);
      if (record?.state === "running") this.#options.events.progress(stage, task, record.documents);
      else if (record?.state === "finished") {
        // A record may be seen before the files that it speaks of; then the element is not done with yet.
        await this.#finish(state);
      } else if (record?.state === "failed") {
        this.#fail(state, { reason: record.error, host: record.host, submission: number }, record.final);
      }
    }
  }

  /** Takes a task as finished if its files say so. */
  async #finish(state: TaskState): Promise<void> {
    const { stage, task } = state;
    const result = await this.#program.finished(this.#plan, stage.name, task);
    if (result === undefined) return;
    state.state = "finished";
    this.#options.events.finished(stage.name, task, result);
  }

  /** An element that ended, for the tasks that it left. */
  async #judge(live: LiveJob, element: number, seen: ElementState | undefined): Promise<void> {
    const { stage, number, job } = live.journal;
    if (seen?.phase === "running") return;
    if (seen !== undefined && seen.phase !== "completed") live.faulty = true;
    let left = this.#sent(stage, live.elements[element]);
    if (left.length === 0) {
      live.open.delete(element);
      return;
    }
    let state = seen;
    if (state === undefined || state.phase === "completed") {
      if (!this.#isSettled(live, element)) return;
      if (state === undefined) state = await this.#fromAccounting(job as string, element);
      live.faulty = true;
    }
    live.open.delete(element);
    // A machine may be lost between a task's last file and its record.
    for (const each of left) await this.#finish(each);
    left = left.filter((each) => each.state === "sent");
    if (left.length === 0) return;
    // Slurm holds some that it could not start, and keeps some that it never will.
    if (state?.state === "PENDING") await cancel([`${job}_${element}`]);
    if (state !== undefined && isDependencyLost(state)) return this.#takeBack(left);
    // Slurm does not always leave the word for it when it cancels what waited for a job that failed.
    if (state?.phase === "cancelled" && this.#lacksNeeded(stage)) return this.#takeBack(left);
    const started: TaskState[] = [];
    let host = state?.node;
    for (const each of left) {
      const record = await this.folder.readRecord(stage, each.task.name, number);
      if (record === undefined) continue;
      host ??= record.host;
      started.push(each);
    }
    // One that was waiting and is in no list any more was cancelled: Slurm forgets those at once.
    if (state?.phase === "cancelled" || (state === undefined && live.waiting.has(element) && started.length === 0)) {
      for (const each of left) each.state = "cancelled";
      this.#notice(`${stage}: element ${element} of job ${job} was cancelled`);
      return;
    }
    // What had begun is to blame; where nothing had, the machine did not even start the element.
    const blamed = started.length > 0 ? started : left;
    const reason = lossOf(state, host);
    for (const each of blamed) this.#fail(each, { reason, ...(host && { host }), submission: number }, false);
    this.#takeBack(left.filter((each) => !blamed.includes(each)));
  }

  /** True when what an element wrote must have come through the shared folder. */
  #isSettled({ known }: LiveJob, element: number): boolean {
    return Date.now() - (known.get(element) as number) >= this.#options.settings.settle * 1000;
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
    if (!this.#isReleased(stage)) {
      // It began although what it needs was not there; that says nothing of itself.
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
    const next = isLast ? "is not tried again" : `goes into attempt ${state.failures.length + 1} of ${attempts}`;
    this.#notice(`${stage.name} ${task.name}: ${failure.reason}; ${next}`);
  }

  #takeBack(states: readonly TaskState[]): void {
    for (const state of states) state.state = "waiting";
  }

  /** Submits every stage's waiting tasks, those of later stages with Slurm's own dependencies. */
  async #submitWaiting(): Promise<void> {
    for (const stage of this.#plan.stages) {
      const waiting = this.#all(stage).filter(({ state }) => state === "waiting");
      if (waiting.length === 0) continue;
      const needed = stage.after.flatMap((name) => this.#all(this.#stage(name)));
      if (needed.some(({ state }) => state !== "finished" && state !== "sent")) continue;
      await this.#withdrawAfter(stage);
      const failed = waiting.flatMap(({ failures }) => failures.slice(-1));
      const exclude = [...new Set(failed.flatMap(({ reason, host }) => (isOfNode(reason) ? (host ?? []) : [])))];
      const names = waiting.map(({ task }) => task.name);
      const number = this.#journal.jobs.length;
      const elements = divide(names, this.#arraySize);
      const name = jobName(stage.name, this.#journal.run, number);
      await this.folder.write(join("submissions", `${number}.json`), {
        number,
        run: this.#journal.run,
        stage: stage.name,
        elements,
      } satisfies Submission);
      await this.#writeScript(stage, number, name, elements.length, exclude);
      const job: SubmittedJob = { number, stage: stage.name, name, closed: false };
      this.#journal.jobs.push(job);
      await this.#save();
      this.#watchJob(job, elements, Date.now());
      await this.#submit(job, elements.length, names.length, () =>
        this.#writeScript(stage, number, name, elements.length, []),
      );
    }
  }

  async #writeScript(stage: Stage, number: number, name: string, elements: number, exclude: string[]): Promise<void> {
    const dependency = this.#live
      .filter(({ journal }) => stage.after.includes(journal.stage) && journal.job !== undefined)
      // Where an element failed already and its tasks went to another job, Slurm must only wait for the rest.
      .map(({ journal, faulty }) => `${faulty ? "afterany" : "afterok"}:${journal.job}`)
      .join(",");
    const script = batchScript(
      {
        ...scriptPlaces(this.folder, number),
        name,
        elements,
        exclude,
        ...(dependency === "" ? {} : { dependency }),
      },
      this.#options.settings,
    );
    await writeFileAtomic(this.folder.script(number), script);
  }

  async #submit(job: SubmittedJob, elements: number, tasks: number, withAnyNode: () => Promise<void>): Promise<void> {
    const script = this.folder.script(job.number);
    try {
      job.job = await submit(script);
    } catch (error) {
      if (!(error instanceof NoSuchNode)) throw error;
      // Perhaps only because of the nodes that it should not use.
      await withAnyNode();
      job.job = await submit(script);
    }
    await this.#save();
    const parts = elements === tasks ? "" : `, ${elements} elements`;
    this.#notice(`${job.stage}: job ${job.job} submitted, ${tasks} task${tasks === 1 ? "" : "s"}${parts}`);
  }

  /** A job that was written down but whose number is not known: Slurm has taken it, or it was never sent. */
  async #findSubmitted(live: LiveJob): Promise<void> {
    const { journal, elements } = live;
    if (journal.job !== undefined) return;
    journal.job = await findJob(journal.name);
    if (journal.job === undefined) {
      this.#takeBack(elements.flatMap((names) => this.#sent(journal.stage, names)));
      this.#close(live);
    } else this.#notice(`${journal.stage}: takes up job ${journal.job}`);
  }

  /** Jobs that wait for a stage that gets another job would start too early, or never. */
  async #withdrawAfter({ name }: Stage): Promise<void> {
    for (const stage of this.#plan.stages) {
      if (!stage.after.includes(name)) continue;
      const live = this.#live.filter(({ journal }) => journal.stage === stage.name);
      if (live.length === 0) continue;
      await cancel(live.flatMap(({ journal }) => journal.job ?? []));
      for (const each of live) {
        this.#takeBack(each.elements.flatMap((names) => this.#sent(stage.name, names)));
        this.#close(each);
      }
      await this.#withdrawAfter(stage);
    }
  }

  #watchJob(journal: SubmittedJob, elements: LiveJob["elements"], seen: number): void {
    const open = new Set<number>();
    const known = new Map<number, number>();
    for (const [element, names] of elements.entries()) {
      known.set(element, seen);
      for (const name of names) {
        const state = this.#tasks.get(journal.stage)?.get(name);
        if (state === undefined || state.state !== "waiting") continue;
        state.state = "sent";
        open.add(element);
      }
    }
    this.#live.push({ journal, elements, open, known, waiting: new Set(), faulty: false });
  }

  #close(live: LiveJob): void {
    live.journal.closed = true;
    this.#live.splice(this.#live.indexOf(live), 1);
  }

  #stage(name: string): Stage {
    return this.#plan.stages.find((stage) => stage.name === name) as Stage;
  }

  #all(stage: Stage): TaskState[] {
    return [...(this.#tasks.get(stage.name)?.values() ?? [])];
  }

  #sent(stage: string, names: readonly string[]): TaskState[] {
    const states = this.#tasks.get(stage);
    return names.flatMap((name) => states?.get(name) ?? []).filter(({ state }) => state === "sent");
  }

  /** True when something that a stage needs failed, at least once. */
  #lacksNeeded(name: string): boolean {
    const needed = this.#stage(name).after.flatMap((each) => this.#all(this.#stage(each)));
    return needed.some(({ state, failures }) => failures.length > 0 || (state !== "finished" && state !== "sent"));
  }

  #isReleased({ after }: Stage): boolean {
    return after.every((name) => this.#all(this.#stage(name)).every(({ state }) => state === "finished"));
  }

  #save(): Promise<void> {
    return writeJournal(this.folder, this.#journal);
  }

  #notice(line: string): void {
    this.#options.onNotice?.(line);
  }

  #tellStatus(): void {
    let queued = 0;
    let running = 0;
    for (const { open, waiting } of this.#live) {
      queued += waiting.size;
      running += open.size - waiting.size;
    }
    this.#options.onStatus?.({ queued, running, retried: this.#retried });
  }

  #progress(): string {
    const all = this.#plan.stages.flatMap((stage) => this.#all(stage));
    return `${all.filter(({ state }) => state === "finished").length} of ${all.length} tasks are finished`;
  }

  /** An error that ends this process must not hide that jobs go on. */
  #withJobs(error: QuernError): QuernError {
    if (this.#live.every(({ journal }) => journal.job === undefined)) return error;
    return new QuernError(`${error.message}; ${this.#howToGoOn()}`, { exitCode: error.exitCode, cause: error });
  }

  #howToGoOn(): string {
    const jobs = this.#live.flatMap(({ journal }) => journal.job ?? []);
    const still = jobs.length === 0 ? "" : `${jobList(jobs)} go on running; `;
    const end = jobs.length === 0 ? "" : `, scancel ${jobs.join(" ")} ends them`;
    return `${still}${this.#progress()}; the same command goes on from there${end}`;
  }

  async #interrupted(): Promise<never> {
    const jobs = this.#live.flatMap(({ journal }) => journal.job ?? []);
    let message = `interrupted: ${this.#howToGoOn()}`;
    if (this.#options.settings.cancelOnInterrupt) {
      await cancel(jobs);
      for (const live of [...this.#live]) this.#close(live);
      message = `interrupted: ${jobList(jobs)} cancelled; ${this.#howToGoOn()}`;
    }
    await this.#save();
    throw new QuernError(message, { cause: this.#options.signal?.reason });
  }

  /** Returns when all is done; else tells what is not, and why. */
  async #end(): Promise<void> {
    const all = this.#plan.stages.flatMap((stage) => this.#all(stage));
    if (all.every(({ state }) => state === "finished")) return;
    const failed = all.filter(({ state }) => state === "failed");
    const cancelled = all.filter(({ state }) => state === "cancelled");
    if (failed.length === 0 && cancelled.length === 0) throw new Error("tasks are left, and nothing holds them up");
    this.#journal.ended = true;
    await this.#save();
    const parts: string[] = [];
    if (cancelled.length > 0) parts.push(`${countOf(cancelled)} cancelled in the queue`);
    if (failed.length > 0) {
      const [{ stage, task, failures }] = failed;
      const { reason, submission } = failures[failures.length - 1];
      const times = failures.length === 1 ? "once" : `${failures.length} times`;
      parts.push(
        `${countOf(failed)} failed, ${failed.length > 1 ? "the first " : ""}${times}: ${task.name}, at last ${reason} ` +
          `(${this.folder.taskLog(stage.name, task.name)}, what its process printed in logs/${submission}-*.out)`,
      );
    }
    throw new QuernError(`${parts.join("; ")}; ${this.#howToGoOn()}`);
  }
}

const jobList = (jobs: readonly string[]) => `job${jobs.length === 1 ? "" : "s"} ${jobs.join(" ")}`;
const countOf = (tasks: readonly TaskState[]) =>
  `${tasks.length} task${tasks.length === 1 ? "" : "s"} of ${tasks[0].stage.name}`;

function statesByElement(states: readonly ElementState[]): Map<string, ElementState> {
  return new Map(states.map((state) => [`${state.job}_${state.element ?? ""}`, state]));
}

/** Why a task was lost, as a person should read it. */
function lossOf(state: ElementState | undefined, host: string | undefined): string {
  const where = host === undefined ? "" : ` on ${host}`;
  if (state === undefined) return `left the queue${where} without a result or a word of why`;
  if (state.phase === "completed") return `ended${where} without a result; do all nodes see the folder?`;
  return `lost${where}: ${state.state}${state.reason === undefined ? "" : `, ${state.reason}`}`;
}

/** Whether another node may do better. */
const isOfNode = (reason: string) =>
  /^lost.*(?:NODE_FAIL|BOOT_FAIL|Launch|launch)|without a result|disk is full|disk quota|read-only|I\/O error|EIO/.test(
    reason,
  );
