/**
 * @file A text with its words, lines and counts, shared by all filters. Each is computed on first use and cached. Editing a
 * text creates a new passage.
 */
import { ALL_PUNCTUATION, ALL_SYMBOLS, ENDS_SENTENCE, HAS_LETTER } from "./word-splitter.js";
import { countPoints, WordTable } from "./word-table.js";

/** Replaces Quern's splitting into words, sentences or both. Must depend only on the text. */
export interface Splitter {
  readonly words?: (text: string) => readonly string[];
  readonly sentences?: (text: string) => readonly string[];
}

/** The words of a passage, as ids of `table`. */
export interface Words {
  readonly ids: Int32Array;
  readonly table: WordTable;
  /** Number of words that are not only symbols, and their code points. */
  readonly plain: number;
  readonly plainPoints: number;
  /** Number of words with at least one letter. */
  readonly alphabetic: number;
}

const table = new WordTable();

export class Passage {
  readonly text: string;
  readonly #splitter: Splitter;
  #words: Words | undefined;
  #wordCount: number | undefined;
  #generation = -1;
  #points: number | undefined;
  #bytes: number | undefined;
  #lines: readonly string[] | undefined;

  constructor(text: string, splitter: Splitter = {}) {
    this.text = text;
    this.#splitter = splitter;
  }

  /** Returns a passage for an edited text with the same splitter; `wordCount` can be passed if known. */
  edited(text: string, wordCount?: number): Passage {
    const passage = new Passage(text, this.#splitter);
    passage.#wordCount = wordCount;
    return passage;
  }

  /** UTF-8 bytes. */
  get bytes(): number {
    this.#bytes ??= Buffer.byteLength(this.text);
    return this.#bytes;
  }

  /** Code points. */
  get points(): number {
    this.#points ??= this.bytes === this.text.length ? this.bytes : countPoints(this.text);
    return this.#points;
  }

  /** The text split at every `\n`. */
  get lines(): readonly string[] {
    this.#lines ??= this.text.split("\n");
    return this.#lines;
  }

  get words(): Words {
    // The table has been reset since, which invalidated its ids.
    if (this.#words === undefined || this.#generation !== table.generation) this.#words = this.#split();
    return this.#words;
  }

  get wordCount(): number {
    this.#wordCount ??= this.#words?.ids.length ?? this.#split(true).ids.length;
    return this.#wordCount;
  }

  #split(countOnly = false): Words {
    table.resetIfFull();
    const own = this.#splitter.words;
    const found = own === undefined ? table.split(this.text) : table.idsOf(own(this.text));
    if (countOnly) return { ids: found, table, plain: 0, plainPoints: 0, alphabetic: 0 };
    // Copy: the table overwrites its result with the next text.
    const ids = own === undefined ? found.slice() : found;
    this.#generation = table.generation;
    this.#wordCount = ids.length;
    const { records } = table;
    let plain = 0;
    let plainPoints = 0;
    let alphabetic = 0;
    for (let i = 0; i < ids.length; i++) {
      const traits = records[ids[i] * 4 + 3];
      if ((traits & ALL_SYMBOLS) === 0) {
        plain += 1;
        plainPoints += traits >> 4;
      }
      if ((traits & HAS_LETTER) !== 0) alphabetic += 1;
    }
    return { ids, table, plain, plainPoints, alphabetic };
  }

  /** Counts how many of the given words occur in the text, case-sensitively, up to `enough`. */
  countPresent(words: readonly string[], enough = words.length): number {
    const { ids } = this.words;
    const missing = new Set(words.map((word) => table.find(word)));
    missing.delete(-1);
    let present = 0;
    for (let i = 0; i < ids.length && present < enough && missing.size > 0; i++) {
      if (missing.delete(ids[i])) present += 1;
    }
    return present;
  }

  /**
   * Counts the words of a piece of this text that begins and ends at whitespace. Returns undefined with a custom splitter,
   * where the counts of pieces may not add up.
   */
  wordsIn(piece: string): number | undefined {
    if (piece === "") return 0;
    return this.#splitter.words === undefined ? table.split(piece).length : undefined;
  }

  /**
   * Counts the sentences of a text, up to `limit`. A sentence ends with a word that is a terminal mark and the punctuation
   * after it.
   */
  countSentences(text: string, limit: number): number {
    if (this.#splitter.sentences !== undefined) return this.#splitter.sentences(text).length;
    const ids = table.split(text);
    const { records } = table;
    let sentences = ids.length > 0 ? 1 : 0;
    let ended = false;
    for (let i = 0; i < ids.length && sentences < limit; i++) {
      const traits = records[ids[i] * 4 + 3];
      if ((traits & ENDS_SENTENCE) !== 0) ended = true;
      else if (ended && (traits & ALL_PUNCTUATION) === 0) {
        sentences += 1;
        ended = false;
      }
    }
    return sentences;
  }
}

/** Returns the words of a text as the filters count them. */
export function splitWords(text: string): string[] {
  return Array.from(table.split(text), (id) => table.text(id));
}
