/**
 * @file The addresses of a crawl: a queue per origin, and hashes of all addresses seen. Strangers write the pages, and
 * choose how many links there are and how long. So everything here is bounded, with half of each limit per origin: a
 * single origin cannot crowd out the others.
 */
import { AddressSet } from "./address-set.js";
import type { Waiting } from "./store.js";
import { TrapDetector } from "./urls.js";

export interface FrontierLimits {
  /** Maximum number of queued addresses. */
  readonly waiting: number;
  /** Maximum characters of queued addresses, including the addresses that led to them. */
  readonly waitingCharacters: number;
  /** Maximum characters of all admitted addresses, which bounds the size of the log. */
  readonly characters: number;
  readonly origins: number;
}

/** @param pages maximum pages of the crawl: a larger crawl may keep more addresses */
export function frontierLimits(pages: number): FrontierLimits {
  return { waiting: 1_000_000, waitingCharacters: 2 ** 27, characters: 2 ** 28 + 500 * pages, origins: 10_000 };
}

/** An address in a queue. */
export interface Queued extends Waiting {
  tries?: number;
  /** Its outcome in an earlier run. */
  before?: string;
}

/** Maximum number of refused addresses remembered, so that each is counted once. */
const MOST_REFUSED = 1_000_000;
/** Overhead of an address in the log and in memory, in characters. */
const ENTRY = 100;
const sizeOf = ({ url, via }: Waiting) => ENTRY + url.length + (via?.length ?? 0);

/** A first-in, first-out queue. */
class Queue {
  #entries: (Queued | null)[] = [];
  #head = 0;
  /**
   * Counts of queued addresses (while a log is replayed, including its addresses), and characters of all admitted ones.
   */
  waiting = 0;
  waitingCharacters = 0;
  characters = 0;

  push(entry: Queued): void {
    this.#entries.push(entry);
  }

  shift(): Queued | null {
    if (this.#head === this.#entries.length) return null;
    const entry = this.#entries[this.#head];
    this.#entries[this.#head++] = null;
    if (2 * this.#head > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
    return entry;
  }
}

export class Frontier {
  readonly #limits: FrontierLimits;
  readonly #seen = new AddressSet();
  readonly #refused = new AddressSet();
  readonly #traps = new TrapDetector();
  readonly #queues = new Map<string, Queue>();
  /** Addresses of an earlier run, while its log is replayed. */
  #restored = new Map<string, Queued>();
  #lastVia: string | undefined;
  #waiting = 0;
  #waitingCharacters = 0;
  #characters = 0;

  constructor(limits: FrontierLimits) {
    this.#limits = limits;
  }

  /** Number of queued addresses. */
  get waiting(): number {
    return this.#waiting;
  }

  waitingAt(origin: string): number {
    return this.#queues.get(origin)?.waiting ?? 0;
  }

  /**
   * Queues an address and returns null. Otherwise returns the reason for the refusal, or "" for an address seen before.
   * @param inScope false refuses the address
   */
  admit(entry: Waiting, inScope: boolean): string | null {
    if (this.#seen.has(entry.url)) return "";
    // A start address is never a trap.
    const isStart = entry.depth === 0 && entry.kind === "page";
    const reason = inScope
      ? (this.#reasonAgainst(entry) ?? (isStart ? null : this.#traps.trap(entry.url)))
      : "out of scope";
    if (reason === null) {
      this.#accept(entry);
      this.put(entry);
      return null;
    }
    const isNew = this.#refused.size < MOST_REFUSED ? this.#refused.add(entry.url) : !this.#refused.has(entry.url);
    return isNew ? reason : "";
  }

  /** Returns the next address of an origin; null if its queue is empty. */
  take(origin: string): Queued | null {
    const entry = this.#queues.get(origin)?.shift() ?? null;
    if (entry !== null) this.#count(entry, -1);
    return entry;
  }

  /** Puts an address back into its queue. */
  put(entry: Queued): void {
    this.#queueOf(entry.url).push(entry);
    this.#count(entry, 1);
  }

  /** Replays a log line: an address that was admitted. Returns false if there is no room for it. */
  replayFound(found: Waiting): boolean {
    // The links of one page share one string for its address, as they did in the earlier run.
    const entry = found.via === this.#lastVia ? { ...found, via: this.#lastVia } : found;
    this.#lastVia = entry.via;
    if (this.#seen.has(entry.url)) return true;
    if (this.#reasonAgainst(entry) !== null) return false;
    this.#traps.trap(entry.url);
    this.#accept(entry);
    this.#count(entry, 1);
    this.#restored.set(entry.url, entry);
    return true;
  }

  /** Replays a log line: the outcome of an address. `again` decides whether the address is queued once more. */
  replayDone(url: string, outcome: string, again: (entry: Waiting) => boolean): boolean {
    this.#seen.add(url);
    const entry = this.#restored.get(url);
    if (entry !== undefined && again(entry)) {
      entry.before = outcome;
      return true;
    }
    if (entry !== undefined) this.#count(entry, -1);
    this.#restored.delete(url);
    return false;
  }

  /** Ends the replay: queues the remaining addresses, and returns the origins. */
  finishReplay(): readonly string[] {
    for (const entry of this.#restored.values()) this.#queueOf(entry.url).push(entry);
    this.#restored = new Map();
    return [...this.#queues.keys()];
  }

  #reasonAgainst(entry: Waiting): string | null {
    const { waiting, waitingCharacters, characters, origins } = this.#limits;
    const queue = this.#queues.get(new URL(entry.url).origin);
    if (queue === undefined && this.#queues.size >= origins) return "beyond the number of hosts";
    const size = sizeOf(entry);
    const isFull =
      this.#waiting >= waiting ||
      this.#waitingCharacters + size > waitingCharacters ||
      this.#characters + size > characters ||
      (queue !== undefined &&
        (2 * queue.waiting >= waiting ||
          2 * (queue.waitingCharacters + size) > waitingCharacters ||
          2 * (queue.characters + size) > characters));
    return isFull ? "beyond the number of addresses" : null;
  }

  #accept(entry: Waiting): void {
    this.#seen.add(entry.url);
    this.#characters += sizeOf(entry);
    this.#queueOf(entry.url).characters += sizeOf(entry);
  }

  #count(entry: Waiting, sign: 1 | -1): void {
    this.#waiting += sign;
    this.#waitingCharacters += sign * sizeOf(entry);
    const queue = this.#queueOf(entry.url);
    queue.waiting += sign;
    queue.waitingCharacters += sign * sizeOf(entry);
  }

  #queueOf(url: string): Queue {
    const { origin } = new URL(url);
    let queue = this.#queues.get(origin);
    if (queue === undefined) {
      queue = new Queue();
      this.#queues.set(origin, queue);
    }
    return queue;
  }
}
