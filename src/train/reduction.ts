/**
 * @file Sums gradients over the ranks while the backward pass still computes others. The program delivers them in portions, always
 * the same ones in the same order, and each is summed in the order of the ranks. So bits do not depend on timing.
 */
import type { Delivered } from "../backends/index.js";
import { gradientName } from "./optimizer/optimizer.js";
import type { TrainingProgram } from "./trainer.js";

/** The sums of one step. */
export interface Reduction {
  /** Adds a portion of the gradients of this rank's batch number `batch` to those of the others. */
  receive(delivered: Delivered, batch: number): Promise<void>;
  /** Seconds in which the program waited for sums. */
  readonly waitedSeconds: number;
}

export function createReduction({ ranks, sharded }: TrainingProgram): Reduction {
  const isTransient = sharded?.stage === 2;
  const sum = async ({ variables, memory }: Delivered, batch: number) => {
    if (sharded === null) return ranks.allReduce(memory);
    const parts = sharded.pieces.flatMap((piece) => {
      const i = variables.indexOf(gradientName(piece.name));
      return i < 0 ? [] : [{ piece, values: memory[i].subarray(piece.from, piece.from + piece.length) }];
    });
    await ranks.reduceScatter(
      parts.map(({ values }) => values),
      parts.map(({ piece }) => piece.owner),
    );
    if (!isTransient) return;
    for (const { piece, values } of parts) if (piece.owner === ranks.rank) sharded.add(piece.name, values, batch === 0);
  };
  let last: Promise<void> = Promise.resolve();
  let waited = 0;
  return {
    async receive(delivered, batch) {
      const before = last;
      last = before.then(() => sum(delivered, batch));
      last.catch(() => {}); // reported to whoever awaits it
      const start = performance.now();
      // Transient memory is used again after the next portion, so the sums in it must be complete by then.
      if (delivered.isLast) await last;
      else if (isTransient) await before;
      waited += (performance.now() - start) / 1000;
    },
    get waitedSeconds() {
      return waited;
    },
  };
}
