/** @file Progress reports of long work. Library functions report; only commands print. */

export interface Progress {
  /** Name of the task, shown to users: `train tokenizer`. */
  readonly task: string;
  /** Amount done, in `unit`. */
  readonly done: number;
  /** Total amount in `unit`, if known. */
  readonly total?: number;
  /** `step`, `token`, `byte`, `document` …, in the singular. */
  readonly unit: string;
  /** Extra figure for the progress line: `loss 3.21`. */
  readonly note?: string;
}

export type OnProgress = (progress: Progress) => void;
