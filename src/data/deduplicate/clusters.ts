/**
 * @file The third stage: joins documents that share a key, finds the connected components of this graph, and chooses
 * the copy that stays. Memory: one bit per document, and a few numbers per document that has a copy.
 */
import { closeSync, fstatSync, openSync } from "node:fs";
import { join } from "node:path";
import { makeFolder } from "../../documents/index.js";
import { fileError } from "../../errors.js";
import { DocumentTables, PieceWriter } from "./document-table.js";
import { readWhole } from "./entries.js";
import { edgesPath } from "./merge.js";
import { type DeduplicateConfig, type IndexedPart, type MergeTask, ofDocuments, writeResult } from "./plan.js";

export const clustersPath = (work: string) => join(work, "choose", "members");

/** Bytes per record: u32 document, u32 cluster, u32 cluster size, u32 kept document, f64 sum of the cluster's `copies`. */
const MEMBER = 24;

/** A document that has at least one copy, with its cluster. */
export interface Member {
  readonly document: number;
  readonly cluster: number;
  /** Documents in the cluster. */
  readonly size: number;
  /** The document of the cluster that stays. */
  readonly kept: number;
  /** Documents that the cluster represents, counting those that earlier runs removed. */
  readonly copies: number;
}

export interface ChooseResult {
  readonly clusters: number;
  readonly members: number;
}

/** Writes all members in document order. Clusters are numbered in the order of their first documents. */
export async function chooseCopies(
  config: DeduplicateConfig,
  parts: readonly IndexedPart[],
  merges: readonly MergeTask[],
  signal?: AbortSignal,
): Promise<ChooseResult> {
  const { work } = config;
  await makeFolder(join(work, "choose"));
  if (!ofDocuments(config.by)) return writeResult(work, "choose", "choose", { clusters: 0, members: 0 });
  const last = parts[parts.length - 1];
  const files = merges.map(({ name }) => edgesPath(work, name));
  const members = new NumberSet(last.base + last.documents);
  for (const path of files) {
    signal?.throwIfAborted();
    readEdges(path, (a, b) => {
      members.add(a);
      members.add(b);
    });
  }
  members.close();
  const sets = new DisjointSets(members.size);
  for (const path of files) {
    signal?.throwIfAborted();
    readEdges(path, (a, b) => sets.join(members.rank(a), members.rank(b)));
  }

  const tables = new DocumentTables(work, parts);
  const output = new PieceWriter(clustersPath(work));
  try {
    const best = new Choice(members.size, config.keep !== "first");
    let rank = 0;
    for (const document of members.all()) {
      best.add(sets.find(rank), rank, tables.row(document));
      rank += 1;
    }
    const documents = Uint32Array.from(members.all());
    const numbers = new Uint32Array(members.size);
    let clusters = 0;
    const bytes = Buffer.alloc(MEMBER);
    for (let i = 0; i < documents.length; i++) {
      const root = sets.find(i);
      // The root of a set is its smallest member, so the root is visited before the others.
      if (root === i) numbers[i] = clusters++;
      bytes.writeUInt32LE(documents[i], 0);
      bytes.writeUInt32LE(numbers[root], 4);
      bytes.writeUInt32LE(best.sizes[root], 8);
      bytes.writeUInt32LE(documents[best.members[root]], 12);
      bytes.writeDoubleLE(best.copies[root], 16);
      output.write(bytes);
    }
    output.finish();
    return await writeResult(work, "choose", "choose", { clusters, members: members.size });
  } finally {
    output.close();
    tables.close();
  }
}

function readEdges(path: string, edge: (a: number, b: number) => void): void {
  try {
    const file = openSync(path, "r");
    try {
      const pairs = new Uint32Array(2 ** 16);
      const { size } = fstatSync(file);
      for (let at = 0; at < size; at += pairs.byteLength) {
        const bytes = Math.min(pairs.byteLength, size - at);
        readWhole(file, new Uint8Array(pairs.buffer, 0, bytes), at);
        for (let i = 0; i < bytes / 4; i += 2) edge(pairs[i], pairs[i + 1]);
      }
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw fileError(error, "read", path);
  }
}

/** The best copy seen so far, for each set. */
class Choice {
  readonly members: Uint32Array;
  readonly sizes: Uint32Array;
  readonly copies: Float64Array;
  readonly #worth: Float64Array;
  readonly #content: BigUint64Array;
  readonly #rest: BigUint64Array;
  readonly #byWorth: boolean;

  constructor(members: number, byWorth: boolean) {
    this.members = new Uint32Array(members);
    this.sizes = new Uint32Array(members);
    this.copies = new Float64Array(members);
    this.#worth = new Float64Array(members);
    this.#content = new BigUint64Array(members);
    this.#rest = new BigUint64Array(members);
    this.#byWorth = byWorth;
  }

  /** Breaks ties by the smallest hash of the content, then of the other fields, so input order does not matter. */
  add(root: number, member: number, row: { worth: number; copies: number; content: bigint; rest: bigint }): void {
    const { worth, content, rest } = row;
    const best = this.#worth[root];
    const better =
      this.sizes[root] === 0 ||
      (this.#byWorth &&
        (worth > best ||
          (worth === best &&
            (content < this.#content[root] || (content === this.#content[root] && rest < this.#rest[root])))));
    this.sizes[root] += 1;
    this.copies[root] += row.copies;
    if (!better) return;
    this.members[root] = member;
    this.#worth[root] = worth;
    this.#content[root] = content;
    this.#rest[root] = rest;
  }
}

/** A bit set of numbers below a bound, with a constant-time rank of each member. */
export class NumberSet {
  readonly #bits: Uint32Array;
  /** Number of members before each 32-bit word. */
  readonly #before: Uint32Array;
  size = 0;

  constructor(bound: number) {
    this.#bits = new Uint32Array(Math.ceil(bound / 32));
    this.#before = new Uint32Array(this.#bits.length);
  }

  add(number: number): void {
    this.#bits[number >>> 5] |= 1 << (number & 31);
  }

  /** Builds the rank table. Call once, after the last `add`. */
  close(): void {
    for (let i = 0; i < this.#bits.length; i++) {
      this.#before[i] = this.size;
      this.size += ones(this.#bits[i]);
    }
  }

  /** Returns how many members are smaller. */
  rank(number: number): number {
    const word = number >>> 5;
    return this.#before[word] + ones(this.#bits[word] & ((1 << (number & 31)) - 1));
  }

  /** Yields the members in ascending order. */
  *all(): Generator<number> {
    for (let word = 0; word < this.#bits.length; word++) {
      for (let bits = this.#bits[word]; bits !== 0; bits &= bits - 1) yield 32 * word + 31 - Math.clz32(bits & -bits);
    }
  }
}

/** Counts the set bits of a 32-bit number. */
function ones(bits: number): number {
  const pairs = bits - ((bits >>> 1) & 0x55555555);
  const fours = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Disjoint sets (Tarjan 1975). The root of a set is its smallest number, so the order of joins does not matter. */
export class DisjointSets {
  readonly #parent: Uint32Array;

  constructor(size: number) {
    this.#parent = Uint32Array.from({ length: size }, (_, i) => i);
  }

  /** Returns the smallest number of the set. */
  find(number: number): number {
    const parent = this.#parent;
    let at = number;
    while (parent[at] !== at) {
      parent[at] = parent[parent[at]];
      at = parent[at];
    }
    return at;
  }

  join(a: number, b: number): void {
    const [x, y] = [this.find(a), this.find(b)];
    this.#parent[Math.max(x, y)] = Math.min(x, y);
  }
}

/** Reads the members file sequentially from a given document on, in blocks. */
export class MemberReader {
  readonly #path: string;
  readonly #count: number;
  readonly #buffer = Buffer.alloc(MEMBER * 4096);
  #file: number | undefined;
  #next: number;
  #at = 0;
  #filled = 0;

  constructor(work: string, count: number, from: number) {
    this.#path = clustersPath(work);
    this.#count = count;
    let [low, high] = [0, count];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      this.#read(middle, 1);
      if (this.#buffer.readUInt32LE(0) < from) low = middle + 1;
      else high = middle;
    }
    this.#next = low;
  }

  #read(member: number, count: number): void {
    this.#file ??= openSync(this.#path, "r");
    readWhole(this.#file, this.#buffer.subarray(0, MEMBER * count), MEMBER * member);
  }

  /** Returns the document's record, or undefined if it has no copy. Calls must come in ascending document order. */
  find(document: number): Member | undefined {
    if (this.#at === this.#filled) {
      this.#filled = Math.min(4096, this.#count - this.#next);
      if (this.#filled === 0) return undefined;
      this.#read(this.#next, this.#filled);
      this.#next += this.#filled;
      this.#at = 0;
    }
    const at = MEMBER * this.#at;
    if (this.#buffer.readUInt32LE(at) !== document) return undefined;
    this.#at += 1;
    return {
      document,
      cluster: this.#buffer.readUInt32LE(at + 4),
      size: this.#buffer.readUInt32LE(at + 8),
      kept: this.#buffer.readUInt32LE(at + 12),
      copies: this.#buffer.readDoubleLE(at + 16),
    };
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}
