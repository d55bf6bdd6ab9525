/** @file What one submitter knows of its run: the plan's tasks, the jobs that are under way, and the journal of both. */
import { ClusterFolder, runName } from "../cluster-folder.js";
import type { ExecutorSettings } from "../executor-options.js";
import type { TaskEvents, WorkPlan, WorkProgram, WorkTask } from "../work.js";
import { type Journal, newJournal, type SubmittedJob, writeJournal } from "./journal.js";
import { TaskStates, takeBack } from "./tasks.js";

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

/** A job of which something is still expected. */
export interface LiveJob {
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

export class RunState {
  readonly folder: ClusterFolder;
  readonly plan: WorkPlan;
  readonly options: SlurmOptions;
  readonly program: WorkProgram;
  readonly tasks: TaskStates;
  readonly live: LiveJob[] = [];
  journal: Journal;
  /** Attempts that came to nothing and were followed by another. */
  retried = 0;

  constructor(plan: WorkPlan, options: SlurmOptions, program: WorkProgram) {
    this.plan = plan;
    this.options = options;
    this.program = program;
    this.folder = ClusterFolder.of(plan.out);
    this.journal = newJournal(runName(plan));
    this.tasks = new TaskStates(plan, options.isFinished);
  }

  /** Takes a job as under way with those of its tasks that wait. `seen`: when the queue last knew it. */
  watch(journal: SubmittedJob, elements: LiveJob["elements"], seen: number): void {
    const open = new Set<number>();
    const known = new Map<number, number>();
    for (const [element, names] of elements.entries()) {
      known.set(element, seen);
      for (const name of names) {
        const state = this.tasks.get(journal.stage, name);
        if (state === undefined || state.state !== "waiting") continue;
        state.state = "sent";
        open.add(element);
      }
    }
    this.live.push({ journal, elements, open, known, waiting: new Set(), faulty: false });
  }

  /** Nothing more is expected of a job. */
  close(live: LiveJob): void {
    live.journal.closed = true;
    this.live.splice(this.live.indexOf(live), 1);
  }

  /** A job will not do what it has not done. */
  giveUp(live: LiveJob): void {
    takeBack(live.elements.flatMap((names) => this.tasks.sent(live.journal.stage, names)));
    this.close(live);
  }

  save(): Promise<void> {
    return writeJournal(this.folder, this.journal);
  }

  notice(line: string): void {
    this.options.onNotice?.(line);
  }

  tellStatus(): void {
    let queued = 0;
    let running = 0;
    for (const { open, waiting } of this.live) {
      queued += waiting.size;
      running += open.size - waiting.size;
    }
    this.options.onStatus?.({ queued, running, retried: this.retried });
  }
}
