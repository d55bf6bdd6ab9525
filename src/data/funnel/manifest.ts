/** @file What a task of a run leaves beside its documents, plain data, from which the funnel is added up. */
import type { ReadReport } from "../../documents/index.js";
import type { StepCounts } from "./counts.js";
import type { Sample } from "./samples.js";

export interface WrittenFile {
  /** Under the run's folder. */
  readonly path: string;
  readonly bytes: number;
  readonly documents: number;
  readonly sha256: string;
}

/** What a task leaves beside its documents. */
export interface TaskManifest {
  readonly task: string;
  readonly key: string;
  readonly files: readonly WrittenFile[];
  /** What was read, and what was not a document; documents that the sample left out are among both. */
  readonly report: ReadReport;
  readonly read: number;
  readonly steps: readonly StepCounts[];
  readonly samples: readonly Sample[];
}
