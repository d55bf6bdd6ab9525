/** @file A priority queue: a binary heap, in which the latest of equal items comes first. */

export class PriorityQueue<T> {
  readonly #items: T[] = [];
  readonly #priorities: number[] = [];
  readonly #times: number[] = [];
  #time = 0;

  push(item: T, priority: number): void {
    let at = this.#items.length;
    const time = this.#time++;
    for (; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (this.#priorities[parent] < priority) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#set(at, item, priority, time);
  }

  /** Removes the item with the lowest priority; undefined if the queue is empty. */
  pop(): T | undefined {
    const first = this.#items[0];
    const item = this.#items.pop();
    const priority = this.#priorities.pop();
    const time = this.#times.pop();
    const { length } = this.#items;
    if (item === undefined || length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= length) break;
      if (child + 1 < length && this.#isBefore(child + 1, this.#priorities[child], this.#times[child])) child++;
      if (!this.#isBefore(child, priority!, time!)) break;
      this.#move(child, at);
      at = child;
    }
    this.#set(at, item, priority!, time!);
    return first;
  }

  #isBefore(index: number, priority: number, time: number): boolean {
    const own = this.#priorities[index];
    return own < priority || (own === priority && this.#times[index] > time);
  }

  #move(from: number, to: number): void {
    this.#set(to, this.#items[from], this.#priorities[from], this.#times[from]);
  }

  #set(at: number, item: T, priority: number, time: number): void {
    this.#items[at] = item;
    this.#priorities[at] = priority;
    this.#times[at] = time;
  }
}
