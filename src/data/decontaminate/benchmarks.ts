/** @file Indexes evaluation sets by n-grams, and finds which of their examples a text overlaps, and where. */
import { basename } from "node:path";
import { QuernError } from "../../errors.js";
import { parseJson } from "../../json-file.js";
import { readLines } from "../lines.js";
import { eachGram, OverlapWords } from "./words.js";

/** Examples shorter than an n-gram are compared whole if they have this many words (GPT-3's minimum, Brown et al. 2020). */
export const SHORTEST = 8;

export interface Benchmark {
  readonly name: string;
  readonly file: string;
  readonly examples: number;
  /** Examples with too few words to distinguish from chance matches; they are not compared. */
  readonly tooShort: number;
}

export interface Example {
  readonly benchmark: string;
  readonly example: string;
}

export interface FoundExample extends Example {
  /** Share of the example's n-grams that occur in the text. */
  readonly share: number;
}

export interface Overlap {
  readonly examples: readonly FoundExample[];
  /** Where the first n-gram of each of these examples is, in UTF-16 units of the text. */
  readonly firsts: readonly (readonly [start: number, end: number])[];
  /** Ranges of the text that also occur in evaluation examples, in UTF-16 units; disjoint and sorted. */
  readonly spans: readonly (readonly [start: number, end: number])[];
}

/** Fields of an example that are not part of the question or answer. */
const NAMES = ["id", "example_id", "question_id", "task_id", "idx", "ind", "source_id"];
const OTHER_KEYS = new Set([
  ...NAMES,
  "url",
  "source",
  "subject",
  "category",
  "split",
  "type",
  "dataset",
  "language",
  "origin",
]);

/** The n-grams of evaluation sets, in one table per length. */
export class BenchmarkGrams {
  readonly benchmarks: Benchmark[] = [];
  readonly #examples: Example[] = [];
  /** Number of distinct n-grams per example. */
  readonly #sizes: number[] = [];
  readonly #tables = new Map<number, GramTable>();
  readonly #words = new OverlapWords();
  readonly #ngram: number;

  constructor(ngram: number) {
    this.#ngram = ngram;
  }

  /**
   * Adds the examples of a JSONL file. All strings of an example count, except identifiers and metadata such as its source.
   *
   * @throws QuernError for an unreadable file, a line that is not JSON, or a file without an example long enough to compare
   */
  async add(file: string, signal?: AbortSignal): Promise<void> {
    const name = basename(file).replace(/(\.jsonl?|\.ndjson)?(\.gz|\.zst)?$/i, "");
    let [examples, tooShort, number] = [0, 0, 0];
    for await (const line of readLines(file, signal)) {
      number += 1;
      if (line.trim() === "") continue;
      let value: unknown;
      try {
        value = parseJson(line, `${file}, line ${number},`, { exitCode: 2 });
      } catch (error) {
        if (/ nests more than /.test((error as Error).message)) throw error;
        throw new QuernError(`${file}, line ${number}: not valid JSON; an evaluation set has one example per line`, {
          exitCode: 2,
        });
      }
      examples += 1;
      const texts = typeof value === "string" ? [value] : textsOf(value);
      if (!this.addExample({ benchmark: name, example: nameOf(value) ?? String(number) }, texts)) tooShort += 1;
    }
    if (examples === tooShort) {
      const why =
        examples === 0 ? "it has no examples" : `none of its ${examples} examples has ${SHORTEST} words or more`;
      throw new QuernError(`${file} cannot be used as an evaluation set: ${why}`, { exitCode: 2 });
    }
    this.benchmarks.push({ name, file, examples, tooShort });
  }

  /** Adds one example. Returns false, and does not add it, if it is too short to compare. */
  addExample(example: Example, texts: readonly string[]): boolean {
    const number = this.#examples.length;
    let size = 0;
    const addAll = (n: number) => {
      let table = this.#tables.get(n);
      if (table === undefined) {
        table = new GramTable();
        this.#tables.set(n, table);
      }
      const own = table;
      eachGram(this.#words, n, (_, low, high) => {
        if (own.add(low, high, number)) size += 1;
      });
    };
    for (const text of texts) {
      this.#words.read(text);
      addAll(this.#ngram);
    }
    const shortest = Math.min(SHORTEST, this.#ngram);
    for (const text of size > 0 ? [] : texts) {
      this.#words.read(text);
      if (this.#words.count >= shortest) addAll(this.#words.count);
    }
    if (size === 0) return false;
    this.#examples.push(example);
    this.#sizes.push(size);
    return true;
  }

  /** Finds the examples of which a text has at least a share `threshold` of the n-grams, and the overlapping spans. */
  find(text: string, threshold = 0): Overlap {
    const words = this.#words;
    words.read(text);
    const found = new Map<number, number>();
    const firsts = new Map<number, readonly [number, number]>();
    const hits: { readonly at: number; readonly n: number; readonly examples: readonly number[] }[] = [];
    for (const [n, table] of this.#tables) {
      table.begin();
      eachGram(words, n, (at, low, high) => {
        const gram = table.find(low, high);
        if (gram < 0) return;
        const examples = table.examplesOf(gram);
        hits.push({ at, n, examples });
        if (!table.isFirst(gram)) return;
        for (const example of examples) {
          const grams = found.get(example) ?? 0;
          found.set(example, grams + 1);
          if (grams === 0) firsts.set(example, [words.starts[at], words.ends[at + n - 1]]);
        }
      });
    }
    const over = new Map([...found].filter(([example, grams]) => grams / this.#sizes[example] >= threshold));
    const spans: [number, number][] = [];
    for (const { at, n, examples } of hits.sort((a, b) => a.at - b.at || b.n - a.n)) {
      if (!examples.some((example) => over.has(example))) continue;
      const [start, end] = [words.starts[at], words.ends[at + n - 1]];
      const last = spans.at(-1);
      if (last !== undefined && start <= last[1]) last[1] = Math.max(last[1], end);
      else spans.push([start, end]);
    }
    const examples = [...over].map(([number, grams]) => ({
      ...this.#examples[number],
      share: grams / this.#sizes[number],
    }));
    return { examples, firsts: [...over.keys()].map((number) => firsts.get(number)!), spans };
  }
}

/** A hash table (open addressing) from n-grams of one length to the examples that contain them. */
class GramTable {
  #slots = new Int32Array(1024).fill(-1);
  #low: number[] = [];
  #high: number[] = [];
  readonly #lists: number[][] = [];
  #seen = new Int32Array(1024);
  #round = 0;

  /** Returns false if the n-gram was already added for this example. */
  add(low: number, high: number, example: number): boolean {
    const slot = this.#slotOf(low, high);
    const gram = this.#slots[slot];
    if (gram >= 0) {
      const list = this.#lists[gram];
      if (list[list.length - 1] === example) return false;
      list.push(example);
      return true;
    }
    this.#slots[slot] = this.#lists.length;
    this.#low.push(low);
    this.#high.push(high);
    this.#lists.push([example]);
    if (2 * this.#lists.length > this.#slots.length) this.#grow();
    return true;
  }

  find(low: number, high: number): number {
    return this.#slots[this.#slotOf(low, high)];
  }

  examplesOf(gram: number): readonly number[] {
    return this.#lists[gram];
  }

  /** Starts a new text, for `isFirst`. */
  begin(): void {
    this.#round += 1;
    if (this.#seen.length < this.#lists.length) this.#seen = new Int32Array(this.#lists.length);
  }

  /** Returns true the first time it is called for an n-gram of the current text. */
  isFirst(gram: number): boolean {
    if (this.#seen[gram] === this.#round) return false;
    this.#seen[gram] = this.#round;
    return true;
  }

  #slotOf(low: number, high: number): number {
    const mask = this.#slots.length - 1;
    // Mixing is needed: the low bits of a polynomial modulo 2^32 depend only on the low bits of the words.
    let slot = (low ^ (low >>> 15) ^ Math.imul(high, 0x85ebca6b)) & mask;
    for (let gram = this.#slots[slot]; gram >= 0; gram = this.#slots[slot]) {
      if (this.#low[gram] === low && this.#high[gram] === high) return slot;
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  #grow(): void {
    this.#slots = new Int32Array(2 * this.#slots.length).fill(-1);
    for (let gram = 0; gram < this.#lists.length; gram++) {
      this.#slots[this.#slotOf(this.#low[gram], this.#high[gram])] = gram;
    }
  }
}

function nameOf(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  for (const key of NAMES) {
    const name = (value as Record<string, unknown>)[key];
    if (typeof name === "string" || typeof name === "number") return String(name);
  }
  return undefined;
}

function textsOf(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (Array.isArray(value)) return value.flatMap(textsOf);
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => (OTHER_KEYS.has(key) ? [] : textsOf(inner)));
}
