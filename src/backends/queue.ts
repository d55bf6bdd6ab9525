/** @file Serializes operations on shared resources: each waits for those that started earlier. */

/** A resource that one operation at a time may use: a program, memory shared by programs, a thread pool. */
export class Queue {
  /** Resolves when all operations queued so far have finished; never rejects. */
  last: Promise<unknown> = Promise.resolve();
  waiting = 0;
}

/** Runs `work` once all earlier operations on any of these queues have finished. */
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
