/** @file A queue of results that other threads are computing, returned in the order in which they were requested. */

export class ResultQueue<T = void> {
  /** True once any result has failed. */
  failed = false;
  readonly #queue: { readonly result: Promise<T>; settled: boolean }[] = [];

  get size(): number {
    return this.#queue.length;
  }

  add(result: Promise<T>): void {
    const entry = { result, settled: false };
    this.#queue.push(entry);
    result.then(
      () => {
        entry.settled = true;
      },
      () => {
        entry.settled = true;
        this.failed = true;
      },
    );
  }

  /** True if `shift` would return without waiting. */
  get isFirstSettled(): boolean {
    return this.#queue.length > 0 && this.#queue[0].settled;
  }

  /** Waits for the first result and removes it. @throws its error if it failed */
  async shift(): Promise<T> {
    const entry = this.#queue.shift();
    if (entry === undefined) throw new Error("the queue is empty");
    return await entry.result;
  }

  /** Waits for all results. @throws the error of the first that failed, in the order of the requests */
  async end(): Promise<void> {
    while (this.#queue.length > 0) await this.shift();
  }
}
