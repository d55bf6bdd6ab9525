/**
 * @file Rows that hold windows with common beginnings. A row is the trie of its windows' tokens in depth-first order: a
 * token attends to the earlier tokens whose subtree it is in. So each beginning is computed once per row, and equal windows
 * are one.
 */
import type { Window } from "./windows.js";

/** Windows in the order of their tokens, in which windows with a common beginning are neighbours. */
export interface SortedWindows<W> {
  readonly windows: readonly W[];
  /** Number of tokens at the start of each window that the window before it has too. */
  readonly shared: readonly number[];
}

export interface TreeRow<W> {
  readonly ids: readonly number[];
  /** The index after the last token of each token's subtree. */
  readonly ends: readonly number[];
  /** Position of each token in its windows. */
  readonly depths: readonly number[];
  readonly windows: readonly {
    readonly window: W;
    /** Indices in the row of the tokens that predict the window's scored tokens. */
    readonly predictors: readonly number[];
  }[];
}

/** Sorts windows by their tokens; a window comes before those that continue it. */
export function sortByTokens<W extends Window>(windows: Iterable<W>): SortedWindows<W> {
  const sorted = [...windows].sort((a, b) => {
    const n = commonTokens(a, b);
    const isPrefix = n === Math.min(a.length, b.length);
    return isPrefix ? a.length - b.length : a.ids[a.start + n] - b.ids[b.start + n];
  });
  const shared = sorted.map((window, i) => (i === 0 ? 0 : commonTokens(sorted[i - 1], window)));
  return { windows: sorted, shared };
}

function commonTokens(a: Window, b: Window): number {
  const most = Math.min(a.length, b.length);
  let n = 0;
  while (n < most && a.ids[a.start + n] === b.ids[b.start + n]) n += 1;
  return n;
}

/**
 * Fills rows of up to `sequence` tokens with windows, in order. A window that does not fit begins a new row, which repeats
 * what it shares with earlier windows. No window may be longer than a row.
 */
export function* treeRows<W extends Window>(
  { windows, shared }: SortedWindows<W>,
  sequence: number,
): Generator<TreeRow<W>, void> {
  let row = new RowBuilder<W>();
  for (const [i, window] of windows.entries()) {
    if (row.length + window.length - shared[i] > sequence) {
      yield row.finish();
      row = new RowBuilder();
    }
    row.add(window, row.length === 0 ? 0 : shared[i]);
  }
  if (row.length > 0) yield row.finish();
}

class RowBuilder<W extends Window> {
  readonly #ids: number[] = [];
  readonly #ends: number[] = [];
  readonly #depths: number[] = [];
  readonly #windows: TreeRow<W>["windows"][number][] = [];
  /** Indices of the last window's tokens. */
  readonly #path: number[] = [];

  get length(): number {
    return this.#ids.length;
  }

  /** @param shared number of tokens that the window has in common with the last one */
  add(window: W, shared: number): void {
    this.#closeFrom(shared);
    for (let t = shared; t < window.length; t++) {
      this.#path.push(this.#ids.length);
      this.#ids.push(window.ids[window.start + t]);
      this.#depths.push(t);
    }
    this.#windows.push({ window, predictors: this.#path.slice(window.from - 1 - window.start) });
  }

  finish(): TreeRow<W> {
    this.#closeFrom(0);
    return { ids: this.#ids, ends: this.#ends, depths: this.#depths, windows: this.#windows };
  }

  /** Ends the subtrees of the path's tokens from `depth` on. */
  #closeFrom(depth: number): void {
    for (const at of this.#path.splice(depth)) this.#ends[at] = this.#ids.length;
  }
}
