/** @file Batches of examples that are encoded once: those of a step, in the run's order, and the held-out ones. */
import type { TrainingBatch } from "../train/index.js";
import { examplesOf } from "./data/batches.js";
import type { AlignOptions } from "./options.js";
import { dropoutValues, type Policy } from "./policy.js";
import { chunks } from "./precomputed.js";
import type { Task } from "./task.js";

export interface ExampleBatches {
  readonly policy: Policy;
  readonly options: Pick<AlignOptions, "order" | "seed">;
  /** Examples of a batch. */
  readonly batch: number;
  /** Numbers of training examples, which come first, and of held-out ones; null without evaluation data. */
  readonly training: number;
  readonly heldOut: number | null;
  /** The values of a batch of at most `batch` examples, by their numbers; rows that count nothing fill it up. */
  rows(numbers: readonly number[]): TrainingBatch;
  /** Tokens of an example. */
  tokens(number: number): number;
}

/** The batches of a task. */
export function exampleBatches(examples: ExampleBatches): Pick<Task, "load" | "evaluation"> {
  const { policy, batch, training, heldOut } = examples;
  const { order = "shuffled", seed = 0 } = examples.options;
  return {
    async load(step, accumulate, { ranks }) {
      const batches: TrainingBatch[] = [];
      let tokens = 0;
      for (let place = 0; place < accumulate; place++) {
        const i = step * accumulate + place;
        const numbers = examplesOf(i, batch, training, { order, seed });
        for (const number of numbers) tokens += examples.tokens(number);
        if (place % ranks.size !== ranks.rank) continue;
        batches.push({ ...examples.rows(numbers), ...dropoutValues(policy, seed, i) });
      }
      return { batches, tokens };
    },
    evaluation:
      heldOut === null
        ? null
        : () =>
            chunks(heldOut, batch).map((places) => ({
              ...examples.rows(places.map((place) => training + place)),
              ...dropoutValues(policy, 0),
            })),
  };
}
