/**
 * @file The second stage, for repeated spans. Equal windows have anchors with equal hashes, so only text around anchors whose
 * hash occurs twice can repeat. That text is gathered, hash by hash, until a batch is full. Then the batch's suffixes are
 * sorted and its repeated windows written as matches. All windows around one hash meet in one batch, so the result does not
 * depend on the batch size.
 */
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { makeFolder } from "../../../documents/index.js";
import { fileError, QuernError } from "../../../errors.js";
import { kernelMemory } from "../../../kernel.js";
import { DocumentTables } from "../document-table.js";
import { EntryMerge, EntryWriter, readWhole } from "../entries.js";
import { matchesPath, slicesOf } from "../merge.js";
import { type DeduplicateConfig, type IndexedPart, type MergeResult, type MergeTask, writeResult } from "../plan.js";
import { SuffixText } from "./suffixes.js";
import { gramOf } from "./units.js";

/** A range of a document, in units; `local` is its offset in the current batch. */
interface Region {
  readonly document: number;
  readonly start: number;
  end: number;
  local: number;
}

export async function mergeAnchors(
  { name, shelf, from, to }: MergeTask,
  config: DeduplicateConfig,
  parts: readonly IndexedPart[],
  signal?: AbortSignal,
): Promise<MergeResult> {
  await makeFolder(join(config.work, "merge"));
  const merge = new EntryMerge(slicesOf(parts, config.work, shelf), { from, to });
  const matches = new EntryWriter(matchesPath(config.work, name), 1, 2 ** 18);
  const finder = new SpanFinder(config, parts, matches);
  const most = Math.max(2, Math.floor(config.part / finder.unitBytes / (2 * config.length)));
  /** Anchors as 64 bits: document in the upper half, place in the lower. From `own` on they have the current hash. */
  let places: bigint[] = [];
  let own = 0;
  let [low, high] = [-1, -1];
  /** Distinct windows carried over from earlier batches of the current hash, if it has too many places for one. */
  let carried: readonly Region[] = [];
  const endGroup = () => {
    if (carried.length > 0) {
      finder.find(places, carried);
      [places, carried] = [[], []];
    } else if (places.length - own < 2) places.length = own;
    own = places.length;
  };
  try {
    while (merge.next()) {
      if (merge.keyLow !== low || merge.keyHigh !== high) {
        endGroup();
        [low, high] = [merge.keyLow, merge.keyHigh];
      }
      const place = (BigInt(merge.document) << 32n) | BigInt(merge.place);
      if (places.length > own && places[places.length - 1] === place) continue;
      places.push(place);
      if (places.length < most) continue;
      signal?.throwIfAborted();
      if (own > 0) {
        finder.find(places.slice(0, own), []);
        places = places.slice(own);
        own = 0;
      } else {
        carried = finder.find(places, carried, true);
        places = [];
      }
    }
    endGroup();
    if (places.length > 0) finder.find(places, []);
    return await writeResult(config.work, "merge", name, { runs: matches.finish(), repeated: finder.runs });
  } finally {
    matches.close();
    finder.close();
  }
}

class SpanFinder {
  readonly unitBytes: number;
  /** Runs of repeated windows found so far. */
  runs = 0;
  readonly #config: DeduplicateConfig;
  readonly #parts: readonly IndexedPart[];
  readonly #matches: EntryWriter;
  readonly #tables: DocumentTables;
  readonly #memory = kernelMemory();

  constructor(config: DeduplicateConfig, parts: readonly IndexedPart[], matches: EntryWriter) {
    this.#config = config;
    this.#parts = parts;
    this.#matches = matches;
    this.#tables = new DocumentTables(config.work, parts);
    this.unitBytes = config.tokenizer === undefined ? 1 : 4;
  }

  close(): void {
    this.#tables.close();
  }

  /**
   * Writes matches for all windows that repeat around these places and in the carried regions. With `carry`, returns each
   * distinct window once, for comparison with later batches; else returns nothing.
   */
  find(places: readonly bigint[], carried: readonly Region[], carry = false): readonly Region[] {
    const { length: window, keep } = this.#config;
    const regions = this.#regions(places, carried);
    if (regions.length === 0) return [];
    const text = this.#read(regions);
    const separator = this.unitBytes === 1 ? 255 : this.#letters - 1;
    const all = keep === "none";
    const runs = text.repeats(window, separator, all);
    this.runs += runs.length;
    let at = 0;
    for (const { start, end, first } of runs) {
      while (at + 1 < regions.length && regions[at + 1].local <= start) at += 1;
      const region = regions[at];
      const place = region.start + start - region.local;
      const other = regionAt(regions, first).document;
      this.#matches.add(0, place, region.document, other, end - 1 - start + window);
    }
    return carry ? this.#firsts(regions, all ? text.copies() : runs) : [];
  }

  #letters = 256;

  /** Returns the regions around the places: every window with an anchor there. Sorted and disjoint. */
  #regions(places: readonly bigint[], carried: readonly Region[]): Region[] {
    const { length: window } = this.#config;
    const gram = gramOf(window);
    const around: Region[] = carried.map((region) => ({ ...region }));
    const sorted = BigUint64Array.from(places).sort();
    let document = -1;
    let units = 0;
    for (const value of sorted) {
      const place = Number(value & 0xffffffffn);
      const of = Number(value >> 32n);
      if (of !== document) {
        document = of;
        units = this.#textOf(of).units;
      }
      const start = Math.max(0, place - (window - gram));
      around.push({ document, start, end: Math.min(units, place + window), local: 0 });
    }
    around.sort((a, b) => a.document - b.document || a.start - b.start);
    const regions: Region[] = [];
    for (const region of around) {
      const last = regions.at(-1);
      if (last !== undefined && last.document === region.document && region.start <= last.end) {
        last.end = Math.max(last.end, region.end);
      } else regions.push(region);
    }
    return regions;
  }

  /** Returns where a document's text starts in its part's file, and its length, in units. */
  #textOf(document: number): { readonly part: string; readonly at: number; readonly units: number } {
    const part = this.#parts[this.#tables.partOf(document)];
    const at = this.#tables.row(document).textStart;
    const isLast = document + 1 === part.base + part.documents;
    const end = isLast ? part.units : this.#tables.row(document + 1).textStart;
    return { part: part.name, at, units: end - at };
  }

  /** Reads the regions' texts, each followed by a separator. */
  #read(regions: readonly Region[]): SuffixText {
    let count = 0;
    for (const region of regions) {
      region.local = count;
      count += region.end - region.start + 1;
    }
    const wide = this.unitBytes === 4;
    const size = this.unitBytes;
    // Tokens are read before the alphabet size is known; the text has the same address for any alphabet size.
    let text = new SuffixText(count, wide, 256, this.#memory);
    let file: number | undefined;
    let open = "";
    let document = -1;
    let at = 0;
    try {
      for (const region of regions) {
        if (region.document !== document) {
          const of = this.#textOf(region.document);
          if (of.part !== open) {
            if (file !== undefined) closeSync(file);
            file = openSync(join(this.#config.work, "index", `${of.part}.texts`), "r");
            open = of.part;
          }
          document = region.document;
          at = of.at;
        }
        const length = region.end - region.start;
        const { buffer, byteOffset } = text.text;
        const into = new Uint8Array(buffer, byteOffset + size * region.local, size * length);
        readWhole(file as number, into, size * (at + region.start));
      }
    } catch (error) {
      throw fileError(error, "read", join(this.#config.work, "index"));
    } finally {
      if (file !== undefined) closeSync(file);
    }
    if (wide) {
      const ids = text.text;
      let greatest = 0;
      for (const { start, end, local } of regions) {
        for (let i = local; i < local + end - start; i++) if (ids[i] > greatest) greatest = ids[i];
      }
      this.#letters = greatest + 2;
      text = new SuffixText(count, true, this.#letters, this.#memory);
    }
    for (const { start, end, local } of regions) text.text[local + end - start] = this.#letters - 1;
    return text;
  }

  /** Returns the first occurrence of each distinct window, as regions. */
  #firsts(regions: readonly Region[], copies: readonly { readonly start: number; readonly end: number }[]): Region[] {
    const { length: window, part } = this.#config;
    const firsts: Region[] = [];
    let next = 0;
    let units = 0;
    for (const { document, start, end, local } of regions) {
      const last = local + end - start - window;
      for (let at = local; at <= last; ) {
        while (next < copies.length && copies[next].end <= at) next += 1;
        const copy = copies[next];
        if (copy !== undefined && copy.start <= at) {
          at = copy.end;
          continue;
        }
        const stop = Math.min(copy?.start ?? last + 1, last + 1);
        const from = start + at - local;
        firsts.push({ document, start: from, end: from + stop - at - 1 + window, local: 0 });
        units += stop - at - 1 + window;
        at = stop;
      }
    }
    if (2 * units * this.unitBytes > part) {
      throw new QuernError(
        `one repeated span occurs in more than ${part / 2} bytes of distinct text; give --part a value greater than ${part}`,
      );
    }
    return firsts;
  }
}

/** Returns the region that contains an offset of the current batch. */
function regionAt(regions: readonly Region[], local: number): Region {
  let [low, high] = [0, regions.length];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (regions[middle].local <= local) low = middle;
    else high = middle;
  }
  return regions[low];
}
