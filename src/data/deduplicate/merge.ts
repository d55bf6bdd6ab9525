/** @file The second stage, for all that is compared by hashes: entries of one key are copies of one another. */
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { makeFolder } from "../../documents/index.js";
import { PieceWriter } from "./document-table.js";
import { EntryMerge, EntryWriter, type Stretch } from "./entries.js";
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
export const verdictsPath = (work: string, merge: string) => join(work, "merge", `${merge}.verdicts`);

/** In a verdict's place: the piece stays, and the rest says how often it was seen. */
export const STAYS = 2 ** 31;

/** Entries after which whatever else the thread has to do gets its turn: some 20 ms. */
const PAUSE = 2 ** 17;

/** The stretches of a shelf, of all parts and runs in order. */
export function stretchesOf(parts: readonly IndexedPart[], work: string, shelf: number): readonly Stretch[] {
  return parts.flatMap(({ name, base, runs }) =>
    runs.map(({ at, counts }) => {
      const before = counts.slice(0, shelf).reduce((sum, count) => sum + count, 0);
      return { path: keysPath(work, name), at: at + 16 * before, count: counts[shelf], base };
    }),
  );
}

/**
 * Documents: pairs of the first document with a key and each other one, as edges. Pieces: a verdict for each copy,
 * keyed by its document and place, that names the first document; one for the first piece says how often it was seen.
 */
export async function mergeKeys(
  { name, shelf, from, to }: MergeTask,
  config: DeduplicateConfig,
  parts: readonly IndexedPart[],
  signal?: AbortSignal,
): Promise<MergeResult> {
  const { work } = config;
  await makeFolder(join(work, "merge"));
  const merge = new EntryMerge(stretchesOf(parts, work, shelf), { from, to });
  const groups = new Groups(merge);
  if (ofDocuments(config.by)) {
    const edges = new PieceWriter(edgesPath(work, name));
    const pair = new Uint32Array(2);
    const bytes = new Uint8Array(pair.buffer);
    try {
      while (groups.next()) {
        if (groups.count % PAUSE === 0) await turn(undefined, { signal });
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
  const verdicts = new EntryWriter(verdictsPath(work, name), 1, 2 ** 18);
  let repeated = 0;
  const none = config.keep === "none";
  /** The first of the group before: it is told when the group has ended, with how often it was seen. */
  let [first, firstPlace, size] = [0, 0, 0];
  const tellFirst = () => {
    if (size < 2) return;
    repeated += 1;
    verdicts.add(0, firstPlace, first, first, STAYS + Math.min(size, STAYS - 1));
  };
  try {
    while (groups.next()) {
      if (groups.count % PAUSE === 0) await turn(undefined, { signal });
      if (groups.size === 1) {
        tellFirst();
        [first, firstPlace] = [groups.document, groups.place];
      } else {
        if (none && groups.size === 2) verdicts.add(0, firstPlace, first, first, 0);
        verdicts.add(0, groups.place, groups.document, groups.first, 0);
      }
      size = groups.size;
    }
    tellFirst();
    return await writeResult(work, "merge", name, { runs: verdicts.finish(), repeated });
  } finally {
    verdicts.close();
  }
}

/** Entries with how many of their key there were so far, themselves included, and the first document of the key. */
class Groups {
  /** Entries so far. */
  count = 0;
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
