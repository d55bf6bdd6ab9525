/** @file Work of other threads that has been asked for and not yet been waited for, in the order in which it was asked for. */

export class Underway<T = void> {
  /** True once something has failed. */
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

  /** True if the first need not be waited for. */
  get isFirstSettled(): boolean {
    return this.#queue.length > 0 && this.#queue[0].settled;
  }

  /** The first, which is waited for. @throws what it failed of */
  async shift(): Promise<T> {
    const entry = this.#queue.shift();
    if (entry === undefined) throw new Error("nothing is under way");
    return await entry.result;
  }

  /** Waits for all. @throws what the first that failed, in their order, failed of */
  async end(): Promise<void> {
    while (this.#queue.length > 0) await this.shift();
  }
}
