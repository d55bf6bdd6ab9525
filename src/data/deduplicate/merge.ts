/** @file The second stage, for everything but substrings: entries with equal keys are copies of each other. */
import { join } from "node:path";
import { setImmediate as yieldToEventLoop } from "node:timers/promises";
import { makeFolder } from "../../documents/index.js";
import { PieceWriter } from "./document-table.js";
import { EntryMerge, EntryWriter, type SortedSlice } from "./entries.js";
import { keysPath } from "./index-part.js";
import {
  type DeduplicateConfig,
  type IndexedPart,
  type MergeResult,
  type MergeTask,
  ofDocuments,
  writeResult,
} from "./plan.js";

export const edgesPath = (work: string, merge: string) => join(work, "merge", `${merge}.edges`);
export const matchesPath = (work: string, merge: string) => join(work, "merge", `${merge}.matches`);

/** Flag in a match's value: the piece stays, and the lower bits count its occurrences. */
export const STAYS = 2 ** 31;

/** Entries between two yields to the event loop: about 20 ms. */
const PAUSE = 2 ** 17;

/** Returns the sorted slices of a shelf, over all parts and runs in order. */
export function slicesOf(parts: readonly IndexedPart[], work: string, shelf: number): readonly SortedSlice[] {
  return parts.flatMap(({ name, base, runs }) =>
    runs.map(({ at, counts }) => {
      const before = counts.slice(0, shelf).reduce((sum, count) => sum + count, 0);
      return { path: keysPath(work, name), at: at + 16 * before, count: counts[shelf], base };
    }),
  );
}

/**
 * Merges keys. For documents it writes edges: the first document with a key, paired with each later one. For pieces it
 * writes a match for each copy: its document and place as key, the document of the first occurrence as value. One more
 * match, for the first occurrence, counts all of them.
 */
export async function mergeKeys(
  { name, shelf, from, to }: MergeTask,
  config: DeduplicateConfig,
  parts: readonly IndexedPart[],
  signal?: AbortSignal,
): Promise<MergeResult> {
  const { work } = config;
  await makeFolder(join(work, "merge"));
  const merge = new EntryMerge(slicesOf(parts, work, shelf), { from, to });
  const groups = new Groups(merge);
  if (ofDocuments(config.by)) {
    const edges = new PieceWriter(edgesPath(work, name));
    const pair = new Uint32Array(2);
    const bytes = new Uint8Array(pair.buffer);
    try {
      while (groups.next()) {
        if (groups.count % PAUSE === 0) await yieldToEventLoop(undefined, { signal });
        if (groups.size === 1 || groups.document === groups.first) continue;
        pair[0] = groups.first;
        pair[1] = groups.document;
        edges.write(bytes);
      }
      edges.finish();
    } finally {
      edges.close();
    }
    return writeResult(work, "merge", name, { runs: [], repeated: 0 });
  }
  const matches = new EntryWriter(matchesPath(work, name), 1, 2 ** 18);
  let repeated = 0;
  const none = config.keep === "none";
  /** First occurrence of the current group. Its match is written when the group ends and its size is known. */
  let [first, firstPlace, size] = [0, 0, 0];
  const addFirst = () => {
    if (size < 2) return;
    repeated += 1;
    matches.add(0, firstPlace, first, first, STAYS + Math.min(size, STAYS - 1));
  };
  try {
    while (groups.next()) {
      if (groups.count % PAUSE === 0) await yieldToEventLoop(undefined, { signal });
      if (groups.size === 1) {
        addFirst();
        [first, firstPlace] = [groups.document, groups.place];
      } else {
        if (none && groups.size === 2) matches.add(0, firstPlace, first, first, 0);
        matches.add(0, groups.place, groups.document, groups.first, 0);
      }
      size = groups.size;
    }
    addFirst();
    return await writeResult(work, "merge", name, { runs: matches.finish(), repeated });
  } finally {
    matches.close();
  }
}

/** Iterates over entries; tracks each key's first document and its number of entries so far, this one included. */
class Groups {
  /** Entries read so far. */
  count = 0;
  /** Entries of the current key so far. */
  size = 0;
  first = 0;
  document = 0;
  place = 0;
  readonly #merge: EntryMerge;
  #low = 0;
  #high = 0;

  constructor(merge: EntryMerge) {
    this.#merge = merge;
  }

  next(): boolean {
    const merge = this.#merge;
    if (!merge.next()) return false;
    this.count += 1;
    if (this.size > 0 && merge.keyLow === this.#low && merge.keyHigh === this.#high) this.size += 1;
    else {
      this.size = 1;
      this.first = merge.document;
      this.#low = merge.keyLow;
      this.#high = merge.keyHigh;
    }
    this.document = merge.document;
    this.place = merge.place;
    return true;
  }
}
