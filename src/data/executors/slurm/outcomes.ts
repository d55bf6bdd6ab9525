/** @file What became of the tasks of jobs: what they recorded themselves, and what the queue says of those that left no word. */
import { readdir } from "node:fs/promises";
import { fileError } from "../../../errors.js";
import { accounting, cancel, queue } from "./commands.js";
import type { Failure } from "./journal.js";
import { lossOf } from "./losses.js";
import { type ElementState, isDependencyLost, statesByElement } from "./queue.js";
import type { LiveJob, RunState } from "./run-state.js";
import { type TaskState, takeBack } from "./tasks.js";

export class Outcomes {
  readonly #run: RunState;
  #hasAccounting = true;

  constructor(run: RunState) {
    this.#run = run;
  }

  /** What became of every task that was sent. */
  async look(): Promise<void> {
    const known = this.#run.live.filter(({ journal }) => journal.job !== undefined);
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
    for (const live of [...this.#run.live]) if (live.open.size === 0) this.#run.close(live);
    await this.#run.save();
  }

  async #recordNames(stage: string): Promise<ReadonlySet<string>> {
    try {
      return new Set(await readdir(this.#run.folder.records(stage)));
    } catch (error) {
      throw fileError(error, "read", this.#run.folder.records(stage));
    }
  }

  async #readRecords({ journal, elements }: LiveJob, element: number, told: ReadonlySet<string>): Promise<void> {
    const { stage, number } = journal;
    for (const state of this.#run.tasks.sent(stage, elements[element])) {
      const { task } = state;
      if (!told.has(`${task.name}.${number}.json`)) continue;
      const record = await this.#run.folder.readRecord(stage, task.name, number);
      if (record?.state === "running") this.#run.options.events.progress(stage, task, record.documents);
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
    const result = await this.#run.program.finished(this.#run.plan, stage.name, task);
    if (result === undefined) return;
    state.state = "finished";
    this.#run.options.events.finished(stage.name, task, result);
  }

  /** An element that ended, for the tasks that it left. */
  async #judge(live: LiveJob, element: number, seen: ElementState | undefined): Promise<void> {
    const { stage, number, job } = live.journal;
    if (seen?.phase === "running") return;
    if (seen !== undefined && seen.phase !== "completed") live.faulty = true;
    let left = this.#run.tasks.sent(stage, live.elements[element]);
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
    if (state !== undefined && isDependencyLost(state)) return takeBack(left);
    // Slurm does not always leave the word for it when it cancels what waited for a job that failed.
    if (state?.phase === "cancelled" && this.#run.tasks.lacksNeeded(stage)) return takeBack(left);
    const started: TaskState[] = [];
    let host = state?.node;
    for (const each of left) {
      const record = await this.#run.folder.readRecord(stage, each.task.name, number);
      if (record === undefined) continue;
      host ??= record.host;
      started.push(each);
    }
    // One that was waiting and is in no list any more was cancelled: Slurm forgets those at once.
    if (state?.phase === "cancelled" || (state === undefined && live.waiting.has(element) && started.length === 0)) {
      for (const each of left) each.state = "cancelled";
      this.#run.notice(`${stage}: element ${element} of job ${job} was cancelled`);
      return;
    }
    // What had begun is to blame; where nothing had, the machine did not even start the element.
    const blamed = started.length > 0 ? started : left;
    const reason = lossOf(state, host);
    for (const each of blamed) this.#fail(each, { reason, ...(host && { host }), submission: number }, false);
    takeBack(left.filter((each) => !blamed.includes(each)));
  }

  /** True when what an element wrote must have come through the shared folder. */
  #isSettled({ known }: LiveJob, element: number): boolean {
    return Date.now() - (known.get(element) as number) >= this.#run.options.settings.settle * 1000;
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
    if (!this.#run.tasks.isReleased(stage)) {
      // It began although what it needs was not there; that says nothing of itself.
      state.state = "waiting";
      return;
    }
    state.failures.push(failure);
    this.#run.journal.failures[stage.name] ??= {};
    this.#run.journal.failures[stage.name][task.name] = state.failures;
    const attempts = this.#run.options.settings.retries + 1;
    const isLast = final || state.failures.length >= attempts;
    state.state = isLast ? "failed" : "waiting";
    if (!isLast) this.#run.retried += 1;
    const next = isLast ? "is not tried again" : `goes into attempt ${state.failures.length + 1} of ${attempts}`;
    this.#run.notice(`${stage.name} ${task.name}: ${failure.reason}; ${next}`);
  }
}
