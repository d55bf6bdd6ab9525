/** @file Job arrays for tasks that wait: written down, submitted, found again, and withdrawn where another must come first. */
import { join } from "node:path";
import { writeFileAtomic } from "../../../documents/index.js";
import type { Submission } from "../cluster-folder.js";
import { divide } from "../divide.js";
import type { Stage } from "../work.js";
import { cancel, findJob, NoSuchNode, submit } from "./commands.js";
import type { SubmittedJob } from "./journal.js";
import { isOfNode } from "./losses.js";
import type { LiveJob, RunState } from "./run-state.js";
import { batchScript, jobName, scriptPlaces } from "./script.js";

export class Submitter {
  readonly #run: RunState;
  readonly #arraySize: number;

  /** @param arraySize the most elements of an array */
  constructor(run: RunState, arraySize: number) {
    this.#run = run;
    this.#arraySize = arraySize;
  }

  /** Submits every stage's waiting tasks, those of later stages with Slurm's own dependencies. */
  async submitWaiting(): Promise<void> {
    for (const stage of this.#run.plan.stages) {
      const waiting = this.#run.tasks.of(stage.name).filter(({ state }) => state === "waiting");
      if (waiting.length === 0) continue;
      const needed = this.#run.tasks.neededBy(stage);
      if (needed.some(({ state }) => state !== "finished" && state !== "sent")) continue;
      await this.#withdrawAfter(stage);
      const failed = waiting.flatMap(({ failures }) => failures.slice(-1));
      const exclude = [...new Set(failed.flatMap(({ reason, host }) => (isOfNode(reason) ? (host ?? []) : [])))];
      const names = waiting.map(({ task }) => task.name);
      const number = this.#run.journal.jobs.length;
      const elements = divide(names, this.#arraySize);
      const name = jobName(stage.name, this.#run.journal.run, number);
      await this.#run.folder.write(join("submissions", `${number}.json`), {
        number,
        run: this.#run.journal.run,
        stage: stage.name,
        elements,
      } satisfies Submission);
      await this.#writeScript(stage, number, name, elements.length, exclude);
      const job: SubmittedJob = { number, stage: stage.name, name, closed: false };
      this.#run.journal.jobs.push(job);
      await this.#run.save();
      this.#run.watch(job, elements, Date.now());
      await this.#submit(job, elements.length, names.length, () =>
        this.#writeScript(stage, number, name, elements.length, []),
      );
    }
  }

  async #writeScript(stage: Stage, number: number, name: string, elements: number, exclude: string[]): Promise<void> {
    const dependency = this.#run.live
      .filter(({ journal }) => stage.after.includes(journal.stage) && journal.job !== undefined)
      // Where an element failed already and its tasks went to another job, Slurm must only wait for the rest.
      .map(({ journal, faulty }) => `${faulty ? "afterany" : "afterok"}:${journal.job}`)
      .join(",");
    const script = batchScript(
      {
        ...scriptPlaces(this.#run.folder, number),
        name,
        elements,
        exclude,
        ...(dependency === "" ? {} : { dependency }),
      },
      this.#run.options.settings,
    );
    await writeFileAtomic(this.#run.folder.script(number), script);
  }

  async #submit(job: SubmittedJob, elements: number, tasks: number, withAnyNode: () => Promise<void>): Promise<void> {
    const script = this.#run.folder.script(job.number);
    try {
      job.job = await submit(script);
    } catch (error) {
      if (!(error instanceof NoSuchNode)) throw error;
      // Perhaps only because of the nodes that it should not use.
      await withAnyNode();
      job.job = await submit(script);
    }
    await this.#run.save();
    const parts = elements === tasks ? "" : `, ${elements} elements`;
    this.#run.notice(`${job.stage}: job ${job.job} submitted, ${tasks} task${tasks === 1 ? "" : "s"}${parts}`);
  }

  /** A job that was written down but whose number is not known: Slurm has taken it, or it was never sent. */
  async findSubmitted(live: LiveJob): Promise<void> {
    const { journal } = live;
    if (journal.job !== undefined) return;
    journal.job = await findJob(journal.name);
    if (journal.job === undefined) {
      this.#run.giveUp(live);
    } else this.#run.notice(`${journal.stage}: takes up job ${journal.job}`);
  }

  /** Jobs that wait for a stage that gets another job would start too early, or never. */
  async #withdrawAfter({ name }: Stage): Promise<void> {
    for (const stage of this.#run.plan.stages) {
      if (!stage.after.includes(name)) continue;
      const live = this.#run.live.filter(({ journal }) => journal.stage === stage.name);
      if (live.length === 0) continue;
      await cancel(live.flatMap(({ journal }) => journal.job ?? []));
      for (const each of live) this.#run.giveUp(each);
      await this.#withdrawAfter(stage);
    }
  }
}
