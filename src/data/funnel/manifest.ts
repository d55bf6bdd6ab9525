/** @file The manifest that each task of a run writes; the funnel is summed from these. */
import type { ReadReport } from "../../documents/index.js";
import type { StepCounts } from "./counts.js";
import type { Sample } from "./samples.js";

export interface WrittenFile {
  /** Relative to the run's folder. */
  readonly path: string;
  readonly bytes: number;
  readonly documents: number;
  readonly sha256: string;
}

/** Files, counts and samples of one task, as plain data. */
export interface TaskManifest {
  readonly task: string;
  readonly key: string;
  readonly files: readonly WrittenFile[];
  /** What was read and skipped. Documents outside the sample (`--sample`) count as read and as skipped. */
  readonly report: ReadReport;
  readonly read: number;
  readonly steps: readonly StepCounts[];
  readonly samples: readonly Sample[];
}
