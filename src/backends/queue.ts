/** @file The order in which operations on one thing happen: each waits for those that were begun before. */

/** Something that one operation at a time may use: a program, memory that programs share, a pool of threads. */
export class Queue {
  /** Resolves when all that was begun is done; never rejects. */
  last: Promise<unknown> = Promise.resolve();
  waiting = 0;
}

/** Runs `work` when everything begun before on any of these queues is done. */
export function enqueue<T>(queues: readonly Queue[], work: () => T | Promise<T>): Promise<T> {
  const busy = queues.filter((queue) => queue.waiting > 0).map((queue) => queue.last);
  const result = (busy.length > 0 ? Promise.all(busy) : Promise.resolve()).then(work);
  const settled = result.then(
    () => release(queues),
    () => release(queues),
  );
  for (const queue of queues) {
    queue.waiting++;
    queue.last = settled;
  }
  return result;
}

function release(queues: readonly Queue[]): void {
  for (const queue of queues) queue.waiting--;
}

export const isIdle = (queues: readonly Queue[]) => queues.every((queue) => queue.waiting === 0);
