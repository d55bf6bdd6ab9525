/** @file How long work tells that it goes on. Library functions report; only commands print. */

export interface Progress {
  /** What is being done, as a person would say it: `train tokenizer`. */
  readonly task: string;
  /** How much is done, in `unit`. */
  readonly done: number;
  /** How much there is in all, where it is known. */
  readonly total?: number;
  /** `step`, `token`, `byte`, `document` … in the singular. */
  readonly unit: string;
  /** What else is worth a glance: `loss 3.21`. */
  readonly note?: string;
}

export type OnProgress = (progress: Progress) => void;
